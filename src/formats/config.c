/*
 * config.c
 *	  config.json: what transformers' AlbertConfig or BertConfig reads from it.
 *
 * A missing key has the default of that class in transformers 4.57.  Keys
 * that change nothing at inference (dropout, initialisation) are ignored.
 */
#include "formats/internal.h"

#include <string.h>

/*
 * Names of transformers' ACT2FN.  The approximations that differ only in how
 * the same tanh formula is written share one entry of AlbertActivation.
 */
static const struct
{
	const char *name;
	AlbertActivation activation;
}			activations[] =
{
	{"gelu", ALBERT_ACT_GELU},
	{"gelu_python", ALBERT_ACT_GELU},
	{"gelu_new", ALBERT_ACT_GELU_NEW},
	{"gelu_fast", ALBERT_ACT_GELU_NEW},
	{"gelu_accurate", ALBERT_ACT_GELU_NEW},
	{"gelu_pytorch_tanh", ALBERT_ACT_GELU_NEW},
	{"gelu_python_tanh", ALBERT_ACT_GELU_NEW},
	{"relu", ALBERT_ACT_RELU},
	{"silu", ALBERT_ACT_SILU},
	{"swish", ALBERT_ACT_SILU},
	{"tanh", ALBERT_ACT_TANH},
	{"linear", ALBERT_ACT_NONE}
};

static bool
read_activation(const json_t *root, const char *file, AlbertConfig *config, AlbertStatus *status)
{
	json_t	   *member = json_object_get(root, "hidden_act");
	const char *preset = config->architecture == ALBERT_ARCHITECTURE_BERT ? "gelu" : "gelu_new";
	const char *name = member == NULL ? preset : json_string_value(member);
	char		text[48];

	for (size_t i = 0; name != NULL && i < sizeof(activations) / sizeof(activations[0]); i++)
	{
		if (strcmp(name, activations[i].name) == 0)
		{
			config->hidden_act = activations[i].activation;
			return true;
		}
	}
	AlbertJsonShow(member, text, sizeof(text));
	AlbertFail(status, name == NULL ? ALBERT_FORMAT : ALBERT_UNSUPPORTED,
			   "unsupported \"hidden_act\" in file \"%s\": %s", file, text);
	return AlbertDetail(status, "Supported are gelu, gelu_new (also as gelu_fast, gelu_accurate, gelu_pytorch_tanh), relu, silu, swish, tanh and linear.");
}

static bool
read_eps(const json_t *root, const char *file, AlbertConfig *config, AlbertStatus *status)
{
	json_t	   *member = json_object_get(root, "layer_norm_eps");
	double		eps = member == NULL ? 1e-12 : json_number_value(member);
	char		text[48];

	if ((member == NULL || json_is_number(member)) && eps >= 0 && eps <= 1)
	{
		config->layer_norm_eps = (float) eps;
		return true;
	}
	AlbertJsonShow(member, text, sizeof(text));
	AlbertFail(status, ALBERT_FORMAT, "invalid \"layer_norm_eps\" in file \"%s\": %s", file, text);
	return AlbertDetail(status, "It must be a number from 0 to 1.");
}

/* A member that may hold one string only. */
static bool
expect_string(const json_t *root, const char *key, const char *expected,
			  const char *file, AlbertStatus *status)
{
	json_t	   *member = json_object_get(root, key);
	char		text[48];

	if (member == NULL)
		return true;
	if (json_is_string(member) && strcmp(json_string_value(member), expected) == 0)
		return true;
	AlbertJsonShow(member, text, sizeof(text));
	AlbertFail(status, ALBERT_UNSUPPORTED, "unsupported \"%s\" in file \"%s\": %s", key, file, text);
	return AlbertDetail(status, "Only \"%s\" is supported.", expected);
}

