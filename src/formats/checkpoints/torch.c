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

#include <string.h>

#define LEGACY_PROTOCOL		1001

/* 0x1950a86a20f9469cfc6c, as a pickle writes a long number */
static const unsigned char legacy_magic[] = {
	0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19
};

/* What a pickle says of a storage, and then where it is. */
typedef struct Storage
{
	const char *key;
	const ElementType *type;	/* NULL: not known */
	int64_t		offset;			/* in the file */
	int64_t		size;			/* in bytes */
} Storage;

typedef struct TorchFile
{
	const WeightsFile *weights;
	const SourceFile *file;
	AlbertArena *scratch;
	AlbertStatus *status;
	Storage    *storages;		/* those that are there, by key */
	int			nstorages;
} TorchFile;

static bool
bad_file(TorchFile *torch, const char *what)
{
	return AlbertFail(torch->status, ALBERT_FORMAT, "file \"%s\" %s", torch->file->name, what);
}

static bool
load_pickle(TorchFile *torch, AlbertSpan *input, PickleValue *value)
{
	return AlbertPickleLoad(input, torch->scratch, torch->file->name, value, torch->status);
}

static Storage *
find_storage(TorchFile *torch, const char *key)
{
	return AlbertNamesFind(torch->storages, torch->nstorages, sizeof(Storage), key);
}

/* ---- tensors, as the pickle describes them ---- */

/* ('storage', type, key, location, elements[, None]) */
static bool
read_storage(TorchFile *torch, const PickleList *arguments, Storage *storage)
{
	const PickleValue *id = AlbertPickleItem(arguments, 0, PICKLE_STORAGE);
	const PickleValue *type;
	const PickleValue *key;
	const PickleValue *elements;

	if (id == NULL)
		return bad_file(torch, "has a tensor that is not described as one");
	type = AlbertPickleItem(id->list, 1, PICKLE_ELEMENTS);
	key = AlbertPickleItem(id->list, 2, PICKLE_TEXT);
	elements = AlbertPickleItem(id->list, 4, PICKLE_INT);
	/* a sixth member that is not None is a view of a part, as early versions of PyTorch had them */
	if (type == NULL || key == NULL || elements == NULL || elements->number < 0 ||
		(id->list->n > 5 && AlbertPickleItem(id->list, 5, PICKLE_NONE) == NULL))
		return bad_file(torch, "has a persistent id that is not that of a storage");
	*storage = (Storage) {.key = key->text, .type = type->elements};
	if (__builtin_mul_overflow(elements->number, (int64_t) storage->type->size, &storage->size))
		return bad_file(torch, "has a storage that is too large");
	return true;
}

static bool
copy_sizes(const PickleList *list, int64_t *sizes)
{
	for (int i = 0; i < list->n; i++)
	{
		const PickleValue *size = AlbertPickleItem(list, i, PICKLE_INT);

		if (size == NULL || size->number < 0)
			return false;
		sizes[i] = size->number;
	}
	return true;
}

/* Does every element lie in the storage?  Views that repeat elements are refused with the rest. */
static bool
tensor_fits(const Tensor *tensor, int64_t stored)
{
	int64_t		elements = 1;
	int64_t		last = tensor->offset;

	for (int i = 0; i < tensor->ndim; i++)
	{
		int64_t		span;

		if (tensor->shape[i] == 0)
			return tensor->offset <= stored;
		if (__builtin_mul_overflow(elements, tensor->shape[i], &elements) ||
			__builtin_mul_overflow(tensor->shape[i] - 1, tensor->stride[i], &span) ||
			__builtin_add_overflow(last, span, &last))
			return false;
	}
	return last < stored && elements <= stored;
}

/* (storage, offset, shape, stride, ...), offset and strides in elements */
static bool
add_tensor(TorchFile *torch, const char *name, const PickleList *arguments)
{
	const PickleValue *offset = AlbertPickleItem(arguments, 1, PICKLE_INT);
	const PickleValue *shape = AlbertPickleItem(arguments, 2, PICKLE_LIST);
	const PickleValue *stride = AlbertPickleItem(arguments, 3, PICKLE_LIST);
	Tensor		tensor = {.name = name};
	Storage		wanted;
	const Storage *storage;

	if (!read_storage(torch, arguments, &wanted))
		return false;
	if (offset == NULL || shape == NULL || stride == NULL || offset->number < 0 ||
		shape->list->n > MAX_DIMS || shape->list->n != stride->list->n ||
		!copy_sizes(shape->list, tensor.shape) || !copy_sizes(stride->list, tensor.stride))
		return bad_file(torch, "has a tensor that is not described as one");
	tensor.type = wanted.type;
	tensor.ndim = shape->list->n;
	tensor.offset = offset->number;
	if (!tensor_fits(&tensor, wanted.size / wanted.type->size))
		return bad_file(torch, "has a tensor that reaches beyond its storage");
	storage = find_storage(torch, wanted.key);
	if (storage == NULL)
		return AlbertFail(torch->status, ALBERT_FORMAT, "file \"%s\" lacks the storage \"%.200s\"",
						  torch->file->name, wanted.key);
	if (storage->size < wanted.size)
	{
		AlbertFail(torch->status, ALBERT_FORMAT, "storage \"%.200s\" of file \"%s\" is too short",
				   wanted.key, torch->file->name);
		return AlbertDetail(torch->status, "It has %lld bytes; its tensors need %lld.",
							(long long) storage->size, (long long) wanted.size);
	}
	tensor.offset = storage->offset + tensor.offset * tensor.type->size;
	return AlbertTensorAdd(torch->weights, &tensor, torch->status);
}

