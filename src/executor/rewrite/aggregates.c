/*
 * aggregates.c
 *	  Calls among the arguments and filters of aggregates.
 *
 * They are taken to a target list of their own, of a Result below the Agg node
 * that lift.c then turns into a batching node; the Agg node finds the results
 * among its input's columns.  There a row's calls come before everything else
 * that the Agg node does with the row.  So only those are taken that it makes
 * for every row, and that nothing comes before that may fail or has an effect.
 */
#include "postgres.h"

#include "access/transam.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

#include "executor/rewrite/rewrite.h"

typedef struct Taking
{
	AlbertLift *lift;
	List	   *aggrefs;		/* in the order of their transitions */
	List	   *always;			/* calls made each time the expression under way is evaluated */
	List	   *calls;			/* taken */
	int			ncolumns;		/* of the Agg node's input */
	bool		stopped;		/* something before may fail or has an effect */
} Taking;

/* ---------- which calls ---------- */

static bool
aggrefs_walker(Node *node, void *context)
{
	Taking	   *work = context;

	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		work->aggrefs = list_append_unique(work->aggrefs, node);
		return false;
	}
	return expression_tree_walker(node, aggrefs_walker, context);
}

static int
by_transition(const ListCell *a, const ListCell *b)
{
	return lfirst_node(Aggref, a)->aggtransno - lfirst_node(Aggref, b)->aggtransno;
}

/* In the order of evaluation: what is below a node of an expression, then the node. */
static bool
take_walker(Node *node, void *context)
{
	Taking	   *work = context;
	AlbertTraits traits = {.stmt = work->lift->stmt};

	if (node == NULL || work->stopped)
		return work->stopped;
	if (list_member(work->always, node))
	{
		work->calls = list_concat_unique(work->calls, AlbertFindCalls(work->lift, node));
		return false;
	}
	if (expression_tree_walker(node, take_walker, context))
		return true;
	AlbertNodeTraits(node, &traits);
	work->stopped = traits.may_fail || traits.is_volatile;
	return work->stopped;
}

static void
take_calls(Taking *work, Node *expr, bool always)
{
	work->always = always ? AlbertFindCalls(work->lift, expr) : NIL;
	(void) take_walker(expr, work);
}

static void
take_from_aggref(Taking *work, Aggref *aggref)
{
	ListCell   *cell;

	take_calls(work, (Node *) aggref->aggfilter, true);
	foreach(cell, aggref->args)
		take_calls(work, lfirst(cell), aggref->aggfilter == NULL);
	/* what the server's own aggregates do with a row cannot go wrong, but for overflow */
	if (aggref->aggfnoid >= FirstNormalObjectId)
		work->stopped = true;
}

/* ---------- the Agg node and its new input ---------- */

static Node *
calls_to_columns(Node *node, void *context)
{
	Taking	   *work = context;
	ListCell   *cell;

	if (node == NULL)
		return NULL;
	foreach(cell, work->calls)
	{
		if (equal(lfirst(cell), node))
			return (Node *) makeVar(OUTER_VAR, work->ncolumns + foreach_current_index(cell) + 1,
									exprType(node), exprTypmod(node), exprCollation(node), 0);
	}
	return expression_tree_mutator(node, calls_to_columns, context);
}

static Node *
in_aggrefs(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Aggref))
	{
		Aggref	   *copy = makeNode(Aggref);

		memcpy(copy, node, sizeof(Aggref));
		copy->args = (List *) calls_to_columns((Node *) copy->args, context);
		copy->aggfilter = (Expr *) calls_to_columns((Node *) copy->aggfilter, context);
		return (Node *) copy;
	}
	return expression_tree_mutator(node, in_aggrefs, context);
}

/* The input's columns, and behind them the calls. */
static Result *
result_over(Taking *work, Plan *child)
{
	Result	   *result = makeNode(Result);
	List	   *tlist = NIL;
	ListCell   *cell;

	foreach(cell, child->targetlist)
	{
		TargetEntry *entry = flatCopyTargetEntry(lfirst_node(TargetEntry, cell));
		Node	   *expr = (Node *) entry->expr;

		entry->expr = (Expr *) makeVar(OUTER_VAR, foreach_current_index(cell) + 1, exprType(expr),
									   exprTypmod(expr), exprCollation(expr), 0);
		tlist = lappend(tlist, entry);
	}
	foreach(cell, work->calls)
		tlist = lappend(tlist, makeTargetEntry(lfirst(cell), list_length(tlist) + 1, NULL, false));
	result->plan.targetlist = tlist;
	result->plan.startup_cost = child->startup_cost;
	result->plan.total_cost = child->total_cost;
	result->plan.plan_rows = child->plan_rows;
	result->plan.plan_width = child->plan_width;
	result->plan.parallel_safe = child->parallel_safe;
	result->plan.lefttree = child;
	return result;
}

bool
AlbertLiftAggregates(AlbertLift *lift, Agg *agg, AlbertReader reader)
{
	Taking		work = {.lift = lift};
	Plan	   *plan = &agg->plan;
	Plan	   *input;
	ListCell   *cell;

	(void) aggrefs_walker((Node *) plan->targetlist, &work);
	(void) aggrefs_walker((Node *) plan->qual, &work);
	list_sort(work.aggrefs, by_transition);
	foreach(cell, work.aggrefs)
		take_from_aggref(&work, lfirst(cell));
	if (work.calls == NIL)
		return false;
	work.ncolumns = list_length(plan->lefttree->targetlist);
	input = &result_over(&work, plan->lefttree)->plan;
	/* the calls may use any of the Agg node's parameters */
	input->extParam = bms_union(plan->lefttree->extParam, plan->extParam);
	input->allParam = bms_union(plan->lefttree->allParam, plan->allParam);
	if (!AlbertLiftCalls(lift, &input, reader))
		return false;
	plan->lefttree = input;
	plan->targetlist = (List *) in_aggrefs((Node *) plan->targetlist, &work);
	plan->qual = (List *) in_aggrefs((Node *) plan->qual, &work);
	return true;
}
