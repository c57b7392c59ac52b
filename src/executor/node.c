/*
 * node.c
 *	  The batching node's execution: states, rows one by one out of batches,
 *	  forwards and backwards.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "executor/node.h"
#include "executor/node_internal.h"

static Node *create_state(CustomScan *plan);
static void begin_node(CustomScanState *css, EState *estate, int eflags);
static TupleTableSlot *exec_node(CustomScanState *css);
static void end_node(CustomScanState *css);
static void rescan_node(CustomScanState *css);

const CustomScanMethods albert_scan_methods = {
	.CustomName = ALBERT_NODE_NAME,
	.CreateCustomScanState = create_state
};

static const CustomExecMethods exec_methods = {
	.CustomName = ALBERT_NODE_NAME,
	.BeginCustomScan = begin_node,
	.ExecCustomScan = exec_node,
	.EndCustomScan = end_node,
	.ReScanCustomScan = rescan_node,
	.EstimateDSMCustomScan = AlbertNodeEstimateDSM,
	.InitializeDSMCustomScan = AlbertNodeInitializeDSM,
	.ReInitializeDSMCustomScan = AlbertNodeReInitializeDSM,
	.InitializeWorkerCustomScan = AlbertNodeInitializeWorker,
	.ExplainCustomScan = AlbertNodeExplain
};

static int	nodes_begun = 0;

int
AlbertNodeBegun(void)
{
	return nodes_begun;
}

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

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varattno > expansion->ncolumns)
	{
		FuncExpr   *call = list_nth_node(FuncExpr, expansion->plan->custom_exprs,
										 ((Var *) node)->varattno - expansion->ncolumns - 1);

		return expression_tree_mutator((Node *) call, expand_results, context);
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

	for (int s = 0, n = 0; s < node->nstages; s++)
	{
		AlbertStage *stage = &node->stages[s];
		List	   *together = NIL;

		for (int i = 0; i < stage->nquals; i++)
			together = lappend(together, list_nth(qual, n++));
		stage->plain_qual = together == NIL ? NULL : ExecInitQual(together, ps);
	}
	node->plain_projection = ExecBuildProjectionInfo(tlist, ps->ps_ExprContext,
													 ps->ps_ResultTupleSlot, ps,
													 node->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor);
}

static bool
refers_to_results(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varattno > *(int *) context;
	return expression_tree_walker(node, refers_to_results, context);
}

/* Is an expression's value the same for all rows of a query? */
static bool
varies_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) || IsA(node, SubPlan))
		return true;
	if (IsA(node, Param))
		return ((Param *) node)->paramkind != PARAM_EXTERN;
	return expression_tree_walker(node, varies_walker, context);
}

static void
begin_call(AlbertNodeState *node, AlbertCall *call, FuncExpr *expr, int number, int stage)
{
	ListCell   *cell;

	call->signature = AlbertSignatureOf(expr->funcid);
	if (call->signature == NULL || call->signature->nargs != list_length(expr->args))
		elog(ERROR, "function %u is no longer a task of albert", expr->funcid);
	call->strict = func_strict(expr->funcid);
	call->nargs = call->signature->nargs;
	call->column = node->ncolumns + number;
	call->stage = stage;
	call->scale = 1;
	call->one_group = true;
	call->constant = true;
	get_typlenbyval(expr->funcresulttype, &call->result_typlen, &call->result_typbyval);
	foreach(cell, expr->args)
	{
		int			i = foreach_current_index(cell);
		Node	   *arg = lfirst(cell);

		call->args[i] = ExecInitExpr((Expr *) arg, &node->css.ss.ps);
		call->is_text[i] = i == call->signature->text || i == call->signature->pair;
		get_typlenbyval(exprType(arg), &call->typlen[i], &call->typbyval[i]);
		if (varies_walker(arg, NULL))
		{
			call->constant = false;
			if (!call->is_text[i])
				call->one_group = false;
		}
	}
	call->at_read = stage == 0 && !refers_to_results((Node *) expr->args, &node->ncolumns);
}

/* Quals from the first on that no call comes in between are tested together. */
static void
begin_stages(AlbertNodeState *node, List *quals)
{
	int			nquals = list_length(quals);
	int			tested = 0;
	int			call = 0;

	node->stages = palloc0((nquals + 1) * sizeof(AlbertStage));
	while (tested < nquals || call < node->ncalls)
	{
		AlbertStage *stage = &node->stages[node->nstages++];
		List	   *together = NIL;

		stage->first_call = call;
		while (call < node->ncalls && node->calls[call].stage == tested)
		{
			stage->ncalls++;
			call++;
		}
		while (tested < nquals && (call == node->ncalls || node->calls[call].stage > tested))
			together = lappend(together, list_nth(quals, tested++));
		stage->nquals = list_length(together);
		stage->qual = together == NIL ? NULL : ExecInitQual(together, &node->css.ss.ps);
	}
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
	List	   *header = (List *) linitial(plan->custom_private);
	List	   *stages = (List *) lsecond(plan->custom_private);
	ListCell   *cell;

	node->flags = linitial_int(header);
	node->ncolumns = lsecond_int(header);
	node->natts = list_length(plan->custom_scan_tlist);
	node->ncalls = list_length(plan->custom_exprs);
	outerPlanState(node) = ExecInitNode(outerPlan(plan), estate, eflags);
	node->calls = palloc0(node->ncalls * sizeof(AlbertCall));
	foreach(cell, plan->custom_exprs)
	{
		int			i = foreach_current_index(cell);

		begin_call(node, &node->calls[i], lfirst_node(FuncExpr, cell), i, list_nth_int(stages, i));
	}
	begin_stages(node, plan->scan.plan.qual);
	begin_plain(node, plan);
	begin_scan(node);
	node->batch_context = AllocSetContextCreate(CurrentMemoryContext, "albert batch",
												ALLOCSET_DEFAULT_SIZES);
	node->group_context = AllocSetContextCreate(CurrentMemoryContext, "albert jobs of a batch",
												ALLOCSET_SMALL_SIZES);
	node->position = -1;
	node->at_start = true;
	node->grow = 1;
	nodes_begun++;
}

