/*
 * normalize.c
 *	  The normalizers, with each letter's alignment.
 *
 * A normalizer is, as in Hugging Face's tokenizers, a list of changes: a letter
 * takes the place of the next old letter, or it is new and shares the alignment
 * of the old letter before, or old letters go.  Several answers of theirs that
 * look like mistakes follow from this account, and so they do here.
 */
#include "tokenizer/encode/encoder.h"

#include <string.h>

static inline void
add(Letters *out, Letter letter, uint32_t code)
{
	letter.code = code;
	out->items[out->count++] = letter;
}

/* Append a string of a step's; each letter shares an alignment. */
static bool
add_string(Encoder *encoder, Letters *out, const StepString *string, Letter letter)
{
	if (!tok_letters_reserve(encoder, out, string->count))
		return false;
	for (uint32_t i = 0; i < string->count; i++)
		add(out, letter, string->codes[i]);
	return true;
}

/* ---- replacing ---- */

/* What replaces a match takes the alignment of the match's last letter. */
static bool
run_replace(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	const StepString *pattern = &stage->step->pattern;
	const Letter *in = stage->in.items;
	size_t		count = stage->in.count;
	size_t		i = 0;

	if (!tok_letters_reserve(encoder, out, count))
		return false;
	while (i < count)
	{
		size_t		length = 0;

		while (length < pattern->count && i + length < count && in[i + length].code == pattern->codes[length])
			length++;
		if (length < pattern->count)
		{
			if (i + length == count && !last)
				break;			/* it may go on */
			out->items[out->count++] = in[i++];
			continue;
		}
		i += length;
		if (!add_string(encoder, out, &stage->step->content, in[i - 1]) ||
			!tok_letters_reserve(encoder, out, count - i))
			return false;
	}
	*consumed = i;
	return true;
}

/* Two or more spaces; head counts those that were not let through yet. */
static bool
run_replace_spaces(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	if (!tok_letters_reserve(encoder, out, stage->in.count))
		return false;
	for (size_t i = 0; i <= stage->in.count; i++)
	{
		if (i < stage->in.count && stage->in.items[i].code == ' ')
		{
			stage->letter = stage->in.items[i];
			stage->head++;
			continue;
		}
		if (i == stage->in.count && !last)
			break;
		if (stage->head == 1 ? !tok_letters_push(encoder, out, stage->letter)
			: stage->head > 1 && !add_string(encoder, out, &stage->step->content, stage->letter))
			return false;
		stage->head = 0;
		if (i < stage->in.count && !tok_letters_push(encoder, out, stage->in.items[i]))
			return false;
	}
	return true;
}

static bool
run_prepend(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	if (!stage->started && stage->in.count > 0)
	{
		stage->started = true;
		if (!add_string(encoder, out, &stage->step->content, stage->in.items[0]))
			return false;
	}
	return tok_letters_append(encoder, out, stage->in.items, stage->in.count);
}

/* ---- characters one by one ---- */

/*
 * Steps that look at nothing but a character run in one stage.  Stages remember
 * what became of characters.  A decomposition is one of them when all marks
 * are dropped right behind it: then their order does not matter.
 */
#define CACHE_SIZE		512
#define POOL_SIZE		2048
#define MOST_FRESH		(MOST_PARTS * 2 * 3)	/* of a character: decomposed, lower case, set apart */

typedef struct Cache
{
	struct
	{
		uint32_t	key;		/* the character + 1 */
		uint16_t	first;		/* in pool */
		uint16_t	count;
	}			entries[CACHE_SIZE];
	uint32_t	pool[POOL_SIZE];
	size_t		used;
} Cache;

/* What a step makes of a character: how many codes. */
static int
map_code(int32_t operation, uint32_t code, uint32_t out[MOST_PARTS])
{
	out[0] = code;
	switch (operation)
	{
		case STEP_NFD:
		case STEP_NFKD:
			return tok_decompose(code, operation == STEP_NFKD, out);
		case STEP_LOWER:
			return tok_lower(code, out);
		case STEP_STRIP_MARKS:
			return !tok_is(code, IS_MARK);
		case STEP_STRIP_NONSPACING:
			return !tok_is(code, IS_NONSPACING);
		case STEP_CLEAN:
			if (tok_is_space(code) && !tok_is(code, IS_CONTROL))
				out[0] = ' ';
			return !tok_is(code, IS_CONTROL);
		default:				/* STEP_IDEOGRAPHS */
			if (!tok_is_ideograph(code))
				return 1;
			out[0] = out[2] = ' ';
			out[1] = code;
			return 3;
	}
}

