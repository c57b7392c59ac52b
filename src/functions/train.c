/*
 * train.c
 *	  albert_train and albert_evaluate: models trained on a user's rows.
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "executor/text.h"
#include "functions/classify.h"
#include "functions/embedding.h"
#include "functions/functions.h"
#include "functions/labelled.h"
#include "store/head.h"
#include "training/training.h"

#define EMBED_TEXTS		256		/* given to the model at a time */
#define TOLERANCE		1e-6	/* of the fit that is kept */
#define MAX_BYTES		((Size) 4 * 1024 * 1024 * 1024)

typedef struct Problem
{
	AlbertLabels labels;
	AlbertTraining training;
	AlbertArena arena;
	const AlbertBinding *base;
	int32_t    *strata;
	int			nstrata;
	int			nfolds;
} Problem;

/* ---------- a task over the distinct texts ---------- */

/* Run a job over the texts; its results, real[] of one width, as the rows of one array. */
static float *
run_texts(AlbertJob *job, const AlbertLabels *labels, int *width)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "albert training texts",
												  ALLOCSET_DEFAULT_SIZES);
	float	   *values = NULL;

	for (int first = 0; first < labels->ntexts; first += EMBED_TEXTS)
	{
		int			n = Min(labels->ntexts - first, EMBED_TEXTS);
		MemoryContext old = MemoryContextSwitchTo(context);
		AlbertItem *items = palloc0(n * sizeof(AlbertItem));

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
		{
			items[i].text = labels->texts[first + i];
			items[i].isnull = true;
		}
		job->raises = true;
		AlbertTaskRun(job, items, n);
		MemoryContextSwitchTo(old);
		for (int i = 0; i < n; i++)
		{
			ArrayType  *array = DatumGetArrayTypeP(items[i].result);

			*width = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
			if (values == NULL && (Size) labels->ntexts * *width * sizeof(float) > MAX_BYTES)
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("%d texts are too many to train on", labels->ntexts),
						 errhint("Take a sample of them.")));
			if (values == NULL)
				values = palloc_extended((Size) labels->ntexts * *width * sizeof(float), MCXT_ALLOC_HUGE);
			memcpy(values + (Size) (first + i) * *width, ARR_DATA_PTR(array), *width * sizeof(float));
		}
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
	return values;
}

/* ---------- the problem ---------- */

/* How many distinct texts the class has. */
static int
texts_of(const AlbertLabels *labels, int class)
{
	int			n = 0;
	int			last = -1;

	for (int i = 0; i < labels->nrows; i++)
	{
		if (labels->rows[i].vector != last && AlbertLabelHas(labels, &labels->rows[i], class))
		{
			last = labels->rows[i].vector;
			n++;
		}
	}
	return n;
}

/* A class's name for a message. */
static char *
shown(const char *class)
{
	return AlbertCString(AlbertOutputToDatum(class, strlen(class)));
}

/* Refuse what nothing can be learnt from, before anything is computed; how many folds there can be. */
static int
check_labels(const AlbertLabels *labels, int folds)
{
	if (labels->kind == ALBERT_LABEL_CLASS && labels->nclasses < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("all rows have the label \"%s\"", shown(labels->classes[0])),
				 errhint("There must be two labels at least.")));
	if (labels->kind == ALBERT_LABEL_SET && labels->nclasses < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no row has a label")));
	for (int c = 0; c < labels->nclasses; c++)
	{
		int			n = texts_of(labels, c);

		if (n < 2)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the label \"%s\" has only one text", shown(labels->classes[c])),
					 errdetail("One is learnt from, and another one tells whether that went well."),
					 errhint("Label more texts, eight or more of a label, or leave the label out.")));
		folds = Min(folds, n);
	}
	if (labels->ntexts < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("all rows have the same text")));
	return Min(folds, labels->ntexts);
}

