/*
 * fill_mask.c
 *	  What stands at the masks: the best tokens as one text, or ranked
 *	  candidates with their scores.
 */
#include "postgres.h"

#include "lib/qunique.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"
#include "functions/scores.h"

/* Logits are computed for as many masks at a time as fit this many bytes. */
#define LOGITS_BYTES	(4 * 1024 * 1024)

typedef struct FillMaskOptions
{
	int			top_k;
	int			ntargets;		/* 0: the whole vocabulary */
	int32_t    *targets;		/* ids, ascending, distinct */
} FillMaskOptions;

StaticAssertDecl(sizeof(FillMaskOptions) <= ALBERT_MAX_OPTIONS, "options too large");

/* What is done with the logits of a mask: its position in a sequence, its number. */
typedef void (*MaskFunction) (AlbertForward *forward, const AlbertSequence *sequence,
							  int position, int mask, float *logits);

/* The masks of a run, item by item in the order of the text. */
typedef struct Masks
{
	MaskFunction each;
	int		   *first;			/* by item: its first mask's number; nitems + 1 values */
	int		   *of_sequence;	/* by sequence: the number of its first mask */
	int32_t    *best;			/* by mask: the best token */
} Masks;

/* ---------- finding the masks ---------- */

static void
find_masks(AlbertForward *forward, Masks *masks)
{
	AlbertJob  *job = forward->job;
	int32_t		mask_id = job->binding->tokenizer.mask_id;
	int			nmasks = 0;
	int			item = 0;

	masks->first = AlbertJobAlloc(job, forward->nitems + 1, sizeof(int));
	masks->of_sequence = AlbertJobAlloc(job, forward->nsequences, sizeof(int));
	for (int s = 0; s < forward->nsequences; s++)
	{
		AlbertSequence *sequence = &forward->sequences[s];
		int32_t    *wanted = AlbertJobAlloc(job, sequence->tokens.n, sizeof(int32_t));

		if (sequence->window == 0)
		{
			/* items with a status have no sequences */
			while (item <= sequence->item)
				masks->first[item++] = nmasks;
		}
		masks->of_sequence[s] = nmasks;
		sequence->nwanted = 0;
		sequence->wanted = wanted;
		for (int t = sequence->own_from; t < sequence->own_to; t++)
		{
			if (sequence->tokens.items[t].id == mask_id)
				wanted[sequence->nwanted++] = t;
		}
		nmasks += sequence->nwanted;
	}
	while (item <= forward->nitems)
		masks->first[item++] = nmasks;
	masks->best = AlbertJobAlloc(job, Max(nmasks, 1), sizeof(int32_t));
}

/* A text without a mask gets a status. */
static void
require_mask(AlbertForward *forward, const Masks *masks)
{
	const AlbertTokenizer *tokenizer = &forward->job->binding->tokenizer;

	for (int s = 0; s < forward->nsequences; s++)
	{
		const AlbertSequence *sequence = &forward->sequences[s];
		int			item = sequence->item;
		AlbertStatus status;

		if (sequence->window > 0 || masks->first[item] != masks->first[item + 1])
			continue;
		if (sequence->tokens.ncut > 0)
		{
			AlbertFail(&status, ALBERT_INPUT, "text has no mask in its first %d tokens", tokenizer->max_length);
			AlbertDetail(&status, "%d tokens were cut off because the model's length is %d.",
						 sequence->tokens.ncut, tokenizer->max_length);
			AlbertHint(&status, "The whole text is looked at with overflow => 'window' "
					   "or, for the default model, the setting albert.overflow.");
		}
		else
		{
			AlbertFail(&status, ALBERT_INPUT, "text has no mask");
			AlbertHint(&status, "Write %s where a word is to be predicted.", tokenizer->mask_token);
		}
		AlbertItemFail(forward->job, &forward->items[item], &status);
	}
}

/* Only sequences with masks go through the encoder. */
static void
drop_maskless(AlbertForward *forward, Masks *masks)
{
	int			kept = 0;

	for (int s = 0; s < forward->nsequences; s++)
	{
		if (forward->sequences[s].nwanted == 0)
			continue;
		masks->of_sequence[kept] = masks->of_sequence[s];
		forward->sequences[kept++] = forward->sequences[s];
	}
	forward->nsequences = kept;
}

/* ---------- logits ---------- */

/* The wanted rows are the masks, in order. */
static void
consume_masks(AlbertForward *forward, const AlbertSequence *sequences, int n,
			  const AlbertBatch *batch, const AlbertRows *hidden)
{
	AlbertJob  *job = forward->job;
	const Masks *masks = job->state;
	int			vocab_size = job->binding->model.config->vocab_size;
	int			step = Max(LOGITS_BYTES / (vocab_size * (int) sizeof(float)), 1);
	int			s = 0;

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
			int			i;

			while (row + r >= sequences[s].row + sequences[s].nrows)
				s++;
			i = row + r - sequences[s].row;
			masks->each(forward, &sequences[s], sequences[s].wanted[i],
						masks->of_sequence[&sequences[s] - forward->sequences] + i,
						logits.data + (size_t) r * logits.ld);
		}
		AlbertArenaRewind(job->arena, mark);
	}
}

