/*
 * head.h
 *	  Models that are no more than a head, trained on the embeddings of another
 *	  model.
 *
 * Such a model is one of the database (object.h) with two files: config.json,
 * which has the labels and names the base, and model.safetensors, which has
 * classifier.weight and classifier.bias.  The base's identity (the SHA-256 of
 * its files, and its options where it has any), with which alone it is good,
 * is in config.json and in its description.
 */
#ifndef ALBERT_HEAD_H
#define ALBERT_HEAD_H

#include "store/object.h"

/* Make a model of the database of a head that was trained on embeddings of base; the name must be free. */
extern void AlbertHeadKeep(const char *name, const AlbertTrainedHead *head, const AlbertBinding *base);

/*
 * Write a head and its base to a directory, which exists: as one model for
 * sequence classification where that is possible, else the base's files and,
 * in "head", the head's.
 */
extern void AlbertHeadExport(const char *name, const char *directory);

#endif							/* ALBERT_HEAD_H */
