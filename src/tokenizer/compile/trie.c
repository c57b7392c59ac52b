/*
 * trie.c
 *	  Building a double-array trie.
 *
 * Keys are sorted, then each node's children are placed at the first base
 * where all of them fit.  Bases are never shared, so that a unit's label alone
 * says whether it is a child (see TrieUnit).
 */
#include "tokenizer/compile/compile.h"

#include <string.h>

#define BLOCK			256		/* labels of one base lie within one block */
#define OPEN_BLOCKS		16		/* only the last so many are searched for room */
#define MOST_UNITS		(1u << 23)

typedef struct TrieBuilder
{
	AlbertArena *arena;
	AlbertStatus *status;
	const TrieKey *keys;
	TrieUnit   *units;
	uint32_t   *next_free;		/* a circular list of the unused units */
	uint32_t   *prev_free;
	uint8_t    *base_taken;
	uint32_t	size;
	size_t		room;
	uint32_t	first_free;		/* NONE: the list is empty */
} TrieBuilder;

typedef struct Pending
{
	uint32_t	node;
	uint32_t	low;			/* keys below this node: [low, high) */
	uint32_t	high;
	uint32_t	depth;
} Pending;

#define NONE	UINT32_MAX

static int
compare_keys(const TrieKey *a, const TrieKey *b)
{
	size_t		size = a->size < b->size ? a->size : b->size;
	int			order = size == 0 ? 0 : memcmp(a->text, b->text, size);

	if (order != 0)
		return order;
	return a->size < b->size ? -1 : a->size > b->size;
}

/* Merge sort: the C library's qsort may call malloc. */
static bool
sort_keys(TrieKey *keys, size_t count, AlbertArena *arena, AlbertStatus *status)
{
	TrieKey    *from = keys;
	TrieKey    *to = AlbertArenaArray(arena, count + 1, sizeof(TrieKey));

	if (to == NULL)
		return AlbertNoMemory(status);
	for (size_t width = 1; width < count; width *= 2)
	{
		TrieKey    *other = from;

		for (size_t low = 0; low < count; low += 2 * width)
		{
			size_t		middle = low + width < count ? low + width : count;
			size_t		high = low + 2 * width < count ? low + 2 * width : count;
			size_t		left = low;
			size_t		right = middle;

			for (size_t i = low; i < high; i++)
			{
				if (left < middle &&
					(right == high || compare_keys(&from[left], &from[right]) <= 0))
					to[i] = from[left++];
				else
					to[i] = from[right++];
			}
		}
		from = to;
		to = other;
	}
	if (from != keys)
		memcpy(keys, from, count * sizeof(TrieKey));
	return true;
}

static void
take_unit(TrieBuilder *builder, uint32_t at)
{
	uint32_t	next = builder->next_free[at];
	uint32_t	prev = builder->prev_free[at];

	if (next == at)
		builder->first_free = NONE;
	else
	{
		builder->next_free[prev] = next;
		builder->prev_free[next] = prev;
		if (builder->first_free == at)
			builder->first_free = next;
	}
	builder->next_free[at] = builder->prev_free[at] = NONE;
}

static bool
is_free(const TrieBuilder *builder, uint32_t at)
{
	return builder->next_free[at] != NONE;
}

/* One of the arrays, which all have the same room. */
static void *
grow(const TrieBuilder *builder, const void *items, size_t size, size_t *room)
{
	*room = builder->room;
	return AlbertArenaGrow(builder->arena, items, builder->size, 64 * BLOCK, size, room);
}

static bool
grow_arrays(TrieBuilder *builder)
{
	size_t		room = builder->room;

	builder->units = grow(builder, builder->units, sizeof(TrieUnit), &room);
	builder->next_free = grow(builder, builder->next_free, sizeof(uint32_t), &room);
	builder->prev_free = grow(builder, builder->prev_free, sizeof(uint32_t), &room);
	builder->base_taken = grow(builder, builder->base_taken, sizeof(uint8_t), &room);
	if (builder->units == NULL || builder->next_free == NULL || builder->prev_free == NULL ||
		builder->base_taken == NULL)
		return AlbertNoMemory(builder->status);
	builder->room = room;
	return true;
}

