/*
 * malloc_arena.h
 *	  An arena on malloc and free, for programs outside the server.
 */
#ifndef ALBERT_MALLOC_ARENA_H
#define ALBERT_MALLOC_ARENA_H

#include <stdlib.h>

#include "base/arena.h"

static inline void *
malloc_get(void *context, size_t size)
{
	(void) context;
	return malloc(size);
}

static inline void
malloc_put(void *context, void *block)
{
	(void) context;
	free(block);
}

static inline void
AlbertArenaInitMalloc(AlbertArena *arena)
{
	AlbertArenaInit(arena, malloc_get, malloc_put, NULL);
}

#endif							/* ALBERT_MALLOC_ARENA_H */
