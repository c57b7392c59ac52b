/*
 * forward.c
 *	  Sequences, windows and batches.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "executor/forward.h"
#include "executor/text.h"

static void
raise_no_memory(size_t count, size_t size)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Failed on a request for %zu items of %zu bytes of working memory.", count, size)));
}

void *
AlbertJobAlloc(AlbertJob *job, size_t count, size_t size)
{
	void	   *result = AlbertArenaArray(job->arena, count, size);

	if (result == NULL)
		raise_no_memory(count, size);
	return result;
}

/* For one call of the encoder or the tokenizer. */
static AlbertRun
job_run(const AlbertJob *job)
{
	return (AlbertRun) {.arena = job->arena, .interrupt = &InterruptPending};
}

/*
 * Was the failed call only interrupted?  Handles the interrupt (which usually
 * raises an error), and returns for "call again"; raises any other status.
 */
static void
retry(AlbertRun *run, const AlbertStatus *status)
{
	if (status->code != ALBERT_CANCELLED)
		AlbertReport(status);
	CHECK_FOR_INTERRUPTS();

	/*
	 * Not a cancel: a barrier or the like, handled by now, so try again.
	 * Where interrupts are held off the flag stays up; then run to the end.
	 */
	if (InterruptPending)
		run->interrupt = NULL;
}

/* Is it the text's fault, or what this model cannot do with this text?  Else the server's. */
static bool
is_texts_fault(AlbertCode code)
{
	return code == ALBERT_INPUT || code == ALBERT_TOO_LONG || code == ALBERT_UNSUPPORTED || code == ALBERT_NOT_FOUND;
}

/* A token for padding may have been added to the tokenizer without an embedding. */
static bool
check_embeddings(const AlbertJob *job, AlbertItem *item, const AlbertTokens *tokens)
{
	int			vocab_size = job->binding->model.config->vocab_size;
	AlbertStatus status;

	if (job->binding->tokenizer.vocab_size <= vocab_size || job->task->text_only)
		return true;
	for (int i = 0; i < tokens->n; i++)
	{
		if (tokens->items[i].id < vocab_size)
			continue;
		AlbertFail(&status, ALBERT_INPUT,
				   "the text holds the token for padding, which has no embedding in model \"%s\"",
				   job->binding->name);
		return AlbertItemFail(job, item, &status);
	}
	return true;
}

bool
AlbertTokenizeText(AlbertJob *job, AlbertItem *item,
				   const AlbertEncodeOptions *options, AlbertTokens *tokens)
{
	AlbertEncodeOptions encode = *options;
	AlbertArenaMark mark = AlbertArenaGetMark(job->arena);
	AlbertRun	run = job_run(job);
	AlbertStatus status;

	CHECK_FOR_INTERRUPTS();
	if (item->status != NULL)
		return false;
	encode.interrupt = run.interrupt;
	while (!AlbertTokenizerEncode(&job->binding->tokenizer, &item->text,
								  item->pair.data == NULL ? NULL : &item->pair,
								  &encode, job->arena, tokens, &status))
	{
		if (is_texts_fault(status.code))
			return AlbertItemFail(job, item, &status);
		retry(&run, &status);
		encode.interrupt = run.interrupt;
		AlbertArenaRewind(job->arena, mark);
	}
	return check_embeddings(job, item, tokens);
}

/* ---------- sequences ---------- */

void
AlbertForwardInit(AlbertForward *forward, AlbertJob *job, AlbertItem *items, int nitems)
{
	memset(forward, 0, sizeof(*forward));
	forward->job = job;
	forward->items = items;
	forward->nitems = nitems;
	forward->room = nitems;
	forward->sequences = AlbertJobAlloc(job, nitems, sizeof(AlbertSequence));
}

AlbertSequence *
AlbertForwardAdd(AlbertForward *forward, int item, const AlbertTokens *tokens)
{
	AlbertSequence *sequence;

	if (!AlbertArenaReserve(forward->job->arena, &forward->sequences, forward->nsequences, 1, sizeof(AlbertSequence),
							&forward->room))
		raise_no_memory(1, sizeof(AlbertSequence));
	sequence = &forward->sequences[forward->nsequences++];
	memset(sequence, 0, sizeof(*sequence));
	sequence->item = item;
	sequence->first = 1;
	sequence->last = true;
	sequence->tokens = *tokens;
	sequence->own_to = tokens->n;
	return sequence;
}

