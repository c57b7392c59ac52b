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
	AlbertConfig *config = &source->config;
	uint32_t	pooling = AlbertPoolingByName(name);

	if (pooling == 0)
	{
		AlbertFail(status, ALBERT_INPUT, "unknown pooling \"%.100s\"", name);
		return AlbertHint(status, "Poolings are mean, cls, max, mean_sqrt_len and pooler.");
	}
	if (pooling == ALBERT_POOL_POOLER && (config->heads & ALBERT_HEAD_POOLER) == 0)
		return AlbertFail(status, ALBERT_UNSUPPORTED, "the model has no pooler");
	config->pooling = pooling;
	config->normalize = 0;
	config->exclude_prompt = 0;
	config->ndense = 0;
	return true;
}

static bool
set_overflow(AlbertSource *source, const char *name, AlbertStatus *status)
{
	if (AlbertJsonChoose(overflows, name, &source->config.overflow))
		return true;
	AlbertFail(status, ALBERT_INPUT, "unknown overflow \"%.100s\"", name);
	return AlbertHint(status, "Overflow is truncate, error or window.");
}

/* A length counts for the tokenizer and for sentence-transformers' modules. */
static bool
set_max_length(AlbertSource *source, json_t *root, const json_t *length, AlbertStatus *status)
{
	json_int_t	most = source->config.max_position_embeddings;

	if (!json_is_integer(length) || json_integer_value(length) < 3 || json_integer_value(length) > most)
	{
		AlbertFail(status, ALBERT_INPUT, "invalid \"max_length\" of the model");
		return AlbertDetail(status, "It must be an integer from 3 to the model's length, %lld.", (long long) most);
	}
	source->config.max_seq_length = (int32_t) json_integer_value(length);
	if (json_object_set(root, "model_max_length", (json_t *) length) != 0)
		return AlbertNoMemory(status);
	return json_object_del(root, "max_length") == 0;
}

static bool
set_options(AlbertSource *source, json_t *root, AlbertStatus *status)
{
	const char *pooling = NULL;
	const char *overflow = NULL;
	json_t	   *length = NULL;
	int			normalized = -1;

	if (json_unpack(root, "{s?s,s?s,s?s,s?b,s?o}", "pooling", &pooling, "overflow", &overflow,
					"prompt", &source->default_prompt, "normalized", &normalized, "max_length", &length) != 0)
		return AlbertFail(status, ALBERT_FORMAT, "the model's options are malformed");
	if ((pooling != NULL && !set_pooling(source, pooling, status)) ||
		(overflow != NULL && !set_overflow(source, overflow, status)))
		return false;
	if (normalized >= 0)
	{
		if (source->config.pooling == 0)
			source->config.pooling = ALBERT_POOL_MEAN;
		source->config.normalize = normalized;
	}
	return length == NULL || set_max_length(source, root, length, status);
}

/* What is left is for the tokenizer. */
static bool
keep_rest(AlbertSource *source, json_t *root, AlbertStatus *status)
{
	static const char *const ours[] = {"pooling", "normalized", "prompt", "overflow"};
	json_t	   *rest = json_copy(root);
	const char *text;

	for (size_t i = 0; i < LENGTH(ours); i++)
		(void) json_object_del(rest, ours[i]);
	text = AlbertJsonDump(source->arena, rest, JSON_COMPACT);
	json_decref(rest);
	if (text == NULL)
		return AlbertNoMemory(status);
	source->options = (AlbertBytes) {text, strlen(text)};
	return true;
}

bool
AlbertSourceSetOptions(AlbertSource *source, const char *options, AlbertStatus *status)
{
	json_t	   *root = AlbertJsonParse(source->documents, options, strlen(options), JSON_REJECT_DUPLICATES,
									   JSON_OBJECT, "options", options, status);

	return root != NULL && set_options(source, root, status) && keep_rest(source, root, status);
}
