/*
 * layout.c
 *	  Which tensors a model needs, what they are called and where they lie in
 *	  an image.
 *
 * One table lists every tensor with its name in the checkpoints of each
 * architecture, its shape in terms of the configuration and the field that
 * points to it once an image is bound.  Checking a checkpoint, sizing,
 * building and binding an image all walk the list made from it, so they
 * cannot disagree.  Another architecture with the same computation is another
 * column of names.
 */
#include "formats/internal.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Sizes, by their places in AlbertSourceInfo. */
#define VOCAB			offsetof(AlbertSourceInfo, config.vocab_size)
#define EMBEDDING		offsetof(AlbertSourceInfo, config.embedding_size)
#define HIDDEN			offsetof(AlbertSourceInfo, config.hidden_size)
#define INTERMEDIATE	offsetof(AlbertSourceInfo, config.intermediate_size)
#define POSITIONS		offsetof(AlbertSourceInfo, config.max_position_embeddings)
#define TYPES			offsetof(AlbertSourceInfo, config.type_vocab_size)
#define LABELS			offsetof(AlbertSourceInfo, config.num_labels)
#define MODULE_IN		offsetof(AlbertSourceInfo, dense[0].in)
#define MODULE_OUT		offsetof(AlbertSourceInfo, dense[0].out)
#define TWO				SIZE_MAX	/* whatever the configuration is */

/* What a rule's tensors make up: NAME.weight (rows, cols) and NAME.bias (rows), as far as they have them. */
typedef enum RuleKind
{
	RULE_LINEAR,				/* weight and bias of an AlbertLinear */
	RULE_TABLE,					/* weight of an AlbertTable */
	RULE_ROWS,					/* weight, fp32 as it is */
	RULE_NORM,					/* weight and bias of an AlbertNorm, both of rows values */
	RULE_BIAS					/* bias alone */
} RuleKind;

struct TensorRule
{
	size_t		field;			/* in AlbertModel, AlbertLayer or AlbertDense, by scope */
	TensorScope scope;
	RuleKind	kind;
	bool		narrow;			/* takes the model's precision; else fp32 */
	uint32_t	heads;			/* needed by any of these; 0: always */
	size_t		rows;			/* of one tensor */
	size_t		cols;			/* 0: its tensors are vectors */
	const char *names[ALBERT_NARCHITECTURES][2];	/* two: one above the other; none: not in this architecture */
};

static const struct
{
	const char *end;			/* of the tensor's name; NULL: there is no second one */
	MatrixForm	form;
	bool		vector;
	size_t		field;			/* that points to it, in what the rule's field is */
}			kinds[][2] =
{
	[RULE_LINEAR] = {{".weight", FORM_LINEAR, false, 0}, {".bias", FORM_PLAIN, true, offsetof(AlbertLinear, bias)}},
	[RULE_TABLE] = {{".weight", FORM_TABLE, false, 0}},
	[RULE_ROWS] = {{".weight", FORM_PLAIN, false, 0}},
	[RULE_NORM] = {{".weight", FORM_PLAIN, true, offsetof(AlbertNorm, weight)},
	{".bias", FORM_PLAIN, true, offsetof(AlbertNorm, bias)}},
	[RULE_BIAS] = {{".bias", FORM_PLAIN, true, 0}}
};

#define CLASSIFIERS	(ALBERT_HEAD_CLASSIFIER | ALBERT_HEAD_TOKEN_CLASSIFIER | ALBERT_HEAD_CHOICE)
#define MODEL(field)	offsetof(AlbertModel, field), SCOPE_BASE
#define LAYER(field)	offsetof(AlbertLayer, field), SCOPE_LAYER
#define HEAD(field)		offsetof(AlbertModel, field), SCOPE_HEAD
#define MODULE(field)	offsetof(AlbertDense, field), SCOPE_MODULE

/*
 * Layers, word embeddings and the projection take the precision asked for (see
 * matrix_precision).  The heads stay in fp32: they run on few rows, and what
 * they answer with is not averaged over anything afterwards.
 */
