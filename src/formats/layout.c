/*
 * layout.c
 *	  Which tensors a model needs, what they are called, reading them, and where
 *	  they lie in an image.
 *
 * One table lists every tensor with its name in each export, its shape in
 * terms of the configuration and the field that points to it once an image is
 * bound.  Checking a checkpoint, sizing, building and binding an image all
 * walk the list made from it, so they cannot disagree.  Another export of the
 * same computation is another column of names.
 */
#include "formats/internal.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Sizes, by their places in AlbertConfig. */
#define VOCAB			offsetof(AlbertConfig, vocab_size)
#define EMBEDDING		offsetof(AlbertConfig, embedding_size)
#define HIDDEN			offsetof(AlbertConfig, hidden_size)
#define INTERMEDIATE	offsetof(AlbertConfig, intermediate_size)
#define POSITIONS		offsetof(AlbertConfig, max_position_embeddings)
#define TYPES			offsetof(AlbertConfig, type_vocab_size)
#define LABELS			offsetof(AlbertConfig, num_labels)
#define MODULE_IN		offsetof(AlbertConfig, dense[0].in)
#define MODULE_OUT		offsetof(AlbertConfig, dense[0].out)
#define TWO				SIZE_MAX	/* whatever the configuration is */

/* What a rule's tensors make up: NAME.weight (rows, cols) and NAME.bias (rows), as far as they have them. */
typedef enum RuleKind
{
	RULE_LINEAR,				/* weight and bias of an AlbertLinear */
	RULE_TABLE,					/* weight of an AlbertLinear that is looked up by row */
	RULE_ROWS,					/* weight, fp32 as it is */
	RULE_NORM,					/* weight and bias of an AlbertNorm, both of rows values */
	RULE_BIAS					/* bias alone */
} RuleKind;

struct TensorRule
{
	size_t		field;			/* in AlbertModel or AlbertLayer, by scope; a Dense module's has none */
	TensorScope scope;
	RuleKind	kind;
	bool		narrow;			/* takes the model's precision; else fp32 */
	uint32_t	heads;			/* needed by any of these; 0: always */
	size_t		rows;			/* of one tensor */
	size_t		cols;			/* 0: its tensors are vectors */
	const char *names[NNAMINGS][2];	/* two: one above the other; none: not in this architecture */
};

struct MatrixKind
{
	const char *end;			/* of the tensor's name; NULL: there is no second one */
	const char *original_end;	/* likewise in the original release */
	MatrixForm	form;
	size_t		field;			/* that points to it, in what the rule's field is */
};

static const MatrixKind kinds[][2] = {
	[RULE_LINEAR] = {{".weight", "kernel", FORM_LINEAR, 0},
	{".bias", "bias", FORM_VECTOR, offsetof(AlbertLinear, bias)}},
	[RULE_TABLE] = {{".weight", "", FORM_LINEAR, 0}},
	[RULE_ROWS] = {{".weight", "", FORM_PLAIN, 0}},
	[RULE_NORM] = {{".weight", "gamma", FORM_VECTOR, offsetof(AlbertNorm, weight)},
	{".bias", "beta", FORM_VECTOR, offsetof(AlbertNorm, bias)}},
	[RULE_BIAS] = {{".bias", "output_bias", FORM_VECTOR, 0}}
};

#define CLASSIFIERS	(ALBERT_HEAD_CLASSIFIER | ALBERT_HEAD_TOKEN_CLASSIFIER | ALBERT_HEAD_CHOICE)
#define MODEL(field)	offsetof(AlbertModel, field), SCOPE_BASE
#define LAYER(field)	offsetof(AlbertLayer, field), SCOPE_LAYER
#define HEAD(field)		offsetof(AlbertModel, field), SCOPE_HEAD

/*
 * Layers, word embeddings and the projection take the precision asked for (see
 * matrix_precision).  The heads stay in fp32: they run on few rows, and what
 * they answer with is not averaged over anything afterwards.
 */