static int
map_character(const Stage *stage, uint32_t code, uint32_t out[MOST_FRESH])
{
	int			count = 1;

	out[0] = code;
	for (size_t i = 0; i < stage->step_count; i++)
	{
		uint32_t	from[MOST_FRESH];
		int			n = count;

		memcpy(from, out, count * sizeof(uint32_t));
		count = 0;
		for (int j = 0; j < n; j++)
		{
			uint32_t	parts[MOST_PARTS];
			int			part_count = map_code(stage->step[i].operation, from[j], parts);

			for (int k = 0; k < part_count && count < MOST_FRESH; k++)
				out[count++] = parts[k];
		}
	}
	return count;
}

static bool
make_cache(Encoder *encoder, Stage *stage)
{
	if (stage->cache != NULL)
		return true;
	stage->cache = AlbertArenaAlloc(encoder->arena, sizeof(Cache));
	if (stage->cache == NULL)
		return AlbertNoMemory(encoder->status);
	memset(stage->cache->entries, 0, sizeof(stage->cache->entries));
	stage->cache->used = 0;
	return true;
}

/* Remember in its slot what becomes of a character. */
static void
remember(Stage *stage, uint32_t code, size_t slot)
{
	Cache	   *cache = stage->cache;
	uint32_t	fresh[MOST_FRESH];
	int			count = map_character(stage, code, fresh);

	if (cache->used + count > POOL_SIZE)
	{
		memset(cache->entries, 0, sizeof(cache->entries));
		cache->used = 0;
	}
	memcpy(cache->pool + cache->used, fresh, count * sizeof(uint32_t));
	cache->entries[slot].key = code + 1;
	cache->entries[slot].first = (uint16_t) cache->used;
	cache->entries[slot].count = (uint16_t) count;
	cache->used += count;
}

/* What the stage's steps make of a character: how many codes. */
static inline int
look_up(Stage *stage, uint32_t code, const uint32_t **codes)
{
	Cache	   *cache = stage->cache;
	size_t		slot = code < 0x80 ? code : 0x80 + code % (CACHE_SIZE - 0x80);

	if (cache->entries[slot].key != code + 1)
		remember(stage, code, slot);
	*codes = cache->pool + cache->entries[slot].first;
	return cache->entries[slot].count;
}

/* ---- Unicode forms ---- */

/*
 * A run of letters that may have to change places is held as pairs of a code
 * and the place of its old letter; HELD_NEW marks a code that shares the old
 * letter before.
 */
#define HELD_NEW		0x80000000u
#define HELD_CODE		0x7FFFFFFFu

static inline int
held_class(Letter letter)
{
	return tok_combining_class(letter.code & HELD_CODE);
}

/* Most runs are in canonical order: a letter with one mark, or with several as they are written. */
static bool
is_ordered(const Letters *held)
{
	for (size_t i = 1; i < held->count; i++)
		if (held_class(held->items[i]) < held_class(held->items[i - 1]))
			return false;
	return true;
}

/* The held run's codes in canonical order, equal classes keeping theirs. */
static void
order_codes(const Letters *held, uint32_t *codes)
{
	size_t		at[257] = {0};	/* by class, where its next code goes */

	for (size_t i = 0; i < held->count; i++)
		at[held_class(held->items[i]) + 1]++;
	for (int class = 1; class < 257; class++)
		at[class] += at[class - 1];
	for (size_t i = 0; i < held->count; i++)
		codes[at[held_class(held->items[i])]++] = held->items[i].code;
}

/* The old letters' places stay in order, whatever moves. */
static inline void
add_held(Stage *stage, Letters *out, uint32_t code)
{
	if ((code & HELD_NEW) == 0)
	{
		while (stage->held.items[stage->head].code & HELD_NEW)
			stage->head++;
		stage->letter = stage->held.items[stage->head++];
	}
	add(out, stage->letter, code & HELD_CODE);
}

