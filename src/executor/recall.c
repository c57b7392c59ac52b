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

/* What a result is of: what all of a recall's texts have in common, and texts. */
typedef struct Key
{
	uint32		hash;
	Size		size;
	const char *bytes;
} Key;

/* One palloc'd piece but for a result by reference. */
typedef struct Remembered
{
	Key			key;			/* first, so that its address is the entry's */
	dlist_node	use;			/* in AlbertRecallMemory.uses */
	Size		size;			/* what it takes, all in all */

	/* its place among the answers of the recall that asked last, which is to compute it until a result is there */
	uint64		recall;
	int			answer;

	bool		known;			/* there is a result */
	bool		isnull;
	bool		byval;
	Datum		value;
	char		bytes[FLEXIBLE_ARRAY_MEMBER];	/* of the key */
} Remembered;

typedef struct Place
{
	const Key  *key;			/* of a Remembered */
	uint32		hash;
	char		status;
} Place;

#define SH_PREFIX			places
#define SH_ELEMENT_TYPE		Place
#define SH_KEY_TYPE			const Key *
#define SH_KEY				key
#define SH_HASH_KEY(table, key)	((key)->hash)
#define SH_EQUAL(table, a, b)	((a)->size == (b)->size && memcmp((a)->bytes, (b)->bytes, (a)->size) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, place)	((place)->hash)
#define SH_SCOPE			static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct AlbertRecallMemory
{
	struct AlbertRecallMemory *next;
	MemoryContext owner;		/* the context whose end is the statement's */
	MemoryContext context;
	MemoryContextCallback end;
	places_hash *places;
	Size		limit;
	Size		used;
	dlist_head	uses;			/* of all entries, the last first */
} AlbertRecallMemory;

typedef struct AlbertAnswer
{
	AlbertItem	item;
	Key			key;
	bool		missing;
} AlbertAnswer;

static AlbertRecallMemory *memories = NULL;
static uint64 nrecalls = 0;

/* ---------- the statement's memory ---------- */