static bool
read_problem_type(const json_t *root, const char *file, AlbertConfig *config, AlbertStatus *status)
{
	json_t	   *member = json_object_get(root, "problem_type");
	const char *name = json_string_value(member);
	char		text[48];

	config->problem_type = ALBERT_PROBLEM_UNSET;
	if (member == NULL || json_is_null(member))
		return true;
	if (name != NULL && strcmp(name, "single_label_classification") == 0)
		config->problem_type = ALBERT_PROBLEM_SINGLE_LABEL;
	else if (name != NULL && strcmp(name, "multi_label_classification") == 0)
		config->problem_type = ALBERT_PROBLEM_MULTI_LABEL;
	else if (name != NULL && strcmp(name, "regression") == 0)
		config->problem_type = ALBERT_PROBLEM_REGRESSION;
	else
	{
		AlbertJsonShow(member, text, sizeof(text));
		AlbertFail(status, ALBERT_FORMAT, "invalid \"problem_type\" in file \"%s\": %s", file, text);
		return AlbertDetail(status, "It must be regression, single_label_classification or multi_label_classification.");
	}
	return true;
}

/*
 * A class of torch as sentence-transformers writes it.  Classes of others,
 * which it replaces by its default with a warning, are refused.
 */
bool
AlbertScoreFunctionRead(const json_t *member, const char *key, const char *file, int32_t *function,
						AlbertStatus *status)
{
	static const struct
	{
		const char *name;
		AlbertScoreFunction function;
	}			classes[] =
	{
		{"torch.nn.modules.linear.Identity", ALBERT_SCORE_IDENTITY},
		{"torch.nn.Identity", ALBERT_SCORE_IDENTITY},
		{"torch.nn.modules.activation.Sigmoid", ALBERT_SCORE_SIGMOID},
		{"torch.nn.Sigmoid", ALBERT_SCORE_SIGMOID}
	};
	const char *name = json_string_value(member);
	char		text[100];

	if (member == NULL || json_is_null(member))
		return true;
	for (size_t i = 0; name != NULL && i < sizeof(classes) / sizeof(classes[0]); i++)
	{
		if (strcmp(name, classes[i].name) == 0)
		{
			*function = classes[i].function;
			return true;
		}
	}
	AlbertJsonShow(member, text, sizeof(text));
	AlbertFail(status, ALBERT_UNSUPPORTED, "unsupported \"%s\" in file \"%s\": %s", key, file, text);
	return AlbertDetail(status, "Supported are torch.nn.modules.linear.Identity and torch.nn.modules.activation.Sigmoid.");
}

/* Since version 4 CrossEncoder writes an object of its own, before that a key beside the others. */
static bool
read_score_function(const json_t *root, const char *file, AlbertConfig *config, AlbertStatus *status)
{
	static const char old[] = "sbert_ce_default_activation_function";
	static const char key[] = "activation_fn";
	const json_t *own = json_object_get(root, "sentence_transformers");

	config->score_function = ALBERT_SCORE_UNSET;
	if (json_object_get(own, key) != NULL)
		return AlbertScoreFunctionRead(json_object_get(own, key), key, file, &config->score_function, status);
	return AlbertScoreFunctionRead(json_object_get(root, old), old, file, &config->score_function, status);
}

