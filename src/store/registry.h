/*
 * registry.h
 *	  The part of shared memory that tells which models are loaded and where;
 *	  what the files of src/store share and nobody else needs.
 *
 * A slot is a model, packed for one kernel set in one precision: a name, found
 * through one value of albert.model_path, or, of a model of a database, what its
 * files and options are, so that databases share it.  Its images lie in pinned
 * dynamic shared memory segments.  Everything in a slot but the atomics is
 * guarded by the registry's lock, which is held for a few instructions, and
 * while images are mapped, so that they are not taken away meanwhile (a loader,
 * from whom nobody takes them, maps them without it): never while a file is
 * read, nor while an error could be raised that leaves a slot half changed.
 *
 * Which model it is, two things tell: what was asked for (AlbertKey), and the
 * SHA-256 of what was loaded (AlbertFacts.digest), which is known once the
 * weights have been read.  Two numbers stand in where neither will do.  A
 * slot's generation tells, at the cost of reading an atomic, that what was
 * loaded is there no more: it is a number that no slot has had before, drawn
 * whenever its images go away or the slot gets another key.  A fingerprint tells
 * whether files may have changed, without reading them.
 *
 * One process loads a slot at a time: the one that has set slot->loader.  Only
 * it may change the slot's images meanwhile, and a slot with a loader is not
 * unloaded.  It gives the slot back whatever happens to it (load.c).
 */
#ifndef ALBERT_STORE_REGISTRY_H
#define ALBERT_STORE_REGISTRY_H

#include "postgres.h"

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/lwlock.h"

#include "compat.h"
#include "store/object.h"

#define ALBERT_NSLOTS		48
#define ALBERT_DIR_LEN		320 /* a directory of albert.model_path with its NUL */
#define ALBERT_PATH_LEN		(ALBERT_DIR_LEN + ALBERT_NAME_LEN)
#define ALBERT_NDATABASES	6
#define ALBERT_SOME_DATABASE 1	/* template1, which is not dropped: for the server, and those that find no place */
#define ALBERT_NVERDICTS	128

/* What makes two models different; all bytes count, so zero it before filling in. */
typedef struct AlbertKey
{
	char		name[ALBERT_NAME_LEN];	/* "": a model of a database */
	uint64		path;			/* hash of albert.model_path as resolved */
	uint8		identity[ALBERT_SHA256_LEN];	/* of a model of a database, which has no name and path */
	int32		kernels;		/* AlbertKernels.id */
	int32		precision;
} AlbertKey;

/* What a name stands for in this session. */
typedef struct AlbertRequest
{
	char		name[ALBERT_NAME_LEN];
	AlbertKey	key;
	const AlbertKernels *kernels;
	bool		is_object;		/* a model of the database; else a directory */
	AlbertObject object;
	char		directory[ALBERT_PATH_LEN]; /* where its files are; "": not looked for, or in a table */
} AlbertRequest;

typedef struct AlbertStoredImage
{
	dsm_handle	handle;
	Size		size;			/* 0: there is none */
} AlbertStoredImage;

/* AlbertCounts is an array of so many int64. */
#define ALBERT_NCOUNTS	(sizeof(AlbertCounts) / sizeof(int64))

/* What the view tells, without attaching. */
typedef struct AlbertFacts
{
	char		name[ALBERT_NAME_LEN];	/* that it was asked for by who loaded it */
	char		path[ALBERT_PATH_LEN];	/* the model's directory; "": it is in a database */
	AlbertConfig config;
	uint8		digest[ALBERT_SHA256_LEN];	/* known with the weights */
} AlbertFacts;

typedef struct AlbertSlot
{
	int			loader;			/* process id of who is loading; 0: nobody */
	Size		reserved;		/* bytes that the loader has still to take */
	AlbertKey	key;
	AlbertStoredImage images[ALBERT_NPARTS];	/* there are weights only when there is the text */
	uint64		fingerprint;	/* of the directory's files it was made from last; 0: of none yet */
	Oid			databases[ALBERT_NDATABASES];	/* whose sessions have attached it; InvalidOid: no more */
	AlbertFacts facts;
	TimestampTz loaded_at;		/* 0: never */

	pg_atomic_uint64 generation;	/* see above */
	pg_atomic_uint32 users;		/* transactions that have computed with it and go on */
	pg_atomic_uint64 last_used; /* TimestampTz: when the last of them ended */
	ConditionVariable changed;	/* broadcast when loader is done */
	pg_atomic_uint64 counts[ALBERT_NCOUNTS];
} AlbertSlot;

/* Whether the tokenizer of a directory can be compiled, which takes longer than looking at the rest. */
typedef struct AlbertVerdict
{
	uint64		fingerprint;	/* of the directory's files */
	char		error[248];		/* empty: it can */
} AlbertVerdict;

