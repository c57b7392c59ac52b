/*
 * head.h
 *	  Models that are no more than a head, trained on the embeddings of another
 *	  model.
 *
 * Such a model is one of the database (object.h) with two files: config.json,
 * which has the labels, and model.safetensors, which has classifier.weight and
 * classifier.bias.  Its description names its base and the base's identity (the
 * SHA-256 of its files, and its options where it has any), with which alone it
 * is good.
 */
#ifndef ALBERT_HEAD_H
#define ALBERT_HEAD_H

#include "store/object.h"

/* Read a head from its table; raises for what is not well-formed or not what the description says. */
extern void AlbertHeadRead(const AlbertObject *object, const char *name, AlbertArena *arena, AlbertTrainedHead *head);

/* Make it the classifier of a copy of its base's model; raises when it is for embeddings of another size. */
extern void AlbertHeadBind(const AlbertTrainedHead *head, const char *name, AlbertArena *arena, AlbertModel *model);

/* Make a model of the database of a head that was trained on embeddings of base; the name must be free. */
extern void AlbertHeadKeep(const char *name, const AlbertTrainedHead *head, const AlbertBinding *base);

/* Are the files of an import those of a head?  Then make a model of them; false: not, and nothing is done. */
extern bool AlbertHeadImport(const char *name);

/* ---- head_export.c ---- */

/*
 * Write a head and its base to a directory, which exists: as one model for
 * sequence classification where that is possible, else the base's files and,
 * in "head", the head's.
 */
extern void AlbertHeadExport(const AlbertObject *object, const char *name, const char *directory);

#endif							/* ALBERT_HEAD_H */
