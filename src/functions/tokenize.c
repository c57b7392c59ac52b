/*
 * tokenize.c
 *	  Tokens from SQL: pieces, ids, token rows, counts, and back; and their
 *	  embeddings.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"

typedef struct TokenOptions
{
	bool		special_tokens; /* show and count those added around the texts */
} TokenOptions;

static void
with_special_tokens(AlbertJob *job)
{
	AlbertOptionsOf(job, TokenOptions)->special_tokens = true;
}

static const AlbertOption token_options[] = {
	ALBERT_BOOL_OPTION("special_tokens", TokenOptions, special_tokens),
	ALBERT_NO_OPTION
};

/* The whole text's tokens: nothing is truncated where nothing is encoded. */
static bool
tokenize(AlbertJob *job, AlbertItem *item, AlbertTokens *tokens)
{
	AlbertEncodeOptions encode = {
		.truncation = ALBERT_TRUNCATE_NONE,
		.special_tokens = AlbertOptionsOf(job, TokenOptions)->special_tokens
	};

	if (!AlbertTokenizeText(job, item, &encode, tokens))
		return false;
	job->counts.tokens += tokens->n;
	return true;
}

/* ---------- albert_tokenize(content) text[] ---------- */

static void
set_pieces(AlbertJob *job, AlbertItem *item, int number)
{
	AlbertTokens tokens;

	if (!tokenize(job, item, &tokens))
		return;
	AlbertItemSet(item, PointerGetDatum(construct_array(AlbertTokenPieces(job, &tokens), tokens.n, TEXTOID, -1, false,
														TYPALIGN_INT)));
}

const AlbertTask albert_tokenize_task = {
	.text_arg = "content",
	.text_only = true,
	.result = set_pieces
};

/* ---------- the tokens: ids as a value, all that is known of them as rows ---------- */

/* albert_encode(content [, pair]) int[] */
static void
set_ids(AlbertJob *job, AlbertItem *item, int number)
{
	AlbertTokens tokens;

	if (tokenize(job, item, &tokens))
		AlbertItemSet(item, AlbertArrayOf(INT4OID, AlbertTokenIds(&tokens), tokens.n));
}

/* albert_tokens(content [, pair]) rows */
static void
put_tokens(AlbertJob *job, AlbertItem *item, int number)
{
	AlbertTokens tokens;

	if (!tokenize(job, item, &tokens))
		return;
	for (int t = 0; t < tokens.n; t++)
	{
		const AlbertToken *token = &tokens.items[t];
		Datum		piece = AlbertPieceToDatum(&job->binding->tokenizer, token->id);

		AlbertPutRow(item->rows, (Datum[]) {
			Int32GetDatum(t), piece, Int32GetDatum(token->id), Int32GetDatum(token->start), Int32GetDatum(token->stop),
			Int32GetDatum(token->type), BoolGetDatum(token->special)
		}, NULL);
		pfree(DatumGetPointer(piece));
	}
}

const AlbertTask albert_encode_task = {
	.text_arg = "content",
	.pair_arg = "pair",
	.text_only = true,
	.init = with_special_tokens,
	.options = token_options,
	.result = set_ids,
	.rows = put_tokens
};

/* ---------- albert_token_count(content) int ---------- */

static void
set_count(AlbertJob *job, AlbertItem *item, int number)
{
	AlbertTokens tokens;

	if (tokenize(job, item, &tokens))
		AlbertItemSet(item, Int32GetDatum(tokens.n));
}

const AlbertTask albert_token_count_task = {
	.text_arg = "content",
	.pair_arg = "pair",
	.text_only = true,
	.init = with_special_tokens,
	.options = token_options,
	.result = set_count
};

/* ---------- albert_decode(token_ids [, model]) text ---------- */

/*
 * Arguments (token_ids, skip_special_tokens) or (token_ids, model,
 * skip_special_tokens).
 */
PG_FUNCTION_INFO_V1(albert_decode);
Datum
albert_decode(PG_FUNCTION_ARGS)
{
	static const AlbertTask task = {.text_only = true};
	bool		skip = PG_GETARG_BOOL(PG_NARGS() - 1);
	AlbertJob	job;
	int			n;
	const int32_t *ids = AlbertNumbersOption("token_ids", PG_GETARG_DATUM(0), &n);

	AlbertJobStartTask(&job, &task, PG_NARGS() == 3 ? AlbertCString(PG_GETARG_DATUM(1)) : NULL);
	job.arena = AlbertWorkspace();
	PG_RETURN_DATUM(AlbertDecodeToDatum(&job, ids, n, skip));
}

/* ---------- albert_token_embeddings(content [, pair]) rows ---------- */

static void
put_embeddings(AlbertForward *forward, const AlbertSequence *sequence, const AlbertRows *hidden)
{
	const AlbertTokenizer *tokenizer = &forward->job->binding->tokenizer;
	const AlbertTokens *tokens = &sequence->tokens;
	bool		special = AlbertOptionsOf(forward->job, TokenOptions)->special_tokens;

	for (int t = sequence->own_from; t < sequence->own_to; t++)
	{
		const float *row = hidden->data + (size_t) (sequence->row + t - sequence->own_from) * hidden->ld;
		Datum		piece;
		Datum		vector;

		if (tokens->items[t].special && !special)
			continue;
		piece = AlbertPieceToDatum(tokenizer, tokens->items[t].id);
		vector = AlbertArrayOf(FLOAT4OID, row, hidden->width);
		AlbertPutRow(forward->items[sequence->item].rows, (Datum[]) {
			Int32GetDatum(sequence->first + t - 1), piece, Int32GetDatum(tokens->items[t].id), vector
		}, NULL);
		pfree(DatumGetPointer(piece));
		pfree(DatumGetPointer(vector));
	}
}

static void
consume_token_embeddings(AlbertForward *forward, const AlbertSequence *sequences, int n, const AlbertRows *hidden)
{
	for (int s = 0; s < n; s++)
		put_embeddings(forward, &sequences[s], hidden);
}

static void
run_token_embeddings(AlbertJob *job, AlbertItem *items, int n)
{
	AlbertForwardOptions options = {.rows = ALBERT_ROWS_OWN};

	AlbertForwardTexts(job, items, n, &options, consume_token_embeddings);
}

const AlbertTask albert_token_embeddings_task = {
	.windows = true,
	.text_arg = "content",
	.pair_arg = "pair",
	.init = with_special_tokens,
	.options = token_options,
	.run = run_token_embeddings
};
