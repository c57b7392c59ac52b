/*
 * columns.c
 *	  What the view albert_columns cannot find out in SQL.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "executor/task.h"

/* ---------- albert_called_models(expression pg_node_tree) text[] ---------- */

typedef struct CalledModels
{
	bool		calls;			/* is there a call at all? */
	ArrayBuildState *names;
} CalledModels;

/* The model's argument of a call, whether given by place or by name. */
static Node *
model_argument(const FuncExpr *call, int model)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->funcid));
	List	   *args = expand_function_arguments(call->args, false, call->funcresulttype, tuple);

	ReleaseSysCache(tuple);
	return list_nth(args, model);
}

static bool
collect_models(Node *node, void *context)
{
	CalledModels *called = context;

	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr))
	{
		const FuncExpr *call = (const FuncExpr *) node;
		AlbertSignature *signature = AlbertSignatureOf(call->funcid);
		Node	   *model = signature == NULL || signature->model < 0 ? NULL : model_argument(call, signature->model);

		called->calls = called->calls || signature != NULL;
		if (model != NULL && IsA(model, Const) && !((Const *) model)->constisnull)
			called->names = accumArrayResult(called->names, ((Const *) model)->constvalue, false, TEXTOID,
											 CurrentMemoryContext);
	}
	return expression_tree_walker(node, collect_models, context);
}

PG_FUNCTION_INFO_V1(albert_called_models);
Datum
albert_called_models(PG_FUNCTION_ARGS)
{
	CalledModels called = {.names = initArrayResult(TEXTOID, CurrentMemoryContext, false)};

	(void) collect_models(stringToNode(TextDatumGetCString(PG_GETARG_DATUM(0))), &called);
	if (!called.calls)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(makeArrayResult(called.names, CurrentMemoryContext));
}
