/*
 * similar.c
 *	  Rows of a table whose embeddings are alike, and groups of rows.
 */
#include "postgres.h"

#include <math.h>

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "functions/embedding.h"
#include "functions/functions.h"
#include "functions/similar.h"

#define FETCH_ROWS	1000

/* The rows of a table that have an embedding, by key. */
typedef struct Rows
{
	int			n;
	int			room;
	int			width;
	char	  **keys;
	float	   *values;			/* (n, width) */
	MemoryContext context;
} Rows;

/* ---------- which columns ---------- */

/* What is said of the table by name holds until its rows have been read: others may drop it meanwhile, or have. */
static void
lock_relation(Oid relation)
{
	Relation	rel = try_relation_open(relation, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relation)));
	relation_close(rel, NoLock);
}

/* The primary key's column, when it has one only. */
static char *
primary_key(Oid relation)
{
	Relation	rel = relation_open(relation, AccessShareLock);
	Oid			index = AlbertPrimaryKeyIndex(rel);
	char	   *name = NULL;

	if (OidIsValid(index))
	{
		Relation	index_rel = relation_open(index, AccessShareLock);

		if (index_rel->rd_index->indnkeyatts == 1)
			name = get_attname(relation, index_rel->rd_index->indkey.values[0], false);
		relation_close(index_rel, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("relation \"%s\" has no primary key of one column", get_rel_name(relation)),
				 errhint("Name the column that tells its rows apart: key => 'column'.")));
	return name;
}

static Oid
column_type(Oid relation, const char *name)
{
	AttrNumber	number = get_attnum(relation, name);

	if (number == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", name, get_rel_name(relation))));
	return get_atttype(relation, number);
}

static char *
rows_query(Oid relation, const char *column, const char *key)
{
	char		category;
	bool		preferred;
	Oid			type;

	lock_relation(relation);
	type = column_type(relation, column);
	get_type_category_preferred(getBaseType(type), &category, &preferred);
	if (category == TYPCATEGORY_STRING)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" has texts, not embeddings", column),
				 errhint("Keep their embeddings in a column: real[] GENERATED ALWAYS AS (albert_embedding(..., "
						 "'model')) STORED.")));
	if (*key == '\0')
		key = primary_key(relation);
	else
		(void) column_type(relation, key);
	return psprintf("SELECT r.%s::pg_catalog.text, r.%s::pg_catalog.float4[] FROM %s AS r WHERE r.%s IS NOT NULL "
					"ORDER BY r.%s",
					quote_identifier(key), quote_identifier(column),
					quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), get_rel_name(relation)),
					quote_identifier(column), quote_identifier(key));
}

/* ---------- reading them ---------- */

static void
make_room(Rows *rows)
{
	MemoryContext old = MemoryContextSwitchTo(rows->context);

	if (rows->room == 0)
	{
		rows->room = FETCH_ROWS;
		rows->keys = palloc_extended(rows->room * sizeof(char *), MCXT_ALLOC_HUGE);
		rows->values = palloc_extended((Size) rows->room * rows->width * sizeof(float), MCXT_ALLOC_HUGE);
	}
	else if (rows->n == rows->room)
	{
		if (rows->room > INT_MAX / 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("more than %d embeddings cannot be compared", rows->room)));
		rows->room *= 2;
		rows->keys = repalloc_huge(rows->keys, rows->room * sizeof(char *));
		rows->values = repalloc_huge(rows->values, (Size) rows->room * rows->width * sizeof(float));
	}
	MemoryContextSwitchTo(old);
}

static void
take_row(Rows *rows, char *key, ArrayType *array)
{
	int			width = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const float *values = (const float *) ARR_DATA_PTR(array);

	if (ARR_NDIM(array) != 1 || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("the embedding of row \"%s\" is not an array of numbers with one dimension", key)));
	if (rows->n > 0 && width != rows->width)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("embeddings of %d and %d dimensions cannot be compared", rows->width, width),
				 errdetail("The row \"%s\" has one of %d.", key, width),
				 errhint("Embeddings can be compared when the same model made them.")));
	for (int i = 0; i < width; i++)
	{
		if (isnan(values[i]) || isinf(values[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("the embedding of row \"%s\" has a value that is not finite", key)));
	}
	rows->width = width;
	make_room(rows);
	rows->keys[rows->n] = MemoryContextStrdup(rows->context, key);
	memcpy(rows->values + (Size) rows->n * width, values, width * sizeof(float));
	rows->n++;
}

