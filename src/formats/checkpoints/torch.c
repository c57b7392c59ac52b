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

/* How the first of them ends: LONG1 with ten bytes, 0x1950a86a20f9469cfc6c, and STOP. */
static const unsigned char legacy_magic[] = {
	0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'
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
	Storage    *storages;		/* those that are there, by key */
	int			nstorages;
} TorchFile;

static bool
big_endian(const WeightsFile *weights)
{
	return AlbertFail(weights->status, ALBERT_UNSUPPORTED, "file \"%s\" is not stored in little-endian order",
					  weights->file->name);
}

static bool
make_storages(TorchFile *torch, int most)
{
	torch->storages = AlbertArenaArray(torch->weights->scratch, most, sizeof(Storage));
	return torch->storages != NULL || AlbertNoMemory(torch->weights->status);
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
		return AlbertWeightsBad(torch->weights, "it has a tensor that is not described as one");
	type = AlbertPickleItem(id->list, 1, PICKLE_ELEMENTS);
	key = AlbertPickleItem(id->list, 2, PICKLE_TEXT);
	elements = AlbertPickleItem(id->list, 4, PICKLE_INT);
	/* a sixth member that is not None is a view of a part, as early versions of PyTorch had them */
	if (type == NULL || key == NULL || elements == NULL || elements->number < 0 ||
		(id->list->n > 5 && AlbertPickleItem(id->list, 5, PICKLE_NONE) == NULL))
		return AlbertWeightsBad(torch->weights, "it has a persistent id that is not that of a storage");
	*storage = (Storage) {.key = key->text, .type = type->elements};
	if (__builtin_mul_overflow(elements->number, (int64_t) storage->type->size, &storage->size))
		return AlbertWeightsBad(torch->weights, "it has a storage that is too large");
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
		return AlbertWeightsBad(torch->weights, "tensor \"%.100s\" is not described as one", name);
	tensor.type = wanted.type;
	tensor.ndim = shape->list->n;
	tensor.offset = offset->number;
	if (!tensor_fits(&tensor, wanted.size / wanted.type->size))
		return AlbertWeightsBad(torch->weights, "tensor \"%.100s\" reaches beyond its storage", name);
	storage = find_storage(torch, wanted.key);
	if (storage == NULL || storage->size < wanted.size)
		return AlbertWeightsBad(torch->weights, "the storage \"%.200s\" is %s",
								wanted.key, storage == NULL ? "missing" : "too short");
	tensor.offset = storage->offset + tensor.offset * tensor.type->size;
	return AlbertTensorAdd(torch->weights, &tensor);
}

/* Every tensor of the dictionary that a file holds. */
static bool
each_tensor(TorchFile *torch, const PickleValue *dict,
			bool (*take) (TorchFile *torch, const char *name, const PickleList *arguments))
{
	if (dict->kind != PICKLE_DICT)
		return AlbertWeightsBad(torch->weights, "it holds no dictionary of tensors");
	for (int i = 0; i + 1 < dict->list->n; i += 2)
	{
		const PickleValue *name = AlbertPickleItem(dict->list, i, PICKLE_TEXT);
		const PickleValue *tensor = AlbertPickleItem(dict->list, i + 1, PICKLE_TENSOR);

		if (tensor == NULL)
			continue;
		if (name == NULL)
			return AlbertWeightsBad(torch->weights, "it holds a tensor without a valid name");
		if (!take(torch, name->text, tensor->list))
			return false;
	}
	return true;
}

/* ---- zip archives ---- */

#define PICKLE_NAME		"data.pkl"

/* The entry NAME/data.pkl. */
static const ZipEntry *
find_pickle(const ZipArchive *zip)
{
	for (int i = 0; i < zip->nentries; i++)
	{
		const char *slash = strchr(zip->entries[i].name, '/');

		if (slash != NULL && strcmp(slash + 1, PICKLE_NAME) == 0)
			return &zip->entries[i];
	}
	return NULL;
}

/* The bytes of an entry that is no storage. */
static bool
read_entry(const ZipArchive *zip, const ZipEntry *entry, AlbertSpan *bytes)
{
	const WeightsFile *weights = zip->weights;
	int64_t		offset;

	if (entry->size > MAX_PICKLE)
		return AlbertWeightsBad(weights, "its entry \"%.200s\" is too large", entry->name);
	return AlbertZipData(zip, entry, &offset) &&
		AlbertFileBytes(weights->file, offset, entry->size, weights->scratch, bytes, weights->status);
}

/* Newer archives say in which order they store bytes. */
static bool
check_byte_order(const ZipArchive *zip, const ZipEntry *entry)
{
	AlbertSpan	order;

	if (!read_entry(zip, entry, &order))
		return false;
	return (AlbertSpanSize(order) == 6 && memcmp(order.at, "little", 6) == 0) || big_endian(zip->weights);
}

