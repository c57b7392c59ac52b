/*
 * lift.c
 *	  Taking albert calls out of a plan node: which ones, and the batching
 *	  nodes that make them instead.
 *
 * A call is lifted when each evaluation of the expression it is in makes it:
 * not from a CASE branch, behind the first arm of AND, OR and COALESCE, from
 * an aggregate's arguments or a sub-select.  So no row is computed that plain
 * execution would not have computed.
 *
 * The plan node keeps its input and those of its quals that come before the
 * first one with a call, and returns just the columns that the rest is made of.
 * On top of it come one or more batching nodes: each adds the results of some
 * calls to the columns, those of one qual and then this qual and the next ones
 * without calls, or those of the target list; a call whose argument is another
 * one is made by a later node.  The last one has the target list.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

#include "executor/rewrite/nodes.h"
#include "executor/rewrite/rewrite.h"

AlbertReader
AlbertReaderOfSome(AlbertReader reader)
{
	AlbertReader result = {.flags = reader.flags & (ALBERT_NODE_LAZY | ALBERT_NODE_EARLY)};

	if (reader.flags & ALBERT_NODE_LIMIT)
		result.flags |= ALBERT_NODE_EARLY;
	return result;
}

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
varies_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, Var) || IsA(node, SubPlan) || expression_tree_walker(node, varies_walker, context);
}

/* Model and options are the same for all rows: a batch has one job. */
static bool
has_one_job(AlbertLift *lift, const FuncExpr *call)
{
	AlbertSignature *signature = AlbertSignatureOf(call->funcid);
	ListCell   *cell;

	foreach(cell, call->args)
	{
		if (!AlbertIsText(signature, foreach_current_index(cell)) && varies_walker(lfirst(cell), NULL))
			return false;
	}
	return true;
}

static bool
is_liftable(AlbertLift *lift, FuncExpr *call)
{
	AlbertTraits traits = {.stmt = lift->stmt};

	if (call->funcvariadic || list_length(call->args) > ALBERT_MAX_ARGS)
		return false;
	AlbertExprTraits((Node *) call->args, &traits);
	return !traits.is_volatile && !traits.multiexpr && has_one_job(lift, call) &&
		!expression_returns_set((Node *) call->args) &&
		!handed_down_walker((Node *) call->args, NULL);
}

typedef struct CallSearch
{
	AlbertLift *lift;
	List	   *calls;
} CallSearch;

static bool
calls_walker(Node *node, void *context)
{
	CallSearch *search = context;
	const CaseExpr *choice;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			(void) expression_tree_walker(node, calls_walker, context);
			if (is_call(search->lift, node) && is_liftable(search->lift, (FuncExpr *) node))
				search->calls = list_append_unique(search->calls, node);
			return false;
			/* all of what is below is always evaluated */
		case T_List:
		case T_TargetEntry:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_MinMaxExpr:
		case T_ArrayExpr:
		case T_RowExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_CoerceToDomain:
		case T_FieldSelect:
		case T_NullTest:
		case T_BooleanTest:
			return expression_tree_walker(node, calls_walker, context);
			/* the first of it is */
		case T_BoolExpr:
			return calls_walker(linitial(((BoolExpr *) node)->args), context);
		case T_CoalesceExpr:
			return calls_walker(linitial(((CoalesceExpr *) node)->args), context);
		case T_CaseExpr:
			choice = (const CaseExpr *) node;
			(void) calls_walker((Node *) choice->arg, context);
			return choice->args != NIL && calls_walker((Node *) linitial_node(CaseWhen, choice->args)->expr, context);
		case T_ArrayCoerceExpr:
			return calls_walker((Node *) ((ArrayCoerceExpr *) node)->arg, context);
		case T_SubscriptingRef:
			/* subscripts are not evaluated for a NULL */
			(void) calls_walker((Node *) ((SubscriptingRef *) node)->refexpr, context);
			return calls_walker((Node *) ((SubscriptingRef *) node)->refassgnexpr, context);
		default:
			return false;
	}
}

List *
AlbertFindCalls(AlbertLift *lift, Node *expr)
{
	CallSearch	search = {.lift = lift};

	(void) calls_walker(expr, &search);
	return search.calls;
}

/* ---------- columns ---------- */

