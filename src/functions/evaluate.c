/*
 * evaluate.c
 *	  albert_evaluate: how well a model does on a user's rows.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compat.h"
#include "executor/text.h"
#include "functions/classify.h"
#include "functions/functions.h"
#include "functions/labelled.h"

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
	.pair_arg = "pair",
	.pair_optional = true,
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
	scores = AlbertLabelledAlloc((Size) labels->nrows * k, sizeof(double));
	AlbertLabelsRenumber(labels, numbers, classes, k);
	for (int i = 0; i < labels->nrows; i++)
	{
		for (int c = 0; c < width; c++)
			scores[(Size) i * k + c] = values[(Size) labels->rows[i].vector * width + c];
	}
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
	AlbertLabelledRead(AlbertCString(PG_GETARG_DATUM(1)), false, &labels);
	if (labels.kind != kind_of_model(job.binding->model.config))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query's labels are not of the kind that model \"%s\" gives", job.binding->name),
				 errhint("A label is a text, an array of texts or a number with a fraction, as it was when the model "
						 "was trained.")));
	values = AlbertLabelledRun(&job, &labels, true, job.binding->name, "evaluate", &width);
	if (labels.kind == ALBERT_LABEL_NUMBER)
	{
		scores = AlbertLabelledAlloc(labels.nrows, sizeof(double));
		for (int i = 0; i < labels.nrows; i++)
			scores[i] = values[(Size) labels.rows[i].vector * width];
	}
	else
		scores = scores_by_class(&labels, &job.binding->model, values, width);
	AlbertLabelsReport(&labels, scores, NULL, 0, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}