/* Add a block of free units; close the oldest open one to the search. */
static bool
add_block(TrieBuilder *builder)
{
	uint32_t	start = builder->size;

	if (start + BLOCK > MOST_UNITS)
		return AlbertFail(builder->status, ALBERT_UNSUPPORTED, "the vocabulary is too large");
	if (start + BLOCK > builder->room && !grow_arrays(builder))
		return false;
	builder->size += BLOCK;
	for (uint32_t i = start; i < builder->size; i++)
	{
		builder->units[i].link = 0;
		builder->units[i].id = -1;
		builder->base_taken[i] = 0;
		builder->next_free[i] = i + 1;
		builder->prev_free[i] = i - 1;
	}
	if (builder->first_free == NONE)
	{
		builder->prev_free[start] = builder->size - 1;
		builder->next_free[builder->size - 1] = start;
		builder->first_free = start;
	}
	else
	{
		uint32_t	first = builder->first_free;
		uint32_t	last = builder->prev_free[first];

		builder->next_free[last] = start;
		builder->prev_free[start] = last;
		builder->next_free[builder->size - 1] = first;
		builder->prev_free[first] = builder->size - 1;
	}
	if (builder->size > OPEN_BLOCKS * BLOCK)
	{
		uint32_t	closed = builder->size - OPEN_BLOCKS * BLOCK - BLOCK;

		for (uint32_t i = closed; i < closed + BLOCK; i++)
			if (is_free(builder, i))
				take_unit(builder, i);
	}
	return true;
}

static bool
fits(const TrieBuilder *builder, uint32_t base, const uint8_t *labels, int count)
{
	if (builder->base_taken[base])
		return false;
	for (int i = 0; i < count; i++)
		if (!is_free(builder, base ^ labels[i]))
			return false;
	return true;
}

static bool
find_base(TrieBuilder *builder, const uint8_t *labels, int count, uint32_t *base)
{
	uint32_t	at = builder->first_free;

	if (at != NONE)
	{
		do
		{
			*base = at ^ labels[0];
			if (fits(builder, *base, labels, count))
				return true;
			at = builder->next_free[at];
		} while (at != builder->first_free);
	}
	*base = builder->size ^ labels[0];
	return add_block(builder);
}

/* Place the children of a node and push those that have children themselves. */
static bool
place_children(TrieBuilder *builder, Pending node, Pending *stack, size_t *depth)
{
	uint8_t		labels[256];
	uint32_t	starts[257];
	int			count = 0;
	uint32_t	base;
	uint32_t	low = node.low;

	/* a key that ends here sorts before those that go on */
	while (low < node.high && builder->keys[low].size == node.depth)
		builder->units[node.node].id = builder->keys[low++].id;
	if (low == node.high)
		return true;
	for (uint32_t i = low; i < node.high; i++)
	{
		uint8_t		label = (uint8_t) builder->keys[i].text[node.depth];

		if (count == 0 || labels[count - 1] != label)
		{
			labels[count] = label;
			starts[count++] = i;
		}
	}
	starts[count] = node.high;
	if (!find_base(builder, labels, count, &base))
		return false;
	builder->base_taken[base] = 1;
	builder->units[node.node].link |= base << 9;
	for (int i = 0; i < count; i++)
	{
		uint32_t	child = base ^ labels[i];
		Pending    *below = &stack[(*depth)++];

		take_unit(builder, child);
		builder->units[child].link = UNIT_USED | labels[i];
		below->node = child;
		below->low = starts[i];
		below->high = starts[i + 1];
		below->depth = node.depth + 1;
	}
	return true;
}

bool
tok_build_trie(TrieKey *keys, size_t count, AlbertArena *arena,
			   AlbertBytes *section, AlbertStatus *status)
{
	TrieBuilder builder = {.arena = arena, .status = status, .keys = keys, .first_free = NONE};
	Pending    *stack;
	size_t		depth = 0;

	section->data = NULL;
	section->size = 0;
	if (count == 0)
		return true;
	if (!sort_keys(keys, count, arena, status) || !add_block(&builder))
		return false;

	/* every pending node stands for keys of its own, so there are never more */
	stack = AlbertArenaArray(arena, count + 1, sizeof(Pending));
	if (stack == NULL)
		return AlbertNoMemory(status);
	take_unit(&builder, 0);
	builder.base_taken[0] = 1;	/* what a unit without children has */
	stack[depth++] = (Pending) {.node = 0, .low = 0, .high = (uint32_t) count, .depth = 0};
	while (depth > 0)
	{
		Pending		node = stack[--depth];

		if (!place_children(&builder, node, stack, &depth))
			return false;
	}
	section->data = builder.units;
	section->size = builder.size * sizeof(TrieUnit);
	return true;
}
