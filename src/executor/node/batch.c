/*
 * batch.c
 *	  Reading a batch of rows and computing its calls.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "executor/node/node.h"

/* Rows of a batch, however few tokens they have, and rows that there is room for to begin with. */
#define MAX_ROWS	8192
#define LEAST_ROWS	16

/*
 * The encoder cuts what it gets into batches of albert.batch_tokens; of several
 * at a time, the last and smaller one matters less.  Parallel workers take no
 * more than one, so that the rows are shared evenly.
 */
#define READ_BATCHES	4

bool		albert_enable_batching = true;

AlbertExecutorRun albert_executor_run = {0};

/* ---------- how far to read ahead ---------- */

/* Rows that are sure to be asked for, whatever is found in them. */
static int64
sure_rows(const AlbertNodeState *node)
{
	const EState *estate = node->css.ss.ps.state;
	int64		sure = MAX_ROWS;
	uint64		count = 0;

	if ((node->flags & ALBERT_NODE_EARLY) || ((node->flags & ALBERT_NODE_ONE_FIRST) && node->grow == 1))
		return 1;
	if (node->bound >= 0)
		sure = Min(sure, Max(node->bound - node->delivered, 1));
	if ((node->flags & ALBERT_NODE_LAZY) && estate == albert_executor_run.estate)
		count = albert_executor_run.count;
	if (count == 0)
		return sure;
	if ((node->flags & ALBERT_NODE_ROOT) == 0 || count <= estate->es_processed)
		return 1;
	return Min((uint64) sure, count - estate->es_processed);
}

/*
 * The most rows to read for the next batch.  Sure ones can be read at once,
 * whatever happens; more only where reading them raises no error, and then so
 * few that at most about as many are computed in vain as are used.
 */
static int64
rows_to_read(const AlbertNodeState *node)
{
	int64		ahead = (node->flags & ALBERT_NODE_SAFE) ? node->grow : 1;

	/* a filter may need more rows than the Limit */
	if (node->bound >= 0 && node->css.ss.ps.qual == NULL)
		ahead = Min(ahead, node->bound - node->delivered);
	return Min(Max(sure_rows(node), ahead), MAX_ROWS);
}

/* ---------- the rows of a batch ---------- */

void
AlbertBatchReset(AlbertNodeState *node)
{
	for (int i = 0; i < node->ncalls; i++)
		node->calls[i].started = false;
	ExecClearTuple(node->css.ss.ss_ScanTupleSlot);
	ExecClearTuple(node->row_slot);
	MemoryContextReset(node->batch_context);
	node->nrows = 0;
	node->max_rows = LEAST_ROWS;
	node->rows = MemoryContextAlloc(node->batch_context, LEAST_ROWS * sizeof(AlbertNodeRow));
	node->asked = MemoryContextAlloc(node->batch_context, LEAST_ROWS * node->ncalls * sizeof(AlbertAsked));
	node->position = -1;
}

/* Which row of a table the child's row was made from. */
static void
note_tid(const ScanState *scan, AlbertNodeRow *row)
{
	const TupleTableSlot *slot = scan->ss_ScanTupleSlot;

	row->tid = slot->tts_tid;
	row->table = slot->tts_tableOid;
	if (IsA(scan, IndexOnlyScanState))
	{
		row->tid = ((const IndexOnlyScanState *) scan)->ioss_ScanDesc->xs_heaptid;
		row->table = RelationGetRelid(scan->ss_currentRelation);
	}
}

/* Keep a copy of the child's row. */
static void
take_row(AlbertNodeState *node, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(node->batch_context);
	AlbertNodeRow *row;

	if (node->nrows == node->max_rows)
	{
		node->max_rows *= 2;
		node->rows = repalloc(node->rows, node->max_rows * sizeof(AlbertNodeRow));
		node->asked = repalloc(node->asked, (Size) node->max_rows * node->ncalls * sizeof(AlbertAsked));
	}
	row = &node->rows[node->nrows++];
	row->tuple = ExecCopySlotMinimalTuple(slot);
	if (node->scan != NULL)
		note_tid(node->scan, row);
	MemoryContextSwitchTo(old);
}

TupleTableSlot *
AlbertBatchShowRow(AlbertNodeState *node, int number)
{
	const AlbertNodeRow *row = &node->rows[number];
	TupleTableSlot *columns = node->row_slot;
	TupleTableSlot *slot = node->css.ss.ss_ScanTupleSlot;

	ExecClearTuple(slot);
	ExecStoreMinimalTuple(row->tuple, columns, false);
	slot_getallattrs(columns);
	memcpy(slot->tts_values, columns->tts_values, node->ncolumns * sizeof(Datum));
	memcpy(slot->tts_isnull, columns->tts_isnull, node->ncolumns * sizeof(bool));
	for (int i = 0; i < node->ncalls; i++)
	{
		int			column = node->ncolumns + i;

		slot->tts_values[column] = AlbertCallResult(&node->calls[i], node->asked[(Size) number * node->ncalls + i],
													&slot->tts_isnull[column]);
	}
	ExecStoreVirtualTuple(slot);
	if (node->scan != NULL)
	{
		slot->tts_tid = row->tid;
		slot->tts_tableOid = row->table;
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
	AlbertAsked *asked = &node->asked[(Size) (node->nrows - 1) * node->ncalls];
	bool		good = true;

	econtext->ecxt_outertuple = slot;
	for (int i = 0; i < node->ncalls && good; i++)
		good = AlbertCallAsk(node, &node->calls[i], node->nrows == 1, &asked[i]);
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
