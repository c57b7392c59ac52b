/*
 * head.c
 *	  Heads that have been trained on another model's embeddings: their files.
 */
#include "store/head.h"
#include "store/registry.h"

#include <jansson.h>
#include <math.h>

#include "access/table.h"
#include "common/cryptohash.h"
#include "utils/json.h"
#include "utils/rel.h"

#include "encoder/encoder.h"

#define MAX_CONFIG		(4 * 1024 * 1024)
#define MAX_WEIGHTS		(256 * 1024 * 1024)
#define MAX_LABELS		10000
#define MAX_WIDTH		65536

/* ---- digest ---- */

static void
digest_bytes(const char *data, Size size, uint8 *digest)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	if (hash == NULL || pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) data, size) < 0 ||
		pg_cryptohash_final(hash, digest, ALBERT_SHA256_LEN) < 0)
		elog(ERROR, "could not compute a SHA-256");
	pg_cryptohash_free(hash);
}

static void
append_hex(StringInfo text, const uint8 *digest)
{
	for (int i = 0; i < ALBERT_SHA256_LEN; i++)
		appendStringInfo(text, "%02x", digest[i]);
}

/* As of every model's files: of what sha256sum prints for them. */
static void
digest_files(const char *config, Size config_size, const char *weights, Size weights_size, uint8 *digest)
{
	StringInfoData lines;

	initStringInfo(&lines);
	digest_bytes(config, config_size, digest);
	append_hex(&lines, digest);
	appendStringInfoString(&lines, "  config.json\n");
	digest_bytes(weights, weights_size, digest);
	append_hex(&lines, digest);
	appendStringInfoString(&lines, "  model.safetensors\n");
	digest_bytes(lines.data, lines.len, digest);
	pfree(lines.data);
}

/* ---- reading ---- */

static void pg_attribute_noreturn()
malformed(const char *name, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the files of model \"%s\" are malformed", name),
			 errdetail("%s", what)));
}

