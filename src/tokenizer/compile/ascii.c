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

/* Words between spaces, each with a word mark; or words and punctuation. */
static bool
splits_plainly(const TokenizerHeader *header)
{
	return header->split == (header->model == MODEL_UNIGRAM ? MARKED_WORDS : SPLIT_SPACES | SPLIT_PUNCTUATION);
}

/* Characters of a longer pattern must not meet; white space must be in none. */
static bool
note_pattern(TokenizerHeader *header, const StepString *pattern)
{
	for (uint32_t i = 0; i < pattern->count; i++)
	{
		uint32_t	code = pattern->codes[i];

		if (tok_is(code, IS_SPACE))
			return false;
		if (code >= 0x80 || pattern->count == 1)
			continue;
		header->ascii_class[code] |= ASCII_PAIRED;
		if (code >= 'a' && code <= 'z')
			header->ascii_class[code - 32] |= ASCII_PAIRED;
	}
	return true;
}

/* What is put in may not become part of a pattern, nor of a word if it stands for spaces. */
static bool
puts_in_plainly(const TokenizerHeader *header, const Step *step)
{
	for (uint32_t i = 0; i < step->content.count; i++)
	{
		uint32_t	code = step->content.codes[i];

		if ((code < 0x80 && (header->ascii_class[code] & ASCII_PAIRED) != 0) ||
			(step->operation == STEP_REPLACE_SPACES && !tok_is(code, IS_SPACE)))
			return false;
	}
	return step->operation != STEP_PREPEND;
}

static bool
normalizes_plainly(Builder *builder)
{
	size_t		count = SECTION_ITEMS(&builder->header, SECTION_STEPS, Step);

	for (size_t i = 0; i < count; i++)
		if (!note_pattern(&builder->header, &builder->steps[i].pattern))
			return false;
	for (size_t i = 0; i < count; i++)
		if (!puts_in_plainly(&builder->header, &builder->steps[i]))
			return false;
	return true;
}

/* The one ASCII character that a string becomes; 0 when it is another or none. */
static bool
becomes(Builder *builder, const char *text, size_t size, uint8_t *result)
{
	AlbertArenaMark mark = AlbertArenaGetMark(builder->arena);
	AlbertText	normal;

	if (!tok_normalize(&builder->tokenizer, text, size, builder->arena, &normal, builder->status))
		return false;
	*result = normal.size == 1 && (unsigned char) normal.data[0] < 0x80 ? (uint8_t) normal.data[0] : 0;
	AlbertArenaRewind(builder->arena, mark);
	return true;
}

bool
tok_builder_ascii(Builder *builder)
{
	TokenizerHeader *header = &builder->header;
	uint8_t		line_end;

	if (!splits_plainly(header) || header->sections[SECTION_ADDED_NORMALIZED].size > 0 ||
		!normalizes_plainly(builder))
		return true;
	for (int code = 1; code < 0x80; code++)
	{
		char		character = (char) code;
		uint8_t    *result = &header->ascii[code];

		/* white space at a text's ends may be stripped, but between words it is none's in any case */
		if (!becomes(builder, &character, 1, result))
			return false;
		if (tok_is(*result, IS_SPACE) || (*result == 0 && code == ' '))
		{
			*result = ' ';
			header->ascii_class[code] |= ASCII_SPACE;
		}
		else if (header->model == MODEL_WORDPIECE && tok_is(*result, IS_PUNCTUATION))
			header->ascii_class[code] |= ASCII_ALONE;
	}
	/* the two are one grapheme to the character map */
	if (!becomes(builder, "\r\n", 2, &line_end))
		return false;
	if (!tok_is(line_end, IS_SPACE) && header->sections[SECTION_CHARSMAP].size > 0)
		header->ascii['\r'] = 0;
	for (int code = 1; code < 0x80; code++)
		header->ascii_class[code] |= header->ascii[code] != 0 ? ASCII_PLAIN : 0;
	return true;
}