/* Work on one plan node. */
typedef struct Lifting
{
	AlbertLift *lift;
	Plan	   *plan;			/* the calls are taken from */
	Plan	   *child;			/* of the first batching node: plan, or what is below it */
	List	   *kept;			/* quals that plan keeps */
	List	   *quals;			/* those that move, as far as no batching node has them */
	List	  **qual_place;		/* where in plan they are */
	bool		quals_move;
	List	   *leaves;			/* what plan can return only: columns, aggregates, window functions */
	List	   *results;		/* calls whose results are columns behind the leaves */
	int			varno;			/* for over_columns */
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

static void
find_leaves(Lifting *work)
{
	ListCell   *cell;

	if (work->child == work->plan)
	{
		(void) leaves_walker((Node *) work->plan->targetlist, work);
		(void) leaves_walker((Node *) work->quals, work);
		return;
	}
	/* all columns of what is below */
	foreach(cell, work->child->targetlist)
		work->leaves = lappend(work->leaves, lfirst_node(TargetEntry, cell)->expr);
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

/* An expression of the plan node, over the columns that there are so far. */
static Node *
over_columns(Node *node, void *context)
{
	Lifting    *work = context;
	int			place;

	if (node == NULL)
		return NULL;
	if (is_leaf(node))
		return column_var(work->varno, work->child == work->plan ? place_in_list(work->leaves, node) + 1
						  : ((Var *) node)->varattno, node);
	if (IsA(node, FuncExpr) && (place = place_in_list(work->results, node)) >= 0)
		return column_var(work->varno, list_length(work->leaves) + place + 1, node);
	return expression_tree_mutator(node, over_columns, context);
}

/* The columns themselves. */
static List *
all_columns(Lifting *work, int varno)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, list_concat_copy(work->leaves, work->results))
		result = lappend(result, column_var(varno, foreach_current_index(cell) + 1, lfirst(cell)));
	return result;
}

static List *
as_targetlist(List *exprs)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, exprs)
		result = lappend(result, makeTargetEntry(lfirst(cell), foreach_current_index(cell) + 1, NULL, false));
	return result;
}

/* ---------- the calls of one batching node ---------- */

/* Those of an expression whose results are not there. */
static List *
calls_missing(Lifting *work, Node *expr)
{
	return list_difference(AlbertFindCalls(work->lift, expr), work->results);
}

static bool
mentions_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return list_member(context, node) || expression_tree_walker(node, mentions_walker, context);
}

/* Those that can be made now: not the ones that have another one in their arguments. */
static List *
calls_ready(List *missing)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, missing)
	{
		if (!mentions_walker((Node *) lfirst_node(FuncExpr, cell)->args, missing))
			result = lappend(result, lfirst(cell));
	}
	return result;
}

static List *
list_calls_missing(Lifting *work)
{
	return calls_missing(work, (Node *) work->plan->targetlist);
}

/* Quals before the first one with a call stay, so that they are still tested first. */
static void
split_quals(Lifting *work)
{
	ListCell   *cell;

	work->qual_place = AlbertPlanQuals(work->plan);
	if (work->qual_place == NULL)
		return;
	foreach(cell, *work->qual_place)
	{
		if (work->quals != NIL || calls_missing(work, lfirst(cell)) != NIL)
			work->quals = lappend(work->quals, lfirst(cell));
		else
			work->kept = lappend(work->kept, lfirst(cell));
	}
}

/*
 * May rows be read ahead from the child?  Sets flags for how far.  What the
 * batching node itself evaluates it does when a row's turn comes, but for the
 * calls and their arguments.
 */
static bool
can_read_ahead(Lifting *work, Plan *child, List *calls, int *flags)
{
	AlbertTraits traits = {.stmt = work->lift->stmt};
	ListCell   *cell;

	AlbertPlanTraits(child, child == work->plan, &traits);
	foreach(cell, calls)
		AlbertExprTraits((Node *) lfirst_node(FuncExpr, cell)->args, &traits);
	if (traits.is_volatile || traits.multiexpr)
		return false;
	if (!traits.may_fail)
		*flags |= ALBERT_NODE_SAFE;
	/* a reader who may stop after any row leaves nothing to batch then */
	return !traits.may_fail || (*flags & ALBERT_NODE_EARLY) == 0;
}

/* The next batching node over the child; NULL when there is none to be. */
static CustomScan *
next_node(Lifting *work, Plan *child, AlbertReader reader)
{
	List	   *missing = work->quals != NIL ? calls_missing(work, linitial(work->quals)) : list_calls_missing(work);
	List	   *calls = calls_ready(missing);
	List	   *columns = all_columns(work, OUTER_VAR);
	List	   *quals = NIL;
	CustomScan *node;
	ListCell   *cell;

	if (calls == NIL)
		return NULL;
	/* the qual, when all of its calls have been made then, and the next ones that need no others */
	if (work->quals != NIL && list_length(calls) == list_length(missing))
	{
		List	   *before = work->results;

		work->results = list_concat_copy(before, calls);
		while (work->quals != NIL && (quals == NIL || calls_missing(work, linitial(work->quals)) == NIL))
		{
			quals = lappend(quals, linitial(work->quals));
			work->quals = list_delete_first(list_copy(work->quals));
		}
		work->results = before;
	}
	/* behind this node rows may be filtered by others */
	if (work->quals != NIL)
		reader = AlbertReaderOfSome(reader);
	if (!can_read_ahead(work, child, calls, &reader.flags))
	{
		work->quals = list_concat(quals, work->quals);
		return NULL;
	}

	node = makeNode(CustomScan);
	node->methods = &albert_scan_methods;
	work->varno = OUTER_VAR;
	foreach(cell, calls)
	{
		FuncExpr   *call = (FuncExpr *) copyObject(lfirst(cell));

		call->args = (List *) over_columns((Node *) call->args, work);
		columns = lappend(columns, call);
	}
	node->custom_scan_tlist = as_targetlist(columns);
	work->results = list_concat_copy(work->results, calls);
	work->varno = INDEX_VAR;
	node->scan.plan.qual = (List *) over_columns((Node *) quals, work);
	node->scan.plan.targetlist = as_targetlist(all_columns(work, INDEX_VAR));
	node->scan.plan.lefttree = child;
	node->flags = ExecSupportsBackwardScan(child) ? CUSTOMPATH_SUPPORT_BACKWARD_SCAN : 0;
	node->custom_private = list_make3(list_make2_int(reader.flags, list_length(calls)),
									  reader.limit == NULL ? NULL : reader.limit->limitCount,
									  reader.limit == NULL ? NULL : reader.limit->limitOffset);
	return node;
}

