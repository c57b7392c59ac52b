/*
 * tensorflow.c
 *	  A TensorFlow checkpoint as the original ALBERT release holds it.
 *
 * STEM.index is a sorted string table (LevelDB's format, here never
 * compressed): variable names and, as protocol buffers, type, shape and place
 * in STEM.data-xxxxx-of-yyyyy.  The formats are described in TensorFlow's
 * core/lib/io/table_format.txt and core/protobuf/tensor_bundle.proto.
 * Variables get the names they have in transformers' checkpoints.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

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
	AlbertSource *source;
	const WeightsFile *weights; /* the index */
	const char *index;			/* its path */
	AlbertStatus *status;
	AlbertSpan	table;			/* the whole of it */
	int			nshards;
	int			shards[MAX_SHARDS]; /* their files; -1: not open yet */
} Checkpoint;

static bool
bad_index(Checkpoint *checkpoint, const char *what)
{
	return AlbertFail(checkpoint->status, ALBERT_FORMAT,
					  "file \"%s\" is not a valid checkpoint index: %s", checkpoint->index, what);
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
		return AlbertFail(checkpoint->status, ALBERT_UNSUPPORTED,
						  "checkpoint \"%s\" is not stored in little-endian order", checkpoint->index);
	if (header.nshards > MAX_SHARDS)
		return AlbertFail(checkpoint->status, ALBERT_UNSUPPORTED,
						  "weights are in more than %d files", MAX_SHARDS);
	checkpoint->nshards = (int) header.nshards;
	return true;
}

/* ---- names ---- */

typedef struct Name
{
	const char *original;
	const char *name;
} Name;

/* Variables that are translated as a whole. */
static const Name whole_names[] =
{
	{"bert/embeddings/word_embeddings", "albert.embeddings.word_embeddings.weight"},
	{"bert/embeddings/position_embeddings", "albert.embeddings.position_embeddings.weight"},
	{"bert/embeddings/token_type_embeddings", "albert.embeddings.token_type_embeddings.weight"},
	{"cls/predictions/output_bias", "predictions.bias"},
	{"cls/seq_relationship/output_weights", "sop_classifier.classifier.weight"},
	{"cls/seq_relationship/output_bias", "sop_classifier.classifier.bias"},
	{"cls/squad/output_weights", "qa_outputs.weight"},
	{"cls/squad/output_bias", "qa_outputs.bias"},
	{"output_weights", "classifier.weight"},
	{"output_bias", "classifier.bias"}
};

/* The part of a name in front of the last slash ... */
static const Name scopes[] =
{
	{"bert/embeddings/LayerNorm", "albert.embeddings.LayerNorm"},
	{"bert/encoder/embedding_hidden_mapping_in", "albert.encoder.embedding_hidden_mapping_in"},
	{"bert/pooler/dense", "albert.pooler"},
	{"cls/predictions/transform/dense", "predictions.dense"},
	{"cls/predictions/transform/LayerNorm", "predictions.LayerNorm"}
};

/* ... likewise, behind that of a layer ... */
static const Name layer_scopes[] =
{
	{"attention_1/self/query", "attention.query"},
	{"attention_1/self/key", "attention.key"},
	{"attention_1/self/value", "attention.value"},
	{"attention_1/output/dense", "attention.dense"},
	{"LayerNorm", "attention.LayerNorm"},
	{"ffn_1/intermediate/dense", "ffn"},
	{"ffn_1/intermediate/output/dense", "ffn_output"},
	{"LayerNorm_1", "full_layer_layer_norm"}
};

/* ... and the part behind the last slash. */
static const Name members[] =
{
	{"kernel", "weight"},
	{"gamma", "weight"},
	{"bias", "bias"},
	{"beta", "bias"}
};

static const char *
translate(const Name *names, int n, const char *original, size_t length)
{
	for (int i = 0; i < n; i++)
		if (strlen(names[i].original) == length && memcmp(names[i].original, original, length) == 0)
			return names[i].name;
	return NULL;
}

/* False for variables that belong to no tensor of the model, as the optimizer's. */
static bool
translate_name(const char *original, char *name, size_t size, bool *transposed)
{
	const char *whole;
	const char *slash;
	const char *scope;
	const char *member;
	int			group;
	int			inner;
	int			used = 0;

	*transposed = false;
	if (strncmp(original, "module/", 7) == 0)
		original += 7;
	whole = translate(whole_names, LENGTH(whole_names), original, strlen(original));
	if (whole != NULL)
	{
		snprintf(name, size, "%s", whole);
		return true;
	}
	slash = strrchr(original, '/');
	member = slash == NULL ? NULL : translate(members, LENGTH(members), slash + 1, strlen(slash + 1));
	if (member == NULL)
		return false;
	*transposed = strcmp(slash, "/kernel") == 0;
	scope = translate(scopes, LENGTH(scopes), original, slash - original);
	if (scope != NULL)
	{
		snprintf(name, size, "%s.%s", scope, member);
		return true;
	}
	if (sscanf(original, "bert/encoder/transformer/group_%4d/inner_group_%4d/%n", &group, &inner, &used) != 2 ||
		used == 0 || slash < original + used)
		return false;
	scope = translate(layer_scopes, LENGTH(layer_scopes), original + used, slash - original - used);
	if (scope == NULL)
		return false;
	snprintf(name, size, "albert.encoder.albert_layer_groups.%d.albert_layers.%d.%s.%s",
			 group, inner, scope, member);
	return true;
}

/* ---- variables ---- */

