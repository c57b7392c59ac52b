/*
 * values.c
 *	  What the function files share: arrays, options, rows, queries.
 */
#include "postgres.h"

#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"

#define MAX_COLUMNS		20		/* of a set */
#define FETCH_ROWS		1000	/* of a query, at a time */
#define LEAST_ROOM		16		/* of an array that grows */

void *
AlbertMakeRoom(void *array, int n, int *room, Size size)
{
	if (n < *room)
		return array;
	if (*room > INT_MAX / 4)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are more than %d rows", *room)));
	*room = Max(LEAST_ROOM, 2 * *room);
	return repalloc_huge(array, *room * size);
}

Datum
AlbertArrayOf(Oid element, const void *values, int n)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + (Size) n * 4;
	ArrayType  *array;

	if (n == 0)
		return PointerGetDatum(construct_empty_array(element));
	array = palloc0(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = element;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), values, (Size) n * 4);
	return PointerGetDatum(array);
}

AlbertTokens
AlbertTokensOf(AlbertJob *job, AlbertText text, bool special_tokens)
{
	AlbertEncodeOptions encode = {.truncation = ALBERT_TRUNCATE_NONE, .special_tokens = special_tokens};
	AlbertItem	item = {.text = text};
	AlbertTokens tokens;

	if (!AlbertTokenizeText(job, &item, &encode, &tokens))
		AlbertReport(item.status);
	return tokens;
}

int32_t *
AlbertTokenIds(const AlbertTokens *tokens)
{
	int32_t    *ids = palloc(Max(tokens->n, 1) * sizeof(int32_t));

	for (int t = 0; t < tokens->n; t++)
		ids[t] = tokens->items[t].id;
	return ids;
}

Datum *
AlbertTokenPieces(const AlbertJob *job, const AlbertTokens *tokens)
{
	Datum	   *pieces = palloc_extended(Max(tokens->n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);

	for (int t = 0; t < tokens->n; t++)
		pieces[t] = AlbertPieceToDatum(&job->binding->tokenizer, tokens->items[t].id);
	return pieces;
}

int *
AlbertCodePointBytes(const AlbertText *text)
{
	int		   *bytes = palloc_extended((text->size + 1) * sizeof(int), MCXT_ALLOC_HUGE);
	int			n = 0;

	for (size_t i = 0; i < text->size; i++)
	{
		if (((unsigned char) text->data[i] & 0xC0) != 0x80)
			bytes[n++] = i;
	}
	bytes[n] = text->size;
	return bytes;
}

Datum
AlbertDecodeToDatum(AlbertJob *job, const int32_t *ids, int n, bool skip_special_tokens)
{
	AlbertArenaMark mark = AlbertArenaGetMark(job->arena);
	AlbertText	text;
	AlbertStatus status;
	Datum		result;

	if (!AlbertTokenizerDecode(&job->binding->tokenizer, ids, n, skip_special_tokens,
							   job->binding->tokenizer.clean_up_spaces,
							   job->arena, &text, &status))
		AlbertReport(&status);
	result = AlbertOutputToDatum(text.data, text.size);
	AlbertArenaRewind(job->arena, mark);
	return result;
}

/* An array argument, which has to have one dimension and no NULLs. */
static ArrayType *
array_option(const char *name, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be a one-dimensional array", name)));
	if (array_contains_nulls(array))
	{
		int			at = 0;

		while (!att_isnull(at, ARR_NULLBITMAP(array)))
			at++;
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not contain nulls", name),
				 errdetail("Element %d is null.", at + 1),
				 errhint("array_remove(..., NULL) and array_agg(...) FILTER (WHERE ... IS NOT NULL) leave nulls "
						 "out.")));
	}
	return array;
}

Datum *
AlbertTextsOption(const char *name, Datum value, int *n)
{
	Datum	   *values;

	deconstruct_array(array_option(name, value), TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, n);
	return values;
}

const void *
AlbertNumbersOption(const char *name, Datum value, int *n)
{
	ArrayType  *array = array_option(name, value);

	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return ARR_DATA_PTR(array);
}

void
AlbertPutRow(ReturnSetInfo *rows, const Datum *values, const bool *nulls)
{
	TupleDesc	desc = rows->setDesc;
	bool		isnull[MAX_COLUMNS];

	CHECK_FOR_INTERRUPTS();
	Assert(desc->natts <= MAX_COLUMNS);
	for (int i = 0; i < desc->natts; i++)
		isnull[i] = (nulls != NULL && nulls[i]) || (!TupleDescAttr(desc, i)->attbyval && values[i] == (Datum) 0);
	tuplestore_putvalues(rows->setResult, desc, unconstify(Datum *, values), isnull);
}

void
AlbertReadQuery(const char *query, void (*look) (void *context, TupleDesc desc),
				void (*take) (void *context, HeapTuple row, TupleDesc desc), void *context)
{
	SPIPlanPtr	plan;
	Portal		portal;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL || !SPI_is_cursor_plan(plan))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query must be one that gives rows"),
				 errhint("For example: SELECT body, queue FROM tickets.")));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	if (look != NULL)
		look(context, portal->tupDesc);
	for (;;)
	{
		MemoryContext per_fetch;
		MemoryContext old;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		per_fetch = AllocSetContextCreate(CurrentMemoryContext, "albert rows", ALLOCSET_DEFAULT_SIZES);
		old = MemoryContextSwitchTo(per_fetch);
		for (uint64 i = 0; i < SPI_processed; i++)
			take(context, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(per_fetch);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_finish();
}

void
AlbertPollInterrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}
