/*
 * sentence_order.c
 *	  Is b the continuation of a?  ALBERT's second pretraining task.
 */
#include "postgres.h"

#include <math.h>

#include "executor/forward.h"
#include "functions/functions.h"

static void
consume_order(AlbertForward *forward, const AlbertSequence *sequences, int n,
			  const AlbertBatch *batch, const AlbertRows *hidden)
{
	AlbertRows	logits = AlbertPooledLogits(forward->job, hidden, ALBERT_HEAD_SENTENCE_ORDER);

	for (int s = 0; s < n; s++)
	{
		AlbertItem *item = &forward->items[sequences[s].item];
		const float *row = logits.data + (size_t) s * logits.ld;

		/* softmax of two; label 0 is "in order" */
		item->result = Float4GetDatum((float) (1.0 / (1.0 + exp((double) row[1] - row[0]))));
		item->isnull = false;
	}
}

static void
run_sentence_order(AlbertJob *job, AlbertItem *items, int n)
{
	AlbertForwardOptions options = {0};
	AlbertForward forward;

	AlbertForwardTokenize(&forward, job, items, n, &options);
	AlbertForwardFirstRows(&forward);
	forward.consume = consume_order;
	AlbertForwardRun(&forward);
}

const AlbertTask albert_sentence_order_task = {
	.symbol = "albert_sentence_order",
	.text_arg = "a",
	.pair_arg = "b",
	.pair_optional = true,
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_SENTENCE_ORDER,
	.run = run_sentence_order
};

ALBERT_SCALAR_FUNCTION(albert_sentence_order);
