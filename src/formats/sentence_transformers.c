/*
 * sentence_transformers.c
 *	  The files by which sentence-transformers says how a text becomes one
 *	  vector: modules.json, N_Pooling, N_Dense, N_Normalize, prompts, length.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <string.h>

#define POOLING			offsetof(AlbertConfig, pooling)
#define DENSE(field)	offsetof(AlbertDense, field)

/* The part of a Python type's name behind the last dot. */
static const char *
class_name(const json_t *value)
{
	const char *name = json_string_value(value);
	const char *dot = name == NULL ? NULL : strrchr(name, '.');

	return dot == NULL ? name : dot + 1;
}

static bool
module_path(const json_t *module, const char **path, AlbertStatus *status)
{
	*path = json_string_value(json_object_get(module, "path"));
	if (*path != NULL && ((*path)[0] == '\0' || AlbertPlainName(*path)))
		return true;
	return AlbertFail(status, ALBERT_FORMAT, "file \"modules.json\" has a module without a valid path");
}

/* Old directories keep the transformer itself in "0_Transformer". */
bool
AlbertModulesBase(AlbertSource *source, const json_t **modules, const char **base, AlbertStatus *status)
{
	AlbertJsonText json;
	const json_t *first;
	const char *type;

	*base = "";
	if (!AlbertJsonFile(source, "", "modules.json", false, JSON_ARRAY, &json, status))
		return false;
	*modules = json.root;
	if (*modules == NULL)
		return true;
	first = json_array_get(*modules, 0);
	type = class_name(json_object_get(first, "type"));
	if (type == NULL || strcmp(type, "Transformer") != 0)
		return AlbertFail(status, ALBERT_UNSUPPORTED,
						  "the first module in file \"modules.json\" is not a Transformer");
	return module_path(first, base, status);
}

/* ---- pooling ---- */

static const AlbertJsonMember pooling_flags[] = {
	{"pooling_mode_cls_token", ALBERT_JSON_BIT, POOLING, ALBERT_POOL_CLS, .or_null = false},
	{"pooling_mode_max_tokens", ALBERT_JSON_BIT, POOLING, ALBERT_POOL_MAX, .or_null = false},
	{"pooling_mode_mean_tokens", ALBERT_JSON_BIT, POOLING, ALBERT_POOL_MEAN, .or_null = false},
	{"pooling_mode_mean_sqrt_len_tokens", ALBERT_JSON_BIT, POOLING, ALBERT_POOL_MEAN_SQRT_LEN, .or_null = false},
	{"pooling_mode_weightedmean_tokens", ALBERT_JSON_UNSUPPORTED, ALBERT_JSON_NOWHERE, .or_null = true},
	{"pooling_mode_lasttoken", ALBERT_JSON_UNSUPPORTED, ALBERT_JSON_NOWHERE, .or_null = true}
};

static const AlbertJsonChoice pooling_modes[] = {
	{"cls", ALBERT_POOL_CLS},
	{"max", ALBERT_POOL_MAX},
	{"mean", ALBERT_POOL_MEAN},
	{"mean_sqrt_len_tokens", ALBERT_POOL_MEAN_SQRT_LEN},
	{NULL, 0}
};

/* Newer files may have one key "pooling_mode": a name, or several. */
static bool
read_pooling_mode(const json_t *mode, const char *file, uint32_t *pooling, AlbertStatus *status)
{
	size_t		n = json_is_array(mode) ? json_array_size(mode) : 1;

	*pooling = 0;
	for (size_t i = 0; i < n; i++)
	{
		const json_t *item = json_is_array(mode) ? json_array_get(mode, i) : mode;
		int32_t		bit;

		if (!json_is_string(item) || !AlbertJsonChoose(pooling_modes, json_string_value(item), &bit))
			return AlbertJsonWrong(item, ALBERT_UNSUPPORTED, "pooling_mode", file, status);
		*pooling |= bit;
	}
	return true;
}

