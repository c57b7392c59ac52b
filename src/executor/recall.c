/*
 * recall.c
 *	  The memory of a statement's results, and asking it.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/ilist.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "executor/recall.h"

/* Texts and their result; one palloc'd piece but for a result by reference. */
typedef struct Remembered
{
	dlist_node	use;			/* in AlbertMemory.uses */
	struct Remembered *next;	/* in its bucket */
	uint32		hash;
	Size		size;			/* what it takes, all in all */

	/* where it is among the answers of the recall that asked last: until a result is there, that recall is to compute it */
	uint64		recall;
	int			answer;

	bool		known;			/* there is a result */
	bool		isnull;
	bool		byval;
	Datum		value;
	Size		prefix_size;
	AlbertText	text;
	AlbertText	pair;
	char		key[FLEXIBLE_ARRAY_MEMBER]; /* prefix, text, pair */
} Remembered;

typedef struct AlbertMemory
{
	struct AlbertMemory *next;
	MemoryContext owner;		/* the context whose end is the statement's */
	MemoryContext context;
	MemoryContextCallback end;
	Remembered **buckets;
	uint32		nbuckets;		/* a power of two */
	uint32		n;
	Size		used;
	dlist_head	uses;			/* of all entries, the last first */
} AlbertMemory;

typedef struct AlbertAnswer
{
	AlbertItem	item;
	uint32		hash;
	bool		missing;
} AlbertAnswer;

static AlbertMemory *memories = NULL;
static uint64 nrecalls = 0;

/* ---------- the statement's memory ---------- */

static void
end_memory(void *arg)
{
	for (AlbertMemory **place = &memories; *place != NULL; place = &(*place)->next)
	{
		if (*place == arg)
		{
			*place = (*place)->next;
			break;
		}
	}
}

/*
 * A statement is a portal.  Where there is none, in parallel workers and while
 * a statement is planned, the transaction stands for it.
 */
static AlbertMemory *
statement_memory(void)
{
	MemoryContext owner = PortalContext != NULL ? PortalContext : TopTransactionContext;
	MemoryContext context;
	AlbertMemory *memory;

	for (memory = memories; memory != NULL; memory = memory->next)
	{
		if (memory->owner == owner)
			return memory;
	}
	context = AllocSetContextCreate(owner, "albert results", ALLOCSET_DEFAULT_SIZES);
	memory = MemoryContextAllocZero(context, sizeof(AlbertMemory));
	memory->owner = owner;
	memory->context = context;
	memory->nbuckets = 64;
	memory->buckets = MemoryContextAllocZero(context, memory->nbuckets * sizeof(Remembered *));
	dlist_init(&memory->uses);
	memory->end.func = end_memory;
	memory->end.arg = memory;
	MemoryContextRegisterResetCallback(context, &memory->end);
	memory->next = memories;
	memories = memory;
	return memory;
}

/* ---------- entries ---------- */

