/*
 * load_model.h
 *	  A model directory into memory, for tests and timings.
 */
#ifndef ALBERT_LOAD_MODEL_H
#define ALBERT_LOAD_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "formats/formats.h"
#include "../malloc_arena.h"

typedef struct LoadedModel
{
	AlbertModel model;
	AlbertTokenizer tokenizer;
	AlbertArena arena;
	void	   *parts[ALBERT_NPARTS];
	size_t		sizes[ALBERT_NPARTS];
} LoadedModel;

static inline void
unload_model(LoadedModel *loaded)
{
	for (int i = 0; i < ALBERT_NPARTS; i++)
		free(loaded->parts[i]);
	AlbertArenaFree(&loaded->arena);
}

static inline bool
load_part(LoadedModel *loaded, AlbertSource *source, AlbertPart part,
		  const AlbertKernels *kernels, AlbertPrecision precision, AlbertStatus *status)
{
	size_t		size = AlbertImageSize(source, part, kernels, precision, status);
	size_t		rounded = (size + 4095) / 4096 * 4096;

	if (size == 0)
		return false;
	loaded->parts[part] = aligned_alloc(4096, rounded);
	if (loaded->parts[part] == NULL)
		return AlbertFail(status, ALBERT_NO_MEMORY, "no memory for an image of %zu bytes", size);
	memset(loaded->parts[part], 0, rounded);
	loaded->sizes[part] = size;
	return AlbertImageBuild(source, part, kernels, precision, loaded->parts[part], size,
							NULL, status);
}

static inline bool
load_model(LoadedModel *loaded, const char *directory, const AlbertKernels *kernels,
		   AlbertPrecision precision, AlbertStatus *status)
{
	AlbertArena arena;
	AlbertSource *source = NULL;
	bool		ok;

	memset(loaded, 0, sizeof(*loaded));
	AlbertArenaInitMalloc(&loaded->arena);
	AlbertArenaInitMalloc(&arena);
	ok = AlbertSourceOpen(directory, &arena, &source, status);
	if (ok)
	{
		ok = load_part(loaded, source, ALBERT_PART_TEXT, kernels, precision, status) &&
			load_part(loaded, source, ALBERT_PART_WEIGHTS, kernels, precision, status);
		AlbertSourceClose(source);
	}
	AlbertArenaFree(&arena);
	ok = ok && AlbertImageBind(loaded->parts[ALBERT_PART_TEXT], loaded->sizes[ALBERT_PART_TEXT],
							   loaded->parts[ALBERT_PART_WEIGHTS], loaded->sizes[ALBERT_PART_WEIGHTS],
							   &loaded->arena, &loaded->model, &loaded->tokenizer, status);
	if (!ok)
		unload_model(loaded);
	return ok;
}

#endif							/* ALBERT_LOAD_MODEL_H */
