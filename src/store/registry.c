/*
 * registry.c
 *	  The registry of loaded models in shared memory: its place, its slots and
 *	  its lock.
 */
#include "store/registry.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/hashfn.h"
#include "storage/dsm_impl.h"
#include "storage/fd.h"
#include "storage/proc.h"
#include "storage/procsignal.h"

static AlbertRegistry *registry = NULL;

/*
 * Without preloading the registry lies in a pinned segment of dynamic shared
 * memory, which needs nothing of the main segment: what is spare there, any
 * user can use up.  Sessions find it by a note in the data directory, which is
 * where the server's other shared memory is kept on some systems too.  The
 * note may be of an earlier life of the server, or anything: it counts only
 * when the segment that it names holds the same random number.
 */
#define NOTE_FILE	PG_DYNSHMEM_DIR "/albert.registry"

typedef struct Note
{
	uint8		nonce[ALBERT_NONCE_LEN];
	Size		size;			/* of the registry: another version of the library has its own */
	dsm_handle	handle;
} Note;

static void
init_registry(AlbertRegistry *fresh)
{
	int			i;
	int			j;

	memset(fresh, 0, sizeof(AlbertRegistry));
	pg_atomic_init_u64(&fresh->changes, 0);
	for (i = 0; i < ALBERT_NSLOTS; i++)
	{
		AlbertSlot *slot = &fresh->slots[i];

		pg_atomic_init_u64(&slot->generation, 0);
		pg_atomic_init_u64(&slot->last_used, 0);
		pg_atomic_init_u32(&slot->users, 0);
		ConditionVariableInit(&slot->changed);
		for (j = 0; j < ALBERT_NCOUNTERS; j++)
			pg_atomic_init_u64(&slot->counters[j], 0);
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

/* ---- without preloading ---- */

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
	int			fd = OpenTransientFile(temporary, O_WRONLY | O_CREAT | O_TRUNC | PG_BINARY);
	bool		written;

	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", temporary)));
	errno = 0;
	written = write(fd, note, sizeof(Note)) == sizeof(Note);
	if (!written)
	{
		/* as everywhere: a short write without an error means a full disk */
		if (errno == 0)
			errno = ENOSPC;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", temporary)));
	}
	CloseTransientFile(fd);
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
	if (dsm_segment_map_length(segment) < sizeof(AlbertRegistry) ||
		memcmp(found->nonce, note.nonce, ALBERT_NONCE_LEN) != 0)
	{
		dsm_detach(segment);
		return NULL;
	}
	/* What its maker wrote before the number is there for whoever reads it after the number. */
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
	if (!pg_strong_random(note.nonce, ALBERT_NONCE_LEN))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random number")));
	note.size = sizeof(AlbertRegistry);
	note.handle = dsm_segment_handle(segment);
	write_note(&note);
	init_locks(fresh);
	dsm_pin_segment(segment);
	dsm_pin_mapping(segment);

	/* Now others may have it. */
	pg_write_barrier();
	memcpy(fresh->nonce, note.nonce, ALBERT_NONCE_LEN);
	return fresh;
}

static AlbertRegistry *
found_registry(AlbertRegistry *found)
{
	if (found != NULL)
		AlbertNameTranche(found->tranche, "albert");
	return registry = found;
}

AlbertRegistry *
AlbertRegistryFind(void)
{
	if (registry == NULL)
		found_registry(attach_registry());
	return registry;
}

AlbertRegistry *
AlbertRegistryGet(void)
{
	if (AlbertRegistryFind() == NULL)
	{
		AlbertRegistry *fresh;

		LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
		fresh = create_registry();
		LWLockRelease(AddinShmemInitLock);
		found_registry(fresh);
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
	AlbertRegistry *shared = AlbertRegistryGet();

	if (size > sizeof(shared->room))
		elog(ERROR, "%zu bytes do not fit into the room of %zu in shared memory", size, sizeof(shared->room));
	*lock = &shared->room_lock;
	return shared->room;
}

/* ---- with preloading ---- */

void
AlbertRegistryPreload(void)
{
	AlbertRegistry *place;
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	place = ShmemInitStruct("albert models", sizeof(AlbertRegistry), &found);
	if (!found)
	{
		init_registry(place);
		init_locks(place);
	}
	LWLockRelease(AddinShmemInitLock);
	found_registry(place);
}

/* ---- slots ---- */

AlbertSlot *
AlbertSlotFind(const AlbertKey *key)
{
	int			i;

	for (i = 0; i < ALBERT_NSLOTS; i++)
	{
		AlbertSlot *slot = &registry->slots[i];

		if (slot->used && memcmp(&slot->key, key, sizeof(AlbertKey)) == 0)
			return slot;
	}
	return NULL;
}

bool
AlbertSlotIsIdle(const AlbertSlot *slot)
{
	const AlbertStoredImage *text = &slot->images[ALBERT_PART_TEXT];

	return slot->used && slot->loader == 0 && text->ready && text->handle != DSM_HANDLE_INVALID &&
		pg_atomic_read_u32((pg_atomic_uint32 *) &slot->users) == 0;
}

static bool
used_before(const AlbertSlot *a, const AlbertSlot *b)
{
	return pg_atomic_read_u64((pg_atomic_uint64 *) &a->last_used) <
		pg_atomic_read_u64((pg_atomic_uint64 *) &b->last_used);
}

AlbertSlot *
AlbertSlotIdle(void)
{
	AlbertSlot *best = NULL;
	int			i;

	for (i = 0; i < ALBERT_NSLOTS; i++)
	{
		AlbertSlot *slot = &registry->slots[i];

		if (AlbertSlotIsIdle(slot) && (best == NULL || used_before(slot, best)))
			best = slot;
	}
	return best;
}

/* One that holds nothing: never used, or else the one used least recently, whose counters go. */
static AlbertSlot *
empty_slot(void)
{
	AlbertSlot *best = NULL;
	int			i;

	for (i = 0; i < ALBERT_NSLOTS; i++)
	{
		AlbertSlot *slot = &registry->slots[i];

		if (!slot->used)
			return slot;
		if (slot->loader == 0 && !slot->images[ALBERT_PART_TEXT].ready &&
			(best == NULL || used_before(slot, best)))
			best = slot;
	}
	return best;
}

/* The bit of a model's name in registry->forgotten; others may share it, which costs little. */
static uint32
name_bit(const AlbertKey *key)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) key->name, strlen(key->name), key->path);

	return hash % (8 * sizeof(registry->forgotten));
}

