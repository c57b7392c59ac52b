/*
 * models.c
 *	  albert_models, albert_stats, albert_load, albert_unload,
 *	  albert_stats_reset: what models there are and what they do.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "functions/functions.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(albert_models);
PG_FUNCTION_INFO_V1(albert_stats);
PG_FUNCTION_INFO_V1(albert_load);
PG_FUNCTION_INFO_V1(albert_unload);
PG_FUNCTION_INFO_V1(albert_stats_reset);

static Datum
head_array(uint32 heads)
{
	Datum		names[32];
	const char *name;
	uint32		head;
	int			n = 0;
	int			i;

	for (i = 0; (name = AlbertHeadName(i, &head)) != NULL; i++)
	{
		if (heads & head)
			names[n++] = CStringGetTextDatum(name);
	}
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* NULL when there is none. */
static Datum
text_or_null(const char *text)
{
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

Datum
albert_models(PG_FUNCTION_ARGS)
{
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, AlbertStoreList())
	{
		const AlbertModelEntry *entry = lfirst(cell);
		const AlbertConfig *config = &entry->config;
		bool		known = config->class_name[0] != '\0';
		Datum		values[] = {
			CStringGetTextDatum(entry->name),
			CStringGetTextDatum(entry->state),
			known ? CStringGetTextDatum(AlbertCleanText(config->class_name)) : (Datum) 0,
			known ? head_array(config->heads) : (Datum) 0,
			Int64GetDatum(config->parameters),
			Int32GetDatum(config->num_hidden_layers),
			Int32GetDatum(config->hidden_size),
			text_or_null(entry->precision),
			text_or_null(entry->kernel),
			Int64GetDatum(entry->shared_bytes),
			text_or_null(entry->digest),
			text_or_null(entry->path),
			TimestampTzGetDatum(entry->loaded_at),
			text_or_null(entry->error),
			CStringGetTextDatum(entry->origin),
			text_or_null(entry->owner),
			entry->description == NULL ? (Datum) 0 : DirectFunctionCall1(jsonb_in, CStringGetDatum(entry->description)),
			Int64GetDatum(entry->file_bytes),
			Int32GetDatum(entry->users),
			TimestampTzGetDatum(entry->last_used)
		};
		bool		nulls[lengthof(values)] = {
			[4] = !known, [5] = !known, [6] = !known, [12] = entry->loaded_at == 0, [17] = entry->file_bytes < 0,
			[19] = entry->last_used == 0
		};

		AlbertPutRow((ReturnSetInfo *) fcinfo->resultinfo, values, nulls);
	}
	return (Datum) 0;
}

Datum
albert_stats(PG_FUNCTION_ARGS)
{
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, AlbertStoreCounts())
	{
		const AlbertCountsEntry *entry = lfirst(cell);
		const AlbertCounts *counts = &entry->counts;

		AlbertPutRow((ReturnSetInfo *) fcinfo->resultinfo, (Datum[]) {
			CStringGetTextDatum(entry->name), Int64GetDatum(counts->calls), Int64GetDatum(counts->rows),
			Int64GetDatum(counts->tokens), Int64GetDatum(counts->truncated), Int64GetDatum(counts->batches),
			Float8GetDatum(counts->microseconds / 1e6)
		}, NULL);
	}
	return (Datum) 0;
}

Datum
albert_load(PG_FUNCTION_ARGS)
{
	AlbertStoreLoad(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}

Datum
albert_unload(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(AlbertStoreUnload(text_to_cstring(PG_GETARG_TEXT_PP(0))));
}

Datum
albert_stats_reset(PG_FUNCTION_ARGS)
{
	AlbertStoreResetCounts();
	PG_RETURN_VOID();
}
