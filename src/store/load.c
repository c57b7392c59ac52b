/*
 * load.c
 *	  Loading a model's images from its files into shared memory.
 *
 * The process that loads has marked the slot with its process id.  It makes
 * segments of its own, publishes each when it is complete, and gives the slot
 * back in the end.  When an error or its own end stops it, load_failed frees
 * what it made and wakes up those who wait, one of whom tries again.
 */
#include "store/registry.h"

#include <sys/stat.h>

#include "common/hashfn.h"
#include "storage/lock.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

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
	AlbertPart	part;
	const AlbertRequest *request;
	const AlbertKernels *kernels;
	const char *name;
	bool		first;			/* the slot has never held anything */
	bool		tell_directory;
	uint64		fingerprint;
	AlbertSource *source;
	dsm_segment *segments[ALBERT_NPARTS];	/* made by this load */
	Size		sizes[ALBERT_NPARTS];
	bool		published[ALBERT_NPARTS];
	AlbertFacts facts;
	AlbertClaim *claim;			/* out: what was published */
} LoadState;

/* ---- facts of a source ---- */

uint64
AlbertSourceFingerprint(const AlbertSource *source)
{
	uint64		hash = 0;
	const char *name;
	int			fd;
	int64_t		size;
	int			i;

	for (i = 0; (name = AlbertSourceFile(source, i, &fd, &size)) != NULL; i++)
	{
		struct stat st;
		uint64		facts[5];

		memset(facts, 0, sizeof(facts));
		if (fstat(fd, &st) == 0)
		{
			facts[0] = st.st_dev;
			facts[1] = st.st_ino;
			facts[2] = st.st_mtim.tv_sec;
			facts[3] = st.st_mtim.tv_nsec;
		}
		facts[4] = size;
		hash = hash_combine64(hash, hash_bytes_extended((const unsigned char *) name,
														strlen(name), 0));
		hash = hash_combine64(hash, hash_bytes_extended((const unsigned char *) facts,
														sizeof(facts), 0));
	}
	return hash;
}

void
AlbertSourceFacts(const AlbertSource *source, const char *directory, AlbertFacts *facts)
{
	const AlbertSourceInfo *info = AlbertSourceGetInfo(source);

	memset(facts, 0, sizeof(*facts));
	strlcpy(facts->architecture, info->architecture, sizeof(facts->architecture));
	facts->heads = info->heads;
	facts->layers = info->config.num_hidden_layers;
	facts->hidden_size = info->config.hidden_size;
	facts->parameters = info->parameters;
	strlcpy(facts->path, directory, sizeof(facts->path));
}

/* ---- publishing and giving back ---- */

/* The finished image of a part becomes everybody's; an older one goes. */
static void
publish(LoadState *state, AlbertPart part)
{
	AlbertRegistry *registry = AlbertRegistryGet();
	AlbertSlot *slot = state->slot;
	dsm_segment *segment = state->segments[part];
	AlbertHandles old = {0};
	bool		news;

	dsm_pin_segment(segment);
	LWLockAcquire(&registry->lock, LW_EXCLUSIVE);
	if (slot->images[part].ready)
		AlbertSlotDrop(slot, part, &old);
	news = AlbertSlotIsNews(slot, state->fingerprint);
	slot->images[part].ready = true;
	slot->images[part].handle = dsm_segment_handle(segment);
	slot->images[part].size = state->sizes[part];
	slot->reserved -= state->sizes[part];
	slot->facts = state->facts;
	slot->fingerprint = state->fingerprint;
	slot->loaded_at = GetCurrentTimestamp();
	pg_atomic_write_u64(&slot->last_used, slot->loaded_at);
	AlbertSlotNoteDatabase(slot);
	state->published[part] = true;
	state->claim->generation = pg_atomic_read_u64(&slot->generation);
	memcpy(state->claim->images, slot->images, sizeof(slot->images));
	memcpy(state->claim->digest, slot->facts.digest, ALBERT_SHA256_LEN);
	LWLockRelease(&registry->lock);
	ConditionVariableBroadcast(&slot->changed);
	AlbertUnpin(&old);
	if (news && !state->request->is_object)
		AlbertForgetPlans();
}

