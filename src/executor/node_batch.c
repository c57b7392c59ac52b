/*
 * node_batch.c
 *	  Reading a batch of rows and computing its calls, stage by stage: the
 *	  calls that a qual needs, the qual, and so on to those of the target list,
 *	  each for the rows that are left.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relscan.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "executor/node.h"
#include "executor/node_internal.h"

/* Rows of a batch, however few tokens they have. */
#define MAX_ROWS	8192

/*
 * The encoder cuts what it gets into batches of albert.batch_tokens; of several
 * at a time, the last and smaller one matters less.  Parallel workers take no
 * more than one, so that the rows are shared evenly.
 */
#define READ_BATCHES	4

/* ---------- runs of the executor ---------- */

typedef struct RunFrame
{
	const EState *estate;
	uint64		count;
} RunFrame;

uint64		albert_executor_runs = 0;

static RunFrame *run_frames = NULL;
static int	nrun_frames = 0;
static int	max_run_frames = 0;

void
AlbertRunPush(QueryDesc *desc, uint64 count)
{
	if (nrun_frames == max_run_frames)
	{
		int			size = Max(8, 2 * max_run_frames);

		if (run_frames == NULL)
			run_frames = MemoryContextAlloc(TopMemoryContext, size * sizeof(RunFrame));
		else
			run_frames = repalloc(run_frames, size * sizeof(RunFrame));
		max_run_frames = size;
	}
	run_frames[nrun_frames].estate = desc->estate;
	run_frames[nrun_frames].count = count;
	nrun_frames++;
}

void
AlbertRunPop(void)
{
	nrun_frames--;
}

/* How many rows the executor was asked for in this run; 0: all. */
uint64
AlbertRunCount(const EState *estate)
{
	for (int i = nrun_frames - 1; i >= 0; i--)
	{
		if (run_frames[i].estate == estate)
			return run_frames[i].count;
	}
	return 0;
}

/* ---------- how far to read ahead ---------- */

/* Rows that the Limit above will ask for at least; -1: as many as there are. */
static int64
limit_needs(const AlbertNodeState *node)
{
	const LimitState *limit = node->limit;
	int64		needs;

	if (limit == NULL || limit->noCount)
		return -1;
	needs = limit->offset + limit->count - node->delivered;
	return Max(needs, 1);
}

/*
 * The most rows to read for the next batch.  Rows that are sure to be asked
 * for can be read at once, whatever happens; more only where reading them
 * raises no error, and then so few that at most about as many are computed in
 * vain as are used.
 */
static int64
rows_to_read(AlbertNodeState *node)
{
	EState	   *estate = node->css.ss.ps.state;
	bool		safe = (node->flags & ALBERT_NODE_SAFE) != 0;
	int64		ahead = safe ? node->grow : 1;
	int64		rows = MAX_ROWS;
	uint64		count = (node->flags & ALBERT_NODE_LAZY) ? AlbertRunCount(estate) : 0;

	if (node->flags & ALBERT_NODE_LIMIT)
	{
		int64		needs = limit_needs(node);

		if (node->limit == NULL)
			rows = ahead;
		else if (needs >= 0 && (node->css.ss.ps.plan->qual == NIL || !safe))
			rows = Min(rows, needs);
		else if (needs >= 0)
			rows = Min(rows, Max(needs, ahead));
	}
	if (node->flags & ALBERT_NODE_EARLY)
		rows = Min(rows, ahead);
	if (count > 0)
	{
		int64		sure = 1;

		if ((node->flags & ALBERT_NODE_ROOT) && count > estate->es_processed)
			sure = (int64) Min(count - estate->es_processed, (uint64) MAX_ROWS);
		rows = Min(rows, Max(sure, ahead));
	}
	if ((node->flags & ALBERT_NODE_ONE_FIRST) && !node->started)
		rows = 1;
	return Max(rows, 1);
}

/* ---------- the rows of a batch ---------- */

void
AlbertBatchReset(AlbertNodeState *node)
{
	AlbertCallsReset(node);
	ExecClearTuple(node->css.ss.ss_ScanTupleSlot);
	MemoryContextReset(node->batch_context);
	node->nrows = node->max_rows = 0;
	node->values = NULL;
	node->isnull = NULL;
	node->row_state = NULL;
	node->tids = NULL;
	node->tableoids = NULL;
}

static void *
grow_array(void *array, Size old_size, Size size)
{
	if (old_size == 0)
		return palloc_extended(Max(size, 1), MCXT_ALLOC_HUGE);
	return repalloc_huge(array, size);
}