/*
 * The lock is held exclusively.  Who sees the count of changes move must see the
 * slot's generation as well, so that comes first.
 */
static void
new_generation(AlbertSlot *slot)
{
	pg_atomic_write_u64(&slot->generation, pg_atomic_read_u64(&registry->changes) + 1);
	pg_atomic_fetch_add_u64(&registry->changes, 1); /* a full barrier, too */
}

AlbertSlot *
AlbertSlotNew(const AlbertKey *key, AlbertHandles *handles)
{
	AlbertSlot *slot = empty_slot();
	int			i;

	if (slot == NULL)
	{
		slot = AlbertSlotIdle();
		if (slot == NULL)
			return NULL;
		AlbertSlotDrop(slot, ALBERT_PART_TEXT, handles);
	}
	if (slot->fingerprint != 0)
	{
		uint32		bit = name_bit(&slot->key);

		registry->forgotten[bit / 32] |= (uint32) 1 << (bit % 32);
	}
	slot->used = true;
	slot->loader = 0;
	slot->key = *key;
	memset(slot->images, 0, sizeof(slot->images));
	memset(&slot->facts, 0, sizeof(slot->facts));
	slot->fingerprint = 0;
	slot->reserved = 0;
	slot->ndatabases = 0;
	slot->loaded_at = 0;
	pg_atomic_write_u64(&slot->last_used, 0);
	new_generation(slot);
	for (i = 0; i < ALBERT_NCOUNTERS; i++)
		pg_atomic_write_u64(&slot->counters[i], 0);
	return slot;
}

bool
AlbertSlotIsNews(const AlbertSlot *slot, uint64 fingerprint)
{
	bool		known = slot->fingerprint != 0;
	uint32		bit = name_bit(&slot->key);
	int			i;

	if (known && slot->fingerprint != fingerprint)
		return true;
	for (i = 0; i < ALBERT_NSLOTS; i++)
	{
		const AlbertSlot *other = &registry->slots[i];

		if (other != slot && other->used && other->fingerprint != 0 &&
			other->key.path == slot->key.path && strcmp(other->key.name, slot->key.name) == 0)
			return !known;
	}
	return !known && (registry->forgotten[bit / 32] & ((uint32) 1 << (bit % 32))) != 0;
}

void
AlbertSlotDrop(AlbertSlot *slot, AlbertPart part, AlbertHandles *handles)
{
	int			i;

	for (i = part; i < ALBERT_NPARTS; i++)
	{
		AlbertStoredImage *gone = &slot->images[i];

		if (!gone->ready)
			continue;
		if (gone->handle != DSM_HANDLE_INVALID)
			handles->handle[handles->n++] = gone->handle;
		memset(gone, 0, sizeof(*gone));
	}
	slot->facts.has_digest = false;
	if (part == ALBERT_PART_TEXT)
		slot->ndatabases = 0;
	new_generation(slot);
}

void
AlbertSlotNoteDatabase(AlbertSlot *slot)
{
	int			i;

	for (i = 0; i < Min(slot->ndatabases, ALBERT_NDATABASES); i++)
	{
		if (slot->databases[i] == MyDatabaseId)
			return;
	}
	if (slot->ndatabases < ALBERT_NDATABASES)
		slot->databases[slot->ndatabases] = MyDatabaseId;
	if (slot->ndatabases <= ALBERT_NDATABASES)
		slot->ndatabases++;
}

bool
AlbertSlotIsOnlyOf(const AlbertSlot *slot, Oid database)
{
	return slot->ndatabases == 0 ||
		(slot->ndatabases == 1 && slot->databases[0] == database);
}

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

void
AlbertUnpin(const AlbertHandles *handles)
{
	int			i;

	for (i = 0; i < handles->n; i++)
		dsm_unpin_segment(handles->handle[i]);
	if (handles->n > 0)
		wake_sessions();
}
