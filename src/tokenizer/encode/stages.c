/*
 * stages.c
 *	  Running a text's letters through the steps of an image, block by block.
 */
#include "tokenizer/encode/encoder.h"

#include <string.h>

#define BLOCK		256			/* letters read at once */

/* Stages for the first steps, and behind the normalizers one that finds added tokens. */
bool
tok_make_stages(Encoder *encoder, size_t step_count, bool match_added)
{
	const Step *steps = TABLE(encoder->tokenizer, SECTION_STEPS, Step);
	size_t		normalizers = encoder->header->normalizer_count;
	Stage	   *stage;

	encoder->stages = AlbertArenaAllocZero(encoder->arena, (step_count + 1) * sizeof(Stage));
	if (encoder->stages == NULL)
		return AlbertNoMemory(encoder->status);
	stage = encoder->stages;
	for (size_t i = 0; i <= step_count; i += stage[-1].step_count)
	{
		if (i == normalizers && match_added)
			(stage++)->run = tok_match_stage;
		if (i == step_count)
			break;
		stage->step = &steps[i];
		stage->run = i < normalizers ? tok_normalizer(&steps[i], normalizers - i, &stage->step_count)
			: tok_pre_tokenizer(&steps[i], step_count - i, &stage->step_count);
		if (stage->run == NULL)
			return AlbertFail(encoder->status, ALBERT_INTERNAL, "unknown step of a tokenizer");
		stage++;
	}
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
		stage->head = stage->run_at = stage->run_count = 0;
		stage->more = false;
		stage->in.count = stage->held.count = 0;
		memset(&stage->letter, 0, sizeof(stage->letter));
	}
	encoder->letters.count = 0;
}

static Letters *
stage_input(Encoder *encoder, size_t i)
{
	return i < encoder->stage_count ? &encoder->stages[i].in : &encoder->letters;
}

/* Run a stage and those behind it, until nothing is left that can be done. */
static bool
run_from(Encoder *encoder, size_t i, bool last, bool (*take) (Encoder *encoder, const Letters *letters, bool last))
{
	Stage	   *stage = &encoder->stages[i];

	if (i == encoder->stage_count)
	{
		bool		good = take(encoder, &encoder->letters, last);

		encoder->letters.count = 0;
		return good;
	}
	do
	{
		size_t		consumed = 0;

		stage->more = false;
		if (!stage->run(encoder, stage, stage_input(encoder, i + 1), last, &consumed))
			return false;
		stage->in.count -= consumed;
		if (stage->in.count > 0)
			memmove(stage->in.items, stage->in.items + consumed, stage->in.count * sizeof(Letter));
		if (!run_from(encoder, i + 1, last && !stage->more, take))
			return false;
	} while (stage->more);
	return true;
}

/* Run a fragment of text, whose first code point is base, through the stages; take gets what comes out. */
bool
tok_run_stages(Encoder *encoder, const char *text, size_t size, int32_t base,
			   bool (*take) (Encoder *encoder, const Letters *letters, bool last))
{
	size_t		at = 0;

	start_stages(encoder);
	do
	{
		Letters    *in = stage_input(encoder, 0);
		size_t		from = at;

		if (tok_interrupted(encoder) || !tok_letters_reserve(encoder, in, BLOCK))
			return false;
		for (int n = 0; n < BLOCK && at < size; n++)
		{
			Letter	   *letter = &in->items[in->count++];

			at += tok_utf8_decode(text + at, &letter->code);
			letter->start = base++;
			letter->stop = base;
		}
		if (!run_from(encoder, 0, at == size, take))
			return false;
		encoder->done += at - from;
	} while (at < size);
	return true;
}

/* ---- normalizing alone ---- */

/* The word gathers the normalized text, without places. */
static bool
gather(Encoder *encoder, const Letters *letters, bool last)
{
	Word	   *word = &encoder->word;

	if (!AlbertArenaReserve(encoder->arena, &word->text, word->size, letters->count * 4, 1, &word->room))
		return AlbertNoMemory(encoder->status);
	for (size_t i = 0; i < letters->count; i++)
		word->size += tok_utf8_encode(letters->items[i].code, word->text + word->size);
	return true;
}

bool
tok_normalize(const AlbertTokenizer *tokenizer, const char *text, size_t size, AlbertArena *arena,
			  AlbertText *result, AlbertStatus *status)
{
	Encoder		encoder = {.tokenizer = tokenizer, .header = HEADER(tokenizer), .arena = arena, .status = status};

	if (!tok_make_stages(&encoder, encoder.header->normalizer_count, false) ||
		!tok_run_stages(&encoder, text, size, 0, gather))
		return false;
	result->data = (const char *) encoder.word.text;
	result->size = encoder.word.size;
	return true;
}
