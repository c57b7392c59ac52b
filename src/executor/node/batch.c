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

/* An array of the batch with room for max_rows. */
static void *
row_array(AlbertNodeState *node, void *array, Size size)
{
	size *= node->max_rows;
	return array == NULL ? MemoryContextAllocHuge(node->batch_context, Max(size, 1)) : repalloc_huge(array, size);
}

/* Room for so many rows. */
static void
make_room(AlbertNodeState *node, int max_rows)
{
	node->max_rows = max_rows;
	node->values = row_array(node, node->values, node->ncolumns * sizeof(Datum));
	node->isnull = row_array(node, node->isnull, node->ncolumns);
	node->places = row_array(node, node->places, sizeof(AlbertNodePlace));
	node->asked = row_array(node, node->asked, node->ncalls * sizeof(AlbertAsked));
}

void
AlbertBatchReset(AlbertNodeState *node)
{
	for (int i = 0; i < node->ncalls; i++)
		node->calls[i].started = false;
	ExecClearTuple(node->css.ss.ss_ScanTupleSlot);
	MemoryContextReset(node->batch_context);
	node->values = NULL;
	node->isnull = NULL;
	node->places = NULL;
	node->asked = NULL;
	make_room(node, LEAST_ROWS);
	node->nrows = 0;
	node->position = -1;
}

/* Which row of a table the child's row was made from. */
static AlbertNodePlace
place_of_row(const ScanState *scan)
{
	if (IsA(scan, IndexOnlyScanState))
		return (AlbertNodePlace) {
			((const IndexOnlyScanState *) scan)->ioss_ScanDesc->xs_heaptid, RelationGetRelid(scan->ss_currentRelation)
		};
	return (AlbertNodePlace) {scan->ss_ScanTupleSlot->tts_tid, scan->ss_ScanTupleSlot->tts_tableOid};
}

/* Keep a copy of the child's row. */
static void
take_row(AlbertNodeState *node, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(node->batch_context);
	Datum	   *values;
	bool	   *isnull;

	if (node->nrows == node->max_rows)
		make_room(node, 2 * node->max_rows);
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
		node->places[node->nrows] = place_of_row(node->scan);
	node->nrows++;
	MemoryContextSwitchTo(old);
}

TupleTableSlot *
AlbertBatchShowRow(AlbertNodeState *node, int row)
{
	TupleTableSlot *slot = node->css.ss.ss_ScanTupleSlot;
	const AlbertAsked *asked = node->asked + (Size) row * node->ncalls;
	Size		first = (Size) row * node->ncolumns;

	ExecClearTuple(slot);
	memcpy(slot->tts_values, node->values + first, node->ncolumns * sizeof(Datum));
	memcpy(slot->tts_isnull, node->isnull + first, node->ncolumns * sizeof(bool));
	for (int i = 0; i < node->ncalls; i++)
	{
		int			column = node->ncolumns + i;

		slot->tts_values[column] = AlbertCallResult(&node->calls[i], asked[i], &slot->tts_isnull[column]);
	}
	ExecStoreVirtualTuple(slot);
	if (node->scan != NULL)
	{
		slot->tts_tid = node->places[row].tid;
		slot->tts_tableOid = node->places[row].table;
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
