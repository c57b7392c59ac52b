/*
 * tensorflow.c
 *	  A TensorFlow checkpoint as the original ALBERT release holds it.
 *
 * STEM.index is a sorted string table (LevelDB's format, here never
 * compressed): variable names and, as protocol buffers, type, shape and place
 * in STEM.data-xxxxx-of-yyyyy.  The formats are described in TensorFlow's
 * core/lib/io/table_format.txt and core/protobuf/tensor_bundle.proto.
 */
#include "formats/internal.h"

#include <string.h>

#define TABLE_MAGIC		UINT64_C(0xdb4775248b80fb57)
#define FOOTER_SIZE		48
#define TRAILER_SIZE	5		/* of a block: kind of compression, checksum */

/* a fuzzer would get no further than to the first checksum */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define CHECK_SUMS		false
#else
#define CHECK_SUMS		true
#endif

typedef struct Checkpoint
{
	const WeightsFile *weights; /* the index */
	AlbertSpan	table;			/* the whole of it */
	int			nshards;
} Checkpoint;

static bool
bad_index(const Checkpoint *checkpoint, const char *what)
{
	return AlbertWeightsBad(checkpoint->weights, "it is not a valid checkpoint index: %s", what);
}

static bool
unsupported(const Checkpoint *checkpoint, const char *what)
{
	return AlbertFail(checkpoint->weights->status, ALBERT_UNSUPPORTED, "checkpoint \"%s\" %s",
					  checkpoint->weights->file->name, what);
}

/* ---- protocol buffers ---- */

/* The table's header. */
typedef struct Header
{
	uint64_t	nshards;
	uint64_t	endian;
} Header;

static const AlbertFieldPlace header_fields[] = {
	{1, ALBERT_WIRE_VARINT, offsetof(Header, nshards)},
	{2, ALBERT_WIRE_VARINT, offsetof(Header, endian)}
};

/* A variable. */
typedef struct Entry
{
	uint64_t	type;
	AlbertSpan	shape;
	uint64_t	shard;
	uint64_t	offset;
	uint64_t	size;
} Entry;

static const AlbertFieldPlace entry_fields[] = {
	{1, ALBERT_WIRE_VARINT, offsetof(Entry, type)},
	{2, ALBERT_WIRE_BYTES, offsetof(Entry, shape)},
	{3, ALBERT_WIRE_VARINT, offsetof(Entry, shard)},
	{4, ALBERT_WIRE_VARINT, offsetof(Entry, offset)},
	{5, ALBERT_WIRE_VARINT, offsetof(Entry, size)}
};

#define DIMENSION	2			/* of a shape */
#define SLICES		7			/* of an entry */

static const AlbertFieldPlace dimension_fields[] = {{1, ALBERT_WIRE_VARINT, 0}};

#define READ(message, fields, dest)	AlbertMessageRead(message, fields, LENGTH(fields), dest)

static bool
parse_shape(AlbertSpan message, Tensor *tensor)
{
	AlbertField field;

	while (message.at < message.end)
	{
		uint64_t	size = 0;

		if (!AlbertFieldNext(&message, &field))
			return false;
		if (field.number != DIMENSION)
			continue;
		if (tensor->ndim == MAX_DIMS || !READ(field.bytes, dimension_fields, &size) || size > INT64_MAX)
			return false;
		tensor->shape[tensor->ndim++] = (int64_t) size;
	}
	return true;
}

static bool
is_sliced(AlbertSpan message)
{
	AlbertField field;

	while (message.at < message.end && AlbertFieldNext(&message, &field))
		if (field.number == SLICES)
			return true;
	return false;
}

static bool
read_header(Checkpoint *checkpoint, AlbertSpan message)
{
	Header		header = {0};

	if (!READ(message, header_fields, &header) || header.nshards < 1)
		return bad_index(checkpoint, "its header is malformed");
	if (header.endian != 0)
		return unsupported(checkpoint, "is not stored in little-endian order");
	if (header.nshards > MAX_FILES)
		return unsupported(checkpoint, "consists of too many files");
	checkpoint->nshards = (int) header.nshards;
	return true;
}

