/*
 * node_internal.h
 *	  What the files of the batching node share: plan.c and plan_*.c decide
 *	  and rewrite, node.c and node_*.c execute.
 *
 * The plan node.  CustomScan.plan.lefttree is the child.  The scan tuple
 * (custom_scan_tlist) is the child's columns, written as Vars of OUTER_VAR,
 * then one column for each call, written as the call itself: that is what
 * EXPLAIN shows.  targetlist and qual are those of the plan node that the
 * calls were taken from, over the scan tuple (INDEX_VAR).  custom_exprs are
 * the calls over the scan tuple, a call that is an argument of another one
 * before it.  custom_private holds two integer lists: flags and the number of
 * child columns; and for each call how many members of qual are tested before
 * it is made.
 */
#ifndef ALBERT_NODE_INTERNAL_H
#define ALBERT_NODE_INTERNAL_H

#include "postgres.h"

#include "access/parallel.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "executor/task.h"
#include "nodes/execnodes.h"
#include "nodes/extensible.h"
#include "nodes/plannodes.h"
#include "port/atomics.h"
#include "portability/instr_time.h"
#include "storage/dsm.h"

#include "compat.h"

#define ALBERT_NODE_NAME "AlbertBatch"

/*
 * Flags: who may stop reading before the last row.  A row that is read ahead
 * and then not wanted costs time, and must not raise an error that plain
 * execution would not have raised.
 */
#define ALBERT_NODE_LIMIT		0x0001	/* a Limit asks for exactly the rows it returns: only nodes that pass every row are between */
#define ALBERT_NODE_ROOT		0x0002	/* the executor's caller does so in that way */
#define ALBERT_NODE_LAZY		0x0004	/* the executor's caller may stop */
#define ALBERT_NODE_EARLY		0x0008	/* something else may stop */
#define ALBERT_NODE_ONE_FIRST	0x0010	/* may be asked for just one row */
#define ALBERT_NODE_SAFE		0x0020	/* reading ahead cannot raise errors */
#define ALBERT_NODE_ALONE		0x0040	/* nothing but the calls can raise errors in targetlist and qual */

/* plan.c */

/* Put batching nodes into a finished plan. */
extern void AlbertPlanBatch(PlannedStmt *stmt);

/* Has the planner run that is under way met an albert function? */
extern bool AlbertPlanningHasCalls(void);

/* plan_cost.c */
extern void AlbertPlanCostInit(void);

/* What the plan would cost if its calls cost nothing; for a plan without batching nodes. */
extern double AlbertPlanOtherCost(const PlannedStmt *stmt);

/* plan_walk.c */

/* Properties of expressions and plans; all false to begin with. */
typedef struct AlbertTraits
{
	const PlannedStmt *stmt;
	const Plan *accepted;		/* a node that may act on the rows it reads; NULL: none */
	bool		is_volatile;	/* evaluating it is an effect, or has a different result each time */
	bool		may_fail;		/* may raise an error for some value */
	bool		multiexpr;		/* holds a multiple-assignment sub-select */
} AlbertTraits;

extern void AlbertExprTraits(Node *expr, AlbertTraits *traits);

/*
 * Of what is evaluated when a row is read from a plan.  below_tlist leaves
 * the top node's own target list out.
 */
extern void AlbertPlanTraits(Plan *plan, bool below_tlist, AlbertTraits *traits);

/* Call visit on the place of each child of a plan node. */
typedef void (*AlbertPlanVisitor) (Plan **child, void *context);
extern void AlbertPlanChildren(Plan *plan, AlbertPlanVisitor visit, void *context);

/* plan_lift.c */

/* Calls found in a statement, and which functions are tasks. */
typedef struct AlbertLift
{
	PlannedStmt *stmt;
	List	   *known_tasks;	/* OIDs of functions that may be lifted */
	List	   *known_others;	/* ... and that may not */
	const Plan *accepted;		/* see AlbertTraits */
} AlbertLift;

