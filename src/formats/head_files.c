/*
 * head_files.c
 *	  The files of a head that was trained on a base model's embeddings: alone,
 *	  or together with the base as transformers stores a model for sequence
 *	  classification.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_BUFFER	READ_BUFFER

static const char *const problems[] = {
	[ALBERT_PROBLEM_UNSET] = NULL,
	[ALBERT_PROBLEM_SINGLE_LABEL] = "single_label_classification",
	[ALBERT_PROBLEM_MULTI_LABEL] = "multi_label_classification",
	[ALBERT_PROBLEM_REGRESSION] = "regression"
};

const char *
AlbertProblemName(AlbertProblemType problem)
{
	return problems[problem];
}

/* ---------- model.safetensors ---------- */

typedef struct HeadWriter
{
	const AlbertTrainedHead *head;
	const AlbertSource *base;
	AlbertArena *arena;
	Layout		layout;			/* of the base */
	AlbertWriteBytes write;
	void	   *context;
	AlbertStatus *status;
	json_t	   *header;
	int64_t		end;			/* of the tensors described so far */
} HeadWriter;

static bool
describe(HeadWriter *writer, const char *name, int64_t rows, int64_t cols, bool vector)
{
	int64_t		end = writer->end + rows * cols * (int64_t) sizeof(float);
	char		shape[64];
	char		text[256];

	if (vector)
		snprintf(shape, sizeof(shape), "%lld", (long long) (rows * cols));
	else
		snprintf(shape, sizeof(shape), "%lld,%lld", (long long) rows, (long long) cols);
	snprintf(text, sizeof(text), "{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%lld,%lld]}",
			 shape, (long long) writer->end, (long long) end);
	writer->end = end;
	return json_object_set_new(writer->header, name, json_loads(text, 0, NULL)) == 0 ||
		AlbertNoMemory(writer->status);
}

/* Rows of one of a matrix's tensors, and its columns. */
static int
tensor_rows(const Matrix *matrix, int *cols)
{
	*cols = matrix->vector ? matrix->cols / matrix->ntensors : matrix->cols;
	return matrix->vector ? 1 : matrix->rows / matrix->ntensors;
}

static bool
describe_base(HeadWriter *writer)
{
	const AlbertSource *base = writer->base;

	if (base == NULL)
		return true;
	if (!AlbertLayoutList(&base->info, writer->arena, &writer->layout, writer->status))
		return false;
	for (int i = 0; i < writer->layout.n; i++)
	{
		const Matrix *matrix = &writer->layout.matrices[i];

		for (int which = 0; AlbertLayoutIsBase(matrix) && which < matrix->ntensors; which++)
		{
			char		name[MATRIX_NAME_SIZE];
			int			cols;
			int			rows = tensor_rows(matrix, &cols);

			AlbertLayoutName(base, matrix, which, AlbertLayoutPrefix(&base->info), name, sizeof(name));
			if (!describe(writer, name, rows, cols, matrix->vector))
				return false;
		}
	}
	return true;
}

/* The header's length and, padded with blanks, the header. */
static bool
write_header(HeadWriter *writer)
{
	char	   *text = json_dumps(writer->header, JSON_COMPACT);
	size_t		size = text == NULL ? 0 : (strlen(text) + 7) / 8 * 8;
	char	   *padded = AlbertArenaAlloc(writer->arena, size + 8);

	if (text == NULL || padded == NULL)
	{
		free(text);
		return AlbertNoMemory(writer->status);
	}
	for (int i = 0; i < 8; i++)
		padded[i] = (char) ((uint64_t) size >> (8 * i) & 0xff);
	memset(padded + 8, ' ', size);
	memcpy(padded + 8, text, strlen(text));
	free(text);
	writer->write(writer->context, padded, size + 8);
	return true;
}

static bool
write_tensor(HeadWriter *writer, const Matrix *matrix, int which, float *values, void *buffer)
{
	const Tensor *tensor = AlbertLayoutTensor(writer->base, matrix, which, writer->status);
	int			cols;
	int			rows = tensor_rows(matrix, &cols);
	int			block = WRITE_BUFFER / (int) sizeof(float) / cols;

	if (tensor == NULL)
		return false;
	if (block < 1)
		block = 1;
	for (int row = 0; row < rows; row += block)
	{
		int			n = rows - row < block ? rows - row : block;

		if (!AlbertTensorRows(writer->base, tensor, row, n, values, buffer, NULL, writer->status))
			return false;
		writer->write(writer->context, values, (size_t) n * cols * sizeof(float));
	}
	return true;
}