static void
run_masks(AlbertJob *job, AlbertItem *items, int n, MaskFunction each)
{
	AlbertForwardOptions options = {0};
	Masks	   *masks = AlbertJobAlloc(job, 1, sizeof(Masks));
	AlbertForward forward;

	job->state = masks;
	masks->each = each;
	AlbertForwardTokenize(&forward, job, items, n, &options);
	forward.consume = consume_masks;
	find_masks(&forward, masks);
	require_mask(&forward, masks);
	drop_maskless(&forward, masks);
	AlbertForwardRun(&forward);
}

/* ---------- albert_fill_mask(content) text ---------- */

static void
keep_best(AlbertForward *forward, const AlbertSequence *sequence, int position, int mask,
		  float *logits)
{
	Masks	   *masks = forward->job->state;
	int			vocab_size = forward->job->binding->model.config->vocab_size;
	int32_t		best = 0;

	for (int id = 1; id < vocab_size; id++)
	{
		if (logits[id] > logits[best])
			best = id;
	}
	masks->best[mask] = best;
}

static void
run_fill_mask(AlbertJob *job, AlbertItem *items, int n)
{
	run_masks(job, items, n, keep_best);
}

static void
set_words(AlbertJob *job, AlbertItem *item, int number)
{
	const Masks *masks = job->state;
	int			first = masks->first[number];

	AlbertItemSet(item, AlbertDecodeToDatum(job, masks->best + first, masks->first[number + 1] - first, false));
}

const AlbertTask albert_fill_mask_task = {
	.symbol = "albert_fill_mask",
	.text_arg = "content",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_MLM,
	.windows = true,
	.run = run_fill_mask,
	.result = set_words
};

/* ---------- albert_fill_mask_candidates(content, top_k, targets) rows ---------- */

static int
compare_ids(const void *a, const void *b)
{
	int32_t		x = *(const int32_t *) a;
	int32_t		y = *(const int32_t *) b;

	return x < y ? -1 : x > y;
}

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
	AlbertEncodeOptions encode = {.truncation = ALBERT_TRUNCATE_NONE};
	AlbertItem	item = {.text = text};
	AlbertArenaMark mark = AlbertArenaGetMark(job->arena);
	AlbertTokens tokens;

	if (id >= 0)
		return id;
	if (!AlbertTokenizeText(job, &item, &encode, &tokens))
		AlbertReport(item.status);
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
	FillMaskOptions *options = (FillMaskOptions *) &job->options;
	int			n;
	Datum	   *values = AlbertTextsOption("targets", array, &n);

	if (n == 0)
		return;
	options->targets = palloc_extended(n * sizeof(int32_t), MCXT_ALLOC_HUGE);
	options->ntargets = 0;
	job->arena = AlbertWorkspace();
	for (int i = 0; i < n; i++)
	{
		int32_t		id = target_id(job, values[i]);

		if (id >= 0)
			options->targets[options->ntargets++] = id;
	}
	if (options->ntargets == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("targets name no token of model \"%s\"", job->binding->name),
				 errhint("Leave targets out to rank the whole vocabulary.")));
	qsort(options->targets, options->ntargets, sizeof(int32_t), compare_ids);
	options->ntargets = qunique(options->targets, options->ntargets, sizeof(int32_t), compare_ids);
}

static void
init_candidates(AlbertJob *job)
{
	((FillMaskOptions *) &job->options)->top_k = 5;
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

static void
put_candidates(AlbertForward *forward, const AlbertSequence *sequence, int position, int mask,
			   float *logits)
{
	AlbertJob  *job = forward->job;
	Masks	   *masks = forward->job->state;
	const FillMaskOptions *options = (const FillMaskOptions *) &job->options;
	AlbertItem *item = &forward->items[sequence->item];
	int			first = masks->first[sequence->item];
	bool		single = masks->first[sequence->item + 1] - first == 1;
	int			vocab_size = job->binding->model.config->vocab_size;
	int			n = options->ntargets > 0 ? options->ntargets : vocab_size;
	AlbertBest	best = {.k = Min(options->top_k, n)};

	best.ranked = AlbertJobAlloc(job, best.k, sizeof(AlbertRanked));
	job->binding->model.kernels->softmax(vocab_size, logits);
	for (int i = 0; i < n; i++)
	{
		int32_t		id = options->ntargets > 0 ? options->targets[i] : i;

		AlbertBestAdd(&best, (AlbertRanked) {.score = logits[id], .first = id});
	}
	qsort(best.ranked, best.n, sizeof(AlbertRanked), AlbertCompareRanked);
	for (int i = 0; i < best.n; i++)
	{
		int32_t		id = best.ranked[i].first;
		Datum		values[6];

		values[0] = Int32GetDatum(mask - first + 1);
		values[1] = Int32GetDatum(i + 1);
		values[2] = AlbertDecodeToDatum(job, &id, 1, false);
		values[3] = Int32GetDatum(id);
		values[4] = Float4GetDatum((float) best.ranked[i].score);
		values[5] = filled_sequence(job, sequence, position, id, single);
		AlbertPutRow(item, values, NULL);
		pfree(DatumGetPointer(values[2]));
		pfree(DatumGetPointer(values[5]));
	}
}

static void
run_candidates(AlbertJob *job, AlbertItem *items, int n)
{
	run_masks(job, items, n, put_candidates);
}

const AlbertTask albert_fill_mask_candidates_task = {
	.symbol = "albert_fill_mask_candidates",
	.text_arg = "content",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_MLM,
	.windows = true,
	.init = init_candidates,
	.options = candidates_options,
	.run = run_candidates
};
