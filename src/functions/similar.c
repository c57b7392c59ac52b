/*
 * similar.c
 *	  Rows of a table whose embeddings are alike, and groups of rows.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "port/atomics.h"
#include "storage/sharedfileset.h"
#include "storage/shm_toc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/sharedtuplestore.h"

#include "compat.h"
#include "executor/text.h"
#include "functions/functions.h"
#include "store/store.h"
#include "training/vectors.h"

#define KEY_SHARED		UINT64CONST(1)
#define KEY_VALUES		UINT64CONST(2)
#define KEY_FOUND		UINT64CONST(3)
#define OPERATIONS		1000	/* products that cost as much as one of the planner's operators */

extern PGDLLEXPORT void AlbertPairsWorker(dsm_segment *segment, shm_toc *toc);

/* The rows of a table that have an embedding, by key. */
typedef struct Rows
{
	int			n;
	int			room;			/* at keys */
	int			values_room;
	int			width;
	Datum	   *keys;			/* texts */
	float	   *values;			/* (n, width) */
	MemoryContext context;
} Rows;

/* ---------- which columns ---------- */

/* The primary key's column, when it has one only. */
static char *
primary_key(Oid relation)
{
	Oid			constraint;
	int			column;

	if (!bms_get_singleton_member(get_primary_key_attnos(relation, false, &constraint), &column))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("relation \"%s\" has no primary key of one column", get_rel_name(relation)),
				 errhint("Name the column that tells its rows apart: key => 'column'.")));
	return get_attname(relation, column + FirstLowInvalidHeapAttributeNumber, false);
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
	Relation	rel = try_relation_open(relation, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relation)));
	/* what is said of it by name holds until its rows have been read: others may drop it meanwhile */
	relation_close(rel, NoLock);
	if (TypeCategory(getBaseType(column_type(relation, column))) == TYPCATEGORY_STRING)
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
add_row(Rows *rows, Datum key, ArrayType *array)
{
	MemoryContext old;
	int			width = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const float *values = (const float *) ARR_DATA_PTR(array);

	if (ARR_NDIM(array) != 1 || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("the embedding of row \"%s\" is not an array of numbers with one dimension",
						AlbertCString(key))));
	if (rows->n > 0 && width != rows->width)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("embeddings of %d and %d dimensions cannot be compared", rows->width, width),
				 errdetail("The row \"%s\" has one of %d.", AlbertCString(key), width),
				 errhint("Embeddings can be compared when the same model made them.")));
	for (int i = 0; i < width; i++)
	{
		if (isnan(values[i]) || isinf(values[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("the embedding of row \"%s\" has a value that is not finite", AlbertCString(key))));
	}
	rows->width = width;
	rows->keys = AlbertMakeRoom(rows->keys, rows->n, &rows->room, sizeof(Datum));
	rows->values = AlbertMakeRoom(rows->values, rows->n, &rows->values_room, width * sizeof(float));
	old = MemoryContextSwitchTo(rows->context);
	rows->keys[rows->n] = PointerGetDatum(DatumGetTextPCopy(key));
	MemoryContextSwitchTo(old);
	memcpy(rows->values + (Size) rows->n * width, values, width * sizeof(float));
	rows->n++;
}

static void
take_row(void *context, HeapTuple tuple, TupleDesc desc)
{
	bool		no_key;
	bool		isnull;
	Datum		key = SPI_getbinval(tuple, desc, 1, &no_key);
	Datum		value = SPI_getbinval(tuple, desc, 2, &isnull);

	if (no_key)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a row has an embedding and no key")));
	if (!isnull)
		add_row(context, key, DatumGetArrayTypeP(value));
}

/* Those of the function's arguments (relation, column, ..., key), as who calls sees them. */
static AlbertVectors
read_vectors(FunctionCallInfo fcinfo, Rows *rows, AlbertArena *arena)
{
	const char *query = rows_query(PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1)), NameStr(*PG_GETARG_NAME(3)));

	*rows = (Rows) {.keys = palloc(1), .values = palloc(1), .context = CurrentMemoryContext};
	AlbertReadQuery(query, NULL, take_row, rows);
	AlbertArenaInitContext(arena, CurrentMemoryContext);
	return (AlbertVectors) {
		.n = rows->n, .width = rows->width, .values = rows->values, .arena = arena, .poll = AlbertPollInterrupts
	};
}

