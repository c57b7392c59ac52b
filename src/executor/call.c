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
AlbertTaskCall(FunctionCallInfo fcinfo, const AlbertTask *task)
{
	const AlbertSignature *signature = AlbertCallSignature(fcinfo, task);
	AlbertItem	item;
	AlbertJob	job;
	AlbertRecall recall;
	AlbertAsked asked;

	if (signature->returns_set)
		InitMaterializedSRF(fcinfo, 0);
	if (!AlbertItemFill(&item, signature, fcinfo->args))
		PG_RETURN_NULL();
	AlbertJobStart(&job, signature, fcinfo->args);
	job.raises = true;
	if (signature->returns_set)
	{
		item.rows = (ReturnSetInfo *) fcinfo->resultinfo;
		AlbertTaskRun(&job, &item, 1);
		PG_RETURN_NULL();
	}
	AlbertRecallBegin(&recall, &job, signature, fcinfo->args);
	asked = AlbertRecallAsk(&recall, &item);
	AlbertRecallRun(&recall);
	AlbertRecallResult(&recall, asked, &item);
	fcinfo->isnull = item.isnull;
	return item.result;
}
