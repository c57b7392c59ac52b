/*
 * traits.c
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
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "executor/node/node.h"
#include "executor/rewrite/nodes.h"
#include "executor/rewrite/rewrite.h"

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

static void plan_traits(Plan *plan, AlbertTraits *traits);

/*
 * All that is in a subplan matters.  Each one is looked at once: there may be
 * more ways to it than anybody could go.
 */
static void
subplan_traits(int plan_id, AlbertTraits *traits)
{
	bool		outer = traits->whole;

	if (bms_is_member(plan_id, traits->subplans))
		return;
	traits->subplans = bms_add_member(traits->subplans, plan_id);
	traits->whole = true;
	plan_traits(list_nth(traits->stmt->subplans, plan_id - 1), traits);
	traits->whole = outer;
}

/* ---------- initplans ---------- */

static void
collect_initplans(Plan **place, void *context)
{
	List	  **initplans = context;

	*initplans = list_concat(*initplans, (*place)->initPlan);
	AlbertPlanChildren(*place, collect_initplans, context);
}

/*
 * An initplan is run when its value is first needed, and may fail then, if only
 * for returning a second row.  It hangs from the topmost node of its query,
 * wherever it is used.
 */
static void
param_traits(const Param *param, AlbertTraits *traits)
{
	ListCell   *cell;

	if (param->paramkind != PARAM_EXEC)
		return;
	if (!traits->has_initplans)
	{
		collect_initplans((Plan **) &traits->stmt->planTree, &traits->initplans);
		foreach(cell, traits->stmt->subplans)
		{
			if (lfirst(cell) != NULL)
				collect_initplans((Plan **) &lfirst(cell), &traits->initplans);
		}
		traits->has_initplans = true;
	}
	foreach(cell, traits->initplans)
	{
		const SubPlan *initplan = lfirst_node(SubPlan, cell);

		if (!list_member_int(initplan->setParam, param->paramid))
			continue;
		traits->may_fail = true;
		subplan_traits(initplan->plan_id, traits);
	}
}

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

/* Of one node of an expression, without what is below it. */
static void
node_traits(Node *node, AlbertTraits *traits)
{
	(void) check_functions_in_node(node, function_traits, traits);
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_CaseTestExpr:
		case T_CoerceToDomainValue:
		case T_SQLValueFunction:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_Aggref:
		case T_WindowFunc:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_RelabelType:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CoalesceExpr:
		case T_RowExpr:
		case T_FieldSelect:
		case T_GroupingFunc:
		case T_TargetEntry:
		case T_RangeTblFunction:
		case T_List:
			break;
		case T_Param:
			param_traits((Param *) node, traits);
			break;
		case T_ArrayExpr:
			/* arrays of other dimensions than the first one's */
			traits->may_fail |= ((ArrayExpr *) node)->multidims;
			break;
		case T_NextValueExpr:
		case T_CurrentOfExpr:
			traits->is_volatile = true;
			traits->may_fail = true;
			break;
		case T_SubPlan:
			/* run again for each row, down to its last node */
			traits->may_fail = true;
			subplan_traits(((SubPlan *) node)->plan_id, traits);
			break;
		default:
			traits->may_fail = true;
			break;
	}
}

static bool
traits_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	node_traits(node, context);
	return expression_tree_walker(node, traits_walker, context);
}

void
AlbertExprTraits(Node *expr, AlbertTraits *traits)
{
	(void) traits_walker(expr, traits);
}

/* ---------- plans ---------- */

/*
 * Of another module's node no more is known than its expressions.  The scan of
 * a table only reads it, and so does any node of a statement that changes
 * nothing.
 */
static bool
acts_on_rows(const Plan *plan, const PlannedStmt *stmt)
{
	if (IsA(plan, CustomScan))
		return !AlbertIsNode(plan) && ((const CustomScan *) plan)->scan.scanrelid == 0 &&
			(stmt->commandType != CMD_SELECT || stmt->hasModifyingCTE);
	return (AlbertPlanFacts(plan) & ALBERT_PLAN_ACTS) != 0;
}

static void
child_traits(Plan **child, void *traits)
{
	plan_traits(*child, traits);
}

void
AlbertPlanTraits(Plan *plan, AlbertTraits *traits)
{
	uint32		facts = AlbertPlanFacts(plan);

	AlbertExprTraits((Node *) plan->qual, traits);
	AlbertExprTraits((Node *) AlbertPlanExprs(plan), traits);
	if (acts_on_rows(plan, traits->stmt))
		traits->is_volatile = traits->may_fail = true;
	if (facts & ALBERT_PLAN_MAY_FAIL)
		traits->may_fail = true;
	/* as far as it is read */
	if (IsA(plan, CteScan))
		subplan_traits(((CteScan *) plan)->ctePlanId, traits);
	/* what is below a node that reads all first is done with at the first row, unless it is read anew */
	if (traits->whole || (facts & ALBERT_PLAN_READS_ALL) == 0 || !bms_is_empty(plan->extParam))
		AlbertPlanChildren(plan, child_traits, traits);
}

static void
plan_traits(Plan *plan, AlbertTraits *traits)
{
	if (plan == NULL)
		return;
	AlbertExprTraits((Node *) plan->targetlist, traits);
	AlbertPlanTraits(plan, traits);
}