static bool
add_tensors(TorchFile *torch, const PickleValue *dict)
{
	if (dict->kind != PICKLE_DICT)
		return bad_file(torch, "holds no dictionary of tensors");
	for (int i = 0; i + 1 < dict->list->n; i += 2)
	{
		const PickleValue *name = AlbertPickleItem(dict->list, i, PICKLE_TEXT);
		const PickleValue *tensor = AlbertPickleItem(dict->list, i + 1, PICKLE_TENSOR);

		if (tensor == NULL)
			continue;
		if (name == NULL)
			return bad_file(torch, "holds a tensor without a valid name");
		if (!add_tensor(torch, name->text, tensor->list))
			return false;
	}
	return true;
}

/* ---- zip archives ---- */

/* The entry NAME/data.pkl, and NAME/ as root. */
static const ZipEntry *
find_pickle(const ZipArchive *zip, const char **root)
{
	for (int i = 0; i < zip->nentries; i++)
	{
		const char *name = zip->entries[i].name;
		const char *slash = strchr(name, '/');

		if (slash == NULL || strcmp(slash, "/data.pkl") != 0)
			continue;
		*root = AlbertNameCopy(zip->arena, name, slash + 1 - name);
		return &zip->entries[i];
	}
	return NULL;
}

/* Newer archives say in which order they store bytes. */
static bool
check_byte_order(TorchFile *torch, const ZipArchive *zip, const ZipEntry *entry)
{
	char		order[6] = "";
	int64_t		offset;

	if (!AlbertZipData(zip, entry, &offset) ||
		(entry->size == sizeof(order) && !AlbertFileRead(torch->file, offset, order, sizeof(order), torch->status)))
		return false;
	if (memcmp(order, "little", sizeof(order)) != 0)
		return AlbertFail(torch->status, ALBERT_UNSUPPORTED,
						  "file \"%s\" is not stored in little-endian order", torch->file->name);
	return true;
}

/* What there is below NAME: the storages, in the order of the entries, and signs of what cannot be read. */
static bool
read_entries(TorchFile *torch, const ZipArchive *zip, const char *root)
{
	size_t		root_size = strlen(root);

	torch->storages = AlbertArenaArray(torch->scratch, zip->nentries, sizeof(Storage));
	if (torch->storages == NULL)
		return AlbertNoMemory(torch->status);
	for (int i = 0; i < zip->nentries; i++)
	{
		const ZipEntry *entry = &zip->entries[i];
		Storage    *storage = &torch->storages[torch->nstorages];
		const char *name;

		if (strncmp(entry->name, root, root_size) != 0)
			continue;
		name = entry->name + root_size;
		if (strcmp(name, "constants.pkl") == 0)
			return AlbertFail(torch->status, ALBERT_UNSUPPORTED,
							  "file \"%s\" is a TorchScript program, not a dictionary of tensors",
							  torch->file->name);
		if (strcmp(name, "byteorder") == 0 && !check_byte_order(torch, zip, entry))
			return false;
		if (strncmp(name, "data/", 5) != 0)
			continue;
		*storage = (Storage) {.key = name + 5, .size = (int64_t) entry->size};
		if (!AlbertZipData(zip, entry, &storage->offset))
			return false;
		torch->nstorages++;
	}
	return true;
}

static bool
read_zip(TorchFile *torch)
{
	ZipArchive	zip = {.file = torch->file, .arena = torch->scratch, .status = torch->status};
	const ZipEntry *entry;
	const char *root;
	int64_t		offset;
	AlbertSpan	pickle;
	PickleValue dict;

	if (!AlbertZipOpen(&zip))
		return false;
	entry = find_pickle(&zip, &root);
	if (entry == NULL)
		return bad_file(torch, "is a zip archive that PyTorch has not made: it has no data.pkl");
	if (root == NULL)
		return AlbertNoMemory(torch->status);
	if (!read_entries(torch, &zip, root) || !AlbertZipData(&zip, entry, &offset))
		return false;
	if (entry->size > MAX_PICKLE)
		return bad_file(torch, "has a data.pkl that is too large");
	return AlbertFileBytes(torch->file, offset, entry->size, torch->scratch, &pickle, torch->status) &&
		load_pickle(torch, &pickle, &dict) && add_tensors(torch, &dict);
}

