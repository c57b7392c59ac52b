/*
 * store.h
 *	  Models in shared memory: found by name, loaded once a cluster, attached
 *	  by every backend and parallel worker.
 *
 * A name is that of a model of the database or, where there is none, of a
 * directory of albert.model_path.  A model's two parts (text: configuration and
 * tokenizer; weights) are loaded separately, so that counting tokens needs no
 * weights.
 */
#ifndef ALBERT_STORE_H
#define ALBERT_STORE_H

#include "postgres.h"

#include "compat.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/lwlock.h"
#include "encoder/model.h"
#include "formats/formats.h"
#include "tokenizer/tokenizer.h"

#define ALBERT_NAME_LEN		64	/* a model's name with its NUL */
#define ALBERT_SHA256_LEN	32

/* What a backend holds of an attached model. */
typedef struct AlbertBinding
{
	const char *name;
	uint64		number;			/* of no other binding of the session; one that has it gives the same results */
	bool		has_weights;	/* model's weight pointers are set */

	/*
	 * With weights, what gives the results: the SHA-256 of the model's files,
	 * or of them and its options where it has any; a head's own.
	 */
	uint8		identity[ALBERT_SHA256_LEN];
	AlbertModel model;
	AlbertTokenizer tokenizer;
} AlbertBinding;

/*
 * The binding of the model called name (NULL or "": albert.model) with at
 * least the given part, loading it when nobody has: the first caller in the
 * cluster loads, others wait and can be cancelled.  Microseconds when this
 * backend has attached before.  Errors are raised.
 *
 * The result stays valid until the end of the transaction, whatever unloads
 * the model meanwhile; it may be the same pointer each time.
 */
extern const AlbertBinding *AlbertStoreAttach(const char *name, AlbertPart part);

/* One run's work, added to what albert_stats shows of the model: int64 only, which the store adds up as an array. */
typedef struct AlbertCounts
{
	int64		calls;			/* runs of the encoder or the tokenizer */
	int64		rows;			/* texts or pairs */
	int64		tokens;			/* after truncation, special tokens included */
	int64		truncated;		/* rows over the model's length */
	int64		batches;
	int64		microseconds;
} AlbertCounts;

extern void AlbertStoreCount(const AlbertBinding *binding, const AlbertCounts *counts);

/* Load now, both parts. */
extern void AlbertStoreLoad(const char *name);

/*
 * Forget a model, so that its memory is free once the last transaction that
 * computes with it has ended, and the next use loads it from its files again.
 * Waits for a load that is under way.  False when it was not loaded.
 */
extern bool AlbertStoreUnload(const char *name);

/* A model as albert_models and albert_stats show it; all strings are palloc'd and in the database's encoding. */
typedef struct AlbertModelEntry
{
	const char *name;
	const char *state;			/* available, loading, tokenizer, loaded, broken, importing, restoring */
	const char *origin;			/* directory, database, pinned directory, other database */
	const char *owner;			/* NULL: a directory */
	const char *description;	/* of a model of the database, as JSON; NULL: none */
	int64		file_bytes;		/* of a model of the database, as far as they are in it; -1: a directory */
	int			users;			/* transactions that have computed with it and go on */
	TimestampTz last_used;		/* 0: never */
	AlbertConfig config;		/* class_name "": not known (broken) */
	const char *precision;		/* NULL unless the weights are loaded, as are kernel and digest */
	const char *kernel;
	int64		shared_bytes;
	const char *digest;			/* SHA-256 in hexadecimal */
	const char *path;			/* NULL when this user may not see it */
	TimestampTz loaded_at;		/* 0: not loaded */
	const char *error;			/* why it is broken */
	const char *identity;		/* that of its binding, in hexadecimal; NULL: not known */
	const char *base;			/* of a trained head, the model on whose embeddings it is; NULL: no head */
	const char *base_identity;
} AlbertModelEntry;

/* Models of the path and of the database, and those that are loaded: a list of AlbertModelEntry by name. */
extern List *AlbertStoreList(void);

typedef struct AlbertCountsEntry
{
	char		name[ALBERT_NAME_LEN];
	AlbertCounts counts;
} AlbertCountsEntry;

/* What each model has done since it was first loaded, one of each name: a list of AlbertCountsEntry. */
extern List *AlbertStoreCounts(void);
extern void AlbertStoreResetCounts(void);

/*
 * Zeroed shared memory for the executor's use, of at most 16 kB, with its lock.
 * There is one such room; raises an error when it cannot be had yet.
 */
extern void *AlbertSharedRoom(Size size, LWLock **lock);

/*
 * Would a segment of dynamic shared memory of that size leave as much free as it
 * takes?  True where that is not known.
 */
extern bool AlbertMemoryHasRoom(Size bytes);

/* The i-th head's name and bit, in the order of display; NULL past the end. */
extern const char *AlbertHeadName(int i, uint32 *head);

/* An arena whose blocks are palloc'd in context; it returns NULL, as arenas do, when there is no memory. */
extern void AlbertArenaInitContext(AlbertArena *arena, MemoryContext context);

/* Raise a status from below as an error with its SQLSTATE, message, detail and hint. */
extern void AlbertReport(const AlbertStatus *status) pg_attribute_noreturn();

/*
 * Of these, for an ereport of one's own: the SQLSTATE, and a text with what the
 * database's encoding cannot hold replaced; palloc'd.
 */
extern int	AlbertStatusSqlState(const AlbertStatus *status);
extern char *AlbertCleanText(const char *text);

/* For messages: the heads of a mask in words, "fill-mask, sentence order". */
extern char *AlbertHeadNames(uint32 heads);

/* Raises for a name that no model can have. */
extern void AlbertModelNameCheck(const char *name);

/* Raise that a model was not found. */
extern void AlbertModelMissing(const char *name) pg_attribute_noreturn();

/* Raise that the model is missing if this user may not use models in directories. */
extern void AlbertRequireDirectories(const char *name);

/* Called once by _PG_init: settings and callbacks of the store, the worker that preloads. */
extern void AlbertStoreInit(void);

/* settings */
extern char *albert_model;
extern char *albert_kernel;
extern int	albert_precision;	/* AlbertPrecision */

#endif							/* ALBERT_STORE_H */
