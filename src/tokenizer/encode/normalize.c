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

/* Give a string of a step's to the next stage; each letter shares an alignment. */
static bool
give_string(Encoder *encoder, Stage *stage, const StepString *string, Letter letter)
{
	for (uint32_t i = 0; i < string->count; i++)
	{
		letter.code = string->codes[i];
		if (!tok_give(encoder, stage + 1, letter))
			return false;
	}
	return true;
}

bool
tok_give_held(Encoder *encoder, Stage *stage)
{
	for (size_t i = 0; i < stage->held.count; i++)
		if (!tok_give(encoder, stage + 1, stage->held.items[i]))
			return false;
	stage->held.count = 0;
	return true;
}

/* ---- replacing ---- */

static bool
begins_pattern(const Letters *letters, const StepString *pattern)
{
	for (size_t i = 0; i < letters->count; i++)
		if (letters->items[i].code != pattern->codes[i])
			return false;
	return true;
}

/* Letters that may be a match are held.  What replaces one takes the alignment of its last letter. */
static bool
take_replaced(Encoder *encoder, Stage *stage, Letter letter)
{
	const StepString *pattern = &stage->step->pattern;
	Letters    *held = &stage->held;

	if (held->count == 0 && letter.code != pattern->codes[0])
		return tok_give(encoder, stage + 1, letter);
	if (!tok_letters_push(encoder, held, letter))
		return false;
	while (!begins_pattern(held, pattern))
	{
		letter = held->items[0];
		memmove(held->items, held->items + 1, --held->count * sizeof(Letter));
		if (!tok_give(encoder, stage + 1, letter))
			return false;
	}
	if (held->count < pattern->count)
		return true;
	letter = held->items[held->count - 1];
	held->count = 0;
	return give_string(encoder, stage, &stage->step->content, letter);
}

/* Two or more spaces: the first and the latest are held. */
static bool
finish_spaces(Encoder *encoder, Stage *stage)
{
	if (stage->held.count < 2)
		return tok_give_held(encoder, stage);
	stage->held.count = 0;
	return give_string(encoder, stage, &stage->step->content, stage->held.items[1]);
}

static bool
take_spaces(Encoder *encoder, Stage *stage, Letter letter)
{
	if (letter.code != ' ')
		return finish_spaces(encoder, stage) && tok_give(encoder, stage + 1, letter);
	if (stage->held.count < 2)
		return tok_letters_push(encoder, &stage->held, letter);
	stage->held.items[1] = letter;
	return true;
}

static bool
take_prepended(Encoder *encoder, Stage *stage, Letter letter)
{
	bool		first = !stage->started;

	stage->started = true;
	return (!first || give_string(encoder, stage, &stage->step->content, letter)) &&
		tok_give(encoder, stage + 1, letter);
}

/* ---- characters one by one ---- */

/* What a step makes of a character that it looks at: how many codes. */
static int
map_code(int32_t operation, uint32_t code, uint32_t out[MOST_PARTS])
{
	switch (operation)
	{
		case STEP_NFD:
		case STEP_NFKD:
			return tok_decompose(code, operation == STEP_NFKD, out);
		case STEP_LOWER:
			return tok_lower(code, out);
		case STEP_CLEAN:
			out[0] = ' ';
			return !tok_is(code, IS_CONTROL);
		case STEP_IDEOGRAPHS:
			out[0] = out[2] = ' ';
			out[1] = code;
			return 3;
		default:				/* STEP_STRIP_MARKS, STEP_STRIP_NONSPACING */
			return 0;
	}
}

static bool
take_character(Encoder *encoder, Stage *stage, Letter letter)
{
	uint32_t	codes[MOST_PARTS];
	int			count = map_code(stage->step->operation, letter.code, codes);

	for (int i = 0; i < count; i++)
		if (!tok_give(encoder, stage + 1, (Letter) {codes[i], letter.place}))
			return false;
	return true;
}

/* ---- Unicode forms ---- */

/*
 * Marks that may have to change places are held as pairs of a code and the
 * place of its old letter; HELD_NEW marks a code that shares the old letter
 * before.  Of an acute accent and a dot below, the dot comes first: it takes the
 * accent's place in the text, and the accent the dot's.
 */
#define HELD_NEW		0x80000000u
#define HELD_CODE		0x7FFFFFFFu

static inline int
held_class(Letter letter)
{
	return tok_combining_class(letter.code & HELD_CODE);
}

/* Most marks are in canonical order: one of them, or several as they are written. */
static bool
is_ordered(const Letters *held)
{
	for (size_t i = 1; i < held->count; i++)
		if (held_class(held->items[i]) < held_class(held->items[i - 1]))
			return false;
	return true;
}

