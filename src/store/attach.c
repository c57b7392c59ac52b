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
	char		name[ALBERT_NAME_LEN];	/* that it was asked for by last */
	AlbertKey	key;
	AlbertKey	slot_key;		/* another one for a head, whose slot is its base's */
	MemoryContext context;		/* of all the binding's memory, this struct too */
	AlbertArena arena;
	AlbertSlot *slot;
	dsm_segment *segments[ALBERT_NPARTS];	/* NULL: not mapped */
	bool		in_use;			/* this transaction is one of the slot's users */
	dlist_node	node;			/* in bindings or gone_bindings */
} Binding;

char	   *albert_model = NULL;

/* A list, as they are few and a callback at the end of a transaction must not fail. */
static dlist_head bindings = DLIST_STATIC_INIT(bindings);
static dlist_head gone_bindings = DLIST_STATIC_INIT(gone_bindings);

/* The last answer, and what it was the answer to. */
static Binding *last_binding = NULL;
static uint64 last_epoch = 0;
static Oid	last_user = InvalidOid;

/* The registry's count of changes when the list was last looked through. */
static uint64 seen_changes = 0;

static uint64 nbindings = 0;

static bool
is_current(const Binding *binding)
{
	return pg_atomic_read_u64(&binding->slot->generation) == binding->shown.generation;
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
		pg_atomic_fetch_add_u32(&binding->slot->users, 1);
	binding->in_use = true;
}

static void
end_use(Binding *binding)
{
	if (!binding->in_use)
		return;
	if (is_current(binding))
		pg_atomic_write_u64(&binding->slot->last_used, GetCurrentTimestamp());
	pg_atomic_fetch_sub_u32(&binding->slot->users, 1);
	binding->in_use = false;
}

static void
free_binding(Binding *binding)
{
	end_use(binding);
	for (int i = 0; i < ALBERT_NPARTS; i++)
	{
		if (binding->segments[i] != NULL)
			dsm_detach(binding->segments[i]);
	}
	MemoryContextDelete(binding->context);
}

/* Out of the list; freed when the transaction ends. */
static void
forget(Binding *binding)
{
	if (last_binding == binding)
		last_binding = NULL;
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
	AlbertRegistry *registry;
	uint64		changes;
	dlist_mutable_iter iter;

	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			break;
		default:
			return;
	}

	registry = AlbertRegistryKnown();
	if (registry == NULL)
		return;
	changes = pg_atomic_read_u64(&registry->changes);
	/* generations are read after it, as they are written before it */
	pg_read_barrier();
	dlist_foreach_modify(iter, &bindings)
	{
		Binding    *binding = dlist_container(Binding, node, iter.cur);

		end_use(binding);
		if (changes != seen_changes && !is_current(binding))
			forget(binding);
	}
	seen_changes = changes;
	while (!dlist_is_empty(&gone_bindings))
		free_binding(dlist_container(Binding, node, dlist_pop_head_node(&gone_bindings)));
}

/* ---- a slot with the wanted part ---- */

/*
 * Wait until the part is there, or nobody is loading it.  True with *claim
 * filled in when it is there.  False when this process is now the loader of
 * claim->slot, and must call AlbertSlotLoad.
 */
static bool
claim_slot(AlbertRequest *request, AlbertPart part, AlbertClaim *claim)
{
	const AlbertKey *key = &request->key;
	AlbertRegistry *registry = AlbertRegistryGet();
	bool		have_files = false;

	for (;;)
	{
		AlbertHandles put_out = {0};
		AlbertSlot *slot;
		bool		ready;
		bool		loading;

		LWLockAcquire(&registry->lock, LW_EXCLUSIVE);
		slot = AlbertSlotFind(key);
		ready = slot != NULL && slot->images[part].ready;
		loading = !ready && slot != NULL && slot->loader != 0;
		if (!ready && !loading && have_files)
		{
			if (slot == NULL)
				slot = AlbertSlotNew(key, &put_out);
			if (slot != NULL)
				slot->loader = MyProcPid;
		}
		if (ready)
			AlbertSlotNoteDatabase(slot);
		if (slot != NULL)
			AlbertClaimFill(claim, slot);
		LWLockRelease(&registry->lock);
		AlbertUnpin(&put_out);

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
			return false;
		}

		/* Files are looked at without the lock, and only when nobody has loaded them. */
		AlbertRequestFiles(request);
		AlbertStoreSweep();
		have_files = true;
	}
}

/* ---- binding ---- */

/*
 * A binding without anything, to be kept by keep_binding.  Until then an error
 * frees it.
 */
static Binding *
new_binding(const AlbertKey *key, AlbertSlot *slot, uint64 generation)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "albert model", ALLOCSET_SMALL_SIZES);
	Binding    *binding = MemoryContextAllocZero(context, sizeof(Binding));

	binding->context = context;
	binding->key = *key;
	binding->slot_key = *key;
	binding->slot = slot;
	binding->shown.name = binding->name;
	binding->shown.number = ++nbindings;
	binding->shown.generation = generation;
	AlbertArenaInitContext(&binding->arena, context);
	return binding;
}

static void
keep_binding(Binding *binding)
{
	MemoryContextSetParent(binding->context, TopMemoryContext);
	dlist_push_head(&bindings, &binding->node);
}

/*
 * Map a part that is not mapped; false when its segment has gone meanwhile.  The
 * mapping belongs to the resource owner until it is pinned.
 */
static bool
map_part(const AlbertStoredImage *image, dsm_segment **segment)
{
	if (*segment == NULL)
		*segment = dsm_find_mapping(image->handle);
	if (*segment == NULL)
		*segment = dsm_attach(image->handle);
	return *segment != NULL;
}

