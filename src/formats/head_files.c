/*
 * head_files.c
 *	  The files of a head that was trained on a base model's embeddings: alone,
 *	  or together with the base as transformers stores a model for sequence
 *	  classification.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <string.h>

/* ---------- reading them ---------- */

#define MAX_HEAD_LABELS	10000

const AlbertTrainedHead *
AlbertSourceHead(const AlbertSource *source)
{
	return source->head.nlabels > 0 ? &source->head : NULL;
}

static bool
read_config(AlbertSource *source, AlbertStatus *status)
{
	AlbertTrainedHead *head = &source->head;
	const char *base;
	const char *base_sha256;
	int			pairs = false;
	json_t	   *list;
	const char **labels;
	size_t		i;
	json_t	   *label;

	if (json_unpack((json_t *) source->config_json, "{s:s,s:s,s:o,s?b}", "base", &base, "base_sha256", &base_sha256,
					"labels", &list, "pairs", &pairs) != 0 ||
		source->config.problem_type == ALBERT_PROBLEM_UNSET ||
		json_array_size(list) < 1 || json_array_size(list) > MAX_HEAD_LABELS)
		return AlbertFail(status, ALBERT_FORMAT,
						  "file \"config.json\" of a trained head has no valid base, problem_type or labels");
	labels = AlbertArenaArray(source->arena, json_array_size(list), sizeof(char *));
	head->base = AlbertNameFormat(source->arena, "%s", base);
	head->base_sha256 = AlbertNameFormat(source->arena, "%s", base_sha256);
	if (labels == NULL || head->base == NULL || head->base_sha256 == NULL)
		return AlbertNoMemory(status);
	json_array_foreach(list, i, label)
	{
		if (!json_is_string(label))
			return AlbertFail(status, ALBERT_FORMAT, "a label in file \"config.json\" is not a string");
		labels[i] = AlbertNameFormat(source->arena, "%s", json_string_value(label));
		if (labels[i] == NULL)
			return AlbertNoMemory(status);
	}
	head->problem = source->config.problem_type;
	head->pairs = pairs;
	head->labels = labels;
	head->nlabels = json_array_size(list);
	return true;
}

bool
AlbertHeadFilesRead(AlbertSource *source, AlbertStatus *status)
{
	AlbertTrainedHead *head = &source->head;
	const Tensor *weight = AlbertTensorFind(source, "classifier.weight");
	const Tensor *bias = AlbertTensorFind(source, "classifier.bias");
	float	   *weights;
	float	   *biases;

	if (!read_config(source, status))
		return false;
	if (weight == NULL || bias == NULL || weight->type->kind != ELEMENT_F32 || bias->type->kind != ELEMENT_F32 ||
		weight->ndim != 2 || weight->shape[0] != head->nlabels || weight->shape[1] < 1 ||
		weight->shape[1] > MAX_HIDDEN_SIZE * ALBERT_PAIR_PARTS || bias->ndim != 1 || bias->shape[0] != head->nlabels)
		return AlbertFail(status, ALBERT_FORMAT,
						  "a trained head has not the tensors classifier.weight and classifier.bias for its labels");
	head->width = weight->shape[1];
	head->weights = weights = AlbertArenaArray(source->arena, (size_t) head->nlabels * head->width, sizeof(float));
	head->bias = biases = AlbertArenaArray(source->arena, head->nlabels, sizeof(float));
	if (weights == NULL || biases == NULL)
		return AlbertNoMemory(status);
	return AlbertTensorRows(weight, 0, head->nlabels, weights, NULL, status) &&
		AlbertTensorRows(bias, 0, head->nlabels, biases, NULL, status);
}

/* ---------- writing model.safetensors ---------- */

typedef struct HeadWriter
{
	const AlbertSource *base;
	AlbertArena *arena;
	Layout		layout;			/* of what is written of the base */
	AlbertWriteBytes write;
	void	   *context;
	AlbertStatus *status;
	json_t	   *header;
	int64_t		end;			/* of the tensors described so far */
} HeadWriter;

static bool
describe(HeadWriter *writer, const char *name, json_int_t rows, json_int_t cols, bool vector)
{
	json_int_t	end = writer->end + rows * cols * (json_int_t) sizeof(float);
	json_t	   *shape = vector ? json_pack("[I]", rows) : json_pack("[I,I]", rows, cols);
	json_t	   *entry = json_pack("{s:s,s:o,s:[I,I]}", "dtype", "F32", "shape", shape,
								  "data_offsets", (json_int_t) writer->end, end);

	writer->end = end;
	return json_object_set_new(writer->header, name, entry) == 0 || AlbertNoMemory(writer->status);
}

/* What the base has below its heads. */
static bool
describe_base(HeadWriter *writer)
{
	const AlbertSource *base = writer->base;
	AlbertConfig config;

	if (base == NULL)
		return true;
	config = base->config;
	config.heads &= ALBERT_HEAD_POOLER;
	config.ndense = 0;
	if (!AlbertLayoutList(&config, NULL, ALBERT_FP32, writer->arena, &writer->layout, writer->status))
		return false;
	for (int i = 0; i < writer->layout.n; i++)
	{
		const Matrix *matrix = &writer->layout.matrices[i];
		char		name[MATRIX_NAME_SIZE];

		AlbertLayoutName(base, matrix, true, name, sizeof(name));
		if (!describe(writer, name, matrix->rows, matrix->cols, matrix->form == FORM_VECTOR))
			return false;
	}
	return true;
}

