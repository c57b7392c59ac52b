/*
 * similar.h
 *	  Pairs of vectors that are alike, found by as many processes as may work.
 */
#ifndef ALBERT_SIMILAR_H
#define ALBERT_SIMILAR_H

#include "training/vectors.h"

typedef void (*AlbertPairTake) (void *context, int a, int b, float similarity);

/*
 * Give every pair that is at least that similar, once, in no order; parallel
 * workers help where it is worth it.  The values, palloc'd, may be freed.
 */
extern void AlbertSimilarPairs(AlbertVectors *vectors, float least, AlbertPairTake take, void *context);

#endif							/* ALBERT_SIMILAR_H */