static const TensorRule rules[] =
{
	{MODEL(word_embeddings), RULE_TABLE, true, 0, VOCAB, EMBEDDING,
	{{"embeddings.word_embeddings"}, {"embeddings.word_embeddings"}}},
	{MODEL(position_embeddings), RULE_ROWS, false, 0, POSITIONS, EMBEDDING,
	{{"embeddings.position_embeddings"}, {"embeddings.position_embeddings"}}},
	{MODEL(token_type_embeddings), RULE_ROWS, false, 0, TYPES, EMBEDDING,
	{{"embeddings.token_type_embeddings"}, {"embeddings.token_type_embeddings"}}},
	{MODEL(embedding_norm), RULE_NORM, false, 0, EMBEDDING, 0,
	{{"embeddings.LayerNorm"}, {"embeddings.LayerNorm"}}},
	{MODEL(embedding_projection), RULE_LINEAR, true, 0, HIDDEN, EMBEDDING,
	{{"encoder.embedding_hidden_mapping_in"}, {NULL}}},

	{LAYER(query), RULE_LINEAR, true, 0, HIDDEN, HIDDEN,
	{{"attention.query"}, {"attention.self.query"}}},
	{LAYER(key_value), RULE_LINEAR, true, 0, HIDDEN, HIDDEN,
	{{"attention.key", "attention.value"}, {"attention.self.key", "attention.self.value"}}},
	{LAYER(dense), RULE_LINEAR, true, 0, HIDDEN, HIDDEN,
	{{"attention.dense"}, {"attention.output.dense"}}},
	{LAYER(attention_norm), RULE_NORM, false, 0, HIDDEN, 0,
	{{"attention.LayerNorm"}, {"attention.output.LayerNorm"}}},
	{LAYER(ffn), RULE_LINEAR, true, 0, INTERMEDIATE, HIDDEN,
	{{"ffn"}, {"intermediate.dense"}}},
	{LAYER(ffn_output), RULE_LINEAR, true, 0, HIDDEN, INTERMEDIATE,
	{{"ffn_output"}, {"output.dense"}}},
	{LAYER(output_norm), RULE_NORM, false, 0, HIDDEN, 0,
	{{"full_layer_layer_norm"}, {"output.LayerNorm"}}},

	{MODEL(pooler), RULE_LINEAR, false, ALBERT_HEAD_POOLER, HIDDEN, HIDDEN,
	{{"pooler"}, {"pooler.dense"}}},
	{HEAD(mlm_dense), RULE_LINEAR, false, ALBERT_HEAD_MLM, EMBEDDING, HIDDEN,
	{{"predictions.dense"}, {"cls.predictions.transform.dense"}}},
	{HEAD(mlm_norm), RULE_NORM, false, ALBERT_HEAD_MLM, EMBEDDING, 0,
	{{"predictions.LayerNorm"}, {"cls.predictions.transform.LayerNorm"}}},
	{HEAD(mlm_decoder), RULE_TABLE, true, ALBERT_HEAD_MLM, VOCAB, EMBEDDING,
	{{"predictions.decoder"}, {"cls.predictions.decoder"}}},
	{HEAD(mlm_bias), RULE_BIAS, false, ALBERT_HEAD_MLM, VOCAB, 0,
	{{"predictions"}, {"cls.predictions"}}},
	{HEAD(sentence_order), RULE_LINEAR, false, ALBERT_HEAD_SENTENCE_ORDER, TWO, HIDDEN,
	{{"sop_classifier.classifier"}, {"cls.seq_relationship"}}},
	{HEAD(classifier), RULE_LINEAR, false, CLASSIFIERS, LABELS, HIDDEN,
	{{"classifier"}, {"classifier"}}},
	{HEAD(qa_outputs), RULE_LINEAR, false, ALBERT_HEAD_QUESTION_ANSWERING, TWO, HIDDEN,
	{{"qa_outputs"}, {"qa_outputs"}}},

	{MODULE(linear), RULE_LINEAR, false, 0, MODULE_OUT, MODULE_IN,
	{{"linear"}, {"linear"}}}
};

#define NRULES	((int) LENGTH(rules))

static const struct
{
	const char *prefix;			/* of the base model's tensors in a model with heads */
	const char *layer;			/* of a layer's: its group's number and its own in the group */
}			architectures[ALBERT_NARCHITECTURES] =
{
	[ALBERT_ARCHITECTURE_ALBERT] = {"albert.", "encoder.albert_layer_groups.%d.albert_layers.%d."},
	[ALBERT_ARCHITECTURE_BERT] = {"bert.", "encoder.layer.%d."}
};

/* Ends of names that older checkpoints have; such a tensor goes first when both are there. */
static const struct
{
	const char *end;
	const char *other;
}			other_names[] =
{
	{"LayerNorm.weight", "LayerNorm.gamma"},
	{"LayerNorm.bias", "LayerNorm.beta"},
	{"predictions.bias", "predictions.decoder.bias"}
};

/* ---- the list of matrices ---- */

