/*
 * lift.c
 *	  Taking albert calls out of a plan node: which ones, and the batching
 *	  nodes that make them instead.
 *
 * A call is lifted when each evaluation of the expression it is in makes it:
 * not from a CASE branch, behind the first arm of AND, OR and COALESCE, or from
 * a sub-select.  So no row is computed that plain execution would not have
 * computed.  Those in aggregates' arguments are taken to the Agg node's input.
 *
 * The plan node keeps its input and those of its quals that come before the
 * first one with a call, and returns just the columns that the rest is made of.
 * On top of it comes a batching node, which adds the results of this qual's
 * calls, or of the target list's where no qual has any, and has the rest.  That
 * may have calls still: of later quals, or with these calls as their arguments.
 * So the same is done to the batching node then.
 */
#include "postgres.h"

#include "access/transam.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"

#include "executor/rewrite/nodes.h"
#include "executor/rewrite/rewrite.h"

AlbertReader
AlbertReaderOfSome(AlbertReader reader)
{
	AlbertReader result = {.flags = reader.flags & (ALBERT_NODE_LAZY | ALBERT_NODE_EARLY), .bound = -1};

	if (reader.bound >= 0)
		result.flags |= ALBERT_NODE_EARLY;
	return result;
}

/* ---------- which calls ---------- */

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

/* Is it a call of an albert function that can be made elsewhere, and for many rows together? */
static bool
is_liftable(const PlannedStmt *stmt, const FuncExpr *call)
{
	AlbertTraits traits = {.stmt = stmt};
	AlbertSignature *signature;
	ListCell   *cell;

	if (call->funcid < FirstNormalObjectId || call->funcretset)
		return false;
	signature = AlbertSignatureOf(call->funcid);
	if (signature == NULL)
		return false;
	foreach(cell, call->args)
	{
		/* model and options are the same for all rows: a batch has one job */
		if (!AlbertIsText(signature, foreach_current_index(cell)) &&
			(contain_var_clause(lfirst(cell)) || contain_subplans(lfirst(cell))))
			return false;
	}
	AlbertExprTraits((Node *) call->args, &traits);
	return !traits.is_volatile && !expression_returns_set((Node *) call->args) &&
		!handed_down_walker((Node *) call->args, NULL);
}

/* The calls that every evaluation of an expression makes. */
typedef struct CallSearch
{
	const PlannedStmt *stmt;
	List	   *calls;			/* that have no other one in their arguments */
	int			nfound;			/* all of them, as often as they are there */
	bool		nested;			/* some have */
} CallSearch;

static bool
calls_walker(Node *node, void *context)
{
	CallSearch *search = context;
	int			nfound = search->nfound;
	const CaseExpr *choice;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			(void) expression_tree_walker(node, calls_walker, context);
			if (!is_liftable(search->stmt, (const FuncExpr *) node))
				return false;
			if (search->nfound++ == nfound)
				search->calls = list_append_unique(search->calls, node);
			else
				search->nested = true;
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

static CallSearch
find_calls(const PlannedStmt *stmt, Node *expr)
{
	CallSearch	search = {.stmt = stmt};

	(void) calls_walker(expr, &search);
	return search;
}

/* ---------- columns ---------- */

/* Work on one plan node. */
typedef struct Lifting
{
	Plan	   *plan;			/* the calls are taken from */
	Plan	   *child;			/* of the batching node: plan or, if that only projects, what is below it */
	List	   *calls;			/* taken */
	List	   *leaves;			/* what plan can return only: columns, aggregates, window functions */
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
find_leaves(Lifting *work, List *quals)
{
	ListCell   *cell;

	if (work->child == work->plan)
	{
		(void) leaves_walker((Node *) work->plan->targetlist, work);
		(void) leaves_walker((Node *) quals, work);
		return;
	}
	/* all columns of what is below */
	foreach(cell, work->child->targetlist)
		work->leaves = lappend(work->leaves, lfirst_node(TargetEntry, cell)->expr);
}

/* A column that holds what an expression is. */
static Node *
column_var(int varno, int column, const Node *like)
{
	return (Node *) makeVar(varno, column, exprType(like), exprTypmod(like), exprCollation(like), 0);
}

/* -1: it is not there. */
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

/* An expression of the plan node, over the columns of its leaves and behind them the calls' results. */
static Node *
over_columns(Node *node, void *context)
{
	Lifting    *work = context;
	int			place;

	if (node == NULL)
		return NULL;
	if (is_leaf(node))
		return column_var(work->varno, work->child == work->plan ? place_in_list(work->leaves, node) + 1
							   : ((const Var *) node)->varattno, node);
	if (IsA(node, FuncExpr) && (place = place_in_list(work->calls, node)) >= 0)
		return column_var(work->varno, list_length(work->leaves) + place + 1, node);
	return expression_tree_mutator(node, over_columns, context);
}

static List *
target_list(List *exprs)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, exprs)
		result = lappend(result, makeTargetEntry(lfirst(cell), foreach_current_index(cell) + 1, NULL, false));
	return result;
}

