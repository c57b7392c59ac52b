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

#define SLICE			4096	/* letters let through at once of a long run */
#define SHORT_RUN		32

static inline void
add(Letters *out, Letter letter, uint32_t code)
{
	letter.code = code;
	out->items[out->count++] = letter;
}

static const uint32_t *
step_codes(const Encoder *encoder)
{
	return TABLE(encoder->tokenizer, SECTION_STEP_CODES, uint32_t);
}

/* Append a string of a step's; each letter shares an alignment. */
static bool
add_string(Encoder *encoder, Letters *out, uint32_t first, uint32_t count, Letter letter)
{
	if (!tok_letters_reserve(encoder, out, count))
		return false;
	for (uint32_t i = 0; i < count; i++)
		add(out, letter, step_codes(encoder)[first + i]);
	return true;
}

/* ---- replacing ---- */

/* What replaces a match takes the alignment of the match's last letter. */
static bool
run_replace(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	const Step *step = stage->step;
	const uint32_t *pattern = step_codes(encoder) + step->first;
	const Letter *in = stage->in.items;
	size_t		count = stage->in.count;
	size_t		i = 0;

	if (!tok_letters_reserve(encoder, out, count))
		return false;
	while (i < count)
	{
		size_t		length = 0;

		while (length < step->first_count && i + length < count && in[i + length].code == pattern[length])
			length++;
		if (length < step->first_count)
		{
			if (i + length == count && !last)
				break;			/* it may go on */
			out->items[out->count++] = in[i++];
			continue;
		}
		i += length;
		if (!add_string(encoder, out, step->second, step->second_count, in[i - 1]) ||
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
	const Step *step = stage->step;

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
			: stage->head > 1 && !add_string(encoder, out, step->second, step->second_count, stage->letter))
			return false;
		stage->head = 0;
		if (i < stage->in.count && !tok_letters_push(encoder, out, stage->in.items[i]))
			return false;
	}
	*consumed = stage->in.count;
	return true;
}

static bool
run_prepend(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	const Step *step = stage->step;

	if (!stage->started && stage->in.count > 0)
	{
		stage->started = true;
		if (!add_string(encoder, out, step->first, step->first_count, stage->in.items[0]))
			return false;
	}
	*consumed = stage->in.count;
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
#define MOST_CODES		(MOST_PARTS * 2 * 3)	/* of a character: decomposed, lower case, set apart */

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
			return !tok_is_mark(code);
		case STEP_STRIP_NONSPACING:
			return !tok_is_nonspacing(code);
		case STEP_CLEAN:
			if (tok_is_space(code) && !tok_is_control(code))
				out[0] = ' ';
			return !tok_is_control(code);
		default:				/* STEP_IDEOGRAPHS */
			if (!tok_is_ideograph(code))
				return 1;
			out[0] = out[2] = ' ';
			out[1] = code;
			return 3;
	}
}

