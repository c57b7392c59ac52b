/*
 * scores.h
 *	  From logits to probabilities and ranks, as the reference's pipelines.
 */
#ifndef ALBERT_SCORES_H
#define ALBERT_SCORES_H

/* In place, in double precision: exp(x - max) / sum. */
extern void AlbertSoftmax(double *x, int n);
extern double AlbertSigmoid(double x);

/* The first of the greatest. */
extern int	AlbertArgMax(const double *x, int n);

/* Indexes by descending score, equal ones in order; palloc'd. */
extern int *AlbertRank(const double *scores, int n);

#endif							/* ALBERT_SCORES_H */
