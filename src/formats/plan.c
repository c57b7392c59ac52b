/*
 * plan.c
 *	  Which tensors a model needs, what they are called and where they lie in
 *	  an image.
 *
 * One table lists every tensor with its name in transformers' checkpoints and
 * its shape in terms of the configuration.  Sizing, building and binding an
 * image all walk the same list, so they cannot disagree.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <string.h>

typedef enum Scope
{
	SCOPE_BASE,					/* with the prefix of the base model */
	SCOPE_LAYER,				/* likewise, in every layer of every group */
	SCOPE_HEAD,					/* never with a prefix */
	SCOPE_MODULE				/* a Dense module of sentence-transformers */
} Scope;

typedef enum Dim
{
	DIM_NONE,					/* rows of a vector */
	DIM_VOCAB,
	DIM_EMBEDDING,
	DIM_HIDDEN,
	DIM_INTERMEDIATE,
	DIM_POSITIONS,
	DIM_TYPES,
	DIM_LABELS,
	DIM_TWO,
	DIM_MODULE_IN,
	DIM_MODULE_OUT
} Dim;

typedef struct Rule
{
	Scope		scope;
	SlotForm	form;
	bool		narrow;			/* takes the model's precision; else fp32 */
	uint32_t	heads;			/* needed by any of these; 0: always */
	Dim			rows;			/* of one tensor */
	Dim			cols;
	const char *names[2];		/* two tensors, one above the other */
	const char *other_name;		/* also called so; this one goes first when both are there */
} Rule;

#define CLASSIFIERS	(ALBERT_HEAD_CLASSIFIER | ALBERT_HEAD_TOKEN_CLASSIFIER | ALBERT_HEAD_CHOICE)

/*
 * Layers, word embeddings and the projection take the precision asked for (see
 * slot_precision).
 * The heads stay in fp32: they run on few rows, and what they answer with is
 * not averaged over anything afterwards.
 */
