/*
 * fill_batch.c
 *	  A batch of a fill: rows that it has locked are computed together and
 *	  written, in the same transaction.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "executor/fill_internal.h"
#include "executor/text.h"

/* ---------- computing ---------- */

/* The argument of an option, -1: the function has no such option. */
static int
option_argument(const AlbertSignature *signature, const char *name)
{
	for (int i = 0; i < signature->nargs; i++)
	{
		if (AlbertIsOption(signature, i) && strcmp(signature->names[i], name) == 0)
			return i;
	}
	return -1;
}

static void
reject_option(const FillRun *run, const char *name)
{
	const AlbertSignature *signature = run->signature;
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < signature->nargs; i++)
	{
		if (AlbertIsOption(signature, i))
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", signature->names[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("task \"%s\" has no option \"%s\"", run->fill->task, name),
			 names.len > 0 ? errhint("Its options are: %s.", names.data) : errhint("It has no options.")));
}

static void
option_context(void *option)
{
	errcontext("option \"%s\"", ((DefElem *) option)->defname);
}

/* An option's string as a value of its argument's type. */
static Datum
option_value(DefElem *option, Oid type)
{
	ErrorContextCallback context = {.callback = option_context, .arg = option, .previous = error_context_stack};
	Oid			input;
	Oid			parameter;
	Datum		value;

	error_context_stack = &context;
	getTypeInputInfo(type, &input, &parameter);
	value = OidInputFunctionCall(input, strVal(option->arg), parameter, -1);
	error_context_stack = context.previous;
	return value;
}

/* The arguments of the rows' calls; what is not given is left at its default. */
static void
read_arguments(FillRun *run)
{
	const AlbertSignature *signature = run->signature;
	NullableDatum *args = run->args;
	ListCell   *cell;

	for (int i = 0; i < ALBERT_MAX_ARGS; i++)
		args[i].isnull = true;
	args[signature->model] = (NullableDatum) {.value = CStringGetTextDatum(run->fill->model)};
	if (signature->pair >= 0)
		args[signature->pair] = (NullableDatum) {.value = CStringGetTextDatum("")};
	foreach(cell, run->fill->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);
		int			i = option_argument(signature, option->defname);

		if (i < 0)
			reject_option(run, option->defname);
		args[i] = (NullableDatum) {.value = option_value(option, signature->types[i])};
	}
}

/*
 * A model that has been loaded anew since the last batch must be the same one: values of two are not to be mixed.
 * Where only its tokenizer is loaded that is not known.
 */
static void
require_same_model(FillRun *run, const AlbertBinding *binding)
{
	if (!binding->has_weights)
		return;
	if (run->has_identity && memcmp(binding->identity, run->identity, ALBERT_SHA256_LEN) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the files of model \"%s\" have been changed while table \"%s\" was being filled",
						binding->name, run->table_name),
				 errdetail("%lld rows have been filled by the model as it was.", (long long) run->progress.rows_done),
				 errhint("Empty the column, and call albert_embed_table again.")));
	memcpy(run->identity, binding->identity, ALBERT_SHA256_LEN);
	run->has_identity = true;
}

/* A named model follows no setting, as its function does not. */
static void
start_job(FillRun *run, AlbertJob *job)
{
	int			overflow = option_argument(run->signature, "overflow");

	AlbertJobStart(job, run->signature, run->args);
	if (run->fill->default_model && (overflow < 0 || run->args[overflow].isnull))
		job->overflow = albert_overflow;
	require_same_model(run, job->binding);
}

void
AlbertFillBatchBegin(FillRun *run)
{
	AlbertJob	job;

	AlbertFillLeafRequireFunction(run);
	run->signature = AlbertSignatureOf(run->fill->function);
	read_arguments(run);
	start_job(run, &job);
}

/* A row's texts; with a status where they are no texts to the tokenizer. */
static void
fill_item(FillRun *run, const AlbertJob *job, const BatchRow *row, AlbertItem *item)
{
	AlbertStatus status;

	if (AlbertTextIsConvertible(row->source))
	{
		run->args[run->signature->text] = (NullableDatum) {.value = row->source};
		(void) AlbertItemFill(item, run->signature, run->args);
		return;
	}
	AlbertFail(&status, ALBERT_INPUT, "text has a character that cannot be converted from encoding \"%s\" to \"UTF8\"",
			   GetDatabaseEncodingName());
	item->text.data = "";
	AlbertItemFail(job, item, &status);
}

