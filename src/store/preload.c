/*
 * preload.c
 *	  With albert in shared_preload_libraries: the registry, and the models of
 *	  albert.preload_models, in the main shared memory segment.
 *
 * Everything here runs in the postmaster.  A model that cannot be preloaded
 * must not keep the server from starting: it is a warning in the log, and the
 * model is loaded at first use like any other, or fails then.
 *
 * The size of shared memory is fixed before it exists, so a model is measured
 * first (request) and built later (startup), again after a crash of a backend
 * has emptied shared memory.
 */
#include "store/registry.h"

#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

typedef struct Reserved
{
	AlbertKey	key;
	char		directory[ALBERT_PATH_LEN];
	Size		sizes[ALBERT_NPARTS];
} Reserved;

static Reserved *reserved = NULL;	/* in TopMemoryContext */
static int	nreserved = 0;
static Size reserved_bytes = 0;

#ifdef ALBERT_HAS_SHMEM_REQUEST_HOOK
static shmem_request_hook_type next_shmem_request_hook = NULL;
#endif
static shmem_startup_hook_type next_shmem_startup_hook = NULL;

static void
warn(const char *name, const AlbertStatus *status)
{
	ereport(WARNING,
			(errmsg("could not preload model \"%s\": %s", name, AlbertCleanText(status->message)),
			 status->detail[0] != '\0' ?
			 errdetail_internal("%s", AlbertCleanText(status->detail)) : 0));
}

static Size
whole_lines(Size size)
{
	return TYPEALIGN(ALBERT_ALIGN, size);
}

/* ---- before shared memory exists ---- */

static bool
measure(const char *directory, const AlbertKey *key, const AlbertKernels *kernels,
		Size *sizes, AlbertStatus *status)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "albert preload",
												  ALLOCSET_DEFAULT_SIZES);
	AlbertArena arena;
	AlbertSource *source;
	bool		ok = false;

	AlbertArenaInitContext(&arena, context);
	if (AlbertSourceOpen(directory, &arena, &source, status))
	{
		int			i;

		ok = true;
		for (i = 0; ok && i < ALBERT_NPARTS; i++)
		{
			sizes[i] = AlbertImageSize(source, i, kernels, key->precision, status);
			ok = sizes[i] > 0;
		}
		AlbertSourceClose(source);
	}
	MemoryContextDelete(context);
	return ok;
}

static void
reserve(const char *name)
{
	Reserved	model;
	AlbertRequest request;
	const AlbertKernels *kernels;
	AlbertStatus status;
	int			i;

	memset(&model, 0, sizeof(model));
	if (!AlbertModelNameIsValid(name))
	{
		ereport(WARNING,
				(errmsg("could not preload model \"%s\": invalid model name", name)));
		return;
	}
	if (nreserved == ALBERT_NSLOTS)
	{
		ereport(WARNING,
				(errmsg("could not preload model \"%s\": there can be %d models in memory at a time",
						name, ALBERT_NSLOTS)));
		return;
	}
	if (!AlbertModelDirectory(name, model.directory))
	{
		ereport(WARNING,
				(errmsg("could not preload model \"%s\": no such directory in albert.model_path (%s)",
						name, albert_model_path)));
		return;
	}
	kernels = AlbertKernelsFind(albert_kernel, albert_precision, &status);
	if (kernels == NULL)
	{
		warn(name, &status);
		return;
	}
	AlbertRequestMake(name, &request);
	model.key = request.key;
	for (i = 0; i < nreserved; i++)
	{
		if (memcmp(&reserved[i].key, &model.key, sizeof(AlbertKey)) == 0)
			return;
	}
	if (!measure(model.directory, &model.key, kernels, model.sizes, &status))
	{
		warn(name, &status);
		return;
	}
	reserved[nreserved++] = model;
	for (i = 0; i < ALBERT_NPARTS; i++)
		reserved_bytes += whole_lines(model.sizes[i]);
}

static void
request(void)
{
	char	   *names;
	char	   *name;
	char	   *rest;

#ifdef ALBERT_HAS_SHMEM_REQUEST_HOOK
	if (next_shmem_request_hook != NULL)
		next_shmem_request_hook();
#endif

	RequestAddinShmemSpace(MAXALIGN(sizeof(AlbertRegistry)));
	reserved = MemoryContextAllocZero(TopMemoryContext, sizeof(Reserved) * ALBERT_NSLOTS);
	names = pstrdup(albert_preload_models);
	for (name = strtok_r(names, ", \t\n", &rest); name != NULL; name = strtok_r(NULL, ", \t\n", &rest))
		reserve(name);
	pfree(names);
	if (reserved_bytes > 0)
		RequestAddinShmemSpace(reserved_bytes + ALBERT_ALIGN);
}

