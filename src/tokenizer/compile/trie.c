/*
 * trie.c
 *	  Building a double-array trie.
 *
 * Keys go into a trie of linked nodes first.  Then each node's children are
 * placed at the first base where all of them fit.  Bases are never shared, so
 * that a unit's label alone says whether it is a child (see TrieUnit).
 */
#include "tokenizer/compile/compile.h"

#include <string.h>

#define BLOCK			256		/* labels of one base lie within one block */
#define OPEN_BLOCKS		4		/* only the last so many are searched for room */
#define MOST_UNITS		(1u << 23)

typedef struct Node
{
	uint32_t	child;			/* the first one; 0: none */
	uint32_t	sibling;		/* the next one; 0: none */
	uint32_t	unit;			/* its place */
	int32_t		id;
	uint8_t		label;
} Node;

typedef struct TrieBuilder
{
	AlbertArena *arena;
	AlbertStatus *status;
	bool		unigram;
	Node	   *nodes;			/* a node's number is larger than its parent's */
	size_t		node_count;
	size_t		node_room;
	TrieUnit   *units;
	size_t		unit_count;
	size_t		unit_room;
	uint64_t   *free;			/* a bit for each unit that is */
	size_t		free_room;
	uint8_t    *base_taken;
	size_t		base_room;
} TrieBuilder;

/* ---- linked ---- */

static bool
add_node(TrieBuilder *builder, uint8_t label, uint32_t sibling)
{
	if (!AlbertArenaReserve(builder->arena, &builder->nodes, builder->node_count, 1, sizeof(Node), &builder->node_room))
		return AlbertNoMemory(builder->status);
	builder->nodes[builder->node_count++] = (Node) {.sibling = sibling, .id = -1, .label = label};
	return true;
}

static bool
add_key(TrieBuilder *builder, const TrieKey *key)
{
	uint32_t	at = 0;

	for (size_t i = 0; i < key->size;)
	{
		uint8_t		label = tok_trie_byte(key->text, key->size, builder->unigram, &i);
		uint32_t	child = builder->nodes[at].child;

		while (child != 0 && builder->nodes[child].label != label)
			child = builder->nodes[child].sibling;
		if (child == 0)
		{
			child = (uint32_t) builder->node_count;
			if (child >= MOST_UNITS)
				return AlbertFail(builder->status, ALBERT_UNSUPPORTED, "the vocabulary is too large");
			if (!add_node(builder, label, builder->nodes[at].child))
				return false;
			builder->nodes[at].child = child;
		}
		at = child;
	}
	builder->nodes[at].id = key->id;
	return true;
}

/* ---- placed ---- */

static bool
add_block(TrieBuilder *builder)
{
	AlbertArena *arena = builder->arena;
	size_t		count = builder->unit_count;

	if (count + BLOCK > MOST_UNITS)
		return AlbertFail(builder->status, ALBERT_UNSUPPORTED, "the vocabulary is too large");
	if (!AlbertArenaReserve(arena, &builder->units, count, BLOCK, sizeof(TrieUnit), &builder->unit_room) ||
		!AlbertArenaReserve(arena, &builder->free, count / 64, BLOCK / 64, sizeof(uint64_t), &builder->free_room) ||
		!AlbertArenaReserve(arena, &builder->base_taken, count, BLOCK, 1, &builder->base_room))
		return AlbertNoMemory(builder->status);
	for (size_t i = count; i < count + BLOCK; i++)
		builder->units[i] = (TrieUnit) {0, -1};
	memset(builder->free + count / 64, 0xFF, BLOCK / 8);
	memset(builder->base_taken + count, 0, BLOCK);
	builder->unit_count = count + BLOCK;
	return true;
}

static inline void
take_unit(TrieBuilder *builder, size_t unit)
{
	builder->free[unit / 64] &= ~((uint64_t) 1 << unit % 64);
}

static bool
fits(const TrieBuilder *builder, size_t base, uint32_t child)
{
	if (builder->base_taken[base])
		return false;
	for (; child != 0; child = builder->nodes[child].sibling)
	{
		size_t		unit = base ^ builder->nodes[child].label;

		if ((builder->free[unit / 64] >> unit % 64 & 1) == 0)
			return false;
	}
	return true;
}

static bool
find_base(TrieBuilder *builder, uint32_t child, size_t *base)
{
	uint8_t		label = builder->nodes[child].label;
	size_t		from = builder->unit_count > OPEN_BLOCKS * BLOCK ? builder->unit_count - OPEN_BLOCKS * BLOCK : 0;

	for (size_t word = from / 64; word < builder->unit_count / 64; word++)
		for (uint64_t rest = builder->free[word]; rest != 0; rest &= rest - 1)
		{
			*base = (word * 64 + __builtin_ctzll(rest)) ^ label;
			if (fits(builder, *base, child))
				return true;
		}
	*base = builder->unit_count ^ label;
	return add_block(builder);
}

static bool
place_children(TrieBuilder *builder, const Node *node)
{
	size_t		base;

	if (!find_base(builder, node->child, &base))
		return false;
	builder->base_taken[base] = 1;
	builder->units[node->unit].link |= (uint32_t) base << 9;
	for (uint32_t child = node->child; child != 0; child = builder->nodes[child].sibling)
	{
		Node	   *below = &builder->nodes[child];

		below->unit = (uint32_t) (base ^ below->label);
		builder->units[below->unit].link = UNIT_USED | below->label;
		take_unit(builder, below->unit);
	}
	return true;
}

bool
tok_build_trie(Builder *owner, const TrieKey *keys, size_t count, bool unigram, Section section)
{
	TrieBuilder builder = {.arena = owner->arena, .status = owner->status, .unigram = unigram};

	if (count == 0)
		return true;
	if (!add_node(&builder, 0, 0) || !add_block(&builder))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!add_key(&builder, &keys[i]))
			return false;
	take_unit(&builder, 0);
	builder.base_taken[0] = 1;	/* what a unit without children has */
	for (size_t i = 0; i < builder.node_count; i++)
	{
		if (builder.nodes[i].child != 0 && !place_children(&builder, &builder.nodes[i]))
			return false;
		builder.units[builder.nodes[i].unit].id = builder.nodes[i].id;
	}
	tok_builder_section(owner, section, builder.units, builder.unit_count * sizeof(TrieUnit));
	return true;
}