static void
end_memory(void *arg)
{
	for (AlbertRecallMemory **place = &memories; *place != NULL; place = &(*place)->next)
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
static AlbertRecallMemory *
statement_memory(void)
{
	MemoryContext owner = PortalContext != NULL ? PortalContext : TopTransactionContext;
	MemoryContext context;
	AlbertRecallMemory *memory;

	for (memory = memories; memory != NULL; memory = memory->next)
	{
		if (memory->owner == owner)
			return memory;
	}
	context = AllocSetContextCreate(owner, "albert results", ALLOCSET_DEFAULT_SIZES);
	memory = MemoryContextAllocZero(context, sizeof(AlbertRecallMemory));
	memory->owner = owner;
	memory->context = context;
	memory->places = places_create(context, 64, NULL);
	memory->limit = (Size) (work_mem * hash_mem_multiplier * 1024);
	dlist_init(&memory->uses);
	memory->end.func = end_memory;
	memory->end.arg = memory;
	MemoryContextRegisterResetCallback(context, &memory->end);
	memory->next = memories;
	memories = memory;
	return memory;
}

/* ---------- entries ---------- */

static Remembered *
find(AlbertRecallMemory *memory, const Key *key)
{
	Place	   *place = places_lookup_hash(memory->places, key, key->hash);

	return place == NULL ? NULL : (Remembered *) place->key;
}

static void
forget_entry(AlbertRecallMemory *memory, Remembered *entry)
{
	(void) places_delete(memory->places, &entry->key);
	dlist_delete(&entry->use);
	memory->used -= entry->size;
	if (entry->known && !entry->isnull && !entry->byval)
		pfree(DatumGetPointer(entry->value));
	pfree(entry);
}

/*
 * Make room for so many bytes more; false when they are more than half of what
 * there may be.  So there is room for an entry's key and its result together.
 */
static bool
make_room(AlbertRecall *recall, Size size)
{
	AlbertRecallMemory *memory = recall->memory;

	if (size > memory->limit / 2)
		return false;
	while (memory->used + size > memory->limit)
	{
		forget_entry(memory, dlist_tail_element(Remembered, use, &memory->uses));
		recall->counts.evictions++;
	}
	return true;
}

/* A new entry, without a result; NULL when it is too large to be remembered. */
static Remembered *
new_entry(AlbertRecall *recall, const Key *key)
{
	AlbertRecallMemory *memory = recall->memory;
	Size		size = offsetof(Remembered, bytes) + key->size;
	Remembered *entry;
	bool		found;

	if (!make_room(recall, size))
		return NULL;
	entry = MemoryContextAllocExtended(memory->context, size, MCXT_ALLOC_HUGE);
	memset(entry, 0, offsetof(Remembered, bytes));
	memcpy(entry->bytes, key->bytes, key->size);
	entry->size = size;
	entry->key = (Key) {.hash = key->hash, .size = key->size, .bytes = entry->bytes};
	(void) places_insert_hash(memory->places, &entry->key, key->hash, &found);
	dlist_push_head(&memory->uses, &entry->use);
	memory->used += size;
	return entry;
}

/* Keep an answer's result, unless its entry has been forgotten meanwhile. */
static void
remember(AlbertRecall *recall, const AlbertAnswer *answer)
{
	const AlbertSignature *signature = recall->signature;
	Remembered *entry = find(recall->memory, &answer->key);
	bool		by_reference = !answer->item.isnull && !signature->result_byval;
	Size		size = by_reference ? datumGetSize(answer->item.result, false, signature->result_len) : 0;
	MemoryContext old;

	if (entry == NULL || entry->known)
		return;
	dlist_move_head(&recall->memory->uses, &entry->use);
	if (!make_room(recall, size))
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
append_option(StringInfo key, const NullableDatum *option, int16 len, bool byval)
{
	char	   *end;

	enlargeStringInfo(key, (int) datumEstimateSpace(option->value, option->isnull, byval, len));
	end = key->data + key->len;
	datumSerialize(option->value, option->isnull, byval, len, &end);
	key->len = end - key->data;
}

void
AlbertRecallBegin(AlbertRecall *recall, AlbertJob *job, const AlbertSignature *signature,
				  const NullableDatum *args)
{
	StringInfoData key;

	memset(recall, 0, sizeof(*recall));
	recall->job = job;
	recall->signature = signature;
	recall->context = CurrentMemoryContext;
	recall->memory = statement_memory();
	recall->number = ++nrecalls;
	recall->max_answers = 2;
	recall->answers = palloc(recall->max_answers * sizeof(AlbertAnswer));
	initStringInfo(&key);
	appendBinaryStringInfo(&key, (const char *) &job->task, sizeof(job->task));
	appendBinaryStringInfo(&key, (const char *) &job->binding->number, sizeof(job->binding->number));
	appendBinaryStringInfo(&key, (const char *) &job->overflow, sizeof(job->overflow));
	for (int i = 0; i < signature->nargs; i++)
	{
		if (AlbertIsOption(signature, i))
			append_option(&key, &args[i], signature->lens[i], signature->byvals[i]);
	}
	recall->prefix = key.data;
	recall->prefix_size = key.len;
}

/* The key of an item's texts, and the item's texts in it. */
static Key
make_key(const AlbertRecall *recall, AlbertItem *item)
{
	Size		text_size = item->text.size;
	Size		pair_size = item->pair.size;
	Size		size = recall->prefix_size + sizeof(Size) + text_size + (item->pair.data == NULL ? 0 : 1 + pair_size);
	char	   *bytes = palloc_extended(size, MCXT_ALLOC_HUGE);
	char	   *text = bytes + recall->prefix_size + sizeof(Size);
	char	   *pair = text + text_size + 1;

	memcpy(bytes, recall->prefix, recall->prefix_size);
	memcpy(text - sizeof(Size), &text_size, sizeof(Size));
	item->text.data = memcpy(text, item->text.data, text_size);
	if (item->pair.data != NULL)
	{
		pair[-1] = 'p';			/* an empty one is not none */
		item->pair.data = memcpy(pair, item->pair.data, pair_size);
	}
	return (Key) {
		.hash = hash_bytes((const unsigned char *) bytes, (int) Min(size, (Size) INT_MAX)),
		.size = size,
		.bytes = bytes
	};
}

static int
add_answer(AlbertRecall *recall, const AlbertItem *item, const Key *key, const Remembered *known)
{
	const AlbertSignature *signature = recall->signature;
	AlbertAnswer *answer;

	if (recall->nanswers == recall->max_answers)
	{
		recall->max_answers = Max(2 * recall->max_answers, 64);
		recall->answers = repalloc_huge(recall->answers, recall->max_answers * sizeof(AlbertAnswer));
	}
	answer = &recall->answers[recall->nanswers];
	*answer = (AlbertAnswer) {.item = *item, .key = *key, .missing = known == NULL};
	if (known != NULL)
	{
		answer->item.isnull = known->isnull;
		if (!known->isnull)
			answer->item.result = datumCopy(known->value, signature->result_byval, signature->result_len);
	}
	else
	{
		recall->nmissing++;
		recall->tokens += AlbertEstimateTokens(item->text.size) +
			(item->pair.data == NULL ? 0 : AlbertEstimateTokens(item->pair.size));
	}
	return recall->nanswers++;
}

static int
ask(AlbertRecall *recall, AlbertItem item)
{
	Key			key = make_key(recall, &item);
	Remembered *entry = find(recall->memory, &key);

	recall->counts.texts++;
	if (entry != NULL && entry->recall == recall->number)
	{
		recall->counts.hits++;
		pfree(unconstify(char *, key.bytes));
		return entry->answer;
	}
	if (entry != NULL && entry->known)
		recall->counts.hits++;
	else
		recall->counts.misses++;
	if (entry == NULL)
		entry = new_entry(recall, &key);
	else
		dlist_move_head(&recall->memory->uses, &entry->use);
	if (entry == NULL)
		return add_answer(recall, &item, &key, NULL);
	entry->answer = add_answer(recall, &item, &key, entry->known ? entry : NULL);
	entry->recall = recall->number;
	return entry->answer;
}

AlbertAsked
AlbertRecallAsk(AlbertRecall *recall, const AlbertItem *item)
{
	MemoryContext old = MemoryContextSwitchTo(recall->context);
	AlbertAsked asked = {.pair = -1};

	if (recall->job->task->combine == NULL)
		asked.text = ask(recall, *item);
	else
	{
		asked.text = ask(recall, (AlbertItem) {.text = item->text, .isnull = true});
		asked.pair = ask(recall, (AlbertItem) {.text = item->pair, .isnull = true});
	}
	MemoryContextSwitchTo(old);
	return asked;
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
AlbertRecallResult(const AlbertRecall *recall, AlbertAsked asked, AlbertItem *item)
{
	const AlbertItem *text;
	const AlbertItem *pair;

	if (asked.text < 0)
		*item = (AlbertItem) {.isnull = true};
	else if (asked.pair < 0)
		*item = recall->answers[asked.text].item;
	else
	{
		text = &recall->answers[asked.text].item;
		pair = &recall->answers[asked.pair].item;
		*item = (AlbertItem) {.isnull = true, .status = text->status != NULL ? text->status : pair->status};
		if (item->status == NULL)
			AlbertItemSet(item, recall->job->task->combine(text->result, pair->result));
	}
}