static const Rule rules[SLOT_NKINDS] =
{
	[SLOT_WORD_EMBEDDINGS] = {SCOPE_BASE, FORM_TABLE, true, 0, DIM_VOCAB, DIM_EMBEDDING, {"embeddings.word_embeddings.weight"}},
	[SLOT_POSITION_EMBEDDINGS] = {SCOPE_BASE, FORM_PLAIN, false, 0, DIM_POSITIONS, DIM_EMBEDDING, {"embeddings.position_embeddings.weight"}},
	[SLOT_TOKEN_TYPE_EMBEDDINGS] = {SCOPE_BASE, FORM_PLAIN, false, 0, DIM_TYPES, DIM_EMBEDDING, {"embeddings.token_type_embeddings.weight"}},
	[SLOT_EMBEDDING_NORM_WEIGHT] = {SCOPE_BASE, FORM_PLAIN, false, 0, DIM_NONE, DIM_EMBEDDING, {"embeddings.LayerNorm.weight"}, "embeddings.LayerNorm.gamma"},
	[SLOT_EMBEDDING_NORM_BIAS] = {SCOPE_BASE, FORM_PLAIN, false, 0, DIM_NONE, DIM_EMBEDDING, {"embeddings.LayerNorm.bias"}, "embeddings.LayerNorm.beta"},
	[SLOT_PROJECTION_WEIGHT] = {SCOPE_BASE, FORM_LINEAR, true, 0, DIM_HIDDEN, DIM_EMBEDDING, {"encoder.embedding_hidden_mapping_in.weight"}},
	[SLOT_PROJECTION_BIAS] = {SCOPE_BASE, FORM_PLAIN, false, 0, DIM_NONE, DIM_HIDDEN, {"encoder.embedding_hidden_mapping_in.bias"}},

	[SLOT_QUERY_WEIGHT] = {SCOPE_LAYER, FORM_LINEAR, true, 0, DIM_HIDDEN, DIM_HIDDEN, {"attention.query.weight"}},
	[SLOT_QUERY_BIAS] = {SCOPE_LAYER, FORM_PLAIN, false, 0, DIM_NONE, DIM_HIDDEN, {"attention.query.bias"}},
	[SLOT_KEY_VALUE_WEIGHT] = {SCOPE_LAYER, FORM_LINEAR, true, 0, DIM_HIDDEN, DIM_HIDDEN, {"attention.key.weight", "attention.value.weight"}},
	[SLOT_KEY_VALUE_BIAS] = {SCOPE_LAYER, FORM_PLAIN, false, 0, DIM_NONE, DIM_HIDDEN, {"attention.key.bias", "attention.value.bias"}},
	[SLOT_DENSE_WEIGHT] = {SCOPE_LAYER, FORM_LINEAR, true, 0, DIM_HIDDEN, DIM_HIDDEN, {"attention.dense.weight"}},
	[SLOT_DENSE_BIAS] = {SCOPE_LAYER, FORM_PLAIN, false, 0, DIM_NONE, DIM_HIDDEN, {"attention.dense.bias"}},
	[SLOT_ATTENTION_NORM_WEIGHT] = {SCOPE_LAYER, FORM_PLAIN, false, 0, DIM_NONE, DIM_HIDDEN, {"attention.LayerNorm.weight"}, "attention.LayerNorm.gamma"},
	[SLOT_ATTENTION_NORM_BIAS] = {SCOPE_LAYER, FORM_PLAIN, false, 0, DIM_NONE, DIM_HIDDEN, {"attention.LayerNorm.bias"}, "attention.LayerNorm.beta"},
	[SLOT_FFN_WEIGHT] = {SCOPE_LAYER, FORM_LINEAR, true, 0, DIM_INTERMEDIATE, DIM_HIDDEN, {"ffn.weight"}},
	[SLOT_FFN_BIAS] = {SCOPE_LAYER, FORM_PLAIN, false, 0, DIM_NONE, DIM_INTERMEDIATE, {"ffn.bias"}},
	[SLOT_FFN_OUTPUT_WEIGHT] = {SCOPE_LAYER, FORM_LINEAR, true, 0, DIM_HIDDEN, DIM_INTERMEDIATE, {"ffn_output.weight"}},
	[SLOT_FFN_OUTPUT_BIAS] = {SCOPE_LAYER, FORM_PLAIN, false, 0, DIM_NONE, DIM_HIDDEN, {"ffn_output.bias"}},
	[SLOT_OUTPUT_NORM_WEIGHT] = {SCOPE_LAYER, FORM_PLAIN, false, 0, DIM_NONE, DIM_HIDDEN, {"full_layer_layer_norm.weight"}},
	[SLOT_OUTPUT_NORM_BIAS] = {SCOPE_LAYER, FORM_PLAIN, false, 0, DIM_NONE, DIM_HIDDEN, {"full_layer_layer_norm.bias"}},

	[SLOT_POOLER_WEIGHT] = {SCOPE_BASE, FORM_LINEAR, false, ALBERT_HEAD_POOLER, DIM_HIDDEN, DIM_HIDDEN, {"pooler.weight"}},
	[SLOT_POOLER_BIAS] = {SCOPE_BASE, FORM_PLAIN, false, ALBERT_HEAD_POOLER, DIM_NONE, DIM_HIDDEN, {"pooler.bias"}},
	[SLOT_MLM_DENSE_WEIGHT] = {SCOPE_HEAD, FORM_LINEAR, false, ALBERT_HEAD_MLM, DIM_EMBEDDING, DIM_HIDDEN, {"predictions.dense.weight"}},
	[SLOT_MLM_DENSE_BIAS] = {SCOPE_HEAD, FORM_PLAIN, false, ALBERT_HEAD_MLM, DIM_NONE, DIM_EMBEDDING, {"predictions.dense.bias"}},
	[SLOT_MLM_NORM_WEIGHT] = {SCOPE_HEAD, FORM_PLAIN, false, ALBERT_HEAD_MLM, DIM_NONE, DIM_EMBEDDING, {"predictions.LayerNorm.weight"}, "predictions.LayerNorm.gamma"},
	[SLOT_MLM_NORM_BIAS] = {SCOPE_HEAD, FORM_PLAIN, false, ALBERT_HEAD_MLM, DIM_NONE, DIM_EMBEDDING, {"predictions.LayerNorm.bias"}, "predictions.LayerNorm.beta"},
	[SLOT_MLM_DECODER] = {SCOPE_HEAD, FORM_TABLE, true, ALBERT_HEAD_MLM, DIM_VOCAB, DIM_EMBEDDING, {"predictions.decoder.weight"}},
	[SLOT_MLM_BIAS] = {SCOPE_HEAD, FORM_PLAIN, false, ALBERT_HEAD_MLM, DIM_NONE, DIM_VOCAB, {"predictions.bias"}, "predictions.decoder.bias"},
	[SLOT_SENTENCE_ORDER_WEIGHT] = {SCOPE_HEAD, FORM_LINEAR, false, ALBERT_HEAD_SENTENCE_ORDER, DIM_TWO, DIM_HIDDEN, {"sop_classifier.classifier.weight"}},
	[SLOT_SENTENCE_ORDER_BIAS] = {SCOPE_HEAD, FORM_PLAIN, false, ALBERT_HEAD_SENTENCE_ORDER, DIM_NONE, DIM_TWO, {"sop_classifier.classifier.bias"}},
	[SLOT_CLASSIFIER_WEIGHT] = {SCOPE_HEAD, FORM_LINEAR, false, CLASSIFIERS, DIM_LABELS, DIM_HIDDEN, {"classifier.weight"}},
	[SLOT_CLASSIFIER_BIAS] = {SCOPE_HEAD, FORM_PLAIN, false, CLASSIFIERS, DIM_NONE, DIM_LABELS, {"classifier.bias"}},
	[SLOT_QA_WEIGHT] = {SCOPE_HEAD, FORM_LINEAR, false, ALBERT_HEAD_QUESTION_ANSWERING, DIM_TWO, DIM_HIDDEN, {"qa_outputs.weight"}},
	[SLOT_QA_BIAS] = {SCOPE_HEAD, FORM_PLAIN, false, ALBERT_HEAD_QUESTION_ANSWERING, DIM_NONE, DIM_TWO, {"qa_outputs.bias"}},
	[SLOT_MODULE_WEIGHT] = {SCOPE_MODULE, FORM_LINEAR, false, 0, DIM_MODULE_OUT, DIM_MODULE_IN, {"linear.weight"}},
	[SLOT_MODULE_BIAS] = {SCOPE_MODULE, FORM_PLAIN, false, 0, DIM_NONE, DIM_MODULE_OUT, {"linear.bias"}}
};

