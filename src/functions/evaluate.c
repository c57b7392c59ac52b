/*
 * evaluate.c
 *	  How well predictions of labelled texts do, as rows of metrics: of
 *	  albert_train, and of albert_evaluate, which is here.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "executor/text.h"
#include "functions/functions.h"
#include "functions/labelled.h"
#include "training/training.h"

typedef struct ClassCounts
{
	int64		rows;			/* of the class */
	int64		predicted;		/* to be of the class */
	int64		right;			/* both */
} ClassCounts;

typedef struct Report
{
	const AlbertLabels *labels;
	const double *scores;
	const int32_t *folds;
	int			fold;			/* the one reported on; -1: all, or the tested rows if there are any */
	ReturnSetInfo *result;
} Report;

static Datum
name_of_class(const char *class)
{
	return class == NULL ? (Datum) 0 : AlbertOutputToDatum(class, strlen(class));
}

void
AlbertPutMetric(ReturnSetInfo *result, int fold, const char *metric, const char *class,
				const char *predicted, double value, double low, double high)
{
	Datum		values[] = {
		Int32GetDatum(fold + 1), CStringGetTextDatum(metric), name_of_class(class), name_of_class(predicted),
		Float8GetDatum(value), Float8GetDatum(low), Float8GetDatum(high)
	};
	bool		nulls[] = {fold < 0, false, class == NULL, predicted == NULL, isnan(value), isnan(low), isnan(high)};

	AlbertPutRow(result, values, nulls);
}

static bool
takes_part(const Report *report, int row)
{
	if (report->fold < 0)
		return report->labels->ntested == 0 || report->labels->rows[row].tested;
	return report->folds[row] == report->fold;
}

static void
put_share(const Report *report, const char *metric, const char *class, double right, double n)
{
	double		low = NAN;
	double		high = NAN;

	if (n > 0)
		AlbertShareInterval(right / n, n, &low, &high);
	AlbertPutMetric(report->result, report->fold, metric, class, NULL, n > 0 ? right / n : NAN, low, high);
}

/* The mean of n values from their sums. */
static void
put_mean(const Report *report, const char *metric, double sum, double squares, int64 n)
{
	double		mean = n > 0 ? sum / n : NAN;
	double		error = n > 1 ? sqrt(fmax(squares / n - mean * mean, 0) / (n - 1)) : NAN;

	AlbertPutMetric(report->result, report->fold, metric, NULL, NULL, mean,
					mean - ALBERT_CONFIDENT * error, mean + ALBERT_CONFIDENT * error);
}

/* As scikit-learn's: a probability is at least the least that its type can tell from 0. */
static double
log_loss(double probability)
{
	return -log(fmin(fmax(probability, DBL_EPSILON), 1));
}

static double
row_log_loss(const AlbertLabels *labels, int row, const double *scores)
{
	double		loss = 0;

	if (labels->problem == ALBERT_PROBLEM_SINGLE_LABEL)
		return log_loss(scores[AlbertLabelClass(&labels->rows[row])]);
	for (int c = 0; c < labels->nclasses; c++)
		loss += log_loss(bms_is_member(c, labels->rows[row].classes) ? scores[c] : 1 - scores[c]);
	return loss / Max(labels->nclasses, 1);
}

static double
f1_of(const ClassCounts *counts)
{
	return counts->right > 0 ? 2.0 * counts->right / (counts->rows + counts->predicted) : 0;
}

/* The mean over the classes that rows have, or that were predicted. */
static double
macro_f1(const ClassCounts *counts, int n)
{
	double		sum = 0;
	int			used = 0;

	for (int c = 0; c < n; c++)
	{
		sum += f1_of(&counts[c]);
		used += counts[c].rows > 0 || counts[c].predicted > 0;
	}
	return used > 0 ? sum / used : NAN;
}

