/*
 * head_pooler.c
 *	  The pooler: tanh(x W' + b) of a text's first row.
 */
#include "encoder/internal.h"

bool
AlbertHeadPooler(const AlbertModel *model, const AlbertRows *first_rows,
				 const AlbertRun *run, AlbertRows *pooled, AlbertStatus *status)
{
	return AlbertRequireHead(model, ALBERT_HEAD_POOLER, "pooler", status) &&
		AlbertLinearRows(model, &model->pooler, ALBERT_ACT_TANH, first_rows,
						 run, pooled, status);
}