static bool
ends_with(const char *text, const char *end)
{
	size_t		size = strlen(text);

	return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

/* What model_type says; older checkpoints of BERT have none, but name a class of transformers. */
static bool
read_model_type(const json_t *root, const char *file, AlbertConfig *config, AlbertStatus *status)
{
	json_t	   *member = json_object_get(root, "model_type");
	const char *name = json_string_value(member);
	const char *class = json_string_value(json_array_get(json_object_get(root, "architectures"), 0));
	char		text[48];

	if (member == NULL)
		name = class != NULL && strncmp(class, "Bert", 4) == 0 ? "bert" : "albert";
	config->architecture = ALBERT_ARCHITECTURE_ALBERT;
	if (name != NULL && strcmp(name, "albert") == 0)
		return true;
	config->architecture = ALBERT_ARCHITECTURE_BERT;
	if (name != NULL && strcmp(name, "bert") == 0)
		return true;
	AlbertJsonShow(member, text, sizeof(text));
	AlbertFail(status, ALBERT_UNSUPPORTED, "unsupported \"model_type\" in file \"%s\": %s", file, text);
	return AlbertDetail(status, "Supported are \"albert\" and \"bert\".");
}

/* architectures[0] tells which head a tensor "classifier.weight" belongs to. */
static bool
read_architecture(const json_t *root, const char *file, ConfigFile *config, AlbertStatus *status)
{
	json_t	   *member = json_object_get(root, "architectures");
	const char *name = config->config.architecture == ALBERT_ARCHITECTURE_BERT ? "BertModel" : "AlbertModel";

	if (member != NULL && !json_is_null(member))
	{
		json_t	   *first = json_array_get(member, 0);

		if (!json_is_array(member) || (first != NULL && !json_is_string(first)))
			return AlbertFail(status, ALBERT_FORMAT,
							  "\"architectures\" in file \"%s\" is not an array of strings", file);
		if (first != NULL)
			name = json_string_value(first);
	}
	if (strlen(name) >= sizeof(config->architecture))
		return AlbertFail(status, ALBERT_FORMAT, "architecture name in file \"%s\" is too long", file);
	strcpy(config->architecture, name);
	config->classifier = CLASSIFIER_UNKNOWN;
	if (ends_with(name, "ForSequenceClassification"))
		config->classifier = CLASSIFIER_SEQUENCE;
	else if (ends_with(name, "ForTokenClassification"))
		config->classifier = CLASSIFIER_TOKEN;
	else if (ends_with(name, "ForMultipleChoice"))
		config->classifier = CLASSIFIER_CHOICE;
	return true;
}

/*
 * The sizes with their defaults by architecture.  A default of 0 means that
 * the architecture does not have the key: read_sizes says what it then is.
 */
static bool
read_sizes(const json_t *root, const char *file, AlbertConfig *config, AlbertStatus *status)
{
	const struct
	{
		const char *key;
		int32_t		preset[ALBERT_NARCHITECTURES];
		int32_t		highest;
		int32_t    *value;
	}			sizes[] =
	{
		{"vocab_size", {30000, 30522}, MAX_VOCAB_SIZE, &config->vocab_size},
		{"embedding_size", {128, 0}, MAX_HIDDEN_SIZE, &config->embedding_size},
		{"hidden_size", {4096, 768}, MAX_HIDDEN_SIZE, &config->hidden_size},
		{"num_hidden_layers", {12, 12}, MAX_LAYERS, &config->num_hidden_layers},
		{"num_hidden_groups", {1, 0}, MAX_LAYERS, &config->num_hidden_groups},
		{"num_attention_heads", {64, 12}, MAX_HIDDEN_SIZE, &config->num_attention_heads},
		{"intermediate_size", {16384, 3072}, MAX_INTERMEDIATE, &config->intermediate_size},
		{"inner_group_num", {1, 0}, MAX_INNER_GROUPS, &config->inner_group_num},
		{"max_position_embeddings", {512, 512}, MAX_POSITIONS, &config->max_position_embeddings},
		{"type_vocab_size", {2, 2}, MAX_TYPES, &config->type_vocab_size}
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		int32_t		preset = sizes[i].preset[config->architecture];

		if (preset != 0 &&
			!AlbertJsonInt(root, sizes[i].key, preset, 1, sizes[i].highest, sizes[i].value, file, status))
			return false;
	}
	if (config->architecture == ALBERT_ARCHITECTURE_BERT)
	{
		config->embedding_size = config->hidden_size;
		config->num_hidden_groups = config->num_hidden_layers;
		config->inner_group_num = 1;
	}
	return true;
}

/* A decoder attends to what came before only, which nothing here computes. */
static bool
refuse_decoder(const json_t *root, const char *file, AlbertStatus *status)
{
	static const char *const keys[] = {"is_decoder", "add_cross_attention"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_is_true(json_object_get(root, keys[i])))
			return AlbertFail(status, ALBERT_UNSUPPORTED, "unsupported \"%s\" in file \"%s\": true",
							  keys[i], file);
	return true;
}

/* Sizes from an image pass through here too, so every bound is tested again. */
bool
AlbertConfigCheck(const AlbertConfig *config, const char *file, AlbertStatus *status)
{
	const struct
	{
		int32_t		value;
		int32_t		lowest;
		int32_t		highest;
	}			limits[] =
	{
		{config->architecture, 0, ALBERT_NARCHITECTURES - 1},
		{config->vocab_size, 1, MAX_VOCAB_SIZE},
		{config->embedding_size, 1, MAX_HIDDEN_SIZE},
		{config->hidden_size, 1, MAX_HIDDEN_SIZE},
		{config->num_hidden_layers, 1, MAX_LAYERS},
		{config->num_hidden_groups, 1, MAX_LAYERS},
		{config->num_attention_heads, 1, MAX_HIDDEN_SIZE},
		{config->intermediate_size, 1, MAX_INTERMEDIATE},
		{config->inner_group_num, 1, MAX_INNER_GROUPS},
		{config->max_position_embeddings, 1, MAX_POSITIONS},
		{config->type_vocab_size, 1, MAX_TYPES},
		{config->num_labels, 0, MAX_LABELS},
		{config->hidden_act, ALBERT_ACT_NONE, ALBERT_ACT_TANH},
		{config->problem_type, ALBERT_PROBLEM_UNSET, ALBERT_PROBLEM_REGRESSION},
		{config->score_function, ALBERT_SCORE_UNSET, ALBERT_SCORE_SIGMOID}
	};
	int64_t		hidden = config->hidden_size;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (limits[i].value < limits[i].lowest || limits[i].value > limits[i].highest)
			return AlbertFail(status, ALBERT_FORMAT, "a size in \"%s\" is out of range", file);
	if (config->hidden_size % config->num_attention_heads != 0)
		return AlbertFail(status, ALBERT_FORMAT,
						  "hidden_size %d in file \"%s\" is not a multiple of num_attention_heads %d",
						  config->hidden_size, file, config->num_attention_heads);
	if (config->inner_group_num > config->num_hidden_layers / config->num_hidden_groups)
	{
		AlbertFail(status, ALBERT_FORMAT,
				   "inner_group_num %d in file \"%s\" exceeds the layers of a group",
				   config->inner_group_num, file);
		return AlbertDetail(status, "num_hidden_layers is %d and num_hidden_groups %d.",
							config->num_hidden_layers, config->num_hidden_groups);
	}
	if (hidden * config->intermediate_size > MAX_MATRIX || 2 * hidden * hidden > MAX_MATRIX ||
		hidden * config->embedding_size > MAX_MATRIX || hidden * config->num_labels > MAX_MATRIX ||
		(int64_t) config->vocab_size * config->embedding_size > MAX_MATRIX ||
		(int64_t) config->max_position_embeddings * config->embedding_size > MAX_MATRIX)
		return AlbertFail(status, ALBERT_UNSUPPORTED,
						  "the sizes in file \"%s\" give a matrix of more than %d elements",
						  file, MAX_MATRIX);
	return true;
}

/* Old directories have it here rather than in tokenizer_config.json. */
static bool
read_tokenizer_class(AlbertSource *source, const json_t *root, ConfigFile *config, AlbertStatus *status)
{
	const char *name = json_string_value(json_object_get(root, "tokenizer_class"));

	config->tokenizer_class = name == NULL ? NULL : AlbertNameJoin(source, name, "");
	return name == NULL || config->tokenizer_class != NULL || AlbertNoMemory(status);
}

static bool
read_members(AlbertSource *source, const json_t *root, const char *name, ConfigFile *config,
			 AlbertStatus *status)
{
	return read_model_type(root, name, &config->config, status) &&
		expect_string(root, "position_embedding_type", "absolute", name, status) &&
		refuse_decoder(root, name, status) &&
		read_architecture(root, name, config, status) &&
		read_sizes(root, name, &config->config, status) &&
		read_activation(root, name, &config->config, status) &&
		read_eps(root, name, &config->config, status) &&
		read_problem_type(root, name, &config->config, status) &&
		read_score_function(root, name, &config->config, status) &&
		AlbertJsonBool(root, "tie_word_embeddings", true, &config->tie_word_embeddings,
					   name, status) &&
		AlbertConfigCheck(&config->config, name, status) &&
		read_tokenizer_class(source, root, config, status) &&
		AlbertLabelsRead(source, root, name, config, status);
}

bool
AlbertConfigRead(AlbertSource *source, const char *name, bool original, ConfigFile *config,
				 AlbertStatus *status)
{
	json_t	   *root;
	bool		ok;

	memset(config, 0, sizeof(*config));
	if (!AlbertJsonFile(source, name, true, JSON_OBJECT, &root, status))
		return false;
	ok = read_members(source, root, name, config, status);
	json_decref(root);
	if (ok && original && config->config.hidden_act == ALBERT_ACT_GELU)
		config->config.hidden_act = ALBERT_ACT_GELU_NEW;
	return ok;
}
