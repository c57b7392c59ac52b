/*
 * plan_lift.c
 *	  Taking albert calls out of a plan node: which ones, and the batching
 *	  node that makes them instead.
 *
 * A call is lifted when each evaluation of the expression it is in makes it:
 * not from a CASE branch, behind the first arm of AND, OR and COALESCE, from
 * an aggregate's arguments or a sub-select.  So no row is computed that plain
 * execution would not have computed.  The plan node keeps its input and those
 * of its quals that come before the first one with a call, and returns just
 * the columns that the rest is made of; the rest, target list and all, moves
 * to the batching node.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

#include "executor/node.h"
#include "executor/node_internal.h"

/* ---------- which calls ---------- */

static bool
is_task(AlbertLift *lift, Oid function)
{
	AlbertSignature *signature;
	bool		yes;

	if (function < FirstNormalObjectId || list_member_oid(lift->known_others, function))
		return false;
	if (list_member_oid(lift->known_tasks, function))
		return true;
	signature = AlbertSignatureOf(function);
	yes = signature != NULL && !signature->returns_set &&
		signature->types[signature->text] == TEXTOID &&
		(signature->pair < 0 || signature->types[signature->pair] == TEXTOID);
	if (yes)
		lift->known_tasks = lappend_oid(lift->known_tasks, function);
	else
		lift->known_others = lappend_oid(lift->known_others, function);
	return yes;
}

static bool
is_call(AlbertLift *lift, Node *node)
{
	return IsA(node, FuncExpr) && !((FuncExpr *) node)->funcretset &&
		is_task(lift, ((FuncExpr *) node)->funcid);
}

static bool
has_call_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (is_call(context, node))
		return true;
	return expression_tree_walker(node, has_call_walker, context);
}

bool
AlbertHasCall(AlbertLift *lift, Node *expr)
{
	return has_call_walker(expr, lift);
}

/*
 * Values that an enclosing CASE or domain check hands down are not there when
 * a call is made elsewhere.  (One whose CASE is itself within the call would
 * do, but is not worth telling apart.)
 */
static bool
handed_down_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CaseTestExpr) || IsA(node, CoerceToDomainValue))
		return true;
	return expression_tree_walker(node, handed_down_walker, context);
}

static bool
is_liftable(AlbertLift *lift, FuncExpr *call)
{
	AlbertTraits traits = {.stmt = lift->stmt};

	if (call->funcvariadic || list_length(call->args) > ALBERT_MAX_ARGS)
		return false;
	AlbertExprTraits((Node *) call->args, &traits);
	return !traits.is_volatile && !traits.multiexpr &&
		!expression_returns_set((Node *) call->args) &&
		!handed_down_walker((Node *) call->args, NULL);
}

static void
find_in_list(AlbertLift *lift, List *exprs, List **calls)
{
	ListCell   *cell;

	foreach(cell, exprs)
		AlbertFindCalls(lift, lfirst(cell), calls);
}

static void
find_in_case(AlbertLift *lift, CaseExpr *expr, List **calls)
{
	if (expr->arg != NULL)
		AlbertFindCalls(lift, (Node *) expr->arg, calls);
	if (expr->args != NIL)
		AlbertFindCalls(lift, (Node *) linitial_node(CaseWhen, expr->args)->expr, calls);
}