static void
put_classes(const Report *report, const ClassCounts *counts)
{
	for (int c = 0; c < report->labels->nclasses; c++)
	{
		const char *name = report->labels->classes[c];

		put_share(report, "precision", name, counts[c].right, counts[c].predicted);
		put_share(report, "recall", name, counts[c].right, counts[c].rows);
		AlbertPutMetric(report->result, report->fold, "f1", name, NULL, f1_of(&counts[c]), NAN, NAN);
		AlbertPutMetric(report->result, report->fold, "rows", name, NULL, counts[c].rows, NAN, NAN);
	}
}

/*
 * What was predicted of a row: the best class, so that class and prediction
 * are one number, *both, or of sets (NULL) each class by itself.  Is it what the
 * row has, and no more?
 */
static bool
count_row(const Report *report, int row, ClassCounts *counts, int64 *both)
{
	const AlbertLabelled *labelled = &report->labels->rows[row];
	int			k = report->labels->nclasses;
	const double *scores = report->scores + (Size) row * k;
	int			best = AlbertArgMax(scores, k);
	bool		right = true;

	for (int c = 0; c < k; c++)
	{
		bool		has = bms_is_member(c, labelled->classes);
		bool		predicted = both != NULL ? c == best : scores[c] > 0.5;

		right &= has == predicted;
		counts[c].rows += has;
		counts[c].predicted += predicted;
		counts[c].right += has && predicted;
	}
	if (both != NULL)
		*both = (int64) AlbertLabelClass(labelled) * k + best;
	return right;
}

static int
compare_numbers(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	CHECK_FOR_INTERRUPTS();
	return x < y ? -1 : x > y;
}

/* How many rows have each of the numbers that count_row made. */
static void
put_confusion(const Report *report, int64 *numbers, int n)
{
	const AlbertLabels *labels = report->labels;
	int			from = 0;

	qsort(numbers, n, sizeof(int64), compare_numbers);
	for (int i = 0; i < n; i++)
	{
		if (i + 1 < n && numbers[i + 1] == numbers[i])
			continue;
		AlbertPutMetric(report->result, -1, "confusion", labels->classes[numbers[i] / labels->nclasses],
						labels->classes[numbers[i] % labels->nclasses], i + 1 - from, NAN, NAN);
		from = i + 1;
	}
}

static void
report_classes(const Report *report)
{
	const AlbertLabels *labels = report->labels;
	int			k = labels->nclasses;
	bool		sets = labels->problem == ALBERT_PROBLEM_MULTI_LABEL;
	int64	   *numbers = AlbertLabelledAlloc(labels->nrows, sizeof(int64));
	ClassCounts *counts = palloc0(k * sizeof(ClassCounts));
	int			right = 0;
	int			n = 0;
	double		loss = 0;
	double		squares = 0;

	for (int i = 0; i < labels->nrows; i++)
	{
		double		own;

		CHECK_FOR_INTERRUPTS();
		if (!takes_part(report, i))
			continue;
		right += count_row(report, i, counts, sets ? NULL : &numbers[n]);
		own = row_log_loss(labels, i, report->scores + (Size) i * k);
		loss += own;
		squares += own * own;
		n++;
	}
	put_share(report, "accuracy", NULL, right, n);
	AlbertPutMetric(report->result, report->fold, "macro_f1", NULL, NULL, macro_f1(counts, k), NAN, NAN);
	put_mean(report, "log_loss", loss, squares, n);
	if (report->fold >= 0)
		return;
	put_classes(report, counts);
	if (!sets)
		put_confusion(report, numbers, n);
}

