/*
 * node.c
 *	  The batching node's execution: states, and rows one by one out of
 *	  batches, forwards and backwards.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"

#include "executor/node/node.h"

static Node *create_state(CustomScan *plan);
static void begin_node(CustomScanState *css, EState *estate, int eflags);
static TupleTableSlot *exec_node(CustomScanState *css);
static void end_node(CustomScanState *css);
static void rescan_node(CustomScanState *css);

const CustomScanMethods albert_scan_methods = {
	.CustomName = "AlbertBatch",
	.CreateCustomScanState = create_state
};

static const CustomExecMethods exec_methods = {
	.CustomName = "AlbertBatch",
	.BeginCustomScan = begin_node,
	.ExecCustomScan = exec_node,
	.EndCustomScan = end_node,
	.ReScanCustomScan = rescan_node,
	.EstimateDSMCustomScan = AlbertNodeEstimateDSM,
	.InitializeDSMCustomScan = AlbertNodeInitializeDSM,
	.ReInitializeDSMCustomScan = AlbertNodeReInitializeDSM,
	.InitializeWorkerCustomScan = AlbertNodeInitializeWorker,
	.ShutdownCustomScan = AlbertNodeShutdown,
	.ExplainCustomScan = AlbertNodeExplain
};

static Node *
create_state(CustomScan *plan)
{
	AlbertNodeState *node = palloc0(sizeof(AlbertNodeState));

	NodeSetTag(node, T_CustomScanState);
	node->css.methods = &exec_methods;
	return (Node *) node;
}

/* ---------- beginning ---------- */

/* Calls back in the place of their results: what plain execution evaluates. */
typedef struct Expansion
{
	CustomScan *plan;
	int			ncolumns;
} Expansion;

static Node *
expand_results(Node *node, void *context)
{
	Expansion  *expansion = context;
	Var		   *copy;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varattno > expansion->ncolumns)
		return expand_results((Node *) list_nth_node(TargetEntry, expansion->plan->custom_scan_tlist,
													 ((Var *) node)->varattno - 1)->expr, context);
	/* a call's arguments are written over the child's columns, which come first in the scan tuple */
	if (IsA(node, Var))
	{
		copy = (Var *) copyObject(node);
		copy->varno = INDEX_VAR;
		return (Node *) copy;
	}
	return expression_tree_mutator(node, expand_results, context);
}

static void
begin_plain(AlbertNodeState *node, CustomScan *plan)
{
	Expansion	expansion = {plan, node->ncolumns};
	PlanState  *ps = &node->css.ss.ps;
	List	   *tlist = (List *) expand_results((Node *) plan->scan.plan.targetlist, &expansion);
	List	   *qual = (List *) expand_results((Node *) plan->scan.plan.qual, &expansion);
	TupleTableSlot *slot = ExecInitExtraTupleSlot(ps->state, ps->ps_ResultTupleDesc, &TTSOpsVirtual);

	node->plain_qual = ExecInitQual(qual, ps);
	node->plain_projection = ExecBuildProjectionInfo(tlist, ps->ps_ExprContext, slot, ps,
													 node->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor);
}

/* A table scan as the child stays one for WHERE CURRENT OF. */
static void
begin_scan(AlbertNodeState *node)
{
	PlanState  *child = outerPlanState(node);

	switch (nodeTag(child))
	{
		case T_SeqScanState:
		case T_SampleScanState:
		case T_IndexScanState:
		case T_IndexOnlyScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
		case T_CustomScanState:
			if (((ScanState *) child)->ss_currentRelation == NULL)
				break;
			node->scan = (ScanState *) child;
			node->css.ss.ss_currentRelation = node->scan->ss_currentRelation;
			break;
		default:
			break;
	}
}

