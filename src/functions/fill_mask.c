/*
 * fill_mask.c
 *	  What stands at the masks: the best tokens as one text, or ranked
 *	  candidates with their scores.
 */
#include "postgres.h"

#include "nodes/bitmapset.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"

/* Logits are computed for as many masks at a time as fit this many bytes. */
#define LOGITS_BYTES	(4 * 1024 * 1024)

typedef struct FillMaskOptions
{
	int			top_k;
	Bitmapset  *targets;		/* ids; NULL: the whole vocabulary */
} FillMaskOptions;

/* The masks of a run, item by item in the order of the text. */
typedef struct Masks
{
	int		   *first;			/* by item: its first mask's number; nitems + 1 values */
	int			done;			/* their logits have been computed */
	int32_t    *best;			/* by mask: the best token */
} Masks;

/* ---------- finding the masks ---------- */

/* A text without a mask gets a status. */
static void
refuse_maskless(AlbertJob *job, AlbertItem *item, const AlbertTokens *tokens)
{
	const AlbertTokenizer *tokenizer = &job->binding->tokenizer;
	AlbertStatus status;

	if (tokens->ncut > 0)
	{
		AlbertFail(&status, ALBERT_INPUT, "text has no mask in its first %d tokens", tokenizer->max_length);
		AlbertDetail(&status, "%d tokens were cut off because the model's length is %d.",
					 tokens->ncut, tokenizer->max_length);
		AlbertHint(&status, "The whole text is looked at with overflow => 'window' "
				   "or, for the default model, the setting albert.overflow.");
	}
	else
	{
		AlbertFail(&status, ALBERT_INPUT, "text has no mask");
		AlbertHint(&status, "Write %s where a word is to be predicted.", tokenizer->mask_token);
	}
	AlbertItemFail(job, item, &status);
}

/* Only sequences with masks go through the encoder, and only the masks' rows are wanted. */
static void
find_masks(AlbertForward *forward, Masks *masks)
{
	AlbertJob  *job = forward->job;
	int32_t		mask_id = job->binding->tokenizer.mask_id;
	int			kept = 0;

	masks->first = AlbertJobAlloc(job, forward->nitems + 1, sizeof(int));
	memset(masks->first, 0, (forward->nitems + 1) * sizeof(int));
	for (int s = 0; s < forward->nsequences; s++)
	{
		AlbertSequence *sequence = &forward->sequences[s];
		int		   *after = &masks->first[sequence->item + 1];
		int32_t    *wanted = AlbertJobAlloc(job, sequence->tokens.n, sizeof(int32_t));

		sequence->nwanted = 0;
		sequence->wanted = wanted;
		for (int t = sequence->own_from; t < sequence->own_to; t++)
		{
			if (sequence->tokens.items[t].id == mask_id)
				wanted[sequence->nwanted++] = t;
		}
		*after += sequence->nwanted;
		if (sequence->last && *after == 0)
			refuse_maskless(job, &forward->items[sequence->item], sequence->whole);
		if (sequence->nwanted > 0)
			forward->sequences[kept++] = *sequence;
	}
	forward->nsequences = kept;
	for (int i = 0; i < forward->nitems; i++)
		masks->first[i + 1] += masks->first[i];
	masks->best = AlbertJobAlloc(job, masks->first[forward->nitems] + 1, sizeof(int32_t));
}

/* ---------- albert_fill_mask(content) text ---------- */

static int32_t
best_token(const AlbertJob *job, const float *logits)
{
	int			vocab_size = job->binding->model.config->vocab_size;
	int32_t		best = 0;

	for (int id = 1; id < vocab_size; id++)
	{
		if (logits[id] > logits[best])
			best = id;
	}
	return best;
}

static void
set_words(AlbertJob *job, AlbertItem *item, int number)
{
	const Masks *masks = job->state;
	int			first = masks->first[number];

	AlbertItemSet(item, AlbertDecodeToDatum(job, masks->best + first, masks->first[number + 1] - first, false));
}

/* ---------- albert_fill_mask_candidates(content, top_k, targets) rows ---------- */

/*
 * A target's id as the reference's pipeline finds it: the piece of that exact
 * name, else the first piece that the tokenizer makes of it.  -1: there is none.
 */
static int32_t
target_id(AlbertJob *job, Datum target)
{
	AlbertText	text = AlbertTextFromDatum(target);
	const AlbertTokenizer *tokenizer = &job->binding->tokenizer;
	int32_t		id = AlbertTokenizerPieceId(tokenizer, text.data, text.size);
	AlbertArenaMark mark = AlbertArenaGetMark(job->arena);
	AlbertTokens tokens;

	if (id >= 0)
		return id;
	tokens = AlbertTokensOf(job, text, false);
	if (tokens.n == 0)
		return -1;
	id = tokens.items[0].id;
	AlbertArenaRewind(job->arena, mark);
	if (tokens.n > 1)
		ereport(WARNING,
				(errmsg("target \"%s\" is not one token of model \"%s\"",
						AlbertCString(target), job->binding->name),
				 errdetail("Its first piece, \"%s\", is scored instead.",
						   AlbertCString(AlbertPieceToDatum(tokenizer, id)))));
	return id;
}

