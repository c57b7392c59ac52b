/*
 * train.c
 *	  albert_train: models trained on a user's rows.
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "executor/progress.h"
#include "executor/text.h"
#include "functions/functions.h"
#include "functions/labelled.h"
#include "store/object.h"
#include "training/training.h"

#define TOLERANCE		1e-6	/* of the fit that is kept */

typedef struct Trainer
{
	AlbertLabels labels;
	AlbertTraining training;
	AlbertArena arena;
	AlbertFitter *fitter;
	int			nfolds;
} Trainer;

/* ---------- what is learnt ---------- */

/* How many distinct texts are learnt from that have each class, and behind them of any class. */
static int *
count_texts(const AlbertLabels *labels)
{
	int		   *n = palloc0((labels->nclasses + 1) * sizeof(int));
	int		   *seen = palloc0((labels->nclasses + 1) * sizeof(int));	/* groups so far; they ascend */

	for (int i = 0; i < labels->nrows; i++)
	{
		const AlbertLabelled *row = &labels->rows[i];

		CHECK_FOR_INTERRUPTS();
		for (int c = 0; c <= labels->nclasses && !row->tested; c++)
		{
			if (seen[c] <= row->group && (c == labels->nclasses || bms_is_member(c, row->classes)))
			{
				seen[c] = row->group + 1;
				n[c]++;
			}
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
	int		   *texts = count_texts(labels);
	int			all = texts[labels->nclasses];

	if (labels->problem == ALBERT_PROBLEM_SINGLE_LABEL && labels->nclasses < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("all rows have the label \"%s\"", shown(labels->classes[0])),
				 errhint("There must be two labels at least.")));
	if (labels->problem == ALBERT_PROBLEM_MULTI_LABEL && labels->nclasses < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no row has a label")));
	for (int c = 0; c < labels->nclasses; c++)
	{
		if (texts[c] < 2)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 texts[c] == 0 ? errmsg("the label \"%s\" has no text to learn from", shown(labels->classes[c])) :
					 errmsg("the label \"%s\" has only one text", shown(labels->classes[c])),
					 errdetail("One is learnt from, and another one tells whether that went well."),
					 errhint("Label more texts, eight or more of a label, or leave the label out.")));
		folds = Min(folds, texts[c]);
	}
	if (all < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 all == 0 ? errmsg("no row is of the split \"train\"") : errmsg("all rows have the same text")));
	return Min(folds, all);
}