static const TensorRule rules[] =
{
	{MODEL(word_embeddings), RULE_TABLE, true, 0, VOCAB, EMBEDDING,
	{{"embeddings.word_embeddings"}, {"embeddings.word_embeddings"}, {"embeddings/word_embeddings"}}},
	{MODEL(position_embeddings), RULE_ROWS, false, 0, POSITIONS, EMBEDDING,
	{{"embeddings.position_embeddings"}, {"embeddings.position_embeddings"}, {"embeddings/position_embeddings"}}},
	{MODEL(token_type_embeddings), RULE_ROWS, false, 0, TYPES, EMBEDDING,
	{{"embeddings.token_type_embeddings"}, {"embeddings.token_type_embeddings"},
	{"embeddings/token_type_embeddings"}}},
	{MODEL(embedding_norm), RULE_NORM, false, 0, EMBEDDING, 0,
	{{"embeddings.LayerNorm"}, {"embeddings.LayerNorm"}, {"embeddings/LayerNorm/"}}},
	{MODEL(embedding_projection), RULE_LINEAR, true, 0, HIDDEN, EMBEDDING,
	{{"encoder.embedding_hidden_mapping_in"}, {NULL}, {"encoder/embedding_hidden_mapping_in/"}}},

	{LAYER(query), RULE_LINEAR, true, 0, HIDDEN, HIDDEN,
	{{"attention.query"}, {"attention.self.query"}, {"attention_1/self/query/"}}},
	{LAYER(key_value), RULE_LINEAR, true, 0, HIDDEN, HIDDEN,
	{{"attention.key", "attention.value"}, {"attention.self.key", "attention.self.value"},
	{"attention_1/self/key/", "attention_1/self/value/"}}},
	{LAYER(dense), RULE_LINEAR, true, 0, HIDDEN, HIDDEN,
	{{"attention.dense"}, {"attention.output.dense"}, {"attention_1/output/dense/"}}},
	{LAYER(attention_norm), RULE_NORM, false, 0, HIDDEN, 0,
	{{"attention.LayerNorm"}, {"attention.output.LayerNorm"}, {"LayerNorm/"}}},
	{LAYER(ffn), RULE_LINEAR, true, 0, INTERMEDIATE, HIDDEN,
	{{"ffn"}, {"intermediate.dense"}, {"ffn_1/intermediate/dense/"}}},
	{LAYER(ffn_output), RULE_LINEAR, true, 0, HIDDEN, INTERMEDIATE,
	{{"ffn_output"}, {"output.dense"}, {"ffn_1/intermediate/output/dense/"}}},
	{LAYER(output_norm), RULE_NORM, false, 0, HIDDEN, 0,
	{{"full_layer_layer_norm"}, {"output.LayerNorm"}, {"LayerNorm_1/"}}},

	{MODEL(pooler), RULE_LINEAR, false, ALBERT_HEAD_POOLER, HIDDEN, HIDDEN,
	{{"pooler"}, {"pooler.dense"}, {"pooler/dense/"}}},
	{HEAD(mlm_dense), RULE_LINEAR, false, ALBERT_HEAD_MLM, EMBEDDING, HIDDEN,
	{{"predictions.dense"}, {"cls.predictions.transform.dense"}, {"cls/predictions/transform/dense/"}}},
	{HEAD(mlm_norm), RULE_NORM, false, ALBERT_HEAD_MLM, EMBEDDING, 0,
	{{"predictions.LayerNorm"}, {"cls.predictions.transform.LayerNorm"}, {"cls/predictions/transform/LayerNorm/"}}},
	{HEAD(mlm_decoder), RULE_TABLE, true, ALBERT_HEAD_MLM, VOCAB, EMBEDDING,
	{{"predictions.decoder"}, {"cls.predictions.decoder"}, {"cls/predictions/decoder"}}},
	{HEAD(mlm_decoder.bias), RULE_BIAS, false, ALBERT_HEAD_MLM, VOCAB, 0,
	{{"predictions"}, {"cls.predictions"}, {"cls/predictions/"}}},
	{HEAD(sentence_order), RULE_LINEAR, false, ALBERT_HEAD_SENTENCE_ORDER, TWO, HIDDEN,
	{{"sop_classifier.classifier"}, {"cls.seq_relationship"}, {"cls/seq_relationship/"}}},
	{HEAD(classifier), RULE_LINEAR, false, CLASSIFIERS, LABELS, HIDDEN,
	{{"classifier"}, {"classifier"}, {""}}},
	{HEAD(qa_outputs), RULE_LINEAR, false, ALBERT_HEAD_QUESTION_ANSWERING, TWO, HIDDEN,
	{{"qa_outputs"}, {"qa_outputs"}, {"cls/squad/"}}},

	{0, SCOPE_MODULE, RULE_LINEAR, false, 0, MODULE_OUT, MODULE_IN,
	{{"linear"}, {"linear"}}}
};

