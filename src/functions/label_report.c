/*
 * label_report.c
 *	  How well predictions of labelled texts do, as rows of metrics.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"

#include "executor/text.h"
#include "functions/labelled.h"
#include "functions/scores.h"
#include "training/training.h"

#define CONFIDENT	1.959963984540054

typedef struct Report
{
	const AlbertLabels *labels;
	const double *scores;
	const int32_t *folds;
	int			fold;			/* the one reported on; -1: all, or the tested rows if there are any */
	ReturnSetInfo *result;
} Report;

void
AlbertPutMetric(ReturnSetInfo *result, int fold, const char *metric, const char *class,
				const char *predicted, double value, double low, double high)
{
	Datum		values[7];
	bool		nulls[7] = {false};

	CHECK_FOR_INTERRUPTS();
	values[0] = Int32GetDatum(fold + 1);
	nulls[0] = fold < 0;
	values[1] = CStringGetTextDatum(metric);
	nulls[2] = class == NULL;
	values[2] = class == NULL ? (Datum) 0 : AlbertOutputToDatum(class, strlen(class));
	nulls[3] = predicted == NULL;
	values[3] = predicted == NULL ? (Datum) 0 : AlbertOutputToDatum(predicted, strlen(predicted));
	values[4] = Float8GetDatum(value);
	nulls[4] = isnan(value);
	values[5] = Float8GetDatum(low);
	nulls[5] = isnan(low);
	values[6] = Float8GetDatum(high);
	nulls[6] = isnan(high);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static bool
counts(const Report *report, int row)
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
					mean - CONFIDENT * error, mean + CONFIDENT * error);
}

static double
log_loss(double probability)
{
	return -log(fmin(fmax(probability, 2.220446049250313e-16), 1));
}

static double
row_log_loss(const AlbertLabels *labels, int row, const double *scores)
{
	double		loss = 0;

	if (labels->kind == ALBERT_LABEL_CLASS)
		return log_loss(scores[labels->rows[row].class]);
	for (int c = 0; c < labels->nclasses; c++)
		loss += log_loss(AlbertLabelHas(labels, &labels->rows[row], c) ? scores[c] : 1 - scores[c]);
	return loss / Max(labels->nclasses, 1);
}

/* The mean over the classes that rows have, or that were predicted. */
static double
macro_f1(const AlbertClassMetrics *metrics, int n)
{
	double		sum = 0;
	int			used = 0;

	for (int c = 0; c < n; c++)
	{
		if (metrics[c].rows == 0 && metrics[c].predicted == 0)
			continue;
		sum += metrics[c].f1;
		used++;
	}
	return used > 0 ? sum / used : NAN;
}

static void
put_classes(const Report *report, const AlbertClassMetrics *metrics)
{
	for (int c = 0; c < report->labels->nclasses; c++)
	{
		const AlbertClassMetrics *m = &metrics[c];
		const char *name = report->labels->classes[c];

		put_share(report, "precision", name, m->right, m->predicted);
		put_share(report, "recall", name, m->right, m->rows);
		AlbertPutMetric(report->result, report->fold, "f1", name, NULL, m->f1, NAN, NAN);
		AlbertPutMetric(report->result, report->fold, "rows", name, NULL, m->rows, NAN, NAN);
	}
}

/* What was predicted of a row's one class.  Is it right? */
static bool
count_class(const Report *report, int row, int64 *confusion)
{
	int			k = report->labels->nclasses;
	int			class = report->labels->rows[row].class;
	int			predicted = AlbertArgMax(report->scores + (Size) row * k, k);

	confusion[(Size) class * k + predicted]++;
	return predicted == class;
}

/* What was predicted of each class by itself.  Is it all of the row's classes, and no other? */
static bool
count_set(const Report *report, int row, AlbertClassMetrics *metrics)
{
	int			k = report->labels->nclasses;
	bool		right = true;

	for (int c = 0; c < k; c++)
	{
		bool		has = AlbertLabelHas(report->labels, &report->labels->rows[row], c);
		bool		predicted = report->scores[(Size) row * k + c] > 0.5;

		right &= has == predicted;
		metrics[c].rows += has;
		metrics[c].predicted += predicted;
		metrics[c].right += has && predicted;
	}
	return right;
}

static void
put_confusion(const Report *report, const int64 *confusion)
{
	const AlbertLabels *labels = report->labels;
	int			k = labels->nclasses;

	for (int c = 0; c < k; c++)
		for (int p = 0; p < k; p++)
			if (confusion[(Size) c * k + p] > 0)
				AlbertPutMetric(report->result, -1, "confusion", labels->classes[c], labels->classes[p],
								confusion[(Size) c * k + p], NAN, NAN);
}

static void
report_classes(const Report *report)
{
	const AlbertLabels *labels = report->labels;
	int			k = labels->nclasses;
	bool		sets = labels->kind == ALBERT_LABEL_SET;
	int64	   *confusion = sets ? NULL : palloc0((Size) k * k * sizeof(int64));
	AlbertClassMetrics *metrics = palloc0(k * sizeof(AlbertClassMetrics));
	int64		right = 0;
	int64		n = 0;
	double		loss = 0;
	double		squares = 0;

	for (int i = 0; i < labels->nrows; i++)
	{
		double		own;

		CHECK_FOR_INTERRUPTS();
		if (!counts(report, i))
			continue;
		right += sets ? count_set(report, i, metrics) : count_class(report, i, confusion);
		own = row_log_loss(labels, i, report->scores + (Size) i * k);
		loss += own;
		squares += own * own;
		n++;
	}
	if (!sets)
		AlbertClassMetricsOf(confusion, k, metrics);
	for (int c = 0; sets && c < k; c++)
		metrics[c].f1 = metrics[c].right > 0 ? 2.0 * metrics[c].right / (metrics[c].rows + metrics[c].predicted) : 0;
	put_share(report, "accuracy", NULL, right, n);
	AlbertPutMetric(report->result, report->fold, "macro_f1", NULL, NULL, macro_f1(metrics, k), NAN, NAN);
	put_mean(report, "log_loss", loss, squares, n);
	if (report->fold >= 0)
		return;
	put_classes(report, metrics);
	if (!sets)
		put_confusion(report, confusion);
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

		if (!counts(report, i))
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

		if (labels->kind == ALBERT_LABEL_NUMBER)
			report_numbers(&report);
		else
			report_classes(&report);
	}
}
