/*
 * fill_rows.c
 *	  Which rows of its table a fill takes, and which it leaves out.
 *
 * A pass reads the rows that are to be filled in the order of their places (a
 * TID range from where the last batch ended), and locks them without waiting.
 * A condition that is planned as a join may give them in another order; what a
 * pass does not come to then is met by the next one.  What cannot be locked is
 * held by others, or may be seen and not updated, or has been changed since it
 * was read.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/guc.h"

#include "executor/fill_internal.h"

#define FETCH_ROWS		16		/* rows fetched at a time */

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

void
AlbertFillRowsLeaveOut(FillRun *run, const RowVersion *version, LeftOut why)
{
	((LeftRow *) hash_search(run->left, version, HASH_ENTER, NULL))->why = why;
}

/* ---------- reading ---------- */

/*
 * Rows that a statement finds by their places, which is a condition on ctid and $1, in the order of those.
 * The scan of a table in a subselect, which has no such condition, seems to cost so much then that the
 * statement would be compiled: every batch anew, which takes longer than the batch.
 */
static Portal
open_by_place(const char *query, Oid type, Datum places)
{
	static const char *const unwanted[] = {"enable_seqscan", "enable_indexscan", "enable_bitmapscan", "jit"};
	int			nest = NewGUCNestLevel();
	Portal		portal;

	for (int i = 0; i < lengthof(unwanted); i++)
		(void) set_config_option(unwanted[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_tidscan", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	portal = SPI_cursor_open_with_args(NULL, query, 1, &type, &places, NULL, false, 0);
	AtEOXact_GUC(false, nest);
	return portal;
}

/* The rows to be filled behind the last batch. */
static Portal
open_walk(FillRun *run)
{
	return open_by_place(psprintf("SELECT ctid, xmin, %s FROM %s WHERE ctid OPERATOR(pg_catalog.>) $1 AND %s",
								  AlbertRowSource(run->fill), run->table, run->to_do),
						 TIDOID, PointerGetDatum(&run->pass.position));
}

/* A row that has been left out is counted; any other one is to be done. */
static void
read_row(FillRun *run, HeapTuple tuple, TupleDesc desc)
{
	FillPass   *pass = &run->pass;
	BatchRow   *row = &run->rows[run->nrows];
	LeftRow    *left;
	bool		isnull;

	memset(row, 0, sizeof(*row));
	AlbertRowVersion(tuple, desc, &row->version);
	pass->position = row->version.tid;
	left = hash_search(run->left, &row->version, HASH_FIND, NULL);
	if (left != NULL)
	{
		pass->left[left->why]++;
		return;
	}
	row->source = PointerGetDatum(DatumGetTextPCopy(SPI_getbinval(tuple, desc, 3, &isnull)));
	row->tokens = AlbertEstimateTokens(VARSIZE_ANY_EXHDR(DatumGetPointer(row->source)));
	pass->rows++;
	run->nrows++;
}

static int
compare_places(const void *a, const void *b)
{
	return ItemPointerCompare(unconstify(ItemPointerData *, &((const BatchRow *) a)->version.tid),
							  unconstify(ItemPointerData *, &((const BatchRow *) b)->version.tid));
}

/* As many rows as make a batch, by their places; false when there are no more. */
static bool
read_rows(FillRun *run, Portal portal)
{
	int			tokens = 0;
	bool		more = true;

	run->nrows = 0;
	while (more && tokens < run->fill->batch_tokens && run->nrows + FETCH_ROWS <= ALBERT_FILL_ROWS)
	{
		int			first = run->nrows;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		more = SPI_processed > 0;
		for (uint64 i = 0; i < SPI_processed; i++)
			read_row(run, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		SPI_freetuptable(SPI_tuptable);
		for (int i = first; i < run->nrows; i++)
			tokens += run->rows[i].tokens;
	}
	qsort(run->rows, run->nrows, sizeof(BatchRow), compare_places);
	return more;
}

/* ---------- locking ---------- */

/* Lock those of the batch's rows that the caller may update and others have not locked. */
static void
lock_rows(FillRun *run)
{
	Datum	   *places = palloc(run->nrows * sizeof(Datum));
	ArrayType  *array;
	Portal		portal;

	for (int i = 0; i < run->nrows; i++)
		places[i] = PointerGetDatum(&run->rows[i].version.tid);
	array = construct_array(places, run->nrows, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT);
	portal = open_by_place(psprintf("SELECT ctid, xmin FROM %s WHERE ctid OPERATOR(pg_catalog.=) ANY ($1) AND %s "
									"FOR NO KEY UPDATE SKIP LOCKED", run->table, run->to_do),
						   TIDARRAYOID, PointerGetDatum(array));
	SPI_cursor_fetch(portal, true, run->nrows);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		BatchRow	found;
		BatchRow   *row;

		AlbertRowVersion(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &found.version);
		/* none: another version of a row that has been changed meanwhile */
		row = bsearch(&found, run->rows, run->nrows, sizeof(BatchRow), compare_places);
		if (row != NULL)
			row->locked = true;
	}
	SPI_freetuptable(SPI_tuptable);
	SPI_cursor_close(portal);
}

/*
 * Has a row that could not be locked been let go of, or was it never held?  It
 * is locked then, so that nobody else keeps it from the fill any more.
 */
static bool
is_free(FillRun *run, BatchRow *row)
{
	FillPass   *pass = &run->pass;
	bool		ask = pass->held == 0 && !pass->give_up;
	TM_Result	result = AlbertRowLock(run->leaf, &row->version.tid, ask ? &run->row_wait.holder : NULL);

	if (result == TM_WouldBlock && pass->give_up)
		AlbertFillRowsLeaveOut(run, &row->version, LEFT_HELD);
	else if (result == TM_WouldBlock)
		pass->held++;
	/* else it has been changed since it was read, or deleted: the next pass sees that */
	return result == TM_Ok;
}

/* Let go of the rows that others have; what is left to be locked then may be seen and not updated. */
static void
lock_free_rows(FillRun *run)
{
	int			n = 0;
	int			nlocked = 0;

	for (int i = 0; i < run->nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!run->rows[i].locked && !is_free(run, &run->rows[i]))
			continue;
		nlocked += run->rows[i].locked;
		run->rows[n++] = run->rows[i];
	}
	run->nrows = n;
	if (nlocked == n)
		return;
	lock_rows(run);
	n = 0;
	for (int i = 0; i < run->nrows; i++)
	{
		if (run->rows[i].locked)
			run->rows[n++] = run->rows[i];
		else
			AlbertFillRowsLeaveOut(run, &run->rows[i].version, LEFT_HIDDEN);
	}
	run->nrows = n;
}

bool
AlbertFillRowsTake(FillRun *run)
{
	/* as long as it is open, the rows read stay in their places */
	Portal		portal = open_walk(run);
	bool		more = read_rows(run, portal);

	if (run->nrows > 0)
	{
		lock_rows(run);
		lock_free_rows(run);
	}
	SPI_cursor_close(portal);
	return more;
}

/* ---------- what is said of rows left out ---------- */

void
AlbertFillRowsReport(FillRun *run)
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
		int64		n = run->pass.left[why];

		if (n > 0 && words[why].one != NULL)
			ereport(WARNING,
					(errmsg_plural("%lld row of table \"%s\" left out: %s", "%lld rows of table \"%s\" left out: %s",
								   n, (long long) n, run->leaf_name, n == 1 ? words[why].one : words[why].many),
					 why == LEFT_HELD ? AlbertHolderDetail(&run->row_wait.holder) : 0,
					 errhint("%s", words[why].hint)));
	}
}
