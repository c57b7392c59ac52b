/*
 * pooled.h
 *	  Vectors of texts as albert_embedding makes them: pooled, through the
 *	  model's Dense modules, of length 1; the last two where they are asked for.
 */
#ifndef ALBERT_UNIT_POOLED_H
#define ALBERT_UNIT_POOLED_H

#include "encoder/encoder.h"

static inline bool
pool_whole(const AlbertModel *model, const AlbertBatch *batch, const AlbertRows *hidden, uint32_t pooling,
		   bool with_dense, bool normalize, const AlbertRun *run, AlbertRows *vectors, AlbertStatus *status)
{
	if (AlbertPoolWidth(model, pooling, with_dense, status) == 0 ||
		!AlbertPool(model, batch, NULL, hidden, pooling, run, vectors, status) ||
		(with_dense && !AlbertPoolDense(model, vectors, run, vectors, status)))
		return false;
	for (int i = 0; normalize && i < vectors->n; i++)
		AlbertNormalizeRow(vectors->data + (size_t) i * vectors->ld, vectors->width);
	return true;
}

#endif							/* ALBERT_UNIT_POOLED_H */
