/*
 * node_calls.c
 *	  The calls of a batch: rows are sorted into jobs by their model and
 *	  options, and into items by their texts, so that each distinct text is
 *	  computed once.
 *
 * Errors.  An error of some row must be raised when that row's turn comes, and
 * not at all when it never does.  So the errors that a row's own texts can
 * cause (bad characters, too many tokens, no mask, ...), or their model, are caught here, and
 * the batch's rows are then evaluated one by one as without the node: then the
 * row's error is raised again at its place.
 *
 * Catching without a subtransaction is safe for what is caught: the code in
 * between is AlbertItemFill and AlbertTaskRun only, for a job whose model is
 * attached.  When they raise one of these errors they hold no lock, buffer,
 * file or other resource that an abort would have to give back; memory is in
 * contexts that are reset with the batch, and the runs' workspace is emptied by
 * the next run.  All other errors (cancellation, memory, damaged storage) pass.
 * AlbertJobStart may load a model, and is not covered: it runs where its error
 * would have come next anyway, or for a job that has started before.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "common/hashfn.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "executor/node_internal.h"

/* Sorts of jobs by call; beyond, rows are computed one by one. */
#define MAX_GROUPS	64

/* ---------- errors ---------- */

/*
 * A parallel worker's error is thrown again here when the leader looks for
 * interrupts; access/transam/parallel.c marks it by a line of context.
 */
static bool
is_workers_error(void)
{
	ErrorData  *error = CopyErrorData();
	bool		result = error->context != NULL && strstr(error->context, _("parallel worker")) != NULL;

	FreeErrorData(error);
	return result;
}

/*
 * In PG_CATCH: swallow an error of a row computed here, let others pass.  A
 * model's error, too, belongs to the first row that asks for that model, which
 * need not be the first of the batch.
 */
static void
swallow_row_error(MemoryContext context)
{
	MemoryContextSwitchTo(context);
	if (AlbertErrorBlame(geterrcode()) == ALBERT_BLAME_SERVER ||
		(ParallelContextActive() && is_workers_error()))
		PG_RE_THROW();
	FlushErrorState();
}

/* AlbertItemFill; false when it raised a row's error. */
static bool
fill_item(AlbertItem *item, const AlbertSignature *signature, const NullableDatum *args, bool *filled)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool good = true;

	PG_TRY();
	{
		*filled = AlbertItemFill(item, signature, args);
	}
	PG_CATCH();
	{
		swallow_row_error(context);
		good = false;
	}
	PG_END_TRY();
	return good;
}

static bool
run_job(AlbertJob *job, AlbertItem *items, int n)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool good = true;

	PG_TRY();
	{
		AlbertTaskRun(job, items, n);
	}
	PG_CATCH();
	{
		swallow_row_error(context);
		good = false;
	}
	PG_END_TRY();
	return good;
}

/* ---------- jobs ---------- */

static bool
same_job(const AlbertCall *call, const AlbertGroup *group, const NullableDatum *args)
{
	for (int i = 0; i < call->nargs; i++)
	{
		if (call->is_text[i])
			continue;
		if (group->args[i].isnull != args[i].isnull)
			return false;
		if (!args[i].isnull &&
			!datum_image_eq(group->args[i].value, args[i].value, call->typbyval[i], call->typlen[i]))
			return false;
	}
	return true;
}

static int
add_group(AlbertNodeState *node, AlbertCall *call, const NullableDatum *args)
{
	MemoryContext old = MemoryContextSwitchTo(node->group_context);
	AlbertGroup *group;

	if (call->groups == NULL)
		call->groups = palloc(MAX_GROUPS * sizeof(AlbertGroup));
	group = &call->groups[call->ngroups];
	memset(group, 0, sizeof(*group));
	for (int i = 0; i < call->nargs; i++)
	{
		group->args[i].isnull = call->is_text[i] || args[i].isnull;
		if (!group->args[i].isnull)
			group->args[i].value = datumCopy(args[i].value, call->typbyval[i], call->typlen[i]);
	}
	MemoryContextSwitchTo(old);
	return call->ngroups++;
}

/* The number of the job that computes a call with these arguments; -1: too many. */
static int
find_group(AlbertNodeState *node, AlbertCall *call, const NullableDatum *args)
{
	for (int i = 0; i < call->ngroups; i++)
	{
		if (call->one_group || same_job(call, &call->groups[i], args))
			return i;
	}
	return call->ngroups < MAX_GROUPS ? add_group(node, call, args) : -1;
}

/* ---------- distinct texts ---------- */

static uint32
hash_texts(const AlbertText *text, const AlbertText *pair)
{
	uint32		hash = hash_bytes((const unsigned char *) text->data, (int) text->size);

	if (pair->data != NULL)
		hash = hash_combine(hash, hash_bytes((const unsigned char *) pair->data, (int) pair->size));
	return hash;
}