/* ---------- all of them ---------- */

/* Is the node nothing but its target list? */
static bool
only_projects(Plan *plan)
{
	return IsA(plan, Result) && ((Result *) plan)->resconstantqual == NULL;
}

/* What a batching node tells of itself. */
static void
finish_node(Lifting *work, CustomScan *node)
{
	AlbertTraits traits = {.stmt = work->lift->stmt};
	Plan	   *plan = &node->scan.plan;
	int			ncalls = lsecond_int(linitial(node->custom_private));
	ListCell   *cell;

	AlbertExprTraits((Node *) plan->targetlist, &traits);
	AlbertExprTraits((Node *) plan->qual, &traits);
	for_each_from(cell, node->custom_scan_tlist, list_length(node->custom_scan_tlist) - ncalls)
		AlbertExprTraits((Node *) castNode(FuncExpr, lfirst_node(TargetEntry, cell)->expr)->args, &traits);
	if (!traits.may_fail && ncalls == 1)
		linitial_int((List *) linitial(node->custom_private)) |= ALBERT_NODE_ALONE;
	plan->plan_node_id = work->lift->next_node_id++;
	plan->startup_cost = work->plan->startup_cost;
	plan->total_cost = work->plan->total_cost;
	plan->plan_rows = work->plan->plan_rows;
	plan->plan_width = work->plan->plan_width;
	plan->parallel_safe = work->plan->parallel_safe;
	plan->extParam = bms_copy(work->plan->allParam);
	plan->allParam = bms_copy(work->plan->allParam);
}

/* The topmost batching node takes the plan node's place. */
static void
take_place(Lifting *work, CustomScan *top, List *nodes)
{
	Plan	   *plan = work->plan;
	ListCell   *cell;

	work->varno = INDEX_VAR;
	top->scan.plan.targetlist = (List *) over_columns((Node *) plan->targetlist, work);
	top->scan.plan.qual = list_concat(top->scan.plan.qual, (List *) over_columns((Node *) work->quals, work));
	foreach(cell, nodes)
		finish_node(work, lfirst(cell));
	/* initplans are of the topmost node that uses them */
	top->scan.plan.initPlan = plan->initPlan;
	top->scan.plan.extParam = bms_copy(plan->extParam);
	if (work->child != plan)
		return;
	plan->initPlan = NIL;
	plan->extParam = bms_copy(plan->allParam);
	plan->targetlist = as_targetlist(work->leaves);
	plan->async_capable = false;
	/* uniqueness may have been concluded from what moved */
	if (work->quals_move && work->qual_place != &plan->qual)
		((Join *) plan)->inner_unique = false;
}

bool
AlbertLiftCalls(AlbertLift *lift, Plan **place, AlbertReader reader)
{
	Lifting		work = {.lift = lift, .plan = *place, .child = *place};
	AlbertTraits traits = {.stmt = lift->stmt};
	List	   *all_quals;
	List	   *nodes = NIL;
	CustomScan *node;

	if ((AlbertPlanFacts(work.plan) & ALBERT_PLAN_LIST_MOVES) == 0)
		return false;
	split_quals(&work);
	if (work.quals == NIL && list_calls_missing(&work) == NIL)
		return false;
	AlbertExprTraits((Node *) work.plan->targetlist, &traits);
	AlbertExprTraits((Node *) work.quals, &traits);
	if (traits.multiexpr)
		return false;
	if (only_projects(work.plan))
		work.child = work.plan->lefttree;
	find_leaves(&work);
	all_quals = work.qual_place == NULL ? NIL : *work.qual_place;
	work.quals_move = work.quals != NIL;
	if (work.quals_move)
		*work.qual_place = work.kept;
	while ((node = next_node(&work, nodes == NIL ? work.child : (Plan *) llast(nodes), reader)) != NULL)
		nodes = lappend(nodes, node);
	if (nodes == NIL)
	{
		if (work.quals_move)
			*work.qual_place = all_quals;
		return false;
	}
	take_place(&work, llast(nodes), nodes);
	*place = llast(nodes);
	return true;
}