static bool
write_base(HeadWriter *writer)
{
	const Layout *layout = &writer->layout;
	size_t		largest = WRITE_BUFFER;
	float	   *values;
	void	   *buffer;

	for (int i = 0; i < layout->n; i++)
		if (layout->matrices[i].cols * sizeof(float) > largest)
			largest = layout->matrices[i].cols * sizeof(float);
	values = AlbertArenaAlloc(writer->arena, largest);
	buffer = AlbertArenaAlloc(writer->arena, READ_BUFFER);
	if (values == NULL || buffer == NULL)
		return AlbertNoMemory(writer->status);
	for (int i = 0; i < layout->n; i++)
		for (int which = 0; AlbertLayoutIsBase(&layout->matrices[i]) && which < layout->matrices[i].ntensors; which++)
			if (!write_tensor(writer, &layout->matrices[i], which, values, buffer))
				return false;
	return true;
}

bool
AlbertHeadWrite(const AlbertTrainedHead *head, const AlbertSource *base, AlbertArena *arena,
				AlbertWriteBytes write, void *context, AlbertStatus *status)
{
	HeadWriter	writer = {
		.head = head, .base = base, .arena = arena, .write = write, .context = context, .status = status,
		.header = json_loads("{}", 0, NULL)	/* the server has a json_object of its own */
	};
	bool		ok;

	ok = describe(&writer, "classifier.weight", head->nlabels, head->width, false) &&
		describe(&writer, "classifier.bias", 1, head->nlabels, true) &&
		describe_base(&writer) && write_header(&writer);
	json_decref(writer.header);
	if (!ok)
		return false;
	write(context, head->weights, (size_t) head->nlabels * head->width * sizeof(float));
	write(context, head->bias, head->nlabels * sizeof(float));
	return base == NULL || write_base(&writer);
}

/* ---------- config.json ---------- */

/* Members id2label, label2id, problem_type, architectures: what a head changes. */
static bool
set_members(json_t *config, const AlbertTrainedHead *head, const AlbertSource *base)
{
	const char *architecture = base->info.config.architecture == ALBERT_ARCHITECTURE_BERT
		? "BertForSequenceClassification" : "AlbertForSequenceClassification";
	json_t	   *names = json_loads("{}", 0, NULL);
	json_t	   *numbers = json_loads("{}", 0, NULL);
	json_t	   *classes = json_array();
	bool		ok = json_array_append_new(classes, json_string(architecture)) == 0;

	for (int i = 0; i < head->nlabels; i++)
	{
		char		number[16];

		snprintf(number, sizeof(number), "%d", i);
		ok = json_object_set_new(names, number, json_string(head->labels[i])) == 0 &&
			json_object_set_new(numbers, head->labels[i], json_integer(i)) == 0 && ok;
	}
	ok = json_object_set_new(config, "architectures", classes) == 0 && ok;
	ok = json_object_set_new(config, "id2label", names) == 0 && ok;
	ok = json_object_set_new(config, "label2id", numbers) == 0 && ok;
	ok = json_object_set_new(config, "problem_type", json_string(AlbertProblemName(head->problem))) == 0 && ok;
	/* what the weights are written in, and what would count for the labels otherwise */
	(void) json_object_del(config, "torch_dtype");
	(void) json_object_del(config, "dtype");
	(void) json_object_del(config, "num_labels");
	return ok;
}

const char *
AlbertHeadConfig(const AlbertTrainedHead *head, const AlbertSource *base, AlbertArena *arena, AlbertStatus *status)
{
	json_t	   *config;
	char	   *text = NULL;
	char	   *copy = NULL;

	if (base->config == NULL)
	{
		AlbertFail(status, ALBERT_UNSUPPORTED, "the base model has no config.json");
		return NULL;
	}
	config = json_deep_copy(base->config);
	if (config != NULL && set_members(config, head, base))
		text = json_dumps(config, JSON_INDENT(2));
	json_decref(config);
	if (text != NULL)
		copy = AlbertArenaAlloc(arena, strlen(text) + 2);
	if (copy != NULL)
		sprintf(copy, "%s\n", text);
	else
		AlbertNoMemory(status);
	free(text);
	return copy;
}
