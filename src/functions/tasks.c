/*
 * tasks.c
 *	  The SQL functions over a text: each runs its task.  _PG_init hands the
 *	  tasks to the executor, which knows none of them by name; the planner is
 *	  told by their support function.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "nodes/supportnodes.h"

#include "compat.h"
#include "executor/rewrite/cost.h"
#include "executor/rewrite/rewrite.h"
#include "functions/functions.h"

#define FUNCTION(name) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return AlbertTaskCall(fcinfo, &name##_task); \
	}

ALBERT_TASKS(FUNCTION)

#define TASK(name) {#name, &name##_task},

void
AlbertTasksInit(void)
{
	static const AlbertTaskName names[] = {ALBERT_TASKS(TASK)};

	AlbertTasksRegister(names, lengthof(names));
}

/* That a statement calls one of them, and what a call costs. */
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