void
AlbertFindCalls(AlbertLift *lift, Node *expr, List **calls)
{
	if (expr == NULL)
		return;
	switch (nodeTag(expr))
	{
		case T_TargetEntry:
			AlbertFindCalls(lift, (Node *) ((TargetEntry *) expr)->expr, calls);
			break;
		case T_FuncExpr:
			find_in_list(lift, ((FuncExpr *) expr)->args, calls);
			if (is_call(lift, expr) && is_liftable(lift, (FuncExpr *) expr))
				*calls = list_append_unique(*calls, expr);
			break;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			find_in_list(lift, ((OpExpr *) expr)->args, calls);
			break;
		case T_ScalarArrayOpExpr:
			find_in_list(lift, ((ScalarArrayOpExpr *) expr)->args, calls);
			break;
		case T_BoolExpr:
			AlbertFindCalls(lift, linitial(((BoolExpr *) expr)->args), calls);
			break;
		case T_CoalesceExpr:
			AlbertFindCalls(lift, linitial(((CoalesceExpr *) expr)->args), calls);
			break;
		case T_CaseExpr:
			find_in_case(lift, (CaseExpr *) expr, calls);
			break;
		case T_MinMaxExpr:
			find_in_list(lift, ((MinMaxExpr *) expr)->args, calls);
			break;
		case T_ArrayExpr:
			find_in_list(lift, ((ArrayExpr *) expr)->elements, calls);
			break;
		case T_RowExpr:
			find_in_list(lift, ((RowExpr *) expr)->args, calls);
			break;
		case T_RelabelType:
			AlbertFindCalls(lift, (Node *) ((RelabelType *) expr)->arg, calls);
			break;
		case T_CoerceViaIO:
			AlbertFindCalls(lift, (Node *) ((CoerceViaIO *) expr)->arg, calls);
			break;
		case T_ArrayCoerceExpr:
			AlbertFindCalls(lift, (Node *) ((ArrayCoerceExpr *) expr)->arg, calls);
			break;
		case T_CoerceToDomain:
			AlbertFindCalls(lift, (Node *) ((CoerceToDomain *) expr)->arg, calls);
			break;
		case T_FieldSelect:
			AlbertFindCalls(lift, (Node *) ((FieldSelect *) expr)->arg, calls);
			break;
		case T_SubscriptingRef:
			/* subscripts are not evaluated for a NULL */
			AlbertFindCalls(lift, (Node *) ((SubscriptingRef *) expr)->refexpr, calls);
			AlbertFindCalls(lift, (Node *) ((SubscriptingRef *) expr)->refassgnexpr, calls);
			break;
		case T_NullTest:
			AlbertFindCalls(lift, (Node *) ((NullTest *) expr)->arg, calls);
			break;
		case T_BooleanTest:
			AlbertFindCalls(lift, (Node *) ((BooleanTest *) expr)->arg, calls);
			break;
		default:
			break;
	}
}

/* ---------- the node ---------- */

/* Work on one plan node. */
typedef struct Lifting
{
	AlbertLift *lift;
	Plan	   *plan;			/* the calls are taken from */
	Plan	   *child;			/* of the batching node: plan, or what is below it */
	List	   *kept;			/* quals that plan keeps */
	List	   *quals;			/* those that move */
	List	  **qual_place;		/* where in plan they are */
	List	   *calls;			/* arguments before the calls they are in */
	List	   *stages;			/* integers, by call */
	List	   *leaves;			/* what plan can return only: columns, aggregates, window functions */
	bool		for_display;	/* see to_scan_tuple */
} Lifting;

static bool
is_leaf(const Node *node)
{
	return IsA(node, Var) || IsA(node, Aggref) || IsA(node, WindowFunc) || IsA(node, GroupingFunc);
}

static bool
leaves_walker(Node *node, void *context)
{
	Lifting    *work = context;

	if (node == NULL)
		return false;
	if (is_leaf(node))
	{
		work->leaves = list_append_unique(work->leaves, node);
		return false;
	}
	return expression_tree_walker(node, leaves_walker, context);
}

static Node *
column_var(int varno, int column, const Node *like)
{
	return (Node *) makeVar(varno, column, exprType(like), exprTypmod(like), exprCollation(like), 0);
}

static int
place_in_list(List *list, const Node *node)
{
	ListCell   *cell;

	foreach(cell, list)
	{
		if (equal(lfirst(cell), node))
			return foreach_current_index(cell);
	}
	return -1;
}

static int
ncolumns(const Lifting *work)
{
	return work->child == work->plan ? list_length(work->leaves) : list_length(work->child->targetlist);
}

/* The number of the child's column that a leaf is, from 1. */
static int
leaf_column(const Lifting *work, const Node *leaf)
{
	if (work->child != work->plan)
		return ((const Var *) leaf)->varattno;
	return place_in_list(work->leaves, leaf) + 1;
}

/*
 * An expression of the plan node, over the scan tuple of the batching node;
 * for display, over the child's columns, calls left as they are.
 */
static Node *
to_scan_tuple(Node *node, void *context)
{
	Lifting    *work = context;

	if (node == NULL)
		return NULL;
	if (is_leaf(node))
		return column_var(work->for_display ? OUTER_VAR : INDEX_VAR, leaf_column(work, node), node);
	if (IsA(node, FuncExpr) && !work->for_display)
	{
		int			place = place_in_list(work->calls, node);

		if (place >= 0)
			return column_var(INDEX_VAR, ncolumns(work) + place + 1, node);
	}
	return expression_tree_mutator(node, to_scan_tuple, context);
}

