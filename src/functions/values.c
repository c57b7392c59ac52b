/*
 * values.c
 *	  What the function files share: arrays, rows, options.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "executor/text.h"
#include "functions/functions.h"

/* A one-dimensional array without NULLs of a 4-byte type, written in place. */
static Datum
plain_array(const void *values, int n, Oid element)
{
	Size		size;
	ArrayType  *array;

	if (n == 0)
		return PointerGetDatum(construct_empty_array(element));
	size = ARR_OVERHEAD_NONULLS(1) + (Size) n * 4;
	array = palloc0(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = element;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), values, (Size) n * 4);
	return PointerGetDatum(array);
}

Datum
AlbertFloatArray(const float *values, int n)
{
	return plain_array(values, n, FLOAT4OID);
}

int32_t *
AlbertTokenIds(const AlbertTokens *tokens)
{
	int32_t    *ids = palloc(Max(tokens->n, 1) * sizeof(int32_t));

	for (int t = 0; t < tokens->n; t++)
		ids[t] = tokens->items[t].id;
	return ids;
}

Datum
AlbertIntArray(const int32_t *values, int n)
{
	return plain_array(values, n, INT4OID);
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
AlbertLabelToDatum(const AlbertJob *job, int label)
{
	const char *name = job->binding->model.labels[label];

	return AlbertOutputToDatum(name, strlen(name));
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

Datum *
AlbertTextsOption(const char *name, Datum value, int *n)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Datum	   *values;
	bool	   *nulls;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be a one-dimensional array", name)));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, n);
	for (int i = 0; i < *n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not contain nulls", name),
					 errdetail("Element %d is null.", i + 1),
					 errhint("array_remove(..., NULL) and array_agg(...) FILTER (WHERE ... IS NOT NULL) leave nulls "
							 "out.")));
	}
	return values;
}

void
AlbertPutRow(AlbertItem *item, Datum *values, bool *nulls)
{
	static bool none[16];

	CHECK_FOR_INTERRUPTS();
	tuplestore_putvalues(item->rows->setResult, item->rows->setDesc, values,
						 nulls == NULL ? none : nulls);
}

bool
AlbertStopped(void)
{
	CHECK_FOR_INTERRUPTS();
	return false;
}