/* The scan tuple: the leaves as the child returns them, and the calls. */
static List *
scan_targetlist(Lifting *work)
{
	List	   *columns = NIL;
	ListCell   *cell;

	work->varno = OUTER_VAR;
	foreach(cell, work->leaves)
		columns = lappend(columns, column_var(OUTER_VAR, foreach_current_index(cell) + 1, lfirst(cell)));
	foreach(cell, work->calls)
	{
		FuncExpr   *call = (FuncExpr *) copyObject(lfirst(cell));

		call->args = (List *) over_columns((Node *) call->args, work);
		columns = lappend(columns, call);
	}
	return target_list(columns);
}

/* ---------- a batching node ---------- */

static void
copy_costs(Plan *to, const Plan *from)
{
	to->startup_cost = from->startup_cost;
	to->total_cost = from->total_cost;
	to->plan_rows = from->plan_rows;
	to->plan_width = from->plan_width;
	to->parallel_safe = from->parallel_safe;
}

/* How many quals come before the first one with a call? */
static int
count_kept(const PlannedStmt *stmt, List *quals)
{
	ListCell   *cell;
	int			n = 0;

	foreach(cell, quals)
	{
		if (find_calls(stmt, lfirst(cell)).calls != NIL)
			break;
		n++;
	}
	return n;
}

/*
 * May rows be read ahead from the child?  Sets flags for how far.  What the
 * batching node itself evaluates it does when a row's turn comes, but for the
 * calls and their arguments.
 */
static bool
can_read_ahead(const PlannedStmt *stmt, const Lifting *work, int *flags)
{
	AlbertTraits traits = {.stmt = stmt};
	ListCell   *cell;

	AlbertPlanTraits(work->child, &traits);
	if (work->child != work->plan)
		AlbertExprTraits((Node *) work->child->targetlist, &traits);
	foreach(cell, work->calls)
		AlbertExprTraits((Node *) lfirst_node(FuncExpr, cell)->args, &traits);
	if (traits.is_volatile)
		return false;
	if (!traits.may_fail)
		*flags |= ALBERT_NODE_SAFE;
	/* a reader who may stop after any row leaves nothing to batch then */
	return !traits.may_fail || (*flags & ALBERT_NODE_EARLY) == 0;
}

/* The batching node in the plan node's place, with those of its quals that move. */
static CustomScan *
make_node(Lifting *work, List *quals, AlbertReader reader)
{
	CustomScan *node = makeNode(CustomScan);
	Plan	   *top = &node->scan.plan;
	Plan	   *plan = work->plan;

	node->methods = &albert_scan_methods;
	node->custom_scan_tlist = scan_targetlist(work);
	node->custom_private = list_make1(list_make3_int(reader.flags, list_length(work->calls), reader.bound));
	work->varno = INDEX_VAR;
	top->targetlist = (List *) over_columns((Node *) plan->targetlist, work);
	top->qual = (List *) over_columns((Node *) quals, work);
	top->lefttree = work->child;
	node->flags = ExecSupportsBackwardScan(work->child) ? CUSTOMPATH_SUPPORT_BACKWARD_SCAN : 0;
	copy_costs(top, plan);
	/* initplans are of the topmost node that uses them */
	top->initPlan = plan->initPlan;
	top->extParam = bms_copy(plan->extParam);
	top->allParam = bms_copy(plan->allParam);
	if (work->child == plan)
	{
		plan->targetlist = target_list(work->leaves);
		plan->initPlan = NIL;
		plan->extParam = bms_copy(plan->allParam);
	}
	return node;
}