/* The results of the batch's rows. */
static AlbertItem *
compute_batch(FillRun *run)
{
	AlbertItem *items = palloc0(run->nrows * sizeof(AlbertItem));
	AlbertJob	job;

	start_job(run, &job);
	for (int i = 0; i < run->nrows; i++)
		fill_item(run, &job, &run->rows[i], &items[i]);
	AlbertTaskRun(&job, items, run->nrows);
	return items;
}

/* ---------- writing ---------- */

/* A statement that sets a column of a row, and tells whether it is NULL then. */
static SPIPlanPtr
prepare_update(const FillRun *run, const char *column, Oid type)
{
	Oid			types[2] = {TIDOID, type};
	const char *name = quote_identifier(column);
	SPIPlanPtr	plan = SPI_prepare_cursor(psprintf("UPDATE %s SET %s = $2 "
												   "WHERE ctid OPERATOR(pg_catalog.=) $1 AND %s "
												   "RETURNING ctid, xmin, %s IS NULL",
												   run->table, name, run->is_leaf, name),
										  2, types, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	return plan;
}

/* Set a column of a row.  False when it is NULL then all the same, in the version that *version is now. */
static bool
set_column(SPIPlanPtr update, RowVersion *version, Datum value)
{
	Datum		values[2] = {PointerGetDatum(&version->tid), value};
	bool		is_null = true;
	bool		isnull;

	if (SPI_execute_plan(update, values, NULL, false, 0) != SPI_OK_UPDATE_RETURNING)
		elog(ERROR, "updating a row failed: %s", SPI_result_code_string(SPI_result));
	/* none: a trigger has kept it from being updated */
	if (SPI_processed == 1)
	{
		AlbertRowVersion(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, version);
		is_null = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	return !is_null;
}

/*
 * Put the reason why a row is left out into the errors column, where it is nothing
 * to do any more; false if it is not there.
 */
static bool
note_reason(FillRun *run, SPIPlanPtr note, BatchRow *row, const char *reason)
{
	if (note == NULL || !set_column(note, &row->version, CStringGetTextDatum(reason)))
		return false;
	run->noted++;
	run->left_out++;
	return true;
}

/* A model that cannot do the task is no row's fault, and ends it. */
static void
refuse_row(FillRun *run, SPIPlanPtr note, BatchRow *row, const AlbertStatus *status)
{
	ItemPointerData tid = row->version.tid;
	char	   *reason;

	if (status->code != ALBERT_INPUT && status->code != ALBERT_TOO_LONG)
		AlbertReport(status);
	reason = AlbertCleanText(status->message);
	if (note_reason(run, note, row, reason))
		return;
	AlbertFillRowsLeaveOut(run, &row->version, LEFT_REFUSED);
	ereport(WARNING,
			(errcode(AlbertStatusSqlState(status)),
			 errmsg("row (%u,%u) of table \"%s\" left out: %s",
					ItemPointerGetBlockNumber(&tid), ItemPointerGetOffsetNumber(&tid),
					run->leaf_name, reason)));
}

static void
write_row(FillRun *run, SPIPlanPtr update, SPIPlanPtr note, BatchRow *row, const AlbertItem *item)
{
	if (item->isnull && note_reason(run, note, row, "the value is NULL"))
		return;
	if (item->isnull || !set_column(update, &row->version, item->result))
	{
		/* it would be found again for ever */
		AlbertFillRowsLeaveOut(run, &row->version, LEFT_NULL);
		return;
	}
	run->progress.rows_done++;
	run->progress.tokens += row->tokens;
}

void
AlbertFillBatchRun(FillRun *run)
{
	const AlbertFill *fill = run->fill;
	SPIPlanPtr	update = prepare_update(run, fill->target, get_func_rettype(fill->function));
	SPIPlanPtr	note = fill->errors == NULL ? NULL : prepare_update(run, fill->errors, TEXTOID);
	AlbertItem *items = compute_batch(run);

	for (int i = 0; i < run->nrows; i++)
	{
		if (items[i].status != NULL)
			refuse_row(run, note, &run->rows[i], items[i].status);
		else
			write_row(run, update, note, &run->rows[i], &items[i]);
	}
}
