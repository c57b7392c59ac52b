/*
 * registry.c
 *	  The registry of loaded models in shared memory: its place, its slots and
 *	  its lock.
 */
#include "store/registry.h"

#include <fcntl.h>
#include <unistd.h>

#include "storage/dsm_impl.h"
#include "storage/fd.h"
#include "storage/proc.h"
#include "storage/procsignal.h"

static AlbertRegistry *registry = NULL;

/*
 * The registry lies in a pinned segment of dynamic shared memory, which needs
 * nothing of the main segment: what is spare there, any user can use up.
 * Sessions find it by a note in the data directory, which is where the server's
 * other shared memory is kept on some systems too.  The note may be of an
 * earlier life of the server, or anything: it counts only when the segment that
 * it names begins with its own handle.
 */
#define NOTE_FILE	PG_DYNSHMEM_DIR "/albert.registry"

typedef struct Note
{
	Size		size;			/* of the registry: another version of the library has its own */
	dsm_handle	handle;
} Note;

static void
init_registry(AlbertRegistry *fresh)
{
	memset(fresh, 0, sizeof(AlbertRegistry));
	for (int i = 0; i < ALBERT_NSLOTS; i++)
	{
		AlbertSlot *slot = &fresh->slots[i];

		pg_atomic_init_u64(&slot->generation, 0);
		pg_atomic_init_u64(&slot->last_used, 0);
		pg_atomic_init_u32(&slot->users, 0);
		ConditionVariableInit(&slot->changed);
		for (int j = 0; j < ALBERT_NCOUNTS; j++)
			pg_atomic_init_u64(&slot->counts[j], 0);
	}
}

/* Apart, because there are only so many tranches: one that is taken is never given back. */
static void
init_locks(AlbertRegistry *fresh)
{
	fresh->tranche = AlbertNewTranche("albert");
	LWLockInitialize(&fresh->lock, fresh->tranche);
	LWLockInitialize(&fresh->room_lock, fresh->tranche);
}

static bool
read_note(Note *note)
{
	int			fd = OpenTransientFile(NOTE_FILE, O_RDONLY | PG_BINARY);
	ssize_t		got;

	if (fd < 0)
	{
		if (errno == ENOENT)
			return false;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", NOTE_FILE)));
	}
	got = read(fd, note, sizeof(Note));
	CloseTransientFile(fd);
	return got == sizeof(Note) && note->size == sizeof(AlbertRegistry);
}

/* Under another name first, so that nobody reads half of it. */
static void
write_note(const Note *note)
{
	const char *temporary = NOTE_FILE ".tmp";
	AlbertFile	file;

	AlbertFileCreate(&file, temporary, O_TRUNC);
	AlbertFileAppend(&file, note, sizeof(Note));
	AlbertFileClose(&file);
	if (rename(temporary, NOTE_FILE) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not rename file \"%s\" to \"%s\": %m", temporary, NOTE_FILE)));
}

/* The registry that the note tells of; NULL when there is none. */
static AlbertRegistry *
attach_registry(void)
{
	AlbertRegistry *found;
	dsm_segment *segment;
	Note		note;

	if (!read_note(&note) || note.handle == DSM_HANDLE_INVALID ||
		dsm_find_mapping(note.handle) != NULL)
		return NULL;
	segment = dsm_attach(note.handle);
	if (segment == NULL)
		return NULL;
	found = dsm_segment_address(segment);
	if (dsm_segment_map_length(segment) < sizeof(AlbertRegistry) || found->handle != note.handle)
	{
		dsm_detach(segment);
		return NULL;
	}
	/* What its maker wrote before the handle is there for whoever reads it after the handle. */
	pg_read_barrier();
	dsm_pin_mapping(segment);
	return found;
}

/*
 * Make it, unless another session was quicker.  When an error is raised nothing
 * stays behind, and the next call tries again.
 */
static AlbertRegistry *
create_registry(void)
{
	AlbertRegistry *fresh;
	dsm_segment *segment;
	Note		note;

	fresh = attach_registry();
	if (fresh != NULL)
		return fresh;
	segment = dsm_create(sizeof(AlbertRegistry), 0);
	fresh = dsm_segment_address(segment);
	init_registry(fresh);
	memset(&note, 0, sizeof(note));
	note.size = sizeof(AlbertRegistry);
	note.handle = dsm_segment_handle(segment);
	write_note(&note);
	init_locks(fresh);
	dsm_pin_segment(segment);
	dsm_pin_mapping(segment);

	/* Now others may have it. */
	pg_write_barrier();
	fresh->handle = note.handle;
	return fresh;
}

AlbertRegistry *
AlbertRegistryFind(void)
{
	if (registry == NULL)
	{
		registry = attach_registry();
		if (registry != NULL)
			AlbertNameTranche(registry->tranche, "albert");
	}
	return registry;
}

static AlbertRegistry *
get_registry(void)
{
	if (AlbertRegistryFind() == NULL)
	{
		LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
		registry = create_registry();
		LWLockRelease(AddinShmemInitLock);
		AlbertNameTranche(registry->tranche, "albert");
	}
	return registry;
}

AlbertRegistry *
AlbertRegistryKnown(void)
{
	return registry;
}

void *
AlbertSharedRoom(Size size, LWLock **lock)
{
	AlbertRegistry *shared = get_registry();

	if (size > sizeof(shared->room))
		elog(ERROR, "%zu bytes do not fit into the room of %zu in shared memory", size, sizeof(shared->room));
	*lock = &shared->room_lock;
	return shared->room;
}

/* ---- the lock ---- */

/* Segments of images that have been dropped under the lock, to be unpinned when it is released. */
static dsm_handle dropped[ALBERT_NPARTS * ALBERT_NSLOTS];
static int	ndropped = 0;