/* ---------- windows ---------- */

AlbertTokens
AlbertCutTokens(AlbertJob *job, const AlbertTokens *whole, int head, int from, int to)
{
	int			n = head + to - from + 1;
	AlbertTokens cut = {.n = n, .items = AlbertJobAlloc(job, n, sizeof(AlbertToken))};

	memcpy(cut.items, whole->items, head * sizeof(AlbertToken));
	memcpy(cut.items + head, whole->items + from, (to - from) * sizeof(AlbertToken));
	cut.items[n - 1] = whole->items[whole->n - 1];
	return cut;
}

/*
 * Where a text can be cut at or before token `at`: before a word, and after
 * token `least`.  A word that reaches back so far is cut where it stands.
 */
static int
cut_before(const AlbertJob *job, const AlbertTokens *tokens, int at, int least)
{
	for (int cut = at; cut > least; cut--)
	{
		if (AlbertStartsWord(&job->binding->tokenizer, tokens->items[cut].id))
			return cut;
	}
	return Max(at, least + 1);
}

/*
 * Windows that overlap by a quarter and begin and end with words, until the
 * last content token is in one.  A window's tokens up to the middle of what
 * it shares with the next are its own.
 */
static void
add_windows(AlbertForward *forward, int item, const AlbertTokens *tokens, int max_length)
{
	AlbertJob  *job = forward->job;
	AlbertTokens *whole = AlbertJobAlloc(job, 1, sizeof(AlbertTokens));
	int			capacity = Max(max_length - 2, 1);	/* content tokens of a window */
	int			end = tokens->n - 1;	/* of the content */
	int			from = 1;
	int			own_from = 0;	/* of the whole text's tokens */

	*whole = *tokens;
	for (int w = 0;; w++)
	{
		bool		last = end - from <= capacity;
		int			to = last ? end : cut_before(job, tokens, from + capacity, from + capacity / 2);
		int			next = last ? end : cut_before(job, tokens, to - capacity / 4,
											  Max(from + capacity / 8, to - capacity / 2));
		int			own_to = last ? tokens->n : cut_before(job, tokens, (next + to) / 2, Max(next - 1, own_from));
		AlbertTokens window;
		AlbertSequence *sequence;

		CHECK_FOR_INTERRUPTS();
		window = AlbertCutTokens(job, tokens, 1, from, to);
		sequence = AlbertForwardAdd(forward, item, &window);
		sequence->window = w;
		sequence->first = from;
		sequence->last = last;
		sequence->whole = whole;
		sequence->own_from = own_from - from + 1;
		sequence->own_to = own_to - from + 1;
		if (last)
			break;
		from = next;
		own_from = own_to;
	}
}

static AlbertTruncation
truncation_mode(const AlbertJob *job, const AlbertItem *item)
{
	if (job->overflow == ALBERT_OVERFLOW_ERROR)
		return ALBERT_TRUNCATE_ERROR;
	/* a pair has no windows: which half would they be cut from? */
	if (job->overflow == ALBERT_OVERFLOW_WINDOW && job->task->windows && item->pair.data == NULL)
		return ALBERT_TRUNCATE_NONE;
	return ALBERT_TRUNCATE_LONGEST;
}

/* ---------- texts ---------- */

void
AlbertForwardWant(AlbertForward *forward, AlbertSequence *sequence, int first, int from, int to)
{
	int			before = first < from ? 1 : 0;
	int32_t    *wanted;

	if (from - before == 0 && to == sequence->tokens.n)
		return;
	sequence->nwanted = before + to - from;
	sequence->wanted = wanted = AlbertJobAlloc(forward->job, sequence->nwanted, sizeof(int32_t));
	wanted[0] = first;
	for (int i = before; i < sequence->nwanted; i++)
		wanted[i] = from + i - before;
}

