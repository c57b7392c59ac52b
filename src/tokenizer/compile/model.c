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

/* A trie key with each U+2581 as WORD_MARK. */
static bool
with_word_marks(Builder *builder, const Piece *piece, TrieKey *key)
{
	const char *text = piece->text;
	char	   *out = AlbertArenaAlloc(builder->arena, piece->size);
	size_t		n = 0;

	if (out == NULL)
		return AlbertNoMemory(builder->status);
	for (size_t i = 0; i < piece->size;)
	{
		if (piece->size - i >= 3 && memcmp(text + i, WORD_MARK_UTF8, 3) == 0)
		{
			out[n++] = (char) WORD_MARK;
			i += 3;
		}
		else
			out[n++] = text[i++];
	}
	key->text = out;
	key->size = (uint32_t) n;
	return true;
}

/*
 * All pieces can be cut out of a text, whatever a spiece.model has them for; an
 * unknown character costs 10 more than the least likely piece.
 */
bool
tok_builder_unigram(Builder *builder)
{
	TrieKey    *keys = AlbertArenaArray(builder->arena, builder->piece_count, sizeof(TrieKey));
	double		smallest = INFINITY;
	uint32_t	longest = 0;

	if (keys == NULL)
		return AlbertNoMemory(builder->status);
	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		if (!with_word_marks(builder, &builder->pieces[id], &keys[id]))
			return false;
		keys[id].id = id;
		smallest = fmin(smallest, builder->pieces[id].score);
		longest = keys[id].size > longest ? keys[id].size : longest;
	}
	builder->header.model = MODEL_UNIGRAM;
	builder->header.unk_score = smallest - UNK_PENALTY;
	builder->header.longest_piece = (int32_t) longest;
	return tok_build_trie(keys, builder->piece_count, builder->arena, &builder->sections[SECTION_TRIE],
						  builder->status);
}

/* Pieces that begin a word, which all do, and those that go on with one. */
bool
tok_builder_wordpiece(Builder *builder, const char *prefix)
{
	size_t		prefix_size = strlen(prefix);
	TrieKey    *first = AlbertArenaArray(builder->arena, builder->piece_count, sizeof(TrieKey));
	TrieKey    *next = AlbertArenaArray(builder->arena, builder->piece_count, sizeof(TrieKey));
	size_t		first_count = 0;
	size_t		next_count = 0;

	if (first == NULL || next == NULL)
		return AlbertNoMemory(builder->status);
	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		const Piece *piece = &builder->pieces[id];

		if (piece->text == NULL || piece->size == 0)
			continue;
		first[first_count++] = (TrieKey) {piece->text, piece->size, id};
		if (piece->size > prefix_size && memcmp(piece->text, prefix, prefix_size) == 0)
			next[next_count++] = (TrieKey) {piece->text + prefix_size, piece->size - (uint32_t) prefix_size, id};
	}
	builder->header.model = MODEL_WORDPIECE;
	return tok_build_trie(first, first_count, builder->arena, &builder->sections[SECTION_TRIE], builder->status) &&
		tok_build_trie(next, next_count, builder->arena, &builder->sections[SECTION_TRIE2], builder->status);
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
		start += length + 1;
	}
	builder->sections[SECTION_CHARSMAP] = (AlbertBytes) {units, units_size};
	builder->sections[SECTION_CHARSMAP_TEXT] = (AlbertBytes) {text, text_size + 1};
	return true;
}
