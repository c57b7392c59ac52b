/*
 * ascii.c
 *	  What becomes of ASCII characters, found by running the steps on each.
 *
 * Where the steps treat characters one by one, a text of ASCII only need not
 * run through them.  Only plain cases are told in the table; others leave the
 * text to the general way.
 */
#include "tokenizer/compile/compile.h"
#include "tokenizer/encode/encoder.h"

#include <string.h>

static bool
has_steps(const Builder *builder, const Operation *wanted, int32_t count)
{
	const Step *steps = builder->steps + builder->header.normalizer_count;

	if (builder->step_count - builder->header.normalizer_count != count)
		return false;
	for (int32_t i = 0; i < count; i++)
		if (steps[i].operation != (int32_t) wanted[i])
			return false;
	return true;
}

/* Words between spaces, each with a word mark; or words and punctuation. */
static bool
splits_plainly(const Builder *builder)
{
	static const Operation unigram[] = {STEP_SPLIT_SPACES, STEP_METASPACE_ALWAYS, STEP_SPLIT_MARKS};
	static const Operation wordpiece[] = {STEP_SPLIT_SPACES, STEP_SPLIT_PUNCTUATION};

	return builder->header.model == MODEL_UNIGRAM ? has_steps(builder, unigram, 3) : has_steps(builder, wordpiece, 2);
}

/* Characters of a longer pattern must not meet; white space must be in none. */
static bool
note_pattern(Builder *builder, const Step *step)
{
	for (uint32_t i = 0; i < step->first_count; i++)
	{
		uint32_t	code = builder->codes[step->first + i];

		if (tok_is_space(code))
			return false;
		if (code >= 0x80 || step->first_count == 1)
			continue;
		builder->header.ascii_class[code] |= ASCII_PAIRED;
		if (code >= 'a' && code <= 'z')
			builder->header.ascii_class[code - 32] |= ASCII_PAIRED;
	}
	return true;
}

static bool
normalizes_plainly(Builder *builder)
{
	for (int32_t i = 0; i < builder->header.normalizer_count; i++)
	{
		const Step *step = &builder->steps[i];

		if (step->operation == STEP_PREPEND || (step->operation == STEP_REPLACE && !note_pattern(builder, step)))
			return false;
		for (uint32_t j = 0; step->operation == STEP_REPLACE_SPACES && j < step->second_count; j++)
			if (!tok_is_space(builder->codes[step->second + j]))
				return false;
	}
	/* what one step puts in may not become part of another's pattern */
	for (int32_t i = 0; i < builder->header.normalizer_count; i++)
		for (uint32_t j = 0; j < builder->steps[i].second_count; j++)
		{
			uint32_t	code = builder->codes[builder->steps[i].second + j];

			if (code < 0x80 && (builder->header.ascii_class[code] & ASCII_PAIRED) != 0)
				return false;
		}
	return true;
}

/* The one ASCII character that a string becomes; 0 when it is another or none. */
static bool
becomes(Builder *builder, const AlbertTokenizer *probe, const char *text, size_t size, uint8_t *result)
{
	AlbertArenaMark mark = AlbertArenaGetMark(builder->arena);
	AlbertText	normal;

	if (!tok_normalize(probe, text, size, builder->arena, &normal, builder->status))
		return false;
	*result = normal.size == 1 && (unsigned char) normal.data[0] < 0x80 ? (uint8_t) normal.data[0] : 0;
	AlbertArenaRewind(builder->arena, mark);
	return true;
}

bool
tok_builder_ascii(Builder *builder)
{
	TokenizerHeader *header = &builder->header;
	AlbertTokenizer probe;
	uint8_t		line_end;

	if (!splits_plainly(builder) || builder->sections[SECTION_ADDED_NORMALIZED].size > 0 ||
		!normalizes_plainly(builder))
		return true;
	tok_builder_probe(builder, &probe);
	for (int code = 1; code < 0x80; code++)
	{
		char		character = (char) code;
		uint8_t    *result = &header->ascii[code];

		/* white space at a text's ends may be stripped, but between words it is none's in any case */
		if (!becomes(builder, &probe, &character, 1, result))
			return false;
		if (tok_is_space(*result) || (*result == 0 && code == ' '))
		{
			*result = ' ';
			header->ascii_class[code] |= ASCII_SPACE;
		}
		else if (header->model == MODEL_WORDPIECE && tok_is_punctuation(*result))
			header->ascii_class[code] |= ASCII_ALONE;
	}
	/* the two are one grapheme to the character map */
	if (!becomes(builder, &probe, "\r\n", 2, &line_end))
		return false;
	if (!tok_is_space(line_end) && builder->sections[SECTION_CHARSMAP].size > 0)
		header->ascii['\r'] = 0;
	for (int code = 1; code < 0x80; code++)
		header->ascii_class[code] |= header->ascii[code] != 0 ? ASCII_PLAIN : 0;
	return true;
}