void
AlbertForwardTokenize(AlbertForward *forward, AlbertJob *job, AlbertItem *items, int nitems,
					  const AlbertForwardOptions *options)
{
	int			max_length = job->binding->tokenizer.max_length;

	if (options->max_length > 0 && options->max_length < max_length)
		max_length = options->max_length;
	AlbertForwardInit(forward, job, items, nitems);
	for (int i = 0; i < nitems; i++)
	{
		AlbertEncodeOptions encode = {
			.truncation = truncation_mode(job, &items[i]),
			.max_length = max_length,
			.special_tokens = true
		};
		AlbertTokens tokens;

		if (!AlbertTokenizeText(job, &items[i], &encode, &tokens))
			continue;
		if (tokens.ncut > 0 || tokens.n > max_length)
			job->counts.truncated++;
		if (tokens.n <= max_length)
			AlbertForwardAdd(forward, i, &tokens);
		else
			add_windows(forward, i, &tokens, max_length);
	}
	/* their places are known now */
	for (int s = 0; s < forward->nsequences; s++)
	{
		AlbertSequence *sequence = &forward->sequences[s];

		if (sequence->whole == NULL)
			sequence->whole = &sequence->tokens;
		if (options->rows == ALBERT_ROWS_OWN)
			AlbertForwardWant(forward, sequence, sequence->own_from, sequence->own_from, sequence->own_to);
		else if (options->rows == ALBERT_ROWS_FIRST)
			AlbertForwardWant(forward, sequence, 0, 0, 1);
	}
}

void
AlbertForwardTexts(AlbertJob *job, AlbertItem *items, int nitems,
				   const AlbertForwardOptions *options, AlbertForwardConsume consume)
{
	AlbertForward forward;

	AlbertForwardTokenize(&forward, job, items, nitems, options);
	AlbertForwardRun(&forward, consume);
}

/* ---------- pairs ---------- */

/* Sequences that are held at a time. */
#define PAIRS_AT_A_TIME		256

/* Tokenize a pair cut to the model's length and add it. */
static void
add_pair(AlbertForward *forward, int item, int number, const AlbertText *pair, AlbertTruncation truncation)
{
	AlbertJob  *job = forward->job;
	AlbertEncodeOptions encode = {
		.truncation = job->overflow == ALBERT_OVERFLOW_ERROR ? ALBERT_TRUNCATE_ERROR : truncation,
		.special_tokens = true
	};
	AlbertItem	texts = {.text = forward->items[item].text, .pair = *pair};
	AlbertSequence *sequence;
	AlbertTokens tokens;

	if (!AlbertTokenizeText(job, &texts, &encode, &tokens))
	{
		forward->items[item].status = texts.status;
		return;
	}
	if (tokens.ncut > 0)
		job->counts.truncated++;
	sequence = AlbertForwardAdd(forward, item, &tokens);
	sequence->window = number;
	AlbertForwardWant(forward, sequence, 0, 0, 1);
}

void
AlbertForwardPairs(AlbertJob *job, AlbertItem *items, int nitems,
				   const AlbertText *pairs, int npairs, AlbertTruncation truncation,
				   AlbertForwardConsume consume)
{
	int64		total = (int64) nitems * npairs;

	for (int64 first = 0; first < total; first += PAIRS_AT_A_TIME)
	{
		AlbertArenaMark mark = AlbertArenaGetMark(job->arena);
		int64		end = Min(first + PAIRS_AT_A_TIME, total);
		AlbertForward forward;

		AlbertForwardInit(&forward, job, items, nitems);
		for (int64 i = first; i < end; i++)
		{
			if (items[i / npairs].status == NULL)
				add_pair(&forward, i / npairs, i % npairs, &pairs[i % npairs], truncation);
		}
		AlbertForwardRun(&forward, consume);
		AlbertArenaRewind(job->arena, mark);
	}
}

/* ---------- batches ---------- */

