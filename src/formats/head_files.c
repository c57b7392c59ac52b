/*
 * head_files.c
 *	  The files of a head that was trained on a base model's embeddings: alone,
 *	  or together with the base as transformers stores a model for sequence
 *	  classification.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <string.h>

/* ---------- model.safetensors ---------- */

typedef struct HeadWriter
{
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
describe(HeadWriter *writer, const char *name, json_int_t rows, json_int_t cols, bool vector)
{
	json_int_t	end = writer->end + rows * cols * (json_int_t) sizeof(float);
	json_t	   *shape = vector ? json_pack("[I]", cols) : json_pack("[I,I]", rows, cols);
	json_t	   *entry = json_pack("{s:s,s:o,s:[I,I]}", "dtype", "F32", "shape", shape,
								  "data_offsets", (json_int_t) writer->end, end);

	writer->end = end;
	return json_object_set_new(writer->header, name, entry) == 0 || AlbertNoMemory(writer->status);
}

static bool
describe_base(HeadWriter *writer)
{
	const AlbertSource *base = writer->base;

	if (base == NULL)
		return true;
	if (!AlbertLayoutList(&base->info, NULL, ALBERT_FP32, writer->arena, &writer->layout, writer->status))
		return false;
	for (int i = 0; i < writer->layout.n; i++)
	{
		const Matrix *matrix = &writer->layout.matrices[i];

		for (int which = 0; is_base(matrix) && which < matrix->ntensors; which++)
		{
			char		name[MATRIX_NAME_SIZE];

			AlbertLayoutName(base, matrix, which, true, name, sizeof(name));
			if (!describe(writer, name, matrix->tensor_rows, matrix->tensor_cols, matrix->vector))
				return false;
		}
	}
	return true;
}

/* The header's length and, padded with blanks, the header. */
static bool
write_header(HeadWriter *writer)
{
	size_t		used = json_dumpb(writer->header, NULL, 0, JSON_COMPACT);
	size_t		size = (used + 7) / 8 * 8;
	char	   *text = AlbertArenaAlloc(writer->arena, 8 + size);

	if (used == 0 || text == NULL)
		return AlbertNoMemory(writer->status);
	for (int i = 0; i < 8; i++)
		text[i] = (char) ((uint64_t) size >> (8 * i) & 0xff);
	memset(text + 8, ' ', size);
	json_dumpb(writer->header, text + 8, size, JSON_COMPACT);
	writer->write(writer->context, text, 8 + size);
	return true;
}

static void
write_rows(void *context, const Matrix *matrix, int row0, int nrows, const float *values)
{
	HeadWriter *writer = context;

	(void) row0;
	writer->write(writer->context, values, (size_t) nrows * matrix->tensor_cols * sizeof(float));
}

bool
AlbertHeadWrite(const AlbertTrainedHead *head, const AlbertSource *base, AlbertArena *arena,
				AlbertWriteBytes write, void *context, AlbertStatus *status)
{
	HeadWriter	writer = {
		.base = base, .arena = arena, .write = write, .context = context, .status = status,
		.header = json_pack("{}")	/* the server has a json_object of its own */
	};
	MatrixReader reader = {.source = base, .arena = arena, .take = write_rows, .context = &writer};
	bool		ok;

	ok = describe(&writer, "classifier.weight", head->nlabels, head->width, false) &&
		describe(&writer, "classifier.bias", 1, head->nlabels, true) &&
		describe_base(&writer) && write_header(&writer);
	json_decref(writer.header);
	if (!ok)
		return false;
	write(context, head->weights, (size_t) head->nlabels * head->width * sizeof(float));
	write(context, head->bias, head->nlabels * sizeof(float));
	return base == NULL || AlbertMatricesRead(&reader, &writer.layout, true, status);
}

/* ---------- config.json ---------- */

/* Members id2label, label2id, problem_type, architectures: what a head changes. */
static bool
set_members(json_t *config, const AlbertTrainedHead *head, const AlbertSource *base)
{
	const char *architecture = base->info.config.architecture == ALBERT_ARCHITECTURE_BERT
		? "BertForSequenceClassification" : "AlbertForSequenceClassification";
	json_t	   *names = json_pack("{}");
	json_t	   *numbers = json_pack("{}");
	bool		ok = true;

	for (int i = 0; i < head->nlabels; i++)
	{
		char		number[16];

		snprintf(number, sizeof(number), "%d", i);
		ok = json_object_set_new(names, number, json_string(head->labels[i])) == 0 &&
			json_object_set_new(numbers, head->labels[i], json_integer(i)) == 0 && ok;
	}
	ok = json_object_set_new(config, "architectures", json_pack("[s]", architecture)) == 0 && ok;
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
	size_t		size = 0;
	char	   *text = NULL;

	if (base->config == NULL)
	{
		AlbertFail(status, ALBERT_UNSUPPORTED, "the base model has no config.json");
		return NULL;
	}
	config = json_deep_copy(base->config);
	if (config != NULL && set_members(config, head, base))
		size = json_dumpb(config, NULL, 0, JSON_INDENT(2));
	if (size > 0)
		text = AlbertArenaAlloc(arena, size + 2);
	if (text != NULL)
	{
		json_dumpb(config, text, size, JSON_INDENT(2));
		strcpy(text + size, "\n");
	}
	else
		AlbertNoMemory(status);
	json_decref(config);
	return text;
}