static bool
read_pooling(AlbertSource *source, const char *path, AlbertStatus *status)
{
	AlbertConfig *config = &source->config;
	json_int_t	width = config->hidden_size;
	int			include_prompt = true;
	AlbertJsonText json;
	json_error_t error;
	const json_t *mode;

	if (!AlbertJsonFile(source, path, "config.json", true, JSON_OBJECT, &json, status))
		return false;
	mode = json_object_get(json.root, "pooling_mode");
	config->pooling = ALBERT_POOL_MEAN;
	if (mode != NULL && !json_is_null(mode) ? !read_pooling_mode(mode, json.file, &config->pooling, status)
		: !AlbertJsonRead(json.root, pooling_flags, LENGTH(pooling_flags), config, json.file, status))
		return false;
	if (json_unpack_ex((json_t *) json.root, &error, 0, "{s?I,s?I,s?b}", "word_embedding_dimension", &width,
					   "embedding_dimension", &width, "include_prompt", &include_prompt) != 0)
		return AlbertFail(status, ALBERT_FORMAT, "invalid dimension or \"include_prompt\" in file \"%s\": %s",
						  json.file, error.text);
	if (config->pooling == 0)
		return AlbertFail(status, ALBERT_FORMAT, "file \"%s\" switches on no pooling", json.file);
	if (width != config->hidden_size)
		return AlbertFail(status, ALBERT_FORMAT, "dimension in file \"%s\" is %lld but the model's hidden_size is %d",
						  json.file, (long long) width, config->hidden_size);
	config->exclude_prompt = !include_prompt;
	return true;
}

/* ---- Dense ---- */

static const AlbertJsonChoice dense_activations[] = {
	{"Tanh", ALBERT_ACT_TANH},
	{"Identity", ALBERT_ACT_NONE},
	{"ReLU", ALBERT_ACT_RELU},
	{"GELU", ALBERT_ACT_GELU},
	{"SiLU", ALBERT_ACT_SILU},
	{NULL, 0}
};

static const AlbertJsonChoice dense_names[] = {{"sentence_embedding", 0}, {NULL, 0}};

static const AlbertJsonMember dense_members[] = {
	{"module_input_name", ALBERT_JSON_CHOICE, ALBERT_JSON_NOWHERE, .choices = dense_names, .or_null = true},
	{"module_output_name", ALBERT_JSON_CHOICE, ALBERT_JSON_NOWHERE, .choices = dense_names, .or_null = true},
	{"in_features", ALBERT_JSON_INT, DENSE(in), .lowest = 1, .highest = MAX_INTERMEDIATE},
	{"out_features", ALBERT_JSON_INT, DENSE(out), .lowest = 1, .highest = MAX_HIDDEN_SIZE},
	{"bias", ALBERT_JSON_BOOL, DENSE(bias), .or_null = false},
	{"activation_function", ALBERT_JSON_CLASS, DENSE(activation), .choices = dense_activations,
	.unknown = ALBERT_UNSUPPORTED}
};

/* How many values come into the next Dense module. */
static int64_t
pooled_width(const AlbertConfig *config)
{
	if (config->ndense > 0)
		return config->dense[config->ndense - 1].out;
	return (int64_t) config->hidden_size * __builtin_popcount(config->pooling);
}

static bool
read_dense(AlbertSource *source, const char *path, AlbertStatus *status)
{
	AlbertConfig *config = &source->config;
	AlbertDense dense = {.in = -1, .out = -1, .activation = ALBERT_ACT_TANH, .bias = true};
	char		prefix[32];
	AlbertJsonText json;

	if (config->ndense == ALBERT_MAX_DENSE)
		return AlbertFail(status, ALBERT_UNSUPPORTED,
						  "file \"modules.json\" has more than %d Dense modules", ALBERT_MAX_DENSE);
	if (!AlbertJsonFile(source, path, "config.json", true, JSON_OBJECT, &json, status) ||
		!AlbertJsonRead(json.root, dense_members, LENGTH(dense_members), &dense, json.file, status))
		return false;
	if (dense.in != pooled_width(config))
		return AlbertFail(status, ALBERT_FORMAT, "\"in_features\" in file \"%s\" is %d but %lld values come in",
						  json.file, dense.in, (long long) pooled_width(config));
	if ((int64_t) dense.in * dense.out > MAX_MATRIX)
		return AlbertFail(status, ALBERT_UNSUPPORTED, "the matrix of file \"%s\" is too large", json.file);
	snprintf(prefix, sizeof(prefix), "dense.%d.", config->ndense);
	config->dense[config->ndense++] = dense;
	return AlbertWeightsOpen(source, path, prefix, status);
}