/* Copy in the arena, which has memory or raises. */
static void *
copied(AlbertArena *arena, const void *from, Size size)
{
	void	   *to = AlbertArenaAlloc(arena, Max(size, 1));

	if (to == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	memcpy(to, from, size);
	return to;
}

/* What is wrong, or NULL.  Raises nothing while the JSON library holds memory. */
static const char *
parse_config(const json_t *root, AlbertArena *arena, AlbertTrainedHead *head)
{
	const char *problem = json_string_value(json_object_get(root, "problem_type"));
	const json_t *list = json_object_get(root, "labels");
	const char **labels;

	for (int i = ALBERT_PROBLEM_SINGLE_LABEL; i <= ALBERT_PROBLEM_REGRESSION; i++)
	{
		if (problem != NULL && strcmp(problem, AlbertProblemName(i)) == 0)
			head->problem = i;
	}
	head->pairs = json_is_true(json_object_get(root, "pairs"));
	head->nlabels = json_array_size(list);
	if (head->problem == ALBERT_PROBLEM_UNSET || head->nlabels < 1 || head->nlabels > MAX_LABELS)
		return "config.json has no labels or no problem_type.";
	labels = AlbertArenaArray(arena, head->nlabels, sizeof(char *));
	for (int i = 0; labels != NULL && i < head->nlabels; i++)
	{
		const char *label = json_string_value(json_array_get(list, i));
		char	   *copy = label == NULL ? NULL : AlbertArenaAlloc(arena, strlen(label) + 1);

		if (copy == NULL)
			return "A label in config.json is not a string.";
		labels[i] = strcpy(copy, label);
	}
	head->labels = (const char *const *) labels;
	return labels == NULL ? "Out of memory." : NULL;
}

/* A tensor's place in the file: its first number, or NULL when it is not well-formed. */
static const char *
find_tensor(const json_t *root, const char *name, const char *data, Size size, int64 numbers, int64 *last_dim)
{
	const json_t *tensor = json_object_get(root, name);
	const json_t *shape = json_object_get(tensor, "shape");
	const json_t *offsets = json_object_get(tensor, "data_offsets");
	const char *type = json_string_value(json_object_get(tensor, "dtype"));
	int64		begin = json_integer_value(json_array_get(offsets, 0));
	int64		end = json_integer_value(json_array_get(offsets, 1));

	*last_dim = json_integer_value(json_array_get(shape, json_array_size(shape) - 1));
	if (type == NULL || strcmp(type, "F32") != 0 || *last_dim < 1 || *last_dim > MAX_WIDTH)
		return NULL;
	if (numbers < 0)
		numbers = -numbers * *last_dim;	/* so many rows */
	if (begin < 0 || end < begin || end > size || end - begin != numbers * (int64) sizeof(float))
		return NULL;
	return data + begin;
}

static const char *
parse_weights(const char *file, Size size, AlbertTrainedHead *head, const char **weights, const char **bias)
{
	uint64		header = 0;
	json_t	   *root;
	int64		width;
	int64		n;

	for (int i = 7; size >= 8 && i >= 0; i--)
		header = header << 8 | (unsigned char) file[i];
	if (size < 8 || header > size - 8)
		return "model.safetensors has no header.";
	root = json_loadb(file + 8, header, JSON_REJECT_DUPLICATES, NULL);
	*weights = find_tensor(root, "classifier.weight", file + 8 + header, size - 8 - header, -head->nlabels, &width);
	*bias = find_tensor(root, "classifier.bias", file + 8 + header, size - 8 - header, head->nlabels, &n);
	head->width = width;
	json_decref(root);
	if (*weights == NULL || *bias == NULL || n != head->nlabels)
		return "model.safetensors has not the tensors classifier.weight and classifier.bias for the labels.";
	return NULL;
}

void
AlbertHeadRead(const AlbertObject *object, const char *name, AlbertArena *arena, AlbertTrainedHead *head)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "albert head", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Size		config_size;
	Size		size;
	char	   *config = AlbertObjectFileRead(object->relation, "config.json", MAX_CONFIG, &config_size);
	char	   *file = AlbertObjectFileRead(object->relation, "model.safetensors", MAX_WEIGHTS, &size);
	const char *weights;
	const char *bias;
	const char *error;
	uint8		digest[ALBERT_SHA256_LEN];
	json_t	   *root;

	memset(head, 0, sizeof(*head));
	if (config == NULL || file == NULL)
		malformed(name, "A head has the files config.json and model.safetensors.");
	digest_files(config, config_size, file, size, digest);
	if (memcmp(digest, object->digest, ALBERT_SHA256_LEN) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the files of model \"%s\" are not those that it was made of", name),
				 errdetail("Their SHA-256 is another one than that of its description.")));
	root = json_loadb(config, config_size, JSON_REJECT_DUPLICATES, NULL);
	error = parse_config(root, arena, head);
	json_decref(root);
	if (error == NULL)
		error = parse_weights(file, size, head, &weights, &bias);
	if (error != NULL)
		malformed(name, error);
	head->weights = copied(arena, weights, (Size) head->nlabels * head->width * sizeof(float));
	head->bias = copied(arena, bias, head->nlabels * sizeof(float));
	for (Size i = 0; i < (Size) head->nlabels * head->width; i++)
	{
		if (!isfinite(head->weights[i]) || !isfinite(head->bias[i % head->nlabels]))
			malformed(name, "A weight is not finite.");
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
AlbertHeadBind(const AlbertTrainedHead *head, const char *name, AlbertArena *arena, AlbertModel *model)
{
	AlbertConfig *config = copied(arena, model->config, sizeof(AlbertConfig));
	AlbertStatus ignored;
	int			width = AlbertPoolWidth(model, model->pooling != 0 ? model->pooling : ALBERT_POOL_MEAN,
										model->pooling != 0, &ignored);

	if (head->pairs)
		width *= ALBERT_PAIR_PARTS;
	if (head->width != width)
		malformed(name, psprintf("It is for embeddings that make %d values, and those of its base make %d.",
								 head->width, width));
	config->num_labels = head->nlabels;
	config->problem_type = head->problem;
	config->score_function = head->problem == ALBERT_PROBLEM_REGRESSION ? ALBERT_SCORE_IDENTITY : ALBERT_SCORE_UNSET;
	model->config = config;
	/* the base's own classifier goes, of whatever kind it is */
	model->heads &= ~(ALBERT_HEAD_TOKEN_CLASSIFIER | ALBERT_HEAD_CHOICE);
	model->heads |= ALBERT_HEAD_CLASSIFIER;
	model->nlabels = head->nlabels;
	model->labels = head->labels;
	model->head_weights = head->weights;
	model->head_bias = head->bias;
	model->head_pairs = head->pairs;
}

/* ---- writing ---- */

static char *
config_json(const AlbertTrainedHead *head, const char *base, const char *base_digest)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\n  \"problem_type\": \"%s\",\n  \"base\": ", AlbertProblemName(head->problem));
	escape_json(&json, base);
	if (head->pairs)
		appendStringInfoString(&json, ",\n  \"pairs\": true");
	appendStringInfo(&json, ",\n  \"base_sha256\": \"%s\",\n  \"labels\": [", base_digest);
	for (int i = 0; i < head->nlabels; i++)
	{
		appendStringInfoString(&json, i == 0 ? "" : ", ");
		escape_json(&json, head->labels[i]);
	}
	appendStringInfoString(&json, "]\n}\n");
	return json.data;
}