/*
 * Append to calls those that every evaluation of expr makes, arguments before
 * the calls they are in.
 */
extern void AlbertFindCalls(AlbertLift *lift, Node *expr, List **calls);

/* Is there any call, however deep and conditional? */
extern bool AlbertHasCall(AlbertLift *lift, Node *expr);

/* Put a batching node on top of *place where that is possible.  Flags are those of who may stop. */
extern bool AlbertLiftCalls(AlbertLift *lift, Plan **place, int flags);

/* plan_feed.c */

/* Make calls among the arguments of aggregates below the Agg node.  Flags are those of its child. */
extern bool AlbertFeedAggregates(AlbertLift *lift, Agg *agg, int flags);

/* Make calls among the actions of MERGE below the ModifyTable node.  Flags are those of its child. */
extern bool AlbertFeedMerge(AlbertLift *lift, ModifyTable *modify, int flags);

/* Make the calls of a ModifyTable node's RETURNING list above it. */
extern bool AlbertLiftReturning(AlbertLift *lift, Plan **place, int flags);

/* node.c */
extern const CustomScanMethods albert_scan_methods;

/* What one execution has done; in a worker, and added up in the leader. */
typedef struct AlbertNodeCounts
{
	uint64		texts;			/* results computed or found among the batch's */
	uint64		distinct;		/* ... computed */
	uint64		tokens;
	uint64		batches;		/* runs of the encoder, or of a task that has none */
	uint64		microseconds;	/* in them */
	uint64		single;			/* rows computed one by one, without the batch */
} AlbertNodeCounts;

#define ALBERT_NODE_NCOUNTS (sizeof(AlbertNodeCounts) / sizeof(uint64))

/* The same in shared memory, added to by workers. */
typedef struct AlbertSharedCounts
{
	pg_atomic_uint64 values[ALBERT_NODE_NCOUNTS];
} AlbertSharedCounts;

/* Results of rows are numbers of items, or one of these. */
#define ALBERT_ROW_NULL		(-1)	/* an argument was NULL */

/* Calls with the same model and options: a job. */
typedef struct AlbertGroup
{
	NullableDatum args[ALBERT_MAX_ARGS];	/* all but the texts */
	bool		proven;			/* a job like this has started before */
	int			first_row;		/* in this batch */
	AlbertItem *items;			/* distinct texts of this batch */
	uint32	   *hashes;
	AlbertText *keys;			/* the texts, two an item: a task may change those of items */
	int			nitems;
	int			max_items;
	int		   *table;			/* open addressing: item number + 1 */
	uint32		table_size;		/* a power of two */
} AlbertGroup;

typedef struct AlbertRowResult
{
	int			group;
	int			item;			/* in the group; or ALBERT_ROW_NULL */
} AlbertRowResult;

/* A call of the plan. */
typedef struct AlbertCall
{
	AlbertSignature *signature;
	bool		strict;
	int			nargs;
	ExprState  *args[ALBERT_MAX_ARGS];
	bool		is_text[ALBERT_MAX_ARGS];	/* the texts of a row */
	int16		typlen[ALBERT_MAX_ARGS];
	bool		typbyval[ALBERT_MAX_ARGS];
	bool		one_group;		/* model and options are the same for all rows */
	bool		constant;		/* so are the texts */
	bool		at_read;		/* arguments can be evaluated when a row is read */
	int			column;			/* of the scan tuple, from 0 */
	int			stage;
	AlbertGroup *groups;
	int			ngroups;
	AlbertRowResult *results;	/* by row */
	double		tokens;			/* estimate, of this batch's distinct texts */
	int			ntexts;			/* how many these are */
	double		scale;			/* what estimates have to be multiplied with, by the batches before */

	/* the value of a constant call, for one run of the executor */
	bool		known;
	uint64		known_run;
	Datum		known_value;
	bool		known_isnull;
	int16		result_typlen;
	bool		result_typbyval;
} AlbertCall;

