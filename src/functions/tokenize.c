/*
 * tokenize.c
 *	  The tokenizer from SQL: pieces, ids, token rows, counts, and back.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"

typedef struct TokenizeOptions
{
	bool		special_tokens; /* count and show those added around the texts */
} TokenizeOptions;

static void
with_special_tokens(AlbertJob *job)
{
	AlbertOptionsOf(job, TokenizeOptions)->special_tokens = true;
}

static const AlbertOption tokenize_options[] = {
	ALBERT_BOOL_OPTION("special_tokens", TokenizeOptions, special_tokens),
	ALBERT_NO_OPTION
};

/* The whole text's tokens: nothing is truncated where nothing is encoded. */
static bool
tokenize(AlbertJob *job, AlbertItem *item, AlbertTokens *tokens)
{
	AlbertEncodeOptions encode = {
		.truncation = ALBERT_TRUNCATE_NONE,
		.special_tokens = AlbertOptionsOf(job, TokenizeOptions)->special_tokens
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
	Datum	   *pieces;

	if (!tokenize(job, item, &tokens))
		return;
	pieces = palloc(Max(tokens.n, 1) * sizeof(Datum));
	for (int t = 0; t < tokens.n; t++)
		pieces[t] = AlbertPieceToDatum(&job->binding->tokenizer, tokens.items[t].id);
	AlbertItemSet(item, PointerGetDatum(construct_array(pieces, tokens.n, TEXTOID, -1, false, TYPALIGN_INT)));
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
	.options = tokenize_options,
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
	.options = tokenize_options,
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
	const char *model = NULL;
	bool		skip = PG_GETARG_BOOL(PG_NARGS() - 1);
	AlbertJob	job = {0};
	int			n;
	const int32_t *ids = AlbertNumbersOption("token_ids", PG_GETARG_DATUM(0), &n);

	if (PG_NARGS() == 3)
		model = AlbertCString(PG_GETARG_DATUM(1));
	job.binding = AlbertStoreAttach(model, ALBERT_PART_TEXT);
	job.arena = AlbertWorkspace();
	PG_RETURN_DATUM(AlbertDecodeToDatum(&job, ids, n, skip));
}
