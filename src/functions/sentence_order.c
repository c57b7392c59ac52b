/*
 * sentence_order.c
 *	  Is b the continuation of a?  ALBERT's second pretraining task.
 */
#include "postgres.h"

#include "functions/classify.h"
#include "functions/functions.h"
#include "functions/scores.h"

static void
run_order(AlbertJob *job, AlbertItem *items, int n)
{
	AlbertRunLogits(job, items, n, 2, 0);
}

static void
order_probability(AlbertJob *job, AlbertItem *item, int number)
{
	const double *logits = AlbertScoresRow(job, number);

	/* softmax of two; label 0 is "in order" */
	AlbertItemSet(item, Float4GetDatum((float) AlbertSigmoid(logits[0] - logits[1])));
}

const AlbertTask albert_sentence_order_task = {
	.symbol = "albert_sentence_order",
	.text_arg = "a",
	.pair_arg = "b",
	.pair_optional = true,
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_SENTENCE_ORDER,
	.run = run_order,
	.result = order_probability
};
