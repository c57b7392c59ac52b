/*
 * options.c
 *	  A model's options: what its owner wants otherwise than the files say.
 */
#include "encoder/encoder.h"
#include "formats/internal.h"

#include <string.h>

static const AlbertJsonChoice overflows[] = {
	{"truncate", ALBERT_OVERFLOW_TRUNCATE},
	{"error", ALBERT_OVERFLOW_ERROR},
	{"window", ALBERT_OVERFLOW_WINDOW},
	{NULL, 0}
};

/* Just that: as in a call, the directory's other modules belong to its own pooling. */
static bool
set_pooling(AlbertSource *source, const char *name, AlbertStatus *status)
{
	AlbertSourceInfo *info = &source->info;
	uint32_t	pooling = AlbertPoolingByName(name);

	if (pooling == 0)
	{
		AlbertFail(status, ALBERT_INPUT, "unknown pooling \"%.100s\"", name);
		return AlbertHint(status, "Poolings are mean, cls, max, mean_sqrt_len and pooler.");
	}
	if (pooling == ALBERT_POOL_POOLER && (info->heads & ALBERT_HEAD_POOLER) == 0)
		return AlbertFail(status, ALBERT_UNSUPPORTED, "the model has no pooler");
	info->pooling = pooling;
	info->normalize = 0;
	info->exclude_prompt = 0;
	info->ndense = 0;
	return true;
}

static bool
set_overflow(AlbertSource *source, const char *name, AlbertStatus *status)
{
	if (AlbertJsonChoose(overflows, name, &source->info.overflow))
		return true;
	AlbertFail(status, ALBERT_INPUT, "unknown overflow \"%.100s\"", name);
	return AlbertHint(status, "Overflow is truncate, error or window.");
}

/* A length counts for the tokenizer and for sentence-transformers' modules. */
static bool
set_max_length(AlbertSource *source, json_t *root, const json_t *length, AlbertStatus *status)
{
	json_int_t	most = source->info.config.max_position_embeddings;

	if (!json_is_integer(length) || json_integer_value(length) < 3 || json_integer_value(length) > most)
	{
		AlbertFail(status, ALBERT_INPUT, "invalid \"max_length\" of the model");
		return AlbertDetail(status, "It must be an integer from 3 to the model's length, %lld.", (long long) most);
	}
	source->info.max_seq_length = (int32_t) json_integer_value(length);
	if (json_object_set(root, "model_max_length", (json_t *) length) != 0)
		return AlbertNoMemory(status);
	return json_object_del(root, "max_length") == 0;
}

static bool
set_options(AlbertSource *source, json_t *root, AlbertStatus *status)
{
	const json_t *pooling = json_object_get(root, "pooling");
	const json_t *normalized = json_object_get(root, "normalized");
	const json_t *prompt = json_object_get(root, "prompt");
	const json_t *overflow = json_object_get(root, "overflow");
	const json_t *length = json_object_get(root, "max_length");

	if ((pooling != NULL && !json_is_string(pooling)) || (prompt != NULL && !json_is_string(prompt)) ||
		(overflow != NULL && !json_is_string(overflow)) || (normalized != NULL && !json_is_boolean(normalized)))
		return AlbertFail(status, ALBERT_FORMAT, "the model's options are malformed");
	if ((pooling != NULL && !set_pooling(source, json_string_value(pooling), status)) ||
		(overflow != NULL && !set_overflow(source, json_string_value(overflow), status)))
		return false;
	if (prompt != NULL)
		source->default_prompt = json_string_value(prompt);
	if (normalized != NULL)
	{
		if (source->info.pooling == 0)
			source->info.pooling = ALBERT_POOL_MEAN;
		source->info.normalize = json_is_true(normalized);
	}
	return length == NULL || set_max_length(source, root, length, status);
}

/* What is left is for the tokenizer. */
static bool
keep_rest(AlbertSource *source, json_t *root, AlbertStatus *status)
{
	static const char *const ours[] = {"pooling", "normalized", "prompt", "overflow"};
	json_t	   *rest = json_copy(root);
	size_t		size;
	char	   *text;

	for (size_t i = 0; i < LENGTH(ours); i++)
		(void) json_object_del(rest, ours[i]);
	size = json_dumpb(rest, NULL, 0, JSON_COMPACT);
	text = AlbertArenaAlloc(source->arena, size);
	if (text != NULL)
		json_dumpb(rest, text, size, JSON_COMPACT);
	json_decref(rest);
	source->options = (AlbertBytes) {text, size};
	return (text != NULL && size > 0) || AlbertNoMemory(status);
}

bool
AlbertSourceSetOptions(AlbertSource *source, const char *options, AlbertStatus *status)
{
	json_t	   *root = AlbertJsonParse(source->documents, options, strlen(options), JSON_REJECT_DUPLICATES,
									   JSON_OBJECT, "options", options, status);

	return root != NULL && set_options(source, root, status) && keep_rest(source, root, status);
}
