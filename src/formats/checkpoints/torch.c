/*
 * torch.c
 *	  The tensors of a file that torch.save wrote.
 *
 * Since PyTorch 1.6 it is a zip archive: NAME/data.pkl describes the tensors,
 * NAME/data/KEY are their storages.  Before, it was four pickles (a magic
 * number, the protocol, the system, the tensors), one with the storages' keys,
 * and the storages one after the other, each behind its length.
 */
#include "formats/checkpoints/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define LEGACY_PROTOCOL		1001

/* 0x1950a86a20f9469cfc6c, as a pickle writes a long number */
static const unsigned char legacy_magic[] = {
	0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19
};

/* A storage of a legacy file: where its elements begin. */
typedef struct LegacyStorage
{
	const char *key;			/* not NUL-terminated */
	uint32_t	length;
	int			element_size;	/* 0: no tensor uses it */
	int64_t		elements;
	int64_t		offset;
} LegacyStorage;

typedef struct TorchFile
{
	const WeightsFile *weights;
	const SourceFile *file;
	AlbertArena *scratch;
	AlbertStatus *status;
	ZipArchive	zip;			/* of a zip archive */
	const char *root;			/* its NAME/ */
	LegacyStorage *storages;	/* of a legacy file, in the file's order */
	LegacyStorage **by_key;
	int			nstorages;
} TorchFile;

static bool
bad_file(TorchFile *torch, const char *what)
{
	return AlbertFail(torch->status, ALBERT_FORMAT, "file \"%s\" %s", torch->file->name, what);
}

/* ---- where a storage lies ---- */

/* The entry NAME/directory/name; neither NAME nor a storage's key is longer than a tensor's name. */
static const ZipEntry *
find_entry(TorchFile *torch, const char *directory, const char *name)
{
	char		full[2 * MAX_TENSOR_NAME + 16];

	snprintf(full, sizeof(full), "%s%s%s", torch->root, directory, name);
	return AlbertZipFind(&torch->zip, full);
}

static bool
zip_storage(TorchFile *torch, const PickleStorage *storage, int64_t bytes, int64_t *offset)
{
	const ZipEntry *entry = find_entry(torch, "data/", storage->key);

	if (entry == NULL)
		return AlbertFail(torch->status, ALBERT_FORMAT, "file \"%s\" lacks the storage \"%.200s\"",
						  torch->file->name, storage->key);
	if (!AlbertZipData(&torch->zip, entry, offset, torch->status))
		return false;
	if (entry->size < bytes)
	{
		AlbertFail(torch->status, ALBERT_FORMAT, "storage \"%.200s\" of file \"%s\" is too short",
				   storage->key, torch->file->name);
		return AlbertDetail(torch->status, "It has %lld bytes; its tensors need %lld.",
							(long long) entry->size, (long long) bytes);
	}
	return true;
}

