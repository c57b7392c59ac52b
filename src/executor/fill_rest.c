/*
 * fill_rest.c
 *	  Rows that a fill leaves out, and what is left to do when a walk has
 *	  found nothing: rows that others hold, and rows that cannot be had.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"

#include "executor/fill_internal.h"

#define LOOK_ROWS	256			/* rows fetched at a time */

/* ---------- rows left out ---------- */

void
AlbertRowVersion(HeapTuple tuple, TupleDesc desc, RowVersion *version)
{
	bool		isnull;

	/* a key is compared byte by byte, what is between its members included */
	memset(version, 0, sizeof(*version));
	version->tid = *(ItemPointer) DatumGetPointer(SPI_getbinval(tuple, desc, 1, &isnull));
	version->xmin = DatumGetTransactionId(SPI_getbinval(tuple, desc, 2, &isnull));
}

LeftRow *
AlbertFillLeftFind(FillRun *run, const RowVersion *version)
{
	return hash_search(run->left, version, HASH_FIND, NULL);
}

void
AlbertLeaveOut(FillRun *run, const RowVersion *version, LeftOut why)
{
	LeftRow    *row = hash_search(run->left, version, HASH_ENTER, NULL);

	row->why = why;
	row->seen = true;
}

static void
forget_seen(FillRun *run)
{
	HASH_SEQ_STATUS scan;
	LeftRow    *row;

	hash_seq_init(&scan, run->left);
	while ((row = hash_seq_search(&scan)) != NULL)
		row->seen = false;
}

/* Versions of rows that have been changed, filled or deleted since. */
static void
drop_unseen(FillRun *run)
{
	HASH_SEQ_STATUS scan;
	LeftRow    *row;

	hash_seq_init(&scan, run->left);
	while ((row = hash_seq_search(&scan)) != NULL)
	{
		if (!row->seen)
			hash_search(run->left, &row->version, HASH_REMOVE, NULL);
	}
}

/* ---------- what is left ---------- */

static bool
finds_row(SPIPlanPtr plan, const RowVersion *version)
{
	Datum		values[2] = {PointerGetDatum(&version->tid), TransactionIdGetDatum(version->xmin)};

	if (SPI_execute_plan(plan, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "looking at a row failed: %s", SPI_result_code_string(SPI_result));
	return SPI_processed > 0;
}

/* Lock the row, without waiting; *held says that others have it. */
static bool
lock_row(FillRun *run, const RowVersion *version, bool *held)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool locked = false;

	*held = false;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(run->batch_context);
	PG_TRY();
	{
		locked = finds_row(run->probe.plan, version);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(run->batch_context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(old);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
		FreeErrorData(error);
		*held = true;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	return locked;
}

static void
find_holder(FillRun *run, RowVersion *version)
{
	Relation	leaf = relation_open(run->leaf, NoLock);

	AlbertRowHolder(leaf, &version->tid, &run->row_wait.holder);
	relation_close(leaf, NoLock);
}

/* REST_NONE: the row is left out. */
static FillRest
look_at_row(FillRun *run, RowVersion *version, bool give_up)
{
	LeftRow    *row = AlbertFillLeftFind(run, version);
	bool		held;

	if (row != NULL)
	{
		row->seen = true;
		return REST_NONE;
	}
	if (lock_row(run, version, &held))
		return REST_FREE;
	if (held && !give_up)
	{
		find_holder(run, version);
		return REST_HELD;
	}
	/* it can be seen still, but not by who would lock it? */
	if (!held && !finds_row(run->look.plan, version))
		return REST_FREE;
	AlbertLeaveOut(run, version, held ? LEFT_HELD : LEFT_HIDDEN);
	return REST_NONE;
}

FillRest
AlbertFillRestLook(FillRun *run, bool give_up)
{
	FillRest		rest = REST_NONE;
	Portal		portal;
	uint64		n;

	forget_seen(run);
	portal = SPI_cursor_open(NULL, run->pending.plan, NULL, NULL, false);
	do
	{
		SPITupleTable *rows;

		SPI_cursor_fetch(portal, true, LOOK_ROWS);
		rows = SPI_tuptable;
		n = SPI_processed;
		for (uint64 i = 0; i < n && rest == REST_NONE; i++)
		{
			RowVersion	version;

			CHECK_FOR_INTERRUPTS();
			AlbertRowVersion(rows->vals[i], rows->tupdesc, &version);
			rest = look_at_row(run, &version, give_up);
		}
		SPI_freetuptable(rows);
	} while (n > 0 && rest == REST_NONE);
	SPI_cursor_close(portal);
	if (rest == REST_NONE)
		drop_unseen(run);
	return rest;
}

/* ---------- what is said of them ---------- */

void
AlbertFillRestReport(FillRun *run)
{
	HASH_SEQ_STATUS scan;
	LeftRow    *row;
	unsigned long n[LEFT_REASONS] = {0};

	hash_seq_init(&scan, run->left);
	while ((row = hash_seq_search(&scan)) != NULL)
		n[row->why]++;
	if (run->noted > 0)
		ereport(WARNING,
				(errmsg_plural("%lld row of table \"%s\" left out: column \"%s\" has the reason",
							   "%lld rows of table \"%s\" left out: column \"%s\" has the reasons",
							   run->noted, (long long) run->noted, run->leaf_name, run->fill->errors)));
	if (n[LEFT_NULL] > 0)
		ereport(WARNING,
				(errmsg_plural("%lu row of table \"%s\" left out: its value is NULL",
							   "%lu rows of table \"%s\" left out: their value is NULL",
							   n[LEFT_NULL], n[LEFT_NULL], run->leaf_name),
				 errhint("A trigger of the table may have set it so, or have kept the row from being updated.")));
	if (n[LEFT_HIDDEN] > 0)
		ereport(WARNING,
				(errmsg_plural("%lu row of table \"%s\" left out: it may be seen but not updated",
							   "%lu rows of table \"%s\" left out: they may be seen but not updated",
							   n[LEFT_HIDDEN], n[LEFT_HIDDEN], run->leaf_name),
				 errhint("Policies of the table for UPDATE decide which rows a role may update.")));
	if (n[LEFT_HELD] > 0)
		ereport(WARNING,
				(errmsg_plural("%lu row of table \"%s\" left out: others have locked it",
							   "%lu rows of table \"%s\" left out: others have locked them",
							   n[LEFT_HELD], n[LEFT_HELD], run->leaf_name),
				 AlbertHolderDetail(&run->row_wait.holder),
				 errhint("Call albert_embed_table again when they are free.")));
}
