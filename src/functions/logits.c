/*
 * logits.c
 *	  The logits of a head on the pooler, an item's as its row of scores; and
 *	  of a head that has been trained on embeddings (train.c).
 */
#include "postgres.h"

#include <math.h>

#include "executor/forward.h"
#include "functions/functions.h"

/* ---------- a head on the pooler ---------- */

/* An item's scores: the sums over its windows, and behind them how many tokens they are over. */
static void
consume_logits(AlbertForward *forward, const AlbertSequence *sequences, int n, const AlbertRows *hidden)
{
	AlbertJob  *job = forward->job;
	AlbertRows	logits = AlbertPooledLogits(job, hidden);

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

/* ---------- a head on embeddings ---------- */

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

/* The embeddings of the items' texts and, behind those, of their pairs. What is wrong with one is the item's status. */
static AlbertItem *
embed_texts(AlbertJob *job, AlbertItem *items, int n)
{
	int			ntexts = job->binding->model.head_pairs ? 2 * n : n;
	AlbertItem *texts = palloc_extended(ntexts * sizeof(AlbertItem), MCXT_ALLOC_HUGE);

	for (int i = 0; i < ntexts; i++)
	{
		const AlbertItem *item = &items[i % n];

		texts[i] = (AlbertItem) {.text = i < n ? item->text : item->pair, .isnull = true, .status = item->status};
	}
	AlbertEmbedPlainly(job, texts, ntexts);
	for (int i = 0; i < ntexts; i++)
	{
		if (items[i % n].status == NULL)
			items[i % n].status = texts[i].status;
	}
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

static void
run_trained(AlbertJob *job, AlbertItem *items, int n)
{
	bool		pairs = job->binding->model.head_pairs;
	AlbertItem *texts;
	float	   *both = NULL;

	check_pairs(job, items, n);
	texts = embed_texts(job, items, n);
	AlbertScoresBegin(job, n, job->binding->model.config->num_labels);
	for (int i = 0; i < n; i++)
	{
		const float *values;
		int			width;

		if (items[i].status != NULL)
			continue;
		values = AlbertFloatsOf(texts[i].result, &width);
		if (pairs)
		{
			if (both == NULL)
				both = palloc(ALBERT_PAIR_PARTS * width * sizeof(float));
			AlbertPairValues(values, AlbertFloatsOf(texts[n + i].result, &width), width, both);
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
