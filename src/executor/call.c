/*
 * call.c
 *	  A SQL function called for one row.
 */
#include "postgres.h"

#include "compat.h"
#include "executor/call.h"
#include "executor/recall.h"

const AlbertSignature *
AlbertCallSignature(FunctionCallInfo fcinfo, const AlbertTask *task)
{
	AlbertSignature *signature = fcinfo->flinfo->fn_extra;

	if (signature == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		signature = AlbertSignatureFor(fcinfo->flinfo->fn_oid, task);
		MemoryContextSwitchTo(old);
		if (signature == NULL)
			elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
		fcinfo->flinfo->fn_extra = signature;
	}
	return signature;
}

Datum
AlbertCallScalar(FunctionCallInfo fcinfo, const AlbertTask *task)
{
	const AlbertSignature *signature = AlbertCallSignature(fcinfo, task);
	AlbertItem	item;
	AlbertJob	job;
	AlbertRecall recall;
	AlbertAsked asked;

	if (!AlbertItemFill(&item, signature, fcinfo->args))
		PG_RETURN_NULL();
	AlbertJobStart(&job, signature, fcinfo->args);
	job.raises = true;
	AlbertRecallBegin(&recall, &job, signature, fcinfo->args);
	asked = AlbertRecallAsk(&recall, &item);
	AlbertRecallRun(&recall);
	AlbertRecallResult(&recall, asked, &item);
	fcinfo->isnull = item.isnull;
	return item.result;
}

Datum
AlbertCallRows(FunctionCallInfo fcinfo, const AlbertTask *task)
{
	const AlbertSignature *signature;
	AlbertItem	item;
	AlbertJob	job;

	InitMaterializedSRF(fcinfo, 0);
	signature = AlbertCallSignature(fcinfo, task);
	if (!AlbertItemFill(&item, signature, fcinfo->args))
		return (Datum) 0;
	AlbertJobStart(&job, signature, fcinfo->args);
	job.raises = true;
	item.rows = (ReturnSetInfo *) fcinfo->resultinfo;
	AlbertTaskRun(&job, &item, 1);
	return (Datum) 0;
}
