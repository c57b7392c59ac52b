/*
 * job.c
 *	  Long work on a table.
 *
 * The table is walked in the order of its pages (a TID range from where the
 * last batch ended), so that a pass reads it once however many batches it
 * takes.  Each batch locks its rows, skipping those that others hold, computes
 * them together, updates them and commits: what is killed loses one batch, and
 * another session can work on the same table.  Passes are repeated until one
 * finds nothing to do.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "executor/job.h"
#include "executor/progress.h"
#include "executor/task.h"

#define FETCH_ROWS		16		/* rows fetched and locked at a time */
#define MAX_BATCH_ROWS	4096
#define NOTICE_SECONDS	10
#define LOCK_WAIT_MS	200		/* before looking again at rows that others hold */

/* One row of a batch. */
typedef struct BatchRow
{
	ItemPointerData tid;
	Datum		source;			/* text, in the batch's context */
	int			tokens;
	AlbertItem	item;
	bool		failed;
} BatchRow;

/* A row version not to be tried again, by its place. */
typedef struct SkippedRow
{
	Oid			relation;
	ItemPointerData tid;
} SkippedRow;

typedef struct TableRun
{
	const AlbertTableJob *job;
	MemoryContext context;		/* lives for the whole run */
	MemoryContext batch_context;	/* reset with each batch */
	AlbertSignature *signature;
	Oid			result_type;
	HTAB	   *skipped;
	AlbertProgress progress;
	TimestampTz last_notice;

	/* the table being walked: the job's, or one of its partitions */
	Oid			leaf;
	SPIPlanPtr	select;
	SPIPlanPtr	update;
	SPIPlanPtr	remaining;

	BatchRow   *rows;
	int			nrows;
} TableRun;

/* ---------- rows not to be tried again ---------- */

static void
make_skipped(TableRun *run)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(SkippedRow);
	control.entrysize = sizeof(SkippedRow);
	control.hcxt = run->context;
	run->skipped = hash_create("albert skipped rows", 256, &control,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static bool
skipped(TableRun *run, const ItemPointerData *tid, HASHACTION action)
{
	SkippedRow	key;
	bool		found;

	memset(&key, 0, sizeof(key));
	key.relation = run->leaf;
	key.tid = *tid;
	hash_search(run->skipped, &key, action, &found);
	return found;
}

/* ---------- statements ---------- */

static char *
qualified_name(Oid relation)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
									  get_rel_name(relation));
}

static SPIPlanPtr
prepare(const char *query, int nargs, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare(query, nargs, types);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	return plan;
}

static void
prepare_leaf(TableRun *run, Oid leaf)
{
	const char *relation = qualified_name(leaf);
	const char *source = quote_identifier(run->job->source);
	const char *target = quote_identifier(run->job->target);
	Oid			types[2] = {TIDOID, run->result_type};
	StringInfoData query;

	run->leaf = leaf;
	initStringInfo(&query);
	appendStringInfo(&query,
					 "SELECT ctid, %s::pg_catalog.text FROM ONLY %s "
					 "WHERE ctid OPERATOR(pg_catalog.>) $1 AND %s IS NULL AND %s IS NOT NULL "
					 "FOR NO KEY UPDATE SKIP LOCKED",
					 source, relation, target, source);
	run->select = prepare(query.data, 1, types);
	resetStringInfo(&query);
	appendStringInfo(&query,
					 "UPDATE ONLY %s SET %s = $2 WHERE ctid OPERATOR(pg_catalog.=) $1 "
					 "RETURNING ctid, %s IS NULL",
					 relation, target, target);
	run->update = prepare(query.data, 2, types);
	resetStringInfo(&query);
	appendStringInfo(&query,
					 "SELECT pg_catalog.count(*) FROM ONLY %s WHERE %s IS NULL AND %s IS NOT NULL",
					 relation, target, source);
	run->remaining = prepare(query.data, 0, NULL);
}