/*
 * A session that waits for its client keeps what it has mapped until its next
 * transaction ends.  The signal for reading invalidation messages makes it go
 * through one, and is nothing to a session that is at work.
 */
static void
wake_sessions(void)
{
	uint32		i;

	for (i = 0; i < ProcGlobal->allProcCount; i++)
	{
		const PGPROC *proc = &ProcGlobal->allProcs[i];
		int			pid = proc->pid;

		if (pid != 0 && pid != MyProcPid && OidIsValid(proc->databaseId) && OidIsValid(proc->roleId))
			SendProcSignal(pid, PROCSIG_CATCHUP_INTERRUPT, -1);
	}
}

AlbertRegistry *
AlbertRegistryLock(LWLockMode mode)
{
	AlbertRegistry *shared = get_registry();

	LWLockAcquire(&shared->lock, mode);
	return shared;
}

void
AlbertRegistryUnlock(void)
{
	LWLockRelease(&registry->lock);
	if (ndropped == 0)
		return;
	while (ndropped > 0)
		dsm_unpin_segment(dropped[--ndropped]);
	wake_sessions();
}

/* ---- slots ---- */

AlbertSlot *
AlbertSlotFind(const AlbertKey *key)
{
	for (int i = 0; i < ALBERT_NSLOTS; i++)
	{
		AlbertSlot *slot = &registry->slots[i];

		if (memcmp(&slot->key, key, sizeof(AlbertKey)) == 0)
			return slot;
	}
	return NULL;
}

bool
AlbertSlotIsOf(const AlbertSlot *slot, const AlbertKey *key)
{
	return slot->key.path == key->path && strcmp(slot->key.name, key->name) == 0 &&
		memcmp(slot->key.identity, key->identity, ALBERT_SHA256_LEN) == 0;
}

static bool
holds_something(const AlbertSlot *slot)
{
	return slot->images[ALBERT_PART_TEXT].size > 0;
}

bool
AlbertSlotIsLoaded(const AlbertSlot *slot)
{
	return slot->loader == 0 && holds_something(slot);
}

bool
AlbertSlotIsIdle(const AlbertSlot *slot)
{
	return AlbertSlotIsLoaded(slot) && pg_atomic_read_u32((pg_atomic_uint32 *) &slot->users) == 0;
}

static bool
is_free(const AlbertSlot *slot)
{
	return slot->loader == 0 && !holds_something(slot);
}

/* Of the slots that are so, the one used least recently: one that never was comes first. */
static AlbertSlot *
oldest_slot(bool (*is_so) (const AlbertSlot *slot))
{
	AlbertSlot *oldest = NULL;

	for (int i = 0; i < ALBERT_NSLOTS; i++)
	{
		AlbertSlot *slot = &registry->slots[i];

		if (is_so(slot) &&
			(oldest == NULL || pg_atomic_read_u64(&slot->last_used) < pg_atomic_read_u64(&oldest->last_used)))
			oldest = slot;
	}
	return oldest;
}

static void
new_generation(AlbertSlot *slot)
{
	pg_atomic_write_u64(&slot->generation, ++registry->generation);
}

void
AlbertSlotNoteDatabase(AlbertSlot *slot)
{
	Oid			database = OidIsValid(MyDatabaseId) ? MyDatabaseId : ALBERT_SOME_DATABASE;

	for (int i = 0; i < ALBERT_NDATABASES; i++)
	{
		if (!OidIsValid(slot->databases[i]))
			slot->databases[i] = database;
		if (slot->databases[i] == database)
			return;
	}
	slot->databases[0] = ALBERT_SOME_DATABASE;
}

void
AlbertSlotMap(AlbertSlot *slot, AlbertPart part, AlbertMapping *mapping)
{
	for (int i = 0; i <= (int) part; i++)
	{
		dsm_segment *segment = dsm_find_mapping(slot->images[i].handle);

		if (segment == NULL)
			segment = dsm_attach(slot->images[i].handle);
		if (segment == NULL)
			elog(ERROR, "there is no segment %u", slot->images[i].handle);
		mapping->segments[i] = segment;
		mapping->sizes[i] = slot->images[i].size;
	}
	mapping->slot = slot;
	mapping->generation = pg_atomic_read_u64(&slot->generation);
	memcpy(mapping->identity, slot->key.name[0] == '\0' ? slot->key.identity : slot->facts.digest, ALBERT_SHA256_LEN);
}

void
AlbertSlotDrop(AlbertSlot *slot)
{
	for (int i = 0; i < ALBERT_NPARTS; i++)
	{
		if (slot->images[i].size > 0)
			dropped[ndropped++] = slot->images[i].handle;
	}
	memset(slot->images, 0, sizeof(slot->images));
	memset(slot->databases, 0, sizeof(slot->databases));
	new_generation(slot);
}

AlbertSlot *
AlbertSlotPutOut(void)
{
	AlbertSlot *slot = oldest_slot(AlbertSlotIsIdle);

	if (slot != NULL)
		AlbertSlotDrop(slot);
	return slot;
}

AlbertSlot *
AlbertSlotNew(const AlbertRequest *request)
{
	AlbertSlot *slot = oldest_slot(is_free);

	if (slot == NULL)
		slot = AlbertSlotPutOut();
	if (slot == NULL)
		return NULL;
	slot->key = request->key;
	memset(&slot->facts, 0, sizeof(slot->facts));
	strcpy(slot->facts.name, request->name);
	slot->fingerprint = 0;
	slot->loaded_at = 0;
	pg_atomic_write_u64(&slot->last_used, 0);
	new_generation(slot);
	for (int i = 0; i < ALBERT_NCOUNTS; i++)
		pg_atomic_write_u64(&slot->counts[i], 0);
	return slot;
}