static void
take_targets(AlbertJob *job, Datum array)
{
	FillMaskOptions *options = AlbertOptionsOf(job, FillMaskOptions);
	int			n;
	Datum	   *values = AlbertTextsOption("targets", array, &n);

	if (n == 0)
		return;
	job->arena = AlbertWorkspace();
	for (int i = 0; i < n; i++)
	{
		int32_t		id = target_id(job, values[i]);

		if (id >= 0)
			options->targets = bms_add_member(options->targets, id);
	}
	if (options->targets == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("targets name no token of model \"%s\"", job->binding->name),
				 errhint("Leave targets out to rank the whole vocabulary.")));
}

static const AlbertOption candidates_options[] = {
	ALBERT_INT_OPTION("top_k", FillMaskOptions, top_k, 1, INT_MAX),
	ALBERT_TAKEN_OPTION("targets", take_targets),
	ALBERT_NO_OPTION
};

/* The sequence with a token in one mask's place; special tokens are left out unless other masks must show. */
static Datum
filled_sequence(AlbertJob *job, const AlbertSequence *sequence, int position, int32_t id,
				bool single)
{
	int32_t    *ids = AlbertTokenIds(&sequence->tokens);
	Datum		result;

	ids[position] = id;
	result = AlbertDecodeToDatum(job, ids, sequence->tokens.n, single);
	pfree(ids);
	return result;
}

/* The best tokens, in order, by their probabilities in place of the logits. */
static AlbertBest
best_tokens(AlbertJob *job, float *logits)
{
	const FillMaskOptions *options = AlbertOptionsOf(job, FillMaskOptions);
	int			vocab_size = job->binding->model.config->vocab_size;
	int			n = options->targets == NULL ? vocab_size : bms_num_members(options->targets);
	AlbertBest	best = {.k = Min(options->top_k, n)};
	int			id = -1;

	best.ranked = AlbertJobAlloc(job, best.k, sizeof(AlbertRanked));
	job->binding->model.kernels->softmax(vocab_size, logits);
	for (int i = 0; i < n; i++)
	{
		id = options->targets == NULL ? i : bms_next_member(options->targets, id);
		AlbertBestAdd(&best, (AlbertRanked) {.score = logits[id], .first = id});
	}
	qsort(best.ranked, best.n, sizeof(AlbertRanked), AlbertCompareRanked);
	return best;
}

static void
put_candidates(AlbertForward *forward, const AlbertSequence *sequence, int position, int mask, float *logits)
{
	AlbertJob  *job = forward->job;
	const int  *first = &((const Masks *) job->state)->first[sequence->item];
	AlbertBest	best = best_tokens(job, logits);

	for (int i = 0; i < best.n; i++)
	{
		int32_t		id = best.ranked[i].first;
		Datum		token = AlbertDecodeToDatum(job, &id, 1, false);
		Datum		filled = filled_sequence(job, sequence, position, id, first[1] - first[0] == 1);

		AlbertPutRow(forward->items[sequence->item].rows, (Datum[]) {
			Int32GetDatum(mask - first[0] + 1), Int32GetDatum(i + 1), token, Int32GetDatum(id),
			Float4GetDatum((float) best.ranked[i].score), filled
		}, NULL);
		pfree(DatumGetPointer(token));
		pfree(DatumGetPointer(filled));
	}
}

/* ---------- both ---------- */

/* The wanted rows are the masks, in order. */
static void
consume_masks(AlbertForward *forward, const AlbertSequence *sequences, int n, const AlbertRows *hidden)
{
	AlbertJob  *job = forward->job;
	Masks	   *masks = job->state;
	int			vocab_size = job->binding->model.config->vocab_size;
	int			step = Max(LOGITS_BYTES / (vocab_size * (int) sizeof(float)), 1);
	const AlbertSequence *sequence = sequences;

	for (int row = 0; row < hidden->n; row += step)
	{
		AlbertArenaMark mark = AlbertArenaGetMark(job->arena);
		AlbertRows	some = *hidden;
		AlbertRows	logits;

		some.data += (size_t) row * hidden->ld;
		some.n = Min(step, hidden->n - row);
		logits = AlbertRunHead(job, AlbertHeadMlm, &some);
		for (int r = 0; r < some.n; r++)
		{
			float	   *of_mask = logits.data + (size_t) r * logits.ld;
			int			mask = masks->done++;

			while (row + r >= sequence->row + sequence->nrows)
				sequence++;
			if (forward->items[sequence->item].rows == NULL)
				masks->best[mask] = best_token(job, of_mask);
			else
				put_candidates(forward, sequence, sequence->wanted[row + r - sequence->row], mask, of_mask);
		}
		AlbertArenaRewind(job->arena, mark);
	}
}

static void
run_masks(AlbertJob *job, AlbertItem *items, int n)
{
	AlbertForwardOptions options = {0};
	Masks	   *masks = AlbertJobAlloc(job, 1, sizeof(Masks));
	AlbertForward forward;

	memset(masks, 0, sizeof(*masks));
	job->state = masks;
	AlbertForwardTokenize(&forward, job, items, n, &options);
	find_masks(&forward, masks);
	AlbertForwardRun(&forward, consume_masks);
}

const AlbertTask albert_fill_mask_task = {
	.text_arg = "content",
	.heads = ALBERT_HEAD_MLM,
	.windows = true,
	.options = candidates_options,
	.run = run_masks,
	.result = set_words
};