typedef struct AlbertRegistry
{
	dsm_handle	handle;			/* of the segment that it lies in; written last */
	LWLock		lock;
	int			tranche;
	uint64		generation;		/* the one that was drawn last */
	AlbertSlot	slots[ALBERT_NSLOTS];
	int			next_verdict;	/* the one to be replaced next */
	AlbertVerdict verdicts[ALBERT_NVERDICTS];

	/* AlbertSharedRoom */
	LWLock		room_lock;
	union
	{
		char		room[16 * 1024];
		uint64		aligned;
	};
} AlbertRegistry;

/* ---- registry.c ---- */

/*
 * Lock the registry, which is made at first use.  Raises an error when there is
 * no memory for it; the next call tries again.
 */
extern AlbertRegistry *AlbertRegistryLock(LWLockMode mode);

/* Also frees what has been dropped meanwhile, and has idle sessions let go of it.  Raises no error. */
extern void AlbertRegistryUnlock(void);

/* The registry, NULL when no session has made it yet. */
extern AlbertRegistry *AlbertRegistryFind(void);

/* NULL when this process has not used it so far.  Raises no error, so it is what callbacks ask. */
extern AlbertRegistry *AlbertRegistryKnown(void);

/* Of slots; the lock must be held, exclusively where something is changed. */

/* The slot of a key, or NULL. */
extern AlbertSlot *AlbertSlotFind(const AlbertKey *key);

/* Is it of the model that a key is of, in whatever precision and for whatever kernel set? */
extern bool AlbertSlotIsOf(const AlbertSlot *slot, const AlbertKey *key);

/* Does it hold something, and nobody is loading it, so that it may be dropped? */
extern bool AlbertSlotIsLoaded(const AlbertSlot *slot);

/* And is nobody computing with it? */
extern bool AlbertSlotIsIdle(const AlbertSlot *slot);

/* A slot made ready for a request: one that holds nothing, or else of a model that is put out; NULL: none. */
extern AlbertSlot *AlbertSlotNew(const AlbertRequest *request);

/* What a session has mapped of a slot. */
typedef struct AlbertMapping
{
	AlbertSlot *slot;
	uint64		generation;		/* good as long as this is the slot's */
	uint8		identity[ALBERT_SHA256_LEN];	/* of the model, once the weights are there */
	dsm_segment *segments[ALBERT_NPARTS];	/* NULL: not mapped */
	Size		sizes[ALBERT_NPARTS];	/* of the images in them */
} AlbertMapping;

/*
 * Map a part that a slot has (weights: and the text); its loader need not hold
 * the lock.  What this process has not mapped already belongs to the resource
 * owner.  Raises an error when that fails.
 */
extern void AlbertSlotMap(AlbertSlot *slot, AlbertPart part, AlbertMapping *mapping);

/* This database uses the slot. */
extern void AlbertSlotNoteDatabase(AlbertSlot *slot);

/* Take its images away.  Moves the generation. */
extern void AlbertSlotDrop(AlbertSlot *slot);

/* Drop, of the models that nobody computes with, the one used least recently: its slot, or NULL. */
extern AlbertSlot *AlbertSlotPutOut(void);

/* ---- names.c ---- */

/*
 * Moves when a name may stand for another model in this session: with settings,
 * tables of models, privileges.
 */
extern uint64 albert_names_epoch;

extern bool AlbertModelNameIsValid(const char *name);
extern const char *AlbertModelNameRule(void);

/* The directories of a path such as albert.model_path, $sharedir replaced: a list of palloc'd strings. */
extern List *AlbertModelDirectories(const char *path);

/* The directory of a model in directory[ALBERT_PATH_LEN]; false when there is none. */
extern bool AlbertModelDirectory(const char *name, char *directory);

/* What AlbertKey.path is under this session's albert.model_path. */
extern uint64 AlbertPathHash(void);

/* May this user use models in directories?  See AlbertRequireDirectories. */
extern bool AlbertMayUseDirectories(void);

/* May this user see directories of the server? */
extern bool AlbertMaySeePaths(void);

/* ---- share_path.c ---- */

/* The share directory that albert was installed into. */
extern const char *AlbertSharePath(void);

/* ---- object.c, object_files.c ---- */

extern void AlbertObjectsInit(void);

/* A relative path that stays below where it begins? */
extern bool AlbertObjectPathIsValid(const char *path);

/* The bytes of all files in a table, as far as they are there; -1: it has no rows. */
extern int64 AlbertObjectBytes(Oid relation);

/* ---- request.c ---- */

/*
 * What a name stands for under this session's settings: a model of the database
 * that the current user may use, or else a directory, which need not exist.
 * Raises for a bad name or settings that do not go together.
 */
extern void AlbertRequestMake(const char *name, AlbertRequest *request);

