/*
 * batch.c
 *	  Reading a batch of rows and computing its calls.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "executor/node/node.h"

/* Rows of a batch, however few tokens they have. */
#define MAX_ROWS	8192

/*
 * The encoder cuts what it gets into batches of albert.batch_tokens; of several
 * at a time, the last and smaller one matters less.  Parallel workers take no
 * more than one, so that the rows are shared evenly.
 */
#define READ_BATCHES	4

bool		albert_enable_batching = true;

AlbertExecutorRun albert_executor_run = {0};

/* ---------- how far to read ahead ---------- */

/*
 * The most rows to read for the next batch.  Rows that are sure to be asked
 * for can be read at once, whatever happens; more only where reading them
 * raises no error, and then so few that at most about as many are computed in
 * vain as are used.
 */
static int64
rows_to_read(AlbertNodeState *node)
{
	const EState *estate = node->css.ss.ps.state;
	int64		ahead = (node->flags & ALBERT_NODE_SAFE) ? node->grow : 1;
	int64		wanted = Max(node->bound - node->delivered, 1);
	int64		sure = MAX_ROWS;
	uint64		count = 0;
	bool		first = node->grow == 1;

	if ((node->flags & ALBERT_NODE_LAZY) && estate == albert_executor_run.estate)
		count = albert_executor_run.count;
	if ((node->flags & ALBERT_NODE_EARLY) || ((node->flags & ALBERT_NODE_ONE_FIRST) && first))
		sure = 1;
	if (node->bound >= 0)
		sure = Min(sure, wanted);
	if (count > 0)
		sure = (node->flags & ALBERT_NODE_ROOT) && count > estate->es_processed
			? Min((uint64) sure, count - estate->es_processed) : 1;
	/* a filter may need more rows than the Limit */
	if (node->bound >= 0 && node->css.ss.ps.qual == NULL)
		ahead = Min(ahead, wanted);
	return Min(Max(sure, ahead), MAX_ROWS);
}

/* ---------- the rows of a batch ---------- */

void
AlbertBatchReset(AlbertNodeState *node)
{
	for (int i = 0; i < node->ncalls; i++)
	{
		node->calls[i].started = false;
		node->calls[i].rows = NULL;
	}
	ExecClearTuple(node->css.ss.ss_ScanTupleSlot);
	MemoryContextReset(node->batch_context);
	node->nrows = node->max_rows = 0;
	node->values = NULL;
	node->isnull = NULL;
	node->tids = NULL;
	node->tableoids = NULL;
	node->position = -1;
}

static void *
grow_array(void *array, Size size)
{
	return array == NULL ? palloc_extended(Max(size, 1), MCXT_ALLOC_HUGE) : repalloc_huge(array, size);
}