static int32_t
get_size(const AlbertSourceInfo *info, int index, size_t place)
{
	if (place == TWO)
		return 2;
	if (place >= offsetof(AlbertSourceInfo, dense))
		place += index * sizeof(AlbertDenseShape);
	return *(const int32_t *) ((const char *) info + place);
}

static const char *const *
rule_names(const AlbertSourceInfo *info, const TensorRule *rule)
{
	return rule->names[info->config.architecture];
}

/* Append one of the rule's two matrices. */
static void
add_matrix(Layout *layout, const AlbertSourceInfo *info, const TensorRule *rule, int index, int which)
{
	Matrix	   *matrix = &layout->matrices[layout->n++];
	int32_t		rows = get_size(info, index, rule->rows);

	memset(matrix, 0, sizeof(*matrix));
	matrix->rule = rule;
	matrix->scope = rule->scope;
	matrix->index = index;
	matrix->end = kinds[rule->kind][which].end;
	matrix->form = kinds[rule->kind][which].form;
	matrix->vector = kinds[rule->kind][which].vector;
	matrix->field = rule->field + kinds[rule->kind][which].field;
	matrix->ntensors = rule_names(info, rule)[1] == NULL ? 1 : 2;
	matrix->rows = matrix->vector ? 1 : rows * matrix->ntensors;
	matrix->cols = matrix->vector ? rows * matrix->ntensors : get_size(info, index, rule->cols);
}

static void
add_rule(Layout *layout, const AlbertSourceInfo *info, const TensorRule *rule, int index)
{
	bool		has_bias = rule->scope != SCOPE_MODULE || info->dense[index].bias;

	add_matrix(layout, info, rule, index, 0);
	if (kinds[rule->kind][1].end != NULL && has_bias)
		add_matrix(layout, info, rule, index, 1);
}

static bool
applies(const AlbertSourceInfo *info, const TensorRule *rule)
{
	if (rule_names(info, rule)[0] == NULL)
		return false;
	if (rule->field == offsetof(AlbertModel, mlm_decoder) && rule->scope == SCOPE_HEAD && !info->untied)
		return false;
	return rule->heads == 0 || (info->heads & rule->heads) != 0;
}

static void
add_scope(Layout *layout, const AlbertSourceInfo *info, TensorScope scope, int index)
{
	for (int i = 0; i < NRULES; i++)
		if (rules[i].scope == scope && applies(info, &rules[i]))
			add_rule(layout, info, &rules[i], index);
}

bool
AlbertLayoutList(const AlbertSourceInfo *info, AlbertArena *arena, Layout *layout, AlbertStatus *status)
{
	int			nlayers = info->config.num_hidden_groups * info->config.inner_group_num;

	layout->n = 0;
	layout->size = 0;
	layout->matrices = AlbertArenaArray(arena, (size_t) 2 * NRULES * (nlayers + 1 + ALBERT_MAX_DENSE),
										sizeof(Matrix));
	if (layout->matrices == NULL)
		return AlbertNoMemory(status);
	add_scope(layout, info, SCOPE_BASE, 0);
	for (int i = 0; i < nlayers; i++)
		add_scope(layout, info, SCOPE_LAYER, i);
	add_scope(layout, info, SCOPE_HEAD, 0);
	for (int i = 0; i < info->ndense; i++)
		add_scope(layout, info, SCOPE_MODULE, i);
	return true;
}

/*
 * Eight bits are for the layers, which are most of the work.  The word
 * embeddings (the decoder's, too) and the projection keep sixteen: what is
 * lost there is lost for everything after, and shows in the best token.
 */
static AlbertPrecision
matrix_precision(const Matrix *matrix, const AlbertKernels *kernels, AlbertPrecision precision)
{
	if (!matrix->rule->narrow || matrix->vector)
		return ALBERT_FP32;
	if (precision == ALBERT_INT8 && matrix->scope != SCOPE_LAYER)
		return AlbertKernelsHave(kernels, ALBERT_BF16) ? ALBERT_BF16 : ALBERT_FP32;
	return precision;
}

bool
AlbertLayoutPlace(const AlbertSourceInfo *info, const AlbertKernels *kernels,
				  AlbertPrecision precision, AlbertArena *arena, Layout *layout,
				  AlbertStatus *status)
{
	if (!AlbertLayoutList(info, arena, layout, status))
		return false;
	layout->size = align_up(sizeof(WeightsImage));
	for (int i = 0; i < layout->n; i++)
	{
		Matrix	   *matrix = &layout->matrices[i];

		matrix->precision = matrix_precision(matrix, kernels, precision);
		if (matrix->form == FORM_LINEAR)
			matrix->size = kernels->packed_size(matrix->precision, matrix->rows, matrix->cols);
		else if (matrix->form == FORM_TABLE)
			matrix->size = kernels->table_size(matrix->precision, matrix->rows, matrix->cols);
		else
			matrix->size = (size_t) matrix->rows * matrix->cols * sizeof(float);
		matrix->offset = layout->size;
		layout->size += align_up(matrix->size);
	}
	return true;
}