static bool
same_text(const AlbertText *a, const AlbertText *b)
{
	return a->size == b->size && (a->data == NULL) == (b->data == NULL) &&
		(a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static uint32
hash_item(const AlbertRecall *recall, const AlbertItem *item)
{
	uint32		hash = hash_bytes((const unsigned char *) recall->prefix, (int) recall->prefix_size);

	hash = hash_combine(hash, hash_bytes((const unsigned char *) item->text.data, (int) item->text.size));
	if (item->pair.data != NULL)
		hash = hash_combine(hash, hash_bytes((const unsigned char *) item->pair.data, (int) item->pair.size));
	return hash;
}

static Remembered *
find(const AlbertRecall *recall, const AlbertItem *item, uint32 hash)
{
	Remembered *entry = recall->memory->buckets[hash & (recall->memory->nbuckets - 1)];

	while (entry != NULL &&
		   (entry->hash != hash || entry->prefix_size != recall->prefix_size ||
			memcmp(entry->key, recall->prefix, recall->prefix_size) != 0 ||
			!same_text(&entry->text, &item->text) || !same_text(&entry->pair, &item->pair)))
		entry = entry->next;
	return entry;
}

static void
link_entry(AlbertMemory *memory, Remembered *entry)
{
	Remembered **bucket = &memory->buckets[entry->hash & (memory->nbuckets - 1)];

	entry->next = *bucket;
	*bucket = entry;
}

static void
grow_buckets(AlbertMemory *memory)
{
	Remembered **old = memory->buckets;
	uint32		nold = memory->nbuckets;

	memory->buckets = MemoryContextAllocExtended(memory->context, 2 * (Size) nold * sizeof(Remembered *),
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	memory->nbuckets = 2 * nold;
	for (uint32 i = 0; i < nold; i++)
	{
		for (Remembered *entry = old[i], *next; entry != NULL; entry = next)
		{
			next = entry->next;
			link_entry(memory, entry);
		}
	}
	pfree(old);
}

static void
forget_entry(AlbertMemory *memory, Remembered *entry)
{
	Remembered **place = &memory->buckets[entry->hash & (memory->nbuckets - 1)];

	while (*place != entry)
		place = &(*place)->next;
	*place = entry->next;
	dlist_delete(&entry->use);
	memory->used -= entry->size;
	memory->n--;
	if (entry->known && !entry->isnull && !entry->byval)
		pfree(DatumGetPointer(entry->value));
	pfree(entry);
}

/* Make room for so many bytes more; false when they are more than all there may be. */
static bool
make_room(AlbertRecall *recall, Size size, const Remembered *keep)
{
	AlbertMemory *memory = recall->memory;
	Size		limit = (Size) (work_mem * hash_mem_multiplier * 1024);

	if (size > limit / 2)
		return false;
	while (memory->used + size > limit)
	{
		Remembered *last = dlist_tail_element(Remembered, use, &memory->uses);

		if (last == keep)
			return false;
		forget_entry(memory, last);
		recall->counts.evictions++;
	}
	return true;
}

static void
put_text(const AlbertText *text, AlbertText *copy, char **key)
{
	copy->size = text->size;
	if (text->data == NULL)
		return;
	memcpy(*key, text->data, text->size);
	copy->data = *key;
	*key += text->size;
}

/* A new entry, without a result; NULL when it is too large to be remembered. */
static Remembered *
new_entry(AlbertRecall *recall, const AlbertItem *item, uint32 hash)
{
	AlbertMemory *memory = recall->memory;
	Size		size = offsetof(Remembered, key) + recall->prefix_size + item->text.size + item->pair.size;
	Remembered *entry;
	char	   *key;

	if (!make_room(recall, size, NULL))
		return NULL;
	if (memory->n >= memory->nbuckets)
		grow_buckets(memory);
	entry = MemoryContextAllocExtended(memory->context, size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	entry->hash = hash;
	entry->size = size;
	entry->prefix_size = recall->prefix_size;
	memcpy(entry->key, recall->prefix, recall->prefix_size);
	key = entry->key + recall->prefix_size;
	put_text(&item->text, &entry->text, &key);
	put_text(&item->pair, &entry->pair, &key);
	link_entry(memory, entry);
	dlist_push_head(&memory->uses, &entry->use);
	memory->used += size;
	memory->n++;
	return entry;
}

/* Keep an answer's result, unless its entry has been forgotten meanwhile. */
static void
remember(AlbertRecall *recall, const AlbertAnswer *answer)
{
	const AlbertSignature *signature = recall->signature;
	Remembered *entry = find(recall, &answer->item, answer->hash);
	bool		by_reference = !answer->item.isnull && !signature->result_byval;
	Size		size = by_reference ? datumGetSize(answer->item.result, false, signature->result_len) : 0;
	MemoryContext old;

	if (entry == NULL || entry->known)
		return;
	dlist_move_head(&recall->memory->uses, &entry->use);
	if (!make_room(recall, size, entry))
	{
		forget_entry(recall->memory, entry);
		return;
	}
	old = MemoryContextSwitchTo(recall->memory->context);
	entry->value = by_reference ? datumCopy(answer->item.result, false, signature->result_len) : answer->item.result;
	MemoryContextSwitchTo(old);
	entry->isnull = answer->item.isnull;
	entry->byval = !by_reference;
	entry->known = true;
	entry->size += size;
	recall->memory->used += size;
}

/* ---------- asking ---------- */

static void
append_argument(StringInfo key, Datum value, int16 len, bool byval)
{
	Size		size;

	if (byval)
	{
		appendBinaryStringInfo(key, (const char *) &value, sizeof(Datum));
		return;
	}
	if (len == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
	size = datumGetSize(value, false, len);
	appendBinaryStringInfo(key, (const char *) &size, sizeof(size));
	appendBinaryStringInfo(key, DatumGetPointer(value), (int) size);
}

void
AlbertRecallBegin(AlbertRecall *recall, AlbertJob *job, const AlbertSignature *signature,
				  const NullableDatum *args, bool copy_texts)
{
	StringInfoData key;

	memset(recall, 0, sizeof(*recall));
	recall->job = job;
	recall->signature = signature;
	recall->context = CurrentMemoryContext;
	recall->memory = statement_memory();
	recall->number = ++nrecalls;
	recall->copy_texts = copy_texts;
	initStringInfo(&key);
	appendBinaryStringInfo(&key, (const char *) &job->task, sizeof(job->task));
	appendBinaryStringInfo(&key, (const char *) &job->binding->generation, sizeof(job->binding->generation));
	appendBinaryStringInfo(&key, (const char *) &job->overflow, sizeof(job->overflow));
	for (int i = 0; i < signature->nargs; i++)
	{
		if (i == signature->text || i == signature->pair || i == signature->model)
			continue;
		appendStringInfoChar(&key, args[i].isnull ? 'n' : 'v');
		if (!args[i].isnull)
			append_argument(&key, args[i].value, signature->lens[i], signature->byvals[i]);
	}
	recall->prefix = key.data;
	recall->prefix_size = key.len;
}

static void
own_text(AlbertText *text)
{
	char	   *copy;

	if (text->data == NULL)
		return;
	copy = palloc_extended(text->size + 1, MCXT_ALLOC_HUGE);
	memcpy(copy, text->data, text->size);
	copy[text->size] = '\0';
	text->data = copy;
}

static int
add_answer(AlbertRecall *recall, const AlbertItem *item, uint32 hash, const Remembered *known)
{
	const AlbertSignature *signature = recall->signature;
	AlbertAnswer *answer;

	if (recall->nanswers == recall->max_answers)
	{
		int			n = Max(2 * recall->max_answers, recall->copy_texts ? 64 : 2);

		recall->answers = recall->answers == NULL ? palloc(n * sizeof(AlbertAnswer))
			: repalloc_huge(recall->answers, n * sizeof(AlbertAnswer));
		recall->max_answers = n;
	}
	answer = &recall->answers[recall->nanswers];
	answer->item = *item;
	answer->hash = hash;
	answer->missing = known == NULL;
	if (known != NULL)
	{
		answer->item.isnull = known->isnull;
		answer->item.result = known->isnull ? (Datum) 0 : datumCopy(known->value, signature->result_byval, signature->result_len);
	}
	else
	{
		if (recall->copy_texts)
		{
			own_text(&answer->item.text);
			own_text(&answer->item.pair);
		}
		recall->nmissing++;
		recall->tokens += AlbertEstimateTokens(item->text.size) +
			(item->pair.data == NULL ? 0 : AlbertEstimateTokens(item->pair.size));
	}
	return recall->nanswers++;
}

static int
ask(AlbertRecall *recall, const AlbertItem *item)
{
	uint32		hash = hash_item(recall, item);
	Remembered *entry = find(recall, item, hash);

	recall->counts.texts++;
	if (entry != NULL && entry->recall == recall->number)
	{
		recall->counts.hits++;
		return entry->answer;
	}
	if (entry != NULL && entry->known)
		recall->counts.hits++;
	else
		recall->counts.misses++;
	if (entry == NULL)
		entry = new_entry(recall, item, hash);
	else
		dlist_move_head(&recall->memory->uses, &entry->use);
	if (entry == NULL)
		return add_answer(recall, item, hash, NULL);
	entry->answer = add_answer(recall, item, hash, entry->known ? entry : NULL);
	entry->recall = recall->number;
	return entry->answer;
}

int
AlbertRecallAsk(AlbertRecall *recall, const AlbertItem *item)
{
	MemoryContext old = MemoryContextSwitchTo(recall->context);
	int			row;

	if (recall->job->task->combine == NULL)
		row = ask(recall, item);
	else
	{
		AlbertItem	a = {.text = item->text, .isnull = true};
		AlbertItem	b = {.text = item->pair, .isnull = true};

		if (recall->nrows == recall->max_rows)
		{
			int			n = Max(2 * recall->max_rows, recall->copy_texts ? 64 : 1);

			recall->sides = recall->sides == NULL ? palloc(2 * n * sizeof(int))
				: repalloc_huge(recall->sides, 2 * n * sizeof(int));
			recall->max_rows = n;
		}
		row = recall->nrows++;
		recall->sides[2 * row] = ask(recall, &a);
		recall->sides[2 * row + 1] = ask(recall, &b);
	}
	MemoryContextSwitchTo(old);
	return row;
}

void
AlbertRecallRun(AlbertRecall *recall)
{
	MemoryContext old = MemoryContextSwitchTo(recall->context);
	AlbertItem *items;
	int			n = 0;

	memset(&recall->job->counts, 0, sizeof(recall->job->counts));
	if (recall->nmissing > 0)
	{
		items = palloc_extended(recall->nmissing * sizeof(AlbertItem), MCXT_ALLOC_HUGE);
		for (int i = 0; i < recall->nanswers; i++)
		{
			if (recall->answers[i].missing)
				items[n++] = recall->answers[i].item;
		}
		AlbertTaskRun(recall->job, items, n);
		n = 0;
		for (int i = 0; i < recall->nanswers; i++)
		{
			AlbertAnswer *answer = &recall->answers[i];
			AlbertItem *item = &items[n];

			if (!answer->missing)
				continue;
			n++;
			/* the texts stay as they were asked for: a task may change an item's */
			answer->item.result = item->result;
			answer->item.isnull = item->isnull;
			answer->item.status = item->status;
			answer->missing = false;
			if (item->status == NULL)
				remember(recall, answer);
		}
		recall->nmissing = 0;
	}
	MemoryContextSwitchTo(old);
}

void
AlbertRecallResult(AlbertRecall *recall, int row, AlbertItem *item)
{
	if (recall->job->task->combine == NULL)
		*item = recall->answers[row].item;
	else
	{
		const AlbertItem *a = &recall->answers[recall->sides[2 * row]].item;
		const AlbertItem *b = &recall->answers[recall->sides[2 * row + 1]].item;

		memset(item, 0, sizeof(*item));
		item->status = a->status != NULL ? a->status : b->status;
		item->isnull = item->status != NULL;
		if (item->status == NULL)
			item->result = recall->job->task->combine(a->result, b->result);
	}
}