static void
grow_rows(AlbertNodeState *node)
{
	Size		new = node->max_rows == 0 ? 16 : 2 * node->max_rows;

	if (node->nrows < node->max_rows)
		return;
	node->values = grow_array(node->values, new * node->ncolumns * sizeof(Datum));
	node->isnull = grow_array(node->isnull, new * node->ncolumns);
	for (int i = 0; i < node->ncalls; i++)
		node->calls[i].rows = grow_array(node->calls[i].rows, new * sizeof(AlbertAsked));
	if (node->scan != NULL)
	{
		node->tids = grow_array(node->tids, new * sizeof(ItemPointerData));
		node->tableoids = grow_array(node->tableoids, new * sizeof(Oid));
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

/* Keep a copy of the child's row. */
static void
take_row(AlbertNodeState *node, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(node->batch_context);
	Datum	   *values;
	bool	   *isnull;

	grow_rows(node);
	values = node->values + (Size) node->nrows * node->ncolumns;
	isnull = node->isnull + (Size) node->nrows * node->ncolumns;
	slot_getallattrs(slot);
	for (int i = 0; i < node->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(slot->tts_tupleDescriptor, i);

		isnull[i] = slot->tts_isnull[i];
		values[i] = isnull[i] ? (Datum) 0 : datumCopy(slot->tts_values[i], att->attbyval, att->attlen);
	}
	if (node->scan != NULL)
		note_tid(node, node->nrows);
	node->nrows++;
	MemoryContextSwitchTo(old);
}

TupleTableSlot *
AlbertBatchShowRow(AlbertNodeState *node, int row)
{
	TupleTableSlot *slot = node->css.ss.ss_ScanTupleSlot;
	Size		place = (Size) row * node->ncolumns;

	ExecClearTuple(slot);
	memcpy(slot->tts_values, node->values + place, node->ncolumns * sizeof(Datum));
	memcpy(slot->tts_isnull, node->isnull + place, node->ncolumns * sizeof(bool));
	for (int i = 0; i < node->ncalls; i++)
	{
		AlbertCall *call = &node->calls[i];

		slot->tts_values[call->column] = AlbertCallResult(call, row, &slot->tts_isnull[call->column]);
	}
	ExecStoreVirtualTuple(slot);
	if (node->scan != NULL)
	{
		slot->tts_tid = node->tids[row];
		slot->tts_tableOid = node->tableoids[row];
	}
	return slot;
}

/* ---------- a batch ---------- */

/* The child's next row, or the one that the last batch has left; NULL when there is none. */
static TupleTableSlot *
next_row(AlbertNodeState *node)
{
	TupleTableSlot *slot = node->held;

	node->held = NULL;
	if (slot == NULL && !node->at_end)
		slot = ExecProcNode(outerPlanState(node));
	node->at_end = TupIsNull(slot);
	if (!node->at_end)
		node->at_start = false;
	return node->at_end ? NULL : slot;
}

/* Ask for what the calls need of the row taken last; false when it must be the next batch's first. */
static bool
ask_calls(AlbertNodeState *node, TupleTableSlot *slot)
{
	ExprContext *econtext = node->css.ss.ps.ps_ExprContext;
	bool		good = true;

	econtext->ecxt_outertuple = slot;
	for (int i = 0; i < node->ncalls && good; i++)
		good = AlbertCallAsk(node, &node->calls[i], node->nrows - 1);
	ResetExprContext(econtext);
	return good;
}

static void
run_calls(AlbertNodeState *node)
{
	for (int i = 0; i < node->ncalls; i++)
		AlbertCallRun(node, &node->calls[i]);
}

static bool
is_full(const AlbertNodeState *node)
{
	bool		parallel = node->css.ss.ps.plan->parallel_aware;
	double		tokens = (double) albert_batch_tokens * (parallel ? 1 : READ_BATCHES);

	for (int i = 0; i < node->ncalls; i++)
	{
		if (AlbertCallIsFull(&node->calls[i], tokens))
			return true;
	}
	return MemoryContextMemAllocated(node->batch_context, true) >= (Size) work_mem * 1024;
}

bool
AlbertBatchFill(AlbertNodeState *node)
{
	int64		rows = albert_enable_batching ? rows_to_read(node) : 1;
	TupleTableSlot *slot;

	AlbertBatchReset(node);
	while (node->nrows < rows && !is_full(node) && (slot = next_row(node)) != NULL)
	{
		take_row(node, slot);
		if (!ask_calls(node, slot))
		{
			/* it stays there until the child is asked for the next one */
			node->held = slot;
			node->nrows--;
			break;
		}
	}
	run_calls(node);
	if (node->grow < MAX_ROWS)
		node->grow *= 2;
	return node->nrows > 0;
}

/* The child, which stands at the batch's last row or after it, goes back over the batch and to the row before. */
bool
AlbertBatchFillBackward(AlbertNodeState *node)
{
	PlanState  *child = outerPlanState(node);
	int			back = node->at_end || node->held != NULL ? node->nrows : node->nrows - 1;
	TupleTableSlot *slot;

	if (node->at_start)
		return false;
	for (int i = 0; i < back; i++)
		(void) ExecProcNode(child);
	slot = ExecProcNode(child);
	AlbertBatchReset(node);
	node->held = NULL;
	node->at_end = false;
	node->at_start = TupIsNull(slot);
	if (node->at_start)
		return false;
	take_row(node, slot);
	(void) ask_calls(node, slot);
	run_calls(node);
	return true;
}
