/*
 * options.c
 *	  A model's options: what its owner wants otherwise than the files say.
 */
#include "encoder/encoder.h"
#include "formats/internal.h"

#include <stdlib.h>
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

/* The prompt that applies when none is named, in the place of the directory's. */
static bool
set_prompt(AlbertSource *source, const char *prompt, AlbertStatus *status)
{
	int			n = 0;
	const char **names = AlbertArenaArray(source->arena, source->nprompts + 1, sizeof(char *));
	const char **prompts = AlbertArenaArray(source->arena, source->nprompts + 1, sizeof(char *));

	if (names == NULL || prompts == NULL)
		return AlbertNoMemory(status);
	for (int i = 0; i < source->nprompts; i++)
	{
		if (source->prompt_names[i][0] == '\0')
			continue;
		names[n] = source->prompt_names[i];
		prompts[n++] = source->prompts[i];
	}
	names[n] = "";
	prompts[n++] = prompt;
	source->prompt_names = names;
	source->prompts = prompts;
	source->nprompts = n;
	return true;
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
		(overflow != NULL && !set_overflow(source, json_string_value(overflow), status)) ||
		(prompt != NULL && !set_prompt(source, json_string_value(prompt), status)))
		return false;
	if (normalized != NULL)
	{
		if (source->info.pooling == 0)
			source->info.pooling = ALBERT_POOL_MEAN;
		source->info.normalize = json_is_true(normalized);
	}
	return length == NULL || set_max_length(source, root, length, status);
}

/* What is left is for the tokenizer, over what the directory's own albert.json says. */
static bool
set_corrections(AlbertSource *source, json_t *root, AlbertStatus *status)
{
	static const char *const ours[] = {"pooling", "normalized", "prompt", "overflow"};
	int			file = source->tokenizer_files[TOKENIZER_ALBERT_JSON];
	json_t	   *all = json_loads("{}", 0, NULL);	/* the server has a json_object of its own */
	char	   *text = NULL;
	char	   *copy;
	size_t		size;

	if (file >= 0)
	{
		json_decref(all);
		if (!AlbertFileReadAll(source, file, MAX_JSON_FILE, &text, &size, status))
			return false;
		all = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(all))
		{
			json_decref(all);
			return AlbertFail(status, ALBERT_FORMAT, "file \"albert.json\" is not a JSON object");
		}
	}
	if (all == NULL || json_object_update(all, root) != 0)
	{
		json_decref(all);
		return AlbertNoMemory(status);
	}
	for (size_t i = 0; i < LENGTH(ours); i++)
		(void) json_object_del(all, ours[i]);
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	copy = text == NULL ? NULL : AlbertArenaAlloc(source->arena, strlen(text) + 1);
	if (copy != NULL)
	{
		strcpy(copy, text);
		source->corrections.data = copy;
		source->corrections.size = strlen(copy);
	}
	free(text);
	return copy != NULL || AlbertNoMemory(status);
}

bool
AlbertSourceSetOptions(AlbertSource *source, const char *options, AlbertStatus *status)
{
	json_t	   *root = json_loads(options, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(root))
	{
		json_decref(root);
		return AlbertFail(status, ALBERT_FORMAT, "the model's options are malformed");
	}
	/* its strings are used as they are */
	if (json_array_append_new(source->documents, root) != 0)
		return AlbertNoMemory(status);
	return set_options(source, root, status) && set_corrections(source, root, status);
}
