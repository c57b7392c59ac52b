/*
 * memory.c
 *	  Dynamic shared memory for models: how much they may take, is there room,
 *	  and clear words when there is not.  And arenas on memory contexts.
 *
 * PostgreSQL allocates a segment's pages when it makes the segment, so a
 * filesystem that is too small is an error and never a SIGBUS later; but the
 * error tells neither what was needed nor what to do.
 */
#include "store/registry.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include "storage/dsm_impl.h"
#include "storage/shmem.h"

int			albert_shared_memory_limit = -1;

#define POSIX_DIRECTORY	"/dev/shm"
#define MEGABYTE		UINT64CONST(1048576)

/* The file system where POSIX segments live; false when they live elsewhere or it cannot be looked at. */
static bool
posix_directory(struct statvfs *st)
{
	return dynamic_shared_memory_type == DSM_IMPL_POSIX && statvfs(POSIX_DIRECTORY, st) == 0 && st->f_blocks != 0;
}

/*
 * Bytes free there; false when that tells nothing: a segment may lie in what
 * was set aside in the main segment, whose free space nobody tells.
 */
static bool
posix_free(uint64 *bytes)
{
	struct statvfs st;

	if (min_dynamic_shared_memory > 0 || !posix_directory(&st))
		return false;
	*bytes = (uint64) st.f_bavail * st.f_frsize;
	return true;
}

static void *
context_get(void *context, size_t size)
{
	return MemoryContextAllocExtended(context, size, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

static void
context_put(void *context, void *block)
{
	pfree(block);
}

void
AlbertArenaInitContext(AlbertArena *arena, MemoryContext context)
{
	AlbertArenaInit(arena, context_get, context_put, context);
}

static double
megabytes(uint64 bytes)
{
	return bytes / (1024.0 * 1024.0);
}

static int
hint_more_memory(void)
{
	switch (dynamic_shared_memory_type)
	{
		case DSM_IMPL_POSIX:
			return errhint("Enlarge %s (for a Docker container: --shm-size), unload other models, or set memory "
						   "aside with min_dynamic_shared_memory.",
						   POSIX_DIRECTORY);
		case DSM_IMPL_SYSV:
			return errhint("Raise the kernel's limits of System V shared memory (SHMALL, SHMMAX), unload other "
						   "models, or set memory aside with min_dynamic_shared_memory.");
		default:
			return errhint("Make room in the data directory's file system, unload other models, or set memory aside "
						   "with min_dynamic_shared_memory.");
	}
}

/* ---- room for a model ---- */

/* Unless it is set: half of what the system gives for shared memory, and what was set aside for it at server start. */
static uint64
memory_limit(void)
{
	uint64		most = (uint64) sysconf(_SC_PHYS_PAGES) * (uint64) sysconf(_SC_PAGESIZE);
	struct statvfs st;

	if (albert_shared_memory_limit >= 0)
		return (uint64) albert_shared_memory_limit * MEGABYTE;
	if (posix_directory(&st))
		most = Min(most, (uint64) st.f_blocks * st.f_frsize);
	return most / 2 + (uint64) min_dynamic_shared_memory * MEGABYTE;
}

/* What models take and their loaders will take; *idle: of that, what could be put out. */
static uint64
taken_bytes(const AlbertRegistry *registry, uint64 *idle)
{
	uint64		taken = 0;

	*idle = 0;
	for (int i = 0; i < ALBERT_NSLOTS; i++)
	{
		const AlbertSlot *slot = &registry->slots[i];
		uint64		bytes = slot->images[ALBERT_PART_TEXT].size + slot->images[ALBERT_PART_WEIGHTS].size +
			slot->reserved;

		taken += bytes;
		if (AlbertSlotIsIdle(slot))
			*idle += bytes;
	}
	return taken;
}

static void
over_limit(const char *name, Size bytes, uint64 limit, uint64 taken)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("not enough shared memory for model \"%s\" within albert.shared_memory_limit", name),
			 errdetail("The model needs %.1f MB, the limit is %.1f MB, and models in use take %.1f MB of it.",
					   megabytes(bytes), megabytes(limit), megabytes(taken)),
			 errhint("Raise albert.shared_memory_limit, end the transactions that use other models, or load the "
					 "model in a lower albert.precision.")));
}

