/*
 * charsmap.c
 *	  The normalizer that applies sentencepiece's precompiled character map, a
 *	  Darts double array from character sequences to their replacements.
 *
 * The compiler has seen to it that no walk through the map leaves it.
 */
#include "tokenizer/encode/encoder.h"

#define UNMAPPED		256			/* characters that are remembered */

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
 * Old letters that are deleted before any new one is there are not accounted
 * for: all that follow are then aligned with letters so many places before
 * them.  The old letters' alignments queue in held, from head on; where nothing
 * was deleted, the queue is empty.
 */
static void
take_old(Stage *stage)
{
	stage->letter = stage->held.items[stage->head++];
	if (stage->head == stage->held.count)
		stage->head = stage->held.count = 0;
}

/* Old letters become what replaces them: new ones beyond their number are inserted, missing ones go with the last. */
static bool
map_part(Encoder *encoder, Stage *stage, Letters *out, const Letter *old, int old_count, const uint32_t *codes,
		 int count)
{
	if (!tok_letters_append(encoder, &stage->held, old, old_count) || !tok_letters_reserve(encoder, out, count))
		return false;
	stage->started = stage->started || count > 0;
	for (int i = 0; i < count || (stage->started && i < old_count); i++)
	{
		if (i < old_count)
			take_old(stage);
		if (i < count)
			out->items[out->count++] = (Letter) {codes[i], stage->letter.place};
	}
	return true;
}

static inline bool
map_letter(Encoder *encoder, Stage *stage, Letters *out, const Letter *old)
{
	uint32_t   *unmapped = &stage->unmapped[old->code % UNMAPPED];
	uint32_t	codes[MOST_REPLACEMENT];
	unsigned char bytes[4];
	int			count = -1;

	if (*unmapped != old->code + 1)
		count = find(encoder->tokenizer, bytes, tok_utf8_encode(old->code, bytes), codes);
	if (count >= 0)
		return map_part(encoder, stage, out, old, 1, codes, count);
	*unmapped = old->code + 1;
	if (stage->held.count > 0)
		return map_part(encoder, stage, out, old, 1, &old->code, 1);
	stage->letter = *old;
	stage->started = true;
	return tok_letters_push(encoder, out, *old);
}

#define LONG_GRAPHEME	6		/* bytes */

/* The letters of the grapheme at the input's start, or as many as make it long; false: it may go on. */
static bool
measure_grapheme(const Letters *in, size_t from, bool last, int32_t *state, size_t *count, size_t *size,
				 unsigned char bytes[LONG_GRAPHEME + 4])
{
	size_t		to = from;

	*state = 0;
	*size = 0;
	do
	{
		*size += tok_utf8_encode(in->items[to].code, bytes + *size);
		to++;
		if (to == in->count || *size >= LONG_GRAPHEME)
			break;
		if (tok_grapheme_break(in->items[to - 1].code, in->items[to].code, state))
			break;
	} while (true);
	*count = to - from;
	return *size >= LONG_GRAPHEME || to < in->count || last;
}

/* Is the letter a grapheme by itself?  Most are. */
static inline bool
is_grapheme(const Letters *in, size_t i)
{
	int32_t		state = 0;

	return i + 1 < in->count && tok_grapheme_break(in->items[i].code, in->items[i + 1].code, &state);
}

/* A grapheme of less than six bytes goes as a whole, when its beginning has an entry; else each letter for itself. */
bool
tok_charsmap_stage(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	const Letters *in = &stage->in;
	size_t		i = 0;

	if (stage->unmapped == NULL)
		stage->unmapped = AlbertArenaAllocZero(encoder->arena, UNMAPPED * sizeof(uint32_t));
	if (stage->unmapped == NULL)
		return AlbertNoMemory(encoder->status);
	while (i < in->count)
	{
		unsigned char bytes[LONG_GRAPHEME + 4];
		uint32_t	codes[MOST_REPLACEMENT];
		int			found = -1;
		size_t		count;
		size_t		size;

		if (stage->pending)		/* a long one goes on, or ends */
		{
			stage->pending = !tok_grapheme_break(stage->before, in->items[i].code, &stage->grapheme);
			stage->before = in->items[i].code;
		}
		if (stage->pending || is_grapheme(in, i))
		{
			if (!map_letter(encoder, stage, out, &in->items[i++]))
				return false;
			continue;
		}
		if (!measure_grapheme(in, i, last, &stage->grapheme, &count, &size, bytes))
			break;
		stage->pending = size >= LONG_GRAPHEME;
		stage->before = in->items[i + count - 1].code;
		if (!stage->pending && count > 1)
			found = find(encoder->tokenizer, bytes, size, codes);
		if (found >= 0)
		{
			if (!map_part(encoder, stage, out, &in->items[i], count, codes, found))
				return false;
			i += count;
			continue;
		}
		for (; count > 0; count--)
			if (!map_letter(encoder, stage, out, &in->items[i++]))
				return false;
	}
	*consumed = i;
	return true;
}
