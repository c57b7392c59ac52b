/*
 * image.c
 *	  Writing and checking what every image begins with.
 */
#include "base/image.h"

#include <string.h>

#include "base/arena.h"

static const char image_magic[8] = "ALBERTIM";

void
AlbertImageHeaderFill(AlbertImageHeader *header, AlbertImageKind kind, size_t size)
{
	memcpy(header->magic, image_magic, sizeof(image_magic));
	header->version = ALBERT_IMAGE_VERSION;
	header->kind = kind;
	header->size = size;
}

const char *
AlbertImageHeaderProblem(const AlbertImageHeader *header, AlbertImageKind kind, size_t least, size_t size)
{
	if (((uintptr_t) header & (ALBERT_ALIGN - 1)) != 0)
		return "it is not aligned";
	if (size < least || memcmp(header->magic, image_magic, sizeof(image_magic)) != 0 || header->kind != kind)
		return "it does not begin as one";
	if (header->version != ALBERT_IMAGE_VERSION)
		return "it is of another version";
	if (header->size > size || header->size < least)
		return "its size is wrong";
	return NULL;
}
