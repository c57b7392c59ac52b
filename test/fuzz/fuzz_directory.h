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
#include <unistd.h>

#include "formats/formats.h"

/* The model of make_corpus.py: every tensor has a few elements. */
#define FUZZ_CONFIG \
	"{\"model_type\": \"albert\", \"architectures\": [\"AlbertForSequenceClassification\"]," \
	" \"vocab_size\": 8, \"embedding_size\": 2, \"hidden_size\": 4, \"num_hidden_layers\": 2," \
	" \"num_attention_heads\": 2, \"intermediate_size\": 3, \"max_position_embeddings\": 4}"

static char fuzz_directory[256];

static void
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

static void
fuzz_remove(void)
{
	static const char *const names[] = {
		"config.json", "modules.json", "model.safetensors", "pytorch_model.bin", "spiece.model",
		"model.index", "model.data-00000-of-00001"
	};
	char		path[512];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		snprintf(path, sizeof(path), "%s/%s", fuzz_directory, names[i]);
		unlink(path);
	}
	rmdir(fuzz_directory);
}

static void
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

/* Open the directory and build its weights; true when all of it worked. */
static bool
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
	if (!ok && (status.code == ALBERT_OK || status.code == ALBERT_INTERNAL || status.message[0] == '\0'))
		abort();				/* a refusal must say why */
	if (arena.total > 300 * 1024 * 1024)
		abort();
	AlbertArenaFree(&arena);
	return ok;
}

#endif							/* ALBERT_FUZZ_DIRECTORY_H */
