/*
 * scores.h
 *	  From logits to probabilities and ranks, as the reference's pipelines; and
 *	  the scores of a run's items.
 */
#ifndef ALBERT_SCORES_H
#define ALBERT_SCORES_H

#include "executor/task.h"

/* In place, in double precision: exp(x - max) / sum. */
extern void AlbertSoftmax(double *x, int n);
extern double AlbertSigmoid(double x);

/* The first of the greatest. */
extern int	AlbertArgMax(const double *x, int n);

/* ---- the best of many ---- */

/* Something with a score; of equal scores the lesser first, then the lesser second, is the better. */
typedef struct AlbertRanked
{
	double		score;
	int			first;
	int			second;
} AlbertRanked;

/* For qsort: the best first. */
extern int	AlbertCompareRanked(const void *a, const void *b);

/* The best k of what is added: once there are k, a heap whose root is the worst. */
typedef struct AlbertBest
{
	AlbertRanked *ranked;		/* room for k */
	int			k;
	int			n;
} AlbertBest;

extern void AlbertBestPut(AlbertBest *best, AlbertRanked ranked);

/* Most are worse than what there is. */
static inline void
AlbertBestAdd(AlbertBest *best, AlbertRanked ranked)
{
	if (best->n < best->k || ranked.score >= best->ranked[0].score)
		AlbertBestPut(best, ranked);
}

/* ---- scores of a run, in job->state ---- */

/* width zeros for each of n items, in the arena */
extern void AlbertScoresBegin(AlbertJob *job, int n, int width);

/* An item's, by its number. */
extern double *AlbertScoresRow(const AlbertJob *job, int number);

/* Rows for an item: the best of its scores and what they are scores of, best first; most 0: all. */
extern void AlbertPutScores(AlbertJob *job, AlbertItem *item, const double *scores, int n, int most,
							Datum (*name) (const AlbertJob *job, int i));

/* The numbers of scores from the best to the worst; palloc'd. */
extern int *AlbertRank(const double *scores, int n);

#endif							/* ALBERT_SCORES_H */