static int
map_character(const Stage *stage, uint32_t code, uint32_t out[MOST_CODES])
{
	int			count = 1;

	out[0] = code;
	for (size_t i = 0; i < stage->step_count; i++)
	{
		uint32_t	from[MOST_CODES];
		int			n = count;

		memcpy(from, out, count * sizeof(uint32_t));
		count = 0;
		for (int j = 0; j < n; j++)
		{
			uint32_t	parts[MOST_PARTS];
			int			part_count = map_code(stage->step[i].operation, from[j], parts);

			for (int k = 0; k < part_count && count < MOST_CODES; k++)
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

/* What the stage's steps make of a character: how many codes. */
static inline int
look_up(Stage *stage, uint32_t code, const uint32_t **codes)
{
	Cache	   *cache = stage->cache;
	size_t		slot = code < 0x80 ? code : 0x80 + code % (CACHE_SIZE - 0x80);

	if (cache->entries[slot].key != code + 1)
	{
		uint32_t	fresh[MOST_CODES];
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
	*codes = cache->pool + cache->entries[slot].first;
	return cache->entries[slot].count;
}

/* ---- Unicode forms ---- */

/*
 * A run of letters that may have to change places is held as pairs of a code
 * and its old letter: the code in code, the old letter's alignment in start and
 * stop; HELD_NEW marks a code that shares the old letter before.
 */
#define HELD_NEW		0x80000000u
#define HELD_CODE		0x7FFFFFFFu

static void
order_short(const Letters *held, uint32_t *codes)
{
	int			classes[SHORT_RUN];

	for (size_t i = 0; i < held->count; i++)
	{
		int			class = tok_combining_class(held->items[i].code & HELD_CODE);
		size_t		at = i;

		for (; at > 0 && classes[at - 1] > class; at--)
		{
			classes[at] = classes[at - 1];
			codes[at] = codes[at - 1];
		}
		classes[at] = class;
		codes[at] = held->items[i].code;
	}
}

static void
order_long(const Letters *held, uint32_t *codes)
{
	size_t		starts[257] = {0};

	for (size_t i = 0; i < held->count; i++)
		starts[tok_combining_class(held->items[i].code & HELD_CODE) + 1]++;
	for (int class = 1; class < 257; class++)
		starts[class] += starts[class - 1];
	for (size_t i = 0; i < held->count; i++)
		codes[starts[tok_combining_class(held->items[i].code & HELD_CODE)]++] = held->items[i].code;
}

/*
 * Put the held run into canonical order, equal classes keeping theirs.  Its
 * first letter is a starter, unless the text begins with a mark.
 */
static bool
order_run(Encoder *encoder, Stage *stage)
{
	Letters    *held = &stage->held;

	stage->run_codes = AlbertArenaArray(encoder->arena, held->count, sizeof(uint32_t));
	if (stage->run_codes == NULL)
		return AlbertNoMemory(encoder->status);
	if (held->count <= SHORT_RUN)
		order_short(held, stage->run_codes);
	else
		order_long(held, stage->run_codes);
	stage->run_at = stage->head = 0;
	stage->run_count = held->count;
	return true;
}

/* Let some of the ordered run through.  The old letters' alignments stay in order, whatever moves. */
static bool
release_run(Encoder *encoder, Stage *stage, Letters *out, size_t most)
{
	if (most > stage->run_count - stage->run_at)
		most = stage->run_count - stage->run_at;
	if (!tok_letters_reserve(encoder, out, most))
		return false;
	for (size_t n = 0; n < most; n++)
	{
		uint32_t	code = stage->run_codes[stage->run_at++];

		if ((code & HELD_NEW) == 0)
		{
			while (stage->held.items[stage->head].code & HELD_NEW)
				stage->head++;
			stage->letter = stage->held.items[stage->head++];
		}
		add(out, stage->letter, code & HELD_CODE);
	}
	if (stage->run_at == stage->run_count)
		stage->run_count = stage->held.count = 0;
	return true;
}

/* The held run is over: let it through at once if it is short, or has to; *whole tells. */
static bool
flush_run(Encoder *encoder, Stage *stage, Letters *out, bool at_once, bool *whole)
{
	AlbertArenaMark mark;

	*whole = true;
	if (stage->held.count <= 1)
	{
		if (!tok_letters_reserve(encoder, out, 1))
			return false;
		if (stage->held.count == 1)
			add(out, stage->letter = stage->held.items[0], stage->held.items[0].code & HELD_CODE);
		stage->held.count = 0;
		return true;
	}
	if (stage->held.count > SLICE && !at_once)
	{
		*whole = false;
		stage->more = true;
		return order_run(encoder, stage);
	}
	if (!tok_letters_reserve(encoder, out, stage->held.count))
		return false;
	mark = AlbertArenaGetMark(encoder->arena);
	if (!order_run(encoder, stage) || !release_run(encoder, stage, out, SIZE_MAX))
		return false;
	AlbertArenaRewind(encoder->arena, mark);
	return true;
}

static bool
run_decompose(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	bool		whole;

	if (!make_cache(encoder, stage))
		return false;
	if (stage->run_count > 0)
	{
		stage->more = true;
		return release_run(encoder, stage, out, SLICE);
	}
	for (size_t i = 0; i < stage->in.count; i++)
	{
		Letter		letter = stage->in.items[i];
		const uint32_t *parts;
		int			n = look_up(stage, letter.code, &parts);

		if (!tok_letters_reserve(encoder, &stage->held, MOST_PARTS))
			return false;
		for (int j = 0; j < n; j++)
		{
			if (tok_combining_class(parts[j]) == 0)
			{
				if (!flush_run(encoder, stage, out, j > 0, &whole))
					return false;
				if (!whole)
				{
					*consumed = i;
					return true;
				}
			}
			add(&stage->held, letter, parts[j] | (j > 0 ? HELD_NEW : 0));
		}
	}
	*consumed = stage->in.count;
	return !last || flush_run(encoder, stage, out, false, &whole);
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
	*consumed = stage->in.count;
	return true;
}

/* How many steps, from the first on, look at single characters; each kind is taken once. */
static size_t
count_character_steps(const Step *steps, size_t count)
{
	uint32_t	seen = 0;
	size_t		n = 0;

	for (; n < count && (seen & 1u << steps[n].operation) == 0; n++)
	{
		int32_t		operation = steps[n].operation;
		bool		decompose = operation == STEP_NFD || operation == STEP_NFKD;

		if (decompose && (n + 1 == count || steps[n + 1].operation != STEP_STRIP_MARKS))
			break;
		if (!decompose && operation != STEP_STRIP_MARKS && operation != STEP_STRIP_NONSPACING &&
			operation != STEP_LOWER && operation != STEP_CLEAN && operation != STEP_IDEOGRAPHS)
			break;
		seen |= 1u << operation;
		if (decompose)
			seen |= 1u << STEP_NFD | 1u << STEP_NFKD;
	}
	return n;
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
	*consumed = stage->in.count;
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
	*consumed = stage->in.count;
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
		[STEP_CHARSMAP] = tok_charsmap_stage,
		[STEP_IDEOGRAPHS] = NULL,
	};

	if (steps[0].operation <= 0 || steps[0].operation > STEP_IDEOGRAPHS)
		return NULL;
	*taken = count_character_steps(steps, count);
	if (*taken > 0)
		return run_characters;
	*taken = 1;
	return functions[steps[0].operation];
}