/* TensorFlow's DataType, as far as weights can be of it. */
static const struct
{
	uint64_t	number;
	ElementType type;
	const char *name;
}			types[] =
{
	{1, ELEMENT_F32, "float32"},
	{2, ELEMENT_F64, "float64"},
	{14, ELEMENT_BF16, "bfloat16"},
	{19, ELEMENT_F16, "float16"}
};

static void
set_type(Tensor *tensor, uint64_t number)
{
	tensor->type = ELEMENT_OTHER;
	tensor->type_name = "other";
	for (size_t i = 0; i < LENGTH(types); i++)
		if (types[i].number == number)
		{
			tensor->type = types[i].type;
			tensor->type_name = types[i].name;
		}
}

static bool
open_shard(Checkpoint *checkpoint, uint64_t shard)
{
	int			stem = strlen(checkpoint->index) - strlen(".index");
	char		path[512];

	if (shard >= (uint64_t) checkpoint->nshards)
		return bad_index(checkpoint, "a variable is in a file that does not exist");
	if (checkpoint->shards[shard] >= 0)
		return true;
	if (snprintf(path, sizeof(path), "%.*s.data-%05d-of-%05d", stem, checkpoint->index, (int) shard,
				 checkpoint->nshards) >= (int) sizeof(path))
		return bad_index(checkpoint, "its name is too long");
	checkpoint->shards[shard] = AlbertFileOpen(checkpoint->source, path, checkpoint->status);
	return checkpoint->shards[shard] >= 0;
}

/* Do the bytes lie in the file, and are there as many as the shape makes? */
static bool
entry_fits(const Checkpoint *checkpoint, const Entry *entry, const Tensor *tensor)
{
	const SourceFile *file = &checkpoint->source->files[checkpoint->shards[entry->shard]];
	int64_t		bytes = AlbertElementSize(tensor->type);

	for (int i = 0; i < tensor->ndim; i++)
		if (__builtin_mul_overflow(bytes, tensor->shape[i], &bytes))
			return false;
	return entry->size <= (uint64_t) file->size && entry->offset <= file->size - entry->size &&
		(tensor->type == ELEMENT_OTHER || entry->size == (uint64_t) bytes);
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
add_variable(Checkpoint *checkpoint, const char *original, AlbertSpan value)
{
	WeightsFile shard = *checkpoint->weights;
	Entry		entry = {0};
	Tensor		tensor = {0};
	char		name[256];
	bool		transposed;

	if (strcmp(original, "_CHECKPOINTABLE_OBJECT_GRAPH") == 0)
	{
		AlbertFail(checkpoint->status, ALBERT_UNSUPPORTED,
				   "checkpoint \"%s\" holds objects, as TensorFlow 2 saves them", checkpoint->index);
		return AlbertDetail(checkpoint->status, "Only checkpoints of the original release of ALBERT can be read, "
							"whose variables have names.");
	}
	if (!translate_name(original, name, sizeof(name), &transposed))
		return true;
	if (!READ(value, entry_fields, &entry) || !parse_shape(entry.shape, &tensor))
		return bad_index(checkpoint, "the entry of a variable is malformed");
	if (is_sliced(value))
		return AlbertFail(checkpoint->status, ALBERT_UNSUPPORTED,
						  "variable \"%s\" in checkpoint \"%s\" is stored in slices", original, checkpoint->index);
	if (!open_shard(checkpoint, entry.shard))
		return false;
	set_type(&tensor, entry.type);
	if (!entry_fits(checkpoint, &entry, &tensor))
		return AlbertFail(checkpoint->status, ALBERT_FORMAT,
						  "variable \"%s\" in checkpoint \"%s\" does not lie in its file",
						  original, checkpoint->index);
	shard.number = checkpoint->shards[entry.shard];
	tensor.name = name;
	tensor.offset = (int64_t) entry.offset;
	AlbertTensorContiguous(&tensor);
	if (transposed && tensor.ndim == 2)
		transpose(&tensor);
	return AlbertTensorAdd(&shard, &tensor, checkpoint->status);
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
	uint64_t	table_size = checkpoint->table.end - checkpoint->table.at;
	uint64_t	restarts;

	if (!AlbertVarint(handle, &offset) || !AlbertVarint(handle, &size) || size < 4 ||
		offset > table_size || size > table_size - offset ||
		TRAILER_SIZE > table_size - offset - size)
		return bad_index(checkpoint, "a block lies outside the file");
	block->at = checkpoint->table.at + offset;
	block->end = block->at + size;
	if (block->end[0] != 0)
		return AlbertFail(checkpoint->status, ALBERT_UNSUPPORTED,
						  "checkpoint index \"%s\" is compressed", checkpoint->index);
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
		rest > (uint64_t) (block->end - block->at) ||
		length > (uint64_t) (block->end - block->at) - rest)
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
AlbertTensorFlowRead(const WeightsFile *index, AlbertStatus *status)
{
	const SourceFile *file = &index->source->files[index->number];
	Checkpoint	checkpoint = {
		.source = index->source, .weights = index, .index = file->name, .status = status
	};
	unsigned char *data;

	if (file->size > MAX_HEADER)
		return bad_index(&checkpoint, "it is too large");
	data = AlbertArenaAlloc(index->scratch, file->size);
	if (data == NULL)
		return AlbertNoMemory(status);
	if (!AlbertFileRead(file, 0, data, file->size, status))
		return false;
	checkpoint.table.at = data;
	checkpoint.table.end = data + file->size;
	for (int i = 0; i < MAX_SHARDS; i++)
		checkpoint.shards[i] = -1;
	return read_table(&checkpoint);
}
