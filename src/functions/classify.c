/*
 * classify.c
 *	  Sequence classification: the best label, or every label's score.
 */
#include "postgres.h"

#include <math.h>

#include "utils/float.h"

#include "executor/forward.h"
#include "functions/functions.h"

/* ---------- logits ---------- */

/* An item's scores: the sums over its windows, and behind them how many tokens they are over. */
static void
consume_logits(AlbertForward *forward, const AlbertSequence *sequences, int n, const AlbertRows *hidden)
{
	AlbertJob  *job = forward->job;
	AlbertRows	logits = AlbertPooledLogits(job, hidden, job->task->heads);

	for (int s = 0; s < n; s++)
	{
		double	   *sums = AlbertScoresRow(job, sequences[s].item);
		const float *row = logits.data + (size_t) s * logits.ld;
		int			own = sequences[s].own_to - sequences[s].own_from;

		for (int i = 0; i < logits.width; i++)
			sums[i] += (double) row[i] * own;
		sums[logits.width] += own;
	}
}

void
AlbertPairValues(const float *a, const float *b, int width, float *values)
{
	for (int i = 0; i < width; i++)
	{
		values[i] = a[i];
		values[width + i] = b[i];
		values[2 * width + i] = fabsf(a[i] - b[i]);
		values[3 * width + i] = a[i] * b[i];
	}
}

static void
check_pairs(const AlbertJob *job, const AlbertItem *items, int n)
{
	bool		pairs = job->binding->model.head_pairs;

	for (int i = 0; i < n; i++)
	{
		if ((items[i].pair.data != NULL) != pairs)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 pairs ?
					 errmsg("model \"%s\" has been trained on pairs of texts and cannot judge single ones",
							job->binding->name) :
					 errmsg("model \"%s\" has been trained on single texts and cannot judge pairs",
							job->binding->name)));
	}
}

/* The embeddings of the items' first or second texts; what is wrong with one is wrong with the item. */
static AlbertItem *
embed_texts(AlbertJob *job, AlbertItem *items, int n, bool second)
{
	AlbertItem *texts = palloc0(n * sizeof(AlbertItem));

	for (int i = 0; i < n; i++)
	{
		texts[i].text = second ? items[i].pair : items[i].text;
		texts[i].isnull = true;
		texts[i].status = items[i].status;
	}
	AlbertEmbedPlainly(job, texts, n);
	for (int i = 0; i < n; i++)
		items[i].status = texts[i].status;
	return texts;
}

static void
put_logits(AlbertJob *job, int number, const float *values, int width)
{
	const AlbertModel *model = &job->binding->model;

	for (int label = 0; label < model->config->num_labels; label++)
	{
		const float *weights = model->head_weights + (size_t) label * width;
		double		sum = model->head_bias[label];

		for (int j = 0; j < width; j++)
			sum += (double) weights[j] * values[j];
		AlbertScoresRow(job, number)[label] = sum;
	}
}

/* The logits of a head that has been trained on embeddings. */
static void
run_trained(AlbertJob *job, AlbertItem *items, int n)
{
	const AlbertModel *model = &job->binding->model;
	AlbertItem *firsts;
	AlbertItem *seconds = NULL;
	float	   *both = NULL;

	check_pairs(job, items, n);
	firsts = embed_texts(job, items, n, false);
	if (model->head_pairs)
		seconds = embed_texts(job, items, n, true);
	AlbertScoresBegin(job, n, model->config->num_labels);
	for (int i = 0; i < n; i++)
	{
		const float *values;
		int			width;

		if (items[i].status != NULL)
			continue;
		values = AlbertFloatsOf(firsts[i].result, &width);
		if (seconds != NULL)
		{
			if (both == NULL)
				both = palloc(ALBERT_PAIR_PARTS * width * sizeof(float));
			AlbertPairValues(values, AlbertFloatsOf(seconds[i].result, &width), width, both);
			values = both;
			width *= ALBERT_PAIR_PARTS;
		}
		put_logits(job, i, values, width);
	}
}

void
AlbertRunLogits(AlbertJob *job, AlbertItem *items, int n, int width, int max_length)
{
	AlbertForwardOptions options = {.max_length = max_length, .rows = ALBERT_ROWS_FIRST};

	if (job->binding->model.head_weights != NULL && job->task->heads == ALBERT_HEAD_CLASSIFIER)
	{
		run_trained(job, items, n);
		return;
	}
	AlbertScoresBegin(job, n, width + 1);
	AlbertForwardTexts(job, items, n, &options, consume_logits);
	for (int i = 0; i < n; i++)
	{
		double	   *row = AlbertScoresRow(job, i);

		for (int label = 0; label < width && items[i].status == NULL; label++)
			row[label] /= row[width];
	}
}

void
AlbertRunClassifier(AlbertJob *job, AlbertItem *items, int n)
{
	AlbertRunLogits(job, items, n, job->binding->model.config->num_labels, 0);
}

double *
AlbertClassScores(AlbertJob *job, int number)
{
	const AlbertConfig *config = job->binding->model.config;
	double	   *scores = AlbertScoresRow(job, number);

	if (config->problem_type == ALBERT_PROBLEM_REGRESSION)
		return scores;
	if (config->problem_type == ALBERT_PROBLEM_MULTI_LABEL || config->num_labels == 1)
	{
		for (int i = 0; i < config->num_labels; i++)
			scores[i] = AlbertSigmoid(scores[i]);
	}
	else
		AlbertSoftmax(scores, config->num_labels);
	return scores;
}

/* ---------- the best label, or all ---------- */

typedef struct ClassifyOptions
{
	float		min_score;		/* albert_classify: NULL when the best label scores less */
	int			top_k;			/* albert_classify_scores: 0: all */
} ClassifyOptions;

static const AlbertOption classify_options[] = {
	ALBERT_FLOAT_OPTION("min_score", ClassifyOptions, min_score),
	ALBERT_INT_OPTION("top_k", ClassifyOptions, top_k, 0, INT_MAX),
	ALBERT_NO_OPTION
};

static void
init_classify(AlbertJob *job)
{
	AlbertOptionsOf(job, ClassifyOptions)->min_score = -get_float4_infinity();
}

/* albert_classify(content [, pair]) text */
static void
best_label(AlbertJob *job, AlbertItem *item, int number)
{
	const ClassifyOptions *options = AlbertOptionsOf(job, ClassifyOptions);
	const double *scores = AlbertClassScores(job, number);
	int			best = AlbertArgMax(scores, job->binding->model.config->num_labels);

	if (scores[best] >= options->min_score)
		AlbertItemSet(item, AlbertLabelToDatum(job, best));
}

/* albert_classify_scores(content [, pair]) rows */
static void
put_labels(AlbertJob *job, AlbertItem *item, int number)
{
	AlbertPutScores(job, item, AlbertClassScores(job, number), job->binding->model.config->num_labels,
					AlbertOptionsOf(job, ClassifyOptions)->top_k, AlbertLabelToDatum);
}

const AlbertTask albert_classify_task = {
	.text_arg = "content",
	.pair_arg = "pair",
	.heads = ALBERT_HEAD_CLASSIFIER,
	.windows = true,
	.init = init_classify,
	.options = classify_options,
	.run = AlbertRunClassifier,
	.result = best_label,
	.rows = put_labels
};