/* ---------- pairs, found by as many processes as may work ---------- */

/*
 * The vectors lie in the workers' shared memory.  Everybody takes the next
 * block of rows from one counter, the largest part of the work first, until
 * none is left.  What workers find is in temporary files of theirs, which the
 * leader, who works as well, reads when all have finished.
 */

typedef struct FoundPair
{
	int			a;
	int			b;
	float		similarity;
} FoundPair;

typedef void (*PairTake) (void *context, const FoundPair *pair);

typedef struct PairsShared
{
	int			n;
	int			width;
	float		least;
	pg_atomic_uint32 next;		/* the block that nobody has taken yet */
	SharedFileSet files;
} PairsShared;

typedef struct Search
{
	const AlbertVectors *vectors;
	PairsShared *shared;
	PairTake take;
	void	   *context;
} Search;

static void
found(void *context, int a, int b)
{
	const Search *search = context;
	const AlbertVectors *vectors = search->vectors;
	FoundPair	pair = {
		.a = a, .b = b,
		.similarity = (float) AlbertCosine(vectors->values + (Size) a * vectors->width,
										   vectors->values + (Size) b * vectors->width, vectors->width)
	};

	if (pair.similarity >= search->shared->least)
		search->take(search->context, &pair);
}

static int
next_block(void *context)
{
	return pg_atomic_fetch_add_u32(&((const Search *) context)->shared->next, 1);
}

static void
run(const Search *search)
{
	AlbertStatus status;
	const AlbertKernels *kernels = AlbertKernelsFind(albert_kernel, ALBERT_FP32, &status);

	if (kernels == NULL ||
		!AlbertNearPairs(search->vectors, search->shared->least, kernels, next_block, found,
						 unconstify(Search *, search), &status))
		AlbertReport(&status);
}

/* A pair is what goes with a tuple without columns. */
static void
write_pair(void *context, const FoundPair *pair)
{
	MinimalTupleData nothing = {.t_len = SizeofMinimalTupleHeader};

	sts_puttuple(context, unconstify(FoundPair *, pair), &nothing);
}

void
AlbertPairsWorker(dsm_segment *segment, shm_toc *toc)
{
	PairsShared *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	AlbertArena arena;
	AlbertVectors vectors = {
		.n = shared->n, .width = shared->width, .values = shm_toc_lookup(toc, KEY_VALUES, false), .arena = &arena,
		.poll = AlbertPollInterrupts
	};
	Search		search = {.vectors = &vectors, .shared = shared, .take = write_pair};

	AlbertArenaInitContext(&arena, CurrentMemoryContext);
	SharedFileSetAttach(&shared->files, segment);
	search.context = sts_attach(shm_toc_lookup(toc, KEY_FOUND, false), ParallelWorkerNumber, &shared->files);
	run(&search);
	sts_end_write(search.context);
}

/* How many workers are worth starting. */
static int
wanted_workers(const AlbertVectors *vectors)
{
	double		cost = (double) vectors->n * vectors->n * vectors->width / OPERATIONS * cpu_operator_cost;
	int			blocks = (vectors->n + ALBERT_PAIR_ROWS - 1) / ALBERT_PAIR_ROWS;

	if (IsInParallelMode() || cost <= parallel_setup_cost ||
		!AlbertMemoryHasRoom((Size) vectors->n * vectors->width * sizeof(float)))
		return 0;
	return Min(max_parallel_workers_per_gather, blocks - 1);
}