static void
balance(const AlbertLabels *labels, double *weights)
{
	double	   *totals = palloc0(labels->nclasses * sizeof(double));
	double		total = 0;

	if (labels->kind != ALBERT_LABEL_CLASS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only labels of which a row has one can be balanced")));
	for (int i = 0; i < labels->nrows; i++)
	{
		totals[labels->rows[i].class] += weights[i];
		total += weights[i];
	}
	for (int i = 0; i < labels->nrows; i++)
	{
		if (weights[i] > 0)
			weights[i] *= total / (labels->nclasses * totals[labels->rows[i].class]);
	}
}

static void *
huge(Size count, Size size)
{
	return palloc_extended(Max(count, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* What row i is to give: targets of links that are not softmax. */
static void
take_targets(Problem *problem, int i, float *targets)
{
	const AlbertLabels *labels = &problem->labels;
	const AlbertLabelled *row = &labels->rows[i];

	if (labels->kind == ALBERT_LABEL_NUMBER)
		targets[i] = row->number;
	else if (labels->kind == ALBERT_LABEL_CLASS)
		targets[i] = row->class;
	else
		for (int c = 0; c < labels->nclasses; c++)
			targets[(Size) i * labels->nclasses + c] = AlbertLabelHas(labels, row, c);
}

static void
make_training(Problem *problem, bool balanced)
{
	const AlbertLabels *labels = &problem->labels;
	AlbertTraining *training = &problem->training;
	int			n = labels->nrows;
	int32_t    *vector = huge(n, sizeof(int32_t));
	int32_t    *classes = huge(n, sizeof(int32_t));
	double	   *weights = huge(n, sizeof(double));
	float	   *targets = NULL;

	training->link = labels->kind == ALBERT_LABEL_NUMBER ? ALBERT_LINK_IDENTITY
		: labels->kind == ALBERT_LABEL_CLASS && labels->nclasses > 2 ? ALBERT_LINK_SOFTMAX : ALBERT_LINK_SIGMOID;
	training->noutputs = labels->kind == ALBERT_LABEL_NUMBER ? 1
		: labels->kind == ALBERT_LABEL_CLASS && labels->nclasses == 2 ? 1 : labels->nclasses;
	training->nvectors = labels->ntexts;
	training->nrows = n;
	training->arena = &problem->arena;
	training->stopped = AlbertStopped;
	if (training->link != ALBERT_LINK_SOFTMAX)
		targets = huge((Size) n * training->noutputs, sizeof(float));
	problem->strata = huge(n, sizeof(int32_t));
	problem->nstrata = labels->nclasses + 1;
	for (int i = 0; i < n; i++)
	{
		vector[i] = labels->rows[i].vector;
		weights[i] = labels->rows[i].weight;
		if (labels->kind == ALBERT_LABEL_CLASS)
			classes[i] = problem->strata[i] = labels->rows[i].class;
		for (int c = 0; labels->kind == ALBERT_LABEL_SET && c < labels->nclasses; c++)
		{
			/* spread by the rarest of its labels would be better; the first one does */
			if (AlbertLabelHas(labels, &labels->rows[i], c))
			{
				problem->strata[i] = c + 1;
				break;
			}
		}
		if (targets != NULL)
			take_targets(problem, i, targets);
	}
	if (balanced)
		balance(labels, weights);
	training->vector = vector;
	training->classes = classes;
	training->targets = targets;
	training->weights = weights;
}

/* Scores of every class, of outputs that for two classes are one. */
static double *
scores_of(const Problem *problem, const double *outputs)
{
	const AlbertLabels *labels = &problem->labels;
	double	   *scores;

	if (labels->kind != ALBERT_LABEL_CLASS || labels->nclasses > 2)
		return unconstify(double *, outputs);
	scores = huge((Size) labels->nrows * 2, sizeof(double));
	for (int i = 0; i < labels->nrows; i++)
	{
		scores[2 * i] = 1 - outputs[i];
		scores[2 * i + 1] = outputs[i];
	}
	return scores;
}

/* ---------- the result ---------- */

/* A head's labels and weights from a fit. */
static void
make_head(const Problem *problem, const AlbertFit *fit, AlbertTrainedHead *head)
{
	static const char *const number_labels[] = {"value"};
	const AlbertLabels *labels = &problem->labels;
	int			width = problem->training.width;
	bool		two = labels->kind == ALBERT_LABEL_CLASS && labels->nclasses == 2;
	int			n = labels->kind == ALBERT_LABEL_NUMBER ? 1 : labels->nclasses;
	float	   *weights = huge((Size) n * width, sizeof(float));
	float	   *bias = huge(n, sizeof(float));

	for (int label = 0; label < n; label++)
	{
		/* of two classes' logits only the difference counts */
		double		factor = !two ? 1 : label == 0 ? -0.5 : 0.5;
		int			output = two ? 0 : label;

		for (int j = 0; j < width; j++)
			weights[(Size) label * width + j] = factor * fit->coefficients[(Size) output * width + j];
		bias[label] = factor * fit->intercepts[output];
	}
	*head = (AlbertTrainedHead) {
		.problem = labels->kind == ALBERT_LABEL_NUMBER ? ALBERT_PROBLEM_REGRESSION
		: labels->kind == ALBERT_LABEL_SET ? ALBERT_PROBLEM_MULTI_LABEL : ALBERT_PROBLEM_SINGLE_LABEL,
		.nlabels = n,
		.labels = labels->kind == ALBERT_LABEL_NUMBER ? number_labels : labels->classes,
		.width = width,
		.weights = weights,
		.bias = bias
	};
}

/* Is there a model of that name, which the user may replace?  Raises when it is not free and not theirs. */
static bool
will_replace(const char *name, const char *base)
{
	Oid			relation;
	AlbertObject object;

	AlbertModelNameCheck(name);
	if (strcmp(name, base) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a model cannot be its own base")));
	relation = AlbertObjectRelation(name);
	if (!OidIsValid(relation))
		return false;
	if (!AlbertObjectIsOwn(relation))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the name \"%s\" is not available for a model", name),
				 errhint("Choose another name.")));
	if (!AlbertObjectRead(relation, name, &object))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" is being imported", name)));
	return true;
}

