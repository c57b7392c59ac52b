/*
 * image.h
 *	  What every image begins with.
 *
 * An image is a block of bytes without addresses in it: written once, then
 * only read, wherever it is mapped.  It is made and read by one build of the
 * library on one machine, so there is one version, of all kinds together.
 */
#ifndef ALBERT_IMAGE_H
#define ALBERT_IMAGE_H

#include <stddef.h>
#include <stdint.h>

/* Goes up with any change of any kind's layout.  Another byte order would not read it as itself. */
#define ALBERT_IMAGE_VERSION	10

typedef enum AlbertImageKind
{
	ALBERT_IMAGE_TEXT = 1,
	ALBERT_IMAGE_WEIGHTS,
	ALBERT_IMAGE_TOKENIZER		/* lies in one of texts */
} AlbertImageKind;

typedef struct AlbertImageHeader
{
	char		magic[8];
	uint32_t	version;
	uint32_t	kind;			/* AlbertImageKind */
	uint64_t	size;			/* of the whole image */
} AlbertImageHeader;

extern void AlbertImageHeaderFill(AlbertImageHeader *header, AlbertImageKind kind, size_t size);

/*
 * What is wrong with an image of that kind, of which size bytes are there, and
 * which begins with a structure of least bytes; NULL: nothing so far.
 */
extern const char *AlbertImageHeaderProblem(const AlbertImageHeader *header, AlbertImageKind kind,
											size_t least, size_t size);

#endif							/* ALBERT_IMAGE_H */