/* ---- when it does ---- */

/* An error of the digest would end the postmaster. */
static bool
take_digest(const AlbertSource *source, uint8 *digest, AlbertStatus *status)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool ok = true;

	PG_TRY();
	{
		AlbertDigest(source, digest);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		ok = AlbertFail(status, ALBERT_IO, "%s", error->message);
	}
	PG_END_TRY();
	return ok;
}

static bool
build(const Reserved *model, AlbertSlot *slot, char *const *dest, AlbertStatus *status)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "albert preload",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	const AlbertKernels *kernels = AlbertKernelsById(model->key.kernels);
	AlbertArena arena;
	AlbertSource *source;
	bool		ok = false;

	AlbertArenaInitContext(&arena, context);
	if (AlbertSourceOpen(model->directory, &arena, &source, status))
	{
		int			i;

		ok = true;
		for (i = 0; ok && i < ALBERT_NPARTS; i++)
		{
			Size		size = AlbertImageSize(source, i, kernels, model->key.precision, status);

			/* After a crash the files may be others than at the start. */
			if (size > 0 && size != model->sizes[i])
				ok = AlbertFail(status, ALBERT_IO, "its files have changed since the server was started");
			else
				ok = size > 0 && AlbertImageBuild(source, i, kernels, model->key.precision,
												  dest[i], size, NULL, status);
		}
		if (ok)
		{
			AlbertSourceFacts(source, model->directory, &slot->facts);
			strlcpy(slot->facts.name, model->key.name, sizeof(slot->facts.name));
			ok = take_digest(source, slot->facts.digest, status);
			slot->facts.has_digest = true;
			slot->fingerprint = AlbertSourceFingerprint(source);
		}
		AlbertSourceClose(source);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return ok;
}

static void
build_all(char *space)
{
	ResourceOwner old = CurrentResourceOwner;
	ResourceOwner owner = ResourceOwnerCreate(NULL, "albert preload");
	int			i;
	int			j;

	/* The hash functions of the digest want an owner, which the postmaster has not. */
	CurrentResourceOwner = owner;
	memset(space, 0, reserved_bytes);
	for (i = 0; i < nreserved; i++)
	{
		const Reserved *model = &reserved[i];
		AlbertHandles none = {0};
		AlbertSlot *slot = AlbertSlotNew(&model->key, &none);
		char	   *dest[ALBERT_NPARTS];
		AlbertStatus status;

		for (j = 0; j < ALBERT_NPARTS; j++)
		{
			dest[j] = space;
			space += whole_lines(model->sizes[j]);
		}
		if (!build(model, slot, dest, &status))
		{
			warn(model->key.name, &status);
			slot->used = false;
			continue;
		}
		for (j = 0; j < ALBERT_NPARTS; j++)
		{
			slot->images[j].ready = true;
			slot->images[j].handle = DSM_HANDLE_INVALID;
			slot->images[j].address = dest[j];
			slot->images[j].size = model->sizes[j];
		}
		slot->loaded_at = GetCurrentTimestamp();
		pg_atomic_write_u64(&slot->last_used, slot->loaded_at);
	}
	/* Not as for a commit: a digest that failed has left its hash functions behind. */
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, false, true);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, false, true);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, false, true);
	CurrentResourceOwner = old;
	ResourceOwnerDelete(owner);
}

static void
startup(void)
{
	char	   *space;
	bool		found;

	if (next_shmem_startup_hook != NULL)
		next_shmem_startup_hook();

	AlbertRegistryPreload();
	if (nreserved == 0)
		return;
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	space = ShmemInitStruct("albert preloaded models", reserved_bytes + ALBERT_ALIGN, &found);
	LWLockRelease(AddinShmemInitLock);

	/* No other process exists yet that could look at half-built models. */
	if (!found)
		build_all((char *) TYPEALIGN(ALBERT_ALIGN, (uintptr_t) space));
}

void
AlbertPreloadInit(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
#ifdef ALBERT_HAS_SHMEM_REQUEST_HOOK
	next_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request;
#else
	request();
#endif
	next_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
}
