/*
 * charsmap.c
 *	  The normalizer that applies sentencepiece's precompiled character map, a
 *	  Darts double array from character sequences to their replacements.
 *
 * The compiler has seen to it that no walk through the map leaves it.
 */
#include "tokenizer/encode/encoder.h"

#define LONG_GRAPHEME	6		/* bytes */

/* What a text becomes: how many codes, -1 if it stays.  The shortest key that it starts with decides. */
static int
find(const AlbertTokenizer *tokenizer, const unsigned char *text, size_t size, uint32_t codes[MOST_REPLACEMENT])
{
	const uint32_t *units = TABLE(tokenizer, SECTION_CHARSMAP, uint32_t);
	const char *replacement = TABLE(tokenizer, SECTION_CHARSMAP_TEXT, char);
	size_t		node = DARTS_OFFSET(units[0]);
	int			count = 0;

	for (size_t i = 0; i < size; i++)
	{
		uint32_t	unit;

		node ^= text[i];
		unit = units[node];
		if (DARTS_LABEL(unit) != text[i])
			return -1;
		node ^= DARTS_OFFSET(unit);
		if (!DARTS_HAS_LEAF(unit))
			continue;
		replacement += DARTS_VALUE(units[node]);
		while (*replacement != '\0')
			replacement += tok_utf8_decode(replacement, &codes[count++]);
		return count;
	}
	return -1;
}

/*
 * Old letters become what replaces them: new ones beyond their number are
 * inserted, missing ones go with the last.  Old letters that are deleted before
 * any new one is there are not accounted for: all that follow are then aligned
 * with letters so many places before them.  The old letters' alignments queue
 * in held, from head on; where nothing was deleted, the queue is empty.
 */
static bool
replace(Encoder *encoder, Stage *stage, const Letter *old, int old_count, const uint32_t *codes, int count)
{
	Letters    *held = &stage->held;
	int32_t		place = 0;

	for (int i = 0; i < old_count; i++)
		if (!tok_letters_push(encoder, held, old[i]))
			return false;
	stage->started = stage->started || count > 0;
	for (int i = 0; i < count || (stage->started && i < old_count); i++)
	{
		if (i < old_count)
			place = held->items[stage->head++].place;
		if (i < count && !tok_give(encoder, stage + 1, (Letter) {codes[i], place}))
			return false;
	}
	if (stage->head == held->count)
		stage->head = held->count = 0;
	return true;
}

static inline bool
replace_letter(Encoder *encoder, Stage *stage, Letter letter)
{
	uint32_t   *unmapped = &encoder->unmapped[letter.code % UNMAPPED];
	uint32_t	codes[MOST_REPLACEMENT];
	unsigned char bytes[4];

	if (*unmapped != letter.code + 1)
	{
		int			count = find(encoder->tokenizer, bytes, tok_utf8_encode(letter.code, bytes), codes);

		if (count >= 0)
			return replace(encoder, stage, &letter, 1, codes, count);
		*unmapped = letter.code + 1;
	}
	if (stage->held.count > 0)
		return replace(encoder, stage, &letter, 1, &letter.code, 1);
	stage->started = true;
	return tok_give(encoder, stage + 1, letter);
}

/* The letters that are ahead, which are a grapheme of less than six bytes, or part of a longer one. */
static bool
replace_ahead(Encoder *encoder, Stage *stage)
{
	const Letters *ahead = &stage->ahead;
	unsigned char bytes[LONG_GRAPHEME];
	uint32_t	codes[MOST_REPLACEMENT];
	size_t		size = 0;
	int			count = -1;
	bool		good = true;

	if (ahead->count > 1 && stage->size < LONG_GRAPHEME)
	{
		for (size_t i = 0; i < ahead->count; i++)
			size += tok_utf8_encode(ahead->items[i].code, bytes + size);
		count = find(encoder->tokenizer, bytes, size, codes);
	}
	if (count >= 0)
		good = replace(encoder, stage, ahead->items, (int) ahead->count, codes, count);
	else
		for (size_t i = 0; good && i < ahead->count; i++)
			good = replace_letter(encoder, stage, ahead->items[i]);
	stage->ahead.count = 0;
	return good;
}

/* A grapheme of less than six bytes goes as a whole, when its beginning has an entry; else each letter for itself. */
bool
tok_take_mapped(Encoder *encoder, Stage *stage, Letter letter)
{
	uint32_t	before = stage->before;
	bool		ends = (tok_is_printable_ascii(before) && tok_is_printable_ascii(letter.code)) ||
		tok_grapheme_break(before, letter.code, &stage->grapheme);

	stage->before = letter.code;
	if (ends)
		stage->grapheme = 0;
	if (ends && stage->ahead.count == 1)
	{
		/* most letters are graphemes by themselves: what follows comes to this */
		Letter		ahead = {before, stage->ahead.items[0].place};

		stage->ahead.items[0] = letter;
		stage->size = tok_utf8_size(letter.code);
		return replace_letter(encoder, stage, ahead);
	}
	if (ends)
	{
		if (!replace_ahead(encoder, stage))
			return false;
		stage->size = 0;
	}
	stage->size += tok_utf8_size(letter.code);
	return tok_letters_push(encoder, &stage->ahead, letter) &&
		(stage->size < LONG_GRAPHEME || replace_ahead(encoder, stage));
}

bool
tok_finish_mapped(Encoder *encoder, Stage *stage)
{
	return replace_ahead(encoder, stage);
}