#define NRULES	((int) LENGTH(rules))

static const struct
{
	const char *prefix;			/* of the base model's tensors in a model with heads */
	const char *layer;			/* of a layer's: its group's number and its own in the group */
}			namings[NNAMINGS] =
{
	[NAMING_ALBERT] = {"albert.", "encoder.albert_layer_groups.%d.albert_layers.%d."},
	[NAMING_BERT] = {"bert.", "encoder.layer.%d."},
	[NAMING_ORIGINAL] = {"bert/", "encoder/transformer/group_%d/inner_group_%d/"}
};

/*
 * Ends of names that older checkpoints have, and the original release's heads;
 * such a tensor goes first when both are there.
 */
static const struct
{
	const char *end;
	const char *other;
}			other_names[] =
{
	{"LayerNorm.weight", "LayerNorm.gamma"},
	{"LayerNorm.bias", "LayerNorm.beta"},
	{"predictions.bias", "predictions.decoder.bias"},
	{"kernel", "output_weights"},
	{"bias", "output_bias"}
};

/* ---- the list of matrices ---- */

static int32_t
get_size(const AlbertConfig *config, int index, size_t place)
{
	if (place == TWO)
		return 2;
	if (place >= offsetof(AlbertConfig, dense))
		place += index * sizeof(AlbertDense);
	return *(const int32_t *) ((const char *) config + place);
}

static void
add_matrix(Layout *layout, const AlbertConfig *config, const TensorRule *rule, const MatrixKind *kind,
		   int index, bool second)
{
	int32_t		rows = get_size(config, index, rule->rows);
	bool		alone = rule->names[config->architecture][1] == NULL;

	layout->matrices[layout->n++] = (Matrix) {
		.rule = rule, .kind = kind, .scope = rule->scope, .index = index, .second = second, .form = kind->form,
		.rows = rows, .cols = kind->form == FORM_VECTOR ? 1 : get_size(config, index, rule->cols),
		.image_row = second ? rows : 0, .image_rows = alone ? rows : 2 * rows
	};
}

static void
add_rule(Layout *layout, const AlbertConfig *config, const TensorRule *rule, int index)
{
	const MatrixKind *kind = kinds[rule->kind];
	bool		has_bias = rule->scope != SCOPE_MODULE || config->dense[index].bias;
	int			nkinds = kind[1].end != NULL && has_bias ? 2 : 1;

	for (int i = 0; i < nkinds; i++)
	{
		add_matrix(layout, config, rule, &kind[i], index, false);
		if (rule->names[config->architecture][1] != NULL)
			add_matrix(layout, config, rule, &kind[i], index, true);
	}
}

static bool
applies(const AlbertConfig *config, const TensorRule *rule)
{
	if (rule->names[config->architecture][0] == NULL)
		return false;
	if (rule->field == offsetof(AlbertModel, mlm_decoder) && rule->scope == SCOPE_HEAD && !config->untied)
		return false;
	return rule->heads == 0 || (config->heads & rule->heads) != 0;
}

static void
add_scope(Layout *layout, const AlbertConfig *config, TensorScope scope, int index)
{
	for (int i = 0; i < NRULES; i++)
		if (rules[i].scope == scope && applies(config, &rules[i]))
			add_rule(layout, config, &rules[i], index);
}

