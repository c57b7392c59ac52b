/*
 * plan_walk.c
 *	  Properties of expressions and plans that tell whether rows may be read
 *	  ahead of their use.
 *
 * Two things matter.  A volatile function must be called as often and in the
 * same order as without reading ahead.  And where the reader may stop before
 * the last row, evaluation that can raise an error must not come before the
 * row is asked for.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "executor/node_internal.h"

/*
 * Functions that raise no error for any value (but running out of memory),
 * though not marked leakproof: what texts are usually put together with.
 */
static const Oid never_fail[] = {
	F_TEXTCAT,
	F_LOWER_TEXT, F_UPPER_TEXT, F_INITCAP,
	F_BTRIM_TEXT, F_LTRIM_TEXT, F_RTRIM_TEXT,
	F_BTRIM_TEXT_TEXT, F_LTRIM_TEXT_TEXT, F_RTRIM_TEXT_TEXT,
	F_LENGTH_TEXT, F_OCTET_LENGTH_TEXT,
	F_LEFT, F_RIGHT, F_REVERSE,
	F_STARTS_WITH
};

static void subplan_traits(const SubPlan *subplan, AlbertTraits *traits);
static void deep_plan_traits(Plan *plan, bool below_tlist, bool whole, AlbertTraits *traits);

/* ---------- expressions ---------- */

static bool
function_traits(Oid function, void *context)
{
	AlbertTraits *traits = context;

	if (func_volatile(function) == PROVOLATILE_VOLATILE)
		traits->is_volatile = true;
	if (traits->may_fail || get_func_leakproof(function))
		return false;
	for (int i = 0; i < lengthof(never_fail); i++)
	{
		if (never_fail[i] == function)
			return false;
	}
	traits->may_fail = true;
	return false;
}

static bool
traits_walker(Node *node, void *context)
{
	AlbertTraits *traits = context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_Param:
		case T_CaseTestExpr:
		case T_CoerceToDomainValue:
		case T_SQLValueFunction:
			return false;
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_Aggref:
		case T_WindowFunc:
			(void) check_functions_in_node(node, function_traits, traits);
			break;
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_RelabelType:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CoalesceExpr:
		case T_ArrayExpr:
		case T_RowExpr:
		case T_FieldSelect:
		case T_GroupingFunc:
		case T_TargetEntry:
		case T_List:
			break;
		case T_SubPlan:
			subplan_traits((SubPlan *) node, traits);
			break;
		case T_NextValueExpr:
		case T_CurrentOfExpr:
			traits->is_volatile = true;
			traits->may_fail = true;
			return false;
		default:
			(void) check_functions_in_node(node, function_traits, traits);
			traits->may_fail = true;
			break;
	}
	return expression_tree_walker(node, traits_walker, context);
}

void
AlbertExprTraits(Node *expr, AlbertTraits *traits)
{
	(void) traits_walker(expr, traits);
}

/* A SubPlan is run again for each row, down to its last node. */
static void
subplan_traits(const SubPlan *subplan, AlbertTraits *traits)
{
	traits->may_fail = true;
	if (subplan->subLinkType == MULTIEXPR_SUBLINK)
		traits->multiexpr = true;
	deep_plan_traits(list_nth(traits->stmt->subplans, subplan->plan_id - 1), false, true, traits);
}

/* ---------- plans ---------- */

void
AlbertPlanChildren(Plan *plan, AlbertPlanVisitor visit, void *context)
{
	List	   *children = NIL;
	ListCell   *cell;

	if (plan->lefttree != NULL)
		visit(&plan->lefttree, context);
	if (plan->righttree != NULL)
		visit(&plan->righttree, context);
	switch (nodeTag(plan))
	{
		case T_Append:
			children = ((Append *) plan)->appendplans;
			break;
		case T_MergeAppend:
			children = ((MergeAppend *) plan)->mergeplans;
			break;
		case T_BitmapAnd:
			children = ((BitmapAnd *) plan)->bitmapplans;
			break;
		case T_BitmapOr:
			children = ((BitmapOr *) plan)->bitmapplans;
			break;
		case T_SubqueryScan:
			visit(&((SubqueryScan *) plan)->subplan, context);
			break;
		case T_CustomScan:
			children = ((CustomScan *) plan)->custom_plans;
			break;
		default:
			break;
	}
	foreach(cell, children)
		visit((Plan **) &lfirst(cell), context);
}

