/*
 * embedding.h
 *	  One vector a text, for the functions that compare or store vectors.
 */
#ifndef ALBERT_EMBEDDING_H
#define ALBERT_EMBEDDING_H

#include "executor/task.h"

/* The results of n items as real[] values; options as albert_embedding takes them. */
extern void AlbertEmbed(AlbertJob *job, AlbertItem *items, int n);

/* Dot product over the product of the norms, in double precision; 0 when a norm is 0. */
extern double AlbertCosine(const float *a, const float *b, int n);

#endif							/* ALBERT_EMBEDDING_H */
