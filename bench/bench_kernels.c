/*
 * bench_kernels.c
 *	  How fast the kernel sets are, beside the machine's own peak and plain
 *	  OpenBLAS.  Usage: bench_kernels [set ...]
 *
 * Every figure is the best of many short runs of one thread, in its CPU time:
 * a core that is shared with others still shows now and then what it can do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/internal.h"

#define SECONDS	0.005			/* least time of a run */
#define RUNS	15

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static float *
random_floats(size_t n)
{
	float	   *x = aligned_alloc(64, (n * sizeof(float) + 63) & ~(size_t) 63);

	for (size_t i = 0; i < n; i++)
		x[i] = rand() / (float) RAND_MAX - 0.5f;
	return x;
}

/* seconds a call of f takes; the clock is a system call, so not read every time */
static double
seconds(void (*f) (void *), void *arg)
{
	double		best = INFINITY;
	int			calls = 1;

	for (int run = 0; run < RUNS;)
	{
		double		start = now();
		double		took;

		for (int i = 0; i < calls; i++)
			f(arg);
		took = now() - start;
		if (took < SECONDS)
		{
			calls *= 2;
			continue;
		}
		if (took / calls < best)
			best = took / calls;
		run++;
	}
	return best;
}

/* ---- peak: independent chains of fused multiply-adds in registers ---- */

#if defined(__x86_64__)
#include <immintrin.h>

#define CHAINS	12
#define STEPS	200000

static volatile float sink;

#define PEAK(name, isa, type, lanes, set, fma) \
static __attribute__((target(isa))) void \
name(void *arg) \
{ \
	type		r[CHAINS]; \
	type		x = set(0.999f); \
	type		y = set(0.001f); \
	float		out[lanes]; \
 \
	for (int i = 0; i < CHAINS; i++) \
		r[i] = set(i); \
	for (int k = 0; k < STEPS; k++) \
	{ \
		UNROLL \
		for (int i = 0; i < CHAINS; i++) \
			r[i] = fma(r[i], x, y); \
	} \
	for (int i = 0; i < CHAINS; i++) \
	{ \
		memcpy(out, &r[i], sizeof(out)); \
		sink += out[0]; \
	} \
}

PEAK(peak256, "avx2,fma", __m256, 8, _mm256_set1_ps, _mm256_fmadd_ps)
PEAK(peak512, "avx512f", __m512, 16, _mm512_set1_ps, _mm512_fmadd_ps)

static double
print_peak(void)
{
	double		peak = 0;

	if (__builtin_cpu_supports("avx2"))
		printf("FMA peak, 256 bits: %.0f GFLOP/s\n",
			   peak = 2e-9 * CHAINS * 8 * STEPS / seconds(peak256, NULL));
	if (__builtin_cpu_supports("avx512f"))
		printf("FMA peak, 512 bits: %.0f GFLOP/s\n",
			   peak = 2e-9 * CHAINS * 16 * STEPS / seconds(peak512, NULL));
	return peak;
}
#else
static double
print_peak(void)
{
	return 0;
}
#endif

/* ---- matrix products ---- */

typedef void (*Sgemm) (int order, int trans_a, int trans_b, int m, int n, int k,
					   float alpha, const float *a, int lda, const float *b, int ldb,
					   float beta, float *c, int ldc);

static Sgemm
find_sgemm(void)
{
	void	   *handle = dlopen("/usr/lib/x86_64-linux-gnu/openblas-serial/libopenblas.so.0", RTLD_NOW);

	if (handle == NULL)
		handle = dlopen("libopenblas.so.0", RTLD_NOW);
	return handle == NULL ? NULL : (Sgemm) dlsym(handle, "cblas_sgemm");
}

typedef struct Product
{
	const AlbertKernels *kernels;
	Sgemm		sgemm;
	AlbertLinear linear;
	AlbertActivation act;
	const float *w;
	int			m;
	const float *x;
	float	   *y;
	void	   *scratch;
} Product;

static void
run_product(void *arg)
{
	Product    *p = arg;

	if (p->sgemm != NULL)
		p->sgemm(101, 111, 112, p->m, p->linear.out, p->linear.in, 1.0f, p->x, p->linear.in,
				 p->w, p->linear.in, 0.0f, p->y, p->linear.out);
	else
		p->kernels->linear(&p->linear, p->m, p->x, p->linear.in, p->act, NULL, 0,
						   p->y, p->linear.out, p->scratch);
}

static void
bench_shape(const AlbertKernels *const *sets, int nsets, int in, int out,
			AlbertActivation act, double peak)
{
	static const int rows[] = {1, 2, 4, 8, 16, 24, 32, 64, 128, 256, 512};
	enum {NROWS = sizeof(rows) / sizeof(rows[0])};
	float	   *w = random_floats((size_t) in * out);
	float	   *x = random_floats((size_t) in * rows[NROWS - 1]);
	float	   *bias = random_floats(out);
	float	   *y = random_floats((size_t) out * rows[NROWS - 1]);

	printf("\n%d -> %d, activation %d; GFLOP/s by rows\n%-18s", in, out, act, "");
	for (int i = 0; i < NROWS; i++)
		printf("%7d", rows[i]);
	printf("\n");
	for (int s = -1; s < nsets * 3; s++)
	{
		Product		p = {0};
		char		name[64];

		p.linear.in = in;
		p.linear.out = out;
		p.linear.bias = bias;
		p.act = act;
		p.w = w;
		p.x = x;
		p.y = y;
		if (s < 0)
		{
			p.sgemm = find_sgemm();
			if (p.sgemm == NULL)
				continue;
			strcpy(name, "(plain OpenBLAS)");
		}
		else
		{
			size_t		size;
			void	   *packed;

			p.kernels = sets[s / 3];
			p.linear.precision = (AlbertPrecision) (s % 3);
			if (!AlbertKernelsHave(p.kernels, p.linear.precision))
				continue;
			snprintf(name, sizeof(name), "%s %s", p.kernels->name, AlbertPrecisionName(p.linear.precision));
			size = p.kernels->packed_size(p.linear.precision, out, in);
			packed = aligned_alloc(64, (size + 63) & ~(size_t) 63);
			memset(packed, 0, size);
			p.kernels->pack(p.linear.precision, out, in, 0, out, w, packed);
			p.linear.weight = packed;
			p.scratch = aligned_alloc(64, (p.kernels->linear_scratch(&p.linear, rows[NROWS - 1]) + 127) & ~(size_t) 63);
		}
		printf("%-18s", name);
		for (int i = 0; i < NROWS; i++)
		{
			p.m = rows[i];
			printf("%7.1f", 2e-9 * p.m * in * out / seconds(run_product, &p));
			fflush(stdout);
		}
		if (s >= 0 && s % 3 == 0 && peak > 0)
			printf("   %.0f%% of peak", 200e-9 * p.m * in * out / seconds(run_product, &p) / peak);
		printf("\n");
		free((void *) p.linear.weight);
		free(p.scratch);
	}
	free(w);
	free(x);
	free(bias);
	free(y);
}