/*
 * The table that is to have the model, made before the work, so that whoever
 * may not make it is told at once: of the name itself, or one that then takes
 * its place.
 */
static char *
begin_model(const char *name, const char *base)
{
	char	   *by = will_replace(name, base) ? psprintf("new.%d", MyProcPid) : pstrdup(name);

	table_close(AlbertImportBegin(by), NoLock);
	return by;
}

static void
keep_model(FunctionCallInfo fcinfo, const char *name, const char *by, const AlbertTrainedHead *head,
		   const AlbertBinding *base)
{
	char	   *schema = get_namespace_name(get_func_namespace(fcinfo->flinfo->fn_oid));

	AlbertHeadKeep(by, head, base);
	if (strcmp(name, by) != 0)
		AlbertObjectCommand("SELECT %s.albert_replace_model(%s, %s)", quote_identifier(schema),
							quote_literal_cstr(name), quote_literal_cstr(by));
}

/* ---------- albert_train(model, query, base, balanced, strength, folds) ---------- */

static void
require(bool ok, const AlbertStatus *status)
{
	if (!ok)
		AlbertReport(status);
}

/* Fit, and report how well that goes; the arena has the fit. */
static void
fit_and_report(Problem *problem, const double *strength, ReturnSetInfo *result, AlbertFit *fit)
{
	AlbertTraining *training = &problem->training;
	AlbertValidation found = {0};
	AlbertFitter *fitter;
	AlbertStatus status;
	int32_t    *folds;
	double		Cs[8];

	require(AlbertFitterMake(training, &fitter, &status), &status);
	for (int i = 0; i < lengthof(Cs); i++)
		Cs[i] = pow(10, i - 2) / fmax(AlbertFitterVariance(fitter), 1e-12);
	require(AlbertFoldsMake(training->nrows, training->vector, training->nvectors, problem->strata, problem->nstrata,
							problem->nfolds, &problem->arena, &folds, &status), &status);
	require(AlbertCrossValidate(fitter, training, folds, problem->nfolds, strength != NULL ? strength : Cs,
								strength != NULL ? 1 : lengthof(Cs), &found, &status), &status);
	require(AlbertFitterFit(fitter, found.C, NULL, 0, TOLERANCE, fit, &status), &status);
	AlbertLabelsReport(&problem->labels, scores_of(problem, found.outputs), folds, problem->nfolds, result);
	AlbertPutMetric(result, -1, "strength", NULL, NULL, found.C, NAN, NAN);
}

