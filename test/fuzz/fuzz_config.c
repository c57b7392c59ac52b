/*
 * fuzz_config.c
 *	  libFuzzer on config.json, beside weights that fit the corpus's first one.
 */
#include "fuzz_directory.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LAYER "albert.encoder.albert_layer_groups.0.albert_layers.0."

static const struct
{
	const char *name;
	int			out;
	int			in;				/* 0: a vector; else out, in and a bias of out values */
}			tensors[] =
{
	{"albert.embeddings.LayerNorm", 2, 0},
	{"albert.encoder.embedding_hidden_mapping_in", 4, 2},
	{LAYER "attention.query", 4, 4},
	{LAYER "attention.key", 4, 4},
	{LAYER "attention.value", 4, 4},
	{LAYER "attention.dense", 4, 4},
	{LAYER "attention.LayerNorm", 4, 0},
	{LAYER "ffn", 3, 4},
	{LAYER "ffn_output", 4, 3},
	{LAYER "full_layer_layer_norm", 4, 0},
	{"albert.pooler", 4, 4},
	{"classifier", 2, 4}
};

static int
add_entry(char *header, int offset, const char *name, int rows, int cols)
{
	int			end = offset + 4 * (rows == 0 ? 1 : rows) * cols;
	char		shape[32];

	snprintf(shape, sizeof(shape), rows == 0 ? "%.0d%d" : "%d,%d", rows, cols);
	sprintf(header + strlen(header), ", \"%s\": {\"dtype\": \"F32\", \"shape\": [%s], \"data_offsets\": [%d, %d]}",
			name, shape, offset, end);
	return end;
}

static void
write_weights(void)
{
	static char file[16384];
	char	   *header = file + 8;
	char		name[128];
	int			end = 0;
	uint64_t	length;

	strcpy(header, "{\"__metadata__\": {\"format\": \"pt\"}");
	end = add_entry(header, end, "albert.embeddings.word_embeddings.weight", 8, 2);
	end = add_entry(header, end, "albert.embeddings.position_embeddings.weight", 4, 2);
	end = add_entry(header, end, "albert.embeddings.token_type_embeddings.weight", 2, 2);
	for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++)
	{
		snprintf(name, sizeof(name), "%s.weight", tensors[i].name);
		end = tensors[i].in == 0 ? add_entry(header, end, name, 0, tensors[i].out) :
			add_entry(header, end, name, tensors[i].out, tensors[i].in);
		snprintf(name, sizeof(name), "%s.bias", tensors[i].name);
		end = add_entry(header, end, name, 0, tensors[i].out);
	}
	strcat(header, "}");
	length = strlen(header);
	memcpy(file, &length, 8);
	fuzz_write("model.safetensors", file, 8 + length + end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool begun = false;

	if (!begun)
	{
		fuzz_begin();
		write_weights();
		if (!fuzz_load())
			abort();			/* these weights must fit the usual configuration */
		begun = true;
	}
	fuzz_write("config.json", data, size);
	fuzz_load();
	return 0;
}
