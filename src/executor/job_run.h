/*
 * job_run.h
 *	  What the files of a long job share: its state, and the steps of one to
 *	  the other.
 *
 * The job commits again and again, and others may drop, rename, detach or
 * rewrite what it works on meanwhile.  So what it keeps from one transaction
 * to the next are OIDs and the names that the call gave; each transaction
 * begins with AlbertLeafEnter, which locks the table and looks at all else anew.
 */
#ifndef ALBERT_JOB_RUN_H
#define ALBERT_JOB_RUN_H

#include "postgres.h"

#include "executor/spi.h"
#include "storage/itemptr.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "executor/holder.h"
#include "executor/job.h"
#include "executor/progress.h"
#include "executor/task.h"

#define ALBERT_JOB_ROWS	4096	/* of a batch, at most */

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
	bool		seen;			/* by the look that is under way */
} LeftRow;

/* One row of a batch. */
typedef struct BatchRow
{
	RowVersion	version;
	Datum		source;			/* text, in the batch's context */
	int			tokens;
	AlbertItem	item;
	bool		failed;
} BatchRow;

/* A statement and its plan, which is good as long as the statement is the same. */
typedef struct JobStatement
{
	char	   *query;
	SPIPlanPtr	plan;
} JobStatement;

/* Waiting for others. */
typedef struct JobWait
{
	double		seconds;		/* so far */
	double		next_notice;
	AlbertHolder holder;		/* who was found last */
} JobWait;

typedef struct TableRun
{
	const AlbertTableJob *job;
	const char *table_name;		/* when the call began; for messages */
	MemoryContext context;		/* lives for the whole run */
	MemoryContext batch_context;	/* reset with each transaction */
	AlbertProgress progress;
	TimestampTz last_notice;
	int64		left_out;		/* rows of the tables that are finished, and those with a reason in the errors column */

	/* the table being walked: the job's, or one of its partitions */
	Oid			leaf;
	const char *leaf_name;		/* when last seen; NULL: not yet */
	Oid			file;			/* its storage: places are places in that */
	ItemPointerData position;	/* where the walk has come to */
	HTAB	   *left;			/* of LeftRow */
	JobStatement select;
	JobStatement update;
	JobStatement note;			/* the reason of a row left out; unless the call names no column for it */
	int64		noted;
	JobStatement pending;
	JobStatement probe;
	JobStatement look;
	JobStatement count;

	JobWait		table_wait;		/* for a lock of the leaf */
	JobWait		row_wait;		/* for its rows */

	/* the model as it was loaded first, and which load that was */
	const char *digest;
	uint64		generation;

	/* of this transaction */
	AlbertSignature *signature;
	BatchRow   *rows;
	int			nrows;
} TableRun;

/* job.c */

/* Commit, and begin the next transaction. */
extern void AlbertJobCommit(TableRun *run);

/*
 * Commit, wait a little for one of the run's waits to end, and say so from time
 * to time.  False, at once, when it was waited for long enough.
 */
extern bool AlbertJobWait(TableRun *run, JobWait *wait, int milliseconds);

/* job_expression.c */

/* Errors for a source or a condition that is not one expression over the rows of the job's table. */
extern void AlbertExpressionRequire(const TableRun *run);

/* Parts of statements: a table, called as the job's; what gives the text, and which rows are to be filled. */
extern char *AlbertRowTable(const TableRun *run, Oid table);
extern char *AlbertRowSource(const AlbertTableJob *job);
extern char *AlbertRowToDo(const AlbertTableJob *job);

/* job_leaf.c */

/* Errors for a call that cannot be: what the table is, and the columns' names and kinds. */
extern void AlbertLeafRequire(Oid table, const AlbertTableJob *job);

/* Begin with another table; what was known of the last one is forgotten. */
extern void AlbertLeafBegin(TableRun *run, Oid leaf);
extern void AlbertLeafEnd(TableRun *run);

/*
 * To be called first in each transaction: lock the table, see that it and the
 * function are as they must be, and make statements of their present names.
 * False when the table is not part of the job any more.
 */
extern bool AlbertLeafEnter(TableRun *run);

/* The function is there, and its caller may execute it; its signature for this transaction. */
extern void AlbertLeafRequireFunction(TableRun *run);

/* job_batch.c */

/* Errors for a model that is not there or cannot do the task. */
extern void AlbertBatchRequire(TableRun *run);

/* Lock and take the next rows behind run->position; false at the table's end. */
extern bool AlbertBatchFetch(TableRun *run);

/* Compute the rows taken, and write them. */
extern void AlbertBatchRun(TableRun *run);

/* job_rest.c */

/* The version that a row of a statement beginning with ctid, xmin is. */
extern void AlbertRowVersion(HeapTuple tuple, TupleDesc desc, RowVersion *version);

/* Was the row left out before?  NULL if not. */
extern LeftRow *AlbertLeftFind(TableRun *run, const RowVersion *version);
extern void AlbertLeaveOut(TableRun *run, const RowVersion *version, LeftOut why);

typedef enum JobRest
{
	REST_NONE,					/* all rows are filled or left out */
	REST_FREE,					/* there are more to do */
	REST_HELD					/* the holder in run->row_wait has some */
} JobRest;

/* What a walk that found nothing to do has left.  With give_up, rows that others hold are left out. */
extern JobRest AlbertRestLook(TableRun *run, bool give_up);

/* Warnings for rows left out without one. */
extern void AlbertRestReport(TableRun *run);

#endif							/* ALBERT_JOB_RUN_H */
