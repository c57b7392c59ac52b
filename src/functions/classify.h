/*
 * classify.h
 *	  What the functions over a sequence classification head share.
 */
#ifndef ALBERT_CLASSIFY_H
#define ALBERT_CLASSIFY_H

#include "executor/task.h"

/*
 * (n, num_labels) logits, in the arena; of a long text in windows their mean,
 * each window counting by the tokens that are its own.  max_length 0: the
 * model's.
 */
extern double *AlbertClassLogits(AlbertJob *job, AlbertItem *items, int n, int max_length);

/* Likewise the scores that TextClassificationPipeline makes of them. */
extern double *AlbertClassScores(AlbertJob *job, AlbertItem *items, int n);

/* The label called entail..., in any case of letters; -1: none is. */
extern int	AlbertEntailmentLabel(const AlbertModel *model);

#endif							/* ALBERT_CLASSIFY_H */