/* ---- the chain of modules ---- */

/* Pooling first, then any Dense modules, Normalize last: the only chains that are in use. */
static bool
read_module(AlbertSource *source, const json_t *module, AlbertStatus *status)
{
	AlbertConfig *config = &source->config;
	const char *type = class_name(json_object_get(module, "type"));
	const char *path;

	if (type == NULL)
		return AlbertFail(status, ALBERT_FORMAT, "file \"modules.json\" has a module without a type");
	if (!module_path(module, &path, status))
		return false;
	if (strcmp(type, "Dropout") == 0)
		return true;
	if (strcmp(type, "Pooling") == 0 && config->pooling == 0)
		return read_pooling(source, path, status);
	if (strcmp(type, "Dense") == 0 && config->pooling != 0 && !config->normalize)
		return read_dense(source, path, status);
	if (strcmp(type, "Normalize") == 0 && config->pooling != 0)
	{
		config->normalize = 1;
		return true;
	}
	AlbertFail(status, ALBERT_UNSUPPORTED, "module \"%.100s\" in file \"modules.json\" is not supported", type);
	return AlbertDetail(status, "Supported are Transformer, Pooling, Dense, Dropout and Normalize, in this order.");
}

/* Old directories call the length file after the kind of model. */
static bool
read_length(AlbertSource *source, const char *base, AlbertStatus *status)
{
	static const char *const files[] = {"sentence_bert_config.json", "sentence_albert_config.json"};
	static const AlbertJsonMember member = {
		"max_seq_length", ALBERT_JSON_INT, offsetof(AlbertConfig, max_seq_length), 0, INT32_MAX, .or_null = true
	};
	AlbertJsonText json = {NULL, NULL};

	for (size_t i = 0; i < LENGTH(files) && json.root == NULL; i++)
		if (!AlbertJsonFile(source, base, files[i], false, JSON_OBJECT, &json, status))
			return false;
	return json.root == NULL || AlbertJsonRead(json.root, &member, 1, &source->config, json.file, status);
}

static bool
read_prompts(AlbertSource *source, const json_t *root, const char *file, AlbertStatus *status)
{
	json_t	   *prompts = json_object_get(root, "prompts");
	const json_t *preset = json_object_get(root, "default_prompt_name");
	const char *name;
	json_t	   *text;

	if (prompts == NULL || json_is_null(prompts))
		return true;
	if (!json_is_object(prompts) || json_object_size(prompts) > MAX_PROMPTS)
		return AlbertFail(status, ALBERT_FORMAT, "invalid \"prompts\" in file \"%s\"", file);
	json_object_foreach(prompts, name, text)
		if (!json_is_string(text) || name[0] == '\0')
			return AlbertFail(status, ALBERT_FORMAT, "invalid prompt \"%.100s\" in file \"%s\"", name, file);
	source->prompts = prompts;
	if (preset == NULL || json_is_null(preset))
		return true;
	/* no prompt has the empty name */
	name = json_is_string(preset) ? json_string_value(preset) : "";
	source->default_prompt = json_string_value(json_object_get(prompts, name));
	return source->default_prompt != NULL ||
		AlbertFail(status, ALBERT_FORMAT, "\"default_prompt_name\" in file \"%s\" names no prompt", file);
}

bool
AlbertModulesRead(AlbertSource *source, const json_t *modules, const char *base, AlbertStatus *status)
{
	AlbertJsonText json;
	size_t		i;
	json_t	   *module;

	if (modules == NULL)
		return true;
	/* prompts, and a cross-encoder's function of the score, which goes before config.json's */
	if (!read_length(source, base, status) ||
		!AlbertJsonFile(source, "", "config_sentence_transformers.json", false, JSON_OBJECT, &json, status) ||
		!read_prompts(source, json.root, json.file, status) ||
		!AlbertScoreFunctionRead(source, json.root, "activation_fn", json.file, status))
		return false;
	json_array_foreach(modules, i, module)
	{
		if (i > 0 && !read_module(source, module, status))
			return false;
	}
	return true;
}