/* Put a batching node for the calls to be made first on top of *place. */
static bool
lift_first_calls(const PlannedStmt *stmt, Plan **place, AlbertReader reader)
{
	Plan	   *plan = *place;
	Lifting		work = {.plan = plan, .child = plan};
	List	  **qual_place = AlbertPlanQuals(plan);
	List	   *all_quals = qual_place == NULL ? NIL : *qual_place;
	int			nkept = count_kept(stmt, all_quals);
	List	   *quals = list_copy_tail(all_quals, nkept);
	CallSearch	found = find_calls(stmt, quals != NIL ? linitial(quals) : (Node *) plan->targetlist);

	if (found.calls == NIL || (AlbertPlanFacts(plan) & ALBERT_PLAN_LIST_MOVES) == 0)
		return false;
	work.calls = found.calls;
	if (IsA(plan, Result) && ((Result *) plan)->resconstantqual == NULL)
		work.child = plan->lefttree;
	/* others may filter what the node returns */
	if (quals != NIL && (found.nested || find_calls(stmt, (Node *) list_copy_tail(quals, 1)).calls != NIL))
		reader = AlbertReaderOfSome(reader);
	if (quals != NIL)
		*qual_place = list_truncate(list_copy(all_quals), nkept);
	if (!can_read_ahead(stmt, &work, &reader.flags))
	{
		if (quals != NIL)
			*qual_place = all_quals;
		return false;
	}
	/* uniqueness may have been concluded from what moves */
	if (quals != NIL && qual_place != &plan->qual)
		((Join *) plan)->inner_unique = false;
	find_leaves(&work, quals);
	*place = (Plan *) make_node(&work, quals, reader);
	return true;
}

bool
AlbertLiftCalls(const PlannedStmt *stmt, Plan **place, AlbertReader reader)
{
	bool		lifted = false;

	while (lift_first_calls(stmt, place, reader))
		lifted = true;
	return lifted;
}

/* ---------- aggregates ---------- */

/*
 * Calls among the arguments and filters of aggregates are taken to a target
 * list of their own, of a Result below the Agg node, and from there to a
 * batching node; the Agg node finds the results among its input's columns.  So
 * only those are taken that it makes for every row: of a filter, or of arguments
 * without one.
 */
typedef struct Taking
{
	List	   *calls;
	int			ncolumns;		/* of the Agg node's input */
} Taking;

static bool
aggrefs_walker(Node *node, void *search)
{
	Aggref	   *aggref = (Aggref *) node;

	if (node == NULL)
		return false;
	if (!IsA(node, Aggref))
		return expression_tree_walker(node, aggrefs_walker, search);
	return calls_walker(aggref->aggfilter != NULL ? (Node *) aggref->aggfilter : (Node *) aggref->args, search);
}

static Node *
calls_to_columns(Node *node, void *context)
{
	Taking	   *work = context;
	int			place;

	if (node == NULL)
		return NULL;
	place = place_in_list(work->calls, node);
	if (place >= 0)
		return column_var(OUTER_VAR, work->ncolumns + place + 1, node);
	return expression_tree_mutator(node, calls_to_columns, context);
}

static Node *
in_aggrefs(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	return IsA(node, Aggref) ? calls_to_columns(node, context) : expression_tree_mutator(node, in_aggrefs, context);
}

/* The input's columns, and behind them the calls. */
static Result *
result_over(Taking *work, Plan *child)
{
	Result	   *result = makeNode(Result);
	List	   *exprs = NIL;
	ListCell   *cell;

	foreach(cell, child->targetlist)
		exprs = lappend(exprs, column_var(OUTER_VAR, foreach_current_index(cell) + 1,
										  (Node *) lfirst_node(TargetEntry, cell)->expr));
	result->plan.targetlist = target_list(list_concat(exprs, work->calls));
	copy_costs(&result->plan, child);
	result->plan.lefttree = child;
	return result;
}

bool
AlbertLiftAggregates(const PlannedStmt *stmt, Agg *agg, AlbertReader reader)
{
	CallSearch	search = {.stmt = stmt};
	Taking		work;
	Plan	   *plan = &agg->plan;
	Plan	   *input;

	(void) aggrefs_walker((Node *) plan->targetlist, &search);
	(void) aggrefs_walker((Node *) plan->qual, &search);
	if (search.calls == NIL)
		return false;
	work = (Taking) {search.calls, list_length(plan->lefttree->targetlist)};
	input = &result_over(&work, plan->lefttree)->plan;
	/* the calls may use any of the Agg node's parameters */
	input->extParam = bms_union(plan->lefttree->extParam, plan->extParam);
	input->allParam = bms_union(plan->lefttree->allParam, plan->allParam);
	if (!AlbertLiftCalls(stmt, &input, reader))
		return false;
	plan->lefttree = input;
	plan->targetlist = (List *) in_aggrefs((Node *) plan->targetlist, &work);
	plan->qual = (List *) in_aggrefs((Node *) plan->qual, &work);
	return true;
}
