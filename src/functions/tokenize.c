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

StaticAssertDecl(sizeof(TokenizeOptions) <= ALBERT_MAX_OPTIONS, "options too large");

static void
with_special_tokens(AlbertJob *job)
{
	((TokenizeOptions *) &job->options)->special_tokens = true;
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
		.special_tokens = ((const TokenizeOptions *) &job->options)->special_tokens
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
	.symbol = "albert_tokenize",
	.text_arg = "content",
	.part = ALBERT_PART_TEXT,
	.result = set_pieces
};

/* ---------- albert_encode(content [, pair]) int[] ---------- */

static void
set_ids(AlbertJob *job, AlbertItem *item, int number)
{
	AlbertTokens tokens;

	if (tokenize(job, item, &tokens))
		AlbertItemSet(item, AlbertIntArray(AlbertTokenIds(&tokens), tokens.n));
}

const AlbertTask albert_encode_task = {
	.symbol = "albert_encode",
	.text_arg = "content",
	.pair_arg = "pair",
	.pair_optional = true,
	.part = ALBERT_PART_TEXT,
	.init = with_special_tokens,
	.options = tokenize_options,
	.result = set_ids
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
	.symbol = "albert_token_count",
	.text_arg = "content",
	.pair_arg = "pair",
	.pair_optional = true,
	.part = ALBERT_PART_TEXT,
	.init = with_special_tokens,
	.options = tokenize_options,
	.result = set_count
};

/* ---------- albert_tokens(content [, pair]) rows ---------- */

static void
put_token(AlbertJob *job, AlbertItem *item, const AlbertTokens *tokens, int t)
{
	Datum		values[7];

	values[0] = Int32GetDatum(t);
	values[1] = AlbertPieceToDatum(&job->binding->tokenizer, tokens->items[t].id);
	values[2] = Int32GetDatum(tokens->items[t].id);
	values[3] = Int32GetDatum(tokens->items[t].start);
	values[4] = Int32GetDatum(tokens->items[t].stop);
	values[5] = Int32GetDatum(tokens->items[t].type);
	values[6] = BoolGetDatum(tokens->items[t].special);
	AlbertPutRow(item, values, NULL);
	pfree(DatumGetPointer(values[1]));
}

static void
put_tokens(AlbertJob *job, AlbertItem *item, int number)
{
	AlbertTokens tokens;

	if (!tokenize(job, item, &tokens))
		return;
	for (int t = 0; t < tokens.n; t++)
		put_token(job, item, &tokens, t);
}

const AlbertTask albert_tokens_task = {
	.symbol = "albert_tokens",
	.text_arg = "content",
	.pair_arg = "pair",
	.pair_optional = true,
	.part = ALBERT_PART_TEXT,
	.init = with_special_tokens,
	.options = tokenize_options,
	.result = put_tokens
};

/* ---------- albert_decode(token_ids [, model]) text ---------- */

/* token_ids as a C array; NULL elements are an error. */
static int32_t *
ids_of_array(ArrayType *array, int *n)
{
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("token_ids must be a one-dimensional array")));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("token_ids must not contain nulls")));
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return (int32_t *) ARR_DATA_PTR(array);
}

/*
 * Arguments (token_ids, skip_special_tokens) or (token_ids, model,
 * skip_special_tokens).
 */
PG_FUNCTION_INFO_V1(albert_decode);
Datum
albert_decode(PG_FUNCTION_ARGS)
{
	static const AlbertTask decode_task = {.symbol = "albert_decode"};
	const char *model = NULL;
	bool		skip = PG_GETARG_BOOL(PG_NARGS() - 1);
	AlbertJob	job = {.task = &decode_task};
	int			n;
	int32_t    *ids = ids_of_array(PG_GETARG_ARRAYTYPE_P(0), &n);
	Datum		result;

	if (PG_NARGS() == 3)
		model = AlbertCString(PG_GETARG_DATUM(1));
	job.binding = AlbertStoreAttach(model, ALBERT_PART_TEXT);
	job.arena = AlbertWorkspace();
	result = AlbertDecodeToDatum(&job, ids, n, skip);
	PG_RETURN_DATUM(result);
}