/*
 * Eight bits are for the layers, which are most of the work.  The word
 * embeddings (the decoder's, too) and the projection keep sixteen: what is
 * lost there is lost for everything after, and shows in the best token.
 */
static AlbertPrecision
matrix_precision(const Matrix *matrix, const AlbertKernels *kernels, AlbertPrecision precision)
{
	if (!matrix->rule->narrow || matrix->form == FORM_VECTOR)
		return ALBERT_FP32;
	if (precision == ALBERT_INT8 && matrix->scope != SCOPE_LAYER)
		return AlbertKernelsHave(kernels, ALBERT_BF16) ? ALBERT_BF16 : ALBERT_FP32;
	return precision;
}

/* What a matrix takes in an image, and where.  The second of two lies in what the first has taken. */
static void
place(Layout *layout, Matrix *matrix, const AlbertKernels *kernels, AlbertPrecision precision)
{
	size_t		size = (size_t) matrix->image_rows * matrix->cols * sizeof(float);

	matrix->precision = matrix_precision(matrix, kernels, precision);
	if (matrix->form == FORM_LINEAR)
		size = kernels->packed_size(matrix->precision, matrix->image_rows, matrix->cols);
	matrix->offset = matrix->second ? matrix[-1].offset : layout->size;
	if (!matrix->second)
		layout->size += AlbertAlign(size);
}

bool
AlbertLayoutList(const AlbertConfig *config, const AlbertKernels *kernels, AlbertPrecision precision,
				 AlbertArena *arena, Layout *layout, AlbertStatus *status)
{
	int			nlayers = config->num_hidden_groups * config->inner_group_num;

	if (kernels != NULL && (!AlbertKernelsHave(kernels, precision) || !AlbertKernelsHave(kernels, ALBERT_FP32)))
		return AlbertFail(status, ALBERT_UNSUPPORTED, "kernel set \"%s\" does not compute in precision \"%s\"",
						  kernels->name, AlbertPrecisionName(precision));
	layout->n = 0;
	layout->size = AlbertAlign(sizeof(WeightsImage));
	layout->matrices = AlbertArenaArray(arena, (size_t) 2 * (NRULES + 1) * (nlayers + 1 + ALBERT_MAX_DENSE),
										sizeof(Matrix));
	if (layout->matrices == NULL)
		return AlbertNoMemory(status);
	add_scope(layout, config, SCOPE_BASE, 0);
	for (int i = 0; i < nlayers; i++)
		add_scope(layout, config, SCOPE_LAYER, i);
	add_scope(layout, config, SCOPE_HEAD, 0);
	for (int i = 0; i < config->ndense; i++)
		add_scope(layout, config, SCOPE_MODULE, i);
	for (int i = 0; kernels != NULL && i < layout->n; i++)
		place(layout, &layout->matrices[i], kernels, precision);
	return true;
}

/* ---- tensors by name ---- */

void
AlbertLayoutName(const AlbertSource *source, const Matrix *matrix, bool exported, char *text, size_t size)
{
	const AlbertConfig *config = &source->config;
	Naming		naming = exported || matrix->scope == SCOPE_MODULE ? config->architecture : source->naming;
	int			inner = config->inner_group_num;
	int			used = 0;

	if (matrix->scope == SCOPE_BASE || matrix->scope == SCOPE_LAYER)
		used = snprintf(text, size, "%s", exported ? namings[naming].prefix : source->prefix);
	if (matrix->scope == SCOPE_LAYER)
		used += snprintf(text + used, size - used, namings[naming].layer, matrix->index / inner, matrix->index % inner);
	if (matrix->scope == SCOPE_MODULE)
		used = snprintf(text, size, "dense.%d.", matrix->index);
	snprintf(text + used, size - used, "%s%s", matrix->rule->names[naming][matrix->second],
			 naming == NAMING_ORIGINAL ? matrix->kind->original_end : matrix->kind->end);
}

