/*
 * formats_case.h
 *	  A small complete model directory that a test changes in one place and
 *	  then loads.  Weights and configuration are made in memory; only the
 *	  tokenizer comes from the reference data.
 */
#ifndef ALBERT_FORMATS_CASE_H
#define ALBERT_FORMATS_CASE_H

#include <jansson.h>

#include "formats_helpers.h"

#define LAYER "encoder.albert_layer_groups.0.albert_layers.0."

/* ---- a model to be changed ---- */

typedef struct Stored
{
	char		name[128];
	const char *type;
	int			rows;			/* 0: a vector */
	int			cols;
	int			seed;
} Stored;

typedef struct Case
{
	char		directory[512];
	json_t	   *config;
	Stored		tensors[64];
	int			ntensors;
} Case;

static const char *spiece;		/* path of a tokenizer with 1000 pieces */

static inline void
add_tensor(Case *c, const char *name, int rows, int cols)
{
	Stored	   *tensor = &c->tensors[c->ntensors];

	snprintf(tensor->name, sizeof(tensor->name), "%s", name);
	tensor->type = "F32";
	tensor->rows = rows;
	tensor->cols = cols;
	tensor->seed = c->ntensors++;
}

static inline void
add_linear(Case *c, const char *name, int out, int in)
{
	add_tensor(c, text("%s.weight", name), out, in);
	add_tensor(c, text("%s.bias", name), 0, out);
}

static inline void
add_norm(Case *c, const char *name, int n)
{
	add_tensor(c, text("%s.weight", name), 0, n);
	add_tensor(c, text("%s.bias", name), 0, n);
}

/* hidden 12, embedding 8, intermediate 20, one layer; names without a prefix */
static inline void
begin_case(Case *c, const char *name)
{
	memset(c, 0, sizeof(*c));
	snprintf(c->directory, sizeof(c->directory), "%s/%s", temp_root(), name);
	remove_tree(c->directory);
	mkdir(c->directory, 0700);
	c->config = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s}",
						  "model_type", "albert", "vocab_size", 1000, "embedding_size", 8,
						  "hidden_size", 12, "num_hidden_layers", 3, "num_attention_heads", 3,
						  "intermediate_size", 20, "max_position_embeddings", 32,
						  "hidden_act", "gelu_new");
	add_tensor(c, "embeddings.word_embeddings.weight", 1000, 8);
	add_tensor(c, "embeddings.position_embeddings.weight", 32, 8);
	add_tensor(c, "embeddings.token_type_embeddings.weight", 2, 8);
	add_norm(c, "embeddings.LayerNorm", 8);
	add_linear(c, "encoder.embedding_hidden_mapping_in", 12, 8);
	add_linear(c, LAYER "attention.query", 12, 12);
	add_linear(c, LAYER "attention.key", 12, 12);
	add_linear(c, LAYER "attention.value", 12, 12);
	add_linear(c, LAYER "attention.dense", 12, 12);
	add_norm(c, LAYER "attention.LayerNorm", 12);
	add_linear(c, LAYER "ffn", 20, 12);
	add_linear(c, LAYER "ffn_output", 12, 20);
	add_norm(c, LAYER "full_layer_layer_norm", 12);
}

