/*
 * embed_table.c
 *	  CALL albert_embed_table(...) and what other sessions see of it.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "executor/fill.h"
#include "executor/progress.h"
#include "executor/task.h"
#include "executor/text.h"
#include "functions/functions.h"

/* ---------- CALL albert_embed_table(relation, source, target, ...) ---------- */

static void
require_primary(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("albert_embed_table cannot fill a table on a standby"),
				 errhint("Call it on the primary; the standby receives what it writes.")));
	PreventCommandIfReadOnly("albert_embed_table");
}

static void
require_no_transaction_block(FunctionCallInfo fcinfo)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("albert_embed_table cannot run inside a transaction block"),
				 errdetail("It commits each batch of rows."),
				 errhint("Use UPDATE to fill a column in one transaction.")));
}

/* Does the function make one value of a text and a model, and options that have defaults? */
static bool
is_column_function(Oid function)
{
	AlbertSignature *signature = AlbertSignatureOf(function);

	return signature != NULL && !signature->returns_set &&
		signature->text == 0 && signature->types[0] == TEXTOID &&
		signature->model == 1 && signature->types[1] == TEXTOID;
}

Oid
AlbertColumnFunction(Oid schema, const char *task)
{
	char	   *schema_name = get_namespace_name(schema);
	char	   *name = psprintf("albert_%s", task);
	FuncCandidateList candidate;

	if (schema_name == NULL)
		elog(ERROR, "cache lookup failed for namespace %u", schema);
	candidate = AlbertFunctionCandidates(list_make2(makeString(schema_name), makeString(name)), 2);
	for (; candidate != NULL; candidate = candidate->next)
	{
		if (OidIsValid(candidate->oid) && is_column_function(candidate->oid))
			return candidate->oid;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no task \"%s\" that makes one value of one text", task),
			 errhint("Tasks are embedding, fill_mask, classify, labels, token_count, tokenize and encode.")));
	return InvalidOid;
}

/* An argument as a C string that outlives the batches' transactions; NULL for NULL. */
static char *
lasting_string(FunctionCallInfo fcinfo, int argument, bool is_name)
{
	MemoryContext old;
	char	   *string;

	if (PG_ARGISNULL(argument))
		return NULL;
	old = MemoryContextSwitchTo(PortalContext);
	string = is_name ? pstrdup(NameStr(*PG_GETARG_NAME(argument)))
		: AlbertCString(PG_GETARG_DATUM(argument));
	MemoryContextSwitchTo(old);
	return string;
}

/* A value of the options' object as what its argument's type is read from. */
static char *
option_string(Jsonb *options, const char *name, const JsonbValue *value)
{
	if (value->type != jbvString && value->type != jbvNumeric && value->type != jbvBool)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" must be a string, a number or a boolean", name)));
	return AlbertCString(DirectFunctionCall2(jsonb_object_field_text, JsonbPGetDatum(options),
											 CStringGetTextDatum(name)));
}

/* The options as a list of DefElem that outlives the batches' transactions. */
static List *
lasting_options(Jsonb *options)
{
	MemoryContext old = MemoryContextSwitchTo(PortalContext);
	JsonbIterator *iterator = JsonbIteratorInit(&options->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *name = NULL;
	List	   *list = NIL;

	if (!JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object"),
				 errhint("For example: options => '{\"normalized\": true}'.")));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
			list = lappend(list, makeDefElem(name, (Node *) makeString(option_string(options, name, &value)), -1));
	}
	MemoryContextSwitchTo(old);
	return list;
}

PG_FUNCTION_INFO_V1(albert_embed_table);
Datum
albert_embed_table(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"relation", "source", "target", "model", "task", "batch_tokens",
	"options", "condition", "errors"};
	AlbertFill fill = {0};

	require_no_transaction_block(fcinfo);
	require_primary();
	for (int i = 0; i < PG_NARGS(); i++)
	{
		if (PG_ARGISNULL(i) && i != 3 && i != 7 && i != 8)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", names[i])));
	}
	fill.relation = PG_GETARG_OID(0);
	fill.source = lasting_string(fcinfo, 1, false);
	fill.source_is_column = get_attnum(fill.relation, fill.source) != InvalidAttrNumber;
	fill.target = lasting_string(fcinfo, 2, true);
	fill.condition = lasting_string(fcinfo, 7, false);
	fill.errors = lasting_string(fcinfo, 8, true);
	fill.model = lasting_string(fcinfo, 3, false);
	fill.task = lasting_string(fcinfo, 4, false);
	fill.batch_tokens = AlbertIntOption("batch_tokens", PG_GETARG_DATUM(5), 1, 1000000);
	fill.options = lasting_options(PG_GETARG_JSONB_P(6));
	fill.default_model = fill.model == NULL;
	if (fill.default_model)
		fill.model = MemoryContextStrdup(PortalContext, albert_model);
	fill.function = AlbertColumnFunction(get_func_namespace(fcinfo->flinfo->fn_oid), fill.task);
	AlbertFillRun(&fill);
	PG_RETURN_VOID();
}

/* ---------- albert_progress ---------- */

static void
put_progress(ReturnSetInfo *rsinfo, const AlbertProgress *progress)
{
	int64		done = progress->rows_done + progress->rows_failed;
	double		seconds = (GetCurrentTimestamp() - progress->started_at) / 1e6;
	double		rate = seconds > 0 ? done / seconds : 0;
	char	   *database = get_database_name(progress->database);
	bool		may_see = has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		has_privs_of_role(GetUserId(), progress->role);
	Datum		values[] = {
		Int32GetDatum(progress->pid),
		database == NULL ? (Datum) 0 : CStringGetTextDatum(database),
		ObjectIdGetDatum(progress->relation),	/* another database's table is a number here */
		CStringGetTextDatum(progress->task),
		CStringGetTextDatum(progress->model),
		Int64GetDatum(progress->rows_total),
		Int64GetDatum(progress->rows_done),
		Int64GetDatum(progress->rows_failed),
		Int64GetDatum(progress->tokens),
		Float4GetDatum((float) rate),
		TimestampTzGetDatum(progress->started_at),
		Float8GetDatum(Max(progress->rows_total - done, 0) / rate)
	};
	bool		nulls[lengthof(values)] = {[2] = !OidIsValid(progress->relation), [11] = rate <= 0};

	/* as in the server's own views of progress, which tell everybody that there is something */
	for (int i = 2; !may_see && i < lengthof(values); i++)
		nulls[i] = true;
	AlbertPutRow(rsinfo, values, nulls);
}

PG_FUNCTION_INFO_V1(albert_progress_rows);
Datum
albert_progress_rows(PG_FUNCTION_ARGS)
{
	AlbertProgress *list;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	list = AlbertProgressList(&n);
	for (int i = 0; i < n; i++)
		put_progress((ReturnSetInfo *) fcinfo->resultinfo, &list[i]);
	return (Datum) 0;
}