/* ---- tensors by name ---- */

void
AlbertLayoutName(const AlbertSource *source, const Matrix *matrix, int which, const char *prefix,
				 char *text, size_t size)
{
	const AlbertConfig *config = &source->info.config;
	int			inner = config->inner_group_num;
	int			used = 0;

	if (matrix->scope == SCOPE_BASE || matrix->scope == SCOPE_LAYER)
		used = snprintf(text, size, "%s", prefix);
	if (matrix->scope == SCOPE_LAYER)
		used += snprintf(text + used, size - used, architectures[config->architecture].layer,
						 matrix->index / inner, matrix->index % inner);
	if (matrix->scope == SCOPE_MODULE)
		used = snprintf(text, size, "dense.%d.", matrix->index);
	snprintf(text + used, size - used, "%s%s", rule_names(&source->info, matrix->rule)[which], matrix->end);
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
check_type(const AlbertSource *source, const Tensor *tensor, AlbertStatus *status)
{
	if (tensor->type != ELEMENT_OTHER)
		return true;
	AlbertFail(status, ALBERT_UNSUPPORTED, "tensor \"%s\" in file \"%s\" is of unsupported type %s",
			   tensor->name, source->files[tensor->file].name, tensor->type_name);
	AlbertDetail(status, "Weights must be stored as F32, F16, BF16 or F64.");
	return AlbertHint(status, "Quantized exports cannot be used; take the original checkpoint.");
}

static bool
check_shape(const AlbertSource *source, const Matrix *matrix, const Tensor *tensor, AlbertStatus *status)
{
	int32_t		rows = matrix->vector ? 1 : matrix->rows / matrix->ntensors;
	int32_t		cols = matrix->vector ? matrix->cols / matrix->ntensors : matrix->cols;
	char		shape[128];

	if (matrix->vector && tensor->ndim == 1 && tensor->shape[0] == cols)
		return true;
	if (!matrix->vector && tensor->ndim == 2 && tensor->shape[0] == rows && tensor->shape[1] == cols)
		return true;
	AlbertFail(status, ALBERT_FORMAT, "tensor \"%s\" in file \"%s\" has the wrong shape",
			   tensor->name, source->files[tensor->file].name);
	AlbertTensorShape(tensor, shape, sizeof(shape));
	if (matrix->vector)
		return AlbertDetail(status, "Its shape is %s; the configuration gives (%d).", shape, cols);
	return AlbertDetail(status, "Its shape is %s; the configuration gives (%d, %d).", shape, rows, cols);
}

const Tensor *
AlbertLayoutTensor(const AlbertSource *source, const Matrix *matrix, int which, AlbertStatus *status)
{
	char		name[MATRIX_NAME_SIZE];
	const Tensor *tensor;

	AlbertLayoutName(source, matrix, which, source->prefix, name, sizeof(name));
	tensor = find_tensor(source, name);
	if (tensor == NULL)
	{
		AlbertFail(status, ALBERT_FORMAT, "tensor \"%s\" is missing", name);
		return NULL;
	}
	if (!check_type(source, tensor, status) || !check_shape(source, matrix, tensor, status))
		return NULL;
	return tensor;
}

/* ---- heads ---- */

static bool
has_base(const AlbertSource *source, const char *prefix, const char *name)
{
	char		full[MATRIX_NAME_SIZE];

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	return AlbertTensorFind(source, full) != NULL;
}

/* Is any tensor of a head there?  The decoder's alone tells nothing: it may be stored though it is tied. */
static bool
has_head(const AlbertSource *source, uint32_t head)
{
	for (int i = 0; i < NRULES; i++)
	{
		const char *name = rule_names(&source->info, &rules[i])[0];
		const char *prefix = rules[i].scope == SCOPE_BASE ? source->prefix : "";
		char		full[MATRIX_NAME_SIZE];

		if (rules[i].heads != head || rules[i].kind == RULE_TABLE)
			continue;
		snprintf(full, sizeof(full), "%s%s%s", prefix, name, kinds[rules[i].kind][0].end);
		if (find_tensor(source, full) != NULL)
			return true;
	}
	return false;
}

/*
 * Classifiers for sequences, tokens and choices have the same tensors, so the
 * architecture decides; when it does not say, a head with a pooler below it
 * is one for sequences.
 */
static uint32_t
classifier_head(const AlbertSource *source)
{
	switch (source->classifier)
	{
		case CLASSIFIER_SEQUENCE:
			return ALBERT_HEAD_CLASSIFIER | ALBERT_HEAD_POOLER;
		case CLASSIFIER_TOKEN:
			return ALBERT_HEAD_TOKEN_CLASSIFIER;
		case CLASSIFIER_CHOICE:
			return ALBERT_HEAD_CHOICE | ALBERT_HEAD_POOLER;
		case CLASSIFIER_UNKNOWN:
			break;
	}
	return source->info.heads & ALBERT_HEAD_POOLER ? ALBERT_HEAD_CLASSIFIER : ALBERT_HEAD_TOKEN_CLASSIFIER;
}

/* The stored matrix says how many labels there are; the configuration must agree. */
static bool
count_labels(AlbertSource *source, AlbertStatus *status)
{
	const Tensor *tensor = AlbertTensorFind(source, "classifier.weight");
	int64_t		stored = tensor->ndim == 2 ? tensor->shape[0] : 0;
	int			named = source->nlabels;

	if (source->info.heads & ALBERT_HEAD_CHOICE)
		named = 1;
	source->info.config.num_labels = named;
	if (stored > 0 && stored <= MAX_LABELS &&
		(stored == named ||
		 (stored == source->label_end && !(source->info.heads & ALBERT_HEAD_CHOICE))))
	{
		source->info.config.num_labels = (int32_t) stored;
		return true;
	}
	AlbertFail(status, ALBERT_FORMAT, "number of labels does not fit tensor \"classifier.weight\"");
	return AlbertDetail(status, "The configuration has %d labels; the tensor has %lld rows.",
						named, (long long) stored);
}

const char *
AlbertLayoutPrefix(const AlbertSourceInfo *info)
{
	return architectures[info->config.architecture].prefix;
}

bool
AlbertLayoutIsBase(const Matrix *matrix)
{
	return matrix->scope == SCOPE_LAYER ||
		(matrix->scope == SCOPE_BASE && (matrix->rule->heads & ~ALBERT_HEAD_POOLER) == 0);
}

bool
AlbertLayoutHeads(AlbertSource *source, AlbertStatus *status)
{
	static const struct
	{
		uint32_t	head;
		uint32_t	needs;
	}			heads[] =
	{
		{ALBERT_HEAD_POOLER, 0},
		{ALBERT_HEAD_MLM, 0},
		{ALBERT_HEAD_SENTENCE_ORDER, ALBERT_HEAD_POOLER},
		{ALBERT_HEAD_QUESTION_ANSWERING, 0}
	};
	AlbertSourceInfo *info = &source->info;

	source->prefix = AlbertLayoutPrefix(info);
	if (!has_base(source, source->prefix, "embeddings.word_embeddings.weight") &&
		has_base(source, "", "embeddings.word_embeddings.weight"))
		source->prefix = "";
	for (size_t i = 0; i < LENGTH(heads); i++)
		if (has_head(source, heads[i].head))
			info->heads |= heads[i].head | heads[i].needs;
	if (has_head(source, CLASSIFIERS))
	{
		info->heads |= classifier_head(source);
		if (!count_labels(source, status))
			return false;
	}
	/* a tied decoder that is stored all the same is ignored, as transformers does */
	info->untied = (info->heads & ALBERT_HEAD_MLM) && !source->tie_word_embeddings;
	return true;
}

/* ---- binding ---- */

void
AlbertLayoutBind(AlbertModel *model, AlbertLayer *layers, const Matrix *matrix, const void *data)
{
	char	   *base = (char *) model;
	AlbertLinear *linear;
	AlbertTable *table;

	if (matrix->scope == SCOPE_LAYER)
		base = (char *) &layers[matrix->index];
	else if (matrix->scope == SCOPE_MODULE)
		base = (char *) &model->dense[matrix->index];
	switch (matrix->form)
	{
		case FORM_PLAIN:
			*(const float **) (base + matrix->field) = data;
			break;
		case FORM_LINEAR:
			linear = (AlbertLinear *) (base + matrix->field);
			linear->in = matrix->cols;
			linear->out = matrix->rows;
			linear->precision = matrix->precision;
			linear->weight = data;
			break;
		case FORM_TABLE:
			table = (AlbertTable *) (base + matrix->field);
			table->rows = matrix->rows;
			table->cols = matrix->cols;
			table->precision = matrix->precision;
			table->data = data;
			break;
	}
}