/* A lifted call itself: only its arguments are replaced. */
static Node *
call_over_scan_tuple(Lifting *work, FuncExpr *call)
{
	FuncExpr   *copy = makeNode(FuncExpr);

	memcpy(copy, call, sizeof(FuncExpr));
	copy->args = (List *) to_scan_tuple((Node *) call->args, work);
	return (Node *) copy;
}

static List *
as_targetlist(List *exprs)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, exprs)
		result = lappend(result, makeTargetEntry(lfirst(cell), foreach_current_index(cell) + 1,
												 NULL, false));
	return result;
}

/* The child's columns and the calls, for EXPLAIN and for their types. */
static List *
scan_tlist(Lifting *work)
{
	List	   *exprs = NIL;
	ListCell   *cell;

	if (work->child == work->plan)
	{
		foreach(cell, work->leaves)
			exprs = lappend(exprs, column_var(OUTER_VAR, foreach_current_index(cell) + 1, lfirst(cell)));
	}
	else
	{
		foreach(cell, work->child->targetlist)
			exprs = lappend(exprs, column_var(OUTER_VAR, foreach_current_index(cell) + 1,
											  (Node *) lfirst_node(TargetEntry, cell)->expr));
	}
	work->for_display = true;
	foreach(cell, work->calls)
		exprs = lappend(exprs, to_scan_tuple(lfirst(cell), work));
	work->for_display = false;
	return as_targetlist(exprs);
}

/* ---------- which plan nodes ---------- */

/* Where the quals are that may be tested later, in the order they are tested; NULL: nowhere. */
static List **
movable_quals(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_SubqueryScan:
		case T_FunctionScan:
		case T_TableFuncScan:
		case T_ValuesScan:
		case T_CteScan:
		case T_NamedTuplestoreScan:
		case T_WorkTableScan:
		case T_ForeignScan:
		case T_Group:
		case T_Agg:
			return &plan->qual;
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			/* an inner join's are all joinqual: after it, they test the same rows */
			if (((Join *) plan)->jointype == JOIN_INNER && plan->qual == NIL)
				return &((Join *) plan)->joinqual;
			return &plan->qual;
		default:
			return NULL;
	}
}

/* Has the node a target list of its own that may be evaluated later? */
static bool
has_movable_tlist(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_Result:
			return plan->lefttree != NULL && plan->qual == NIL;
		case T_WindowAgg:
			return true;
		case T_ForeignScan:
			return ((ForeignScan *) plan)->operation == CMD_SELECT;
		default:
			return movable_quals(plan) != NULL;
	}
}

/* Is the node nothing but its target list? */
static bool
only_projects(Plan *plan)
{
	return IsA(plan, Result) && ((Result *) plan)->resconstantqual == NULL;
}

/* Quals before the first one with a call stay, so that they are still tested first. */
static void
split_quals(Lifting *work)
{
	bool		found = false;
	ListCell   *cell;

	work->qual_place = movable_quals(work->plan);
	if (work->qual_place == NULL)
		return;
	foreach(cell, *work->qual_place)
	{
		List	   *calls = NIL;

		if (!found)
			AlbertFindCalls(work->lift, lfirst(cell), &calls);
		found = found || calls != NIL;
		if (found)
			work->quals = lappend(work->quals, lfirst(cell));
		else
			work->kept = lappend(work->kept, lfirst(cell));
	}
}

static void
add_stage(Lifting *work, Node *expr, int stage)
{
	AlbertFindCalls(work->lift, expr, &work->calls);
	while (list_length(work->stages) < list_length(work->calls))
		work->stages = lappend_int(work->stages, stage);
}

static void
collect_calls(Lifting *work)
{
	ListCell   *cell;

	foreach(cell, work->quals)
		add_stage(work, lfirst(cell), foreach_current_index(cell));
	foreach(cell, work->plan->targetlist)
		add_stage(work, lfirst(cell), list_length(work->quals));
}

/*
 * May rows be read ahead from what stays?  Sets flags for how far.  Quals that
 * move are tested ahead as well; the target list never is.
 */
