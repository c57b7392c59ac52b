/*
 * fill.c
 *	  Long work on a table.
 *
 * The table is walked in the order of its pages (a TID range from where the
 * last batch ended), so that a pass reads it once however many batches it
 * takes.  Each batch locks its rows, skipping those that others hold, computes
 * them together, updates them and commits: what is killed loses one batch, and
 * another session can work on the same table.  Passes are repeated until one
 * finds nothing to do and nothing is left to wait for.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "executor/fill_internal.h"

#define LEAST_WAIT_MS		200	/* before looking again at rows that others hold */
#define MOST_WAIT_MS		10000

/* ---------- passes ---------- */

static void
show_progress(FillRun *run)
{
	run->progress.rows_failed = run->left_out + (run->left == NULL ? 0 : hash_get_num_entries(run->left));
	AlbertProgressTell(&run->progress);
}

/* One pass over the table, counting the rows found to do; false when the table has gone. */
static bool
walk_leaf(FillRun *run, int64 *found)
{
	bool		more = true;

	*found = 0;
	ItemPointerSet(&run->position, 0, 0);
	while (more)
	{
		if (!AlbertFillLeafEnter(run))
			return false;
		more = AlbertFillBatchFetch(run);
		AlbertFillBatchRun(run);
		*found += run->nrows;
		if (run->nrows > 0)
			show_progress(run);
		AlbertFillCommit();
	}
	return true;
}

/* After a pass that took so long and found nothing: is the table finished?  Waits if it is to be walked again. */
static bool
is_finished(FillRun *run, TimestampTz pass_start)
{
	int64		pass_ms;
	FillRest	rest = AlbertFillRestLook(run, false);

	if (rest == REST_FREE)
		return false;
	if (rest == REST_HELD)
	{
		/* looking takes no more than a part of the time */
		pass_ms = (GetCurrentTimestamp() - pass_start) / 1000;
		if (AlbertFillWait(run, &run->row_wait, (int) Max(LEAST_WAIT_MS, Min(4 * pass_ms, MOST_WAIT_MS))))
			return false;
		rest = AlbertFillRestLook(run, true);
	}
	return rest == REST_NONE;
}

/* Passes until one finds nothing and nothing is left but for rows left out; false when the table has gone. */
static bool
walk_until_finished(FillRun *run)
{
	for (;;)
	{
		TimestampTz start = GetCurrentTimestamp();
		int64		found;

		if (!walk_leaf(run, &found))
			return false;
		if (found > 0)
			continue;
		if (!AlbertFillLeafEnter(run))
			return false;
		if (is_finished(run, start))
			return true;
		AlbertFillCommit();
	}
}

static void
fill_leaf(FillRun *run, Oid leaf)
{
	AlbertFillLeafBegin(run, leaf);
	if (walk_until_finished(run))
	{
		AlbertFillRestReport(run);
		for (int i = 0; i < LEFT_REASONS; i++)
			run->left_out += run->nleft[i];
	}
	else if (run->leaf_name[0] != '\0')
		ereport(WARNING,
				(errmsg("table \"%s\" is no longer part of table \"%s\": its other rows are left as they are",
						run->leaf_name, run->table_name)));
	AlbertFillLeafEnd(run);
	show_progress(run);
	AlbertFillCommit();
}

/* ---------- the tables of a call ---------- */

/* A foreign table's rows cannot be locked one by one from here. */
static void
report_foreign(Oid table)
{
	char	   *name = get_rel_name(table);

	if (name != NULL && get_rel_relkind(table) == RELKIND_FOREIGN_TABLE)
		ereport(WARNING,
				(errmsg("foreign table \"%s\" left out", name),
				 errhint("Call albert_embed_table on the server that has its rows, or fill it by UPDATE.")));
}

/* The tables to walk that are not among those before: the relation itself, or the leaves below it. */
static List *
find_leaves(FillRun *run, List *before)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	List	   *leaves = list_difference_oid(find_all_inheritors(run->fill->relation, NoLock, NULL), before);

	MemoryContextSwitchTo(old);
	return leaves;
}

static void
count_leaf(FillRun *run, Oid leaf)
{
	bool		isnull;

	AlbertFillLeafBegin(run, leaf);
	if (AlbertFillLeafEnter(run))
	{
		if (SPI_execute_plan(run->count.plan, NULL, NULL, true, 0) != SPI_OK_SELECT)
			elog(ERROR, "counting rows failed: %s", SPI_result_code_string(SPI_result));
		run->progress.rows_total += DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
																SPI_tuptable->tupdesc, 1, &isnull));
	}
	AlbertFillLeafEnd(run);
	AlbertFillCommit();
}

/* Partitions that appear meanwhile have their turn as well. */
static void
fill_table(FillRun *run)
{
	List	   *done = NIL;
	List	   *leaves;
	ListCell   *cell;
	MemoryContext old;

	while ((leaves = find_leaves(run, done)) != NIL)
	{
		foreach(cell, leaves)
		{
			report_foreign(lfirst_oid(cell));
			count_leaf(run, lfirst_oid(cell));
		}
		if (done == NIL)
			AlbertProgressBegin(&run->progress, run->fill->relation, run->fill->model, run->fill->task,
								run->progress.rows_total);
		foreach(cell, leaves)
			fill_leaf(run, lfirst_oid(cell));
		old = MemoryContextSwitchTo(run->context);
		done = list_concat(done, leaves);
		MemoryContextSwitchTo(old);
	}
}

/* ---------- a call ---------- */

static void
begin_run(FillRun *run, const AlbertFill *fill)
{
	MemoryContext old;

	memset(run, 0, sizeof(*run));
	run->fill = fill;
	run->context = AllocSetContextCreate(PortalContext, "albert fill", ALLOCSET_DEFAULT_SIZES);
	run->table_name = MemoryContextStrdup(run->context, AlbertFillLeafRequire(fill->relation, fill));
	old = MemoryContextSwitchTo(run->context);
	run->rows = palloc(ALBERT_FILL_ROWS * sizeof(BatchRow));
	MemoryContextSwitchTo(old);
	AlbertExpressionRequire(run);
	AlbertFillBatchRequire(run);
}

void
AlbertFillRun(const AlbertFill *fill)
{
	FillRun		run;

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	begin_run(&run, fill);
	PG_TRY();
	{
		AlbertFillCommit();
		fill_table(&run);
	}
	PG_FINALLY();
	{
		AlbertProgressEnd();
	}
	PG_END_TRY();
	ereport(NOTICE,
			(errmsg("%lld rows done, %lld left out", (long long) run.progress.rows_done,
					(long long) run.left_out)));
	SPI_finish();
	MemoryContextDelete(run.context);
}
