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

/* ---------- runs of the executor ---------- */

static const AlbertRunFrame *runs = NULL;

void
AlbertRunBegin(AlbertRunFrame *run, const EState *estate, uint64 count)
{
	run->outer = (AlbertRunFrame *) runs;
	run->estate = estate;
	run->count = count;
	runs = run;
}

void
AlbertRunEnd(const AlbertRunFrame *run)
{
	runs = run->outer;
}

/* How many rows the executor was asked for in this run; 0: all. */
static uint64
run_count(const EState *estate)
{
	for (const AlbertRunFrame *run = runs; run != NULL; run = run->outer)
	{
		if (run->estate == estate)
			return run->count;
	}
	return 0;
}

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
	EState	   *estate = node->css.ss.ps.state;
	bool		safe = (node->flags & ALBERT_NODE_SAFE) != 0;
	int64		ahead = safe ? node->grow : 1;
	int64		rows = MAX_ROWS;
	uint64		count = (node->flags & ALBERT_NODE_LAZY) ? run_count(estate) : 0;

	if ((node->flags & ALBERT_NODE_LIMIT) && node->bound >= 0)
	{
		int64		needs = Max(node->bound - node->delivered, 1);

		/* a filter may need more rows than the Limit */
		rows = Min(rows, node->css.ss.ps.qual != NULL && safe ? Max(needs, ahead) : needs);
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
	node->plain = NULL;
	node->tids = NULL;
	node->tableoids = NULL;
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
	node->values = grow_array(node->values, new * node->natts * sizeof(Datum));
	node->isnull = grow_array(node->isnull, new * node->natts);
	node->plain = grow_array(node->plain, new);
	for (int i = 0; i < node->ncalls; i++)
		node->calls[i].rows = grow_array(node->calls[i].rows, new * sizeof(int));
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

/* Keep a copy of the child's row, results still missing. */
static void
take_row(AlbertNodeState *node, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(node->batch_context);
	Datum	   *values;
	bool	   *isnull;

	grow_rows(node);
	values = node->values + (Size) node->nrows * node->natts;
	isnull = node->isnull + (Size) node->nrows * node->natts;
	slot_getallattrs(slot);
	for (int i = 0; i < node->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(slot->tts_tupleDescriptor, i);

		isnull[i] = slot->tts_isnull[i];
		values[i] = isnull[i] ? (Datum) 0 : datumCopy(slot->tts_values[i], att->attbyval, att->attlen);
	}
	for (int i = node->ncolumns; i < node->natts; i++)
	{
		values[i] = (Datum) 0;
		isnull[i] = true;
	}
	node->plain[node->nrows] = false;
	if (node->scan != NULL)
		note_tid(node, node->nrows);
	node->nrows++;
	MemoryContextSwitchTo(old);
}

void
AlbertBatchTakePlain(AlbertNodeState *node, TupleTableSlot *slot)
{
	take_row(node, slot);
	node->plain[node->nrows - 1] = true;
}

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

/* ---------- a batch ---------- */

/* Ask for what the calls need of the child's row; false when it is to be evaluated plainly and ends the batch. */
static bool
ask_calls(AlbertNodeState *node, TupleTableSlot *slot)
{
	ExprContext *econtext = node->css.ss.ps.ps_ExprContext;
	bool		good = true;

	econtext->ecxt_outertuple = slot;
	for (int i = 0; i < node->ncalls; i++)
		good &= AlbertCallAsk(node, &node->calls[i], node->nrows - 1);
	ResetExprContext(econtext);
	node->plain[node->nrows - 1] = !good;
	return good;
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
	bool		more = true;

	AlbertBatchReset(node);
	if (node->at_end)
		return false;
	while (more && node->nrows < rows)
	{
		TupleTableSlot *slot = ExecProcNode(outerPlanState(node));

		node->started = true;
		if (TupIsNull(slot))
		{
			node->at_end = true;
			break;
		}
		node->at_start = false;
		take_row(node, slot);
		if (albert_enable_batching)
			more = ask_calls(node, slot) && !is_full(node);
		else
			node->plain[0] = true;
	}
	if (node->nrows == 0)
		return false;
	for (int i = 0; i < node->ncalls; i++)
		AlbertCallRun(node, &node->calls[i]);
	if (node->grow < MAX_ROWS)
		node->grow *= 2;
	return true;
}
