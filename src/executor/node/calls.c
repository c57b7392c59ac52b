/*
 * calls.c
 *	  The calls of a batch: what each row asks for, and its result.
 *
 * A job that does not even start (no such model, a bad option) must fail when
 * the turn of the first row comes that needs it, and after whatever else fails
 * in this row.  So as long as no job of the call has started, such a row is
 * evaluated plainly and ends its batch, unless it is the batch's first and has
 * nothing else that can fail.  A text that has no result fails at its row's
 * turn, too: that row is evaluated plainly.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "portability/instr_time.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "executor/node/node.h"
#include "executor/text.h"

void
AlbertCallBegin(AlbertNodeState *node, AlbertCall *call, FuncExpr *expr, int column)
{
	ListCell   *cell;

	call->signature = AlbertSignatureOf(expr->funcid);
	if (call->signature == NULL || call->signature->nargs != list_length(expr->args))
		elog(ERROR, "function %u is no longer a task of albert", expr->funcid);
	call->strict = func_strict(expr->funcid);
	call->column = column;
	call->scale = 1;
	call->constant = true;
	foreach(cell, expr->args)
	{
		int			i = foreach_current_index(cell);

		call->args[i] = ExecInitExpr(lfirst(cell), &node->css.ss.ps);
		if (!AlbertIsText(call->signature, i) && !IsA(lfirst(cell), Const))
			call->constant = false;
	}
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
AlbertCallAsk(AlbertNodeState *node, AlbertCall *call, int row)
{
	ExprContext *econtext = node->css.ss.ps.ps_ExprContext;
	MemoryContext old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	const AlbertSignature *signature = call->signature;
	NullableDatum args[ALBERT_MAX_ARGS];
	AlbertItem	item;
	bool		filled = true;
	bool		good = true;

	call->rows[row] = -1;
	for (int i = 0; i < signature->nargs; i++)
	{
		args[i].value = ExecEvalExpr(call->args[i], econtext, &args[i].isnull);
		if (args[i].isnull && (call->strict || !AlbertIsOption(signature, i)))
			filled = false;
	}
	if (filled && !call->proven)
	{
		good = (node->flags & ALBERT_NODE_ALONE) != 0 && row == 0;
		call->proving = !good;
	}
	if (filled && good)
		good = are_convertible(signature, args);
	if (filled && good)
		filled = AlbertItemFill(&item, signature, args);
	if (filled && good)
	{
		if (!call->started)
			start_job(node, call, args);
		call->rows[row] = AlbertRecallAsk(&call->recall, &item);
	}
	MemoryContextSwitchTo(old);
	return good;
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
put_result(AlbertNodeState *node, AlbertCall *call, int row)
{
	Size		place = (Size) row * node->natts + call->column;
	AlbertItem	item = {.isnull = true};

	if (call->rows[row] >= 0)
		AlbertRecallResult(&call->recall, call->rows[row], &item);
	if (item.status != NULL)
		node->plain[row] = true;
	node->values[place] = item.result;
	node->isnull[place] = item.isnull;
}

void
AlbertCallRun(AlbertNodeState *node, AlbertCall *call)
{
	MemoryContext old = MemoryContextSwitchTo(node->batch_context);
	AlbertNodeCounts counts = {0};
	double		tokens;
	instr_time	start;
	instr_time	stop;

	if (call->started)
	{
		tokens = call->recall.tokens;
		INSTR_TIME_SET_CURRENT(start);
		AlbertRecallRun(&call->recall);
		INSTR_TIME_SET_CURRENT(stop);
		INSTR_TIME_SUBTRACT(stop, start);
		counts.recall = call->recall.counts;
		counts.tokens = call->job.counts.tokens;
		counts.batches = Max(call->job.counts.batches, call->job.counts.calls);
		counts.microseconds = INSTR_TIME_GET_MICROSEC(stop);
		if (tokens > 0 && counts.tokens > 0)
			call->scale = counts.tokens / tokens;
	}
	for (int row = 0; row < node->nrows; row++)
	{
		if (!node->plain[row])
			put_result(node, call, row);
	}
	MemoryContextSwitchTo(old);
	AlbertNodeCount(node, &counts);
}
