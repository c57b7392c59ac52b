/*
 * load.c
 *	  Loading a model's images from its files into shared memory.
 *
 * The process that loads has marked the slot with its process id.  It makes
 * segments of its own, publishes each when it is complete, maps them, so that it
 * has them whatever happens to the slot afterwards, and gives the slot back.
 * When an error or its own end stops it, what it made is freed, and of those who
 * wait one tries again.
 */
#include "store/registry.h"

#include "storage/lock.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

int			albert_load_lock_id = 0;

/*
 * An interrupt may be one that lets the query go on (a sinval catchup, a check
 * of the client's connection), and then the image is begun again.  After so
 * many times only a cancel is listened to, then nothing, so that the load ends.
 */
#define TRIES_ANY_INTERRUPT	3
#define TRIES_CANCEL		6

typedef struct LoadState
{
	AlbertSlot *slot;
	const AlbertRequest *request;
	bool		tell_directory;
	AlbertSource *source;
	uint64		fingerprint;
	AlbertFacts facts;
	Size		sizes[ALBERT_NPARTS];	/* of those to be made */
	dsm_segment *segments[ALBERT_NPARTS];	/* made by this load */
	bool		published;		/* the text part */
} LoadState;

/* ---- publishing and giving back ---- */

/* The finished image of a part becomes everybody's; with an older text part its weights go. */
static void
publish(LoadState *state, AlbertPart part)
{
	AlbertSlot *slot = state->slot;
	dsm_segment *segment = state->segments[part];
	bool		changed;

	dsm_pin_segment(segment);
	(void) AlbertRegistryLock(LW_EXCLUSIVE);
	if (slot->images[part].size > 0)
		AlbertSlotDrop(slot);
	slot->images[part].handle = dsm_segment_handle(segment);
	slot->images[part].size = state->sizes[part];
	slot->reserved -= state->sizes[part];
	slot->facts = state->facts;
	changed = slot->fingerprint != state->fingerprint;
	slot->fingerprint = state->fingerprint;
	slot->loaded_at = GetCurrentTimestamp();
	pg_atomic_write_u64(&slot->last_used, slot->loaded_at);
	AlbertSlotNoteDatabase(slot);
	state->published = true;
	AlbertRegistryUnlock();
	ConditionVariableBroadcast(&slot->changed);
	if (changed)
		AlbertForgetPlans();
}

/* Nobody loads the slot any more. */
static void
give_back(AlbertSlot *slot, bool drop)
{
	(void) AlbertRegistryLock(LW_EXCLUSIVE);
	if (drop)
		AlbertSlotDrop(slot);
	slot->loader = 0;
	slot->reserved = 0;
	AlbertRegistryUnlock();
	ConditionVariableBroadcast(&slot->changed);
}

/*
 * After an error, or on the way out of a process that is told to end.  A load
 * that fails leaves nothing: not its first half either.
 */
static void
load_failed(int code, Datum arg)
{
	LoadState  *state = (LoadState *) DatumGetPointer(arg);

	give_back(state->slot, state->published);
	for (int i = 0; i < ALBERT_NPARTS; i++)
	{
		if (state->segments[i] != NULL)
			dsm_detach(state->segments[i]);
	}
}

/* ---- the work ---- */

static void
build(LoadState *state, AlbertPart part)
{
	void	   *dest = dsm_segment_address(state->segments[part]);
	Size		size = state->sizes[part];
	AlbertStatus status;

	for (int tries = 0;; tries++)
	{
		const volatile sig_atomic_t *interrupt = NULL;

		if (tries < TRIES_ANY_INTERRUPT)
			interrupt = &InterruptPending;
		else if (tries < TRIES_CANCEL)
			interrupt = &QueryCancelPending;
		CHECK_FOR_INTERRUPTS();
		if (AlbertImageBuild(state->source, part, state->request->kernels, state->request->key.precision,
							 dest, size, interrupt, &status))
			break;
		if (status.code != ALBERT_CANCELLED)
			AlbertReport(&status);
		memset(dest, 0, size);
	}
}

/*
 * Tests of what happens during a load hold it up: it waits here while another
 * session holds the advisory lock (albert.load_lock_id, part).
 */
static void
pause_for_test(AlbertPart part)
{
	LOCKTAG		tag;

	if (albert_load_lock_id == 0)
		return;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, albert_load_lock_id, part, 2);
	(void) LockAcquire(&tag, ShareLock, false, false);
	LockRelease(&tag, ShareLock, false);
}