/* Nobody loads the slot any more.  A slot that never held anything is free again. */
static void
give_back(AlbertSlot *slot)
{
	AlbertRegistry *registry = AlbertRegistryGet();

	LWLockAcquire(&registry->lock, LW_EXCLUSIVE);
	slot->loader = 0;
	slot->reserved = 0;
	if (slot->loaded_at == 0)
		slot->used = false;
	LWLockRelease(&registry->lock);
	ConditionVariableBroadcast(&slot->changed);
}

/* After an error, or on the way out of a process that is told to end. */
static void
load_failed(int code, Datum arg)
{
	LoadState  *state = (LoadState *) DatumGetPointer(arg);
	AlbertRegistry *registry = AlbertRegistryGet();
	AlbertHandles gone = {0};
	int			i;

	if (state->source != NULL)
		AlbertSourceClose(state->source);

	/* A load that fails leaves nothing: not its first half either. */
	if (state->published[ALBERT_PART_TEXT])
	{
		LWLockAcquire(&registry->lock, LW_EXCLUSIVE);
		AlbertSlotDrop(state->slot, ALBERT_PART_TEXT, &gone);
		if (state->first)
			state->slot->loaded_at = 0;
		LWLockRelease(&registry->lock);
		AlbertUnpin(&gone);
	}
	for (i = 0; i < ALBERT_NPARTS; i++)
	{
		if (state->segments[i] != NULL)
			dsm_detach(state->segments[i]);
	}
	give_back(state->slot);
}

/* ---- the work ---- */

static void
build(LoadState *state, AlbertPart part)
{
	void	   *dest = dsm_segment_address(state->segments[part]);
	Size		size = state->sizes[part];
	AlbertStatus status;
	int			tries;

	for (tries = 0;; tries++)
	{
		const volatile sig_atomic_t *interrupt = NULL;

		if (tries < TRIES_ANY_INTERRUPT)
			interrupt = &InterruptPending;
		else if (tries < TRIES_CANCEL)
			interrupt = &QueryCancelPending;
		CHECK_FOR_INTERRUPTS();
		if (AlbertImageBuild(state->source, part, state->kernels, state->slot->key.precision,
							 dest, size, interrupt, &status))
			break;
		if (status.code != ALBERT_CANCELLED)
			AlbertReportLoad(&status);
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
	state->segments[part] = AlbertMemoryCreate(state->name, state->sizes[part]);
	pause_for_test(part);
	build(state, part);
	if (part == ALBERT_PART_WEIGHTS && !state->facts.has_digest)
	{
		AlbertDigest(state->source, state->facts.digest);
		state->facts.has_digest = true;
	}
	publish(state, part);
}

/* The source of a model of the database, and that it is what it should be. */
static void
open_object(LoadState *state, AlbertArena *arena)
{
	const AlbertRequest *request = state->request;
	AlbertStatus status;
	bool		ok;

	if (request->directory[0] != '\0')
		ok = AlbertSourceOpen(request->directory, arena, &state->source, &status);
	else
		ok = AlbertObjectOpen(request->object.relation, state->name, arena, &state->source, &status);
	if (!ok)
		AlbertReportLoad(&status);
	AlbertSourceFacts(state->source, request->directory, &state->facts);
	AlbertDigest(state->source, state->facts.digest);
	if (memcmp(state->facts.digest, request->object.digest, ALBERT_SHA256_LEN) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the files of model \"%s\" are not those that it was made of", state->name),
				 errdetail("Their SHA-256 is another one than that of its description."),
				 request->directory[0] != '\0' ?
				 errhint("Put the old files back, or drop the model and make it anew.") : 0));
	state->facts.has_digest = true;
	if (strcmp(request->object.options, "{}") != 0 &&
		!AlbertSourceSetOptions(state->source, request->object.options, &status))
		AlbertReport(&status);
	memcpy(&state->fingerprint, request->object.identity, sizeof(state->fingerprint));
}

static void
open_directory(LoadState *state, AlbertArena *arena)
{
	AlbertStatus status;

	if (!AlbertSourceOpen(state->request->directory, arena, &state->source, &status))
		AlbertReportLoad(&status);
	AlbertSourceFacts(state->source, state->request->directory, &state->facts);
	state->fingerprint = AlbertSourceFingerprint(state->source);
}

