/*
 * internal.h
 *	  The parts of the reader of PyTorch files: archive, pickle, tensors.
 */
#ifndef ALBERT_CHECKPOINTS_INTERNAL_H
#define ALBERT_CHECKPOINTS_INTERNAL_H

#include "formats/internal.h"

/* ---- zip.c: the directory of a zip archive ---- */

#define MAX_ZIP_DIRECTORY	(16 * 1024 * 1024)

typedef struct ZipEntry
{
	const char *name;			/* in the arena */
	uint64_t	header;			/* offset of the local header, behind which its bytes lie */
	uint64_t	size;			/* stored bytes */
	bool		plain;			/* neither compressed nor encrypted */
} ZipEntry;

typedef struct ZipArchive
{
	const WeightsFile *weights;
	ZipEntry   *entries;		/* by name */
	int			nentries;
	uint64_t	end;			/* of the data: where the directory begins */
} ZipArchive;

/* Read the directory of the file that is set. */
extern bool AlbertZipOpen(ZipArchive *zip);

/* Offset of an entry's bytes in the file; fails unless they are stored as they are. */
extern bool AlbertZipData(const ZipArchive *zip, const ZipEntry *entry, int64_t *offset);

/* ---- pickle.c: the little of pickle that a file of tensors needs ---- */

#define MAX_PICKLE			(4 * 1024 * 1024)
#define MAX_PICKLE_STEPS	500000
#define MAX_PICKLE_VALUES	2000000
#define MAX_PICKLE_MEMO		(1 << 18)

typedef enum PickleKind
{
	PICKLE_NOTHING,				/* only where nothing has been remembered yet */
	PICKLE_OTHER,				/* a float, bytes, a long number or text: nothing we look into */
	PICKLE_NONE,
	PICKLE_BOOL,
	PICKLE_INT,
	PICKLE_TEXT,				/* NUL-terminated, without a NUL in it, at most MAX_TENSOR_NAME bytes */
	PICKLE_LIST,				/* also tuples */
	PICKLE_DICT,				/* a list of keys and values by turns */
	PICKLE_CALLABLE,			/* one of the few globals that are known */
	PICKLE_ELEMENTS,			/* another: a class of storages, told by its elements */
	PICKLE_STORAGE,				/* a persistent id: what it consists of */
	PICKLE_TENSOR				/* what it is made of: the arguments of torch._utils._rebuild_tensor */
} PickleKind;

typedef struct PickleList PickleList;

typedef struct PickleValue
{
	PickleKind	kind;
	union
	{
		int64_t		number;
		const char *text;
		const ElementType *elements;
		PickleList *list;
	};
} PickleValue;

struct PickleList
{
	PickleValue *items;
	int			n;
	size_t		room;
};

/*
 * Run the pickle that the input, a part of the file, begins with; what is
 * behind it is left there.  Only globals that make up tensors are known; any
 * other one fails with its name, and nothing is ever called.
 */
extern bool AlbertPickleLoad(const WeightsFile *weights, AlbertSpan *input, PickleValue *result);

/* A list's item, if it has one there of that kind; else NULL. */
extern const PickleValue *AlbertPickleItem(const PickleList *list, int i, PickleKind kind);

#endif							/* ALBERT_CHECKPOINTS_INTERNAL_H */
