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
static const AlbertJsonChoice activations[] = {
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
	{"linear", ALBERT_ACT_NONE},
	{NULL, 0}
};

static const AlbertJsonChoice model_types[] = {
	{"albert", ALBERT_ARCHITECTURE_ALBERT},
	{"bert", ALBERT_ARCHITECTURE_BERT},
	{NULL, 0}
};

static const AlbertJsonChoice position_types[] = {{"absolute", 0}, {NULL, 0}};

static const AlbertJsonChoice problem_types[] = {
	{"regression", ALBERT_PROBLEM_REGRESSION},
	{"single_label_classification", ALBERT_PROBLEM_SINGLE_LABEL},
	{"multi_label_classification", ALBERT_PROBLEM_MULTI_LABEL},
	{NULL, 0}
};

/* As sentence-transformers writes them.  Others, which it replaces by its default with a warning, are refused. */
static const AlbertJsonChoice score_functions[] = {
	{"torch.nn.modules.linear.Identity", ALBERT_SCORE_IDENTITY},
	{"torch.nn.modules.activation.Sigmoid", ALBERT_SCORE_SIGMOID},
	{"torch.nn.Identity", ALBERT_SCORE_IDENTITY},
	{"torch.nn.Sigmoid", ALBERT_SCORE_SIGMOID},
	{NULL, 0}
};

#define CONFIG(field)	offsetof(AlbertConfig, field)
#define SOURCE(field)	offsetof(AlbertSource, field)
#define SIZE(field, most) {#field, ALBERT_JSON_INT, CONFIG(field), .lowest = 1, .highest = most}

/*
 * The sizes with their defaults by architecture.  A default of 0 means that
 * the architecture does not have the key: read_sizes says what it then is.
 */
static const struct
{
	AlbertJsonMember member;
	int32_t		preset[ALBERT_NARCHITECTURES];
}			sizes[] =
{
	{SIZE(vocab_size, MAX_VOCAB_SIZE), {30000, 30522}},
	{SIZE(embedding_size, MAX_HIDDEN_SIZE), {128, 0}},
	{SIZE(hidden_size, MAX_HIDDEN_SIZE), {4096, 768}},
	{SIZE(num_hidden_layers, MAX_LAYERS), {12, 12}},
	{SIZE(num_hidden_groups, MAX_LAYERS), {1, 0}},
	{SIZE(num_attention_heads, MAX_HIDDEN_SIZE), {64, 12}},
	{SIZE(intermediate_size, MAX_INTERMEDIATE), {16384, 3072}},
	{SIZE(inner_group_num, MAX_INNER_GROUPS), {1, 0}},
	{SIZE(max_position_embeddings, MAX_POSITIONS), {512, 512}},
	{SIZE(type_vocab_size, MAX_TYPES), {2, 2}}
};

static const AlbertJsonMember members[] = {
	{"position_embedding_type", ALBERT_JSON_CHOICE, ALBERT_JSON_NOWHERE, .choices = position_types},
	/* a decoder attends to what came before only, which nothing here computes */
	{"is_decoder", ALBERT_JSON_UNSUPPORTED, ALBERT_JSON_NOWHERE, .or_null = true},
	{"add_cross_attention", ALBERT_JSON_UNSUPPORTED, ALBERT_JSON_NOWHERE, .or_null = true},
	{"hidden_act", ALBERT_JSON_CHOICE, SOURCE(config.hidden_act), .choices = activations},
	{"problem_type", ALBERT_JSON_CHOICE, SOURCE(config.problem_type), .choices = problem_types, .or_null = true,
	.unknown = ALBERT_FORMAT},
	{"layer_norm_eps", ALBERT_JSON_NUMBER, SOURCE(layer_norm_eps), .lowest = 0, .highest = 1},
	{"tie_word_embeddings", ALBERT_JSON_BOOL, SOURCE(tie_word_embeddings), .or_null = false},
	/* old directories have it here rather than in tokenizer_config.json */
	{"tokenizer_class", ALBERT_JSON_STRING, SOURCE(tokenizer_class), .or_null = true}
};

bool
AlbertScoreFunctionRead(AlbertSource *source, const json_t *object, const char *key, const char *file,
						AlbertStatus *status)
{
	const AlbertJsonMember member = {
		key, ALBERT_JSON_CHOICE, CONFIG(score_function), .choices = score_functions, .or_null = true,
		.unknown = ALBERT_UNSUPPORTED
	};

	return AlbertJsonRead(object, &member, 1, &source->config, file, status);
}

/* Since version 4 CrossEncoder writes an object of its own, before that a key beside the others. */
static bool
read_score_function(AlbertSource *source, const json_t *root, const char *file, AlbertStatus *status)
{
	const json_t *own = json_object_get(root, "sentence_transformers");

	if (json_object_get(own, "activation_fn") != NULL)
		return AlbertScoreFunctionRead(source, own, "activation_fn", file, status);
	return AlbertScoreFunctionRead(source, root, "sbert_ce_default_activation_function", file, status);
}

