/*
 * nodes.c
 *	  The table of PostgreSQL's plan nodes.
 */
#include "postgres.h"

#include "executor/rewrite/nodes.h"

#include "compat.h"
#include "executor/node/node.h"

#define MAX_EXPRS	3

#define SCAN		(ALBERT_PLAN_LIST_MOVES | ALBERT_PLAN_QUAL_MOVES)
#define JOIN		(SCAN | ALBERT_PLAN_JOINS)

typedef struct PlanKind
{
	NodeTag		tag;
	uint32		facts;
	Size		exprs[MAX_EXPRS];	/* offsets of expressions and lists of them */
	Size		children;		/* offset of a list of plans */
} PlanKind;

/* Nodes that are not here act on rows. */
static const PlanKind kinds[] = {
	{.tag = T_Result, .facts = ALBERT_PLAN_PASSES_ROWS, .exprs = {offsetof(Result, resconstantqual)}},
	{.tag = T_ProjectSet, .facts = ALBERT_PLAN_READS_ON},
	{.tag = T_Append, .facts = ALBERT_PLAN_READS_ON, .children = offsetof(Append, appendplans)},
	{.tag = T_MergeAppend, .facts = ALBERT_PLAN_READS_ON, .children = offsetof(MergeAppend, mergeplans)},
	{.tag = T_RecursiveUnion, .facts = 0},
	{.tag = T_BitmapAnd, .facts = 0, .children = offsetof(BitmapAnd, bitmapplans)},
	{.tag = T_BitmapOr, .facts = 0, .children = offsetof(BitmapOr, bitmapplans)},
	{.tag = T_SeqScan, .facts = SCAN},
	{.tag = T_SampleScan, .facts = SCAN | ALBERT_PLAN_MAY_FAIL},
	{.tag = T_IndexScan, .facts = SCAN,
		.exprs = {offsetof(IndexScan, indexqualorig), offsetof(IndexScan, indexorderbyorig)}},
	{.tag = T_IndexOnlyScan, .facts = SCAN,
		.exprs = {offsetof(IndexOnlyScan, indexqual), offsetof(IndexOnlyScan, indexorderby)}},
	{.tag = T_BitmapIndexScan, .facts = 0, .exprs = {offsetof(BitmapIndexScan, indexqualorig)}},
	{.tag = T_BitmapHeapScan, .facts = SCAN, .exprs = {offsetof(BitmapHeapScan, bitmapqualorig)}},
	{.tag = T_TidScan, .facts = SCAN, .exprs = {offsetof(TidScan, tidquals)}},
	{.tag = T_TidRangeScan, .facts = SCAN, .exprs = {offsetof(TidRangeScan, tidrangequals)}},
	{.tag = T_SubqueryScan, .facts = SCAN | ALBERT_PLAN_PASSES_ROWS},
	{.tag = T_FunctionScan, .facts = SCAN, .exprs = {offsetof(FunctionScan, functions)}},
	{.tag = T_ValuesScan, .facts = SCAN, .exprs = {offsetof(ValuesScan, values_lists)}},
	{.tag = T_TableFuncScan, .facts = SCAN | ALBERT_PLAN_MAY_FAIL, .exprs = {offsetof(TableFuncScan, tablefunc)}},
	{.tag = T_CteScan, .facts = SCAN},
	{.tag = T_NamedTuplestoreScan, .facts = SCAN},
	{.tag = T_WorkTableScan, .facts = SCAN},
	{.tag = T_ForeignScan, .facts = SCAN | ALBERT_PLAN_MAY_FAIL,
		.exprs = {offsetof(ForeignScan, fdw_exprs), offsetof(ForeignScan, fdw_recheck_quals)}},
	{.tag = T_CustomScan, .facts = ALBERT_PLAN_MAY_FAIL,
		.exprs = {offsetof(CustomScan, custom_exprs), offsetof(CustomScan, custom_scan_tlist)},
	.children = offsetof(CustomScan, custom_plans)},
	{.tag = T_NestLoop, .facts = JOIN, .exprs = {offsetof(Join, joinqual)}},
	{.tag = T_MergeJoin, .facts = JOIN, .exprs = {offsetof(Join, joinqual), offsetof(MergeJoin, mergeclauses)}},
	{.tag = T_HashJoin, .facts = JOIN, .exprs = {offsetof(Join, joinqual), offsetof(HashJoin, hashclauses)}},
	{.tag = T_Material, .facts = ALBERT_PLAN_READS_ON | ALBERT_PLAN_KEEPS_MARKS},
	{.tag = T_Memoize, .facts = ALBERT_PLAN_READS_ON, .exprs = {offsetof(Memoize, param_exprs)}},
	{.tag = T_Sort, .facts = ALBERT_PLAN_READS_ALL | ALBERT_PLAN_KEEPS_MARKS},
	{.tag = T_IncrementalSort, .facts = ALBERT_PLAN_READS_ON},
	{.tag = T_Group, .facts = SCAN | ALBERT_PLAN_READS_ON},
	{.tag = T_Agg, .facts = SCAN | ALBERT_PLAN_READS_ON},
	{.tag = T_WindowAgg, .facts = ALBERT_PLAN_LIST_MOVES | ALBERT_PLAN_READS_ON,
		.exprs = {offsetof(WindowAgg, startOffset), offsetof(WindowAgg, endOffset)}},
	{.tag = T_Unique, .facts = ALBERT_PLAN_READS_ON},
	{.tag = T_SetOp, .facts = ALBERT_PLAN_READS_ON},
	{.tag = T_Hash, .facts = ALBERT_PLAN_READS_ALL},
	/* workers read ahead by themselves */
	{.tag = T_Gather, .facts = ALBERT_PLAN_READS_ON | ALBERT_PLAN_MAY_FAIL},
	{.tag = T_GatherMerge, .facts = ALBERT_PLAN_READS_ON | ALBERT_PLAN_MAY_FAIL},
	/* leaves out rows that others have locked or changed */
	{.tag = T_LockRows, .facts = ALBERT_PLAN_READS_ON | ALBERT_PLAN_ACTS},
	/* its bounds are evaluated once */
	{.tag = T_Limit, .facts = ALBERT_PLAN_PASSES_ROWS}
};