/* BERT: hidden 12, intermediate 20, two layers, names with the prefix that heads ask for */
static inline void
begin_bert_case(Case *c, const char *name)
{
	begin_case(c, name);
	c->ntensors = 0;
	json_object_set_new(c->config, "model_type", json_string("bert"));
	json_object_del(c->config, "embedding_size");
	json_object_del(c->config, "hidden_act");
	json_object_set_new(c->config, "num_hidden_layers", json_integer(2));
	add_tensor(c, "bert.embeddings.word_embeddings.weight", 1000, 12);
	add_tensor(c, "bert.embeddings.position_embeddings.weight", 32, 12);
	add_tensor(c, "bert.embeddings.token_type_embeddings.weight", 2, 12);
	add_norm(c, "bert.embeddings.LayerNorm", 12);
	for (int i = 0; i < 2; i++)
	{
		add_linear(c, text("bert.encoder.layer.%d.attention.self.query", i), 12, 12);
		add_linear(c, text("bert.encoder.layer.%d.attention.self.key", i), 12, 12);
		add_linear(c, text("bert.encoder.layer.%d.attention.self.value", i), 12, 12);
		add_linear(c, text("bert.encoder.layer.%d.attention.output.dense", i), 12, 12);
		add_norm(c, text("bert.encoder.layer.%d.attention.output.LayerNorm", i), 12);
		add_linear(c, text("bert.encoder.layer.%d.intermediate.dense", i), 20, 12);
		add_linear(c, text("bert.encoder.layer.%d.output.dense", i), 12, 20);
		add_norm(c, text("bert.encoder.layer.%d.output.LayerNorm", i), 12);
	}
	add_linear(c, "bert.pooler.dense", 12, 12);
}

static inline void
set_config(Case *c, const char *key, json_t *value)
{
	json_object_set_new(c->config, key, value);
}

/* The base model's names get the prefix they have below a head. */
static inline void
add_prefix(Case *c)
{
	for (int i = 0; i < c->ntensors; i++)
		snprintf(c->tensors[i].name, sizeof(c->tensors[i].name), "albert.%s", text("%s", c->tensors[i].name));
}

static inline void
add_mlm(Case *c)
{
	add_linear(c, "predictions.dense", 8, 12);
	add_norm(c, "predictions.LayerNorm", 8);
	add_tensor(c, "predictions.bias", 0, 1000);
}

static inline void
add_classifier(Case *c, const char *architecture, int labels, bool pooler)
{
	if (pooler)
		add_linear(c, "pooler", 12, 12);
	add_prefix(c);
	add_linear(c, "classifier", labels, 12);
	if (architecture != NULL)
		set_config(c, "architectures", json_pack("[s]", architecture));
}

static inline Stored *
find_tensor(Case *c, const char *name)
{
	for (int i = 0; i < c->ntensors; i++)
		if (strcmp(c->tensors[i].name, name) == 0)
			return &c->tensors[i];
	printf("no tensor %s\n", name);
	abort();
}

static inline void
drop_tensor(Case *c, const char *name)
{
	*find_tensor(c, name) = c->tensors[c->ntensors - 1];
	c->ntensors--;
}

/* A value that every type here holds exactly. */
static inline float
value_of(int seed, int i)
{
	return ((i * 37 + seed * 11) % 128 - 64) / 64.0f;
}

static inline size_t
put_value(unsigned char *to, const char *type, float value)
{
	uint32_t	bits;
	double		wide = value;

	memcpy(&bits, &value, sizeof(bits));
	if (strcmp(type, "F32") == 0)
		memcpy(to, &value, 4);
	else if (strcmp(type, "F64") == 0)
		memcpy(to, &wide, 8);
	else if (strcmp(type, "BF16") == 0)
		memcpy(to, (char *) &bits + 2, 2);
	else if (strcmp(type, "F16") == 0)
	{
		/* exact for these values: none is subnormal as a half */
		uint16_t	half = value == 0 ? 0 : (bits >> 16 & 0x8000) | ((bits >> 23 & 0xff) - 112) << 10 | (bits >> 13 & 0x3ff);

		memcpy(to, &half, 2);
	}
	else if (strcmp(type, "I64") == 0)
		memset(to, 0, 8);
	else
		to[0] = 1;
	return strcmp(type, "F32") == 0 ? 4 : strcmp(type, "F64") == 0 || strcmp(type, "I64") == 0 ? 8 :
		strstr(type, "F16") != NULL ? 2 : 1;
}

