/*
 * charsmap.c
 *	  The normalizer that applies sentencepiece's precompiled character map, a
 *	  Darts double array from character sequences to their replacements.
 *
 * The map comes from the model's file, so every index is checked on the way.
 */
#include "tokenizer/encode/encoder.h"

#include <string.h>

#define UNMAPPED		256			/* characters that are remembered */

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

/* The shortest key that the text starts with decides, whatever follows it. */
static bool
find(const AlbertTokenizer *tokenizer, const unsigned char *text, size_t size, const char **replacement)
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

/*
 * Old letters that are deleted before any new one is there are not accounted
 * for: all that follow are then aligned with letters so many places before
 * them.  The old letters' alignments queue in held, from head on; where nothing
 * was deleted, the queue is empty.
 */
static bool
queue_old(Encoder *encoder, Stage *stage, const Letter *old, size_t count)
{
	Letters    *held = &stage->held;

	if (stage->head > 1024 && stage->head > held->count / 2)
	{
		held->count -= stage->head;
		memmove(held->items, held->items + stage->head, held->count * sizeof(Letter));
		stage->head = 0;
	}
	return tok_letters_append(encoder, held, old, count);
}

static void
take_old(Stage *stage)
{
	stage->letter = stage->held.items[stage->head++];
	if (stage->head == stage->held.count)
		stage->head = stage->held.count = 0;
}

/* Old letters become what replaces them: new ones beyond their number are inserted, missing ones go with the last. */
static bool
map_part(Encoder *encoder, Stage *stage, Letters *out, const Letter *old, size_t old_count, const char *replacement)
{
	size_t		size = strlen(replacement);
	size_t		count = 0;

	if (!queue_old(encoder, stage, old, old_count) || !tok_letters_reserve(encoder, out, size))
		return false;
	for (size_t at = 0; at < size; count++)
	{
		uint32_t	code;

		at += tok_utf8_decode(replacement + at, &code);
		if (count < old_count)
			take_old(stage);
		out->items[out->count++] = (Letter) {code, stage->letter.start, stage->letter.stop};
		stage->started = true;
	}
	for (; stage->started && count < old_count; count++)
		take_old(stage);
	return true;
}

static bool
map_letter(Encoder *encoder, Stage *stage, Letters *out, const Letter *old)
{
	unsigned char bytes[4];
	const char *replacement;
	size_t		size = tok_utf8_encode(old->code, bytes);

	if (find(encoder->tokenizer, bytes, size, &replacement))
		return map_part(encoder, stage, out, old, 1, replacement);
	stage->unmapped[old->code % UNMAPPED] = old->code + 1;
	stage->started = true;
	if (stage->held.count > 0)
	{
		if (!queue_old(encoder, stage, old, 1))
			return false;
		take_old(stage);
	}
	else
		stage->letter = *old;
	return tok_letters_push(encoder, out, (Letter) {old->code, stage->letter.start, stage->letter.stop});
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

/* Is the letter a grapheme by itself that the map leaves as it is?  Most are, and known to be. */
static inline bool
is_unmapped(Stage *stage, size_t i)
{
	const Letter *letter = &stage->in.items[i];
	int32_t		state = 0;

	return stage->unmapped[letter[0].code % UNMAPPED] == letter[0].code + 1 && i + 1 < stage->in.count &&
		!stage->pending && stage->held.count == 0 && tok_grapheme_break(letter[0].code, letter[1].code, &state);
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
		const char *replacement;
		size_t		count;
		size_t		size;

		if (is_unmapped(stage, i))
		{
			if (!tok_letters_reserve(encoder, out, in->count - i))
				return false;
			out->items[out->count++] = stage->letter = in->items[i++];
			stage->started = true;
			continue;
		}
		if (stage->pending)		/* a long one goes on, or ends */
		{
			stage->pending = !tok_grapheme_break(stage->before, in->items[i].code, &stage->grapheme);
			if (!stage->pending)
				continue;
			stage->before = in->items[i].code;
			if (!map_letter(encoder, stage, out, &in->items[i++]))
				return false;
			continue;
		}
		if (!measure_grapheme(in, i, last, &stage->grapheme, &count, &size, bytes))
			break;
		stage->pending = size >= LONG_GRAPHEME;
		stage->before = in->items[i + count - 1].code;
		if (!stage->pending && count > 1 && find(encoder->tokenizer, bytes, size, &replacement))
		{
			if (!map_part(encoder, stage, out, &in->items[i], count, replacement))
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