/* Members of qual tested together, after the calls of a stage. */
typedef struct AlbertStage
{
	int			first_call;
	int			ncalls;
	int			nquals;
	ExprState  *qual;			/* NULL: none, which is the last stage only */
	ExprState  *plain_qual;		/* with the calls in the place of their results */
} AlbertStage;

typedef enum AlbertRowState
{
	ALBERT_ROW_LIVE,
	ALBERT_ROW_DEAD,			/* did not pass qual */
	ALBERT_ROW_PLAIN			/* to be evaluated without results */
} AlbertRowState;

typedef struct AlbertNodeState
{
	CustomScanState css;
	int			flags;
	int			ncolumns;		/* of the child */
	int			natts;			/* of the scan tuple */
	int			ncalls;
	AlbertCall *calls;
	int			nstages;
	AlbertStage *stages;

	/* plain evaluation: the same without the results */
	ProjectionInfo *plain_projection;

	/* the child as a table scan, for WHERE CURRENT OF; NULL: it is none */
	ScanState  *scan;

	/* the batch */
	MemoryContext batch_context;	/* reset for each */
	MemoryContext group_context;	/* models and options, as long as the node */
	int			nrows;
	int			max_rows;
	Datum	   *values;			/* natts a row */
	bool	   *isnull;
	char	   *row_state;
	ItemPointerData *tids;		/* with scan */
	Oid		   *tableoids;

	/* where the scan is */
	int			position;		/* row last returned; -1 before the first */
	bool		at_start;		/* before the child's first row */
	bool		at_end;			/* the child has no more */
	bool		started;		/* since the last rescan */
	bool		plain_batch;	/* this batch is not to be computed */
	int64		grow;			/* rows of the next batch, when growing */
	int64		delivered;		/* rows, since the last rescan */

	LimitState *limit;			/* with ALBERT_NODE_LIMIT */
	AlbertNodeCounts counts;
	AlbertSharedCounts *shared; /* a worker's way to the leader */
	struct AlbertCollector *collector;	/* the leader's, see node_parallel.c */
} AlbertNodeState;

/* node.c */
extern void AlbertNodeLinkLimits(PlanState *planstate);
extern int	AlbertNodeBegun(void);

/* One run of the executor that may stop before the last row, see node_batch.c. */
extern uint64 albert_executor_runs;
extern void AlbertRunPush(QueryDesc *desc, uint64 count);
extern void AlbertRunPop(void);
extern uint64 AlbertRunCount(const EState *estate);

/* node_batch.c: reading and computing a batch */
extern bool AlbertBatchFill(AlbertNodeState *node);
extern void AlbertBatchReset(AlbertNodeState *node);
extern void AlbertBatchShowRow(AlbertNodeState *node, int row);
extern void AlbertBatchTakeRow(AlbertNodeState *node, TupleTableSlot *slot);

/* node_calls.c: distinct calls of a batch */
extern bool AlbertCallAddRow(AlbertNodeState *node, AlbertCall *call, int row);
extern bool AlbertCallRun(AlbertNodeState *node, AlbertCall *call);
extern void AlbertCallProve(AlbertCall *call, int row);
extern void AlbertCallForget(AlbertCall *call);
extern void AlbertCallsReset(AlbertNodeState *node);

/* node_explain.c */
extern void AlbertNodeExplain(CustomScanState *css, List *ancestors, ExplainState *es);

/* node_parallel.c */
extern Size AlbertNodeEstimateDSM(CustomScanState *css, ParallelContext *pcxt);
extern void AlbertNodeInitializeDSM(CustomScanState *css, ParallelContext *pcxt, void *coordinate);
extern void AlbertNodeReInitializeDSM(CustomScanState *css, ParallelContext *pcxt, void *coordinate);
extern void AlbertNodeInitializeWorker(CustomScanState *css, shm_toc *toc, void *coordinate);
extern void AlbertNodeCount(AlbertNodeState *node, const AlbertNodeCounts *more);
extern void AlbertNodeEndParallel(AlbertNodeState *node);

#endif							/* ALBERT_NODE_INTERNAL_H */
