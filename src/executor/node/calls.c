/*
 * calls.c
 *	  The calls of a batch: what each row asks for, and its result.
 *
 * A job that does not even start (no such model, a bad option) must fail when
 * the turn of the first row comes that needs it.  So as long as no job of the
 * call has started, such a row begins a batch.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "portability/instr_time.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

#include "executor/node/node.h"
#include "executor/text.h"

void
AlbertCallBegin(AlbertNodeState *node, AlbertCall *call, FuncExpr *expr)
{
	ListCell   *cell;

	call->signature = AlbertSignatureOf(expr->funcid);
	if (call->signature == NULL || call->signature->nargs != list_length(expr->args))
		elog(ERROR, "function %u is no longer a task of albert", expr->funcid);
	call->strict = func_strict(expr->funcid);
	call->scale = 1;
	foreach(cell, expr->args)
		call->args[foreach_current_index(cell)] = ExecInitExpr(lfirst(cell), &node->css.ss.ps);
}

/* In batch_context: the arguments may be of one row only. */
static void
start_job(AlbertNodeState *node, AlbertCall *call, const NullableDatum *args)
{
	MemoryContext old = MemoryContextSwitchTo(node->batch_context);
	const AlbertSignature *signature = call->signature;
	NullableDatum *copies = palloc(ALBERT_MAX_ARGS * sizeof(NullableDatum));

	for (int i = 0; i < signature->nargs; i++)
	{
		copies[i] = args[i];
		if (AlbertIsText(signature, i))
			copies[i].isnull = true;
		else if (!args[i].isnull)
			copies[i].value = datumCopy(args[i].value, signature->byvals[i], signature->lens[i]);
	}
	AlbertJobStart(&call->job, signature, copies);
	AlbertRecallBegin(&call->recall, &call->job, signature, copies);
	call->started = true;
	call->proven = true;
	MemoryContextSwitchTo(old);
}

/* Can the texts be converted to UTF-8?  Else an error is raised when they are. */
static bool
are_convertible(const AlbertSignature *signature, const NullableDatum *args)
{
	return AlbertTextIsConvertible(args[signature->text].value) &&
		(signature->pair < 0 || AlbertTextIsConvertible(args[signature->pair].value));
}

bool
AlbertCallAsk(AlbertNodeState *node, AlbertCall *call, bool first, AlbertAsked *asked)
{
	ExprContext *econtext = node->css.ss.ps.ps_ExprContext;
	MemoryContext old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	const AlbertSignature *signature = call->signature;
	NullableDatum args[ALBERT_MAX_ARGS];
	AlbertItem	item;
	bool		filled = true;
	bool		may_fail;

	*asked = (AlbertAsked) {.text = -1, .pair = -1};
	for (int i = 0; i < signature->nargs; i++)
	{
		args[i].value = ExecEvalExpr(call->args[i], econtext, &args[i].isnull);
		if (args[i].isnull && (call->strict || !AlbertIsOption(signature, i)))
			filled = false;
	}
	may_fail = filled && !(call->proven && are_convertible(signature, args));
	if (filled && (!may_fail || first) && AlbertItemFill(&item, signature, args))
	{
		if (!call->started)
			start_job(node, call, args);
		*asked = AlbertRecallAsk(&call->recall, &item);
	}
	MemoryContextSwitchTo(old);
	return !may_fail || first;
}

bool
AlbertCallIsFull(const AlbertCall *call, double tokens)
{
	const AlbertRecall *recall = &call->recall;

	/* one text more would be too many */
	return call->started && recall->nmissing > 0 &&
		call->scale * recall->tokens * (recall->nmissing + 1) / recall->nmissing > tokens;
}

static void
count(AlbertNodeState *node, AlbertNodeCount what, uint64 n)
{
	pg_atomic_fetch_add_u64(&node->counts[what], n);
}

void
AlbertCallRun(AlbertNodeState *node, AlbertCall *call)
{
	MemoryContext old = MemoryContextSwitchTo(node->batch_context);
	const AlbertRecallCounts *counts = &call->recall.counts;
	double		tokens = call->recall.tokens;
	instr_time	start;
	instr_time	stop;

	if (call->started)
	{
		INSTR_TIME_SET_CURRENT(start);
		AlbertRecallRun(&call->recall);
		INSTR_TIME_SET_CURRENT(stop);
		INSTR_TIME_SUBTRACT(stop, start);
		count(node, ALBERT_COUNT_TEXTS, counts->texts);
		count(node, ALBERT_COUNT_HITS, counts->hits);
		count(node, ALBERT_COUNT_MISSES, counts->misses);
		count(node, ALBERT_COUNT_EVICTIONS, counts->evictions);
		count(node, ALBERT_COUNT_TOKENS, call->job.counts.tokens);
		count(node, ALBERT_COUNT_BATCHES, Max(call->job.counts.batches, call->job.counts.calls));
		count(node, ALBERT_COUNT_MICROSECONDS, INSTR_TIME_GET_MICROSEC(stop));
		if (tokens > 0 && call->job.counts.tokens > 0)
			call->scale = call->job.counts.tokens / tokens;
	}
	MemoryContextSwitchTo(old);
}

Datum
AlbertCallResult(AlbertCall *call, AlbertAsked asked, bool *isnull)
{
	AlbertItem	item;

	AlbertRecallResult(&call->recall, asked, &item);
	if (item.status != NULL)
		AlbertReport(item.status);
	*isnull = item.isnull;
	return item.result;
}
