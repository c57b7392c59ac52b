/*
 * stages.c
 *	  Running a text's letters through the steps of an image.
 */
#include "tokenizer/encode/encoder.h"

#define POLL_LETTERS	256

/* Stages for the steps, with one behind them that takes what comes out. */
static bool
make_stages(Encoder *encoder, Stage last)
{
	const Step *steps = TABLE(encoder->tokenizer, SECTION_STEPS, Step);
	size_t		step_count = SECTION_ITEMS(encoder->header, SECTION_STEPS, Step);
	Stage	   *stage = AlbertArenaArray(encoder->arena, step_count + 2, sizeof(Stage));

	encoder->stages = stage;
	encoder->unmapped = AlbertArenaAllocZero(encoder->arena, UNMAPPED * sizeof(uint32_t));
	if (stage == NULL || encoder->unmapped == NULL)
		return AlbertNoMemory(encoder->status);
	for (size_t i = 0; i < step_count; i++)
		*stage++ = tok_step_stage(&steps[i], step_count - i);
	if (encoder->header->sections[SECTION_ADDED_NORMALIZED].size > 0)
		*stage++ = (Stage) {.take = tok_take_matched, .finish = tok_finish_matched};
	*stage++ = last;
	encoder->stage_count = stage - encoder->stages;
	return true;
}

static void
start_stages(Encoder *encoder)
{
	for (size_t i = 0; i < encoder->stage_count; i++)
	{
		Stage	   *stage = &encoder->stages[i];

		stage->started = stage->pending = false;
		stage->grapheme = 0;
		stage->before = 0;
		stage->size = stage->head = 0;
		stage->place = 0;
		stage->ahead.count = stage->held.count = 0;
	}
}

static bool
run_stages(Encoder *encoder, const char *text, size_t size, int32_t base)
{
	Letter		letter = {.place = base};

	start_stages(encoder);
	for (size_t at = 0; at < size; letter.place++)
	{
		size_t		length = tok_utf8_decode(text + at, &letter.code);

		at += length;
		encoder->done += length;
		if (((letter.place - base) % POLL_LETTERS == 0 && tok_interrupted(encoder)) ||
			!tok_give(encoder, encoder->stages, letter))
			return false;
	}
	for (size_t i = 0; i < encoder->stage_count; i++)
	{
		Stage	   *stage = &encoder->stages[i];

		if (stage->finish != NULL && !stage->finish(encoder, stage))
			return false;
	}
	return true;
}

/* Run a fragment of text, whose first code point is base, through the stages. */
bool
tok_run_stages(Encoder *encoder, const char *text, size_t size, int32_t base)
{
	return (encoder->stages != NULL ||
			make_stages(encoder, (Stage) {.take = tok_take_word, .finish = tok_finish_word})) &&
		run_stages(encoder, text, size, base);
}

/* ---- normalizing alone ---- */

/* The word gathers the normalized text, without places. */
static bool
take_normal(Encoder *encoder, Stage *stage, Letter letter)
{
	Word	   *word = &encoder->word;

	if (!tok_grow(encoder, &word->text, word->size, 4, 0, 1, &word->room))
		return false;
	word->size += tok_utf8_encode(letter.code, word->text + word->size);
	return true;
}

bool
tok_normalize(const AlbertTokenizer *tokenizer, const char *text, size_t size, AlbertArena *arena,
			  AlbertText *result, AlbertStatus *status)
{
	Encoder		encoder = {.tokenizer = tokenizer, .header = HEADER(tokenizer), .arena = arena, .status = status};

	if (!make_stages(&encoder, (Stage) {.take = take_normal}) || !run_stages(&encoder, text, size, 0))
		return false;
	*result = (AlbertText) {(const char *) encoder.word.text, encoder.word.size};
	return true;
}
