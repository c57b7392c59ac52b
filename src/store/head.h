/*
 * head.h
 *	  Models that are no more than a head, trained on the embeddings of another
 *	  model.
 *
 * Such a model is one of the database (object.h) with two files: config.json,
 * which has the labels, and model.safetensors, which has classifier.weight and
 * classifier.bias.  Its description names its base and the SHA-256 of the
 * base's files, with which alone it is good.
 */
#ifndef ALBERT_HEAD_H
#define ALBERT_HEAD_H

#include "store/object.h"

typedef struct AlbertTrainedHead
{
	AlbertProblemType problem;
	int			nlabels;
	const char *const *labels;	/* UTF-8 */
	int			width;			/* values of an embedding */
	const float *weights;		/* (nlabels, width) */
	const float *bias;			/* nlabels */
} AlbertTrainedHead;

/* Read a head from its table; raises for what is not well-formed or not what the description says. */
extern void AlbertHeadRead(const AlbertObject *object, const char *name, AlbertArena *arena, AlbertTrainedHead *head);

/* Make it the classifier of a copy of its base's model. */
extern void AlbertHeadBind(const AlbertTrainedHead *head, AlbertArena *arena, AlbertModel *model);

/* Make a model of the database of a head that was trained on embeddings of base; the name must be free. */
extern void AlbertHeadWrite(const char *name, const AlbertTrainedHead *head, const AlbertBinding *base);

#endif							/* ALBERT_HEAD_H */
