/*
 * blas.c
 *	  The kernel set whose matrix products are OpenBLAS's; everything else
 *	  is the fastest other set's.
 *
 * The library is opened at run time, and only the build without threads is
 * accepted: one with threads would start them inside a database backend.
 *
 * What sgemm computes for a row depends on how many rows it is given, and in
 * some of its kernels on the row's place among them.  So it is always called
 * for blocks of the same number of rows, filled up with zeros; the number is
 * the largest of a few for which this library on this CPU is found to treat
 * all places alike.
 */
#include "kernels/internal.h"

#include <dlfcn.h>
#include <stdlib.h>

#define LARGEST_BLOCK	16

enum
{
	ROW_MAJOR = 101,
	NO_TRANSPOSE = 111,
	TRANSPOSE = 112
};

typedef void (*Sgemm) (int order, int trans_a, int trans_b, int m, int n, int k,
					   float alpha, const float *a, int lda, const float *b, int ldb,
					   float beta, float *c, int ldc);

/*
 * Debian keeps the builds side by side and lets an alternative choose what the
 * plain name means; elsewhere the plain name is the build without threads.
 */
static const char *const names[] = {
#if defined(__x86_64__)
	"/usr/lib/x86_64-linux-gnu/openblas-serial/libopenblas.so.0",
#elif defined(__aarch64__)
	"/usr/lib/aarch64-linux-gnu/openblas-serial/libopenblas.so.0",
#elif defined(__powerpc64__)
	"/usr/lib/powerpc64le-linux-gnu/openblas-serial/libopenblas.so.0",
#elif defined(__s390x__)
	"/usr/lib/s390x-linux-gnu/openblas-serial/libopenblas.so.0",
#endif
	"libopenblas.so.0",
	"libopenblas_serial.so.0",
	"libopenblas.so",
};

static Sgemm sgemm = NULL;
static int	block = 0;			/* rows of a call */

/* C (m, n) = A (m, k) B (n, k)' */
static void
multiply(int m, int n, int k, const float *a, const float *b, float *c)
{
	sgemm(ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE, m, n, k, 1.0f, a, k, b, k, 0.0f, c, n);
}

/* Do equal rows get equal results wherever they stand in a block of that size? */
static bool
places_alike(int rows)
{
	enum {MOST_IN = 1100, MOST_OUT = 130};
	static const int shapes[][2] = {{36, 36}, {51, 36}, {7, 3}, {128, 130}, {300, 65}, {1100, 16}};
	float		a[LARGEST_BLOCK * MOST_IN];
	float		b[20000];
	float		c[LARGEST_BLOCK * MOST_OUT];
	uint32_t	state = 1;

	for (size_t i = 0; i < sizeof(b) / sizeof(b[0]); i++)
	{
		state = state * 1664525u + 1013904223u;
		b[i] = (float) (state >> 8) / 16777216.0f - 0.5f;
	}
	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
	{
		int			in = shapes[s][0];
		int			out = shapes[s][1];

		for (int r = 0; r < rows; r++)
			memcpy(a + r * in, b + 100, in * sizeof(float));
		multiply(rows, out, in, a, b, c);
		for (int r = 1; r < rows; r++)
			if (memcmp(c + r * out, c, out * sizeof(float)) != 0)
				return false;
	}
	return true;
}

/* A build without threads and with 32-bit sizes? */
static bool
acceptable(void *handle)
{
	int			(*get_parallel) (void);
	char	   *(*get_config) (void);

	*(void **) &get_parallel = dlsym(handle, "openblas_get_parallel");
	*(void **) &get_config = dlsym(handle, "openblas_get_config");
	return get_parallel != NULL && get_parallel() == 0 &&
		get_config != NULL && strstr(get_config(), "USE64BITINT") == NULL &&
		dlsym(handle, "cblas_sgemm") != NULL;
}

/*
 * The library does its start-up work while it is being opened.  A build with
 * threads, which is then given back, must not start any: it is told so in the
 * environment, which is put back afterwards.
 */