/* ---- the list of slots ---- */

static int32_t
dim_size(const ModelShape *shape, int index, Dim dim)
{
	switch (dim)
	{
		case DIM_NONE:
			return 1;
		case DIM_VOCAB:
			return shape->config.vocab_size;
		case DIM_EMBEDDING:
			return shape->config.embedding_size;
		case DIM_HIDDEN:
			return shape->config.hidden_size;
		case DIM_INTERMEDIATE:
			return shape->config.intermediate_size;
		case DIM_POSITIONS:
			return shape->config.max_position_embeddings;
		case DIM_TYPES:
			return shape->config.type_vocab_size;
		case DIM_LABELS:
			return shape->config.num_labels;
		case DIM_TWO:
			return 2;
		case DIM_MODULE_IN:
			return shape->dense[index].in;
		case DIM_MODULE_OUT:
			return shape->dense[index].out;
	}
	return 0;
}

static void
add_slot(const ModelShape *shape, SlotKind kind, int index, Plan *plan)
{
	const Rule *rule = &rules[kind];
	Slot	   *slot = &plan->slots[plan->nslots++];

	memset(slot, 0, sizeof(*slot));
	slot->kind = kind;
	slot->form = rule->form;
	slot->index = index;
	slot->vector = rule->rows == DIM_NONE;
	slot->ntensors = rule->names[1] == NULL ? 1 : 2;
	slot->rows = dim_size(shape, index, rule->rows);
	slot->cols = dim_size(shape, index, rule->cols);
	if (slot->vector)
		slot->cols *= slot->ntensors;
	else
		slot->rows *= slot->ntensors;
}

static bool
has_slot(const ModelShape *shape, SlotKind kind)
{
	if (kind == SLOT_MLM_DECODER && !shape->untied)
		return false;
	return rules[kind].heads == 0 || (shape->heads & rules[kind].heads) != 0;
}

static void
add_scope(const ModelShape *shape, Scope scope, int index, Plan *plan)
{
	for (int kind = 0; kind < SLOT_NKINDS; kind++)
	{
		if (rules[kind].scope != scope || !has_slot(shape, kind))
			continue;
		if (kind == SLOT_MODULE_BIAS && !shape->dense[index].bias)
			continue;
		add_slot(shape, kind, index, plan);
	}
}

