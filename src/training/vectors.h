/*
 * vectors.h
 *	  What can be found among many vectors: those that are alike, and groups.
 *
 * Vectors are compared by their directions: by the cosine of the angle between
 * them.  Memory beside the vectors is that of a block of them, and a few
 * numbers a vector.
 */
#ifndef ALBERT_VECTORS_H
#define ALBERT_VECTORS_H

#include <math.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "kernels/kernels.h"

typedef struct AlbertVectors
{
	int			n;
	int			width;
	const float *values;		/* (n, width), finite */
	AlbertArena *arena;
	void		(*poll) (void);	/* called often; may leave by longjmp: all memory is the arena's */
} AlbertVectors;

/* A vector's length; of one of zeros, 1. */
static inline double
AlbertVectorLength(const AlbertVectors *vectors, int i)
{
	const float *values = vectors->values + (size_t) i * vectors->width;
	double		square = 0;

	for (int j = 0; j < vectors->width; j++)
		square += (double) values[j] * values[j];
	return square > 0 ? sqrt(square) : 1;
}

/*
 * Call found for every pair a < b that may be at least that similar: all that
 * are, and some that are less by the rounding of single precision.
 */
typedef void (*AlbertPairFound) (void *context, int a, int b);

/*
 * The work is done in blocks of ALBERT_PAIR_ROWS values of a.  next gives the
 * number of the next one to do, so that several can share it, and some number
 * past the last at the end.
 */
#define ALBERT_PAIR_ROWS	1024
typedef int (*AlbertPairNext) (void *context);

extern bool AlbertNearPairs(const AlbertVectors *vectors, double least, const AlbertKernels *kernels,
							AlbertPairNext next, AlbertPairFound found, void *context, AlbertStatus *status);

/*
 * Groups of vectors that are near each other, by k-means from the centres that
 * k-means++ chooses: the same for the same vectors in the same order, on every
 * processor.  clusters[i] is from 0, the largest group first; similarities[i]
 * to the mean of its group.  *nclusters is less than k where there are fewer
 * distinct directions.
 */
extern bool AlbertClusterVectors(const AlbertVectors *vectors, int k, int32_t *clusters, double *similarities,
								 int *nclusters, AlbertStatus *status);

#endif							/* ALBERT_VECTORS_H */