static void *
open_library(const char *name)
{
	static const char *const variables[] = {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"};
	char		saved[2][32];
	const char *value[2];
	void	   *handle;

	for (int i = 0; i < 2; i++)
	{
		value[i] = getenv(variables[i]);
		if (value[i] != NULL && strlen(value[i]) >= sizeof(saved[i]))
			return NULL;		/* no number of threads */
		if (value[i] != NULL)
			strcpy(saved[i], value[i]);
	}
	for (int i = 0; i < 2; i++)
		setenv(variables[i], "1", 1);
	handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	for (int i = 0; i < 2; i++)
	{
		if (value[i] != NULL)
			setenv(variables[i], saved[i], 1);
		else
			unsetenv(variables[i]);
	}
	if (handle != NULL && !acceptable(handle))
	{
		dlclose(handle);
		handle = NULL;
	}
	return handle;
}

/* Of the sets that have no library to wait for. */
static const AlbertKernels *
fastest_other(void)
{
#ifdef ALBERT_X86_64
	if (albert_kernels_avx512.usable())
		return &albert_kernels_avx512;
	if (albert_kernels_avx2.usable())
		return &albert_kernels_avx2;
#endif
#if defined(__aarch64__)
	if (albert_kernels_neon.usable())
		return &albert_kernels_neon;
#endif
	return albert_kernels_simd128.usable() ? &albert_kernels_simd128 : &albert_kernels_generic;
}

static bool
usable(void)
{
	static const int blocks[] = {16, 8, 4, 1};
	static bool tried = false;
	AlbertKernels *own = &albert_kernels_openblas;
	const AlbertKernels *rest;
	void	   *handle = NULL;

	if (tried)
		return sgemm != NULL;
	tried = true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && handle == NULL; i++)
		handle = open_library(names[i]);
	if (handle == NULL)
		return false;
	*(void **) &sgemm = dlsym(handle, "cblas_sgemm");
	for (int i = 0; i < 4 && block == 0; i++)
		if (places_alike(blocks[i]))
			block = blocks[i];
	rest = fastest_other();
	own->layer_norm = rest->layer_norm;
	own->attention_scratch = rest->attention_scratch;
	own->attention = rest->attention;
	own->activate = rest->activate;
	own->softmax = rest->softmax;
	return true;
}

/* ---- matrices, row by row as they come ---- */

static size_t
packed_size(AlbertPrecision precision, int out, int in)
{
	return (size_t) out * in * sizeof(float);
}

static void
pack(AlbertPrecision precision, int out, int in,
	 int row0, int nrows, const float *rows, void *dst)
{
	memcpy((float *) dst + (size_t) row0 * in, rows, (size_t) nrows * in * sizeof(float));
}

static void
weight_row(const AlbertLinear *linear, int row, float *out)
{
	memcpy(out, (const float *) linear->weight + (size_t) row * linear->in, linear->in * sizeof(float));
}

/* A block of x and a block of results. */
static size_t
linear_scratch(const AlbertLinear *linear, int m)
{
	return (albert_round_up((size_t) LARGEST_BLOCK * linear->in, ALBERT_ALIGN / sizeof(float)) +
			(size_t) LARGEST_BLOCK * linear->out) * sizeof(float);
}

static void
finish_row(const AlbertLinear *linear, AlbertActivation act, float *sums,
		   const float *residual, float *y)
{
	if (linear->bias != NULL)
		for (int j = 0; j < linear->out; j++)
			sums[j] += linear->bias[j];
	albert_kernels_openblas.activate(act, linear->out, sums);
	if (residual != NULL)
		for (int j = 0; j < linear->out; j++)
			sums[j] += residual[j];
	memcpy(y, sums, linear->out * sizeof(float));
}

static void
linear(const AlbertLinear *linear, int m, const float *x, int ldx,
	   AlbertActivation act, const float *residual, int ldr,
	   float *y, int ldy, void *scratch)
{
	int			in = linear->in;
	int			out = linear->out;
	float	   *rows = scratch;
	float	   *sums = rows + albert_round_up((size_t) LARGEST_BLOCK * in, ALBERT_ALIGN / sizeof(float));

	for (int r0 = 0; r0 < m; r0 += block)
	{
		int			n = m - r0 < block ? m - r0 : block;

		for (int r = 0; r < n; r++)
			memcpy(rows + (size_t) r * in, x + (size_t) (r0 + r) * ldx, in * sizeof(float));
		memset(rows + (size_t) n * in, 0, (size_t) (block - n) * in * sizeof(float));
		multiply(block, out, in, rows, linear->weight, sums);
		for (int r = 0; r < n; r++)
			finish_row(linear, act, sums + (size_t) r * out,
					   residual != NULL ? residual + (size_t) (r0 + r) * ldr : NULL,
					   y + (size_t) (r0 + r) * ldy);
	}
}

/* What else a set does is filled in by usable(). */
AlbertKernels albert_kernels_openblas = {
	.name = "openblas",
	.id = ALBERT_KERNELS_OPENBLAS,
	.needs = "the OpenBLAS library, in the build without threads (package libopenblas0-serial on Debian)",
	.usable = usable,
	.fp32_only = true,
	.grain = {2e9, 2e9, 2e9},
	.packed_size = packed_size,
	.pack = pack,
	.weight_row = weight_row,
	.linear_scratch = linear_scratch,
	.linear = linear
};
