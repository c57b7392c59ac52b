/*
 * formats_helpers.h
 *	  What the tests of src/formats share: loading a directory the way the
 *	  store does it, temporary directories, files with given contents.
 */
#ifndef ALBERT_FORMATS_HELPERS_H
#define ALBERT_FORMATS_HELPERS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/formats.h"
#include "../malloc_arena.h"
#include "unit.h"

/* ---- loading ---- */

typedef struct Loaded
{
	AlbertArena arena;
	AlbertConfig config;
	void	   *image[ALBERT_NPARTS];
	size_t		size[ALBERT_NPARTS];
	AlbertModel model;
	AlbertTokenizer tokenizer;
	AlbertStatus status;
	bool		ok;
} Loaded;

static inline bool
load_parts(AlbertSource *source, const AlbertKernels *kernels, AlbertPrecision precision,
		   const volatile sig_atomic_t *interrupt, Loaded *loaded)
{
	for (int part = 0; part < ALBERT_NPARTS; part++)
	{
		size_t		size = AlbertImageSize(source, part, kernels, precision, &loaded->status);

		if (size == 0)
			return false;
		loaded->size[part] = size;
		if (posix_memalign(&loaded->image[part], ALBERT_ALIGN, size) != 0)
			abort();
		memset(loaded->image[part], 0, size);
		if (!AlbertImageBuild(source, part, kernels, precision, loaded->image[part], size,
							  interrupt, &loaded->status))
			return false;
	}
	return AlbertImageBind(loaded->image[0], loaded->size[0], loaded->image[1], loaded->size[1],
						   &loaded->arena, &loaded->model, &loaded->tokenizer, &loaded->status);
}

static inline bool
load_with(const char *directory, const AlbertKernels *kernels, AlbertPrecision precision,
		  const volatile sig_atomic_t *interrupt, Loaded *loaded)
{
	AlbertSource *source;

	memset(loaded, 0, sizeof(*loaded));
	AlbertArenaInitMalloc(&loaded->arena);
	if (!AlbertSourceOpen(directory, &loaded->arena, &source, &loaded->status))
		return false;
	loaded->config = *AlbertSourceConfig(source);
	loaded->ok = load_parts(source, kernels, precision, interrupt, loaded);
	AlbertSourceClose(source);
	return loaded->ok;
}

static inline bool
load(const char *directory, Loaded *loaded)
{
	const AlbertKernels *kernels = AlbertKernelsFind("generic", ALBERT_FP32, &loaded->status);

	if (kernels == NULL)
		abort();
	return load_with(directory, kernels, ALBERT_FP32, NULL, loaded);
}

static inline void
unload(Loaded *loaded)
{
	free(loaded->image[0]);
	free(loaded->image[1]);
	AlbertArenaFree(&loaded->arena);
}

/* Matrix (out, in) as it was before packing, by multiplying with the identity. */
static inline float *
unpack_linear(const AlbertModel *model, const AlbertLinear *linear)
{
	AlbertLinear plain = *linear;
	float	   *matrix = malloc(sizeof(float) * linear->in * linear->out);
	float	   *identity = calloc((size_t) linear->in * linear->in, sizeof(float));
	float	   *product = malloc(sizeof(float) * linear->in * linear->out);
	void	   *scratch;

	plain.bias = NULL;
	for (int i = 0; i < linear->in; i++)
		identity[(size_t) i * linear->in + i] = 1;
	if (posix_memalign(&scratch, ALBERT_ALIGN, model->kernels->linear_scratch(&plain, linear->in) + 64) != 0)
		abort();
	model->kernels->linear(&plain, linear->in, identity, linear->in, ALBERT_ACT_NONE, NULL, 0,
						   product, linear->out, scratch);
	for (int i = 0; i < linear->out; i++)
		for (int k = 0; k < linear->in; k++)
			matrix[(size_t) i * linear->in + k] = product[(size_t) k * linear->out + i];
	free(scratch);
	free(product);
	free(identity);
	return matrix;
}

/* ---- files ---- */

static inline const char *
text(const char *fmt,...)
{
	static char ring[16][4096];
	static int	next = 0;
	char	   *result = ring[next++ % 16];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(result, sizeof(ring[0]), fmt, args);
	va_end(args);
	return result;
}

static inline const char *
temp_root(void)
{
	static char root[256];
	const char *base = getenv("TMPDIR");

	if (root[0] == '\0')
	{
		snprintf(root, sizeof(root), "%s/albert_formats_XXXXXX", base != NULL ? base : "/tmp");
		if (mkdtemp(root) == NULL)
		{
			perror("mkdtemp");
			exit(1);
		}
	}
	return root;
}

static inline void
remove_tree(const char *path)
{
	DIR		   *directory = opendir(path);
	struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
	{
		const char *name = entry->d_name;
		char	   *child;
		struct stat st;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		child = malloc(strlen(path) + strlen(name) + 2);
		sprintf(child, "%s/%s", path, name);
		if (lstat(child, &st) == 0 && S_ISDIR(st.st_mode))
			remove_tree(child);
		else
			unlink(child);
		free(child);
	}
	if (directory != NULL)
		closedir(directory);
	rmdir(path);
}

static inline void
write_file(const char *directory, const char *name, const void *data, size_t size)
{
	FILE	   *file = fopen(text("%s/%s", directory, name), "wb");

	if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0)
	{
		printf("could not write %s/%s: %s\n", directory, name, strerror(errno));
		exit(1);
	}
}

static inline void
write_text(const char *directory, const char *name, const char *contents)
{
	write_file(directory, name, contents, strlen(contents));
}

static inline char *
read_file(const char *path, size_t *size)
{
	FILE	   *file = fopen(path, "rb");
	char	   *data = NULL;
	long		length;

	if (file == NULL)
		return NULL;
	if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0)
	{
		rewind(file);
		data = malloc(length + 1);
		*size = fread(data, 1, length, file);
		data[*size] = '\0';
	}
	fclose(file);
	return data;
}

/* The absolute path of a model of the tests, for links to its files. */
static inline const char *
reference_model(const char *name)
{
	static char path[4096];

	if (realpath(text("%s/%s", unit_models(), name), path) == NULL)
	{
		printf("no model %s in %s\n", name, unit_models());
		exit(1);
	}
	return path;
}

static inline int
open_files(void)
{
	int			n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

#endif							/* ALBERT_FORMATS_HELPERS_H */