static int
compare_keys(const void *a, const void *b)
{
	const LegacyStorage *x = *(LegacyStorage *const *) a;
	const LegacyStorage *y = *(LegacyStorage *const *) b;
	int			order = memcmp(x->key, y->key, x->length < y->length ? x->length : y->length);

	return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

static LegacyStorage *
find_legacy(TorchFile *torch, const char *key)
{
	LegacyStorage wanted = {.key = key, .length = strlen(key)};
	LegacyStorage *place = &wanted;
	LegacyStorage **found = torch->nstorages == 0 ? NULL
		: bsearch(&place, torch->by_key, torch->nstorages, sizeof(LegacyStorage *), compare_keys);

	return found == NULL ? NULL : *found;
}

static bool
legacy_storage(TorchFile *torch, const PickleStorage *storage, int64_t *offset)
{
	const LegacyStorage *found = find_legacy(torch, storage->key);

	if (found == NULL || found->elements < storage->elements)
		return AlbertFail(torch->status, ALBERT_FORMAT, "file \"%s\" lacks the storage \"%.200s\"",
						  torch->file->name, storage->key);
	*offset = found->offset;
	return true;
}

/* ---- from the pickled dictionary to the list of tensors ---- */

static bool
add_tensor(TorchFile *torch, const char *name, const PickleTensor *pickled)
{
	const PickleStorage *storage = pickled->storage;
	Tensor		tensor = {
		.name = name, .type = storage->type, .type_name = storage->type_name, .ndim = pickled->ndim
	};
	int64_t		offset;
	int64_t		bytes;

	if (__builtin_mul_overflow(storage->elements, (int64_t) storage->element_size, &bytes))
		return bad_file(torch, "has a storage that is too large");
	if (torch->storages == NULL ? !zip_storage(torch, storage, bytes, &offset) :
		!legacy_storage(torch, storage, &offset))
		return false;
	memcpy(tensor.shape, pickled->shape, sizeof(tensor.shape));
	memcpy(tensor.stride, pickled->stride, sizeof(tensor.stride));
	/* both stay below the storage's size, which has been checked against the file */
	tensor.offset = offset + (storage->view_start + pickled->offset) * storage->element_size;
	return AlbertTensorAdd(torch->weights, &tensor, torch->status);
}

static bool
add_tensors(TorchFile *torch, const PickleValue *dict)
{
	if (dict->kind != PICKLE_DICT)
		return bad_file(torch, "holds no dictionary of tensors");
	for (int i = 0; i + 1 < dict->list->n; i += 2)
	{
		const PickleValue *key = &dict->list->items[i];
		char		name[MAX_TENSOR_NAME + 1];

		if (key[1].kind != PICKLE_TENSOR)
			continue;
		if (key->kind != PICKLE_TEXT || key->length > MAX_TENSOR_NAME ||
			memchr(key->text, '\0', key->length) != NULL)
			return bad_file(torch, "holds a tensor without a valid name");
		memcpy(name, key->text, key->length);
		name[key->length] = '\0';
		if (!add_tensor(torch, name, key[1].tensor))
			return false;
	}
	return true;
}

/* ---- zip archives ---- */

/* The entry NAME/data.pkl; NAME/ is set as the root. */
static const ZipEntry *
find_pickle(TorchFile *torch)
{
	static const char wanted[] = "data.pkl";

	for (int i = 0; i < torch->zip.nentries; i++)
	{
		const char *name = torch->zip.entries[i].name;
		const char *slash = strchr(name, '/');
		char	   *root;

		if (slash == NULL || strcmp(slash + 1, wanted) != 0)
			continue;
		root = AlbertArenaAlloc(torch->scratch, slash + 2 - name);
		if (root == NULL)
			return NULL;
		memcpy(root, name, slash + 1 - name);
		root[slash + 1 - name] = '\0';
		torch->root = root;
		return &torch->zip.entries[i];
	}
	return NULL;
}

/* Newer archives say in which order they store bytes. */
static bool
check_byte_order(TorchFile *torch)
{
	const ZipEntry *entry = find_entry(torch, "", "byteorder");
	char		order[6];
	int64_t		offset;

	if (entry == NULL)
		return true;
	if (!AlbertZipData(&torch->zip, entry, &offset, torch->status))
		return false;
	if (entry->size == sizeof(order) &&
		!AlbertFileRead(torch->file, offset, order, sizeof(order), torch->status))
		return false;
	if (entry->size != sizeof(order) || memcmp(order, "little", sizeof(order)) != 0)
		return AlbertFail(torch->status, ALBERT_UNSUPPORTED,
						  "file \"%s\" is not stored in little-endian order", torch->file->name);
	return true;
}

static bool
read_zip(TorchFile *torch)
{
	const ZipEntry *entry;
	int64_t		offset;
	char	   *pickle;
	size_t		used;
	PickleValue dict;

	if (!AlbertZipOpen(torch->file, torch->scratch, &torch->zip, torch->status))
		return false;
	entry = find_pickle(torch);
	if (entry == NULL)
		return bad_file(torch, "is a zip archive that PyTorch has not made: it has no data.pkl");
	if (find_entry(torch, "", "constants.pkl") != NULL)
		return AlbertFail(torch->status, ALBERT_UNSUPPORTED,
						  "file \"%s\" is a TorchScript program, not a dictionary of tensors",
						  torch->file->name);
	if (!check_byte_order(torch) || !AlbertZipData(&torch->zip, entry, &offset, torch->status))
		return false;
	if (entry->size > MAX_PICKLE)
		return bad_file(torch, "has a data.pkl that is too large");
	pickle = AlbertArenaAlloc(torch->scratch, entry->size);
	if (pickle == NULL)
		return AlbertNoMemory(torch->status);
	return AlbertFileRead(torch->file, offset, pickle, entry->size, torch->status) &&
		AlbertPickleLoad(pickle, entry->size, &used, torch->scratch, torch->file->name, &dict,
						 torch->status) &&
		add_tensors(torch, &dict);
}

/* ---- files from before PyTorch 1.6 ---- */

typedef struct Stream
{
	char	   *data;
	size_t		size;
	size_t		at;
} Stream;

static bool
next_pickle(TorchFile *torch, Stream *stream, PickleValue *value)
{
	size_t		used;

	if (!AlbertPickleLoad(stream->data + stream->at, stream->size - stream->at, &used,
						  torch->scratch, torch->file->name, value, torch->status))
		return false;
	stream->at += used;
	return true;
}

static bool
check_legacy_start(TorchFile *torch, Stream *stream)
{
	PickleValue value;
	const PickleValue *little;

	if (!next_pickle(torch, stream, &value))
		return false;
	if (value.kind != PICKLE_OTHER || value.length != sizeof(legacy_magic) ||
		memcmp(value.text, legacy_magic, sizeof(legacy_magic)) != 0)
		return bad_file(torch, "is a pickle, but not one of PyTorch");
	if (!next_pickle(torch, stream, &value))
		return false;
	if (value.kind != PICKLE_INT || value.number != LEGACY_PROTOCOL)
		return bad_file(torch, "has an unknown PyTorch protocol");
	if (!next_pickle(torch, stream, &value))
		return false;
	little = AlbertPickleGet(&value, "little_endian");
	if (little == NULL || little->kind != PICKLE_BOOL || little->number != 1)
		return AlbertFail(torch->status, ALBERT_UNSUPPORTED,
						  "file \"%s\" is not stored in little-endian order", torch->file->name);
	return true;
}

/* The sizes of elements are only in the persistent ids, so they go through the tensors. */
static bool
take_element_sizes(TorchFile *torch, const PickleValue *dict)
{
	for (int i = 1; i < dict->list->n; i += 2)
	{
		const PickleValue *value = &dict->list->items[i];
		LegacyStorage *found;
		int			size;

		if (value->kind != PICKLE_TENSOR)
			continue;
		found = find_legacy(torch, value->tensor->storage->key);
		size = value->tensor->storage->element_size;
		if (found == NULL)
			continue;			/* reported when the tensor is added */
		if (found->element_size != 0 && found->element_size != size)
			return bad_file(torch, "uses one storage with two types");
		found->element_size = size;
	}
	return true;
}

/* Each storage in the order of the keys: eight bytes with the number of elements, the elements. */
static bool
place_storages(TorchFile *torch, int64_t offset)
{
	for (int i = 0; i < torch->nstorages; i++)
	{
		LegacyStorage *storage = &torch->storages[i];
		unsigned char bytes[8];
		uint64_t	elements;
		int64_t		left = torch->file->size - offset - 8;

		if (storage->element_size == 0)
			return bad_file(torch, "has a storage that no tensor uses");
		if (left < 0)
			return bad_file(torch, "ends before its storages do");
		if (!AlbertFileRead(torch->file, offset, bytes, sizeof(bytes), torch->status))
			return false;
		elements = AlbertLittleEndian(bytes, sizeof(bytes));
		if (elements > (uint64_t) left / storage->element_size)
			return bad_file(torch, "ends before its storages do");
		storage->elements = elements;
		storage->offset = offset + 8;
		offset += 8 + elements * storage->element_size;
	}
	return true;
}

static bool
read_keys(TorchFile *torch, const PickleValue *keys)
{
	if (keys->kind != PICKLE_LIST)
		return bad_file(torch, "has no list of storages");
	torch->nstorages = keys->list->n;
	torch->storages = AlbertArenaArray(torch->scratch, torch->nstorages + 1, sizeof(LegacyStorage));
	torch->by_key = AlbertArenaArray(torch->scratch, torch->nstorages, sizeof(LegacyStorage *));
	if (torch->storages == NULL || torch->by_key == NULL)
		return AlbertNoMemory(torch->status);
	for (int i = 0; i < torch->nstorages; i++)
	{
		const PickleValue *key = &keys->list->items[i];

		if (key->kind != PICKLE_TEXT)
			return bad_file(torch, "has no list of storages");
		torch->storages[i] = (LegacyStorage) {.key = key->text, .length = key->length};
		torch->by_key[i] = &torch->storages[i];
	}
	qsort(torch->by_key, torch->nstorages, sizeof(LegacyStorage *), compare_keys);
	for (int i = 1; i < torch->nstorages; i++)
		if (compare_keys(&torch->by_key[i - 1], &torch->by_key[i]) == 0)
			return bad_file(torch, "has two storages with the same key");
	return true;
}

static bool
read_legacy(TorchFile *torch)
{
	Stream		stream = {.size = torch->file->size < MAX_PICKLE ? torch->file->size : MAX_PICKLE};
	PickleValue dict;
	PickleValue keys;

	stream.data = AlbertArenaAlloc(torch->scratch, stream.size);
	if (stream.data == NULL)
		return AlbertNoMemory(torch->status);
	if (!AlbertFileRead(torch->file, 0, stream.data, stream.size, torch->status) ||
		!check_legacy_start(torch, &stream) ||
		!next_pickle(torch, &stream, &dict))
		return false;
	if (dict.kind != PICKLE_DICT)
		return bad_file(torch, "holds no dictionary of tensors");
	return next_pickle(torch, &stream, &keys) && read_keys(torch, &keys) && take_element_sizes(torch, &dict) &&
		place_storages(torch, stream.at) && add_tensors(torch, &dict);
}

/* ---- either ---- */

bool
AlbertTorchRead(const WeightsFile *weights, AlbertStatus *status)
{
	TorchFile	torch = {
		.weights = weights, .file = &weights->source->files[weights->number],
		.scratch = weights->scratch, .status = status
	};
	unsigned char start[4];

	if (torch.file->size < (int64_t) sizeof(start))
		return bad_file(&torch, "is too short for a PyTorch file");
	if (!AlbertFileRead(torch.file, 0, start, sizeof(start), status))
		return false;
	if (memcmp(start, "PK\3\4", 4) == 0)
		return read_zip(&torch);
	if (start[0] == 0x80)
		return read_legacy(&torch);
	return bad_file(&torch, "is not a PyTorch file");
}