/* ---- variables ---- */

/* The file of that number, which most of the variables have in common. */
static bool
open_shard(const Checkpoint *checkpoint, uint64_t number, WeightsFile *shard)
{
	const WeightsFile *index = checkpoint->weights;
	int			stem = strlen(index->file->name) - strlen(".index");
	const char *path;

	if (number >= (uint64_t) checkpoint->nshards)
		return bad_index(checkpoint, "a variable is in a file that does not exist");
	path = AlbertNameFormat(index->scratch, "%.*s.data-%05d-of-%05d", stem, index->file->name, (int) number,
							checkpoint->nshards);
	if (path == NULL)
		return AlbertNoMemory(index->status);
	*shard = *index;
	return AlbertFileOpen(index->source, "", path, &shard->file, index->status);
}

/* Do the bytes lie in the file, and are there as many as the shape makes? */
static bool
entry_fits(const Entry *entry, const Tensor *tensor, int64_t bytes, const AlbertSourceFile *file)
{
	return entry->size <= (uint64_t) file->size && entry->offset <= file->size - entry->size &&
		(tensor->type->size == 0 || entry->size == (uint64_t) bytes);
}

/* TensorFlow multiplies from the other side. */
static void
transpose(Tensor *tensor)
{
	int64_t		rows = tensor->shape[0];

	tensor->shape[0] = tensor->shape[1];
	tensor->shape[1] = rows;
	tensor->stride[1] = tensor->stride[0];
	tensor->stride[0] = 1;
}

static bool
add_variable(Checkpoint *checkpoint, const char *name, AlbertSpan value)
{
	WeightsFile shard;
	Entry		entry = {0};
	Tensor		tensor = {.type = AlbertElementTypes};
	int64_t		bytes;

	if (strcmp(name, "_CHECKPOINTABLE_OBJECT_GRAPH") == 0)
	{
		unsupported(checkpoint, "holds objects, as TensorFlow 2 saves them");
		return AlbertDetail(checkpoint->weights->status, "Only checkpoints of the original release of ALBERT, "
							"whose variables have names, can be read.");
	}
	if (!READ(value, entry_fields, &entry) || !parse_shape(entry.shape, &tensor))
		return bad_index(checkpoint, "the entry of a variable is malformed");
	if (is_sliced(value))
		return unsupported(checkpoint, "has variables that are stored in slices");
	if (!open_shard(checkpoint, entry.shard, &shard))
		return false;
	while (tensor.type->size != 0 && tensor.type->number != entry.type)
		tensor.type++;
	if (!AlbertTensorContiguous(&tensor, &bytes) || !entry_fits(&entry, &tensor, bytes, shard.file))
		return AlbertWeightsBad(checkpoint->weights, "the variable \"%s\" does not lie in its file", name);
	/* a module of TensorFlow's hub */
	tensor.name = strncmp(name, "module/", 7) == 0 ? name + 7 : name;
	tensor.offset = (int64_t) entry.offset;
	if (ends_with(name, "/kernel") && tensor.ndim == 2)
		transpose(&tensor);
	return AlbertTensorAdd(&shard, &tensor);
}

/* ---- the table ---- */