/* Concatenate sequences into a batch, and say where each one's rows will be. */
static void
pack_batch(AlbertJob *job, AlbertSequence *sequences, int n, AlbertBatch *batch)
{
	int			ntokens = 0;
	int			nwanted = 0;
	bool		all = true;
	int32_t    *ids;
	uint8_t    *types;
	int32_t    *text_start;
	int32_t    *wanted;

	for (int i = 0; i < n; i++)
	{
		AlbertSequence *sequence = &sequences[i];

		ntokens += sequence->tokens.n;
		sequence->row = nwanted;
		sequence->nrows = sequence->wanted == NULL ? sequence->tokens.n : sequence->nwanted;
		nwanted += sequence->nrows;
		all &= sequence->wanted == NULL;
	}
	ids = AlbertJobAlloc(job, ntokens, sizeof(int32_t));
	types = AlbertJobAlloc(job, ntokens, sizeof(uint8_t));
	text_start = AlbertJobAlloc(job, n + 1, sizeof(int32_t));
	wanted = all ? NULL : AlbertJobAlloc(job, nwanted, sizeof(int32_t));

	text_start[0] = 0;
	for (int i = 0; i < n; i++)
	{
		const AlbertSequence *sequence = &sequences[i];
		int			start = text_start[i];

		for (int t = 0; t < sequence->tokens.n; t++)
		{
			ids[start + t] = sequence->tokens.items[t].id;
			types[start + t] = sequence->tokens.items[t].type;
		}
		text_start[i + 1] = start + sequence->tokens.n;
		for (int j = 0; !all && j < sequence->nrows; j++)
			wanted[sequence->row + j] = start + (sequence->wanted == NULL ? j : sequence->wanted[j]);
	}

	*batch = (AlbertBatch) {
		.ntexts = n,
		.ntokens = ntokens,
		.ids = ids,
		.types = types,
		.text_start = text_start,
		.nwanted = nwanted,
		.wanted = wanted
	};
}

static void
run_batch(AlbertForward *forward, AlbertSequence *sequences, int n, AlbertForwardConsume consume)
{
	AlbertJob  *job = forward->job;
	AlbertArenaMark start = AlbertArenaGetMark(job->arena);
	AlbertRun	run = job_run(job);
	AlbertArenaMark packed;
	AlbertBatch batch;
	AlbertRows	hidden;
	AlbertStatus status;

	pack_batch(job, sequences, n, &batch);
	run.trace = forward->trace;
	packed = AlbertArenaGetMark(job->arena);
	CHECK_FOR_INTERRUPTS();
	while (!AlbertEncode(&job->binding->model, &batch, &run, &hidden, &status))
	{
		retry(&run, &status);
		AlbertArenaRewind(job->arena, packed);
	}
	job->counts.batches++;
	job->counts.tokens += batch.ntokens;
	consume(forward, sequences, n, &hidden);
	AlbertArenaRewind(job->arena, start);
}

/*
 * Sequences are taken in order: without padding nothing is gained by sorting
 * them by length.
 */
void
AlbertForwardRun(AlbertForward *forward, AlbertForwardConsume consume)
{
	int			from = 0;

	while (from < forward->nsequences)
	{
		int			to = from;
		int			ntokens = 0;

		do
			ntokens += forward->sequences[to++].tokens.n;
		while (to < forward->nsequences &&
			   ntokens + forward->sequences[to].tokens.n <= albert_batch_tokens);
		run_batch(forward, &forward->sequences[from], to - from, consume);
		from = to;
	}
}

/* ---------- heads ---------- */

AlbertRows
AlbertRunHead(AlbertJob *job, AlbertHeadFunction *head, const AlbertRows *rows)
{
	AlbertArenaMark mark = AlbertArenaGetMark(job->arena);
	AlbertRun	run = job_run(job);
	AlbertRows	logits;
	AlbertStatus status;

	while (!head(&job->binding->model, rows, &run, &logits, &status))
	{
		retry(&run, &status);
		AlbertArenaRewind(job->arena, mark);
	}
	return logits;
}

AlbertRows
AlbertRunPool(AlbertJob *job, const AlbertBatch *rows, const int32_t *skip, const AlbertRows *hidden, uint32 pooling)
{
	AlbertArenaMark mark = AlbertArenaGetMark(job->arena);
	AlbertRun	run = job_run(job);
	AlbertRows	vectors;
	AlbertStatus status;

	while (!AlbertPool(&job->binding->model, rows, skip, hidden, pooling, &run, &vectors, &status))
	{
		retry(&run, &status);
		AlbertArenaRewind(job->arena, mark);
	}
	return vectors;
}

AlbertRows
AlbertPooledLogits(AlbertJob *job, const AlbertRows *hidden)
{
	uint32		head = job->task->heads;
	AlbertRows	pooled;

	if (head == ALBERT_HEAD_CLASSIFIER && job->binding->model.head_weights != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has been trained on embeddings and cannot compare a text with labels",
						job->binding->name)));
	pooled = AlbertRunHead(job, AlbertHeadPooler, hidden);

	return AlbertRunHead(job,
						 head == ALBERT_HEAD_SENTENCE_ORDER ? AlbertHeadSentenceOrder
						 : AlbertHeadClassifier, &pooled);
}
