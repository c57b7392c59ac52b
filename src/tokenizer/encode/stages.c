/*
 * stages.c
 *	  Running a text's letters through the steps of an image, block by block.
 */
#include "tokenizer/encode/encoder.h"

#include <string.h>

#define BLOCK		256			/* letters read at once */

bool
tok_make_stages(Encoder *encoder, StageFunction sink)
{
	const Step *steps = TABLE(encoder->tokenizer, SECTION_STEPS, Step);
	size_t		step_count = SECTION_ITEMS(encoder->header, SECTION_STEPS, Step);
	Stage	   *stage;

	encoder->stages = AlbertArenaAllocZero(encoder->arena, (step_count + 1) * sizeof(Stage));
	if (encoder->stages == NULL)
		return AlbertNoMemory(encoder->status);
	stage = encoder->stages;
	for (size_t i = 0; i < step_count; i += stage->step_count, stage++)
	{
		stage->step = &steps[i];
		stage->run = tok_normalizer(&steps[i], step_count - i, &stage->step_count);
	}
	stage->run = sink;
	encoder->stage_count = stage + 1 - encoder->stages;
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
		stage->head = 0;
		stage->in.count = stage->held.count = 0;
		memset(&stage->letter, 0, sizeof(stage->letter));
	}
}

/* What each stage makes of its input goes to the next one. */
static bool
run_stages(Encoder *encoder, bool last)
{
	for (size_t i = 0; i < encoder->stage_count; i++)
	{
		Stage	   *stage = &encoder->stages[i];
		Letters    *in = &stage->in;
		size_t		consumed = in->count;

		if (!stage->run(encoder, stage, i + 1 < encoder->stage_count ? &stage[1].in : NULL, last, &consumed))
			return false;
		in->count -= consumed;
		if (in->count > 0 && consumed > 0)
			memmove(in->items, in->items + consumed, in->count * sizeof(Letter));
	}
	return true;
}

/* Run a fragment of text, whose first code point is base, through the stages. */
bool
tok_run_stages(Encoder *encoder, const char *text, size_t size, int32_t base)
{
	Letters    *in = &encoder->stages[0].in;
	size_t		at = 0;

	start_stages(encoder);
	do
	{
		size_t		from = at;

		if (tok_interrupted(encoder) || !tok_letters_reserve(encoder, in, BLOCK))
			return false;
		for (int n = 0; n < BLOCK && at < size; n++)
		{
			Letter	   *letter = &in->items[in->count++];

			at += tok_utf8_decode(text + at, &letter->code);
			letter->place = base++;
		}
		encoder->done += at - from;
		if (!run_stages(encoder, at == size))
			return false;
	} while (at < size);
	return true;
}

/* ---- normalizing alone ---- */

/* The word gathers the normalized text, without places. */
static bool
gather_stage(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	Word	   *word = &encoder->word;

	if (!AlbertArenaReserve(encoder->arena, &word->text, word->size, stage->in.count * 4, 1, &word->room))
		return AlbertNoMemory(encoder->status);
	for (size_t i = 0; i < stage->in.count; i++)
		word->size += tok_utf8_encode(stage->in.items[i].code, word->text + word->size);
	return true;
}

bool
tok_normalize(const AlbertTokenizer *tokenizer, const char *text, size_t size, AlbertArena *arena,
			  AlbertText *result, AlbertStatus *status)
{
	Encoder		encoder = {.tokenizer = tokenizer, .header = HEADER(tokenizer), .arena = arena, .status = status};

	if (!tok_make_stages(&encoder, gather_stage) || !tok_run_stages(&encoder, text, size, 0))
		return false;
	*result = (AlbertText) {(const char *) encoder.word.text, encoder.word.size};
	return true;
}