/* Nothing may be known of what other modules' nodes do. */
static void
unknown_node(AlbertTraits *traits)
{
	traits->is_volatile = true;
	traits->may_fail = true;
}

static void
join_traits(Plan *plan, AlbertTraits *traits)
{
	AlbertExprTraits((Node *) ((Join *) plan)->joinqual, traits);
	if (IsA(plan, MergeJoin))
		AlbertExprTraits((Node *) ((MergeJoin *) plan)->mergeclauses, traits);
	else if (IsA(plan, HashJoin))
		AlbertExprTraits((Node *) ((HashJoin *) plan)->hashclauses, traits);
}

static void
function_scan_traits(FunctionScan *scan, AlbertTraits *traits)
{
	ListCell   *cell;

	foreach(cell, scan->functions)
		AlbertExprTraits(((RangeTblFunction *) lfirst(cell))->funcexpr, traits);
}

/*
 * Another module's node.  What expressions it has are looked at as any node's;
 * beyond them the scan of a table only reads it, and in a statement that changes
 * nothing so does any other node.
 */
static void
custom_scan_traits(const CustomScan *scan, AlbertTraits *traits)
{
	traits->may_fail = true;
	if (scan->scan.scanrelid == 0 &&
		(traits->stmt->commandType != CMD_SELECT || traits->stmt->hasModifyingCTE))
		unknown_node(traits);
}

/* Expressions that a node evaluates besides its target list and qual. */
static void
node_traits(Plan *plan, AlbertTraits *traits)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_CteScan:
		case T_NamedTuplestoreScan:
		case T_WorkTableScan:
		case T_SubqueryScan:
		case T_Append:
		case T_MergeAppend:
		case T_BitmapAnd:
		case T_BitmapOr:
		case T_Material:
		case T_Sort:
		case T_IncrementalSort:
		case T_Unique:
		case T_SetOp:
		case T_Group:
		case T_Agg:
		case T_Hash:
		case T_Limit:			/* its bounds are evaluated once */
		case T_ProjectSet:
		case T_RecursiveUnion:
			break;
		case T_Result:
			AlbertExprTraits(((Result *) plan)->resconstantqual, traits);
			break;
		case T_SampleScan:
			traits->may_fail = true;
			break;
		case T_IndexScan:
			AlbertExprTraits((Node *) ((IndexScan *) plan)->indexqualorig, traits);
			AlbertExprTraits((Node *) ((IndexScan *) plan)->indexorderbyorig, traits);
			break;
		case T_IndexOnlyScan:
			AlbertExprTraits((Node *) ((IndexOnlyScan *) plan)->indexqual, traits);
			AlbertExprTraits((Node *) ((IndexOnlyScan *) plan)->indexorderby, traits);
			break;
		case T_BitmapIndexScan:
			AlbertExprTraits((Node *) ((BitmapIndexScan *) plan)->indexqualorig, traits);
			break;
		case T_BitmapHeapScan:
			AlbertExprTraits((Node *) ((BitmapHeapScan *) plan)->bitmapqualorig, traits);
			break;
		case T_TidScan:
			AlbertExprTraits((Node *) ((TidScan *) plan)->tidquals, traits);
			break;
		case T_TidRangeScan:
			AlbertExprTraits((Node *) ((TidRangeScan *) plan)->tidrangequals, traits);
			break;
		case T_ValuesScan:
			AlbertExprTraits((Node *) ((ValuesScan *) plan)->values_lists, traits);
			break;
		case T_FunctionScan:
			/* read whole at the first row, and once if it has no parameters */
			if (!bms_is_empty(plan->extParam))
				function_scan_traits((FunctionScan *) plan, traits);
			break;
		case T_TableFuncScan:
			traits->may_fail = true;
			AlbertExprTraits((Node *) ((TableFuncScan *) plan)->tablefunc->colexprs, traits);
			AlbertExprTraits((Node *) ((TableFuncScan *) plan)->tablefunc->coldefexprs, traits);
			AlbertExprTraits(((TableFuncScan *) plan)->tablefunc->docexpr, traits);
			AlbertExprTraits(((TableFuncScan *) plan)->tablefunc->rowexpr, traits);
			break;
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			join_traits(plan, traits);
			break;
		case T_Memoize:
			AlbertExprTraits((Node *) ((Memoize *) plan)->param_exprs, traits);
			break;
		case T_WindowAgg:
			AlbertExprTraits(((WindowAgg *) plan)->startOffset, traits);
			AlbertExprTraits(((WindowAgg *) plan)->endOffset, traits);
			break;
		case T_Gather:
		case T_GatherMerge:
			/* workers read ahead by themselves */
			traits->may_fail = true;
			break;
		case T_ForeignScan:
			traits->may_fail = true;
			if (((ForeignScan *) plan)->operation != CMD_SELECT)
				traits->is_volatile = true;
			AlbertExprTraits((Node *) ((ForeignScan *) plan)->fdw_exprs, traits);
			AlbertExprTraits((Node *) ((ForeignScan *) plan)->fdw_recheck_quals, traits);
			break;
		case T_CustomScan:
			if (((CustomScan *) plan)->methods != &albert_scan_methods)
				custom_scan_traits((CustomScan *) plan, traits);
			AlbertExprTraits((Node *) ((CustomScan *) plan)->custom_exprs, traits);
			break;
		default:
			/* LockRows and ModifyTable among them: they act on each row read */
			if (plan == traits->accepted)
				traits->may_fail = true;
			else
				unknown_node(traits);
			break;
	}
}