/* As who calls sees them. */
static void
read_rows(Rows *rows, const char *query)
{
	SPIPlanPtr	plan;
	Portal		portal;

	memset(rows, 0, sizeof(*rows));
	rows->context = CurrentMemoryContext;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", query, SPI_result_code_string(SPI_result));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	for (;;)
	{
		MemoryContext old;
		MemoryContext per_fetch;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		per_fetch = AllocSetContextCreate(CurrentMemoryContext, "albert rows", ALLOCSET_DEFAULT_SIZES);
		old = MemoryContextSwitchTo(per_fetch);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			HeapTuple	tuple = SPI_tuptable->vals[i];
			char	   *key = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 1);
			bool		isnull;
			Datum		value = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull);

			if (key == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						 errmsg("a row has an embedding and no key")));
			if (!isnull)
				take_row(rows, key, DatumGetArrayTypeP(value));
		}
		MemoryContextSwitchTo(old);
		MemoryContextDelete(per_fetch);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_finish();
}

static AlbertVectors
vectors_of(const Rows *rows, AlbertArena *arena)
{
	AlbertArenaInitContext(arena, CurrentMemoryContext);
	return (AlbertVectors) {
		.n = rows->n, .width = rows->width, .values = rows->values, .arena = arena, .stopped = AlbertStopped
	};
}

/* ---------- albert_similar_pairs(relation, column, min_similarity, key) ---------- */

typedef struct Pairs
{
	const Rows *rows;
	ReturnSetInfo *result;
} Pairs;

static void
put_pair(void *context, int a, int b, float similarity)
{
	const Pairs *pairs = context;
	Datum		values[3];
	bool		nulls[3] = {false};

	CHECK_FOR_INTERRUPTS();
	values[0] = CStringGetTextDatum(pairs->rows->keys[a]);
	values[1] = CStringGetTextDatum(pairs->rows->keys[b]);
	values[2] = Float4GetDatum(similarity);
	tuplestore_putvalues(pairs->result->setResult, pairs->result->setDesc, values, nulls);
	pfree(DatumGetPointer(values[0]));
	pfree(DatumGetPointer(values[1]));
}

PG_FUNCTION_INFO_V1(albert_similar_pairs);
Datum
albert_similar_pairs(PG_FUNCTION_ARGS)
{
	float4		least = PG_GETARG_FLOAT4(2);
	Rows		rows;
	Pairs		pairs = {.rows = &rows, .result = (ReturnSetInfo *) fcinfo->resultinfo};
	AlbertArena arena;
	AlbertVectors vectors;

	if (!(least >= -1 && least <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("min_similarity must be between -1 and 1")));
	InitMaterializedSRF(fcinfo, 0);
	read_rows(&rows, rows_query(PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1)), NameStr(*PG_GETARG_NAME(3))));
	vectors = vectors_of(&rows, &arena);
	AlbertSimilarPairs(&vectors, least, put_pair, &pairs);
	return (Datum) 0;
}

/* ---------- albert_clusters(relation, column, k, key) ---------- */

PG_FUNCTION_INFO_V1(albert_clusters);
Datum
albert_clusters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			k = AlbertIntOption("k", PG_GETARG_DATUM(2), 1, 10000);
	Rows		rows;
	AlbertArena arena;
	AlbertVectors vectors;
	AlbertStatus status;
	int32	   *clusters;
	double	   *similarities;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	read_rows(&rows, rows_query(PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1)), NameStr(*PG_GETARG_NAME(3))));
	vectors = vectors_of(&rows, &arena);
	clusters = palloc_extended(Max(rows.n, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
	similarities = palloc_extended(Max(rows.n, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	if (!AlbertClusterVectors(&vectors, k, clusters, similarities, &n, &status))
		AlbertReport(&status);
	for (int i = 0; i < rows.n; i++)
	{
		Datum		values[3];
		bool		nulls[3] = {false};

		CHECK_FOR_INTERRUPTS();
		values[0] = CStringGetTextDatum(rows.keys[i]);
		values[1] = Int32GetDatum(clusters[i] + 1);
		values[2] = Float4GetDatum((float) similarities[i]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
