/*
 * memory.c
 *	  Dynamic shared memory for models: is there room, and clear words when
 *	  there is not.  And arenas on memory contexts.
 *
 * PostgreSQL allocates a segment's pages when it makes the segment, so a
 * filesystem that is too small is an error and never a SIGBUS later; but the
 * error tells neither what was needed nor what to do.
 */
#include "store/registry.h"

#include <sys/statvfs.h>

#include "storage/dsm_impl.h"

#define POSIX_DIRECTORY	"/dev/shm"

extern PGDLLIMPORT int dynamic_shared_memory_type;

/* Bytes free where POSIX segments live; false when they live elsewhere or that is not known. */
static bool
posix_free(uint64 *bytes)
{
	struct statvfs st;

	if (dynamic_shared_memory_type != DSM_IMPL_POSIX ||
		statvfs(POSIX_DIRECTORY, &st) != 0 || st.f_blocks == 0)
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
			return errhint("Enlarge %s (for a Docker container: --shm-size), unload other models, or preload the model with albert.preload_models.",
						   POSIX_DIRECTORY);
		case DSM_IMPL_SYSV:
			return errhint("Raise the kernel's limits of System V shared memory (SHMALL, SHMMAX), unload other models, or preload the model with albert.preload_models.");
		default:
			return errhint("Make room in the data directory's file system, unload other models, or preload the model with albert.preload_models.");
	}
}

void
AlbertMemoryCheck(const char *name, Size bytes)
{
	uint64		available;

	/* A segment may lie in the reserve of the main segment, whose free space nobody tells. */
	if (min_dynamic_shared_memory > 0)
		return;
	if (posix_free(&available) && available < bytes)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("not enough shared memory for model \"%s\"", name),
				 errdetail("The model needs %.1f MB and %.1f MB are free in %s.",
						   megabytes(bytes), megabytes(available), POSIX_DIRECTORY),
				 hint_more_memory()));
}

bool
AlbertMemoryIsReserve(dsm_segment *segment)
{
	return ShmemAddrIsValid(dsm_segment_address(segment));
}

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

	/* Pages from the main segment's reserve may have been used before. */
	if (AlbertMemoryIsReserve(segment))
		memset(dsm_segment_address(segment), 0, bytes);
	return segment;
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
				 errhint("Parallel queries need shared memory too. Enlarge %s (for a Docker container: --shm-size), or preload the model with albert.preload_models.",
						 POSIX_DIRECTORY)));
}
