/*
 * plan_feed.c
 *	  Calls in other places than a plan node's own target list and quals:
 *	  arguments and filters of aggregates, actions of MERGE, and RETURNING.
 *
 * They are taken to a target list of their own, of a Result that plan_lift.c
 * then turns into a batching node: for an aggregate and for MERGE below the Agg
 * or ModifyTable node, which finds the results among its input's columns; for
 * RETURNING above the ModifyTable node, which then returns the columns that the
 * list is made of.
 *
 * Below the node a row's call comes before everything else that the node does
 * with the row.  So only those calls are taken that it makes for every row, and
 * that nothing comes before that has an effect or may fail.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/rel.h"

#include "compat.h"
#include "executor/node_internal.h"

/* ---------- taking calls below a node ---------- */

typedef struct Feeding
{
	AlbertLift *lift;
	List	   *aggrefs;		/* of an Agg node, in the order of their transitions */
	List	   *calls;
	int			input;			/* the varno of its input's columns: OUTER_VAR or INNER_VAR */
	int			ncolumns;		/* of its input */
	bool		clean;			/* nothing so far may fail or has an effect */
} Feeding;

static Node *
without_calls(Node *node, void *context)
{
	Feeding    *work = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, FuncExpr) && list_member(work->calls, node))
		return (Node *) makeNullConst(exprType(node), exprTypmod(node), exprCollation(node));
	return expression_tree_mutator(node, without_calls, context);
}

/* Is the rest of an expression, without the calls taken from it, without errors and effects? */
static bool
rest_is_clean(Feeding *work, Node *expr)
{
	AlbertTraits traits = {.stmt = work->lift->stmt};

	AlbertExprTraits(without_calls(expr, work), &traits);
	return !traits.may_fail && !traits.is_volatile;
}

/* A call that is the whole expression, or all of what can go wrong in it. */
static void
take_calls(Feeding *work, Node *expr)
{
	List	   *calls = NIL;
	List	   *before = work->calls;

	if (expr == NULL || !work->clean)
		return;
	AlbertFindCalls(work->lift, expr, &calls);
	work->calls = list_concat_unique(list_copy(before), calls);
	if (rest_is_clean(work, expr))
		return;
	/* functions of one call's result come after it */
	work->clean = false;
	if (list_length(calls) != 1 || expression_returns_set(expr))
		work->calls = before;
	else
	{
		Node	   *node = expr;

		while (!equal(node, linitial(calls)))
		{
			List	   *args = NIL;

			if (IsA(node, FuncExpr))
				args = ((FuncExpr *) node)->args;
			else if (IsA(node, OpExpr))
				args = ((OpExpr *) node)->args;
			else if (IsA(node, TargetEntry))
				args = list_make1(((TargetEntry *) node)->expr);
			else if (IsA(node, CoerceViaIO))
				args = list_make1(((CoerceViaIO *) node)->arg);
			if (args == NIL || !rest_is_clean(work, (Node *) list_copy_tail(args, 1)))
			{
				work->calls = before;
				return;
			}
			node = linitial(args);
		}
	}
}

static Node *
calls_to_columns(Node *node, void *context)
{
	Feeding    *work = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, FuncExpr))
	{
		ListCell   *cell;

		foreach(cell, work->calls)
		{
			if (equal(lfirst(cell), node))
				return (Node *) makeVar(work->input, work->ncolumns + foreach_current_index(cell) + 1,
										exprType(node), exprTypmod(node), exprCollation(node), 0);
		}
	}
	return expression_tree_mutator(node, calls_to_columns, context);
}

/* A Result over a plan that is about to become its child. */
static Result *
result_over(Plan *child, const Plan *user)
{
	Result	   *result = makeNode(Result);

	result->plan.startup_cost = child->startup_cost;
	result->plan.total_cost = child->total_cost;
	result->plan.plan_rows = child->plan_rows;
	result->plan.plan_width = child->plan_width;
	result->plan.parallel_safe = child->parallel_safe;
	result->plan.lefttree = child;
	/* the calls may use any of the user's parameters */
	result->plan.extParam = bms_union(child->extParam, user->extParam);
	result->plan.allParam = bms_union(child->allParam, user->allParam);
	return result;
}

static List *
pass_columns(List *tlist)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, tlist)
	{
		TargetEntry *entry = flatCopyTargetEntry(lfirst_node(TargetEntry, cell));
		Node	   *expr = (Node *) entry->expr;

		entry->expr = (Expr *) makeVar(OUTER_VAR, foreach_current_index(cell) + 1, exprType(expr),
									   exprTypmod(expr), exprCollation(expr), 0);
		result = lappend(result, entry);
	}
	return result;
}

