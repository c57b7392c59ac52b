/*
 * classify.h
 *	  What the functions over a head on whole texts share.
 */
#ifndef ALBERT_CLASSIFY_H
#define ALBERT_CLASSIFY_H

#include "executor/task.h"

/*
 * The logits of the task's head on the pooler, width of them an item, as the
 * run's scores; of a long text in windows their mean, each window counting by
 * the tokens that are its own.  max_length 0: the model's.
 */
extern void AlbertRunLogits(AlbertJob *job, AlbertItem *items, int n, int width, int max_length);

/*
 * As a task's run: the classifier's logits; and an item's scores that
 * TextClassificationPipeline makes of them, once.
 */
extern void AlbertRunClassifier(AlbertJob *job, AlbertItem *items, int n);
extern double *AlbertClassScores(AlbertJob *job, int number);

/* What a head that was trained on pairs sees of two embeddings: ALBERT_PAIR_PARTS * width values. */
extern void AlbertPairValues(const float *a, const float *b, int width, float *values);

/* The label called entail..., in any case of letters; -1: none is. */
extern int	AlbertEntailmentLabel(const AlbertModel *model);

#endif							/* ALBERT_CLASSIFY_H */