static void
measure(LoadState *state, AlbertPart part)
{
	AlbertStatus status;

	state->sizes[part] = AlbertImageSize(state->source, part, state->kernels,
										 state->slot->key.precision, &status);
	if (state->sizes[part] == 0)
		AlbertReportLoad(&status);
}

static void
load(LoadState *state, AlbertArena *arena)
{
	AlbertSlot *slot = state->slot;
	bool		need_text;

	state->tell_directory = AlbertMaySeePaths();
	ereport(DEBUG1,
			(errmsg_internal("albert loads model \"%s\"", state->name)));
	if (state->request->is_object)
		open_object(state, arena);
	else
		open_directory(state, arena);
	strlcpy(state->facts.name, state->name, sizeof(state->facts.name));

	/* A text part from files that have changed since does not go with these weights. */
	need_text = !slot->images[ALBERT_PART_TEXT].ready || slot->fingerprint != state->fingerprint;
	if (need_text)
		measure(state, ALBERT_PART_TEXT);
	if (state->part == ALBERT_PART_WEIGHTS)
		measure(state, ALBERT_PART_WEIGHTS);
	AlbertMemoryReserve(slot, state->name, state->sizes[ALBERT_PART_TEXT] + state->sizes[ALBERT_PART_WEIGHTS]);

	if (need_text)
		load_part(state, ALBERT_PART_TEXT);
	if (state->part == ALBERT_PART_WEIGHTS)
		load_part(state, ALBERT_PART_WEIGHTS);
}

static void
load_context(void *arg)
{
	const LoadState *state = arg;

	if (state->tell_directory && state->request->directory[0] != '\0')
		errcontext("loading model \"%s\" from directory \"%s\"", state->name, state->request->directory);
	else
		errcontext("loading model \"%s\"", state->name);
}

/* Nothing that can fail comes before PG_ENSURE_ERROR_CLEANUP: the slot is already marked. */
void
AlbertSlotLoad(AlbertClaim *claim, AlbertPart part, const AlbertRequest *request)
{
	AlbertSlot *slot = claim->slot;
	MemoryContext old = CurrentMemoryContext;
	TimestampTz start = GetCurrentTimestamp();
	ErrorContextCallback callback;
	LoadState	state;
	Size		outside = 0;
	int			i;

	memset(&state, 0, sizeof(state));
	state.slot = slot;
	state.claim = claim;
	state.part = part;
	state.request = request;
	state.kernels = request->kernels;
	state.name = request->name;
	state.first = slot->loaded_at == 0;

	callback.callback = load_context;
	callback.arg = &state;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	PG_ENSURE_ERROR_CLEANUP(load_failed, PointerGetDatum(&state));
	{
		MemoryContext context = AllocSetContextCreate(old, "albert model load",
													  ALLOCSET_DEFAULT_SIZES);
		AlbertArena arena;

		AlbertArenaInitContext(&arena, context);
		MemoryContextSwitchTo(context);
		load(&state, &arena);
		AlbertSourceClose(state.source);
		state.source = NULL;
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
	}
	PG_END_ENSURE_ERROR_CLEANUP(load_failed, PointerGetDatum(&state));

	give_back(slot);
	error_context_stack = callback.previous;
	for (i = 0; i < ALBERT_NPARTS; i++)
	{
		if (state.segments[i] != NULL && !AlbertMemoryIsReserve(state.segments[i]))
			outside += state.sizes[i];
	}
	ereport(DEBUG1,
			(errmsg_internal("albert loaded model \"%s\" (%s): %zu bytes in %ld ms",
							 state.name, part == ALBERT_PART_TEXT ? "text" : "weights",
							 state.sizes[ALBERT_PART_TEXT] + state.sizes[ALBERT_PART_WEIGHTS],
							 (long) (GetCurrentTimestamp() - start) / 1000)));

	/* Whoever else waits for the model does not wait for this client to take a warning. */
	if (outside > 0)
		AlbertMemoryWarn(request->name, outside);
}