static void
load_part(LoadState *state, AlbertPart part)
{
	if (state->sizes[part] == 0)
		return;
	state->segments[part] = AlbertMemoryCreate(state->request->name, state->sizes[part]);
	pause_for_test(part);
	build(state, part);
	if (part == ALBERT_PART_WEIGHTS && !state->request->is_object)
		AlbertDigest(state->source, state->facts.digest);
	publish(state, part);
}

static void
measure(LoadState *state, AlbertPart part)
{
	AlbertStatus status;

	state->sizes[part] = AlbertImageSize(state->source, part, state->request->kernels,
										 state->request->key.precision, &status);
	if (state->sizes[part] == 0)
		AlbertReport(&status);
}

static void
load(LoadState *state, AlbertPart part, AlbertArena *arena)
{
	AlbertSlot *slot = state->slot;
	const AlbertRequest *request = state->request;
	const AlbertObject *object = &request->object;
	AlbertStatus status;

	state->tell_directory = request->directory[0] != '\0' && AlbertMaySeePaths();
	ereport(DEBUG1,
			(errmsg_internal("albert loads model \"%s\"", request->name)));
	state->source = AlbertRequestOpen(request, arena);
	if (!request->is_object)
		state->fingerprint = AlbertFingerprint(state->source);
	else if (strcmp(object->options, "{}") != 0 && !AlbertSourceSetOptions(state->source, object->options, &status))
		AlbertReport(&status);
	strlcpy(state->facts.name, request->name, sizeof(state->facts.name));
	strlcpy(state->facts.path, request->directory, sizeof(state->facts.path));
	state->facts.config = *AlbertSourceConfig(state->source);
	memcpy(state->facts.digest, object->digest, ALBERT_SHA256_LEN);

	/* A text part from files that have changed since does not go with these weights. */
	if (slot->images[ALBERT_PART_TEXT].size == 0 || slot->fingerprint != state->fingerprint)
		measure(state, ALBERT_PART_TEXT);
	if (part == ALBERT_PART_WEIGHTS)
		measure(state, ALBERT_PART_WEIGHTS);
	AlbertMemoryReserve(slot, request->name, state->sizes[ALBERT_PART_TEXT] + state->sizes[ALBERT_PART_WEIGHTS]);
	load_part(state, ALBERT_PART_TEXT);
	load_part(state, ALBERT_PART_WEIGHTS);
}

static void
load_context(void *arg)
{
	const LoadState *state = arg;

	if (state->tell_directory)
		errcontext("loading model \"%s\" from directory \"%s\"", state->request->name, state->request->directory);
	else
		errcontext("loading model \"%s\"", state->request->name);
}

/* Nothing that can fail comes before PG_ENSURE_ERROR_CLEANUP: the slot is already marked. */
void
AlbertSlotLoad(AlbertSlot *slot, AlbertPart part, const AlbertRequest *request, AlbertMapping *mapping)
{
	MemoryContext old = CurrentMemoryContext;
	TimestampTz start = GetCurrentTimestamp();
	LoadState	state = {.slot = slot, .request = request};
	ErrorContextCallback callback = {.callback = load_context, .arg = &state, .previous = error_context_stack};
	Size		bytes;

	error_context_stack = &callback;
	PG_ENSURE_ERROR_CLEANUP(load_failed, PointerGetDatum(&state));
	{
		MemoryContext context = AllocSetContextCreate(old, "albert model load", ALLOCSET_DEFAULT_SIZES);
		AlbertArena arena;

		AlbertArenaInitContext(&arena, context);
		MemoryContextSwitchTo(context);
		load(&state, part, &arena);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		AlbertSlotMap(slot, part, mapping);
	}
	PG_END_ENSURE_ERROR_CLEANUP(load_failed, PointerGetDatum(&state));

	give_back(slot, false);
	error_context_stack = callback.previous;
	bytes = state.sizes[ALBERT_PART_TEXT] + state.sizes[ALBERT_PART_WEIGHTS];
	ereport(DEBUG1,
			(errmsg_internal("albert loaded model \"%s\" (%s): %zu bytes in %ld ms",
							 request->name, part == ALBERT_PART_TEXT ? "text" : "weights", bytes,
							 (long) (GetCurrentTimestamp() - start) / 1000)));

	/* Whoever else waits for the model does not wait for this client to take a warning. */
	AlbertMemoryWarn(request->name, bytes);
}
