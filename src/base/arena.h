/*
 * arena.h
 *	  Working memory handed down by the caller.
 *
 * Code below the PostgreSQL line never calls malloc for its own working
 * storage: it bumps a pointer in an arena whose blocks come from the caller's
 * callbacks (palloc in the server, malloc in the unit tests).  A mark and a
 * rewind free everything allocated in between at once; blocks are kept for
 * the next call, so a warmed-up arena allocates nothing.  Kept blocks that
 * were too small for a request go back to the caller with the rewind or reset
 * after it, so that requests which grow do not pile up blocks.
 */
#ifndef ALBERT_ARENA_H
#define ALBERT_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#define ALBERT_ALIGN	64		/* every allocation starts on a cache line */

/* The next multiple of it. */
static inline size_t
AlbertAlign(size_t size)
{
	return (size + ALBERT_ALIGN - 1) & ~(size_t) (ALBERT_ALIGN - 1);
}

typedef struct AlbertArenaBlock AlbertArenaBlock;

typedef struct AlbertArena
{
	void	   *(*get) (void *context, size_t size);	/* NULL: no memory */
	void		(*put) (void *context, void *block);
	void	   *context;
	AlbertArenaBlock *first;	/* all blocks, in order of use */
	AlbertArenaBlock *current;	/* the block allocations come from now */
	AlbertArenaBlock *outgrown; /* kept blocks that were too small, to be given back */
	size_t		total;			/* bytes held from the caller */
} AlbertArena;

typedef struct AlbertArenaMark
{
	AlbertArenaBlock *block;
	size_t		used;
} AlbertArenaMark;

extern void AlbertArenaInit(AlbertArena *arena,
							void *(*get) (void *context, size_t size),
							void (*put) (void *context, void *block),
							void *context);

/* Aligned to ALBERT_ALIGN, not zeroed; NULL when the caller has no memory. */
extern void *AlbertArenaAlloc(AlbertArena *arena, size_t size);
extern void *AlbertArenaAllocZero(AlbertArena *arena, size_t size);

/* count * size with the multiplication checked; NULL on overflow too. */
extern void *AlbertArenaArray(AlbertArena *arena, size_t count, size_t size);

/*
 * Make an array, the address of whose pointer is given, hold more elements
 * than the used ones: *room is how many it can hold, and 0 before there is one.
 * A new array is at least twice as large as the old, which stays in the arena.
 * false: no memory, and nothing has changed.
 */
extern bool AlbertArenaReserve(AlbertArena *arena, void *items, size_t used, size_t more,
							   size_t size, size_t *room);

extern AlbertArenaMark AlbertArenaGetMark(const AlbertArena *arena);

/*
 * What was allocated since the mark is free.  It can still be read until
 * something is written to later allocations, or the arena is rewound again.
 */
extern void AlbertArenaRewind(AlbertArena *arena, AlbertArenaMark mark);

/* Forget all allocations, keep the blocks. */
extern void AlbertArenaReset(AlbertArena *arena);

/* Give every block back to the caller. */
extern void AlbertArenaFree(AlbertArena *arena);

#endif							/* ALBERT_ARENA_H */
