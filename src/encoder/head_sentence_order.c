/*
 * head_sentence_order.c
 *	  Whether two sentences are in order: a linear map of the pooler's output.
 */
#include "encoder/internal.h"

bool
AlbertHeadSentenceOrder(const AlbertModel *model, const AlbertRows *pooled,
						const AlbertRun *run, AlbertRows *logits, AlbertStatus *status)
{
	return AlbertRequireHead(model, ALBERT_HEAD_SENTENCE_ORDER, "sentence order head", status) &&
		AlbertLinearRows(model, &model->sentence_order, ALBERT_ACT_NONE, pooled,
						 run, logits, status);
}
