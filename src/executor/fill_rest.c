/*
 * fill_rest.c
 *	  Rows that a fill leaves out, and what is left to do when a walk has
 *	  found nothing: rows that others hold, and rows that cannot be had.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

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
	((LeftRow *) hash_search(run->left, version, HASH_ENTER, NULL))->why = why;
}

/* ---------- what is left ---------- */

/*
 * Lock the row, without waiting.  A statement that skips locked rows does not
 * tell those from rows that it may not have.
 */
static TM_Result
lock_row(FillRun *run, RowVersion *version)
{
	Relation	leaf = relation_open(run->leaf, NoLock);
	TupleTableSlot *slot = table_slot_create(leaf, NULL);
	TM_FailureData failure;
	TM_Result	result;

	PushActiveSnapshot(GetTransactionSnapshot());
	result = table_tuple_lock(leaf, &version->tid, GetActiveSnapshot(), slot, GetCurrentCommandId(true),
							  LockTupleNoKeyExclusive, LockWaitSkip, 0, &failure);
	PopActiveSnapshot();
	if (result == TM_WouldBlock)
		AlbertRowHolder(leaf, &version->tid, &run->row_wait.holder);
	ExecDropSingleTupleTableSlot(slot);
	relation_close(leaf, NoLock);
	return result;
}

/* Would the fill take this row, which nobody else has locked? */
static bool
is_to_be_had(FillRun *run, const RowVersion *version)
{
	Datum		tid = PointerGetDatum(&version->tid);
	bool		found;

	if (SPI_execute_plan(run->probe.plan, &tid, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "looking at a row failed: %s", SPI_result_code_string(SPI_result));
	found = SPI_processed > 0;
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* REST_NONE: the row is left out. */
static FillRest
look_at_row(FillRun *run, RowVersion *version, bool give_up)
{
	LeftRow    *row = AlbertFillLeftFind(run, version);
	TM_Result	lock;

	if (row == NULL)
	{
		lock = lock_row(run, version);
		if (lock == TM_WouldBlock && !give_up)
			return REST_HELD;
		/* it has been changed since it was seen, or nothing keeps it from being done now? */
		if (lock != TM_WouldBlock && (lock != TM_Ok || is_to_be_had(run, version)))
			return REST_FREE;
		AlbertLeaveOut(run, version, lock == TM_WouldBlock ? LEFT_HELD : LEFT_HIDDEN);
		row = AlbertFillLeftFind(run, version);
	}
	run->nleft[row->why]++;
	return REST_NONE;
}

FillRest
AlbertFillRestLook(FillRun *run, bool give_up)
{
	FillRest	rest = REST_NONE;
	Portal		portal;
	uint64		n;

	memset(run->nleft, 0, sizeof(run->nleft));
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
	return rest;
}

/* ---------- what is said of them ---------- */

void
AlbertFillRestReport(FillRun *run)
{
	/* refused ones have had a warning each */
	static const struct
	{
		const char *one;
		const char *many;
		const char *hint;
	}			words[LEFT_REASONS] = {
		[LEFT_NULL] = {"its value is NULL", "their value is NULL",
		"A trigger of the table may have set it so, or have kept the row from being updated."},
		[LEFT_HIDDEN] = {"it may be seen but not updated", "they may be seen but not updated",
		"Policies of the table for UPDATE decide which rows a role may update."},
		[LEFT_HELD] = {"others have locked it", "others have locked them",
		"Call albert_embed_table again when they are free."}
	};

	if (run->noted > 0)
		ereport(WARNING,
				(errmsg_plural("%lld row of table \"%s\" left out: column \"%s\" has the reason",
							   "%lld rows of table \"%s\" left out: column \"%s\" has the reasons",
							   run->noted, (long long) run->noted, run->leaf_name, run->fill->errors)));
	for (int why = 0; why < LEFT_REASONS; why++)
	{
		int64		n = run->nleft[why];

		if (n > 0 && words[why].one != NULL)
			ereport(WARNING,
					(errmsg_plural("%lld row of table \"%s\" left out: %s", "%lld rows of table \"%s\" left out: %s",
								   n, (long long) n, run->leaf_name, n == 1 ? words[why].one : words[why].many),
					 why == LEFT_HELD ? AlbertHolderDetail(&run->row_wait.holder) : 0,
					 errhint("%s", words[why].hint)));
	}
}
