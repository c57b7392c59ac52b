/*
 * embedding.h
 *	  Vectors of texts, prompts, and comparing vectors.
 */
#ifndef ALBERT_EMBEDDING_H
#define ALBERT_EMBEDDING_H

#include "executor/task.h"

/*
 * The results of n items as real[] values, as albert_embedding makes them
 * without options; for a job of another task, whose own are left alone.
 */
extern void AlbertEmbedPlainly(AlbertJob *job, AlbertItem *items, int n);

/* An embedding's values, and how many. */
extern float *AlbertFloatsOf(Datum embedding, int *n);

/* A prompt by the name that the model's files give it; "" is the default one.  False: there is none. */
extern bool AlbertFindPrompt(const AlbertModel *model, const char *name, AlbertText *prompt);

/* Put a prompt before each item's text. */
extern void AlbertPrependPrompt(AlbertJob *job, const AlbertText *prompt, AlbertItem *items, int n);

/* Dot product over the product of the norms, in double precision; 0 when a norm is 0. */
extern double AlbertCosine(const float *a, const float *b, int n);

#endif							/* ALBERT_EMBEDDING_H */