/* What there is below NAME: the storages, in the order of the entries, and signs of what cannot be read. */
static bool
read_entries(TorchFile *torch, const ZipArchive *zip, const ZipEntry *pickle)
{
	size_t		root_size = strlen(pickle->name) - strlen(PICKLE_NAME);

	if (!make_storages(torch, zip->nentries))
		return false;
	for (int i = 0; i < zip->nentries; i++)
	{
		const ZipEntry *entry = &zip->entries[i];
		Storage    *storage = &torch->storages[torch->nstorages];
		const char *name = entry->name + root_size;

		if (strncmp(entry->name, pickle->name, root_size) != 0)
			continue;
		if (strcmp(name, "constants.pkl") == 0)
			return AlbertFail(zip->weights->status, ALBERT_UNSUPPORTED,
							  "file \"%s\" is a TorchScript program, not a dictionary of tensors",
							  zip->weights->file->name);
		if (strcmp(name, "byteorder") == 0 && !check_byte_order(zip, entry))
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
	ZipArchive	zip = {.weights = torch->weights};
	const ZipEntry *entry;
	AlbertSpan	pickle;
	PickleValue dict;

	if (!AlbertZipOpen(&zip))
		return false;
	entry = find_pickle(&zip);
	if (entry == NULL)
		return AlbertWeightsBad(torch->weights, "it is a zip archive, but not one of PyTorch: it has no " PICKLE_NAME);
	return read_entries(torch, &zip, entry) && read_entry(&zip, entry, &pickle) &&
		AlbertPickleLoad(torch->weights, &pickle, &dict) && each_tensor(torch, &dict, add_tensor);
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
check_legacy_start(const WeightsFile *weights, AlbertSpan *input)
{
	const size_t size = sizeof(legacy_magic);
	const unsigned char *start = input->at;
	PickleValue magic;
	PickleValue protocol;
	PickleValue system;

	if (!AlbertPickleLoad(weights, input, &magic))
		return false;
	if (input->at < start + size || memcmp(input->at - size, legacy_magic, size) != 0)
		return AlbertWeightsBad(weights, "it is a pickle, but not one of PyTorch");
	if (!AlbertPickleLoad(weights, input, &protocol))
		return false;
	if (protocol.kind != PICKLE_INT || protocol.number != LEGACY_PROTOCOL)
		return AlbertWeightsBad(weights, "it has an unknown PyTorch protocol");
	return AlbertPickleLoad(weights, input, &system) &&
		(is_true(&system, "little_endian") || big_endian(weights));
}

/* torch.save sorts the keys before it writes them and the storages. */
static bool
read_keys(TorchFile *torch, const PickleValue *keys)
{
	if (keys->kind != PICKLE_LIST)
		return AlbertWeightsBad(torch->weights, "it has no list of storages");
	torch->nstorages = keys->list->n;
	if (!make_storages(torch, torch->nstorages))
		return false;
	for (int i = 0; i < torch->nstorages; i++)
	{
		const PickleValue *key = AlbertPickleItem(keys->list, i, PICKLE_TEXT);

		if (key == NULL || (i > 0 && strcmp(torch->storages[i - 1].key, key->text) >= 0))
			return AlbertWeightsBad(torch->weights, "it has no list of storages in order");
		torch->storages[i] = (Storage) {.key = key->text};
	}
	return true;
}

/* What the elements of a storage are only its tensors say. */
static bool
set_type(TorchFile *torch, const char *name, const PickleList *arguments)
{
	Storage    *storage;
	Storage		wanted;

	if (!read_storage(torch, arguments, &wanted))
		return false;
	storage = find_storage(torch, wanted.key);
	if (storage == NULL)
		return true;			/* reported when the tensor is added */
	if (storage->type != NULL && storage->type != wanted.type)
		return AlbertWeightsBad(torch->weights, "it uses one storage with two types");
	storage->type = wanted.type;
	return true;
}

/* Each storage in the order of the keys: eight bytes with the number of elements, the elements. */
static bool
place_storages(TorchFile *torch, int64_t offset)
{
	const WeightsFile *weights = torch->weights;

	for (int i = 0; i < torch->nstorages; i++)
	{
		Storage    *storage = &torch->storages[i];
		unsigned char bytes[8];
		uint64_t	elements;
		int64_t		left = weights->file->size - offset - 8;

		if (storage->type == NULL)
			return AlbertWeightsBad(weights, "it has a storage that no tensor uses");
		if (left >= 0 && !AlbertFileRead(weights->file, offset, bytes, sizeof(bytes), weights->status))
			return false;
		elements = left < 0 ? 0 : AlbertLittleEndian(bytes, sizeof(bytes));
		if (left < 0 || elements > (uint64_t) left / storage->type->size)
			return AlbertWeightsBad(weights, "it ends before its storages do");
		storage->offset = offset + 8;
		storage->size = elements * storage->type->size;
		offset = storage->offset + storage->size;
	}
	return true;
}

static bool
read_legacy(TorchFile *torch)
{
	const WeightsFile *weights = torch->weights;
	size_t		size = weights->file->size < MAX_PICKLE ? weights->file->size : MAX_PICKLE;
	AlbertSpan	start;
	AlbertSpan	input;
	PickleValue dict;
	PickleValue keys;

	if (!AlbertFileBytes(weights->file, 0, size, weights->scratch, &start, weights->status))
		return false;
	input = start;
	return check_legacy_start(weights, &input) &&
		AlbertPickleLoad(weights, &input, &dict) && AlbertPickleLoad(weights, &input, &keys) &&
		read_keys(torch, &keys) && each_tensor(torch, &dict, set_type) &&
		place_storages(torch, input.at - start.at) && each_tensor(torch, &dict, add_tensor);
}

/* ---- either ---- */

bool
AlbertTorchRead(const WeightsFile *weights)
{
	TorchFile	torch = {.weights = weights};
	unsigned char start[4] = {0};

	if (weights->file->size >= (int64_t) sizeof(start) &&
		!AlbertFileRead(weights->file, 0, start, sizeof(start), weights->status))
		return false;
	if (memcmp(start, "PK\3\4", 4) == 0)
		return read_zip(&torch);
	return start[0] == 0x80 ? read_legacy(&torch) : AlbertWeightsBad(weights, "it is not a PyTorch file");
}