PG_FUNCTION_INFO_V1(albert_train);
Datum
albert_train(PG_FUNCTION_ARGS)
{
	Problem		problem = {0};
	char	   *name;
	char	   *base;
	char	   *by;
	double		strength = PG_ARGISNULL(4) ? 0 : PG_GETARG_FLOAT8(4);
	AlbertTrainedHead head;
	AlbertFit	fit = {0};
	AlbertJob	job;
	int			folds;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3) || PG_ARGISNULL(5))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("model, query, balanced and folds must not be null")));
	if (!PG_ARGISNULL(4) && !(strength > 0 && strength < 1e300))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("strength must be greater than 0")));
	folds = AlbertIntOption("folds", PG_GETARG_DATUM(5), 2, 100);
	name = AlbertCString(PG_GETARG_DATUM(0));
	base = PG_ARGISNULL(2) ? pstrdup(albert_model) : AlbertCString(PG_GETARG_DATUM(2));
	InitMaterializedSRF(fcinfo, 0);
	by = begin_model(name, base);
	AlbertJobStartTask(&job, &albert_embedding_task, base);
	if (job.binding->model.head_weights != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" is a trained one itself", base),
				 errhint("Train on the embeddings of its base.")));
	AlbertLabelledRead(AlbertCString(PG_GETARG_DATUM(1)), &problem.labels);
	problem.nfolds = check_labels(&problem.labels, folds);
	AlbertArenaInitContext(&problem.arena, CurrentMemoryContext);
	make_training(&problem, PG_GETARG_BOOL(3));
	problem.training.vectors = run_texts(&job, &problem.labels, &problem.training.width);
	fit_and_report(&problem, PG_ARGISNULL(4) ? NULL : &strength, (ReturnSetInfo *) fcinfo->resultinfo, &fit);
	make_head(&problem, &fit, &head);
	keep_model(fcinfo, name, by, &head, job.binding);
	return (Datum) 0;
}

/* ---------- albert_evaluate(model, query) ---------- */

static void
set_scores(AlbertJob *job, AlbertItem *item, int number)
{
	int			k = job->binding->model.config->num_labels;
	const double *scores = AlbertClassScores(job, number);
	float	   *row = palloc(k * sizeof(float));

	for (int c = 0; c < k; c++)
		row[c] = (float) scores[c];
	AlbertItemSet(item, AlbertFloatArray(row, k));
}

static const AlbertTask evaluate_task = {
	.symbol = "albert_evaluate",
	.text_arg = "content",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.run = AlbertRunClassifier,
	.result = set_scores
};

/* The model's scores of the rows' classes; those that it does not know have none. */
static double *
scores_by_class(AlbertLabels *labels, const AlbertModel *model, const float *values, int width)
{
	const char **classes = palloc((labels->nclasses + width) * sizeof(char *));
	int		   *numbers = palloc(Max(labels->nclasses, 1) * sizeof(int));
	int			k = width;
	double	   *scores;

	for (int c = 0; c < width; c++)
		classes[c] = model->labels[c];
	for (int c = 0; c < labels->nclasses; c++)
	{
		numbers[c] = k;
		for (int known = 0; known < width; known++)
		{
			if (strcmp(classes[known], labels->classes[c]) == 0)
				numbers[c] = known;
		}
		if (numbers[c] == k)
			classes[k++] = labels->classes[c];
	}
	scores = huge((Size) labels->nrows * k, sizeof(double));
	for (int i = 0; i < labels->nrows; i++)
	{
		AlbertLabelled *row = &labels->rows[i];

		if (labels->kind == ALBERT_LABEL_CLASS)
			row->class = numbers[row->class];
		for (int c = 0; c < width; c++)
			scores[(Size) i * k + c] = values[(Size) row->vector * width + c];
	}
	labels->classes = classes;
	labels->nclasses = k;
	return scores;
}

static AlbertLabelKind
kind_of_model(const AlbertConfig *config)
{
	return config->problem_type == ALBERT_PROBLEM_REGRESSION ? ALBERT_LABEL_NUMBER
		: config->problem_type == ALBERT_PROBLEM_MULTI_LABEL ? ALBERT_LABEL_SET : ALBERT_LABEL_CLASS;
}

PG_FUNCTION_INFO_V1(albert_evaluate);
Datum
albert_evaluate(PG_FUNCTION_ARGS)
{
	AlbertLabels labels;
	AlbertJob	job;
	double	   *scores;
	float	   *values;
	int			width = 0;

	InitMaterializedSRF(fcinfo, 0);
	AlbertJobStartTask(&job, &evaluate_task, AlbertCString(PG_GETARG_DATUM(0)));
	AlbertLabelledRead(AlbertCString(PG_GETARG_DATUM(1)), &labels);
	if (labels.kind != kind_of_model(job.binding->model.config))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query's labels are not of the kind that model \"%s\" gives", job.binding->name),
				 errhint("A label is a text, an array of texts or a number with a fraction, as it was when the model "
						 "was trained.")));
	values = run_texts(&job, &labels, &width);
	if (labels.kind == ALBERT_LABEL_NUMBER)
	{
		scores = huge(labels.nrows, sizeof(double));
		for (int i = 0; i < labels.nrows; i++)
			scores[i] = values[(Size) labels.rows[i].vector * width];
	}
	else
		scores = scores_by_class(&labels, &job.binding->model, values, width);
	AlbertLabelsReport(&labels, scores, NULL, 0, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}