bool
AlbertPlanSlots(const ModelShape *shape, AlbertArena *arena, Plan *plan, AlbertStatus *status)
{
	int			nlayers = shape->config.num_hidden_groups * shape->config.inner_group_num;

	plan->nslots = 0;
	plan->size = 0;
	plan->slots = AlbertArenaArray(arena, (size_t) SLOT_NKINDS * (nlayers + 1 + ALBERT_MAX_DENSE),
								   sizeof(Slot));
	if (plan->slots == NULL)
		return AlbertFail(status, ALBERT_NO_MEMORY, "out of memory");
	add_scope(shape, SCOPE_BASE, 0, plan);
	for (int i = 0; i < nlayers; i++)
		add_scope(shape, SCOPE_LAYER, i, plan);
	add_scope(shape, SCOPE_HEAD, 0, plan);
	for (int i = 0; i < shape->ndense; i++)
		add_scope(shape, SCOPE_MODULE, i, plan);
	return true;
}

/*
 * Eight bits are for the layers, which are most of the work.  The word
 * embeddings (the decoder's, too) and the projection keep sixteen: what is
 * lost there is lost for everything after, and shows in the best token.
 */
static AlbertPrecision
slot_precision(const Rule *rule, const AlbertKernels *kernels, AlbertPrecision precision)
{
	if (!rule->narrow)
		return ALBERT_FP32;
	if (precision == ALBERT_INT8 && rule->scope != SCOPE_LAYER)
		return kernels->has_precision(ALBERT_BF16) ? ALBERT_BF16 : ALBERT_FP32;
	return precision;
}

bool
AlbertPlanLayout(const ModelShape *shape, const AlbertKernels *kernels,
				 AlbertPrecision precision, AlbertArena *arena, Plan *plan,
				 AlbertStatus *status)
{
	if (!AlbertPlanSlots(shape, arena, plan, status))
		return false;
	plan->size = align_up(sizeof(WeightsImage)) + align_up(plan->nslots * sizeof(ImageSpan));
	for (int i = 0; i < plan->nslots; i++)
	{
		Slot	   *slot = &plan->slots[i];

		slot->precision = slot_precision(&rules[slot->kind], kernels, precision);
		if (slot->form == FORM_LINEAR)
			slot->size = kernels->packed_size(slot->precision, slot->rows, slot->cols);
		else if (slot->form == FORM_TABLE)
			slot->size = kernels->table_size(slot->precision, slot->rows, slot->cols);
		else
			slot->size = (size_t) slot->rows * slot->cols * sizeof(float);
		slot->offset = plan->size;
		plan->size += align_up(slot->size);
	}
	return true;
}

/* ---- tensors by name ---- */

