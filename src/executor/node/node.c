/*
 * node.c
 *	  The batching node's execution: states, and rows one by one out of
 *	  batches, forwards and backwards.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"

#include "executor/node/node.h"

/* A table scan as the child stays one for WHERE CURRENT OF. */
static void
find_scan(AlbertNodeState *node)
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
begin_scan(AlbertNodeState *node)
{
	AlbertBatchReset(node);
	for (int i = 0; i < node->ncalls; i++)
		node->calls[i].proven = false;
	node->held = NULL;
	node->at_start = true;
	node->at_end = false;
	node->grow = 1;
	node->delivered = 0;
}

static void
begin_node(CustomScanState *css, EState *estate, int eflags)
{
	AlbertNodeState *node = (AlbertNodeState *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;
	List	   *header = linitial(plan->custom_private);

	node->flags = linitial_int(header);
	node->ncalls = lsecond_int(header);
	node->bound = lthird_int(header);
	node->ncolumns = list_length(plan->custom_scan_tlist) - node->ncalls;
	outerPlanState(node) = ExecInitNode(outerPlan(plan), estate, eflags);
	find_scan(node);
	/* a sort below the node learns how many rows the Limit wants, as it would without the node */
	if (node->bound >= 0 && css->ss.ps.qual == NULL)
		ExecSetTupleBound(node->bound, outerPlanState(node));
	node->calls = palloc0(node->ncalls * sizeof(AlbertCall));
	for (int i = 0; i < node->ncalls; i++)
	{
		TargetEntry *entry = list_nth_node(TargetEntry, plan->custom_scan_tlist, node->ncolumns + i);

		AlbertCallBegin(node, &node->calls[i], castNode(FuncExpr, entry->expr));
	}
	for (int i = 0; i < ALBERT_NODE_NCOUNTS; i++)
		pg_atomic_init_u64(&node->own_counts[i], 0);
	node->counts = node->own_counts;
	node->batch_context = AllocSetContextCreate(CurrentMemoryContext, "albert batch", ALLOCSET_DEFAULT_SIZES);
	begin_scan(node);
}

/* Go to the next row, of the next batch if need be; false when there is none. */
static bool
move(AlbertNodeState *node)
{
	if (ScanDirectionIsBackward(node->css.ss.ps.state->es_direction))
	{
		if (--node->position >= 0)
			return true;
		node->position = -1;
		if (!AlbertBatchFillBackward(node))
			return false;
	}
	else
	{
		if (++node->position < node->nrows)
			return true;
		if (!AlbertBatchFill(node))
			return false;
	}
	node->position = 0;
	return true;
}

static TupleTableSlot *
exec_node(CustomScanState *css)
{
	AlbertNodeState *node = (AlbertNodeState *) css;
	PlanState  *ps = &css->ss.ps;
	ExprContext *econtext = ps->ps_ExprContext;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (!move(node))
			return ExecClearTuple(css->ss.ss_ScanTupleSlot);
		ResetExprContext(econtext);
		econtext->ecxt_scantuple = AlbertBatchShowRow(node, node->position);
		if (ExecQual(ps->qual, econtext))
			break;
		InstrCountFiltered1(node, 1);
	}
	node->delivered++;
	return ps->ps_ProjInfo != NULL ? ExecProject(ps->ps_ProjInfo) : css->ss.ss_ScanTupleSlot;
}

static void
rescan_node(CustomScanState *css)
{
	if (css->ss.ps.ps_ResultTupleSlot != NULL)
		ExecClearTuple(css->ss.ps.ps_ResultTupleSlot);
	begin_scan((AlbertNodeState *) css);
	if (outerPlanState(css)->chgParam == NULL)
		ExecReScan(outerPlanState(css));
}

static void
end_node(CustomScanState *css)
{
	ExecEndNode(outerPlanState(css));
}

/* ---------- as PostgreSQL calls it ---------- */

static const CustomExecMethods exec_methods = {
	.CustomName = "AlbertBatch",
	.BeginCustomScan = begin_node,
	.ExecCustomScan = exec_node,
	.EndCustomScan = end_node,
	.ReScanCustomScan = rescan_node,
	.EstimateDSMCustomScan = AlbertNodeEstimateDSM,
	.InitializeDSMCustomScan = AlbertNodeInitializeDSM,
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

const CustomScanMethods albert_scan_methods = {
	.CustomName = "AlbertBatch",
	.CreateCustomScanState = create_state
};
