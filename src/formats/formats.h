/*
 * formats.h
 *	  From a model directory in Hugging Face form to an image in memory.
 *
 * Everything read here is untrusted: every size, offset and shape is checked
 * before it is used, and a malformed file becomes a status that names the file
 * and what is wrong with it.
 *
 * Weights come from model.safetensors, pytorch_model.bin (a zip archive or
 * the form before PyTorch 1.6; nothing in it is executed), either of them in
 * shards with an index, or from a TensorFlow checkpoint of the original
 * release; in this order, as transformers chooses.  Values that are not finite
 * are refused.  sentence-transformers' files are read where there are any.
 *
 * A model has two images, so that counting tokens needs no weights:
 * ALBERT_PART_TEXT (configuration, labels, tokenizer) and ALBERT_PART_WEIGHTS.
 * Both are position-independent, written once and then only read.
 */
#ifndef ALBERT_FORMATS_H
#define ALBERT_FORMATS_H

#include <signal.h>

#include "base/arena.h"
#include "base/status.h"
#include "encoder/model.h"
#include "tokenizer/tokenizer.h"

typedef enum AlbertPart
{
	ALBERT_PART_TEXT = 0,
	ALBERT_PART_WEIGHTS = 1
} AlbertPart;

#define ALBERT_NPARTS	2

typedef struct AlbertSource AlbertSource;

/*
 * Open a model directory: read and check config.json, the index of tensors
 * and the small files.  File descriptors stay open until AlbertSourceClose,
 * which must be called after success and is harmless after failure.
 */
extern bool AlbertSourceOpen(const char *directory, AlbertArena *arena,
							 AlbertSource **source, AlbertStatus *status);
extern void AlbertSourceClose(AlbertSource *source);
extern const AlbertConfig *AlbertSourceConfig(const AlbertSource *source);

/*
 * What shall be otherwise than the files say: a JSON object with any of
 * max_length, pooling, normalized, prompt (the one that applies when none is
 * named), overflow, and what albert.json may correct of the tokenizer.  To be
 * called before any image is measured.
 */
extern bool AlbertSourceSetOptions(AlbertSource *source, const char *options, AlbertStatus *status);

typedef struct AlbertSourceFile
{
	const char *name;			/* relative to the model directory */
	int			fd;
	int64_t		size;
} AlbertSourceFile;

/* The files an image is made from; NULL past the end. */
extern const AlbertSourceFile *AlbertSourceGetFile(const AlbertSource *source, int i);
extern bool AlbertSourceFileIsTokenizer(const AlbertSource *source, const AlbertSourceFile *file);

/* Exact bytes of a part's image; 0 with *status set when it cannot be made. */
extern size_t AlbertImageSize(AlbertSource *source, AlbertPart part,
							  const AlbertKernels *kernels, AlbertPrecision precision,
							  AlbertStatus *status);

/* Write a part's image to dest (size bytes as AlbertImageSize said, ALBERT_ALIGN aligned, zeroed). */
extern bool AlbertImageBuild(AlbertSource *source, AlbertPart part,
							 const AlbertKernels *kernels, AlbertPrecision precision,
							 void *dest, size_t size,
							 const volatile sig_atomic_t *interrupt,
							 AlbertStatus *status);

/* The values of a pair of embeddings a and b, for a head: those of a, of b, of |a - b| and of a * b. */
#define ALBERT_PAIR_PARTS	4

/* A classifier that was trained on a base model's embeddings. */
typedef struct AlbertTrainedHead
{
	AlbertProblemType problem;
	int			nlabels;
	const char *const *labels;	/* UTF-8 */
	bool		pairs;			/* for pairs of texts: of what both embeddings make together */
	int			width;			/* values of an embedding, or ALBERT_PAIR_PARTS times as many */
	const float *weights;		/* (nlabels, width) */
	const float *bias;			/* nlabels */
	const char *base;			/* the base model's name */
	const char *base_sha256;	/* and its identity, in hexadecimal */
} AlbertTrainedHead;

/*
 * The head that an opened directory holds instead of a model: its config.json
 * has the member "base_sha256".  NULL: it is a model.  All that it points to is in the
 * source's arena, also when the source has been closed.
 */
extern const AlbertTrainedHead *AlbertSourceHead(const AlbertSource *source);

/* Takes the next bytes of a file; what goes wrong it raises by itself. */
typedef void (*AlbertWriteBytes) (void *context, const void *bytes, size_t size);

/*
 * A file model.safetensors with a head's classifier.weight and classifier.bias
 * and, unless base is NULL, the base model's encoder and pooler in fp32.
 */
extern bool AlbertHeadWrite(const AlbertTrainedHead *head, const AlbertSource *base, AlbertArena *arena,
							AlbertWriteBytes write, void *context, AlbertStatus *status);

/*
 * The config.json of a head alone, if base is NULL; else that of the two as one
 * model for sequence classification, the base's with the head's labels: they
 * are that model when the base's embeddings are its pooler's output.  It is in
 * the arena.  NULL: *status tells why not.
 */
extern const char *AlbertHeadConfig(const AlbertTrainedHead *head, const AlbertSource *base, AlbertArena *arena,
									AlbertStatus *status);

/*
 * Bind to images: fill in *model and *tokenizer with pointers into them.  The
 * few arrays of pointers a binding needs (layers, labels) come from the arena,
 * which must live as long as the binding.  weights may be NULL: then only
 * config, labels and the tokenizer are there.
 *
 * The prompt that sentence-transformers applies when none is named is listed
 * in the model's prompts once more, under the empty name.  With a lower
 * precision the layers, the word embeddings, the decoder and the projection
 * take it; heads and Dense modules stay in fp32 (each AlbertLinear says its
 * own).
 */
extern bool AlbertImageBind(const void *text, size_t text_size,
							const void *weights, size_t weights_size,
							AlbertArena *arena,
							AlbertModel *model, AlbertTokenizer *tokenizer,
							AlbertStatus *status);

#endif							/* ALBERT_FORMATS_H */