static void
full_name(const AlbertSource *source, const Slot *slot, const char *name, char *text, size_t size)
{
	int			inner = source->shape.config.inner_group_num;

	switch (rules[slot->kind].scope)
	{
		case SCOPE_BASE:
			snprintf(text, size, "%s%s", source->prefix, name);
			break;
		case SCOPE_LAYER:
			snprintf(text, size, "%sencoder.albert_layer_groups.%d.albert_layers.%d.%s",
					 source->prefix, slot->index / inner, slot->index % inner, name);
			break;
		case SCOPE_HEAD:
			snprintf(text, size, "%s", name);
			break;
		case SCOPE_MODULE:
			snprintf(text, size, "dense.%d.%s", slot->index, name);
			break;
	}
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
check_shape(const AlbertSource *source, const Slot *slot, const Tensor *tensor, AlbertStatus *status)
{
	int32_t		rows = slot->vector ? 1 : slot->rows / slot->ntensors;
	int32_t		cols = slot->vector ? slot->cols / slot->ntensors : slot->cols;
	char		shape[128];

	if (slot->vector && tensor->ndim == 1 && tensor->shape[0] == cols)
		return true;
	if (!slot->vector && tensor->ndim == 2 && tensor->shape[0] == rows && tensor->shape[1] == cols)
		return true;
	AlbertFail(status, ALBERT_FORMAT, "tensor \"%s\" in file \"%s\" has the wrong shape",
			   tensor->name, source->files[tensor->file].name);
	AlbertTensorShape(tensor, shape, sizeof(shape));
	if (slot->vector)
		return AlbertDetail(status, "Its shape is %s; the configuration gives (%d).", shape, cols);
	return AlbertDetail(status, "Its shape is %s; the configuration gives (%d, %d).", shape, rows, cols);
}

const Tensor *
AlbertPlanTensor(const AlbertSource *source, const Slot *slot, int part, AlbertStatus *status)
{
	const Rule *rule = &rules[slot->kind];
	char		name[256];
	char		other[256];
	const Tensor *tensor = NULL;

	full_name(source, slot, rule->names[part], name, sizeof(name));
	if (rule->other_name != NULL)
	{
		full_name(source, slot, rule->other_name, other, sizeof(other));
		tensor = AlbertTensorFind(source, other);
	}
	if (tensor == NULL)
		tensor = AlbertTensorFind(source, name);
	if (tensor == NULL)
	{
		AlbertFail(status, ALBERT_FORMAT, "tensor \"%s\" is missing", name);
		return NULL;
	}
	if (!check_type(source, tensor, status) || !check_shape(source, slot, tensor, status))
		return NULL;
	return tensor;
}

/* ---- heads ---- */

static bool
has_base(const AlbertSource *source, const char *name)
{
	char		full[256];

	snprintf(full, sizeof(full), "%s%s", source->prefix, name);
	return AlbertTensorFind(source, full) != NULL;
}

/*
 * Classifiers for sequences, tokens and choices have the same tensors, so the
 * architecture decides; when it does not say, a head with a pooler below it
 * is one for sequences.
 */
static uint32_t
classifier_head(const AlbertSource *source)
{
	switch (source->config.classifier)
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
	return has_base(source, "pooler.weight") ? ALBERT_HEAD_CLASSIFIER : ALBERT_HEAD_TOKEN_CLASSIFIER;
}

/* The stored matrix says how many labels there are; the configuration must agree. */
static bool
count_labels(AlbertSource *source, AlbertStatus *status)
{
	const Tensor *tensor = AlbertTensorFind(source, "classifier.weight");
	int64_t		stored = tensor->ndim == 2 ? tensor->shape[0] : 0;
	int			named = source->config.nlabels;

	if (source->shape.heads & ALBERT_HEAD_CHOICE)
		named = 1;
	source->shape.config.num_labels = named;
	if (stored > 0 && stored <= MAX_LABELS &&
		(stored == named ||
		 (stored == source->config.label_room && !(source->shape.heads & ALBERT_HEAD_CHOICE))))
	{
		source->shape.config.num_labels = (int32_t) stored;
		return true;
	}
	AlbertFail(status, ALBERT_FORMAT, "number of labels does not fit tensor \"classifier.weight\"");
	return AlbertDetail(status, "The configuration has %d labels; the tensor has %lld rows.",
						named, (long long) stored);
}

bool
AlbertPlanHeads(AlbertSource *source, AlbertStatus *status)
{
	ModelShape *shape = &source->shape;

	source->prefix = "albert.";
	if (!has_base(source, "embeddings.word_embeddings.weight") &&
		AlbertTensorFind(source, "embeddings.word_embeddings.weight") != NULL)
		source->prefix = "";
	if (has_base(source, "pooler.weight"))
		shape->heads |= ALBERT_HEAD_POOLER;
	if (AlbertTensorFind(source, "predictions.dense.weight") != NULL ||
		AlbertTensorFind(source, "predictions.bias") != NULL)
		shape->heads |= ALBERT_HEAD_MLM;
	if (AlbertTensorFind(source, "sop_classifier.classifier.weight") != NULL)
		shape->heads |= ALBERT_HEAD_SENTENCE_ORDER | ALBERT_HEAD_POOLER;
	if (AlbertTensorFind(source, "qa_outputs.weight") != NULL)
		shape->heads |= ALBERT_HEAD_QUESTION_ANSWERING;
	if (AlbertTensorFind(source, "classifier.weight") != NULL)
	{
		shape->heads |= classifier_head(source);
		if (!count_labels(source, status))
			return false;
	}
	/* a tied decoder that is stored all the same is ignored, as transformers does */
	shape->untied = (shape->heads & ALBERT_HEAD_MLM) && !source->config.tie_word_embeddings;
	return true;
}