static void
begin_node(CustomScanState *css, EState *estate, int eflags)
{
	AlbertNodeState *node = (AlbertNodeState *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;
	List	   *header = linitial(plan->custom_private);

	node->flags = linitial_int(header);
	node->natts = list_length(plan->custom_scan_tlist);
	node->ncalls = lsecond_int(header);
	node->ncolumns = node->natts - node->ncalls;
	outerPlanState(node) = ExecInitNode(outerPlan(plan), estate, eflags);
	begin_plain(node, plan);
	node->calls = palloc0(node->ncalls * sizeof(AlbertCall));
	for (int i = 0; i < node->ncalls; i++)
	{
		TargetEntry *entry = list_nth_node(TargetEntry, plan->custom_scan_tlist, node->ncolumns + i);

		AlbertCallBegin(node, &node->calls[i], castNode(FuncExpr, entry->expr), node->ncolumns + i);
	}
	node->limit_count = ExecInitExpr(lsecond(plan->custom_private), &css->ss.ps);
	node->limit_offset = ExecInitExpr(lthird(plan->custom_private), &css->ss.ps);
	begin_scan(node);
	node->batch_context = AllocSetContextCreate(CurrentMemoryContext, "albert batch", ALLOCSET_DEFAULT_SIZES);
	node->position = -1;
	node->at_start = true;
	node->grow = 1;
}

/* ---------- rows ---------- */

/* What the Limit above asks for; it has checked its bounds when it first asks. */
static int64
limit_bound(AlbertNodeState *node)
{
	ExprContext *econtext = node->css.ss.ps.ps_ExprContext;
	int64		count;
	int64		offset = 0;
	bool		isnull;

	if (node->limit_count == NULL)
		return -1;
	count = DatumGetInt64(ExecEvalExprSwitchContext(node->limit_count, econtext, &isnull));
	if (isnull)
		return -1;
	if (node->limit_offset != NULL)
	{
		offset = DatumGetInt64(ExecEvalExprSwitchContext(node->limit_offset, econtext, &isnull));
		if (isnull)
			offset = 0;
	}
	return count > PG_INT64_MAX - offset ? -1 : offset + count;
}

/* A sort below the node learns how many rows the Limit wants, as it would without the node. */
static void
begin_scanning(AlbertNodeState *node)
{
	node->bound = limit_bound(node);
	if (node->bound >= 0 && (node->flags & ALBERT_NODE_TIES) == 0 && node->css.ss.ps.qual == NULL)
		ExecSetTupleBound(node->bound, outerPlanState(node));
}

/* Filter and project the row at position; NULL when it does not pass. */
static TupleTableSlot *
return_row(AlbertNodeState *node)
{
	PlanState  *ps = &node->css.ss.ps;
	bool		plain = node->plain[node->position];
	TupleTableSlot *slot = NULL;

	ResetExprContext(ps->ps_ExprContext);
	AlbertBatchShowRow(node, node->position);
	if (plain)
	{
		AlbertNodeCount(node, &(AlbertNodeCounts) {.single = 1});
		if (ExecQual(node->plain_qual, ps->ps_ExprContext))
			slot = ExecProject(node->plain_projection);
		for (int i = 0; i < node->ncalls; i++)
			node->calls[i].proven |= node->calls[i].proving;
	}
	else if (ExecQual(ps->qual, ps->ps_ExprContext))
		slot = ps->ps_ProjInfo != NULL ? ExecProject(ps->ps_ProjInfo) : node->css.ss.ss_ScanTupleSlot;
	if (slot == NULL)
		InstrCountFiltered1(node, 1);
	return slot;
}

static TupleTableSlot *
next_row(AlbertNodeState *node)
{
	TupleTableSlot *slot = NULL;

	if (!node->started)
		begin_scanning(node);
	while (slot == NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (++node->position >= node->nrows)
		{
			node->position = -1;
			if (!AlbertBatchFill(node))
				return NULL;
			node->position = 0;
		}
		slot = return_row(node);
	}
	return slot;
}

/*
 * One row back before the batch: the child, which stands at the batch's last
 * row or after it, goes back over the batch and to the row before.
 */
static bool
fill_backward(AlbertNodeState *node)
{
	PlanState  *child = outerPlanState(node);
	int			back = node->at_end ? node->nrows : node->nrows - 1;
	TupleTableSlot *slot;

	if (node->at_start)
		return false;
	for (int i = 0; i < back; i++)
		(void) ExecProcNode(child);
	slot = ExecProcNode(child);
	AlbertBatchReset(node);
	node->at_end = false;
	node->at_start = TupIsNull(slot);
	if (!node->at_start)
		AlbertBatchTakePlain(node, slot);
	return !node->at_start;
}

static TupleTableSlot *
previous_row(AlbertNodeState *node)
{
	TupleTableSlot *slot = NULL;

	while (slot == NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (node->position < 0 || --node->position < 0)
		{
			node->position = -1;
			if (!fill_backward(node))
				return NULL;
			node->position = 0;
		}
		slot = return_row(node);
	}
	return slot;
}

static TupleTableSlot *
exec_node(CustomScanState *css)
{
	AlbertNodeState *node = (AlbertNodeState *) css;
	TupleTableSlot *slot = ScanDirectionIsBackward(css->ss.ps.state->es_direction)
		? previous_row(node) : next_row(node);

	if (slot == NULL)
		ExecClearTuple(css->ss.ss_ScanTupleSlot);
	else
		node->delivered++;
	return slot;
}

static void
rescan_node(CustomScanState *css)
{
	AlbertNodeState *node = (AlbertNodeState *) css;

	AlbertBatchReset(node);
	if (css->ss.ps.ps_ResultTupleSlot != NULL)
		ExecClearTuple(css->ss.ps.ps_ResultTupleSlot);
	for (int i = 0; i < node->ncalls; i++)
	{
		node->calls[i].proving = false;
		node->calls[i].proven &= node->calls[i].constant;
	}
	node->position = -1;
	node->at_start = true;
	node->at_end = false;
	node->started = false;
	node->grow = 1;
	node->delivered = 0;
	if (outerPlanState(node)->chgParam == NULL)
		ExecReScan(outerPlanState(node));
}

static void
end_node(CustomScanState *css)
{
	ExecEndNode(outerPlanState(css));
}
