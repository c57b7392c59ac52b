/*
 * sentence_transformers.c
 *	  The files by which sentence-transformers says how a text becomes one
 *	  vector: modules.json, N_Pooling, N_Dense, N_Normalize, prompts, length.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <string.h>

/* Old directories call the length file after the kind of model. */
static const char *const length_files[] =
{
	"sentence_bert_config.json",
	"sentence_albert_config.json"
};

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
AlbertModulesBase(AlbertSource *source, json_t **modules, const char **base, AlbertStatus *status)
{
	json_t	   *first;
	const char *path;

	*base = "";
	if (!AlbertJsonFile(source, "modules.json", false, JSON_ARRAY, modules, status))
		return false;
	if (*modules == NULL)
		return true;
	first = json_array_get(*modules, 0);
	path = class_name(json_object_get(first, "type"));
	if (path == NULL || strcmp(path, "Transformer") != 0)
		return AlbertFail(status, ALBERT_UNSUPPORTED,
						  "the first module in file \"modules.json\" is not a Transformer");
	if (!module_path(first, &path, status))
		return false;
	*base = AlbertNameJoin(source, path, "");
	return *base != NULL || AlbertNoMemory(status);
}

/* ---- pooling ---- */

static bool
read_pooling_flags(const json_t *root, const char *file, uint32_t *pooling, AlbertStatus *status)
{
	static const struct
	{
		const char *key;
		uint32_t	bit;		/* 0: not supported */
		bool		preset;
	}			flags[] =
	{
		{"pooling_mode_cls_token", ALBERT_POOL_CLS, false},
		{"pooling_mode_max_tokens", ALBERT_POOL_MAX, false},
		{"pooling_mode_mean_tokens", ALBERT_POOL_MEAN, true},
		{"pooling_mode_mean_sqrt_len_tokens", ALBERT_POOL_MEAN_SQRT_LEN, false},
		{"pooling_mode_weightedmean_tokens", 0, false},
		{"pooling_mode_lasttoken", 0, false}
	};

	*pooling = 0;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
	{
		bool		on;

		if (!AlbertJsonBool(root, flags[i].key, flags[i].preset, &on, file, status))
			return false;
		if (on && flags[i].bit == 0)
			return AlbertFail(status, ALBERT_UNSUPPORTED, "\"%s\" in file \"%s\" is not supported",
							  flags[i].key, file);
		if (on)
			*pooling |= flags[i].bit;
	}
	return true;
}

/* Newer files may have one key "pooling_mode": a name, or several. */
static bool
read_pooling_mode(const json_t *mode, const char *file, uint32_t *pooling, AlbertStatus *status)
{
	static const struct
	{
		const char *name;
		uint32_t	bit;
	}			modes[] =
	{
		{"cls", ALBERT_POOL_CLS},
		{"max", ALBERT_POOL_MAX},
		{"mean", ALBERT_POOL_MEAN},
		{"mean_sqrt_len_tokens", ALBERT_POOL_MEAN_SQRT_LEN}
	};
	size_t		n = json_is_array(mode) ? json_array_size(mode) : 1;

	*pooling = 0;
	for (size_t i = 0; i < n; i++)
	{
		json_t	   *item = json_is_array(mode) ? json_array_get(mode, i) : (json_t *) mode;
		const char *name = json_string_value(item);
		uint32_t	bit = 0;
		char		text[48];

		for (size_t k = 0; name != NULL && k < sizeof(modes) / sizeof(modes[0]); k++)
			if (strcmp(name, modes[k].name) == 0)
				bit = modes[k].bit;
		if (bit == 0)
		{
			AlbertJsonShow(item, text, sizeof(text));
			return AlbertFail(status, ALBERT_UNSUPPORTED,
							  "unsupported \"pooling_mode\" in file \"%s\": %s", file, text);
		}
		*pooling |= bit;
	}
	return true;
}

static bool
read_pooling_members(const json_t *root, const char *file, int hidden_size,
					 SentenceModules *sentence, AlbertStatus *status)
{
	json_t	   *mode = json_object_get(root, "pooling_mode");
	const char *key = json_object_get(root, "embedding_dimension") != NULL ?
		"embedding_dimension" : "word_embedding_dimension";
	bool		include_prompt;
	int32_t		width;

	if (mode != NULL && !json_is_null(mode))
	{
		if (!read_pooling_mode(mode, file, &sentence->pooling, status))
			return false;
	}
	else if (!read_pooling_flags(root, file, &sentence->pooling, status))
		return false;
	if (sentence->pooling == 0)
		return AlbertFail(status, ALBERT_FORMAT, "file \"%s\" switches on no pooling", file);
	if (!AlbertJsonInt(root, key, hidden_size, 1, INT32_MAX, &width, file, status) ||
		!AlbertJsonBool(root, "include_prompt", true, &include_prompt, file, status))
		return false;
	if (width != hidden_size)
		return AlbertFail(status, ALBERT_FORMAT,
						  "\"%s\" in file \"%s\" is %d but the model's hidden_size is %d",
						  key, file, width, hidden_size);
	sentence->exclude_prompt = !include_prompt;
	return true;
}

