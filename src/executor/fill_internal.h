/*
 * fill_internal.h
 *	  What the files of a fill share: its state, and what each of them does
 *	  for the others.
 *
 * The fill commits again and again, and others may drop, rename, detach or
 * rewrite what it works on meanwhile.  So what it keeps from one transaction
 * to the next are OIDs and the names that the call gave; each transaction
 * begins with AlbertFillLeafEnter, which locks the table and looks at all else anew.
 */
#ifndef ALBERT_FILL_INTERNAL_H
#define ALBERT_FILL_INTERNAL_H

#include "postgres.h"

#include "executor/spi.h"
#include "storage/itemptr.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "executor/fill.h"
#include "executor/holder.h"
#include "executor/progress.h"
#include "executor/task.h"

#define ALBERT_FILL_ROWS	4096	/* of a batch, at most */

/* One version of a row.  A place may be used again, but by another transaction. */
typedef struct RowVersion
{
	ItemPointerData tid;
	TransactionId xmin;
} RowVersion;

/* Why a row stays NULL. */
typedef enum LeftOut
{
	LEFT_REFUSED,				/* the task cannot do its text; was reported by a warning */
	LEFT_NULL,					/* the value is NULL, or a trigger has kept it out */
	LEFT_HIDDEN,				/* may be seen but not updated */
	LEFT_HELD,					/* others have it locked, and were waited for */
	LEFT_REASONS
} LeftOut;

typedef struct LeftRow
{
	RowVersion	version;		/* the key */
	LeftOut		why;
} LeftRow;

/* One row of a batch. */
typedef struct BatchRow
{
	RowVersion	version;
	Datum		source;			/* text */
	int			tokens;
	bool		locked;
} BatchRow;

/* Waiting for others. */
typedef struct FillWait
{
	double		seconds;		/* so far */
	double		next_notice;
	AlbertHolder holder;		/* who was found last */
} FillWait;

/* A walk over the table from its first page to its last. */
typedef struct FillPass
{
	ItemPointerData position;	/* where it has come to */
	bool		give_up;		/* leaves out what others have locked, too */
	int64		rows;			/* met, which were to be filled and had not been left out before */
	int64		held;			/* those of them that others have locked */
	int64		left[LEFT_REASONS]; /* met, which had been left out before */
} FillPass;

typedef struct FillRun
{
	const AlbertFill *fill;
	const char *table_name;		/* when the call began; for messages */
	MemoryContext context;		/* lives for the whole run; what is current lives as long as a transaction */
	AlbertProgress progress;
	int64		left_out;		/* rows of the tables that are finished, and those with a reason in the errors column */

	/* what the rows' calls have in common, with a row's text in its place */
	AlbertSignature *signature;
	NullableDatum args[ALBERT_MAX_ARGS];

	/* the model as it was loaded first, once that is known */
	bool		has_identity;
	uint8		identity[ALBERT_SHA256_LEN];

	/* the table being walked: the fill's, or one of its partitions */
	Oid			leaf;
	char		leaf_name[NAMEDATALEN]; /* when last seen; "": not yet */
	Oid			file;			/* its storage, when last seen: places are places in that */
	HTAB	   *left;			/* of LeftRow */
	int64		noted;			/* rows whose reason is in the errors column */
	FillPass	pass;
	FillWait	table_wait;		/* for a lock of the leaf */
	FillWait	row_wait;		/* for its rows */

	/* of this transaction */
	const char *table;			/* the leaf, as statements name it */
	const char *is_leaf;		/* condition on a row: it is the leaf's */
	const char *to_do;			/* likewise: and is to be filled */
	BatchRow   *rows;			/* room for ALBERT_FILL_ROWS; by their places */
	int			nrows;
} FillRun;

/* fill_wait.c */

/* Commit, and begin the next transaction; all that was palloc'd in the last one is gone. */
extern void AlbertFillCommit(void);

/*
 * Commit, wait a little for one of the run's waits to end, and say so from time
 * to time.  False, at once, when it was waited for long enough.
 */
extern bool AlbertFillWait(FillRun *run, FillWait *wait, int milliseconds);

/* fill_expression.c */

/* Errors for a source or a condition that is not one expression over the rows of the fill's table. */
extern void AlbertExpressionRequire(const FillRun *run);

/* Parts of statements: a table, called as the fill's; what gives the text, and which rows are to be filled. */
extern char *AlbertRowTable(const FillRun *run, Oid table);
extern char *AlbertRowSource(const AlbertFill *fill);
extern char *AlbertRowToDo(const AlbertFill *fill);

/* fill_leaf.c */

/* Errors for a call that cannot be: what the table is, and the columns' names and kinds.  The table's name. */
extern char *AlbertFillLeafRequire(Oid table, const AlbertFill *fill);

/* Begin with another table; what was known of the last one is forgotten. */
extern void AlbertFillLeafBegin(FillRun *run, Oid leaf);

/*
 * To be called first in each transaction: lock the table, see that it and the
 * function are as they must be, and what statements call it now.  False when
 * the table is not part of the fill any more.
 */
extern bool AlbertFillLeafEnter(FillRun *run);

/* The function is there, and its caller may execute it. */
extern void AlbertFillLeafRequireFunction(const FillRun *run);

/* fill_rows.c */

/*
 * Lock and take the next rows of the pass; false at the table's end.  Those
 * that cannot be had are counted in the pass.
 */
extern bool AlbertFillRowsTake(FillRun *run);

/* Leave a row out of this call. */
extern void AlbertFillRowsLeaveOut(FillRun *run, const RowVersion *version, LeftOut why);

/* Warnings for rows left out without one, as the last pass has counted them. */
extern void AlbertFillRowsReport(FillRun *run);

/* The version that a row of a statement beginning with ctid, xmin is. */
extern void AlbertRowVersion(HeapTuple tuple, TupleDesc desc, RowVersion *version);

/* fill_batch.c */

/* Begin; errors for options that the task has not, and a model that is not there or cannot do the task. */
extern void AlbertFillBatchBegin(FillRun *run);

/* Compute the rows taken, and write them. */
extern void AlbertFillBatchRun(FillRun *run);

#endif							/* ALBERT_FILL_INTERNAL_H */
