/*
 * registry.c
 *	  The registry of loaded models in shared memory: its slots and its lock.
 */
#include "store/registry.h"

static AlbertRegistry *registry = NULL;

AlbertRegistry *
AlbertRegistryGet(void)
{
	bool		found;
	int			i;
	int			j;

	if (registry != NULL)
		return registry;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	registry = ShmemInitStruct("albert models", sizeof(AlbertRegistry), &found);
	if (!found)
	{
		memset(registry, 0, sizeof(AlbertRegistry));
		registry->tranche = AlbertNewTranche("albert");
		LWLockInitialize(&registry->lock, registry->tranche);
		pg_atomic_init_u64(&registry->changes, 1);
		for (i = 0; i < ALBERT_NSLOTS; i++)
		{
			AlbertSlot *slot = &registry->slots[i];

			pg_atomic_init_u64(&slot->generation, 1);
			ConditionVariableInit(&slot->changed);
			for (j = 0; j < ALBERT_NCOUNTERS; j++)
				pg_atomic_init_u64(&slot->counters[j], 0);
		}
	}
	LWLockRelease(AddinShmemInitLock);
	AlbertNameTranche(registry->tranche, "albert");
	return registry;
}

void
AlbertRegistryForget(void)
{
	registry = NULL;
}

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

AlbertSlot *
AlbertSlotNew(const AlbertKey *key)
{
	AlbertSlot *best = NULL;
	int			i;

	/* A slot of a model that is not loaded any more still holds its counters: take it only when no other is left. */
	for (i = 0; i < ALBERT_NSLOTS; i++)
	{
		AlbertSlot *slot = &registry->slots[i];

		if (!slot->used)
		{
			best = slot;
			break;
		}
		if (slot->loader == 0 && !slot->parts[ALBERT_PART_TEXT].ready &&
			(best == NULL || slot->loaded_at < best->loaded_at))
			best = slot;
	}
	if (best == NULL)
		return NULL;

	best->used = true;
	best->loader = 0;
	best->key = *key;
	memset(best->parts, 0, sizeof(best->parts));
	memset(&best->facts, 0, sizeof(best->facts));
	best->fingerprint = 0;
	best->ndatabases = 0;
	best->loaded_at = 0;
	pg_atomic_fetch_add_u64(&best->generation, 1);
	for (i = 0; i < ALBERT_NCOUNTERS; i++)
		pg_atomic_write_u64(&best->counters[i], 0);
	return best;
}

void
AlbertSlotDrop(AlbertSlot *slot, AlbertPart part, AlbertHandles *handles)
{
	int			i;

	for (i = part; i < ALBERT_NPARTS; i++)
	{
		AlbertStorePart *gone = &slot->parts[i];

		if (!gone->ready)
			continue;
		if (gone->handle != DSM_HANDLE_INVALID)
			handles->handle[handles->n++] = gone->handle;
		memset(gone, 0, sizeof(*gone));
	}
	slot->facts.has_digest = false;
	if (part == ALBERT_PART_TEXT)
		slot->ndatabases = 0;
	pg_atomic_fetch_add_u64(&slot->generation, 1);
	pg_atomic_fetch_add_u64(&registry->changes, 1);
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
AlbertSlotOnlyOurs(const AlbertSlot *slot)
{
	return slot->ndatabases == 0 ||
		(slot->ndatabases == 1 && slot->databases[0] == MyDatabaseId);
}

void
AlbertUnpin(const AlbertHandles *handles)
{
	int			i;

	for (i = 0; i < handles->n; i++)
		dsm_unpin_segment(handles->handle[i]);
}