static void
forget_leaf(TableRun *run)
{
	SPI_freeplan(run->select);
	SPI_freeplan(run->update);
	SPI_freeplan(run->remaining);
	run->select = run->update = run->remaining = NULL;
}

static int64
count_remaining(TableRun *run)
{
	bool		isnull;

	if (SPI_execute_plan(run->remaining, NULL, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "counting rows failed: %s", SPI_result_code_string(SPI_result));
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* ---------- a batch ---------- */

static void
take_row(TableRun *run, HeapTuple tuple, TupleDesc desc, int *tokens)
{
	bool		isnull;
	ItemPointer tid = (ItemPointer) DatumGetPointer(SPI_getbinval(tuple, desc, 1, &isnull));
	BatchRow   *row = &run->rows[run->nrows];
	MemoryContext old;

	if (skipped(run, tid, HASH_FIND))
		return;
	memset(row, 0, sizeof(*row));
	row->tid = *tid;
	old = MemoryContextSwitchTo(run->batch_context);
	row->source = PointerGetDatum(DatumGetTextPCopy(SPI_getbinval(tuple, desc, 2, &isnull)));
	MemoryContextSwitchTo(old);
	row->tokens = AlbertEstimateTokens(VARSIZE_ANY_EXHDR(DatumGetPointer(row->source)));
	*tokens += row->tokens;
	run->nrows++;
}

/*
 * Lock the next rows behind *position, about batch_tokens of them, and move
 * *position; false when the table's end was reached.
 */
static bool
fetch_batch(TableRun *run, ItemPointerData *position)
{
	Datum		argument = PointerGetDatum(position);
	ItemPointerData from = *position;
	int			nest = NewGUCNestLevel();
	int			tokens = 0;
	bool		more = true;
	Portal		portal;

	argument = PointerGetDatum(&from);

	/* the walk relies on the order of a TID range scan */
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_indexscan", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_tidscan", "on", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	portal = SPI_cursor_open(NULL, run->select, &argument, NULL, false);
	AtEOXact_GUC(false, nest);
	run->nrows = 0;
	while (tokens < run->job->batch_tokens && run->nrows + FETCH_ROWS <= MAX_BATCH_ROWS)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
		{
			more = false;
			break;
		}
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool		isnull;
			HeapTuple	tuple = SPI_tuptable->vals[i];

			*position = *(ItemPointer) DatumGetPointer(SPI_getbinval(tuple, SPI_tuptable->tupdesc,
																	 1, &isnull));
			take_row(run, tuple, SPI_tuptable->tupdesc, &tokens);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	return more;
}

/* The arguments of a row's call; what is not given is left at its default. */
static void
call_arguments(TableRun *run, Datum source, NullableDatum *args)
{
	for (int i = 0; i < ALBERT_MAX_ARGS; i++)
		args[i].isnull = true;
	args[run->signature->model].value = CStringGetTextDatum(run->job->model);
	args[run->signature->model].isnull = false;
	args[run->signature->text].value = source;
	args[run->signature->text].isnull = false;
	if (run->signature->pair >= 0)
	{
		args[run->signature->pair].value = CStringGetTextDatum("");
		args[run->signature->pair].isnull = false;
	}
}

/* Fill the items of rows [from, to) and run them as one. */
static void
run_rows(TableRun *run, AlbertJob *job, int from, int to)
{
	NullableDatum args[ALBERT_MAX_ARGS];
	AlbertItem *items = palloc0((to - from) * sizeof(AlbertItem));

	call_arguments(run, (Datum) 0, args);
	for (int i = from; i < to; i++)
	{
		args[run->signature->text].value = run->rows[i].source;
		(void) AlbertItemFill(&items[i - from], run->signature, args);
	}
	AlbertTaskRun(job, items, to - from);
	for (int i = from; i < to; i++)
		run->rows[i].item = items[i - from];
}

/* run_rows in a subtransaction; false, with the error in *error, when it raised a row's error. */
static bool
try_rows(TableRun *run, AlbertJob *job, int from, int to, ErrorData **error)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(run->batch_context);
	PG_TRY();
	{
		run_rows(run, job, from, to);
		ReleaseCurrentSubTransaction();
		done = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(run->batch_context);
		*error = CopyErrorData();
		FlushErrorState();
		/* first, whatever the error: else the session is left in an aborted block */
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(old);
		CurrentResourceOwner = owner;
		if (AlbertErrorBlame((*error)->sqlerrcode) != ALBERT_BLAME_ROW)
			ReThrowError(*error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	return done;
}

static void
report_row(TableRun *run, BatchRow *row, const ErrorData *error)
{
	row->failed = true;
	run->progress.rows_failed++;
	skipped(run, &row->tid, HASH_ENTER);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("row (%u,%u) of table \"%s\" left out: %s",
					ItemPointerGetBlockNumber(&row->tid), ItemPointerGetOffsetNumber(&row->tid),
					get_rel_name(run->leaf), error->message)));
}

/*
 * All rows at once; when that fails, one by one, to find the row at fault.  A
 * model that is not there or cannot do the task is no row's fault, and ends it.
 */
static void
compute_batch(TableRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->batch_context);
	NullableDatum args[ALBERT_MAX_ARGS];
	ErrorData  *error = NULL;
	AlbertJob	job;

	call_arguments(run, run->rows[0].source, args);
	AlbertJobStart(&job, run->signature, args);
	MemoryContextSwitchTo(old);
	if (try_rows(run, &job, 0, run->nrows, &error))
		return;
	for (int i = 0; i < run->nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!try_rows(run, &job, i, i + 1, &error))
			report_row(run, &run->rows[i], error);
	}
}

