/*
 * fill.c
 *	  Long work on a table.
 *
 * A pass walks the table in the order of its pages, so that it reads it once
 * however many batches it takes.  Each batch locks its rows, skipping those that
 * others hold, computes them together, updates them and commits: what is killed
 * loses one batch, and another session can work on the same table.  Passes are
 * repeated until one meets nothing but rows that have been left out.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "executor/fill_internal.h"

#define LEAST_WAIT_MS		200	/* before looking again at rows that others hold */
#define MOST_WAIT_MS		10000

/* ---------- passes ---------- */

static void
show_progress(FillRun *run)
{
	run->progress.rows_failed = run->left_out + hash_get_num_entries(run->left);
	AlbertProgressTell(&run->progress);
}

/* One pass over the table; false when the table has gone. */
static bool
walk_leaf(FillRun *run, bool give_up)
{
	bool		more = true;

	run->pass = (FillPass) {.give_up = give_up};
	while (more)
	{
		if (!AlbertFillLeafEnter(run))
			return false;
		more = AlbertFillRowsTake(run);
		if (run->nrows > 0)
		{
			AlbertFillBatchRun(run);
			show_progress(run);
		}
		AlbertFillCommit();
	}
	return true;
}

/* Passes until one meets nothing to do; false when the table has gone. */
static bool
walk_until_finished(FillRun *run)
{
	const FillPass *pass = &run->pass;
	bool		give_up = false;

	for (;;)
	{
		TimestampTz start = GetCurrentTimestamp();
		int64		pass_ms;

		if (!walk_leaf(run, give_up))
			return false;
		if (pass->rows == 0)
			return true;
		/* all that is left to do is held by others: looking takes no more than a part of the time */
		pass_ms = (GetCurrentTimestamp() - start) / 1000;
		give_up = pass->rows == pass->held &&
			!AlbertFillWait(run, &run->row_wait, (int) Max(LEAST_WAIT_MS, Min(4 * pass_ms, MOST_WAIT_MS)));
	}
}

static void
fill_leaf(FillRun *run, Oid leaf)
{
	AlbertFillLeafBegin(run, leaf);
	if (walk_until_finished(run))
	{
		AlbertFillRowsReport(run);
		for (int i = 0; i < LEFT_REASONS; i++)
			run->left_out += run->pass.left[i];
	}
	else if (run->leaf_name[0] != '\0')
		ereport(WARNING,
				(errmsg("table \"%s\" is no longer part of table \"%s\": its other rows are left as they are",
						run->leaf_name, run->table_name)));
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
		if (SPI_execute(psprintf("SELECT pg_catalog.count(*) FROM %s WHERE %s", run->table, run->to_do),
						true, 0) != SPI_OK_SELECT)
			elog(ERROR, "counting rows failed: %s", SPI_result_code_string(SPI_result));
		run->progress.rows_total += DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
																SPI_tuptable->tupdesc, 1, &isnull));
	}
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
			AlbertProgressBegin(&run->progress, run->context, run->fill->relation, run->fill->model, run->fill->task,
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
	AlbertExpressionRequire(run);
	/* SPI leaves another context current */
	old = MemoryContextSwitchTo(run->context);
	run->rows = palloc(ALBERT_FILL_ROWS * sizeof(BatchRow));
	AlbertFillBatchBegin(run);
	MemoryContextSwitchTo(old);
}

void
AlbertFillRun(const AlbertFill *fill)
{
	FillRun		run;

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	begin_run(&run, fill);
	AlbertFillCommit();
	fill_table(&run);
	ereport(NOTICE,
			(errmsg("%lld rows done, %lld left out", (long long) run.progress.rows_done,
					(long long) run.left_out)));
	SPI_finish();
	MemoryContextDelete(run.context);
}