/* Let the held run through.  Its first letter is a starter, unless the text begins with a mark. */
static bool
flush_run(Encoder *encoder, Stage *stage, Letters *out)
{
	Letters    *held = &stage->held;
	uint32_t   *codes;
	AlbertArenaMark mark;

	if (!tok_letters_reserve(encoder, out, held->count))
		return false;
	stage->head = 0;
	if (is_ordered(held))
		for (size_t i = 0; i < held->count; i++)
			add_held(stage, out, held->items[i].code);
	else
	{
		mark = AlbertArenaGetMark(encoder->arena);
		codes = AlbertArenaArray(encoder->arena, held->count, sizeof(uint32_t));
		if (codes == NULL)
			return AlbertNoMemory(encoder->status);
		order_codes(held, codes);
		for (size_t i = 0; i < held->count; i++)
			add_held(stage, out, codes[i]);
		AlbertArenaRewind(encoder->arena, mark);
	}
	held->count = 0;
	return true;
}

static bool
run_decompose(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	if (!make_cache(encoder, stage))
		return false;
	for (size_t i = 0; i < stage->in.count; i++)
	{
		Letter		letter = stage->in.items[i];
		const uint32_t *parts;
		int			n = look_up(stage, letter.code, &parts);

		if (!tok_letters_reserve(encoder, &stage->held, MOST_PARTS))
			return false;
		for (int j = 0; j < n; j++)
		{
			if (tok_combining_class(parts[j]) == 0 && !flush_run(encoder, stage, out))
				return false;
			add(&stage->held, letter, parts[j] | (j > 0 ? HELD_NEW : 0));
		}
	}
	return !last || flush_run(encoder, stage, out);
}

static bool
run_characters(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	if (!make_cache(encoder, stage) || !tok_letters_reserve(encoder, out, stage->in.count))
		return false;
	for (size_t i = 0; i < stage->in.count; i++)
	{
		Letter		letter = stage->in.items[i];
		const uint32_t *codes;
		int			n = look_up(stage, letter.code, &codes);

		if (!tok_letters_reserve(encoder, out, n))
			return false;
		for (int j = 0; j < n; j++)
			add(out, letter, codes[j]);
	}
	return true;
}

/* Does the first step look at nothing but a character? */
static bool
looks_at_characters(const Step *steps, size_t count)
{
	switch (steps[0].operation)
	{
		case STEP_NFD:
		case STEP_NFKD:
			return count > 1 && steps[1].operation == STEP_STRIP_MARKS;
		case STEP_STRIP_MARKS:
		case STEP_STRIP_NONSPACING:
		case STEP_LOWER:
		case STEP_CLEAN:
		case STEP_IDEOGRAPHS:
			return true;
		default:
			return false;
	}
}

/* ---- white space at the ends ---- */

static bool
run_strip_left(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	if (!tok_letters_reserve(encoder, out, stage->in.count))
		return false;
	for (size_t i = 0; i < stage->in.count; i++)
	{
		stage->started = stage->started || !tok_is_space(stage->in.items[i].code);
		if (stage->started)
			out->items[out->count++] = stage->in.items[i];
	}
	return true;
}

/* White space is held until something follows it. */
static bool
run_strip_right(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	Letters    *held = &stage->held;

	for (size_t i = 0; i < stage->in.count; i++)
	{
		Letter		letter = stage->in.items[i];

		if (tok_is_space(letter.code))
		{
			if (!tok_letters_push(encoder, held, letter))
				return false;
			continue;
		}
		if (!tok_letters_append(encoder, out, held->items, held->count) || !tok_letters_push(encoder, out, letter))
			return false;
		held->count = 0;
	}
	return true;
}

StageFunction
tok_normalizer(const Step *steps, size_t count, size_t *taken)
{
	static const StageFunction functions[] = {
		[STEP_REPLACE] = run_replace,
		[STEP_REPLACE_SPACES] = run_replace_spaces,
		[STEP_PREPEND] = run_prepend,
		[STEP_NFD] = run_decompose,
		[STEP_NFKD] = run_decompose,
		[STEP_STRIP_LEFT] = run_strip_left,
		[STEP_STRIP_RIGHT] = run_strip_right,
		[STEP_CHARSMAP] = tok_charsmap_stage
	};

	for (*taken = 0; *taken < count && looks_at_characters(steps + *taken, count - *taken); (*taken)++)
		;
	if (*taken > 0)
		return run_characters;
	*taken = 1;
	return functions[steps[0].operation];
}