/* CRC-32C, masked as LevelDB stores it */
static uint32_t
masked_checksum(const unsigned char *bytes, size_t size)
{
	uint32_t	crc = 0xffffffff;

	for (size_t i = 0; i < size; i++)
	{
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	crc = ~crc;
	return (crc >> 15 | crc << 17) + 0xa282ead8;
}

/* A block's entries, without its list of restarts. */
static bool
find_block(Checkpoint *checkpoint, AlbertSpan *handle, AlbertSpan *block)
{
	uint64_t	offset;
	uint64_t	size;
	uint64_t	table_size = AlbertSpanSize(checkpoint->table);
	uint64_t	restarts;

	if (!AlbertVarint(handle, &offset) || !AlbertVarint(handle, &size) || size < 4 ||
		offset > table_size || size > table_size - offset ||
		TRAILER_SIZE > table_size - offset - size)
		return bad_index(checkpoint, "a block lies outside the file");
	block->at = checkpoint->table.at + offset;
	block->end = block->at + size;
	if (block->end[0] != 0)
		return unsupported(checkpoint, "has a compressed index");
	if (CHECK_SUMS && masked_checksum(block->at, size + 1) != AlbertLittleEndian(block->end + 1, 4))
		return bad_index(checkpoint, "a checksum is wrong");
	restarts = AlbertLittleEndian(block->end - 4, 4);
	if (restarts > (size - 4) / 4)
		return bad_index(checkpoint, "a block is malformed");
	block->end -= 4 + 4 * restarts;
	return true;
}

/* The next entry; each key holds the part that differs from the one before. */
static bool
next_entry(Checkpoint *checkpoint, AlbertSpan *block, char *key, size_t *key_size, AlbertSpan *value)
{
	uint64_t	shared;
	uint64_t	rest;
	uint64_t	length;

	if (!AlbertVarint(block, &shared) || !AlbertVarint(block, &rest) || !AlbertVarint(block, &length) ||
		shared > *key_size || rest > MAX_TENSOR_NAME - shared ||
		rest > AlbertSpanSize(*block) || length > AlbertSpanSize(*block) - rest)
		return bad_index(checkpoint, "an entry is malformed");
	memcpy(key + shared, block->at, rest);
	*key_size = shared + rest;
	key[*key_size] = '\0';
	value->at = block->at + rest;
	value->end = value->at + length;
	block->at = value->end;
	return true;
}

static bool
read_block(Checkpoint *checkpoint, AlbertSpan *handle)
{
	AlbertSpan	block;
	AlbertSpan	value;
	char		key[MAX_TENSOR_NAME + 1];
	size_t		key_size = 0;

	if (!find_block(checkpoint, handle, &block))
		return false;
	while (block.at < block.end)
	{
		if (!next_entry(checkpoint, &block, key, &key_size, &value))
			return false;
		/* the header has the empty key, so it comes first */
		if (key_size == 0 ? !read_header(checkpoint, value) : !add_variable(checkpoint, key, value))
			return false;
	}
	return true;
}

static bool
read_table(Checkpoint *checkpoint)
{
	AlbertSpan	footer = {checkpoint->table.end - FOOTER_SIZE, checkpoint->table.end - 8};
	AlbertSpan	index;
	AlbertSpan	handle;
	char		key[MAX_TENSOR_NAME + 1];
	size_t		key_size = 0;
	uint64_t	ignored;

	if (checkpoint->table.end - checkpoint->table.at < FOOTER_SIZE ||
		AlbertLittleEndian(checkpoint->table.end - 8, 8) != TABLE_MAGIC)
		return bad_index(checkpoint, "it does not end as one");
	if (!AlbertVarint(&footer, &ignored) || !AlbertVarint(&footer, &ignored))
		return bad_index(checkpoint, "its footer is malformed");
	if (!find_block(checkpoint, &footer, &index))
		return false;
	while (index.at < index.end)
		if (!next_entry(checkpoint, &index, key, &key_size, &handle) ||
			!read_block(checkpoint, &handle))
			return false;
	return true;
}

bool
AlbertTensorFlowRead(const WeightsFile *index)
{
	Checkpoint	checkpoint = {.weights = index};

	index->source->naming = NAMING_ORIGINAL;
	return AlbertFileReadAll(index->file, MAX_HEADER, index->scratch, &checkpoint.table, index->status) &&
		read_table(&checkpoint);
}
