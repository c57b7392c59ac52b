/*
 * arena.c
 *	  Bump allocation in blocks that the caller provides.
 */
#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#define FIRST_BLOCK		(64 * 1024)
#define LARGEST_STEP	(8 * 1024 * 1024)

struct AlbertArenaBlock
{
	AlbertArenaBlock *next;
	size_t		size;			/* usable bytes at base */
	size_t		used;
	char	   *base;			/* aligned to ALBERT_ALIGN */
};

void
AlbertArenaInit(AlbertArena *arena,
				void *(*get) (void *context, size_t size),
				void (*put) (void *context, void *block),
				void *context)
{
	memset(arena, 0, sizeof(*arena));
	arena->get = get;
	arena->put = put;
	arena->context = context;
}

/* What is asked of the caller for a block of size usable bytes. */
static size_t
block_bytes(size_t size)
{
	return size + sizeof(AlbertArenaBlock) + ALBERT_ALIGN;
}

static AlbertArenaBlock *
new_block(AlbertArena *arena, size_t size)
{
	size_t		step = arena->total < FIRST_BLOCK ? FIRST_BLOCK : arena->total;
	size_t		bytes;
	AlbertArenaBlock *block;

	if (step > LARGEST_STEP)
		step = LARGEST_STEP;
	if (size < step)
		size = step;
	bytes = block_bytes(size);
	block = arena->get(arena->context, bytes);
	if (block == NULL)
		return NULL;
	block->next = NULL;
	block->size = size;
	block->used = 0;
	block->base = (char *) AlbertAlign((uintptr_t) (block + 1));
	arena->total += bytes;
	return block;
}

static void
put_blocks(AlbertArena *arena, AlbertArenaBlock *block)
{
	while (block != NULL)
	{
		AlbertArenaBlock *next = block->next;

		arena->total -= block_bytes(block->size);
		arena->put(arena->context, block);
		block = next;
	}
}

static void
put_outgrown(AlbertArena *arena)
{
	put_blocks(arena, arena->outgrown);
	arena->outgrown = NULL;
}

/*
 * Make current a block with at least size free bytes.  Blocks kept behind the
 * current hold nothing: the first that is large enough moves right behind it,
 * so that the chain stays in order of use and smaller ones can serve later.
 * When none is, all of them are outgrown, and go with the next rewind or reset;
 * else requests that grow would leave ever more blocks behind.
 */
static AlbertArenaBlock *
advance(AlbertArena *arena, size_t size)
{
	AlbertArenaBlock **after = arena->current == NULL ? &arena->first : &arena->current->next;
	AlbertArenaBlock **link = after;
	AlbertArenaBlock *block;

	while (*link != NULL && (*link)->size < size)
		link = &(*link)->next;
	block = *link;
	if (block != NULL)
	{
		*link = block->next;
		block->next = *after;
	}
	else
	{
		block = new_block(arena, size);
		if (block == NULL)
			return NULL;
		*link = arena->outgrown;
		arena->outgrown = *after;
	}
	*after = block;
	block->used = 0;
	return arena->current = block;
}

void *
AlbertArenaAlloc(AlbertArena *arena, size_t size)
{
	AlbertArenaBlock *block = arena->current;
	void	   *result;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = AlbertAlign(size == 0 ? 1 : size);
	if (block == NULL || block->size - block->used < size)
		block = advance(arena, size);
	if (block == NULL)
		return NULL;
	result = block->base + block->used;
	block->used += size;
	return result;
}

void *
AlbertArenaAllocZero(AlbertArena *arena, size_t size)
{
	void	   *result = AlbertArenaAlloc(arena, size);

	if (result != NULL)
		memset(result, 0, size);
	return result;
}

void *
AlbertArenaArray(AlbertArena *arena, size_t count, size_t size)
{
	if (size != 0 && count > SIZE_MAX / 2 / size)
		return NULL;
	return AlbertArenaAlloc(arena, count * size);
}

bool
AlbertArenaReserve(AlbertArena *arena, void *items, size_t used, size_t more, size_t size, size_t *room)
{
	void	  **array = items;
	size_t		fresh_room = *room * 2 < 16 ? 16 : *room * 2;
	void	   *fresh;

	if (more <= *room - used)
		return true;
	if (more > SIZE_MAX - used)
		return false;
	if (fresh_room < used + more)
		fresh_room = used + more;
	fresh = AlbertArenaArray(arena, fresh_room, size);
	if (fresh == NULL)
		return false;
	if (used > 0)
		memcpy(fresh, *array, used * size);
	*array = fresh;
	*room = fresh_room;
	return true;
}

AlbertArenaMark
AlbertArenaGetMark(const AlbertArena *arena)
{
	AlbertArenaMark mark;

	mark.block = arena->current;
	mark.used = arena->current == NULL ? 0 : arena->current->used;
	return mark;
}

void
AlbertArenaRewind(AlbertArena *arena, AlbertArenaMark mark)
{
	if (mark.block == NULL)
	{
		AlbertArenaReset(arena);
		return;
	}
	put_outgrown(arena);
	arena->current = mark.block;
	arena->current->used = mark.used;
}

void
AlbertArenaReset(AlbertArena *arena)
{
	put_outgrown(arena);
	arena->current = arena->first;
	if (arena->current != NULL)
		arena->current->used = 0;
}

void
AlbertArenaFree(AlbertArena *arena)
{
	put_outgrown(arena);
	put_blocks(arena, arena->first);
	arena->first = arena->current = NULL;
}
