/*
 * fuzz_directory.h
 *	  What the fuzzers of src/formats share: a tiny model directory in which
 *	  one file is the fuzzer's input, and loading it.
 */
#ifndef ALBERT_FUZZ_DIRECTORY_H
#define ALBERT_FUZZ_DIRECTORY_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/formats.h"
#include "../malloc_arena.h"

/* The model of make_corpus.py: every tensor has a few elements. */
#define FUZZ_CONFIG \
	"{\"model_type\": \"albert\", \"architectures\": [\"AlbertForSequenceClassification\"]," \
	" \"vocab_size\": 8, \"embedding_size\": 2, \"hidden_size\": 4, \"num_hidden_layers\": 2," \
	" \"num_attention_heads\": 2, \"intermediate_size\": 3, \"max_position_embeddings\": 4}"

static char fuzz_directory[256];

static inline void
fuzz_write(const char *name, const void *data, size_t size)
{
	char		path[512];
	int			fd;

	snprintf(path, sizeof(path), "%s/%s", fuzz_directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t) size)
		abort();
	close(fd);
}

/* Remove what fuzz_write and fuzz_make_directory made. */
static inline void
fuzz_remove(void)
{
	char		command[300];

	snprintf(command, sizeof(command), "rm -rf '%s'", fuzz_directory);
	if (system(command) != 0)
		perror(command);
}

static inline void
fuzz_make_directory(const char *name)
{
	char		path[512];

	snprintf(path, sizeof(path), "%s/%s", fuzz_directory, name);
	if (mkdir(path, 0700) != 0)
		abort();
}

static inline void
fuzz_begin(void)
{
	if (fuzz_directory[0] != '\0')
		return;
	strcpy(fuzz_directory, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz_XXXXXX" : "/tmp/fuzz_XXXXXX");
	if (mkdtemp(fuzz_directory) == NULL)
		abort();
	atexit(fuzz_remove);
	fuzz_write("config.json", FUZZ_CONFIG, strlen(FUZZ_CONFIG));
	/* opening a directory only asks whether there is a tokenizer; it has a fuzzer of its own */
	fuzz_write("spiece.model", "x", 1);
}

/* Why a file was refused must be said. */
static inline void
fuzz_check_refusal(const AlbertStatus *status)
{
	if (status->code == ALBERT_OK || status->code == ALBERT_INTERNAL || status->message[0] == '\0')
		abort();
}

/* Inputs of several files: this ends one. */
#define FUZZ_END	0x1e

/* Cut the next file off the input; empty when there is none left. */
static inline AlbertBytes
fuzz_next_file(const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size == 0 ? NULL : memchr(*data, FUZZ_END, *size);
	AlbertBytes file = {.data = *data, .size = end == NULL ? *size : (size_t) (end - *data)};

	*data += file.size + (end != NULL);
	*size -= file.size + (end != NULL);
	return file;
}

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

/* Weights that fit FUZZ_CONFIG, all zero. */
static inline void
fuzz_write_weights(void)
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

/* Open the directory and build its weights; true when all of it worked. */
static inline bool
fuzz_load(void)
{
	AlbertArena arena;
	AlbertSource *source;
	AlbertStatus status;
	const AlbertKernels *kernels = AlbertKernelsFind("generic", ALBERT_FP32, &status);
	bool		ok = false;

	memset(&status, 0, sizeof(status));
	AlbertArenaInitMalloc(&arena);
	if (AlbertSourceOpen(fuzz_directory, &arena, &source, &status))
	{
		size_t		size = AlbertImageSize(source, ALBERT_PART_WEIGHTS, kernels, ALBERT_FP32, &status);
		void	   *image = NULL;

		if (size > 0 && size < 100 * 1024 * 1024 && posix_memalign(&image, ALBERT_ALIGN, size) == 0)
		{
			memset(image, 0, size);
			ok = AlbertImageBuild(source, ALBERT_PART_WEIGHTS, kernels, ALBERT_FP32, image, size, NULL, &status);
			free(image);
		}
		AlbertSourceClose(source);
	}
	if (!ok)
		fuzz_check_refusal(&status);
	if (arena.total > 300 * 1024 * 1024)
		abort();
	AlbertArenaFree(&arena);
	return ok;
}

#endif							/* ALBERT_FUZZ_DIRECTORY_H */
