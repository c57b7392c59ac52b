/*
 * attach.c
 *	  A backend's bindings: models it has mapped and may compute with.
 *
 * A binding is good while its slot's generation stands still.  When the model
 * has been unloaded, the binding leaves the list, but its mapping stays until
 * the transaction ends, because somebody further up may be computing with it.
 */
#include "store/registry.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

typedef struct Binding
{
	AlbertBinding shown;		/* what callers see; comes first */
	char		name[ALBERT_NAME_LEN];	/* that it was asked for by last, */
	uint64		epoch;			/* what the name stands for as long as names do not change, */
	Oid			user;			/* for this user */
	AlbertKey	key;
	AlbertKey	slot_key;		/* another one for a head, whose slot is its base's */
	MemoryContext context;		/* of all the binding's memory, this struct too */
	AlbertArena arena;
	AlbertMapping mapped;		/* a head has nothing mapped but a slot */
	bool		in_use;			/* this transaction is one of the slot's users */
	dlist_node	node;			/* in bindings or gone_bindings */
} Binding;

char	   *albert_model = NULL;

/* Lists, as they are few and a callback at the end of a transaction must not fail. */
static dlist_head bindings = DLIST_STATIC_INIT(bindings);
static dlist_head gone_bindings = DLIST_STATIC_INIT(gone_bindings);

static uint64 nbindings = 0;

static bool
is_current(const Binding *binding)
{
	return pg_atomic_read_u64(&binding->mapped.slot->generation) == binding->mapped.generation;
}

/*
 * The transaction computes with it from now on, so that it is not put out.  A
 * model that is put out just now stays mapped here, which takes its memory a
 * little longer and does no other harm.
 */
static void
begin_use(Binding *binding)
{
	if (!binding->in_use)
		pg_atomic_fetch_add_u32(&binding->mapped.slot->users, 1);
	binding->in_use = true;
}

static void
end_use(Binding *binding)
{
	if (!binding->in_use)
		return;
	if (is_current(binding))
		pg_atomic_write_u64(&binding->mapped.slot->last_used, GetCurrentTimestamp());
	pg_atomic_fetch_sub_u32(&binding->mapped.slot->users, 1);
	binding->in_use = false;
}

static void
free_binding(Binding *binding)
{
	end_use(binding);
	for (int i = 0; i < ALBERT_NPARTS; i++)
	{
		if (binding->mapped.segments[i] != NULL)
			dsm_detach(binding->mapped.segments[i]);
	}
	MemoryContextDelete(binding->context);
}

/* Out of the list; freed when the transaction ends. */
static void
forget(Binding *binding)
{
	dlist_delete(&binding->node);
	dlist_push_head(&gone_bindings, &binding->node);
}

/*
 * At the end of every transaction: let go of models that have been unloaded,
 * also of those this transaction has not used.  Nothing here can raise an error.
 */
static void
end_of_transaction(XactEvent event, void *arg)
{
	dlist_mutable_iter iter;

	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PARALLEL_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		return;
	dlist_foreach_modify(iter, &bindings)
	{
		Binding    *binding = dlist_container(Binding, node, iter.cur);

		end_use(binding);
		if (!is_current(binding))
			forget(binding);
	}
	while (!dlist_is_empty(&gone_bindings))
		free_binding(dlist_container(Binding, node, dlist_pop_head_node(&gone_bindings)));
}

static Binding *
find_binding(const AlbertKey *key)
{
	dlist_iter	iter;

	dlist_foreach(iter, &bindings)
	{
		Binding    *binding = dlist_container(Binding, node, iter.cur);

		if (memcmp(&binding->key, key, sizeof(AlbertKey)) == 0)
			return binding;
	}
	return NULL;
}

static bool
serves(const Binding *binding, AlbertPart part)
{
	return is_current(binding) && (part == ALBERT_PART_TEXT || binding->shown.has_weights);
}

/*
 * A binding without anything, to be kept by keep_binding.  Until then an error
 * frees it.
 */
static Binding *
new_binding(const AlbertKey *key)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "albert model", ALLOCSET_SMALL_SIZES);
	Binding    *binding = MemoryContextAllocZero(context, sizeof(Binding));

	binding->context = context;
	binding->key = *key;
	binding->slot_key = *key;
	binding->shown.name = binding->name;
	binding->shown.number = ++nbindings;
	AlbertArenaInitContext(&binding->arena, context);
	return binding;
}