/* Does the node read all its input before it returns the first row, and only once? */
static bool
reads_all_first(const Plan *plan)
{
	if (!bms_is_empty(plan->extParam))
		return false;
	switch (nodeTag(plan))
	{
		case T_Sort:
		case T_Hash:
			return true;
		case T_Agg:
			return ((Agg *) plan)->aggstrategy == AGG_HASHED ||
				((Agg *) plan)->aggstrategy == AGG_PLAIN;
		default:
			return false;
	}
}

typedef struct ChildContext
{
	AlbertTraits *traits;
	bool		whole;
} ChildContext;

static void
child_traits(Plan **child, void *context)
{
	ChildContext *children = context;

	deep_plan_traits(*child, false, children->whole, children->traits);
}

/* whole: look below nodes that read all their input first, too. */
static void
deep_plan_traits(Plan *plan, bool below_tlist, bool whole, AlbertTraits *traits)
{
	ChildContext children = {traits, whole};
	ListCell   *cell;

	if (plan == NULL)
		return;
	if (!below_tlist)
		AlbertExprTraits((Node *) plan->targetlist, traits);
	AlbertExprTraits((Node *) plan->qual, traits);
	node_traits(plan, traits);
	foreach(cell, plan->initPlan)
	{
		SubPlan    *subplan = lfirst(cell);

		/* evaluated once, when first needed; a CTE as far as it is read */
		deep_plan_traits(list_nth(traits->stmt->subplans, subplan->plan_id - 1), false, true, traits);
	}
	if (IsA(plan, CteScan))
		deep_plan_traits(list_nth(traits->stmt->subplans, ((CteScan *) plan)->ctePlanId - 1),
						 false, true, traits);
	if (whole || !reads_all_first(plan))
		AlbertPlanChildren(plan, child_traits, &children);
}

void
AlbertPlanTraits(Plan *plan, bool below_tlist, AlbertTraits *traits)
{
	deep_plan_traits(plan, below_tlist, false, traits);
}