/* The header's length, the header, and blanks up to a multiple of eight bytes. */
static bool
write_header(HeadWriter *writer)
{
	const char *text = AlbertJsonDump(writer->arena, writer->header, JSON_COMPACT);
	unsigned char length[8] = {0};
	size_t		used;
	size_t		size;

	if (text == NULL)
		return AlbertNoMemory(writer->status);
	used = strlen(text);
	size = (used + 7) / 8 * 8;
	for (int i = 0; i < 8; i++)
		length[i] = (unsigned char) ((uint64_t) size >> (8 * i));
	writer->write(writer->context, length, sizeof(length));
	writer->write(writer->context, text, used);
	writer->write(writer->context, "       ", size - used);
	return true;
}

static void
write_rows(void *context, const Matrix *matrix, int row0, int nrows, const float *values)
{
	HeadWriter *writer = context;

	writer->write(writer->context, values, (size_t) nrows * matrix->cols * sizeof(float));
}

bool
AlbertHeadWrite(const AlbertTrainedHead *head, const AlbertSource *base, AlbertArena *arena,
				AlbertWriteBytes write, void *context, AlbertStatus *status)
{
	HeadWriter	writer = {
		.base = base, .arena = arena, .write = write, .context = context, .status = status,
		.header = json_pack("{}")	/* the server has a json_object of its own */
	};
	bool		ok;

	ok = describe(&writer, "classifier.weight", head->nlabels, head->width, false) &&
		describe(&writer, "classifier.bias", head->nlabels, 1, true) &&
		describe_base(&writer) && write_header(&writer);
	json_decref(writer.header);
	if (!ok)
		return false;
	write(context, head->weights, (size_t) head->nlabels * head->width * sizeof(float));
	write(context, head->bias, head->nlabels * sizeof(float));
	return base == NULL || AlbertMatricesRead(base, &writer.layout, write_rows, &writer, NULL, status);
}

/* ---------- writing config.json ---------- */

/* Members id2label, label2id, problem_type, architectures: what a head changes. */
static bool
set_members(json_t *config, const AlbertTrainedHead *head, const AlbertSource *base)
{
	const char *architecture = base->config.architecture == ALBERT_ARCHITECTURE_BERT
		? "BertForSequenceClassification" : "AlbertForSequenceClassification";
	json_t	   *names = json_pack("{}");
	json_t	   *numbers = json_pack("{}");
	json_t	   *members;
	bool		ok = true;

	for (int i = 0; i < head->nlabels; i++)
	{
		char		number[16];

		snprintf(number, sizeof(number), "%d", i);
		ok = json_object_set_new(names, number, json_string(head->labels[i])) == 0 &&
			json_object_set_new(numbers, head->labels[i], json_integer(i)) == 0 && ok;
	}
	members = json_pack("{s:[s],s:s,s:o,s:o}", "architectures", architecture,
						"problem_type", AlbertProblemName(head->problem), "id2label", names, "label2id", numbers);
	ok = json_object_update(config, members) == 0 && ok;
	json_decref(members);
	/* what the weights are written in, and what would count for the labels otherwise */
	(void) json_object_del(config, "torch_dtype");
	(void) json_object_del(config, "dtype");
	(void) json_object_del(config, "num_labels");
	return ok;
}

/* What tells of a head that stands alone; NULL: no memory. */
static json_t *
own_config(const AlbertTrainedHead *head)
{
	json_t	   *labels = json_array();
	bool		ok = true;

	for (int i = 0; i < head->nlabels; i++)
		ok = json_array_append_new(labels, json_string(head->labels[i])) == 0 && ok;
	if (ok)
		return json_pack("{s:s,s:s,s:s,s:b,s:o}", "problem_type", AlbertProblemName(head->problem), "base", head->base,
						 "base_sha256", head->base_sha256, "pairs", (int) head->pairs, "labels", labels);
	json_decref(labels);
	return NULL;
}

const char *
AlbertHeadConfig(const AlbertTrainedHead *head, const AlbertSource *base, AlbertArena *arena, AlbertStatus *status)
{
	json_t	   *config;
	const char *text = NULL;

	if (base != NULL && base->config_json == NULL)
	{
		AlbertFail(status, ALBERT_UNSUPPORTED, "the base model has no config.json");
		return NULL;
	}
	config = base == NULL ? own_config(head) : json_deep_copy(base->config_json);
	if (config != NULL && (base == NULL || set_members(config, head, base)))
		text = AlbertJsonDump(arena, config, JSON_INDENT(2));
	if (text != NULL)
		text = AlbertNameFormat(arena, "%s\n", text);
	json_decref(config);
	if (text == NULL)
		AlbertNoMemory(status);
	return text;
}