/* Find the request's directory, if its files are in one; raises when it is not there. */
extern void AlbertRequestFiles(AlbertRequest *request);

/* ---- source.c: each raises errors ---- */

/* Open a directory as a source, which is closed with the arena's memory context.  false: *status tells why not. */
extern bool AlbertDirectoryOpen(const char *directory, AlbertArena *arena, AlbertSource **source, AlbertStatus *status);

/* The same for a directory or, where that is "", the files of a model's table. */
extern AlbertSource *AlbertFilesOpen(const char *directory, Oid relation, const char *name, AlbertArena *arena);

/* The files that AlbertRequestFiles has found; those of a model of the database are checked to be what it says. */
extern AlbertSource *AlbertRequestOpen(const AlbertRequest *request, AlbertArena *arena);

extern void AlbertSha256(const void *data, Size size, uint8 *digest);

/* A SHA-256 in hexadecimal, palloc'd. */
extern char *AlbertHex(const uint8 *digest);

/*
 * SHA-256 of what "sha256sum FILE..." prints for the model's files in the
 * order of their names, so that anybody can check it.  Interruptible.
 */
extern void AlbertDigest(const AlbertSource *source, uint8 *digest);

/* A hash of which files they are, how large, and when they were changed last. */
extern uint64 AlbertFingerprint(const AlbertSource *source);

/* ---- load.c ---- */

/*
 * Load a part (weights: and the text) of a slot, whose loader is this process,
 * and map it; then nobody is its loader.
 */
extern void AlbertSlotLoad(AlbertSlot *slot, AlbertPart part, const AlbertRequest *request, AlbertMapping *mapping);

/* ---- head.c ---- */

/* Read a head; raises for what is not well-formed or not what the description says. */
extern void AlbertHeadRead(AlbertRequest *request, AlbertArena *arena, AlbertTrainedHead *head);

/* Make it the classifier of a copy of its base's model; raises when it is for embeddings of another size. */
extern void AlbertHeadBind(const AlbertTrainedHead *head, const char *name, AlbertArena *arena, AlbertModel *model);

/* Raise that the model called base is not what the head called name was trained on. */
extern void AlbertHeadMisfits(const char *name, const char *base) pg_attribute_noreturn();

/* ---- unload.c ---- */

/*
 * Free the models that only databases have used which have been dropped since.
 * Whoever drops a database need not have this library, so it is done when
 * memory is wanted or looked at.  Reads a catalog.
 */
extern void AlbertStoreSweep(void);

extern void AlbertUnloadInit(void);

/* ---- memory.c ---- */

/*
 * Before a load of so many bytes into slot, whose loader is this process: set
 * them aside within albert.shared_memory_limit and see that the system has
 * them, putting out models that nobody computes with, least recently used
 * first.  Raises an error that tells the numbers when that is not enough.
 */
extern void AlbertMemoryReserve(AlbertSlot *slot, const char *name, Size bytes);

/* A segment for a part, zeroed; raises an error that says what was needed and what to do. */
extern dsm_segment *AlbertMemoryCreate(const char *name, Size bytes);

/* After a load that took so many bytes: warn when it left little for others. */
extern void AlbertMemoryWarn(const char *name, Size bytes);

/* ---- invalidate.c ---- */

/*
 * What sessions remember may have been computed with another model than a name
 * stands for now: have all of them, of every database, plan their statements
 * anew.  Raises no error.
 */
extern void AlbertForgetPlans(void);

/* The same when the transaction commits, and in this session with the next command: a name of the database's. */
extern void AlbertForgetPlansAtCommit(void);

/* ---- files.c: each raises errors; interruptible ---- */

#define ALBERT_FILE_CHUNK	(256 * 1024)

/* A transient file that is written. */
typedef struct AlbertFile
{
	int			fd;
	const char *name;			/* for messages: at first its path */
	int64		end;			/* where it goes on */
} AlbertFile;

/* flags: O_EXCL, O_TRUNC or 0 */
extern void AlbertFileCreate(AlbertFile *file, const char *path, int flags);

/* An AlbertWriteBytes whose context is an AlbertFile. */
extern void AlbertFileAppend(void *file, const void *bytes, size_t size);
extern void AlbertFileClose(AlbertFile *file);

/* Nothing where it is there already. */
extern void AlbertDirectoryMake(const char *path);

/* The bytes of an open file, chunk by chunk. */
extern void AlbertFileEach(int fd, const char *name, int64 size, AlbertWriteBytes take, void *context);

/* ---- settings.c, attach.c ---- */

extern char *albert_model_path;
extern bool albert_public_directory_models;
extern int	albert_shared_memory_limit; /* MB; -1: half of what there is */
extern int	albert_load_lock_id;

extern void AlbertSettingsInit(void);
extern void AlbertBindingsInit(void);

#endif							/* ALBERT_STORE_REGISTRY_H */