/* ---- files from before PyTorch 1.6 ---- */

/* Is a dictionary's value for a key True? */
static bool
is_true(const PickleValue *dict, const char *key)
{
	for (int i = 0; dict->kind == PICKLE_DICT && i < dict->list->n; i += 2)
	{
		const PickleValue *item = AlbertPickleItem(dict->list, i, PICKLE_TEXT);
		const PickleValue *value = AlbertPickleItem(dict->list, i + 1, PICKLE_BOOL);

		if (item != NULL && strcmp(item->text, key) == 0)
			return value != NULL && value->number == 1;
	}
	return false;
}

/* Three pickles, which say what the file is. */
static bool
check_legacy_start(TorchFile *torch, AlbertSpan *input)
{
	PickleValue magic;
	PickleValue protocol;
	PickleValue system;

	if (!load_pickle(torch, input, &magic))
		return false;
	if (magic.kind != PICKLE_OTHER || magic.length != sizeof(legacy_magic) ||
		memcmp(magic.text, legacy_magic, sizeof(legacy_magic)) != 0)
		return bad_file(torch, "is a pickle, but not one of PyTorch");
	if (!load_pickle(torch, input, &protocol))
		return false;
	if (protocol.kind != PICKLE_INT || protocol.number != LEGACY_PROTOCOL)
		return bad_file(torch, "has an unknown PyTorch protocol");
	if (!load_pickle(torch, input, &system))
		return false;
	if (!is_true(&system, "little_endian"))
		return AlbertFail(torch->status, ALBERT_UNSUPPORTED,
						  "file \"%s\" is not stored in little-endian order", torch->file->name);
	return true;
}

/* torch.save sorts the keys before it writes them and the storages. */
static bool
read_keys(TorchFile *torch, const PickleValue *keys)
{
	if (keys->kind != PICKLE_LIST)
		return bad_file(torch, "has no list of storages");
	torch->nstorages = keys->list->n;
	torch->storages = AlbertArenaArray(torch->scratch, torch->nstorages, sizeof(Storage));
	if (torch->storages == NULL)
		return AlbertNoMemory(torch->status);
	for (int i = 0; i < torch->nstorages; i++)
	{
		const PickleValue *key = AlbertPickleItem(keys->list, i, PICKLE_TEXT);

		if (key == NULL || (i > 0 && strcmp(torch->storages[i - 1].key, key->text) >= 0))
			return bad_file(torch, "has no list of storages in order");
		torch->storages[i] = (Storage) {.key = key->text};
	}
	return true;
}

/* What the elements of a storage are only its tensors say. */
static bool
set_types(TorchFile *torch, const PickleValue *dict)
{
	for (int i = 1; dict->kind == PICKLE_DICT && i < dict->list->n; i += 2)
	{
		const PickleValue *tensor = AlbertPickleItem(dict->list, i, PICKLE_TENSOR);
		Storage    *storage;
		Storage		wanted;

		if (tensor == NULL)
			continue;
		if (!read_storage(torch, tensor->list, &wanted))
			return false;
		storage = find_storage(torch, wanted.key);
		if (storage == NULL)
			continue;			/* reported when the tensor is added */
		if (storage->type != NULL && storage->type != wanted.type)
			return bad_file(torch, "uses one storage with two types");
		storage->type = wanted.type;
	}
	return true;
}

/* Each storage in the order of the keys: eight bytes with the number of elements, the elements. */
static bool
place_storages(TorchFile *torch, int64_t offset)
{
	for (int i = 0; i < torch->nstorages; i++)
	{
		Storage    *storage = &torch->storages[i];
		unsigned char bytes[8];
		uint64_t	elements;
		int64_t		left = torch->file->size - offset - 8;

		if (storage->type == NULL)
			return bad_file(torch, "has a storage that no tensor uses");
		if (left < 0)
			return bad_file(torch, "ends before its storages do");
		if (!AlbertFileRead(torch->file, offset, bytes, sizeof(bytes), torch->status))
			return false;
		elements = AlbertLittleEndian(bytes, sizeof(bytes));
		if (elements > (uint64_t) left / storage->type->size)
			return bad_file(torch, "ends before its storages do");
		storage->offset = offset + 8;
		storage->size = elements * storage->type->size;
		offset = storage->offset + storage->size;
	}
	return true;
}

static bool
read_legacy(TorchFile *torch)
{
	size_t		size = torch->file->size < MAX_PICKLE ? torch->file->size : MAX_PICKLE;
	AlbertSpan	start;
	AlbertSpan	input;
	PickleValue dict;
	PickleValue keys;

	if (!AlbertFileBytes(torch->file, 0, size, torch->scratch, &start, torch->status))
		return false;
	input = start;
	return check_legacy_start(torch, &input) &&
		load_pickle(torch, &input, &dict) && load_pickle(torch, &input, &keys) && read_keys(torch, &keys) &&
		set_types(torch, &dict) && place_storages(torch, input.at - start.at) && add_tensors(torch, &dict);
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
