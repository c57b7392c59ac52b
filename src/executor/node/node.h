/*
 * node.h
 *	  The batching node, a Custom Scan.
 *
 * It keeps rows of its child up to albert.batch_tokens, computes the calls of
 * all of them together, each distinct text once, and then filters and projects
 * row by row as the plan node below it would have done.  What a query returns,
 * which errors it raises and in which order it evaluates what has side effects
 * are the same with the node and without.  (One thing is not promised: when two
 * rows of a query fail, one in a call and a later one in another function below
 * it, which of the two is reported.)
 *
 * The plan node.  CustomScan.plan.lefttree is the child.  The scan tuple
 * (custom_scan_tlist) is the child's columns, written as Vars of OUTER_VAR,
 * then one column for each call, written as the call itself over OUTER_VAR.
 * targetlist and qual are over the scan tuple (INDEX_VAR).  custom_private
 * holds a list of integers, the flags and the number of calls, and the count
 * and offset of the Limit above.
 */
#ifndef ALBERT_NODE_H
#define ALBERT_NODE_H

#include "postgres.h"

#include "access/parallel.h"
#include "commands/explain.h"
#include "nodes/execnodes.h"
#include "nodes/extensible.h"
#include "port/atomics.h"

#include "compat.h"
#include "executor/recall.h"

/*
 * Flags: who may stop reading before the last row.  A row that is read ahead
 * and then not wanted costs time, and must not raise an error that plain
 * execution would not have raised.
 */
#define ALBERT_NODE_LIMIT		0x0001	/* a Limit asks for just the rows it returns: what is between passes all */
#define ALBERT_NODE_ROOT		0x0002	/* the executor's caller does so in that way */
#define ALBERT_NODE_LAZY		0x0004	/* the executor's caller may stop */
#define ALBERT_NODE_EARLY		0x0008	/* something else may stop */
#define ALBERT_NODE_ONE_FIRST	0x0010	/* may be asked for just one row */
#define ALBERT_NODE_SAFE		0x0020	/* reading ahead cannot raise errors */
#define ALBERT_NODE_TIES		0x0080	/* the Limit is WITH TIES: it asks for more rows than its count */
#define ALBERT_NODE_ALONE		0x0040	/* nothing but the calls can raise errors in what the node evaluates */

/* setting */
extern bool albert_enable_batching;

/* To be registered; node.c. */
extern const CustomScanMethods albert_scan_methods;

/* ---- a run of the executor, which may stop before the last row; batch.c ---- */

typedef struct AlbertRunFrame
{
	struct AlbertRunFrame *outer;
	const EState *estate;
	uint64		count;			/* 0: all */
} AlbertRunFrame;

extern void AlbertRunBegin(AlbertRunFrame *run, const EState *estate, uint64 count);
extern void AlbertRunEnd(const AlbertRunFrame *run);

/* ---- one execution of the node ---- */

/* What it has done; in a worker, and added up in the leader. */
typedef struct AlbertNodeCounts
{
	AlbertRecallCounts recall;
	uint64		tokens;
	uint64		batches;		/* runs of the encoder, or of a task that has none */
	uint64		microseconds;	/* in them */
	uint64		single;			/* rows evaluated one by one, without the batch */
} AlbertNodeCounts;

#define ALBERT_NODE_NCOUNTS (sizeof(AlbertNodeCounts) / sizeof(uint64))

/* The same in shared memory, added to by workers. */
typedef struct AlbertSharedCounts
{
	pg_atomic_uint64 values[ALBERT_NODE_NCOUNTS];
} AlbertSharedCounts;

/* A call of the plan. */
typedef struct AlbertCall
{
	AlbertSignature *signature;
	bool		strict;
	ExprState  *args[ALBERT_MAX_ARGS];
	bool		constant;		/* model and options are constants */
	bool		proven;			/* a job like this has started before */
	bool		proving;		/* ... will have when this batch's last row has been evaluated plainly */
	int			column;			/* of the scan tuple, from 0 */

	/* the batch */
	bool		started;		/* job and recall are this batch's */
	AlbertJob	job;
	AlbertRecall recall;
	int		   *rows;			/* by row: its number in the recall; -1: NULL */
	double		scale;			/* what estimates of tokens have to be multiplied with, by the batches before */
} AlbertCall;

typedef struct AlbertNodeState
{
	CustomScanState css;
	int			flags;
	int			ncolumns;		/* of the child */
	int			natts;			/* of the scan tuple */
	int			ncalls;
	AlbertCall *calls;
	ExprState  *limit_count;	/* of the Limit above; NULL: none */
	ExprState  *limit_offset;

	/* plain evaluation: with the calls in the place of their results */
	ExprState  *plain_qual;
	ProjectionInfo *plain_projection;

	/* the child as a table scan, for WHERE CURRENT OF; NULL: it is none */
	ScanState  *scan;

	/* the batch */
	MemoryContext batch_context;	/* reset for each */
	int			nrows;
	int			max_rows;
	Datum	   *values;			/* natts a row */
	bool	   *isnull;
	bool	   *plain;			/* by row: to be evaluated without results */
	ItemPointerData *tids;		/* with scan */
	Oid		   *tableoids;

	/* where the scan is */
	int			position;		/* row last returned; -1 before the first */
	bool		at_start;		/* before the child's first row */
	bool		at_end;			/* the child has no more */
	bool		started;		/* since the last rescan */
	int64		bound;			/* rows that the Limit above asks for; -1: no bound */
	int64		grow;			/* rows of the next batch, when growing */
	int64		delivered;		/* rows, since the last rescan */

	AlbertNodeCounts counts;
	AlbertSharedCounts *shared; /* between leader and workers */
} AlbertNodeState;

/* batch.c: reading and computing a batch; false when there are no more rows */
extern bool AlbertBatchFill(AlbertNodeState *node);

/* Instead, the child's row that slot holds, to be evaluated plainly. */
extern void AlbertBatchTakePlain(AlbertNodeState *node, TupleTableSlot *slot);
extern void AlbertBatchReset(AlbertNodeState *node);

/* Make a row of the batch the scan tuple. */
extern void AlbertBatchShowRow(AlbertNodeState *node, int row);

/* calls.c */
extern void AlbertCallBegin(AlbertNodeState *node, AlbertCall *call, FuncExpr *expr, int column);

/* Ask for the row that the child has just returned; false when it must be evaluated plainly. */
extern bool AlbertCallAsk(AlbertNodeState *node, AlbertCall *call, int row);

/* Compute what was asked for; results into the rows, and failed rows are marked to be evaluated plainly. */
extern void AlbertCallRun(AlbertNodeState *node, AlbertCall *call);

/* Are its texts more than so many tokens? */
extern bool AlbertCallIsFull(const AlbertCall *call, double tokens);

/* explain.c, parallel.c */
extern void AlbertNodeExplain(CustomScanState *css, List *ancestors, ExplainState *es);
extern Size AlbertNodeEstimateDSM(CustomScanState *css, ParallelContext *pcxt);
extern void AlbertNodeInitializeDSM(CustomScanState *css, ParallelContext *pcxt, void *coordinate);
extern void AlbertNodeReInitializeDSM(CustomScanState *css, ParallelContext *pcxt, void *coordinate);
extern void AlbertNodeInitializeWorker(CustomScanState *css, shm_toc *toc, void *coordinate);
extern void AlbertNodeShutdown(CustomScanState *css);
extern void AlbertNodeCount(AlbertNodeState *node, const AlbertNodeCounts *more);

#endif							/* ALBERT_NODE_H */