static bool
read_pooling(AlbertSource *source, const char *path, int hidden_size,
			 SentenceModules *sentence, AlbertStatus *status)
{
	const char *file = AlbertFilePath(source, path, "config.json");
	json_t	   *root;
	bool		ok;

	if (file == NULL)
		return AlbertNoMemory(status);
	if (!AlbertJsonFile(source, file, true, JSON_OBJECT, &root, status))
		return false;
	ok = read_pooling_members(root, file, hidden_size, sentence, status);
	json_decref(root);
	return ok;
}

/* ---- Dense ---- */

static bool
read_dense_activation(const json_t *root, const char *file, DenseShape *dense, AlbertStatus *status)
{
	static const struct
	{
		const char *name;
		AlbertActivation activation;
	}			classes[] =
	{
		{"Tanh", ALBERT_ACT_TANH},
		{"Identity", ALBERT_ACT_NONE},
		{"ReLU", ALBERT_ACT_RELU},
		{"GELU", ALBERT_ACT_GELU},
		{"SiLU", ALBERT_ACT_SILU}
	};
	json_t	   *member = json_object_get(root, "activation_function");
	const char *name = member == NULL ? "Tanh" : class_name(member);
	char		text[64];

	for (size_t i = 0; name != NULL && i < sizeof(classes) / sizeof(classes[0]); i++)
	{
		if (strcmp(name, classes[i].name) == 0)
		{
			dense->activation = classes[i].activation;
			return true;
		}
	}
	AlbertJsonShow(member, text, sizeof(text));
	return AlbertFail(status, ALBERT_UNSUPPORTED,
					  "unsupported \"activation_function\" in file \"%s\": %s", file, text);
}

static bool
read_dense_members(const json_t *root, const char *file, int64_t width, DenseShape *dense,
				   AlbertStatus *status)
{
	static const char *const names[] = {"module_input_name", "module_output_name"};
	bool		bias;

	for (int i = 0; i < 2; i++)
	{
		json_t	   *member = json_object_get(root, names[i]);
		const char *name = json_string_value(member);

		if (member != NULL && !json_is_null(member) &&
			(name == NULL || strcmp(name, "sentence_embedding") != 0))
			return AlbertFail(status, ALBERT_UNSUPPORTED,
							  "unsupported \"%s\" in file \"%s\"", names[i], file);
	}
	if (!AlbertJsonInt(root, "in_features", -1, 1, MAX_INTERMEDIATE, &dense->in, file, status) ||
		!AlbertJsonInt(root, "out_features", -1, 1, MAX_HIDDEN_SIZE, &dense->out, file, status) ||
		!AlbertJsonBool(root, "bias", true, &bias, file, status) ||
		!read_dense_activation(root, file, dense, status))
		return false;
	dense->bias = bias;
	if (dense->in != width)
		return AlbertFail(status, ALBERT_FORMAT,
						  "\"in_features\" in file \"%s\" is %d but %lld values come in",
						  file, dense->in, (long long) width);
	if ((int64_t) dense->in * dense->out > MAX_MATRIX)
		return AlbertFail(status, ALBERT_UNSUPPORTED, "the matrix of file \"%s\" is too large", file);
	return true;
}

static bool
read_dense(AlbertSource *source, const char *path, int64_t width, SentenceModules *sentence,
		   AlbertStatus *status)
{
	const char *file = AlbertFilePath(source, path, "config.json");
	char		prefix[32];
	json_t	   *root;
	bool		ok;

	if (sentence->ndense == ALBERT_MAX_DENSE)
		return AlbertFail(status, ALBERT_UNSUPPORTED,
						  "file \"modules.json\" has more than %d Dense modules", ALBERT_MAX_DENSE);
	if (file == NULL)
		return AlbertNoMemory(status);
	if (!AlbertJsonFile(source, file, true, JSON_OBJECT, &root, status))
		return false;
	ok = read_dense_members(root, file, width, &sentence->dense[sentence->ndense], status);
	json_decref(root);
	if (!ok)
		return false;
	snprintf(prefix, sizeof(prefix), "dense.%d.", sentence->ndense++);
	return AlbertWeightsOpen(source, path, prefix, status);
}

/* ---- the chain of modules ---- */

static int64_t
pooled_width(const SentenceModules *sentence, int hidden_size)
{
	if (sentence->ndense > 0)
		return sentence->dense[sentence->ndense - 1].out;
	return (int64_t) hidden_size * __builtin_popcount(sentence->pooling);
}

