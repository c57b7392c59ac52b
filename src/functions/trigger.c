/*
 * trigger.c
 *	  albert_embedding_trigger(target, source [, model]): keeps an embedding
 *	  column in step with its text.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "executor/task.h"
#include "executor/text.h"
#include "functions/embedding.h"
#include "functions/functions.h"

static void
require_row_trigger(FunctionCallInfo fcinfo, const TriggerData *data)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("albert_embedding_trigger must be called as a trigger")));
	if (!TRIGGER_FIRED_FOR_ROW(data->tg_event) || !TRIGGER_FIRED_BEFORE(data->tg_event) ||
		!(TRIGGER_FIRED_BY_INSERT(data->tg_event) || TRIGGER_FIRED_BY_UPDATE(data->tg_event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("albert_embedding_trigger must be fired for each row before INSERT or UPDATE")));
	if (data->tg_trigger->tgnargs < 2 || data->tg_trigger->tgnargs > 3)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("albert_embedding_trigger takes two or three arguments, not %d",
						data->tg_trigger->tgnargs),
				 errhint("Its arguments are the target column, the source column and, if it is not the default, the model.")));
}

static int
column_number(const TriggerData *data, int argument)
{
	const char *name = data->tg_trigger->tgargs[argument];
	int			number = SPI_fnumber(RelationGetDescr(data->tg_relation), name);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						name, RelationGetRelationName(data->tg_relation))));
	return number;
}

/* A value's text, by its type's output function unless it is a text already. */
static AlbertText
value_text(Datum value, Oid type)
{
	Oid			output;
	bool		varlena;

	type = getBaseType(type);
	if (type == TEXTOID || type == VARCHAROID)
		return AlbertTextFromDatum(value);
	getTypeOutputInfo(type, &output, &varlena);
	return AlbertTextFromDatum(CStringGetTextDatum(OidOutputFunctionCall(output, value)));
}

/* Is there nothing to do: the text is what it was, and its embedding is there? */
static bool
is_fresh(const TriggerData *data, HeapTuple row, int source, int target)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	Form_pg_attribute column = TupleDescAttr(desc, source - 1);
	bool		old_null;
	bool		new_null;
	bool		target_null;
	Datum		old_value;
	Datum		new_value;

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return false;
	(void) heap_getattr(row, target, desc, &target_null);
	old_value = heap_getattr(data->tg_trigtuple, source, desc, &old_null);
	new_value = heap_getattr(row, source, desc, &new_null);
	if (target_null || old_null || new_null)
		return false;
	return datum_image_eq(old_value, new_value, column->attbyval, column->attlen);
}

/* A real[] as the column's type, by what an assignment would do, a domain's checks included. */
static Datum
coerce_embedding(Datum embedding, bool isnull, Form_pg_attribute column)
{
	Node	   *value;
	Const	   *result;

	if (column->atttypid == FLOAT4ARRAYOID)
		return embedding;
	value = (Node *) makeConst(FLOAT4ARRAYOID, -1, InvalidOid, -1, embedding, isnull, false);
	value = coerce_to_target_type(NULL, value, FLOAT4ARRAYOID, column->atttypid, column->atttypmod,
								  COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("an embedding cannot be stored in a column of type %s",
						format_type_be(column->atttypid)),
				 errhint("The column's type must be real[] or one that real[] can be assigned to, such as pgvector's vector.")));
	result = castNode(Const, evaluate_expr(expression_planner((Expr *) value), column->atttypid,
										   column->atttypmod, column->attcollation));
	return result->constvalue;
}

static Datum
embed(const AlbertText *text, const char *model)
{
	AlbertItem	item = {.text = *text};
	AlbertJob	job;

	AlbertJobStartTask(&job, &albert_embedding_task, model);
	AlbertTaskRun(&job, &item, 1);
	return item.result;
}

PG_FUNCTION_INFO_V1(albert_embedding_trigger);
Datum
albert_embedding_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	HeapTuple	row;
	int			target;
	int			source;
	bool		isnull;
	Datum		value;

	require_row_trigger(fcinfo, data);
	desc = RelationGetDescr(data->tg_relation);
	target = column_number(data, 0);
	source = column_number(data, 1);
	row = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
	if (is_fresh(data, row, source, target))
		return PointerGetDatum(row);
	value = heap_getattr(row, source, desc, &isnull);
	if (!isnull)
	{
		AlbertText	text = value_text(value, TupleDescAttr(desc, source - 1)->atttypid);
		const char *model = data->tg_trigger->tgnargs > 2 ? data->tg_trigger->tgargs[2] : NULL;

		value = embed(&text, model);
	}
	value = coerce_embedding(value, isnull, TupleDescAttr(desc, target - 1));
	row = heap_modify_tuple_by_cols(row, desc, 1, &target, &value, &isnull);
	return PointerGetDatum(row);
}
