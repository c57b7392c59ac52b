/*
 * internal.h
 *	  The parts of the reader of PyTorch files: archive, pickle, tensors.
 */
#ifndef ALBERT_CHECKPOINTS_INTERNAL_H
#define ALBERT_CHECKPOINTS_INTERNAL_H

#include "formats/internal.h"

/* ---- zip.c: the directory of a zip archive ---- */

#define MAX_ZIP_ENTRIES		MAX_TENSORS
#define MAX_ZIP_DIRECTORY	(16 * 1024 * 1024)

typedef struct ZipEntry
{
	const char *name;			/* NUL-terminated, in the arena */
	int			method;			/* 0: stored */
	bool		encrypted;
	int64_t		size;			/* stored bytes */
	int64_t		full_size;		/* bytes once unpacked */
	int64_t		header;			/* offset of the local header */
} ZipEntry;

typedef struct ZipArchive
{
	const SourceFile *file;
	ZipEntry   *entries;		/* by name */
	int			nentries;
	int64_t		end;			/* of the data: where the directory begins */
} ZipArchive;

extern bool AlbertZipOpen(const SourceFile *file, AlbertArena *arena, ZipArchive *zip,
						  AlbertStatus *status);
extern const ZipEntry *AlbertZipFind(const ZipArchive *zip, const char *name);

/* Offset of an entry's bytes in the file; fails unless they are stored as they are. */
extern bool AlbertZipData(const ZipArchive *zip, const ZipEntry *entry, int64_t *offset,
						  AlbertStatus *status);

/* ---- pickle.c: the little of pickle that a file of tensors needs ---- */

#define MAX_PICKLE			(4 * 1024 * 1024)
#define MAX_PICKLE_STEPS	500000
#define MAX_PICKLE_VALUES	2000000
#define MAX_PICKLE_MEMO		(1 << 18)

typedef enum PickleKind
{
	PICKLE_NONE,
	PICKLE_MARK,				/* only on the stack */
	PICKLE_BOOL,
	PICKLE_INT,
	PICKLE_TEXT,
	PICKLE_LIST,				/* also tuples */
	PICKLE_DICT,				/* a list of keys and values by turns */
	PICKLE_CALLABLE,			/* one of the few globals that are known */
	PICKLE_STORAGE_TYPE,
	PICKLE_STORAGE,
	PICKLE_TENSOR,
	PICKLE_OTHER				/* a float, a long number: nothing we look into */
} PickleKind;

typedef struct PickleList PickleList;
typedef struct PickleStorage PickleStorage;
typedef struct PickleTensor PickleTensor;

typedef struct PickleValue
{
	PickleKind	kind;
	uint32_t	length;			/* of a text; of the bytes of a long number */
	union
	{
		int64_t		number;		/* also of a global */
		const char *text;
		PickleList *list;
		PickleStorage *storage;
		PickleTensor *tensor;
	};
} PickleValue;

struct PickleList
{
	PickleValue *items;
	int			n;
	size_t		room;
};

/* A persistent id: elements somewhere else in the file. */
struct PickleStorage
{
	ElementType type;
	const char *type_name;
	int			element_size;
	const char *key;			/* NUL-terminated */
	int64_t		elements;		/* of the whole storage */
	int64_t		view_start;		/* legacy files can name a part of it */
	int64_t		view_elements;
};

struct PickleTensor
{
	const PickleStorage *storage;
	int64_t		offset;			/* in elements from view_start */
	int			ndim;
	int64_t		shape[MAX_DIMS];
	int64_t		stride[MAX_DIMS];
};

/*
 * Run one pickle.  Only globals that make up tensors are known; any other one
 * fails with its name, and nothing is ever called.  *used tells where the
 * pickle ended.  Everything is allocated in the arena.
 */
extern bool AlbertPickleLoad(const char *data, size_t size, size_t *used, AlbertArena *arena,
							 const char *file, PickleValue *result, AlbertStatus *status);

/* A dictionary's value for a key; NULL when it has none. */
extern const PickleValue *AlbertPickleGet(const PickleValue *dict, const char *key);

#endif							/* ALBERT_CHECKPOINTS_INTERNAL_H */