/* Pooling first, then any Dense modules, Normalize last: the only chains that are in use. */
static bool
read_module(AlbertSource *source, const json_t *module, int hidden_size,
			SentenceModules *sentence, AlbertStatus *status)
{
	const char *type = class_name(json_object_get(module, "type"));
	const char *path;

	if (type == NULL)
		return AlbertFail(status, ALBERT_FORMAT, "file \"modules.json\" has a module without a type");
	if (!module_path(module, &path, status))
		return false;
	if (strcmp(type, "Dropout") == 0)
		return true;
	if (strcmp(type, "Pooling") == 0 && sentence->pooling == 0)
		return read_pooling(source, path, hidden_size, sentence, status);
	if (strcmp(type, "Dense") == 0 && sentence->pooling != 0 && !sentence->normalize)
		return read_dense(source, path, pooled_width(sentence, hidden_size), sentence, status);
	if (strcmp(type, "Normalize") == 0 && sentence->pooling != 0)
	{
		sentence->normalize = 1;
		return true;
	}
	AlbertFail(status, ALBERT_UNSUPPORTED, "module \"%.100s\" in file \"modules.json\" is not supported", type);
	return AlbertDetail(status, "Supported are Transformer, Pooling, Dense, Dropout and Normalize, in this order.");
}

static bool
read_length(AlbertSource *source, const char *base, SentenceModules *sentence, AlbertStatus *status)
{
	for (size_t i = 0; i < sizeof(length_files) / sizeof(length_files[0]); i++)
	{
		const char *file = AlbertFilePath(source, base, length_files[i]);
		json_t	   *root;
		bool		ok = true;

		if (file == NULL)
			return AlbertNoMemory(status);
		if (!AlbertJsonFile(source, file, false, JSON_OBJECT, &root, status))
			return false;
		if (root == NULL)
			continue;
		if (!json_is_null(json_object_get(root, "max_seq_length")))
			ok = AlbertJsonInt(root, "max_seq_length", 0, 0, INT32_MAX, &sentence->max_seq_length,
							   file, status);
		json_decref(root);
		return ok;
	}
	return true;
}

static bool
add_prompt(AlbertSource *source, SentenceModules *sentence, const char *name, const char *text,
		   AlbertStatus *status)
{
	int			n = sentence->nprompts;

	sentence->prompt_names[n] = AlbertNameJoin(source, name, "");
	sentence->prompts[n] = AlbertNameJoin(source, text, "");
	if (sentence->prompt_names[n] == NULL || sentence->prompts[n] == NULL)
		return AlbertNoMemory(status);
	sentence->nprompts++;
	return true;
}

/* The prompt that applies when none is named is listed once more, under the empty name. */
static bool
read_prompt_members(AlbertSource *source, const json_t *root, const char *file,
					SentenceModules *sentence, AlbertStatus *status)
{
	json_t	   *prompts = json_object_get(root, "prompts");
	json_t	   *preset = json_object_get(root, "default_prompt_name");
	size_t		n = json_object_size(prompts);
	const char *name;
	json_t	   *text;

	if (prompts == NULL || json_is_null(prompts))
		return true;
	if (!json_is_object(prompts) || n > MAX_PROMPTS)
		return AlbertFail(status, ALBERT_FORMAT, "invalid \"prompts\" in file \"%s\"", file);
	sentence->prompt_names = AlbertArenaArray(source->arena, n + 1, sizeof(char *));
	sentence->prompts = AlbertArenaArray(source->arena, n + 1, sizeof(char *));
	if (sentence->prompt_names == NULL || sentence->prompts == NULL)
		return AlbertNoMemory(status);
	json_object_foreach(prompts, name, text)
	{
		if (!json_is_string(text) || name[0] == '\0')
			return AlbertFail(status, ALBERT_FORMAT, "invalid prompt \"%.100s\" in file \"%s\"", name, file);
		if (!add_prompt(source, sentence, name, json_string_value(text), status))
			return false;
	}
	if (preset == NULL || json_is_null(preset))
		return true;
	text = json_is_string(preset) ? json_object_get(prompts, json_string_value(preset)) : NULL;
	if (text == NULL)
		return AlbertFail(status, ALBERT_FORMAT,
						  "\"default_prompt_name\" in file \"%s\" names no prompt", file);
	return add_prompt(source, sentence, "", json_string_value(text), status);
}

/* Prompts, and a cross-encoder's function of the score. */
static bool
read_own_config(AlbertSource *source, SentenceModules *sentence, AlbertStatus *status)
{
	static const char file[] = "config_sentence_transformers.json";
	json_t	   *root;
	bool		ok;

	if (!AlbertJsonFile(source, file, false, JSON_OBJECT, &root, status))
		return false;
	if (root == NULL)
		return true;
	ok = read_prompt_members(source, root, file, sentence, status) &&
		AlbertScoreFunctionRead(json_object_get(root, "activation_fn"), "activation_fn", file,
								&sentence->score_function, status);
	json_decref(root);
	return ok;
}

bool
AlbertModulesRead(AlbertSource *source, const json_t *modules, const char *base, int hidden_size,
				  SentenceModules *sentence, AlbertStatus *status)
{
	size_t		i;
	json_t	   *module;

	memset(sentence, 0, sizeof(*sentence));
	if (modules == NULL)
		return true;
	if (!read_length(source, base, sentence, status) || !read_own_config(source, sentence, status))
		return false;
	json_array_foreach((json_t *) modules, i, module)
	{
		if (i > 0 && !read_module(source, module, hidden_size, sentence, status))
			return false;
	}
	return true;
}