/* ---------- which Limit is above ---------- */

/* The batching node, if any, that returns the same rows. */
static AlbertNodeState *
counted_node(PlanState *ps)
{
	while (ps != NULL)
	{
		if (IsA(ps, CustomScanState))
			return ((CustomScanState *) ps)->methods == &exec_methods ? (AlbertNodeState *) ps : NULL;
		if (IsA(ps, ResultState) || IsA(ps, LockRowsState))
			ps = outerPlanState(ps);
		else if (IsA(ps, LimitState) && ((Limit *) ps->plan)->limitCount == NULL)
			ps = outerPlanState(ps);
		else if (IsA(ps, SubqueryScanState) && ps->plan->qual == NIL)
			ps = ((SubqueryScanState *) ps)->subplan;
		else
			return NULL;
	}
	return NULL;
}

static bool
link_walker(PlanState *ps, void *context)
{
	if (ps == NULL)
		return false;
	if (IsA(ps, LimitState) && ((Limit *) ps->plan)->limitCount != NULL)
	{
		AlbertNodeState *node = counted_node(outerPlanState(ps));

		while (node != NULL)
		{
			if (node->flags & ALBERT_NODE_LIMIT)
				node->limit = (LimitState *) ps;
			node = node->css.ss.ps.plan->qual == NIL ? counted_node(outerPlanState(node)) : NULL;
		}
	}
	return planstate_tree_walker(ps, link_walker, context);
}

void
AlbertNodeLinkLimits(PlanState *planstate)
{
	(void) link_walker(planstate, NULL);
}

/* A sort below the node learns how many rows the Limit wants, as it would without the node. */
static void
pass_bound(AlbertNodeState *node)
{
	LimitState *limit = node->limit;

	if (limit == NULL || node->css.ss.ps.plan->qual != NIL)
		return;
	ExecSetTupleBound(limit->noCount || limit->limitOption == LIMIT_OPTION_WITH_TIES
					  ? -1 : limit->offset + limit->count,
					  outerPlanState(node));
}

/* ---------- rows ---------- */

/*
 * The same without results.  A call has been made when its stage is done,
 * whether the row has passed the stage's qual or not.
 */
static TupleTableSlot *
return_plain_row(AlbertNodeState *node)
{
	ExprContext *econtext = node->css.ss.ps.ps_ExprContext;
	TupleTableSlot *slot = NULL;

	AlbertNodeCount(node, &(AlbertNodeCounts) {.single = 1});
	for (int s = 0; s < node->nstages; s++)
	{
		AlbertStage *stage = &node->stages[s];
		bool		passed = true;

		if (stage->plain_qual != NULL)
			passed = ExecQual(stage->plain_qual, econtext);
		else
			slot = ExecProject(node->plain_projection);
		for (int i = 0; i < stage->ncalls; i++)
			AlbertCallProve(&node->calls[stage->first_call + i], node->position);
		if (!passed)
		{
			InstrCountFiltered1(node, 1);
			return NULL;
		}
	}
	return slot != NULL ? slot : ExecProject(node->plain_projection);
}

/* Filter and project the row at position; NULL when it does not pass. */
static TupleTableSlot *
return_row(AlbertNodeState *node)
{
	PlanState  *ps = &node->css.ss.ps;

	if (node->row_state[node->position] == ALBERT_ROW_DEAD)
	{
		InstrCountFiltered1(node, 1);
		return NULL;
	}
	ResetExprContext(ps->ps_ExprContext);
	AlbertBatchShowRow(node, node->position);
	if (node->row_state[node->position] == ALBERT_ROW_LIVE)
		return ps->ps_ProjInfo != NULL ? ExecProject(ps->ps_ProjInfo) : node->css.ss.ss_ScanTupleSlot;

	return return_plain_row(node);
}

static TupleTableSlot *
next_row(AlbertNodeState *node)
{
	if (!node->started)
		pass_bound(node);
	for (;;)
	{
		TupleTableSlot *slot;

		CHECK_FOR_INTERRUPTS();
		if (++node->position >= node->nrows)
		{
			node->position = -1;
			if (!AlbertBatchFill(node))
				return NULL;
			node->position = 0;
		}
		slot = return_row(node);
		if (slot != NULL)
			return slot;
	}
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
	if (TupIsNull(slot))
	{
		node->at_start = true;
		return false;
	}
	node->plain_batch = true;
	AlbertBatchTakeRow(node, slot);
	node->row_state[0] = ALBERT_ROW_PLAIN;
	return true;
}

static TupleTableSlot *
previous_row(AlbertNodeState *node)
{
	for (;;)
	{
		TupleTableSlot *slot;

		CHECK_FOR_INTERRUPTS();
		if (node->position < 0 || --node->position < 0)
		{
			node->position = -1;
			if (!fill_backward(node))
				return NULL;
			node->position = 0;
		}
		slot = return_row(node);
		if (slot != NULL)
			return slot;
	}
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
	AlbertNodeState *node = (AlbertNodeState *) css;

	AlbertNodeEndParallel(node);
	ExecEndNode(outerPlanState(node));
}
