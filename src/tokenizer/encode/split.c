/*
 * split.c
 *	  The pre-tokenizers: which letters begin a word, and which are none's.
 *
 * Words are worked on one by one in the reference; here a letter that begins
 * one carries LETTER_BEGINS, and the first letter does in any case.
 */
#include "tokenizer/encode/encoder.h"

/* Does the letter start a word that no step before this one began? */
static inline bool
begins(Stage *stage, uint32_t code)
{
	bool		begin = stage->pending || !stage->started || (code & LETTER_BEGINS) != 0;

	stage->started = true;
	stage->pending = false;
	return begin;
}

static inline void
add(Letters *out, Letter letter, uint32_t code, bool begin)
{
	letter.code = code | (begin ? LETTER_BEGINS : 0);
	out->items[out->count++] = letter;
}

/* A token is a word of its own. */
static inline bool
pass_token(Stage *stage, Letters *out, Letter letter)
{
	if ((letter.code & LETTER_TOKEN) == 0)
		return false;
	out->items[out->count++] = letter;
	stage->pending = true;
	return true;
}

/* At white space, which is dropped, around punctuation, or before word marks. */
static bool
run_split(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	int32_t		operation = stage->step->operation;

	if (!tok_letters_reserve(encoder, out, stage->in.count))
		return false;
	for (size_t i = 0; i < stage->in.count; i++)
	{
		Letter		letter = stage->in.items[i];
		uint32_t	code = letter.code & LETTER_CODE;

		if (pass_token(stage, out, letter))
			continue;
		if (operation == STEP_SPLIT_SPACES && tok_is_space(code))
			stage->pending = true;
		else if (operation == STEP_SPLIT_PUNCTUATION && tok_is_punctuation(code))
		{
			add(out, letter, code, true);
			stage->pending = true;
		}
		else
			add(out, letter, code, begins(stage, letter.code) ||
				(operation == STEP_SPLIT_MARKS && code == WORD_MARK_CODE));
	}
	*consumed = stage->in.count;
	return true;
}

/* Spaces become word marks, and a word gets one at its start if it has none. */
static bool
run_metaspace(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	int32_t		operation = stage->step->operation;

	if (!tok_letters_reserve(encoder, out, 2 * stage->in.count))
		return false;
	for (size_t i = 0; i < stage->in.count; i++)
	{
		Letter		letter = stage->in.items[i];
		uint32_t	code = letter.code & LETTER_CODE;
		bool		begin;

		if (pass_token(stage, out, letter))
			continue;
		if (code == ' ')
			code = WORD_MARK_CODE;
		begin = begins(stage, letter.code);
		if (begin && code != WORD_MARK_CODE &&
			(operation == STEP_METASPACE_ALWAYS || (operation == STEP_METASPACE_FIRST && letter.start == 0)))
		{
			add(out, letter, WORD_MARK_CODE, true);
			begin = false;
		}
		add(out, letter, code, begin);
	}
	*consumed = stage->in.count;
	return true;
}

/* What ALBERT's files have one after another: white space goes, and each word begins with a mark. */
static bool
run_marked_words(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	if (!tok_letters_reserve(encoder, out, 2 * stage->in.count))
		return false;
	for (size_t i = 0; i < stage->in.count; i++)
	{
		Letter		letter = stage->in.items[i];

		if (pass_token(stage, out, letter))
			continue;
		if (tok_is_space(letter.code))
		{
			stage->pending = true;
			continue;
		}
		if (begins(stage, letter.code) && letter.code != WORD_MARK_CODE)
			add(out, letter, WORD_MARK_CODE, true);
		add(out, letter, letter.code, letter.code == WORD_MARK_CODE);
	}
	*consumed = stage->in.count;
	return true;
}

static bool
are_marked_words(const Step *steps, size_t count)
{
	return count == 3 && steps[0].operation == STEP_SPLIT_SPACES && steps[1].operation == STEP_METASPACE_ALWAYS &&
		steps[2].operation == STEP_SPLIT_MARKS;
}

StageFunction
tok_pre_tokenizer(const Step *steps, size_t count, size_t *taken)
{
	*taken = 1;
	if (are_marked_words(steps, count))
	{
		*taken = 3;
		return run_marked_words;
	}
	switch (steps[0].operation)
	{
		case STEP_SPLIT_SPACES:
		case STEP_SPLIT_PUNCTUATION:
		case STEP_SPLIT_MARKS:
			return run_split;
		case STEP_METASPACE_ALWAYS:
		case STEP_METASPACE_FIRST:
		case STEP_METASPACE_NEVER:
			return run_metaspace;
		default:
			return NULL;
	}
}
