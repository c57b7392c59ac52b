/*
 * trigger.c
 *	  albert_embedding_trigger(target, source [, model]): keeps an embedding
 *	  column in step with its text; albert_stale_trigger(target, source ...):
 *	  empties a column when what it has been made from changes.
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
#include "functions/functions.h"

static void
require_row_trigger(FunctionCallInfo fcinfo, const TriggerData *data, const char *name, bool for_insert)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s must be called as a trigger", name)));
	if (!TRIGGER_FIRED_FOR_ROW(data->tg_event) || !TRIGGER_FIRED_BEFORE(data->tg_event) ||
		!(TRIGGER_FIRED_BY_UPDATE(data->tg_event) || (for_insert && TRIGGER_FIRED_BY_INSERT(data->tg_event))))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s must be fired for each row before %s", name, for_insert ? "INSERT or UPDATE" : "UPDATE")));
}

static void
require_embedding_arguments(const TriggerData *data)
{
	if (data->tg_trigger->tgnargs < 2 || data->tg_trigger->tgnargs > 3)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("albert_embedding_trigger takes two or three arguments, not %d",
						data->tg_trigger->tgnargs),
				 errhint("Its arguments are the target column, the source column and, if it is not the default, the "
						 "model.")));
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

/*
 * Generated columns are computed when all triggers before the row's change have
 * run: there is nothing in them yet, or the old value.
 */
static void
require_plain_columns(const char *trigger, Form_pg_attribute target, Form_pg_attribute source)
{
	if (target->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" is a generated column", NameStr(target->attname)),
				 errdetail("The server fills it whenever a row is written.")));
	if (source->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s cannot read the generated column \"%s\"", trigger, NameStr(source->attname)),
				 errdetail("Generated columns are computed after the triggers that run before a row is written."),
				 errhint("Name the columns that it is made from.")));
}

/*
 * The embedding's function must be granted to who writes the row, as it must be
 * for a generated column.  Once a statement, as there.
 */
static void
require_execute(FunctionCallInfo fcinfo)
{
	static char checked;

	if (fcinfo->flinfo->fn_extra == &checked)
		return;
	AlbertRequireExecute(AlbertColumnFunction(get_func_namespace(fcinfo->flinfo->fn_oid), "embedding"));
	fcinfo->flinfo->fn_extra = &checked;
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

/* Is a long value stored where the other is, so that it need not be read? */
static bool
is_same_place(Datum a, Datum b)
{
	struct varlena *one = (struct varlena *) DatumGetPointer(a);
	struct varlena *other = (struct varlena *) DatumGetPointer(b);

	return VARATT_IS_EXTERNAL_ONDISK(one) && VARATT_IS_EXTERNAL_ONDISK(other) &&
		memcmp(one, other, VARSIZE_EXTERNAL(one)) == 0;
}

/*
 * Does an update give a column another value?  What the target holds plays no
 * part: a value given for a new text need not be its embedding, and a column
 * that is emptied is for a job to fill.
 */
static bool
is_changed(const TriggerData *data, int source)
{
	HeapTuple	row = data->tg_newtuple;
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	Form_pg_attribute column = TupleDescAttr(desc, source - 1);
	bool		old_null;
	bool		new_null;
	Datum		old_value;
	Datum		new_value;

	old_value = heap_getattr(data->tg_trigtuple, source, desc, &old_null);
	new_value = heap_getattr(row, source, desc, &new_null);
	if (old_null || new_null)
		return old_null != new_null;
	if (column->attlen == -1 && is_same_place(old_value, new_value))
		return false;
	return !datum_image_eq(old_value, new_value, column->attbyval, column->attlen);
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
				 errhint("The column's type must be real[] or one that real[] can be assigned to, such as pgvector's "
						 "vector.")));
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
	job.raises = true;
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

	require_row_trigger(fcinfo, data, "albert_embedding_trigger", true);
	require_embedding_arguments(data);
	desc = RelationGetDescr(data->tg_relation);
	target = column_number(data, 0);
	source = column_number(data, 1);
	row = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
	require_plain_columns("albert_embedding_trigger", TupleDescAttr(desc, target - 1), TupleDescAttr(desc, source - 1));
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event) && !is_changed(data, source))
		return PointerGetDatum(row);
	value = heap_getattr(row, source, desc, &isnull);
	if (!isnull)
	{
		AlbertText	text = value_text(value, TupleDescAttr(desc, source - 1)->atttypid);
		const char *model = data->tg_trigger->tgnargs > 2 ? data->tg_trigger->tgargs[2] : NULL;

		require_execute(fcinfo);
		value = embed(&text, model);
	}
	value = coerce_embedding(value, isnull, TupleDescAttr(desc, target - 1));
	row = heap_modify_tuple_by_cols(row, desc, 1, &target, &value, &isnull);
	return PointerGetDatum(row);
}

PG_FUNCTION_INFO_V1(albert_stale_trigger);
Datum
albert_stale_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	int			target;
	bool		changed = false;
	bool		isnull = true;
	Datum		value = (Datum) 0;

	require_row_trigger(fcinfo, data, "albert_stale_trigger", false);
	if (data->tg_trigger->tgnargs < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("albert_stale_trigger takes two arguments or more, not %d", data->tg_trigger->tgnargs),
				 errhint("Its arguments are the target column and the columns that it is made from.")));
	desc = RelationGetDescr(data->tg_relation);
	target = column_number(data, 0);
	for (int i = 1; i < data->tg_trigger->tgnargs; i++)
	{
		int			source = column_number(data, i);

		require_plain_columns("albert_stale_trigger", TupleDescAttr(desc, target - 1), TupleDescAttr(desc, source - 1));
		changed = changed || is_changed(data, source);
	}
	if (!changed)
		return PointerGetDatum(data->tg_newtuple);
	/* a column's type may refuse what is not seen by the column's own constraint */
	if (get_typtype(TupleDescAttr(desc, target - 1)->atttypid) == TYPTYPE_DOMAIN)
		domain_check(value, isnull, TupleDescAttr(desc, target - 1)->atttypid, NULL, NULL);
	return PointerGetDatum(heap_modify_tuple_by_cols(data->tg_newtuple, desc, 1, &target, &value, &isnull));
}