/* What of a claim has been mapped, or made, by this process and no binding has. */
static void
unmap_new(const AlbertClaim *claim, const Binding *existing)
{
	for (int i = 0; i < ALBERT_NPARTS; i++)
	{
		dsm_segment *segment = dsm_find_mapping(claim->images[i].handle);

		if (segment != NULL && (existing == NULL || existing->segments[i] == NULL))
			dsm_detach(segment);
	}
}

/*
 * Bind to what the claim has, as far as the part asks for it.  An existing
 * binding is added to in place: who holds a pointer to it sees the same text
 * part as before.  NULL when a segment has gone meanwhile.
 */
static Binding *
make_binding(const AlbertKey *key, AlbertPart part, const AlbertClaim *claim, Binding *existing)
{
	Binding    *binding = existing;
	dsm_segment *text = existing == NULL ? NULL : existing->segments[ALBERT_PART_TEXT];
	dsm_segment *weights = NULL;
	AlbertModel model = {0};
	AlbertTokenizer tokenizer = {0};
	AlbertStatus status;

	if (!map_part(&claim->images[ALBERT_PART_TEXT], &text) ||
		(part == ALBERT_PART_WEIGHTS && !map_part(&claim->images[ALBERT_PART_WEIGHTS], &weights)))
	{
		unmap_new(claim, existing);
		return NULL;
	}
	if (existing == NULL)
		binding = new_binding(key, claim->slot, claim->generation);
	if (!AlbertImageBind(dsm_segment_address(text), claim->images[ALBERT_PART_TEXT].size,
						 weights == NULL ? NULL : dsm_segment_address(weights), claim->images[ALBERT_PART_WEIGHTS].size,
						 &binding->arena, &model, &tokenizer, &status))
		AlbertReport(&status);
	binding->shown.model = model;
	binding->shown.tokenizer = tokenizer;
	binding->shown.has_weights = weights != NULL;
	memcpy(binding->shown.identity, key->name[0] == '\0' ? key->identity : claim->digest, ALBERT_SHA256_LEN);
	binding->segments[ALBERT_PART_TEXT] = text;
	binding->segments[ALBERT_PART_WEIGHTS] = weights;
	for (int i = 0; i <= (int) part; i++)
		dsm_pin_mapping(binding->segments[i]);
	if (existing == NULL)
		keep_binding(binding);
	return binding;
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
 * A lock on a model's table, so that a load has not to wait for whoever changes
 * the table, who may be waiting for the load.  False when it has been changed.
 */
static bool
lock_object(const AlbertRequest *request)
{
	AlbertRequest now;

	LockRelationOid(request->object.relation, AccessShareLock);
	AlbertRequestMake(request->name, &now);
	if (memcmp(&now.key, &request->key, sizeof(AlbertKey)) == 0 &&
		now.object.relation == request->object.relation)
		return true;
	UnlockRelationOid(request->object.relation, AccessShareLock);
	return false;
}

static Binding *
attach_request(AlbertRequest *request, AlbertPart part)
{
	Binding    *binding;

	do
	{
		AlbertClaim claim;

		CHECK_FOR_INTERRUPTS();
		binding = find_binding(&request->key);
		if (binding != NULL && serves(binding, part))
			return binding;
		if (!claim_slot(request, part, &claim))
			AlbertSlotLoad(&claim, part, request);
		if (binding != NULL && binding->shown.generation != claim.generation)
		{
			forget(binding);
			binding = NULL;
		}
		binding = make_binding(&request->key, part, &claim, binding);
	} while (binding == NULL);
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

	if (binding != NULL && binding->slot == base->slot && binding->shown.generation == base->shown.generation)
		return binding;
	if (binding != NULL)
		forget(binding);
	binding = new_binding(&request->key, base->slot, base->shown.generation);
	AlbertHeadRead(request, &binding->arena, &head);
	binding->shown.model = base->shown.model;
	binding->shown.tokenizer = base->shown.tokenizer;
	AlbertHeadBind(&head, request->name, &binding->arena, &binding->shown.model);
	binding->slot_key = base->slot_key;
	binding->shown.has_weights = true;
	memcpy(binding->shown.identity, request->key.identity, ALBERT_SHA256_LEN);
	keep_binding(binding);
	return binding;
}

static Binding *
attach(const char *name, AlbertPart part)
{
	AlbertRequest request;
	Binding    *binding;

	for (;;)
	{
		AlbertRequestMake(name, &request);
		if (request.object.base[0] != '\0')
		{
			binding = attach_head(&request);
			break;
		}
		binding = find_binding(&request.key);
		if (binding != NULL && serves(binding, part))
			break;
		if (request.is_object && !lock_object(&request))
			continue;
		binding = attach_request(&request, part);
		if (request.is_object)
			UnlockRelationOid(request.object.relation, AccessShareLock);
		break;
	}
	strcpy(binding->name, request.name);
	return binding;
}

const AlbertBinding *
AlbertStoreAttach(const char *name, AlbertPart part)
{
	if (name == NULL || name[0] == '\0')
		name = albert_model;
	if (last_binding == NULL || last_epoch != albert_names_epoch || last_user != GetUserId() ||
		strcmp(last_binding->name, name) != 0 || !serves(last_binding, part))
	{
		last_binding = attach(name, part);
		last_epoch = albert_names_epoch;
		last_user = GetUserId();
	}
	begin_use(last_binding);
	return &last_binding->shown;
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
	AlbertSlot *slot = own->slot;

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