/*
 * In the place of one for the same key, whose model has been unloaded or which
 * had the text part only: that one goes with the transaction, and what it has
 * in common with the new one is the new one's.
 */
static void
keep_binding(Binding *binding)
{
	Binding    *old = find_binding(&binding->key);

	for (int i = 0; i < ALBERT_NPARTS; i++)
	{
		dsm_segment *segment = binding->mapped.segments[i];

		if (segment == NULL)
			continue;
		dsm_pin_mapping(segment);
		if (old != NULL && old->mapped.segments[i] == segment)
			old->mapped.segments[i] = NULL;
	}
	if (old != NULL && old->mapped.slot == binding->mapped.slot)
	{
		binding->in_use = old->in_use;
		old->in_use = false;
	}
	if (old != NULL)
		forget(old);
	MemoryContextSetParent(binding->context, TopMemoryContext);
	dlist_push_head(&bindings, &binding->node);
}

/* ---- a slot with the wanted part ---- */

/*
 * Map a model's part, as soon as nobody is loading it.  False when it is not
 * there: this process is now the loader of mapping->slot, and must call
 * AlbertSlotLoad, which maps it.
 */
static bool
map_or_be_loader(AlbertRequest *request, AlbertPart part, AlbertMapping *mapping)
{
	bool		have_files = false;

	for (;;)
	{
		AlbertSlot *slot;
		bool		ready;
		bool		loading;

		(void) AlbertRegistryLock(LW_EXCLUSIVE);
		slot = AlbertSlotFind(&request->key);
		ready = slot != NULL && slot->images[part].size > 0;
		loading = !ready && slot != NULL && slot->loader != 0;
		if (ready)
		{
			AlbertSlotMap(slot, part, mapping);
			AlbertSlotNoteDatabase(slot);
		}
		if (!ready && !loading && have_files)
		{
			if (slot == NULL)
				slot = AlbertSlotNew(request);
			if (slot != NULL)
				slot->loader = MyProcPid;
		}
		AlbertRegistryUnlock();

		if (loading)
		{
			ConditionVariableSleep(&slot->changed, AlbertWaitEvent("AlbertModelLoad"));
			continue;
		}
		ConditionVariableCancelSleep();
		if (ready)
			return true;
		if (have_files)
		{
			if (slot == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						 errmsg("too many models are in use"),
						 errdetail("There can be %d models in memory at a time, and transactions that go on use all "
								   "of them.",
								   ALBERT_NSLOTS),
						 errhint("End some of the transactions that use models.")));
			mapping->slot = slot;
			return false;
		}

		/* Files are looked at without the lock, and only when nobody has loaded them. */
		AlbertRequestFiles(request);
		AlbertStoreSweep();
		have_files = true;
	}
}

static Binding *
attach_request(AlbertRequest *request, AlbertPart part)
{
	Binding    *binding = new_binding(&request->key);
	AlbertMapping *mapped = &binding->mapped;
	dsm_segment *weights;
	AlbertStatus status;

	if (!map_or_be_loader(request, part, mapped))
		AlbertSlotLoad(mapped->slot, part, request, mapped);
	weights = mapped->segments[ALBERT_PART_WEIGHTS];
	if (!AlbertImageBind(dsm_segment_address(mapped->segments[ALBERT_PART_TEXT]), mapped->sizes[ALBERT_PART_TEXT],
						 weights == NULL ? NULL : dsm_segment_address(weights), mapped->sizes[ALBERT_PART_WEIGHTS],
						 &binding->arena, &binding->shown.model, &binding->shown.tokenizer, &status))
		AlbertReport(&status);
	binding->shown.has_weights = weights != NULL;
	memcpy(binding->shown.identity, mapped->identity, ALBERT_SHA256_LEN);
	keep_binding(binding);
	return binding;
}

/* ---- heads ---- */

static Binding *attach(const char *name, AlbertPart part);

static void
head_context(void *arg)
{
	const AlbertRequest *request = arg;

	errcontext("model \"%s\", which was trained on embeddings of \"%s\"", request->name, request->object.base);
}