/* The tensor of a name, or of the older name for it. */
static const Tensor *
find_tensor(const AlbertSource *source, const char *name)
{
	const Tensor *tensor = NULL;

	for (size_t i = 0; i < LENGTH(other_names) && tensor == NULL; i++)
	{
		int			start = strlen(name) - strlen(other_names[i].end);
		char		other[MATRIX_NAME_SIZE];

		if (!ends_with(name, other_names[i].end))
			continue;
		snprintf(other, sizeof(other), "%.*s%s", start, name, other_names[i].other);
		tensor = AlbertTensorFind(source, other);
	}
	return tensor != NULL ? tensor : AlbertTensorFind(source, name);
}

static bool
check_type(const Tensor *tensor, AlbertStatus *status)
{
	if (tensor->type->kind != ELEMENT_OTHER)
		return true;
	AlbertFail(status, ALBERT_UNSUPPORTED, "tensor \"%s\" in file \"%s\" is of unsupported type %s",
			   tensor->name, tensor->file->name, tensor->type->name);
	AlbertDetail(status, "Weights must be stored as F32, F16, BF16 or F64.");
	return AlbertHint(status, "Quantized exports cannot be used; take the original checkpoint.");
}

static bool
check_shape(const Matrix *matrix, const Tensor *tensor, AlbertStatus *status)
{
	Tensor		wanted = {.ndim = matrix->form == FORM_VECTOR ? 1 : 2, .shape = {matrix->rows, matrix->cols}};
	char		shape[128];
	char		wanted_shape[128];

	if (tensor->ndim == wanted.ndim && memcmp(tensor->shape, wanted.shape, wanted.ndim * sizeof(int64_t)) == 0)
		return true;
	AlbertFail(status, ALBERT_FORMAT, "tensor \"%s\" in file \"%s\" has the wrong shape",
			   tensor->name, tensor->file->name);
	AlbertTensorShape(tensor, shape, sizeof(shape));
	AlbertTensorShape(&wanted, wanted_shape, sizeof(wanted_shape));
	return AlbertDetail(status, "Its shape is %s; the configuration gives %s.", shape, wanted_shape);
}

const Tensor *
AlbertLayoutTensor(const AlbertSource *source, const Matrix *matrix, AlbertStatus *status)
{
	char		name[MATRIX_NAME_SIZE];
	const Tensor *tensor;

	AlbertLayoutName(source, matrix, false, name, sizeof(name));
	tensor = find_tensor(source, name);
	if (tensor == NULL)
	{
		AlbertFail(status, ALBERT_FORMAT, "tensor \"%s\" is missing", name);
		return NULL;
	}
	return check_type(tensor, status) && check_shape(matrix, tensor, status) ? tensor : NULL;
}

/* ---- heads ---- */

/* The first tensor of a rule outside of layers. */
static const Tensor *
find_first(const AlbertSource *source, const TensorRule *rule)
{
	Matrix		matrix = {.rule = rule, .kind = &kinds[rule->kind][0], .scope = rule->scope};
	char		name[MATRIX_NAME_SIZE];

	AlbertLayoutName(source, &matrix, false, name, sizeof(name));
	return find_tensor(source, name);
}

/* The first tensor of a head that is there.  The decoder's tells nothing: it may be stored though it is tied. */
static const Tensor *
find_head(const AlbertSource *source, uint32_t head)
{
	const Tensor *tensor = NULL;

	for (int i = 0; i < NRULES && tensor == NULL; i++)
		if (rules[i].heads == head && rules[i].kind != RULE_TABLE)
			tensor = find_first(source, &rules[i]);
	return tensor;
}

/* The stored matrix says how many labels there are; the configuration must agree. */
static bool
count_labels(AlbertSource *source, const Tensor *tensor, AlbertStatus *status)
{
	int64_t		stored = tensor->ndim == 2 ? tensor->shape[0] : 0;
	bool		choice = (source->config.heads & ALBERT_HEAD_CHOICE) != 0;
	int			named = choice ? 1 : source->nlabels;

	if (stored > 0 && stored <= MAX_LABELS && (stored == named || (stored == source->label_end && !choice)))
	{
		source->config.num_labels = (int32_t) stored;
		return true;
	}
	AlbertFail(status, ALBERT_FORMAT, "number of labels does not fit tensor \"%s\"", tensor->name);
	return AlbertDetail(status, "The configuration has %d labels; the tensor has %lld rows.",
						named, (long long) stored);
}