static void
grow_rows(AlbertNodeState *node, int64 expected)
{
	Size		old = node->max_rows;
	Size		new = old == 0 ? Min(Max(expected, 1), 64) : 2 * old;

	if (node->nrows < node->max_rows)
		return;
	node->values = grow_array(node->values, old * node->natts * sizeof(Datum),
							  new * node->natts * sizeof(Datum));
	node->isnull = grow_array(node->isnull, old * node->natts, new * node->natts);
	node->row_state = grow_array(node->row_state, old, new);
	for (int i = 0; i < node->ncalls; i++)
		node->calls[i].results = grow_array(node->calls[i].results, old * sizeof(AlbertRowResult),
											new * sizeof(AlbertRowResult));
	if (node->scan != NULL)
	{
		node->tids = grow_array(node->tids, old * sizeof(ItemPointerData),
								new * sizeof(ItemPointerData));
		node->tableoids = grow_array(node->tableoids, old * sizeof(Oid), new * sizeof(Oid));
	}
	node->max_rows = new;
}

/* Which row of a table the child's row was made from. */
static void
note_tid(AlbertNodeState *node, int row)
{
	TupleTableSlot *slot = node->scan->ss_ScanTupleSlot;

	node->tableoids[row] = slot->tts_tableOid;
	if (IsA(node->scan, IndexOnlyScanState))
	{
		node->tids[row] = ((IndexOnlyScanState *) node->scan)->ioss_ScanDesc->xs_heaptid;
		node->tableoids[row] = RelationGetRelid(node->scan->ss_currentRelation);
	}
	else
		node->tids[row] = slot->tts_tid;
}

/* Keep a copy of the child's row, results still missing. */
static void
take_row(AlbertNodeState *node, TupleTableSlot *slot, int64 expected)
{
	MemoryContext old = MemoryContextSwitchTo(node->batch_context);
	Datum	   *values;
	bool	   *isnull;

	grow_rows(node, expected);
	values = node->values + (Size) node->nrows * node->natts;
	isnull = node->isnull + (Size) node->nrows * node->natts;
	slot_getallattrs(slot);
	for (int i = 0; i < node->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(slot->tts_tupleDescriptor, i);

		isnull[i] = slot->tts_isnull[i];
		values[i] = isnull[i] ? (Datum) 0
			: datumCopy(slot->tts_values[i], att->attbyval, att->attlen);
	}
	for (int i = node->ncolumns; i < node->natts; i++)
	{
		values[i] = (Datum) 0;
		isnull[i] = true;
	}
	node->row_state[node->nrows] = ALBERT_ROW_LIVE;
	for (int i = 0; i < node->ncalls; i++)
	{
		node->calls[i].results[node->nrows].group = -1;
		node->calls[i].results[node->nrows].item = ALBERT_ROW_NULL;
	}
	if (node->scan != NULL)
		note_tid(node, node->nrows);
	node->nrows++;
	MemoryContextSwitchTo(old);
}

void
AlbertBatchTakeRow(AlbertNodeState *node, TupleTableSlot *slot)
{
	take_row(node, slot, 1);
}