/* ---- the rest ---- */

typedef struct Other
{
	const AlbertKernels *kernels;
	AlbertActivation act;
	AlbertPrecision precision;
	int			len;
	int			nq;
	float	   *qkv;
	float	   *out;
	void	   *scratch;
} Other;

#define HIDDEN	768
#define HEADS	12
#define VALUES	1024			/* few enough to stay in L1 */

static void
run_attention(void *arg)
{
	Other	   *o = arg;

	o->kernels->attention(o->precision, o->len, HIDDEN, HEADS, o->nq, o->qkv, o->qkv + HIDDEN, 3 * HIDDEN,
						  o->out, HIDDEN, NULL, o->scratch);
}

static void
run_activate(void *arg)
{
	Other	   *o = arg;

	memcpy(o->out, o->qkv, VALUES * sizeof(float));
	o->kernels->activate(o->act, VALUES, o->out);
}

static void
run_softmax(void *arg)
{
	Other	   *o = arg;

	memcpy(o->out, o->qkv, VALUES * sizeof(float));
	o->kernels->softmax(VALUES, o->out);
}

static void
run_layer_norm(void *arg)
{
	Other	   *o = arg;

	memcpy(o->out, o->qkv, HIDDEN * sizeof(float));
	o->kernels->layer_norm(1, HIDDEN, o->out, HIDDEN, o->qkv, o->qkv + HIDDEN, 1e-12f);
}

static void
bench_others(const AlbertKernels *kernels)
{
	static const int lengths[] = {8, 16, 32, 64, 128, 256, 512};
	Other		o = {.kernels = kernels};

	o.qkv = random_floats(512 * 3 * HIDDEN);
	o.out = random_floats(512 * HIDDEN);
	o.scratch = aligned_alloc(64, (kernels->attention_scratch(ALBERT_FP32, 512, HIDDEN, HEADS) + 127) & ~(size_t) 63);
	printf("\n%s", kernels->name);
	for (o.precision = ALBERT_FP32; o.precision <= ALBERT_BF16; o.precision++)
	{
		if (!AlbertKernelsHave(kernels, o.precision))
			continue;
		printf("\n  attention, %s, 12 heads of 64, GFLOP/s by length:", AlbertPrecisionName(o.precision));
		for (int i = 0; i < 7; i++)
		{
			o.len = o.nq = lengths[i];
			printf("  %d: %.1f", o.len, 4e-9 * o.len * o.len * HIDDEN / seconds(run_attention, &o));
		}
		o.nq = 1;
		printf("\n  attention, %s, 1 query of 512: %.1f us", AlbertPrecisionName(o.precision),
			   1e6 * seconds(run_attention, &o));
	}
	printf("\n  ns a value: gelu %.2f", (o.act = ALBERT_ACT_GELU, 1e9 / VALUES * seconds(run_activate, &o)));
	printf(", gelu_new %.2f", (o.act = ALBERT_ACT_GELU_NEW, 1e9 / VALUES * seconds(run_activate, &o)));
	printf(", tanh %.2f", (o.act = ALBERT_ACT_TANH, 1e9 / VALUES * seconds(run_activate, &o)));
	printf(", softmax %.2f", 1e9 / VALUES * seconds(run_softmax, &o));
	printf(", layer_norm %.2f\n", 1e9 / HIDDEN * seconds(run_layer_norm, &o));
	free(o.qkv);
	free(o.out);
	free(o.scratch);
}

int
main(int argc, char **argv)
{
	const AlbertKernels *sets[16];
	int			nsets = 0;
	double		peak = print_peak();

	for (int i = 0; AlbertKernelsAt(i) != NULL; i++)
	{
		const AlbertKernels *set = AlbertKernelsAt(i);
		bool		wanted = argc == 1;

		for (int a = 1; a < argc; a++)
			wanted = wanted || strcmp(argv[a], set->name) == 0;
		if (wanted && set->usable())
			sets[nsets++] = set;
	}
	bench_shape(sets, nsets, 768, 768, ALBERT_ACT_NONE, peak);
	bench_shape(sets, nsets, 768, 3072, ALBERT_ACT_NONE, peak);
	bench_shape(sets, nsets, 768, 3072, ALBERT_ACT_GELU_NEW, peak);
	bench_shape(sets, nsets, 3072, 768, ALBERT_ACT_NONE, peak);
	for (int i = 0; i < nsets; i++)
		bench_others(sets[i]);
	return 0;
}