/* The held marks in canonical order, equal classes keeping theirs. */
static void
order_marks(const Letters *held, Letter *ordered)
{
	size_t		at[257] = {0};	/* by class, where its next mark goes */

	for (size_t i = 0; i < held->count; i++)
		at[held_class(held->items[i]) + 1]++;
	for (int class = 1; class < 257; class++)
		at[class] += at[class - 1];
	for (size_t i = 0; i < held->count; i++)
		ordered[at[held_class(held->items[i])]++] = held->items[i];
}

/* Let the held marks through.  The old letters' places stay in order, whatever moves. */
static bool
finish_decomposed(Encoder *encoder, Stage *stage)
{
	const Letters *held = &stage->held;
	const Letter *marks = held->items;
	size_t		old = 0;

	if (!is_ordered(held))
	{
		if (!tok_letters_reserve(encoder, &stage->ahead, held->count))
			return false;
		order_marks(held, stage->ahead.items);
		marks = stage->ahead.items;
	}
	for (size_t i = 0; i < held->count; i++)
	{
		if ((marks[i].code & HELD_NEW) == 0)
		{
			while (held->items[old].code & HELD_NEW)
				old++;
			stage->place = held->items[old++].place;
		}
		if (!tok_give(encoder, stage + 1, (Letter) {marks[i].code & HELD_CODE, stage->place}))
			return false;
	}
	stage->held.count = 0;
	return true;
}

/* Marks are held until something else follows. */
static bool
take_decomposed(Encoder *encoder, Stage *stage, Letter letter)
{
	uint32_t	parts[MOST_PARTS];
	int			count = tok_decompose(letter.code, stage->step->operation == STEP_NFKD, parts);

	for (int i = 0; i < count; i++)
	{
		if (tok_combining_class(parts[i]) > 0)
		{
			if (!tok_letters_push(encoder, &stage->held, (Letter) {parts[i] | (i > 0 ? HELD_NEW : 0), letter.place}))
				return false;
			continue;
		}
		if (!finish_decomposed(encoder, stage))
			return false;
		stage->place = letter.place;
		if (!tok_give(encoder, stage + 1, (Letter) {parts[i], letter.place}))
			return false;
	}
	return true;
}

/* ---- white space at the ends ---- */

static bool
take_stripped_left(Encoder *encoder, Stage *stage, Letter letter)
{
	stage->started = stage->started || !tok_is(letter.code, IS_SPACE);
	return !stage->started || tok_give(encoder, stage + 1, letter);
}

/* White space is held until something follows it. */
bool
tok_hold_space(Encoder *encoder, Stage *stage, Letter letter)
{
	if (tok_is(letter.code, IS_SPACE))
		return tok_letters_push(encoder, &stage->held, letter);
	return tok_give_held(encoder, stage) && tok_give(encoder, stage + 1, letter);
}

Stage
tok_step_stage(const Step *steps, size_t count)
{
	static const Stage stages[] = {
		[STEP_REPLACE] = {.take = take_replaced, .finish = tok_give_held},
		[STEP_REPLACE_SPACES] = {.take = take_spaces, .finish = finish_spaces, .looks_at = IS_SPACE},
		[STEP_PREPEND] = {.take = take_prepended},
		[STEP_NFD] = {.take = take_decomposed, .finish = finish_decomposed, .looks_at = IS_DECOMPOSED | IS_MARK},
		[STEP_NFKD] = {.take = take_decomposed, .finish = finish_decomposed, .looks_at = IS_DECOMPOSED | IS_MARK},
		[STEP_STRIP_MARKS] = {.take = take_character, .looks_at = IS_MARK},
		[STEP_STRIP_NONSPACING] = {.take = take_character, .looks_at = IS_NONSPACING},
		[STEP_LOWER] = {.take = take_character, .looks_at = IS_UPPER},
		[STEP_STRIP_LEFT] = {.take = take_stripped_left},
		[STEP_STRIP_RIGHT] = {.take = tok_hold_space, .looks_at = IS_SPACE},
		[STEP_CHARSMAP] = {.take = tok_take_mapped, .finish = tok_finish_mapped},
		[STEP_CLEAN] = {.take = take_character, .looks_at = IS_SPACE | IS_CONTROL},
		[STEP_IDEOGRAPHS] = {.take = take_character, .looks_at = IS_IDEOGRAPH}
	};
	int32_t		operation = steps[0].operation;
	Stage		stage = stages[operation];

	/* where all marks are dropped right behind it, the order of a decomposition's does not matter */
	if ((operation == STEP_NFD || operation == STEP_NFKD) && count > 1 && steps[1].operation == STEP_STRIP_MARKS)
		stage = (Stage) {.take = take_character, .looks_at = IS_DECOMPOSED};
	if (operation == STEP_REPLACE)
		stage.looks_at = tok_properties_of(steps[0].pattern.codes[0]);
	stage.step = steps;
	return stage;
}