/* The node's input as seen by the Result above it. */
static Node *
input_to_outer(Node *node, void *context)
{
	Feeding    *work = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varno == work->input)
	{
		Var		   *copy = (Var *) copyObject(node);

		copy->varno = OUTER_VAR;
		return (Node *) copy;
	}
	return expression_tree_mutator(node, input_to_outer, context);
}

/* Put a node that makes the calls below the plan, where calls_to_columns expects the results. */
static bool
feed_calls(Feeding *work, Plan *plan, int flags)
{
	Plan	   *feed;
	Result	   *result;
	ListCell   *cell;

	work->ncolumns = list_length(plan->lefttree->targetlist);
	result = result_over(plan->lefttree, plan);
	result->plan.targetlist = pass_columns(plan->lefttree->targetlist);
	foreach(cell, work->calls)
		result->plan.targetlist = lappend(result->plan.targetlist,
										  makeTargetEntry((Expr *) input_to_outer(lfirst(cell), work),
														  list_length(result->plan.targetlist) + 1,
														  NULL, false));
	feed = &result->plan;
	if (!AlbertLiftCalls(work->lift, &feed, flags))
		return false;
	plan->lefttree = feed;
	return true;
}

/* ---------- aggregates ---------- */

static bool
aggrefs_walker(Node *node, void *context)
{
	Feeding    *work = context;

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

static void
take_from_aggref(Feeding *work, Aggref *aggref)
{
	ListCell   *cell;

	if (aggref->aggfilter != NULL)
	{
		take_calls(work, (Node *) aggref->aggfilter);
		if (!rest_is_clean(work, (Node *) aggref->args))
			work->clean = false;
	}
	else
	{
		foreach(cell, aggref->args)
			take_calls(work, lfirst(cell));
	}
	/* what the server's own aggregates do with a row cannot go wrong, but for overflow; another one may, after its arguments */
	if (aggref->aggfnoid >= FirstNormalObjectId)
		work->clean = false;
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

bool
AlbertFeedAggregates(AlbertLift *lift, Agg *agg, int flags)
{
	Feeding		work = {.lift = lift, .input = OUTER_VAR, .clean = true};
	Plan	   *plan = &agg->plan;
	ListCell   *cell;

	(void) aggrefs_walker((Node *) plan->targetlist, &work);
	(void) aggrefs_walker((Node *) plan->qual, &work);
	list_sort(work.aggrefs, by_transition);
	foreach(cell, work.aggrefs)
		take_from_aggref(&work, lfirst(cell));
	if (work.calls == NIL || !feed_calls(&work, plan, flags))
		return false;
	plan->targetlist = (List *) in_aggrefs((Node *) plan->targetlist, &work);
	plan->qual = (List *) in_aggrefs((Node *) plan->qual, &work);
	return true;
}

/* ---------- MERGE ---------- */

/*
 * Each row of the join gets the first action of its kind whose condition it
 * meets.  So a call is made for every row when the first action of each kind of
 * row there can be has no condition and makes it.  Of the source only: columns
 * of the target are read when its row is, not from the join.
 */

static bool
reads_target(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varno != INNER_VAR;
	return expression_tree_walker(node, reads_target, context);
}

/* The calls that an action makes for each row it gets. */
static List *
calls_of_action(AlbertLift *lift, const MergeAction *action)
{
	Feeding		work = {.lift = lift, .input = INNER_VAR, .clean = true};
	List	   *calls = NIL;
	ListCell   *cell;

	if (action->qual != NULL ||
		(action->commandType != CMD_INSERT && action->commandType != CMD_UPDATE))
		return NIL;
	foreach(cell, action->targetList)
		take_calls(&work, lfirst(cell));
	foreach(cell, work.calls)
	{
		if (!reads_target(lfirst(cell), NULL))
			calls = lappend(calls, lfirst(cell));
	}
	return calls;
}

/* The calls that are made for each row of the join, by a result relation's actions. */
static List *
calls_of_actions(AlbertLift *lift, List *actions)
{
	const MergeAction *matched = NULL;
	const MergeAction *not_matched = NULL;
	List	   *calls;
	ListCell   *cell;

	foreach(cell, actions)
	{
		const MergeAction *action = lfirst(cell);

		if (AlbertIsMatchedAction(action))
			matched = matched != NULL ? matched : action;
		else if (AlbertIsNotMatchedAction(action))
			not_matched = not_matched != NULL ? not_matched : action;
		else
			return NIL;
	}
	/* without actions for rows of the source that match nothing the join leaves these out */
	if (matched == NULL)
		return NIL;
	calls = calls_of_action(lift, matched);
	if (calls != NIL && not_matched != NULL)
		calls = list_intersection(calls, calls_of_action(lift, not_matched));
	return calls;
}

bool
AlbertFeedMerge(AlbertLift *lift, ModifyTable *modify, int flags)
{
	Feeding		work = {.lift = lift, .input = INNER_VAR};
	ListCell   *list;
	ListCell   *cell;

	/* row security is checked before an action computes anything */
	if (!AlbertIsMerge(modify) || modify->withCheckOptionLists != NIL)
		return false;
	foreach(list, AlbertMergeActionLists(modify))
	{
		List	   *calls = calls_of_actions(lift, lfirst(list));

		work.calls = foreach_current_index(list) == 0 ? calls : list_intersection(work.calls, calls);
	}
	if (work.calls == NIL || !feed_calls(&work, &modify->plan, flags))
		return false;
	foreach(list, AlbertMergeActionLists(modify))
	{
		foreach(cell, (List *) lfirst(list))
		{
			MergeAction *action = lfirst(cell);

			action->targetList = (List *) calls_to_columns((Node *) action->targetList, &work);
		}
	}
	return true;
}

/* ---------- RETURNING ---------- */

/*
 * Rows are changed ahead of what is returned for them.  That makes no
 * difference for a plain table when nothing in between can see it: no
 * triggers, no volatile functions in the list.
 */
static bool
can_change_ahead(const PlannedStmt *stmt, const ModifyTable *modify)
{
	RangeTblEntry *entry = rt_fetch(linitial_int(modify->resultRelations), stmt->rtable);
	Relation	relation = table_open(entry->relid, NoLock);
	bool		result = relation->rd_rel->relkind == RELKIND_RELATION &&
		(relation->trigdesc == NULL ||
		 (!relation->trigdesc->trig_insert_before_row && !relation->trigdesc->trig_update_before_row &&
		  !relation->trigdesc->trig_delete_before_row));

	table_close(relation, NoLock);
	return result;
}

typedef struct Returning
{
	List	   *leaves;
} Returning;

static Node *
leaves_to_columns(Node *node, void *context)
{
	Returning  *work = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		ListCell   *cell;
		int			column = 0;

		work->leaves = list_append_unique(work->leaves, node);
		foreach(cell, work->leaves)
		{
			if (equal(lfirst(cell), node))
				column = foreach_current_index(cell) + 1;
		}
		return (Node *) makeVar(OUTER_VAR, column, exprType(node), exprTypmod(node),
								exprCollation(node), 0);
	}
	return expression_tree_mutator(node, leaves_to_columns, context);
}

bool
AlbertLiftReturning(AlbertLift *lift, Plan **place, int flags)
{
	ModifyTable *modify = (ModifyTable *) *place;
	AlbertTraits traits = {.stmt = lift->stmt};
	Returning	work = {NIL};
	List	   *list;
	List	   *calls = NIL;
	List	   *leaves = NIL;
	Result	   *result;
	Plan	   *top;
	ListCell   *cell;

	if (list_length(modify->returningLists) != 1 || list_length(modify->resultRelations) != 1 ||
		modify->rootRelation != 0 || AlbertIsMerge(modify))
		return false;
	list = linitial(modify->returningLists);
	AlbertExprTraits((Node *) list, &traits);
	foreach(cell, list)
		AlbertFindCalls(lift, lfirst(cell), &calls);
	if (calls == NIL || traits.is_volatile || traits.multiexpr || !can_change_ahead(lift->stmt, modify))
		return false;
	result = result_over(&modify->plan, &modify->plan);
	result->plan.targetlist = (List *) leaves_to_columns((Node *) list, &work);
	foreach(cell, work.leaves)
		leaves = lappend(leaves, makeTargetEntry(lfirst(cell), foreach_current_index(cell) + 1, NULL, false));
	linitial(modify->returningLists) = leaves;
	modify->plan.targetlist = leaves;
	top = &result->plan;
	lift->accepted = &modify->plan;
	if (AlbertLiftCalls(lift, &top, flags))
		*place = top;
	else
	{
		linitial(modify->returningLists) = list;
		modify->plan.targetlist = list;
	}
	lift->accepted = NULL;
	return *place == top;
}
