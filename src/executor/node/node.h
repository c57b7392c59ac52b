/*
 * node.h
 *	  The batching node, a Custom Scan.
 *
 * It keeps rows of its child for some times albert.batch_tokens (batch.c),
 * computes the calls of all of them together, each distinct text once, and then
 * filters and projects row by row as the plan node below it would have done.  A
 * call that fails does so when its row's turn comes.  What a query returns,
 * whether it fails, and in which order it evaluates what has side effects are
 * the same with the node and without.  (Not promised are which of two errors is
 * reported, and what a row that fails has done before.)
 *
 * The plan node.  CustomScan.plan.lefttree is the child.  The scan tuple
 * (custom_scan_tlist) is the child's columns, written as Vars of OUTER_VAR,
 * then one column for each call, written as the call itself over OUTER_VAR.
 * targetlist and qual are over the scan tuple (INDEX_VAR).  custom_private
 * holds a list of integers: the flags, the number of calls, and the bound.
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
#define ALBERT_NODE_ROOT		0x0001	/* the executor's caller, who asks for just the rows it returns */
#define ALBERT_NODE_LAZY		0x0002	/* the executor's caller */
#define ALBERT_NODE_EARLY		0x0004	/* something else */
#define ALBERT_NODE_ONE_FIRST	0x0008	/* may be asked for just one row */
#define ALBERT_NODE_SAFE		0x0010	/* reading ahead cannot raise errors */

/* setting */
extern bool albert_enable_batching;

/* To be registered; node.c. */
extern const CustomScanMethods albert_scan_methods;

/* Is it a batching node? */
static inline bool
AlbertIsNode(const Plan *plan)
{
	return IsA(plan, CustomScan) && ((const CustomScan *) plan)->methods == &albert_scan_methods;
}

/* The innermost run of the executor, which may stop before the last row. */
typedef struct AlbertExecutorRun
{
	const EState *estate;
	uint64		count;			/* of rows; 0: all */
} AlbertExecutorRun;

extern AlbertExecutorRun albert_executor_run;

/* ---- one execution of the node ---- */

/* What it has done. */
typedef enum AlbertNodeCount
{
	ALBERT_COUNT_TEXTS,
	ALBERT_COUNT_HITS,
	ALBERT_COUNT_MISSES,
	ALBERT_COUNT_EVICTIONS,
	ALBERT_COUNT_TOKENS,
	ALBERT_COUNT_BATCHES,		/* runs of the encoder, or of a task that has none */
	ALBERT_COUNT_MICROSECONDS,	/* in them */
	ALBERT_NODE_NCOUNTS
} AlbertNodeCount;

/* A call of the plan. */
typedef struct AlbertCall
{
	AlbertSignature *signature;
	bool		strict;
	ExprState  *args[ALBERT_MAX_ARGS];
	bool		proven;			/* a job has started since the scan began */

	/* the batch */
	bool		started;		/* job and recall are this batch's */
	AlbertJob	job;
	AlbertRecall recall;
	double		scale;			/* what estimates of tokens have to be multiplied with, by the batches before */
} AlbertCall;

/* Where a row of the child is from, if that is a table scan. */
typedef struct AlbertNodePlace
{
	ItemPointerData tid;
	Oid			table;
} AlbertNodePlace;

typedef struct AlbertNodeState
{
	CustomScanState css;
	int			flags;
	int64		bound;			/* rows that the Limit above asks for; -1: there is none */
	int			ncolumns;		/* of the child */
	int			ncalls;
	AlbertCall *calls;

	ScanState  *scan;			/* the child as a table scan, for WHERE CURRENT OF; NULL: it is none */

	/* the batch */
	MemoryContext batch_context;	/* reset for each */
	int			nrows;
	int			max_rows;
	Datum	   *values;			/* ncolumns a row */
	bool	   *isnull;
	AlbertNodePlace *places;
	AlbertAsked *asked;			/* ncalls a row */
	int			position;		/* row last looked at; -1 before the first */

	/* the scan */
	TupleTableSlot *held;		/* the child's row that begins the next batch; NULL: none has been read */
	bool		at_start;		/* before the child's first row */
	bool		at_end;			/* the child has no more */
	int64		grow;			/* rows of the next batch, when growing; 1: it is the first */
	int64		delivered;		/* rows */

	pg_atomic_uint64 *counts;	/* by AlbertNodeCount; shared by leader and workers */
	pg_atomic_uint64 own_counts[ALBERT_NODE_NCOUNTS];
} AlbertNodeState;

/* batch.c: reading and computing a batch; false when there are no more rows */
extern bool AlbertBatchFill(AlbertNodeState *node);

/* Instead, the one row before the batch. */
extern bool AlbertBatchFillBackward(AlbertNodeState *node);
extern void AlbertBatchReset(AlbertNodeState *node);

/* Make a row of the batch the scan tuple; raises the error of a call that has failed. */
extern TupleTableSlot *AlbertBatchShowRow(AlbertNodeState *node, int row);

/* calls.c */
extern void AlbertCallBegin(AlbertNodeState *node, AlbertCall *call, FuncExpr *expr);

/*
 * Ask for the row that the child has just returned.  False when that may raise
 * an error, which is due when the row's turn comes: it must be its batch's first.
 */
extern bool AlbertCallAsk(AlbertNodeState *node, AlbertCall *call, bool first, AlbertAsked *asked);

/* Compute what was asked for. */
extern void AlbertCallRun(AlbertNodeState *node, AlbertCall *call);

/* A row's result; raises its error. */
extern Datum AlbertCallResult(AlbertCall *call, AlbertAsked asked, bool *isnull);

/* Are its texts more than so many tokens? */
extern bool AlbertCallIsFull(const AlbertCall *call, double tokens);

/* counts.c */
extern void AlbertNodeExplain(CustomScanState *css, List *ancestors, ExplainState *es);
extern Size AlbertNodeEstimateDSM(CustomScanState *css, ParallelContext *pcxt);
extern void AlbertNodeInitializeDSM(CustomScanState *css, ParallelContext *pcxt, void *coordinate);
extern void AlbertNodeInitializeWorker(CustomScanState *css, shm_toc *toc, void *coordinate);
extern void AlbertNodeShutdown(CustomScanState *css);

#endif							/* ALBERT_NODE_H */