static void
report_numbers(const Report *report)
{
	const AlbertLabels *labels = report->labels;
	int64		n = 0;
	double		sum = 0;
	double		squares = 0;
	double		error = 0;
	double		absolute = 0;

	for (int i = 0; i < labels->nrows; i++)
	{
		double		number = labels->rows[i].number;

		if (!takes_part(report, i))
			continue;
		sum += number;
		squares += number * number;
		error += (report->scores[i] - number) * (report->scores[i] - number);
		absolute += fabs(report->scores[i] - number);
		n++;
	}
	AlbertPutMetric(report->result, report->fold, "rmse", NULL, NULL, sqrt(error / n), NAN, NAN);
	AlbertPutMetric(report->result, report->fold, "mae", NULL, NULL, absolute / n, NAN, NAN);
	squares -= sum * sum / n;
	AlbertPutMetric(report->result, report->fold, "r2", NULL, NULL, squares > 0 ? 1 - error / squares : NAN, NAN, NAN);
}

void
AlbertLabelsReport(const AlbertLabels *labels, const double *scores, const int32_t *folds, int nfolds,
				   ReturnSetInfo *result)
{
	AlbertPutMetric(result, -1, "rows", NULL, NULL, labels->nrows, NAN, NAN);
	if (labels->ntested > 0)
		AlbertPutMetric(result, -1, "tested", NULL, NULL, labels->ntested, NAN, NAN);
	AlbertPutMetric(result, -1, "texts", NULL, NULL, labels->nvectors, NAN, NAN);
	AlbertPutMetric(result, -1, "skipped", NULL, NULL, labels->nskipped, NAN, NAN);
	for (int fold = -1; fold < (folds == NULL ? 0 : nfolds); fold++)
	{
		Report		report = {.labels = labels, .scores = scores, .folds = folds, .fold = fold, .result = result};

		if (labels->problem == ALBERT_PROBLEM_REGRESSION)
			report_numbers(&report);
		else
			report_classes(&report);
	}
}

/* ---------- albert_evaluate(model, query) ---------- */

static void
set_scores(AlbertJob *job, AlbertItem *item, int number)
{
	int			k = job->binding->model.config->num_labels;
	const double *scores = AlbertScoresRow(job, number);
	float	   *row = palloc(k * sizeof(float));

	for (int c = 0; c < k; c++)
		row[c] = (float) scores[c];
	AlbertItemSet(item, AlbertArrayOf(FLOAT4OID, row, k));
}

static const AlbertTask evaluate_task = {
	.text_arg = "content",
	.pair_arg = "pair",
	.heads = ALBERT_HEAD_CLASSIFIER,
	.run = AlbertRunClassifier,
	.result = set_scores
};

PG_FUNCTION_INFO_V1(albert_evaluate);
Datum
albert_evaluate(PG_FUNCTION_ARGS)
{
	const AlbertModel *model;
	AlbertLabels labels;
	AlbertJob	job;
	double	   *scores;
	float	   *values;
	int			width = 0;
	int			nscores;

	InitMaterializedSRF(fcinfo, 0);
	AlbertJobStartTask(&job, &evaluate_task, AlbertCString(PG_GETARG_DATUM(0)));
	model = &job.binding->model;
	AlbertLabelledRead(AlbertCString(PG_GETARG_DATUM(1)), false, model->labels, model->config->num_labels, &labels);
	/* unset is a single label */
	if (labels.problem != Max(model->config->problem_type, ALBERT_PROBLEM_SINGLE_LABEL))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query's labels are not of the kind that model \"%s\" gives", job.binding->name),
				 errhint("A label is a text, an array of texts or a number with a fraction, as it was when the model "
						 "was trained.")));
	values = AlbertLabelledRun(&job, &labels, true, job.binding->name, "evaluate", &width);
	/* the model's labels are the first classes; those that it does not know have no score */
	nscores = labels.problem == ALBERT_PROBLEM_REGRESSION ? 1 : labels.nclasses;
	scores = AlbertLabelledAlloc((Size) labels.nrows * nscores, sizeof(double));
	for (int i = 0; i < labels.nrows; i++)
	{
		for (int c = 0; c < Min(width, nscores); c++)
			scores[(Size) i * nscores + c] = values[(Size) labels.rows[i].vector * width + c];
	}
	AlbertLabelsReport(&labels, scores, NULL, 0, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}
