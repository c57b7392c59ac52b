/*
 * columns.c
 *	  What the view albert_columns cannot find out in SQL.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "executor/task.h"

/* ---------- albert_called_models(expression pg_node_tree) text[] ---------- */

typedef struct CalledModels
{
	bool		calls;			/* is there a call at all? */
	ArrayBuildState *names;
} CalledModels;

/* The model's argument of a call, whether given by place or by name; NULL: none. */
static Node *
model_argument(const FuncExpr *call, int model)
{
	ListCell   *cell;
	int			place = 0;

	foreach(cell, call->args)
	{
		Node	   *argument = lfirst(cell);

		if (IsA(argument, NamedArgExpr) && ((NamedArgExpr *) argument)->argnumber == model)
			return (Node *) ((NamedArgExpr *) argument)->arg;
		if (!IsA(argument, NamedArgExpr) && place++ == model)
			return argument;
	}
	return NULL;
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
		Node	   *model = signature == NULL ? NULL : model_argument(call, signature->model);

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
	CalledModels called = {0};

	(void) collect_models(stringToNode(TextDatumGetCString(PG_GETARG_DATUM(0))), &called);
	if (!called.calls)
		PG_RETURN_NULL();
	if (called.names == NULL)
		PG_RETURN_DATUM(PointerGetDatum(construct_empty_array(TEXTOID)));
	PG_RETURN_DATUM(makeArrayResult(called.names, CurrentMemoryContext));
}
