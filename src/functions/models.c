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

/* The next column of a row: a text, or NULL when there is none. */
static void
put_text(Datum *value, bool *isnull, const char *text)
{
	*isnull = text == NULL;
	*value = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

#define MODEL_COLUMNS	20

Datum
albert_models(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, AlbertStoreList())
	{
		const AlbertModelEntry *entry = lfirst(cell);
		bool		known = entry->architecture != NULL;
		Datum		values[MODEL_COLUMNS];
		bool		nulls[MODEL_COLUMNS];

		memset(nulls, 0, sizeof(nulls));
		values[0] = CStringGetTextDatum(entry->name);
		values[1] = CStringGetTextDatum(entry->state);
		put_text(&values[2], &nulls[2], entry->architecture);
		values[3] = head_array(entry->heads);
		values[4] = Int64GetDatum(entry->parameters);
		values[5] = Int32GetDatum(entry->layers);
		values[6] = Int32GetDatum(entry->hidden_size);
		nulls[3] = nulls[4] = nulls[5] = nulls[6] = !known;
		put_text(&values[7], &nulls[7], entry->precision);
		put_text(&values[8], &nulls[8], entry->kernel);
		values[9] = Int64GetDatum(entry->shared_bytes);
		put_text(&values[10], &nulls[10], entry->digest);
		put_text(&values[11], &nulls[11], entry->path);
		values[12] = TimestampTzGetDatum(entry->loaded_at);
		nulls[12] = entry->loaded_at == 0;
		put_text(&values[13], &nulls[13], entry->error);
		values[14] = CStringGetTextDatum(entry->origin);
		put_text(&values[15], &nulls[15], entry->owner);
		nulls[16] = entry->description == NULL;
		if (!nulls[16])
			values[16] = DirectFunctionCall1(jsonb_in, CStringGetDatum(entry->description));
		values[17] = Int64GetDatum(entry->file_bytes);
		nulls[17] = entry->file_bytes < 0;
		values[18] = Int32GetDatum(entry->users);
		values[19] = TimestampTzGetDatum(entry->last_used);
		nulls[19] = entry->last_used == 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

#define STATS_COLUMNS	7

Datum
albert_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, AlbertStoreCounts())
	{
		const AlbertCountsEntry *entry = lfirst(cell);
		Datum		values[STATS_COLUMNS];
		bool		nulls[STATS_COLUMNS];

		memset(nulls, 0, sizeof(nulls));
		values[0] = CStringGetTextDatum(entry->name);
		values[1] = Int64GetDatum(entry->counts.calls);
		values[2] = Int64GetDatum(entry->counts.rows);
		values[3] = Int64GetDatum(entry->counts.tokens);
		values[4] = Int64GetDatum(entry->counts.truncated);
		values[5] = Int64GetDatum(entry->counts.batches);
		values[6] = Float8GetDatum(entry->counts.microseconds / 1e6);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
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
