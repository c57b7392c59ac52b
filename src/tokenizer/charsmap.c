/*
 * charsmap.c
 *	  What sentencepiece's normalizer looks up: user-defined symbols, and the
 *	  precompiled character map, a Darts double array from character sequences
 *	  to their replacements.
 *
 * A Darts unit is 32 bits: a leaf has the highest bit set and holds a value;
 * any other holds the label of the edge that led to it in bits 0-7, whether it
 * has a leaf in bit 8, and the offset to its children in bits 10-30, to be
 * shifted by 8 more when bit 9 is set.  The map comes from the model's file,
 * so every index is checked on the way.
 */
#include "tokenizer/compile.h"

#include <string.h>

#define DARTS_LABEL(unit)	((unit) & 0x800000FFu)
#define DARTS_HAS_LEAF(unit)	(((unit) >> 8 & 1) != 0)
#define DARTS_OFFSET(unit)	(((unit) >> 10) << (((unit) & 0x200u) >> 6))
#define DARTS_VALUE(unit)	((unit) & 0x7FFFFFFFu)

#define MOST_RESULTS		32	/* what sentencepiece looks at */

typedef struct DartsWalk
{
	const uint32_t *units;
	size_t		count;
	size_t		node;
	uint32_t	unit;
} DartsWalk;

static bool
walk_start(DartsWalk *walk, const AlbertTokenizer *tokenizer)
{
	walk->units = TABLE(tokenizer, SECTION_CHARSMAP, uint32_t);
	walk->count = SECTION_ITEMS(HEADER(tokenizer), SECTION_CHARSMAP, uint32_t);
	if (walk->count == 0)
		return false;
	walk->unit = walk->units[0];
	walk->node = DARTS_OFFSET(walk->unit);
	return true;
}

static inline bool
walk_step(DartsWalk *walk, unsigned char byte)
{
	size_t		node = walk->node ^ byte;

	if (node >= walk->count || DARTS_LABEL(walk->units[node]) != byte)
		return false;
	walk->unit = walk->units[node];
	walk->node = node ^ DARTS_OFFSET(walk->unit);
	return true;
}

/* The replacement at the node, if there is one. */
static inline bool
walk_value(const DartsWalk *walk, const AlbertTokenizer *tokenizer, const char **replacement)
{
	size_t		text_size = HEADER(tokenizer)->sections[SECTION_CHARSMAP_TEXT].size;
	uint32_t	value;

	if (!DARTS_HAS_LEAF(walk->unit) || walk->node >= walk->count)
		return false;
	value = DARTS_VALUE(walk->units[walk->node]);
	if (value >= text_size)
		return false;
	*replacement = TABLE(tokenizer, SECTION_CHARSMAP_TEXT, char) + value;
	return ((unsigned char) **replacement & 0xC0) != 0x80;	/* not from the middle of a character */
}

/*
 * The longest key that the text starts with: its length, 0 when there is
 * none.  The section of replacements ends with a NUL.
 */
size_t
tok_charsmap_longest(const AlbertTokenizer *tokenizer, const unsigned char *text,
					 size_t size, const char **replacement)
{
	DartsWalk	walk;
	size_t		longest = 0;
	int			results = 0;

	if (!walk_start(&walk, tokenizer))
		return 0;
	for (size_t i = 0; i < size && results < MOST_RESULTS; i++)
	{
		if (!walk_step(&walk, text[i]))
			break;
		if (walk_value(&walk, tokenizer, replacement))
		{
			longest = i + 1;
			results++;
		}
	}
	return longest;
}

/* The shortest such key decides for the fast tokenizers, whatever follows it. */
bool
tok_charsmap_shortest(const AlbertTokenizer *tokenizer, const unsigned char *text,
					  size_t size, const char **replacement)
{
	DartsWalk	walk;

	if (!walk_start(&walk, tokenizer))
		return false;
	for (size_t i = 0; i < size; i++)
	{
		if (!walk_step(&walk, text[i]))
			return false;
		if (walk_value(&walk, tokenizer, replacement))
			return true;
	}
	return false;
}

/* The longest user-defined symbol that the text starts with: its length, 0 when there is none. */
size_t
tok_symbol_longest(const AlbertTokenizer *tokenizer, const unsigned char *text, size_t size)
{
	const TrieUnit *units = TABLE(tokenizer, SECTION_SYMBOLS, TrieUnit);
	size_t		count = SECTION_ITEMS(HEADER(tokenizer), SECTION_SYMBOLS, TrieUnit);
	const TrieUnit *unit = units;
	size_t		longest = 0;

	for (size_t i = 0; i < size && count > 0; i++)
	{
		size_t		child = UNIT_CHILD(unit, text[i]);

		if (child >= count || !UNIT_IS(&units[child], text[i]))
			break;
		unit = &units[child];
		if (unit->id >= 0)
			longest = i + 1;
	}
	return longest;
}

/*
 * Take a map into the image: a 32-bit count of bytes, that many bytes of
 * units, and the replacements; all little-endian.  False: *problem tells what
 * is wrong with it, NULL when the status does.
 */
bool
tok_builder_charsmap(Builder *builder, const unsigned char *map, size_t size, const char **problem)
{
	size_t		units_size;
	size_t		text_size;
	uint32_t   *units;
	char	   *text;

	*problem = "The character map's size is wrong.";
	if (size < 8)
		return false;
	units_size = map[0] | (size_t) map[1] << 8 | (size_t) map[2] << 16 | (size_t) map[3] << 24;
	if (units_size == 0 || units_size % 4 != 0 || units_size >= size - 4)
		return false;
	text_size = size - 4 - units_size;
	units = AlbertArenaAlloc(builder->arena, units_size);
	text = AlbertArenaAlloc(builder->arena, text_size + 1);
	*problem = NULL;
	if (units == NULL || text == NULL)
		return tok_no_memory(builder->status);
	map += 4;
	for (size_t i = 0; i < units_size / 4; i++, map += 4)
		units[i] = map[0] | (uint32_t) map[1] << 8 | (uint32_t) map[2] << 16 | (uint32_t) map[3] << 24;
	memcpy(text, map, text_size);
	text[text_size] = '\0';
	for (size_t start = 0; start <= text_size;)
	{
		size_t		length = strlen(text + start);

		*problem = "A replacement of the character map is not valid UTF-8.";
		if (tok_utf8_valid(text + start, length) < length)
			return false;
		start += length + 1;
	}
	builder->sections[SECTION_CHARSMAP] = (AlbertBytes) {units, units_size};
	builder->sections[SECTION_CHARSMAP_TEXT] = (AlbertBytes) {text, text_size + 1};
	return true;
}