static void
balance(const AlbertLabels *labels, AlbertTrainingRow *rows)
{
	double	   *totals = palloc0(labels->nclasses * sizeof(double));
	double		total = 0;

	if (labels->problem != ALBERT_PROBLEM_SINGLE_LABEL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only labels of which a row has one can be balanced")));
	for (int i = 0; i < labels->nrows; i++)
	{
		totals[rows[i].class] += rows[i].weight;
		total += rows[i].weight;
	}
	for (int i = 0; i < labels->nrows; i++)
	{
		if (rows[i].weight > 0)
			rows[i].weight *= total / (labels->nclasses * totals[rows[i].class]);
	}
}

/* By row and output: a number, whether the class is the second of two, or whether each class is the row's. */
static float *
make_targets(const AlbertLabels *labels, int noutputs)
{
	float	   *targets = AlbertLabelledAlloc((Size) labels->nrows * noutputs, sizeof(float));

	for (int i = 0; i < labels->nrows; i++)
	{
		const AlbertLabelled *row = &labels->rows[i];
		float	   *of_row = targets + (Size) i * noutputs;

		CHECK_FOR_INTERRUPTS();
		if (labels->problem == ALBERT_PROBLEM_REGRESSION)
			*of_row = row->number;
		else if (labels->problem == ALBERT_PROBLEM_SINGLE_LABEL)
			*of_row = AlbertLabelClass(row);
		else
		{
			for (int c = -1; (c = bms_next_member(row->classes, c)) >= 0;)
				of_row[c] = 1;
		}
	}
	return targets;
}

/* Of two classes one output learns which it is. */
static void
make_training(Trainer *trainer, bool balanced)
{
	const AlbertLabels *labels = &trainer->labels;
	AlbertTraining *training = &trainer->training;
	AlbertTrainingRow *rows = AlbertLabelledAlloc(labels->nrows, sizeof(AlbertTrainingRow));

	for (int i = 0; i < labels->nrows; i++)
	{
		const AlbertLabelled *row = &labels->rows[i];

		rows[i] = (AlbertTrainingRow) {
			.vector = row->vector,
			.class = labels->problem == ALBERT_PROBLEM_SINGLE_LABEL ? AlbertLabelClass(row) : 0,
			.group = row->tested ? -1 : row->group,
			.weight = row->tested ? 0 : row->weight
		};
	}
	if (balanced)
		balance(labels, rows);
	training->nrows = labels->nrows;
	training->rows = rows;
	training->arena = &trainer->arena;
	training->poll = AlbertPollInterrupts;
	training->noutputs = labels->nclasses;
	training->link = ALBERT_LINK_SIGMOID;
	if (labels->problem == ALBERT_PROBLEM_REGRESSION)
	{
		training->noutputs = 1;
		training->link = ALBERT_LINK_IDENTITY;
	}
	else if (labels->problem == ALBERT_PROBLEM_SINGLE_LABEL && labels->nclasses == 2)
		training->noutputs = 1;
	else if (labels->problem == ALBERT_PROBLEM_SINGLE_LABEL)
		training->link = ALBERT_LINK_SOFTMAX;
	if (training->link != ALBERT_LINK_SOFTMAX)
		training->targets = make_targets(labels, training->noutputs);
}

/* What the embeddings of two texts make, for each pair; the embeddings are freed. */
static float *
join_pairs(const AlbertLabels *labels, float *texts, int width)
{
	float	   *values = AlbertLabelledAlloc((Size) labels->nvectors * ALBERT_PAIR_PARTS * width, sizeof(float));

	for (int i = 0; i < labels->nvectors; i++)
	{
		const AlbertLabelled *row = &labels->rows[labels->vectors[i]];

		CHECK_FOR_INTERRUPTS();
		AlbertPairValues(texts + (Size) row->text * width, texts + (Size) row->pair * width, width,
						 values + (Size) i * ALBERT_PAIR_PARTS * width);
	}
	pfree(texts);
	return values;
}

/* The base's embeddings of the texts; those of pairs are of each text by itself. */
static void
make_vectors(Trainer *trainer, AlbertJob *job, const char *name)
{
	const AlbertLabels *labels = &trainer->labels;
	int			width = 0;
	float	   *values = AlbertLabelledRun(job, labels, !labels->pairs, name, "train", &width);

	trainer->training.vectors = labels->pairs ? join_pairs(labels, values, width) : values;
	trainer->training.width = labels->pairs ? ALBERT_PAIR_PARTS * width : width;
}

/* Scores of every class, of outputs that for two classes are one. */
static double *
scores_of(const Trainer *trainer, const double *outputs)
{
	const AlbertLabels *labels = &trainer->labels;
	double	   *scores;

	if (trainer->training.noutputs >= labels->nclasses)
		return unconstify(double *, outputs);
	scores = AlbertLabelledAlloc((Size) labels->nrows * 2, sizeof(double));
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
make_head(const Trainer *trainer, const AlbertFit *fit, AlbertTrainedHead *head)
{
	static const char *const number_labels[] = {"value"};
	const AlbertLabels *labels = &trainer->labels;
	int			width = trainer->training.width;
	bool		two = trainer->training.noutputs < labels->nclasses;
	int			n = two ? 2 : trainer->training.noutputs;
	float	   *weights = AlbertLabelledAlloc((Size) n * width, sizeof(float));
	float	   *bias = AlbertLabelledAlloc(n, sizeof(float));
	double	   *coefficients = AlbertLabelledAlloc(width, sizeof(double));

	for (int label = 0; label < n; label++)
	{
		/* of two classes' logits only the difference counts */
		double		factor = !two ? 1 : label == 0 ? -0.5 : 0.5;

		bias[label] = factor * AlbertFitterCoefficients(trainer->fitter, fit, two ? 0 : label, coefficients);
		for (int j = 0; j < width; j++)
			weights[(Size) label * width + j] = factor * coefficients[j];
	}
	*head = (AlbertTrainedHead) {
		.problem = labels->problem,
		.pairs = labels->pairs,
		.nlabels = n,
		.labels = labels->problem == ALBERT_PROBLEM_REGRESSION ? number_labels : labels->classes,
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
		AlbertObjectCommand(psprintf("SELECT %s.albert_replace_model(%s, %s)", quote_identifier(schema),
									 quote_literal_cstr(name), quote_literal_cstr(by)));
}

/* ---------- albert_train(model, query, base, balanced, strength, folds) ---------- */

static void
require(bool ok, const AlbertStatus *status)
{
	if (!ok)
		AlbertReport(status);
}

#define STRENGTHS	8			/* tried when none is given */

static void
count_fit(void *context)
{
	AlbertProgress *progress = context;

	progress->rows_done++;
	AlbertProgressUpdate(progress);
}

/* Find the strength, unless it is given, with each fold left out; fit all; and report how well that goes. */
static void
fit_and_report(Trainer *trainer, const char *name, const double *strength, ReturnSetInfo *result, AlbertFit *fit)
{
	AlbertTraining *training = &trainer->training;
	int			ntried = strength != NULL ? 1 : STRENGTHS;
	AlbertValidation found = {0};
	AlbertProgress progress;
	AlbertStatus status;
	int32_t    *folds;
	double		Cs[STRENGTHS];

	require(AlbertFitterMake(training, &trainer->fitter, &status), &status);
	require(AlbertFoldsMake(training, trainer->labels.ngroups, trainer->nfolds, &folds, &status), &status);
	for (int i = 0; i < ntried; i++)
		Cs[i] = strength != NULL ? *strength : pow(10, i - 2) / fmax(AlbertFitterVariance(trainer->fitter), 1e-12);
	training->fitted = count_fit;
	training->context = &progress;
	AlbertProgressBegin(&progress, CurrentMemoryContext, InvalidOid, name, "fit", ntried * trainer->nfolds + 1);
	require(AlbertCrossValidate(trainer->fitter, training, folds, trainer->nfolds, Cs, ntried, &found, &status),
			&status);
	require(AlbertFitterFit(trainer->fitter, found.C, NULL, 0, TOLERANCE, fit, &status), &status);
	/* those that are tested are in no fold */
	AlbertFitterPredict(trainer->fitter, fit, folds, -1, found.outputs);
	AlbertLabelsReport(&trainer->labels, scores_of(trainer, found.outputs), folds, trainer->nfolds, result);
	AlbertPutMetric(result, -1, "strength", NULL, NULL, found.C, NAN, NAN);
}

PG_FUNCTION_INFO_V1(albert_train);
Datum
albert_train(PG_FUNCTION_ARGS)
{
	Trainer		trainer = {0};
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
	AlbertLabelledRead(AlbertCString(PG_GETARG_DATUM(1)), true, NULL, 0, &trainer.labels);
	trainer.nfolds = check_labels(&trainer.labels, folds);
	AlbertArenaInitContext(&trainer.arena, CurrentMemoryContext);
	make_training(&trainer, PG_GETARG_BOOL(3));
	make_vectors(&trainer, &job, name);
	fit_and_report(&trainer, name, PG_ARGISNULL(4) ? NULL : &strength, (ReturnSetInfo *) fcinfo->resultinfo, &fit);
	make_head(&trainer, &fit, &head);
	keep_model(fcinfo, name, by, &head, job.binding);
	return (Datum) 0;
}