/* Within the limit: what is put out for it is put out only when that is enough. */
static void
reserve_within_limit(AlbertSlot *slot, const char *name, Size bytes)
{
	uint64		limit = memory_limit();
	AlbertRegistry *registry = AlbertRegistryLock(LW_EXCLUSIVE);
	uint64		idle;
	uint64		taken = taken_bytes(registry, &idle);
	bool		fits = taken - idle + bytes <= limit;

	while (fits && taken + bytes > limit && AlbertSlotPutOut() != NULL)
		taken = taken_bytes(registry, &idle);
	if (fits)
		slot->reserved = bytes;
	AlbertRegistryUnlock();
	if (!fits)
		over_limit(name, bytes, limit, taken - idle);
}

/* How long to wait for other processes to let go of what was put out, and in which steps. */
#define PATIENCE_US		1000000
#define STEP_US			5000

/* The system may have less than the limit allows. */
static void
find_room(const char *name, Size bytes)
{
	uint64		available;
	int			patience = 0;

	while (posix_free(&available) && available < bytes)
	{
		bool		any;

		CHECK_FOR_INTERRUPTS();
		if (patience > 0)
		{
			pg_usleep(STEP_US);
			patience -= STEP_US;
			continue;
		}
		(void) AlbertRegistryLock(LW_EXCLUSIVE);
		any = AlbertSlotPutOut() != NULL;
		AlbertRegistryUnlock();
		if (!any)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("not enough shared memory for model \"%s\"", name),
					 errdetail("The model needs %.1f MB and %.1f MB are free in %s.",
							   megabytes(bytes), megabytes(available), POSIX_DIRECTORY),
					 hint_more_memory()));
		patience = PATIENCE_US;
	}
}

void
AlbertMemoryReserve(AlbertSlot *slot, const char *name, Size bytes)
{
	reserve_within_limit(slot, name, bytes);
	find_room(name, bytes);
}

/* ---- segments ---- */

dsm_segment *
AlbertMemoryCreate(const char *name, Size bytes)
{
	MemoryContext context = CurrentMemoryContext;
	dsm_segment *segment = NULL;

	PG_TRY();
	{
		segment = dsm_create(bytes, 0);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		CHECK_FOR_INTERRUPTS();
		ereport(ERROR,
				(errcode(error->sqlerrcode),
				 errmsg("could not get shared memory for model \"%s\"", name),
				 errdetail("The model needs %.1f MB more: %s.",
						   megabytes(bytes), error->message),
				 hint_more_memory()));
	}
	PG_END_TRY();

	/* What was set aside in the main segment may have been used before. */
	if (ShmemAddrIsValid(dsm_segment_address(segment)))
		memset(dsm_segment_address(segment), 0, bytes);
	return segment;
}

bool
AlbertMemoryHasRoom(Size bytes)
{
	uint64		available;

	return !posix_free(&available) || available / 2 >= bytes;
}

void
AlbertMemoryWarn(const char *name, Size bytes)
{
	uint64		available;

	/* More than half of what was free is gone when less is left than was taken. */
	if (posix_free(&available) && available < bytes)
		ereport(WARNING,
				(errmsg("model \"%s\" takes more than half of the shared memory that was free", name),
				 errdetail("The model takes %.1f MB, and %.1f MB are left in %s.",
						   megabytes(bytes), megabytes(available), POSIX_DIRECTORY),
				 errhint("Parallel queries need shared memory too. Enlarge %s (for a Docker container: --shm-size), "
						 "or set memory aside with min_dynamic_shared_memory.",
						 POSIX_DIRECTORY)));
}
