/*
 * support.c
 *	  The planner support function of the SQL functions: tells the planner
 *	  hook that a statement calls one, and what a call costs.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "nodes/supportnodes.h"

#include "compat.h"
#include "executor/rewrite/cost.h"
#include "executor/rewrite/rewrite.h"

PG_FUNCTION_INFO_V1(albert_support);

Datum
albert_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);
	Node	   *result = NULL;

	if (IsA(request, SupportRequestSimplify))
		AlbertPlanningSeesCall();
	else if (IsA(request, SupportRequestCost))
	{
		SupportRequestCost *cost = (SupportRequestCost *) request;

		cost->startup = 0;
		cost->per_tuple = AlbertCallCost(cost->root, cost->funcid,
										 cost->node != NULL && IsA(cost->node, FuncExpr)
										 ? (FuncExpr *) cost->node : NULL);
		result = request;
	}
	PG_RETURN_POINTER(result);
}