/* The model on whose embeddings a head was trained; it must be the same still. */
static Binding *
attach_base(const AlbertRequest *request)
{
	ErrorContextCallback callback = {
		.callback = head_context, .arg = unconstify(AlbertRequest *, request), .previous = error_context_stack
	};
	Binding    *base;

	error_context_stack = &callback;
	check_stack_depth();
	base = attach(request->object.base, ALBERT_PART_WEIGHTS);
	if (base->shown.model.head_weights != NULL ||
		memcmp(base->shown.identity, request->object.base_digest, ALBERT_SHA256_LEN) != 0)
		AlbertHeadMisfits(request->name, request->object.base);
	error_context_stack = callback.previous;
	return base;
}

/*
 * A head's binding is its base's, with another classifier.  It points to what
 * the base's has mapped; both have one slot and one generation, so they go
 * together.
 */
static Binding *
attach_head(AlbertRequest *request)
{
	Binding    *base = attach_base(request);
	Binding    *binding = find_binding(&request->key);
	AlbertTrainedHead head;

	if (binding != NULL && binding->mapped.slot == base->mapped.slot &&
		binding->mapped.generation == base->mapped.generation)
		return binding;
	binding = new_binding(&request->key);
	AlbertHeadRead(request, &binding->arena, &head);
	binding->mapped.slot = base->mapped.slot;
	binding->mapped.generation = base->mapped.generation;
	binding->slot_key = base->slot_key;
	binding->shown.has_weights = true;
	binding->shown.model = base->shown.model;
	binding->shown.tokenizer = base->shown.tokenizer;
	AlbertHeadBind(&head, request->name, &binding->arena, &binding->shown.model);
	memcpy(binding->shown.identity, request->key.identity, ALBERT_SHA256_LEN);
	keep_binding(binding);
	return binding;
}

/* The binding of what a name stands for now, by looking at it anew. */
static Binding *
attach(const char *name, AlbertPart part)
{
	AlbertRequest request;
	Binding    *binding;
	uint64		epoch;

	do
	{
		CHECK_FOR_INTERRUPTS();
		epoch = albert_names_epoch;
		AlbertRequestMake(name, &request);
		if (request.object.base[0] != '\0')
		{
			binding = attach_head(&request);
			break;
		}
		binding = find_binding(&request.key);
		if (binding != NULL && serves(binding, part))
			break;
		binding = NULL;

		/*
		 * A model's table is locked, so that a load has not to wait for whoever
		 * changes it, who may be waiting for the load.
		 */
		if (request.is_object)
			LockRelationOid(request.object.relation, AccessShareLock);
		if (!request.is_object || epoch == albert_names_epoch)
			binding = attach_request(&request, part);
		if (request.is_object)
			UnlockRelationOid(request.object.relation, AccessShareLock);
	} while (binding == NULL);
	strcpy(binding->name, request.name);
	binding->epoch = epoch;
	binding->user = GetUserId();
	dlist_move_head(&bindings, &binding->node);
	return binding;
}

const AlbertBinding *
AlbertStoreAttach(const char *name, AlbertPart part)
{
	Binding    *binding = NULL;
	dlist_iter	iter;

	if (name == NULL || name[0] == '\0')
		name = albert_model;
	dlist_foreach(iter, &bindings)
	{
		Binding    *known = dlist_container(Binding, node, iter.cur);

		if (known->epoch == albert_names_epoch && known->user == GetUserId() && strcmp(known->name, name) == 0 &&
			serves(known, part))
		{
			binding = known;
			break;
		}
	}
	if (binding == NULL)
		binding = attach(name, part);
	begin_use(binding);
	return &binding->shown;
}

void
AlbertStoreLoad(const char *name)
{
	/* An empty name is not the default model here. */
	AlbertModelNameCheck(name);
	AlbertStoreAttach(name, ALBERT_PART_WEIGHTS);
}

void
AlbertStoreCount(const AlbertBinding *binding, const AlbertCounts *counts)
{
	const Binding *own = (const Binding *) binding;
	const int64 *values = (const int64 *) counts;
	AlbertSlot *slot = own->mapped.slot;

	/* The slot may have gone to another model after this one was unloaded. */
	if (memcmp(&slot->key, &own->slot_key, sizeof(AlbertKey)) != 0)
		return;
	for (int i = 0; i < ALBERT_NCOUNTS; i++)
		pg_atomic_fetch_add_u64(&slot->counts[i], values[i]);
}

void
AlbertBindingsInit(void)
{
	RegisterXactCallback(end_of_transaction, NULL);
}