static void
update_row(TableRun *run, BatchRow *row)
{
	Datum		values[2];
	bool		isnull;

	if (row->failed)
		return;
	if (row->item.isnull)
	{
		/* the answer is NULL: nothing to write, and nothing to ask again */
		skipped(run, &row->tid, HASH_ENTER);
		run->progress.rows_done++;
		return;
	}
	values[0] = PointerGetDatum(&row->tid);
	values[1] = row->item.result;
	if (SPI_execute_plan(run->update, values, NULL, false, 0) != SPI_OK_UPDATE_RETURNING)
		elog(ERROR, "updating a row failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_processed == 1)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		/* a trigger or a cast can leave it NULL; it would be found again for ever */
		if (DatumGetBool(SPI_getbinval(tuple, desc, 2, &isnull)))
			skipped(run, (ItemPointer) DatumGetPointer(SPI_getbinval(tuple, desc, 1, &isnull)),
					HASH_ENTER);
		run->progress.rows_done++;
		run->progress.tokens += row->tokens;
	}
	else
	{
		/* a trigger has kept the row from being updated */
		skipped(run, &row->tid, HASH_ENTER);
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
notice_progress(TableRun *run)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		done = run->progress.rows_done + run->progress.rows_failed;
	double		seconds = (now - run->progress.started_at) / 1e6;
	double		rate = seconds > 0 ? done / seconds : 0;

	AlbertProgressUpdate(&run->progress);
	if (!TimestampDifferenceExceeds(run->last_notice, now, NOTICE_SECONDS * 1000))
		return;
	run->last_notice = now;
	ereport(NOTICE,
			(errmsg("%lld of %lld rows, %.0f rows a second, %.0f seconds to go",
					(long long) done, (long long) run->progress.rows_total, rate,
					rate > 0 ? Max(run->progress.rows_total - done, 0) / rate : 0.0)));
}

static void
commit_batch(TableRun *run)
{
	SPI_commit();
	SPI_start_transaction();
	MemoryContextReset(run->batch_context);
	CHECK_FOR_INTERRUPTS();
}

/* ---------- passes ---------- */

/* One pass over the leaf; how many rows it found to do. */
static int64
walk_leaf(TableRun *run)
{
	ItemPointerData position;
	int64		found = 0;
	bool		more = true;

	ItemPointerSet(&position, 0, 0);
	while (more)
	{
		more = fetch_batch(run, &position);
		if (run->nrows > 0)
		{
			compute_batch(run);
			for (int i = 0; i < run->nrows; i++)
				update_row(run, &run->rows[i]);
			found += run->nrows;
			notice_progress(run);
		}
		commit_batch(run);
	}
	return found;
}

static void
wait_for_others(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_WAIT_MS,
					 AlbertWaitEvent("AlbertTableJobLock"));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* How many of the leaf's rows will stay as they are; they may have gone since. */
static int64
count_skipped(TableRun *run)
{
	HASH_SEQ_STATUS scan;
	SkippedRow *row;
	int64		n = 0;

	hash_seq_init(&scan, run->skipped);
	while ((row = hash_seq_search(&scan)) != NULL)
		n += row->relation == run->leaf;
	return n;
}

/*
 * Passes until one finds nothing and nothing is left, but for rows that were
 * left out; what others hold is waited for.
 */
static void
fill_leaf(TableRun *run, Oid leaf)
{
	prepare_leaf(run, leaf);
	for (;;)
	{
		if (walk_leaf(run) > 0)
			continue;
		if (count_remaining(run) <= count_skipped(run))
			break;
		commit_batch(run);
		wait_for_others();
	}
	forget_leaf(run);
	commit_batch(run);
}

/* The tables to walk: the relation itself, or the leaves below a partitioned or inherited one. */
static List *
find_leaves(TableRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	List	   *all = find_all_inheritors(run->job->relation, AccessShareLock, NULL);
	List	   *leaves = NIL;
	ListCell   *cell;

	foreach(cell, all)
	{
		Oid			relation = lfirst_oid(cell);

		if (get_rel_relkind(relation) == RELKIND_RELATION)
			leaves = lappend_oid(leaves, relation);
	}
	MemoryContextSwitchTo(old);
	return leaves;
}

static void
begin_run(TableRun *run, const AlbertTableJob *job)
{
	MemoryContext old;

	memset(run, 0, sizeof(*run));
	run->job = job;
	run->context = AllocSetContextCreate(PortalContext, "albert table job", ALLOCSET_DEFAULT_SIZES);
	run->batch_context = AllocSetContextCreate(run->context, "albert table job batch",
											   ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(run->context);
	run->signature = AlbertSignatureOf(job->function);
	run->rows = palloc(MAX_BATCH_ROWS * sizeof(BatchRow));
	MemoryContextSwitchTo(old);
	run->result_type = get_func_rettype(job->function);
	make_skipped(run);

	run->progress.pid = MyProcPid;
	run->progress.database = MyDatabaseId;
	run->progress.relation = job->relation;
	strlcpy(run->progress.model, job->model, NAMEDATALEN);
	strlcpy(run->progress.task, job->task, NAMEDATALEN);
	run->progress.started_at = run->last_notice = GetCurrentTimestamp();
}

static void
fill_table(TableRun *run)
{
	List	   *leaves = find_leaves(run);
	ListCell   *cell;

	foreach(cell, leaves)
	{
		prepare_leaf(run, lfirst_oid(cell));
		run->progress.rows_total += count_remaining(run);
		forget_leaf(run);
	}
	AlbertProgressBegin(&run->progress);
	commit_batch(run);
	foreach(cell, leaves)
		fill_leaf(run, lfirst_oid(cell));
}

void
AlbertTableJobRun(const AlbertTableJob *job)
{
	TableRun	run;

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	begin_run(&run, job);
	PG_TRY();
	{
		fill_table(&run);
	}
	PG_FINALLY();
	{
		AlbertProgressEnd();
	}
	PG_END_TRY();
	ereport(NOTICE,
			(errmsg("%lld rows done, %lld left out", (long long) run.progress.rows_done,
					(long long) run.progress.rows_failed)));
	SPI_finish();
	MemoryContextDelete(run.context);
}