static inline void
write_tensors(const char *directory, const char *name, const Stored *tensors, int n)
{
	unsigned char *data = malloc(1 << 20);
	size_t		used = 0;
	json_t	   *header = json_object();
	char	   *dump;
	uint64_t	length;
	FILE	   *file;

	for (int i = 0; i < n; i++)
	{
		const Stored *t = &tensors[i];
		int			elements = (t->rows == 0 ? 1 : t->rows) * t->cols;
		size_t		start = used;

		for (int k = 0; k < elements; k++)
			used += put_value(data + used, t->type, value_of(t->seed, k));
		json_object_set_new(header, t->name,
							t->rows == 0 ? json_pack("{s:s, s:[i], s:[I,I]}", "dtype", t->type, "shape", t->cols,
													 "data_offsets", (json_int_t) start, (json_int_t) used) :
							json_pack("{s:s, s:[i,i], s:[I,I]}", "dtype", t->type, "shape", t->rows, t->cols,
									  "data_offsets", (json_int_t) start, (json_int_t) used));
	}
	dump = json_dumps(header, JSON_COMPACT);
	length = strlen(dump);
	file = fopen(text("%s/%s", directory, name), "wb");
	if (file == NULL || fwrite(&length, 8, 1, file) != 1 || fwrite(dump, length, 1, file) != 1 ||
		fwrite(data, used, 1, file) != 1 || fclose(file) != 0)
		abort();
	free(dump);
	json_decref(header);
	free(data);
}

static inline void
write_config(Case *c, const char *directory)
{
	char	   *dump = json_dumps(c->config, 0);

	write_text(directory, "config.json", dump);
	free(dump);
}

/* The whole directory; files that a case has already written stay. */
static inline void
write_case(Case *c)
{
	if (access(text("%s/config.json", c->directory), F_OK) != 0)
		write_config(c, c->directory);
	if (access(text("%s/model.safetensors", c->directory), F_OK) != 0)
		write_tensors(c->directory, "model.safetensors", c->tensors, c->ntensors);
	if (symlink(spiece, text("%s/spiece.model", c->directory)) != 0 && errno != EEXIST)
		abort();
}

static inline void
end_case(Case *c, Loaded *loaded)
{
	unload(loaded);
	json_decref(c->config);
	remove_tree(c->directory);
}

static inline bool
accept(Case *c, Loaded *loaded)
{
	bool		ok;

	write_case(c);
	ok = load(c->directory, loaded);
	CHECK(ok, "%s was refused: %s %s", strrchr(c->directory, '/') + 1, loaded->status.message,
		  loaded->status.detail);
	return ok;
}

/* message must appear in the message, detail or hint */
static inline void
refuse(Case *c, AlbertCode code, const char *message)
{
	Loaded		loaded;
	int			before = open_files();
	bool		ok;

	write_case(c);
	ok = load(c->directory, &loaded);
	CHECK(!ok, "%s was accepted", strrchr(c->directory, '/') + 1);
	CHECK(ok || loaded.status.code == code, "%s: code %d: %s", strrchr(c->directory, '/') + 1,
		  loaded.status.code, loaded.status.message);
	CHECK(ok || strstr(loaded.status.message, message) != NULL || strstr(loaded.status.detail, message) != NULL ||
		  strstr(loaded.status.hint, message) != NULL, "%s: %s %s %s", strrchr(c->directory, '/') + 1,
		  loaded.status.message, loaded.status.detail, loaded.status.hint);
	CHECK(open_files() == before, "%s left files open", strrchr(c->directory, '/') + 1);
	end_case(c, &loaded);
}

/* Where the tokenizer is. */
static inline void
find_spiece(void)
{
	static char path[4096];

	if (realpath(text("%s/tokenizers/small/spiece.model", unit_reference()), path) == NULL)
	{
		printf("no file %s/tokenizers/small/spiece.model\n", unit_reference());
		exit(1);
	}
	spiece = path;
}

#endif							/* ALBERT_FORMATS_CASE_H */