static void
append_bytes(void *context, const void *bytes, size_t size)
{
	appendBinaryStringInfo(context, bytes, size);
}

static StringInfoData
safetensors(const AlbertTrainedHead *head)
{
	StringInfoData file;
	AlbertArena arena;
	AlbertStatus status;

	initStringInfo(&file);
	AlbertArenaInitContext(&arena, CurrentMemoryContext);
	if (!AlbertHeadWrite(head, NULL, &arena, append_bytes, &file, &status))
		AlbertReport(&status);
	return file;
}

/* The description, and whether the model can be used. */
static void
finish(Relation table, const char *base, const char *base_identity, const uint8 *digest)
{
	StringInfoData options;

	initStringInfo(&options);
	appendStringInfoString(&options, "\"base\": ");
	escape_json(&options, base);
	appendStringInfo(&options, ", \"base_sha256\": \"%s\"", base_identity);
	AlbertImportFinish(table, digest, options.data);
}

void
AlbertHeadKeep(const char *name, const AlbertTrainedHead *head, const AlbertBinding *base)
{
	Relation	table = AlbertImportBegin(name);
	uint8		digest[ALBERT_SHA256_LEN];
	StringInfoData identity;
	StringInfoData weights = safetensors(head);
	char	   *config;

	initStringInfo(&identity);
	append_hex(&identity, base->identity);
	config = config_json(head, base->name, identity.data);
	AlbertImportAppend(table, "config.json", 0, config, strlen(config));
	AlbertImportAppend(table, "model.safetensors", 0, weights.data, weights.len);
	digest_files(config, strlen(config), weights.data, weights.len, digest);
	finish(table, base->name, identity.data, digest);
}

/* A head's config.json names its base; palloc'd, or NULL when it does not. */
static char *
base_in_config(const char *config, Size size, char **identity)
{
	json_t	   *root = json_loadb(config, size, JSON_REJECT_DUPLICATES, NULL);
	const char *base = json_string_value(json_object_get(root, "base"));
	const char *sha256 = json_string_value(json_object_get(root, "base_sha256"));
	char	   *copy = NULL;

	if (base != NULL && sha256 != NULL)
	{
		copy = MemoryContextAllocExtended(CurrentMemoryContext, strlen(base) + strlen(sha256) + 2, MCXT_ALLOC_NO_OOM);
		if (copy != NULL)
			*identity = strcpy(strcpy(copy, base) + strlen(base) + 1, sha256);
	}
	json_decref(root);
	return copy;
}

bool
AlbertHeadImport(const char *name)
{
	Relation	table = AlbertImportBegin(name);
	uint8		digest[ALBERT_SHA256_LEN];
	Size		config_size;
	Size		size;
	char	   *config = AlbertObjectFileRead(RelationGetRelid(table), "config.json", MAX_CONFIG, &config_size);
	char	   *weights;
	char	   *identity;
	char	   *base = config == NULL ? NULL : base_in_config(config, config_size, &identity);

	if (base == NULL)
	{
		table_close(table, NoLock);
		return false;
	}
	weights = AlbertObjectFileRead(RelationGetRelid(table), "model.safetensors", MAX_WEIGHTS, &size);
	if (weights == NULL)
		malformed(name, "A head has the files config.json and model.safetensors.");
	digest_files(config, config_size, weights, size, digest);
	finish(table, base, identity, digest);
	return true;
}