/* The workers' shared memory, with the vectors in it; *pairs is what they find. */
static PairsShared *
share(ParallelContext *context, AlbertVectors *vectors, float least, SharedTuplestoreAccessor **pairs)
{
	Size		size = (Size) vectors->n * vectors->width * sizeof(float);
	int			participants = context->nworkers + 1;
	PairsShared *shared;
	SharedTuplestore *store;
	float	   *values;

	shm_toc_estimate_chunk(&context->estimator, sizeof(PairsShared));
	shm_toc_estimate_chunk(&context->estimator, size);
	shm_toc_estimate_chunk(&context->estimator, sts_estimate(participants));
	shm_toc_estimate_keys(&context->estimator, 3);
	InitializeParallelDSM(context);
	shared = shm_toc_allocate(context->toc, sizeof(PairsShared));
	shared->n = vectors->n;
	shared->width = vectors->width;
	shared->least = least;
	pg_atomic_init_u32(&shared->next, 0);
	SharedFileSetInit(&shared->files, context->seg);
	shm_toc_insert(context->toc, KEY_SHARED, shared);
	values = shm_toc_allocate(context->toc, size);
	memcpy(values, vectors->values, size);
	shm_toc_insert(context->toc, KEY_VALUES, values);
	pfree(unconstify(float *, vectors->values));
	vectors->values = values;
	store = shm_toc_allocate(context->toc, sts_estimate(participants));
	*pairs = sts_initialize(store, participants, context->nworkers, sizeof(FoundPair), 0, &shared->files, "pairs");
	shm_toc_insert(context->toc, KEY_FOUND, store);
	return shared;
}

/* Give every pair that is at least that similar, once, in no order; the values, palloc'd, may be freed. */
static void
find_pairs(AlbertVectors *vectors, float least, PairTake take, void *context)
{
	PairsShared alone = {.least = least};
	Search		search = {.vectors = vectors, .shared = &alone, .take = take, .context = context};
	int			nworkers = wanted_workers(vectors);
	ParallelContext *workers;
	SharedTuplestoreAccessor *pairs;
	FoundPair	pair;

	if (nworkers <= 0)
	{
		pg_atomic_init_u32(&alone.next, 0);
		run(&search);
		return;
	}
	EnterParallelMode();
	workers = CreateParallelContext("albert", "AlbertPairsWorker", nworkers);
	search.shared = share(workers, vectors, least, &pairs);
	LaunchParallelWorkers(workers);
	run(&search);
	WaitForParallelWorkersToFinish(workers);
	sts_begin_parallel_scan(pairs);
	while (sts_parallel_scan_next(pairs, &pair) != NULL)
		take(context, &pair);
	sts_end_parallel_scan(pairs);
	DestroyParallelContext(workers);
	ExitParallelMode();
	vectors->values = NULL;
}

/* ---------- albert_similar_pairs(relation, column, min_similarity, key) ---------- */

typedef struct Pairs
{
	const Rows *rows;
	ReturnSetInfo *result;
} Pairs;

static void
put_pair(void *context, const FoundPair *pair)
{
	const Pairs *pairs = context;
	const Datum *keys = pairs->rows->keys;

	AlbertPutRow(pairs->result, (Datum[]) {keys[pair->a], keys[pair->b], Float4GetDatum(pair->similarity)}, NULL);
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
	vectors = read_vectors(fcinfo, &rows, &arena);
	find_pairs(&vectors, least, put_pair, &pairs);
	return (Datum) 0;
}

/* ---------- albert_clusters(relation, column, k, key) ---------- */

PG_FUNCTION_INFO_V1(albert_clusters);
Datum
albert_clusters(PG_FUNCTION_ARGS)
{
	int			k = AlbertIntOption("k", PG_GETARG_DATUM(2), 1, 10000);
	Rows		rows;
	AlbertArena arena;
	AlbertVectors vectors;
	AlbertStatus status;
	int32	   *clusters;
	double	   *similarities;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	vectors = read_vectors(fcinfo, &rows, &arena);
	clusters = palloc_extended(Max(rows.n, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
	similarities = palloc_extended(Max(rows.n, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	if (!AlbertClusterVectors(&vectors, k, clusters, similarities, &n, &status))
		AlbertReport(&status);
	for (int i = 0; i < rows.n; i++)
		AlbertPutRow((ReturnSetInfo *) fcinfo->resultinfo, (Datum[]) {
			rows.keys[i], Int32GetDatum(clusters[i] + 1), Float4GetDatum((float) similarities[i])
		}, NULL);
	return (Datum) 0;
}