/*
 * model_type, and architectures[0], which tells for which head a tensor
 * "classifier.weight" is.  Older checkpoints of BERT have the second alone.
 */
static bool
read_architecture(AlbertSource *source, const json_t *root, const char *file, AlbertStatus *status)
{
	static const AlbertJsonMember model_type = {
		"model_type", ALBERT_JSON_CHOICE, CONFIG(architecture), .choices = model_types, .unknown = ALBERT_UNSUPPORTED
	};
	AlbertConfig *config = &source->config;
	const json_t *classes = json_object_get(root, "architectures");
	const json_t *class = json_array_get(classes, 0);
	const char *name = json_string_value(class);

	if ((classes != NULL && !json_is_null(classes) && !json_is_array(classes)) || (class != NULL && name == NULL))
		return AlbertFail(status, ALBERT_FORMAT, "\"architectures\" in file \"%s\" is not an array of strings", file);
	config->architecture = name != NULL && strncmp(name, "Bert", 4) == 0
		? ALBERT_ARCHITECTURE_BERT : ALBERT_ARCHITECTURE_ALBERT;
	if (!AlbertJsonRead(root, &model_type, 1, config, file, status))
		return false;
	if (name == NULL)
		name = config->architecture == ALBERT_ARCHITECTURE_BERT ? "BertModel" : "AlbertModel";
	if (strlen(name) >= sizeof(source->config.class_name))
		return AlbertFail(status, ALBERT_FORMAT, "architecture name in file \"%s\" is too long", file);
	strcpy(source->config.class_name, name);
	if (ends_with(name, "ForSequenceClassification"))
		source->classifier = ALBERT_HEAD_CLASSIFIER | ALBERT_HEAD_POOLER;
	else if (ends_with(name, "ForTokenClassification"))
		source->classifier = ALBERT_HEAD_TOKEN_CLASSIFIER;
	else if (ends_with(name, "ForMultipleChoice"))
		source->classifier = ALBERT_HEAD_CHOICE | ALBERT_HEAD_POOLER;
	return true;
}

static bool
read_sizes(const json_t *root, const char *file, AlbertConfig *config, AlbertStatus *status)
{
	for (size_t i = 0; i < LENGTH(sizes); i++)
	{
		int32_t		preset = sizes[i].preset[config->architecture];

		*(int32_t *) ((char *) config + sizes[i].member.offset) = preset;
		if (preset != 0 && !AlbertJsonRead(root, &sizes[i].member, 1, config, file, status))
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

/* How the sizes go together, and with them how large a matrix gets. */
static bool
check_sizes(const AlbertConfig *config, const char *file, AlbertStatus *status)
{
	int64_t		hidden = config->hidden_size;

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
		hidden * config->embedding_size > MAX_MATRIX ||
		(int64_t) config->vocab_size * config->embedding_size > MAX_MATRIX ||
		(int64_t) config->max_position_embeddings * config->embedding_size > MAX_MATRIX)
		return AlbertFail(status, ALBERT_UNSUPPORTED,
						  "the sizes in file \"%s\" give a matrix of more than %d elements",
						  file, MAX_MATRIX);
	return true;
}

const char *
AlbertProblemName(AlbertProblemType problem)
{
	const AlbertJsonChoice *choice = problem_types;

	while (choice->name != NULL && choice->value != (int32_t) problem)
		choice++;
	return choice->name;
}

bool
AlbertConfigRead(AlbertSource *source, const char *base, const char *name, bool original, AlbertStatus *status)
{
	AlbertConfig *config = &source->config;
	AlbertJsonText json;
	const json_t *root;

	if (!AlbertJsonFile(source, base, name, true, JSON_OBJECT, &json, status))
		return false;
	root = json.root;
	source->config_json = original ? NULL : root;
	source->tie_word_embeddings = true;
	source->layer_norm_eps = 1e-12;
	if (!read_architecture(source, root, json.file, status))
		return false;
	source->naming = (Naming) config->architecture;
	config->hidden_act = config->architecture == ALBERT_ARCHITECTURE_BERT ? ALBERT_ACT_GELU : ALBERT_ACT_GELU_NEW;
	if (!AlbertJsonRead(root, members, LENGTH(members), source, json.file, status) ||
		!read_sizes(root, json.file, config, status) ||
		!read_score_function(source, root, json.file, status) ||
		!check_sizes(config, json.file, status) ||
		!AlbertLabelsRead(source, root, json.file, status))
		return false;
	config->layer_norm_eps = (float) source->layer_norm_eps;
	if (original && config->hidden_act == ALBERT_ACT_GELU)
		config->hidden_act = ALBERT_ACT_GELU_NEW;
	return true;
}