static bool
same_text(const AlbertText *a, const AlbertText *b)
{
	return a->size == b->size && (a->data == NULL) == (b->data == NULL) &&
		(a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void
put_in_table(AlbertGroup *group, int item)
{
	uint32		place = group->hashes[item] & (group->table_size - 1);

	while (group->table[place] != 0)
		place = (place + 1) & (group->table_size - 1);
	group->table[place] = item + 1;
}

/* Room for one item more; the table stays half empty. */
static void
grow_group(AlbertGroup *group)
{
	if (group->nitems < group->max_items)
		return;
	if (group->max_items == 0)
	{
		group->max_items = 32;
		group->items = palloc(group->max_items * sizeof(AlbertItem));
		group->hashes = palloc(group->max_items * sizeof(uint32));
		group->keys = palloc(2 * group->max_items * sizeof(AlbertText));
	}
	else
	{
		group->max_items *= 2;
		group->items = repalloc_huge(group->items, group->max_items * sizeof(AlbertItem));
		group->hashes = repalloc_huge(group->hashes, group->max_items * sizeof(uint32));
		group->keys = repalloc_huge(group->keys, 2 * group->max_items * sizeof(AlbertText));
		pfree(group->table);
	}
	group->table_size = 2 * group->max_items;
	group->table = palloc0(group->table_size * sizeof(int));
	for (int i = 0; i < group->nitems; i++)
		put_in_table(group, i);
}

static void
keep_text(AlbertText *text)
{
	char	   *copy;

	if (text->data == NULL)
		return;
	copy = MemoryContextAllocHuge(CurrentMemoryContext, text->size + 1);
	memcpy(copy, text->data, text->size);
	copy[text->size] = '\0';
	text->data = copy;
}

/* The number of the item with these texts, in batch_context; added says whether it is new. */
static int
find_item(AlbertNodeState *node, AlbertGroup *group, const AlbertItem *item, bool *added)
{
	uint32		hash = hash_texts(&item->text, &item->pair);
	MemoryContext old;
	int			n;

	*added = false;
	if (group->table_size > 0)
	{
		uint32		place = hash & (group->table_size - 1);

		for (; group->table[place] != 0; place = (place + 1) & (group->table_size - 1))
		{
			n = group->table[place] - 1;
			if (group->hashes[n] == hash &&
				same_text(&group->keys[2 * n], &item->text) &&
				same_text(&group->keys[2 * n + 1], &item->pair))
				return n;
		}
	}
	old = MemoryContextSwitchTo(node->batch_context);
	grow_group(group);
	n = group->nitems++;
	group->items[n] = *item;
	keep_text(&group->items[n].text);
	keep_text(&group->items[n].pair);
	group->keys[2 * n] = group->items[n].text;
	group->keys[2 * n + 1] = group->items[n].pair;
	group->hashes[n] = hash;
	put_in_table(group, n);
	MemoryContextSwitchTo(old);
	*added = true;
	return n;
}

/* ---------- rows ---------- */

/*
 * Evaluate a call's arguments for the row that the scan slot holds, and file
 * it.  False when the row must be evaluated on its own: then nothing is filed.
 */
bool
AlbertCallAddRow(AlbertNodeState *node, AlbertCall *call, int row)
{
	ExprContext *econtext = node->css.ss.ps.ps_ExprContext;
	MemoryContext old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	NullableDatum args[ALBERT_MAX_ARGS];
	AlbertRowResult *result = &call->results[row];
	AlbertItem	item;
	bool		filled = true;
	bool		added = false;
	bool		good = true;

	result->group = -1;
	result->item = ALBERT_ROW_NULL;
	for (int i = 0; i < call->nargs; i++)
	{
		args[i].value = ExecEvalExpr(call->args[i], econtext, &args[i].isnull);
		if (args[i].isnull && call->strict)
			filled = false;
	}
	if (filled)
		good = fill_item(&item, call->signature, args, &filled);
	if (good && filled)
	{
		result->group = find_group(node, call, args);
		good = result->group >= 0;
	}
	if (good && filled)
	{
		AlbertGroup *group = &call->groups[result->group];

		result->item = find_item(node, group, &item, &added);
		if (group->nitems == 1 && added)
			group->first_row = row;
		if (added)
		{
			call->ntexts++;
			call->tokens += AlbertEstimateTokens(item.text.size) +
				(item.pair.data == NULL ? 0 : AlbertEstimateTokens(item.pair.size));
		}
	}
	MemoryContextSwitchTo(old);
	return good;
}

/* Is a row of the batch before this one still to be returned? */
static bool
any_row_before(const AlbertNodeState *node, int row)
{
	for (int i = 0; i < row; i++)
	{
		if (node->row_state[i] != ALBERT_ROW_DEAD)
			return true;
	}
	return false;
}

/*
 * Compute one job's items.  A job of a kind that has not started before may
 * fail to: that is left to the first row it is for, unless nothing at all can
 * come before that row's turn.
 */
static bool
run_group(AlbertNodeState *node, AlbertCall *call, AlbertGroup *group, AlbertNodeCounts *counts)
{
	AlbertJob	job;

	if (group->nitems == 0)
		return true;
	if (!group->proven &&
		((node->flags & ALBERT_NODE_ALONE) == 0 || any_row_before(node, group->first_row)))
		return false;
	AlbertJobStart(&job, call->signature, group->args);
	group->proven = true;
	if (!run_job(&job, group->items, group->nitems))
		return false;
	counts->distinct += group->nitems;
	counts->tokens += job.counts.tokens;
	counts->batches += Max(job.counts.batches, 1);
	return true;
}

static void
put_result(AlbertNodeState *node, AlbertCall *call, int row)
{
	AlbertRowResult *result = &call->results[row];
	Datum	   *value = &node->values[(Size) row * node->natts + call->column];
	bool	   *isnull = &node->isnull[(Size) row * node->natts + call->column];

	if (result->item == ALBERT_ROW_NULL)
	{
		*value = (Datum) 0;
		*isnull = true;
	}
	else
	{
		AlbertItem *item = &call->groups[result->group].items[result->item];

		*value = item->result;
		*isnull = item->isnull;
	}
}

/* A call whose arguments are the same for all rows is not made again in the next batch. */
static void
keep_constant(AlbertNodeState *node, AlbertCall *call)
{
	for (int row = 0; row < node->nrows && !call->known; row++)
	{
		Size		place = (Size) row * node->natts + call->column;
		MemoryContext old;

		if (node->row_state[row] != ALBERT_ROW_LIVE)
			continue;
		old = MemoryContextSwitchTo(node->group_context);
		call->known_isnull = node->isnull[place];
		call->known_value = call->known_isnull ? (Datum) 0
			: datumCopy(node->values[place], call->result_typbyval, call->result_typlen);
		MemoryContextSwitchTo(old);
		call->known = true;
		call->known_run = albert_executor_runs;
	}
}

void
AlbertCallForget(AlbertCall *call)
{
	if (call->known && !call->result_typbyval && !call->known_isnull)
		pfree(DatumGetPointer(call->known_value));
	call->known = false;
}

/* Begin a batch: nothing is filed.  Which jobs have started before is remembered while there are few. */
void
AlbertCallsReset(AlbertNodeState *node)
{
	bool		full = false;

	for (int i = 0; i < node->ncalls; i++)
	{
		AlbertCall *call = &node->calls[i];

		call->tokens = 0;
		call->ntexts = 0;
		call->results = NULL;
		full = full || call->ngroups == MAX_GROUPS;
		for (int g = 0; g < call->ngroups; g++)
		{
			AlbertGroup *group = &call->groups[g];

			group->items = NULL;
			group->hashes = NULL;
			group->keys = NULL;
			group->table = NULL;
			group->nitems = group->max_items = 0;
			group->table_size = 0;
		}
	}
	if (!full)
		return;
	for (int i = 0; i < node->ncalls; i++)
	{
		node->calls[i].groups = NULL;
		node->calls[i].ngroups = 0;
		node->calls[i].known = false;
	}
	MemoryContextReset(node->group_context);
}

/* Compute a call for all live rows filed; false: the batch's rows must be evaluated on their own. */
bool
AlbertCallRun(AlbertNodeState *node, AlbertCall *call)
{
	MemoryContext old = MemoryContextSwitchTo(node->batch_context);
	AlbertNodeCounts counts = {0};
	instr_time	start;
	instr_time	stop;
	bool		good = true;

	INSTR_TIME_SET_CURRENT(start);
	for (int i = 0; i < call->ngroups && good; i++)
		good = run_group(node, call, &call->groups[i], &counts);
	INSTR_TIME_SET_CURRENT(stop);
	INSTR_TIME_SUBTRACT(stop, start);
	counts.microseconds = INSTR_TIME_GET_MICROSEC(stop);
	for (int row = 0; row < node->nrows && good; row++)
	{
		if (node->row_state[row] != ALBERT_ROW_LIVE)
			continue;
		put_result(node, call, row);
		if (call->results[row].item != ALBERT_ROW_NULL)
			counts.texts++;
	}
	if (good && call->tokens > 0 && counts.tokens > 0)
		call->scale = counts.tokens / call->tokens;
	if (good && call->constant)
		keep_constant(node, call);
	MemoryContextSwitchTo(old);
	AlbertNodeCount(node, &counts);
	return good;
}

/* A row evaluated on its own shows that its job starts. */
void
AlbertCallProve(AlbertCall *call, int row)
{
	int			group = call->results[row].group;

	if (group >= 0 && call->results[row].item != ALBERT_ROW_NULL)
		call->groups[group].proven = true;
}