static const PlanKind unknown_kind = {.tag = T_Invalid, .facts = ALBERT_PLAN_ACTS};

static const PlanKind *
kind_of(const Plan *plan)
{
	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (kinds[i].tag == nodeTag(plan))
			return &kinds[i];
	}
	return &unknown_kind;
}

/* What a node's fields say, and not its kind alone. */
uint32
AlbertPlanFacts(const Plan *plan)
{
	uint32		facts = kind_of(plan)->facts;

	switch (nodeTag(plan))
	{
		case T_Result:
			if (plan->lefttree != NULL && plan->qual == NIL)
				facts |= ALBERT_PLAN_LIST_MOVES;
			break;
		case T_Agg:
			if (((const Agg *) plan)->aggstrategy == AGG_HASHED || ((const Agg *) plan)->aggstrategy == AGG_PLAIN)
				facts |= ALBERT_PLAN_READS_ALL;
			break;
		case T_ForeignScan:
			if (((const ForeignScan *) plan)->operation != CMD_SELECT)
				facts = ALBERT_PLAN_ACTS;
			break;
		case T_CustomScan:
			if (AlbertIsNode(plan))
				facts |= SCAN;
			else if (ALBERT_CUSTOM_SCAN_PROJECTS((const CustomScan *) plan))
				facts |= ALBERT_PLAN_LIST_MOVES;
			break;
		default:
			break;
	}
	return facts;
}

List *
AlbertPlanExprs(const Plan *plan)
{
	const PlanKind *kind = kind_of(plan);
	List	   *exprs = NIL;

	/* without parameters a function is read whole at the first row, and once */
	if (IsA(plan, FunctionScan) && bms_is_empty(plan->extParam))
		return NIL;
	for (int i = 0; i < MAX_EXPRS && kind->exprs[i] != 0; i++)
		exprs = lappend(exprs, *(Node *const *) ((const char *) plan + kind->exprs[i]));
	return exprs;
}

void
AlbertPlanChildren(Plan *plan, AlbertPlanVisitor visit, void *context)
{
	const PlanKind *kind = kind_of(plan);
	ListCell   *cell;

	if (plan->lefttree != NULL)
		visit(&plan->lefttree, context);
	if (plan->righttree != NULL)
		visit(&plan->righttree, context);
	if (IsA(plan, SubqueryScan))
		visit(&((SubqueryScan *) plan)->subplan, context);
	if (kind->children != 0)
	{
		foreach(cell, *(List **) ((char *) plan + kind->children))
			visit((Plan **) &lfirst(cell), context);
	}
}

List **
AlbertPlanQuals(Plan *plan)
{
	uint32		facts = AlbertPlanFacts(plan);

	if ((facts & ALBERT_PLAN_QUAL_MOVES) == 0)
		return NULL;
	/* an inner join's are all joinqual: after it, they test the same rows */
	if ((facts & ALBERT_PLAN_JOINS) && ((Join *) plan)->jointype == JOIN_INNER && plan->qual == NIL)
		return &((Join *) plan)->joinqual;
	return &plan->qual;
}
