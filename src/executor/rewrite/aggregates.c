/*
 * aggregates.c
 *	  Calls among the arguments and filters of aggregates.
 *
 * They are taken to a target list of their own, of a Result below the Agg node
 * that lift.c then turns into a batching node; the Agg node finds the results
 * among its input's columns.  So only those are taken that it makes for every
 * row: of a filter, or of arguments without one.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"

#include "executor/rewrite/rewrite.h"

typedef struct Taking
{
	const PlannedStmt *stmt;
	List	   *calls;			/* taken */
	int			ncolumns;		/* of the Agg node's input */
} Taking;

static bool
take_walker(Node *node, void *context)
{
	Taking	   *work = context;
	Aggref	   *aggref = (Aggref *) node;

	if (node == NULL)
		return false;
	if (!IsA(node, Aggref))
		return expression_tree_walker(node, take_walker, context);
	work->calls = list_concat_unique(work->calls,
									 AlbertFindCalls(work->stmt, aggref->aggfilter != NULL
													 ? (Node *) aggref->aggfilter : (Node *) aggref->args));
	return false;
}

static Node *
calls_to_columns(Node *node, void *context)
{
	Taking	   *work = context;
	int			place;

	if (node == NULL)
		return NULL;
	place = AlbertPlaceInList(work->calls, node);
	if (place >= 0)
		return AlbertColumnVar(OUTER_VAR, work->ncolumns + place + 1, node);
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
		exprs = lappend(exprs, AlbertColumnVar(OUTER_VAR, foreach_current_index(cell) + 1,
											   (Node *) lfirst_node(TargetEntry, cell)->expr));
	result->plan.targetlist = AlbertTargetList(list_concat(exprs, work->calls));
	AlbertCopyCosts(&result->plan, child);
	result->plan.lefttree = child;
	return result;
}

bool
AlbertLiftAggregates(const PlannedStmt *stmt, Agg *agg, AlbertReader reader)
{
	Taking		work = {.stmt = stmt};
	Plan	   *plan = &agg->plan;
	Plan	   *input;

	(void) take_walker((Node *) plan->targetlist, &work);
	(void) take_walker((Node *) plan->qual, &work);
	if (work.calls == NIL)
		return false;
	work.ncolumns = list_length(plan->lefttree->targetlist);
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