static bool
check_traits(Lifting *work, CustomScan *node, int *flags)
{
	AlbertTraits ahead = {.stmt = work->lift->stmt, .accepted = work->lift->accepted};
	AlbertTraits late = {.stmt = work->lift->stmt};
	ListCell   *cell;

	AlbertPlanTraits(work->child, work->child == work->plan, &ahead);
	AlbertExprTraits((Node *) node->scan.plan.qual, &ahead);
	foreach(cell, node->custom_exprs)
		AlbertExprTraits((Node *) lfirst_node(FuncExpr, cell)->args, &ahead);
	if (IsA(work->plan, Result))
		AlbertExprTraits(((Result *) work->plan)->resconstantqual, &ahead);
	AlbertExprTraits((Node *) node->scan.plan.targetlist, &late);
	AlbertExprTraits((Node *) node->scan.plan.qual, &late);
	foreach(cell, node->custom_exprs)
		AlbertExprTraits((Node *) lfirst_node(FuncExpr, cell)->args, &late);
	if (ahead.is_volatile || ahead.multiexpr || late.multiexpr)
		return false;
	if (!ahead.may_fail)
		*flags |= ALBERT_NODE_SAFE;
	if (!late.may_fail)
		*flags |= ALBERT_NODE_ALONE;
	/* a reader who may stop after any row leaves nothing to batch then */
	if (ahead.may_fail && (*flags & ALBERT_NODE_EARLY))
		return false;
	return true;
}

/* What the calls cost that are no longer the child's, for EXPLAIN. */
static void
split_costs(Lifting *work, Plan *top)
{
	Plan	   *plan = work->plan;
	double		cost = 0;
	ListCell   *cell;

	top->startup_cost = plan->startup_cost;
	top->total_cost = plan->total_cost;
	top->plan_rows = plan->plan_rows;
	top->plan_width = plan->plan_width;
	if (work->child != plan)
		return;
	foreach(cell, work->calls)
	{
		FuncExpr   *call = lfirst_node(FuncExpr, cell);

		cost += AlbertCallCost(NULL, call->funcid, call);
	}
	plan->total_cost = Max(plan->startup_cost, plan->total_cost - cost * plan->plan_rows);
}

static void
build_node(Lifting *work, CustomScan *node)
{
	Plan	   *top = &node->scan.plan;
	ListCell   *cell;

	node->methods = &albert_scan_methods;
	node->custom_scan_tlist = scan_tlist(work);
	foreach(cell, work->calls)
		node->custom_exprs = lappend(node->custom_exprs, call_over_scan_tuple(work, lfirst(cell)));
	top->targetlist = (List *) to_scan_tuple((Node *) work->plan->targetlist, work);
	top->qual = (List *) to_scan_tuple((Node *) work->quals, work);
}

/* Put the node into the plan's place, once it is sure. */
static void
take_place(Lifting *work, CustomScan *node, int flags)
{
	Plan	   *top = &node->scan.plan;
	Plan	   *plan = work->plan;

	split_costs(work, top);
	top->lefttree = work->child;
	top->parallel_safe = plan->parallel_safe;
	/* initplans are of the topmost node that uses them */
	top->initPlan = plan->initPlan;
	top->extParam = bms_copy(plan->extParam);
	top->allParam = bms_copy(plan->allParam);
	if (work->child == plan)
	{
		plan->initPlan = NIL;
		plan->extParam = bms_copy(plan->allParam);
		plan->targetlist = as_targetlist(work->leaves);
		plan->async_capable = false;
		/* uniqueness may have been concluded from what moved */
		if (work->quals != NIL && work->qual_place != &plan->qual)
			((Join *) plan)->inner_unique = false;
	}
	node->flags = ExecSupportsBackwardScan(work->child) ? CUSTOMPATH_SUPPORT_BACKWARD_SCAN : 0;
	node->custom_private = list_make2(list_make2_int(flags, ncolumns(work)), work->stages);
}

bool
AlbertLiftCalls(AlbertLift *lift, Plan **place, int flags)
{
	Lifting		work = {.lift = lift, .plan = *place, .child = *place};
	List	   *all_quals = NIL;
	CustomScan *node;

	if (!has_movable_tlist(work.plan))
		return false;
	split_quals(&work);
	collect_calls(&work);
	if (work.calls == NIL)
		return false;
	if (only_projects(work.plan))
		work.child = work.plan->lefttree;
	(void) leaves_walker((Node *) work.plan->targetlist, &work);
	(void) leaves_walker((Node *) work.quals, &work);
	node = makeNode(CustomScan);
	build_node(&work, node);
	if (work.quals != NIL)
	{
		all_quals = *work.qual_place;
		*work.qual_place = work.kept;
	}
	if (!check_traits(&work, node, &flags))
	{
		if (work.quals != NIL)
			*work.qual_place = all_quals;
		return false;
	}
	take_place(&work, node, flags);
	*place = &node->scan.plan;
	return true;
}