/* Make a row of the batch the scan tuple. */
void
AlbertBatchShowRow(AlbertNodeState *node, int row)
{
	TupleTableSlot *slot = node->css.ss.ss_ScanTupleSlot;
	Size		place = (Size) row * node->natts;

	ExecClearTuple(slot);
	memcpy(slot->tts_values, node->values + place, node->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, node->isnull + place, node->natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	if (node->scan != NULL)
	{
		slot->tts_tid = node->tids[row];
		slot->tts_tableOid = node->tableoids[row];
	}
	node->css.ss.ps.ps_ExprContext->ecxt_scantuple = slot;
}

/* ---------- reading ---------- */

/* The value of a constant call is known since an earlier batch. */
static bool
is_known(AlbertCall *call)
{
	if (call->known && call->known_run != albert_executor_runs)
		AlbertCallForget(call);
	return call->known;
}

/* File the row read last with the calls whose arguments are there. */
static bool
add_row(AlbertNodeState *node, int row)
{
	bool		good = true;

	AlbertBatchShowRow(node, row);
	for (int i = 0; i < node->ncalls && good; i++)
	{
		AlbertCall *call = &node->calls[i];

		if (call->at_read && !is_known(call))
			good = AlbertCallAddRow(node, call, row);
	}
	ResetExprContext(node->css.ss.ps.ps_ExprContext);
	return good;
}

static bool
is_full(const AlbertNodeState *node)
{
	bool		parallel = node->css.ss.ps.plan->parallel_aware;
	double		wanted = (double) albert_batch_tokens * (parallel ? 1 : READ_BATCHES);

	for (int i = 0; i < node->ncalls; i++)
	{
		const AlbertCall *call = &node->calls[i];

		/* one text more would be too many */
		if (call->ntexts > 0 &&
			call->scale * call->tokens * (call->ntexts + 1) / call->ntexts > wanted)
			return true;
	}
	return MemoryContextMemAllocated(node->batch_context, true) >= (Size) work_mem * 1024;
}

/* False when the batch must be evaluated row by row. */
static bool
read_rows(AlbertNodeState *node, int64 rows)
{
	PlanState  *child = outerPlanState(node);
	bool		good = true;

	while (node->nrows < rows)
	{
		TupleTableSlot *slot = ExecProcNode(child);

		if (TupIsNull(slot))
		{
			node->at_end = true;
			break;
		}
		node->at_start = false;
		take_row(node, slot, rows);
		if (!node->plain_batch && good)
			good = add_row(node, node->nrows - 1);
		if (!good || is_full(node))
			break;
	}
	return good;
}

/* ---------- computing ---------- */

static bool
run_call(AlbertNodeState *node, AlbertCall *call)
{
	if (call->known)
	{
		for (int row = 0; row < node->nrows; row++)
		{
			Size		place = (Size) row * node->natts + call->column;

			node->values[place] = call->known_value;
			node->isnull[place] = call->known_isnull;
		}
		return true;
	}
	for (int row = 0; row < node->nrows && !call->at_read; row++)
	{
		bool		good;

		if (node->row_state[row] != ALBERT_ROW_LIVE)
			continue;
		AlbertBatchShowRow(node, row);
		good = AlbertCallAddRow(node, call, row);
		ResetExprContext(node->css.ss.ps.ps_ExprContext);
		if (!good)
			return false;
	}
	return AlbertCallRun(node, call);
}

static void
test_rows(AlbertNodeState *node, ExprState *qual)
{
	ExprContext *econtext = node->css.ss.ps.ps_ExprContext;

	for (int row = 0; row < node->nrows; row++)
	{
		if (node->row_state[row] != ALBERT_ROW_LIVE)
			continue;
		AlbertBatchShowRow(node, row);
		if (!ExecQual(qual, econtext))
			node->row_state[row] = ALBERT_ROW_DEAD;
		ResetExprContext(econtext);
	}
}

static bool
run_stages(AlbertNodeState *node)
{
	for (int s = 0; s < node->nstages; s++)
	{
		AlbertStage *stage = &node->stages[s];

		for (int i = 0; i < stage->ncalls; i++)
		{
			if (!run_call(node, &node->calls[stage->first_call + i]))
				return false;
		}
		if (stage->qual != NULL)
			test_rows(node, stage->qual);
	}
	return true;
}

/* What is left of the batch is evaluated when its turn comes. */
static void
leave_rows(AlbertNodeState *node)
{
	for (int row = 0; row < node->nrows; row++)
	{
		if (node->row_state[row] == ALBERT_ROW_LIVE)
			node->row_state[row] = ALBERT_ROW_PLAIN;
	}
}

/*
 * A job that does not even start (no such model, a bad option) fails for the
 * first row, before anything else can fail for the next.
 */
static bool
first_row_alone(const AlbertNodeState *node)
{
	for (int i = 0; i < node->ncalls; i++)
	{
		for (int g = 0; g < node->calls[i].ngroups; g++)
		{
			if (node->calls[i].groups[g].proven)
				return false;
		}
	}
	return true;
}

/* Read and compute the next batch, forward; false when there are no more rows. */
bool
AlbertBatchFill(AlbertNodeState *node)
{
	int64		rows = rows_to_read(node);

	AlbertBatchReset(node);
	if (node->at_end)
		return false;
	if (first_row_alone(node))
		rows = 1;
	node->plain_batch = !albert_enable_batching;
	if (node->plain_batch)
		rows = 1;
	if (!read_rows(node, rows))
		node->plain_batch = true;
	node->started = true;
	if (node->nrows == 0)
		return false;
	if (node->plain_batch || !run_stages(node))
		leave_rows(node);
	if (node->grow < MAX_ROWS)
		node->grow *= 2;
	return true;
}
