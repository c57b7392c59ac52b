/*
 * model.c
 *	  The models' tables: tries of the pieces, the character map, and the steps
 *	  that all BERT tokenizers have.
 */
#include "base/bytes.h"
#include "tokenizer/compile/compile.h"

#include <math.h>
#include <string.h>

#define UNK_PENALTY		10.0

/* A trie of the pieces. */
static bool
build_trie(Builder *builder)
{
	TrieKey    *keys = AlbertArenaArray(builder->arena, builder->piece_count, sizeof(TrieKey));
	size_t		count = 0;

	if (keys == NULL)
		return AlbertNoMemory(builder->status);
	for (int32_t id = 0; id < builder->piece_count; id++)
		if (builder->pieces[id].text != NULL)
			keys[count++] = (TrieKey) {builder->pieces[id].text, builder->pieces[id].size, id};
	return tok_build_trie(builder, keys, count, builder->header.model == MODEL_UNIGRAM, SECTION_TRIE);
}

/*
 * All pieces can be cut out of a text, whatever a spiece.model has them for; an
 * unknown character costs 10 more than the least likely piece.
 */
bool
tok_builder_unigram(Builder *builder)
{
	double		smallest = INFINITY;
	int32_t		ring = 16;		/* an unknown character reaches as far as four bytes */

	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		smallest = fmin(smallest, builder->pieces[id].score);
		while ((uint32_t) ring <= builder->pieces[id].size)
			ring *= 2;
	}
	builder->header.model = MODEL_UNIGRAM;
	builder->header.unk_score = smallest - UNK_PENALTY;
	builder->header.score_ring = ring;
	return build_trie(builder);
}

/* All pieces may begin a word; what is behind the prefix may go on with one.  unknown names the one for other words. */
bool
tok_builder_wordpiece(Builder *builder, const char *prefix, const char *unknown)
{
	const TrieUnit *unit;

	builder->header.model = MODEL_WORDPIECE;
	if (!build_trie(builder))
		return false;
	unit = tok_trie_walk(TRIE(&builder->tokenizer, SECTION_TRIE), prefix, strlen(prefix), false);
	builder->header.continuing_unit = unit == NULL ? -1
		: (int32_t) (unit - TABLE(&builder->tokenizer, SECTION_TRIE, TrieUnit));
	if (unknown != NULL)
		builder->header.model_unk_id = AlbertTokenizerPieceId(&builder->tokenizer, unknown, strlen(unknown));
	return builder->header.model_unk_id >= 0 || tok_malformed(builder, "It has no piece for unknown words.");
}

bool
tok_builder_bert_steps(Builder *builder, bool clean, bool ideographs, bool strip_accents, bool lower)
{
	return (!clean || tok_builder_step(builder, STEP_CLEAN, NULL, NULL)) &&
		(!ideographs || tok_builder_step(builder, STEP_IDEOGRAPHS, NULL, NULL)) &&
		(!strip_accents || (tok_builder_step(builder, STEP_NFD, NULL, NULL) &&
							tok_builder_step(builder, STEP_STRIP_NONSPACING, NULL, NULL))) &&
		(!lower || tok_builder_step(builder, STEP_LOWER, NULL, NULL));
}

/*
 * Does every walk through the map stay inside it, and end at a replacement?
 * Children lie in the block of 256 units that their node's offset points into,
 * a node's value is the first of them.
 */
static bool
is_sound(const uint32_t *units, size_t count, const char *text, size_t text_size)
{
	for (size_t i = 0; i < count; i++)
	{
		size_t		child = i ^ DARTS_OFFSET(units[i]);

		if (DARTS_IS_LEAF(units[i]) ? DARTS_VALUE(units[i]) >= text_size : (child | 0xFF) >= count)
			return false;
		if (!DARTS_IS_LEAF(units[i]) && DARTS_HAS_LEAF(units[i]) && !DARTS_IS_LEAF(units[child]))
			return false;
		if (DARTS_IS_LEAF(units[i]) && !tok_utf8_begins((unsigned char) text[DARTS_VALUE(units[i])]))
			return false;
	}
	return !DARTS_IS_LEAF(units[0]);
}

/*
 * Take a map into the image: a 32-bit count of bytes, that many bytes of
 * units, and the replacements; all little-endian.
 */
bool
tok_builder_charsmap(Builder *builder, const unsigned char *map, size_t size)
{
	size_t		units_size;
	size_t		text_size;
	uint32_t   *units;
	char	   *text;

	units_size = size < 8 ? 0 : AlbertLittleEndian(map, 4);
	if (units_size == 0 || units_size % 4 != 0 || units_size >= size - 4)
		return tok_malformed(builder, "The character map's size is wrong.");
	text_size = size - 4 - units_size;
	units = AlbertArenaAlloc(builder->arena, units_size);
	text = AlbertArenaAlloc(builder->arena, text_size + 1);
	if (units == NULL || text == NULL)
		return AlbertNoMemory(builder->status);
	map += 4;
	for (size_t i = 0; i < units_size / 4; i++, map += 4)
		units[i] = (uint32_t) AlbertLittleEndian(map, 4);
	memcpy(text, map, text_size);
	text[text_size] = '\0';
	for (size_t start = 0; start <= text_size;)
	{
		size_t		length = strlen(text + start);

		if (tok_utf8_valid(text + start, length) < length)
			return tok_malformed(builder, "A replacement of the character map is not valid UTF-8.");
		if (tok_utf8_count(text + start, length) > MOST_REPLACEMENT)
			return tok_unsupported(builder, "has a character map with a very long replacement", NULL);
		start += length + 1;
	}
	if (!is_sound(units, units_size / 4, text, text_size + 1))
		return tok_malformed(builder, "The character map points outside itself.");
	tok_builder_section(builder, SECTION_CHARSMAP, units, units_size);
	tok_builder_section(builder, SECTION_CHARSMAP_TEXT, text, text_size + 1);
	return true;
}