bool
AlbertLayoutHeads(AlbertSource *source, AlbertStatus *status)
{
	static const uint32_t heads[] = {
		ALBERT_HEAD_POOLER, ALBERT_HEAD_MLM, ALBERT_HEAD_SENTENCE_ORDER, ALBERT_HEAD_QUESTION_ANSWERING
	};
	AlbertConfig *config = &source->config;
	const Tensor *classifier;

	source->prefix = namings[source->naming].prefix;
	/* the words' embeddings, which every model has */
	if (find_first(source, &rules[0]) == NULL)
		source->prefix = "";
	for (size_t i = 0; i < LENGTH(heads); i++)
		if (find_head(source, heads[i]) != NULL)
			config->heads |= heads[i];
	if (config->heads & ALBERT_HEAD_SENTENCE_ORDER)
		config->heads |= ALBERT_HEAD_POOLER;
	/*
	 * Classifiers for sequences, tokens and choices have the same tensors, so
	 * the architecture decides; when it does not say, a head with a pooler
	 * below it is one for sequences.
	 */
	classifier = find_head(source, CLASSIFIERS);
	if (classifier != NULL)
	{
		if (source->classifier != 0)
			config->heads |= source->classifier;
		else
			config->heads |= config->heads & ALBERT_HEAD_POOLER ? ALBERT_HEAD_CLASSIFIER : ALBERT_HEAD_TOKEN_CLASSIFIER;
		if (!count_labels(source, classifier, status))
			return false;
	}
	/* a tied decoder that is stored all the same is ignored, as transformers does */
	config->untied = (config->heads & ALBERT_HEAD_MLM) && !source->tie_word_embeddings;
	return true;
}

/* ---- values ---- */

#define READ_BLOCK	(1024 * 1024)	/* bytes of values that are read at once, if a row is not larger */

bool
AlbertMatricesRead(const AlbertSource *source, const Layout *layout, TakeRows take, void *context,
				   const volatile sig_atomic_t *interrupt, AlbertStatus *status)
{
	size_t		size = READ_BLOCK;
	float	   *values;

	for (int i = 0; i < layout->n; i++)
		if (layout->matrices[i].cols * sizeof(float) > size)
			size = layout->matrices[i].cols * sizeof(float);
	values = AlbertArenaAlloc(source->arena, size);
	if (values == NULL)
		return AlbertNoMemory(status);
	for (int i = 0; i < layout->n; i++)
	{
		const Matrix *matrix = &layout->matrices[i];
		const Tensor *tensor = AlbertLayoutTensor(source, matrix, status);
		int			block = (int) (size / sizeof(float)) / matrix->cols;

		if (tensor == NULL)
			return false;
		for (int row = 0; row < matrix->rows; row += block)
		{
			int			n = matrix->rows - row < block ? matrix->rows - row : block;

			if (!AlbertTensorRows(tensor, row, n, values, interrupt, status))
				return false;
			take(context, matrix, matrix->image_row + row, n, values);
		}
	}
	return true;
}

/* ---- binding ---- */

void
AlbertLayoutBind(AlbertModel *model, AlbertLayer *layers, const Matrix *matrix, const void *data)
{
	char	   *field = (char *) model;

	if (matrix->scope == SCOPE_LAYER)
		field = (char *) &layers[matrix->index];
	else if (matrix->scope == SCOPE_MODULE)
		field = (char *) &model->dense[matrix->index];
	field += matrix->rule->field + matrix->kind->field;
	if (matrix->form == FORM_LINEAR)
	{
		AlbertLinear *linear = (AlbertLinear *) field;

		linear->in = matrix->cols;
		linear->out = matrix->image_rows;
		linear->precision = matrix->precision;
		linear->weight = data;
	}
	else
		*(const float **) field = data;
}
