/*
 * test_kernels.c
 *	  Every kernel set that this machine can run, against double precision and
 *	  against itself: a row's result must be the same bits whatever is computed
 *	  with it.
 *
 * Tolerances for sums: an fp32 chain of n terms may be off by a few roundings
 * plus a random walk over the chain, TOLERANCE(n) times the sum of the terms'
 * magnitudes.  bf16 and int8 are held to the same, after the reference has
 * rounded its inputs as kernels.h says; the int8 sums themselves are exact.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "kernels/internal.h"
#include "amx_emulated.h"
#include "unit.h"

#define TOLERANCE(n)	(5.97e-8 * (4.0 + sqrt((double) (n))))
#define ACTIVATION_TOLERANCE	2.5e-7	/* absolute below 1, relative above */
#define CANARY			12345.678f

#define MAX_SETS		8

static const AlbertKernels *sets[MAX_SETS];
static int	nsets = 0;
static const AlbertKernels *k;	/* the set under test */

static const AlbertPrecision precisions[] = {ALBERT_FP32, ALBERT_BF16, ALBERT_INT8};

/* ---- numbers and memory ---- */

static uint64_t random_state = 88172645463325252ull;

static uint32_t
random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t) (random_state >> 16);
}

/* in -1 .. 1, not quite uniform so that neighbouring magnitudes differ */
static float
random_float(void)
{
	float		x = (float) random_bits() / 2147483648.0f - 1.0f;

	return x * x * x + 0.1f * x;
}

static int
random_below(int n)
{
	return (int) (random_bits() % (uint32_t) n);
}

/* Of exactly that size, so that a sanitizer or valgrind sees a byte too far. */
static void *
get(size_t size)
{
	void	   *p = NULL;

	if (posix_memalign(&p, ALBERT_ALIGN, size == 0 ? 1 : size) != 0)
		abort();
	return p;
}

static float *
random_floats(size_t n)
{
	float	   *x = get(n * sizeof(float));

	for (size_t i = 0; i < n; i++)
		x[i] = random_float();
	return x;
}

static bool
same_bits(const float *a, const float *b, int n)
{
	return memcmp(a, b, n * sizeof(float)) == 0;
}

/* ---- linear layers ---- */

typedef struct Case
{
	AlbertLinear linear;
	float	   *w;				/* as given to pack */
	float	   *bias;
	void	   *packed;
} Case;

static Case
make_case(AlbertPrecision precision, int out, int in, bool with_bias)
{
	Case		c = {.linear = {in, out, precision, NULL, NULL}};
	size_t		size = k->packed_size(precision, out, in);
	int			left = out;

	c.w = random_floats((size_t) out * in);
	c.bias = with_bias ? random_floats(out) : NULL;
	c.packed = get(size);
	memset(c.packed, 0, size);
	while (left > 0)			/* from the end, in uneven portions */
	{
		int			n = 1 + random_below(left < 40 ? left : 40);

		left -= n;
		k->pack(precision, out, in, left, n, c.w + (size_t) left * in, c.packed);
	}
	c.linear.weight = c.packed;
	c.linear.bias = c.bias;
	return c;
}

static void
free_case(Case *c)
{
	free(c->w);
	free(c->bias);
	free(c->packed);
}

static void
run_linear(const Case *c, int m, const float *x, int ldx, AlbertActivation act,
		   const float *residual, int ldr, float *y, int ldy)
{
	void	   *scratch = get(k->linear_scratch(&c->linear, m));

	k->linear(&c->linear, m, x, ldx, act, residual, ldr, y, ldy, scratch);
	free(scratch);
}

/* Quantisation of a row of activations, written down a second time: q without its zero. */
static double
quantised_row(const float *x, int n, int *q)
{
	float		lowest = 0;
	float		highest = 0;
	float		scale;
	int			zero;

	for (int i = 0; i < n; i++)
	{
		lowest = fminf(lowest, x[i]);
		highest = fmaxf(highest, x[i]);
	}
	memset(q, 0, n * sizeof(int));
	scale = highest / 255.0f - lowest / 255.0f;
	if (scale < 1e-32f)
		return 0;
	zero = (int) rintf(-lowest * (1.0f / scale));
	for (int i = 0; i < n; i++)
	{
		q[i] = zero + (int) rintf(x[i] * (1.0f / scale));
		q[i] = (q[i] > 255 ? 255 : q[i]) - zero;
	}
	return scale;
}

/* Does the set sum int8 products in 16 bits, so that its weights are rounded for that?  (internal.h) */
static bool
int8_is_narrow(void)
{
#ifdef ALBERT_X86_64
	if (strcmp(k->name, "avx512") == 0)
		return !albert_cpu_has(ALBERT_CPU_AVX512_VNNI);
#endif
	return strcmp(k->name, "avx2") == 0;
}

/* The same of a channel of weights. */
static double
quantised_weights(const float *w, int n, int *q)
{
	float		largest = 0;

	for (int i = 0; i < n; i++)
		largest = fmaxf(largest, fabsf(w[i]));
	for (int first = 0; first < n && int8_is_narrow(); first += first % 8 == 0 ? 2 : 6)
	{
		float		above = 0;
		float		below = 0;

		for (int j = 0; j < 4; j++)
		{
			int			i = first + (j & 1) + 2 * (j & 2);

			above += i < n ? fmaxf(w[i], 0) : 0;
			below += i < n ? fmaxf(-w[i], 0) : 0;
		}
		largest = fmaxf(largest, fmaxf(above, below) * (127.0f / 126.0f));
	}
	for (int i = 0; i < n; i++)
		q[i] = largest < 1e-30f ? 0 : (int) rintf(w[i] * (127.0f / largest));
	return largest < 1e-30f ? 0 : largest / 127.0f;
}

static double
bf16_value(float x)
{
	uint32_t	bits;

	memcpy(&bits, &x, 4);
	bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u;
	memcpy(&x, &bits, 4);
	return x;
}

static double
reference_activation(AlbertActivation act, double x)
{
	switch (act)
	{
		case ALBERT_ACT_GELU:
			return 0.5 * x * erfc(-x / sqrt(2.0));
		case ALBERT_ACT_GELU_NEW:
			return 0.5 * x * (1.0 + tanh(sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
		case ALBERT_ACT_RELU:
			return x > 0 ? x : 0;
		case ALBERT_ACT_SILU:
			return x / (1.0 + exp(-x));
		case ALBERT_ACT_TANH:
			return tanh(x);
		case ALBERT_ACT_NONE:
			break;
	}
	return x;
}

/* x row times channel j, and how large the terms are */
static double
reference_product(const Case *c, const float *x, int j, double *magnitude)
{
	int			in = c->linear.in;
	const float *w = c->w + (size_t) j * in;
	double		sum = 0;

	*magnitude = 0;
	if (c->linear.precision == ALBERT_INT8)
	{
		int		   *qx = get(in * sizeof(int));
		int		   *qw = get(in * sizeof(int));
		double		scale = quantised_row(x, in, qx) * quantised_weights(w, in, qw);
		int64_t		total = 0;

		for (int i = 0; i < in; i++)
			total += qx[i] * qw[i];
		free(qx);
		free(qw);
		*magnitude = fabs(total * scale);
		return total * scale;
	}
	for (int i = 0; i < in; i++)
	{
		double		term = c->linear.precision == ALBERT_BF16 ?
			bf16_value(x[i]) * bf16_value(w[i]) : (double) x[i] * w[i];

		sum += term;
		*magnitude += fabs(term);
	}
	return sum;
}

static void
check_linear(AlbertPrecision precision, int m, int out, int in, bool with_bias,
			 AlbertActivation act, bool with_residual, bool in_place)
{
	Case		c = make_case(precision, out, in, with_bias);
	int			ldx = in + random_below(3);
	int			ldy = out + random_below(3);
	int			ldr = in_place ? ldy : out + random_below(5);
	float	   *x = random_floats((size_t) m * ldx);
	float	   *y = get((size_t) m * ldy * sizeof(float));
	float	   *residual = random_floats((size_t) m * ldr);
	double		worst = 0;
	bool		canaries = true;

	for (int i = 0; i < m * ldy; i++)
		y[i] = CANARY;
	if (in_place)
		for (int r = 0; r < m; r++)
			memcpy(y + (size_t) r * ldy, residual + (size_t) r * ldr, out * sizeof(float));
	run_linear(&c, m, x, ldx, act, with_residual ? in_place ? y : residual : NULL, ldr, y, ldy);
	for (int r = 0; r < m; r++)
	{
		/* all columns of a few rows, a few columns of all rows */
		int			step = m <= 8 || r % 7 == 0 ? 1 : 1 + out / 5;

		for (int j = 0; j < out; j += step)
		{
			double		magnitude;
			double		sum = reference_product(&c, x + (size_t) r * ldx, j, &magnitude);
			double		add = with_residual ? residual[(size_t) r * ldr + j] : 0;
			double		value;
			double		error;

			if (with_bias)
				sum += c.bias[j];
			value = reference_activation(act, sum) + add;
			error = fabs(y[(size_t) r * ldy + j] - value) /
				(magnitude * TOLERANCE(in) + 5e-7 * (fabs(sum) + fabs(add)) +
				 (act == ALBERT_ACT_NONE ? 1e-9 : ACTIVATION_TOLERANCE));
			if (!(error <= worst))
				worst = error;
		}
		for (int j = out; j < ldy; j++)
			canaries = canaries && y[(size_t) r * ldy + j] == CANARY;
	}
	CHECK(worst <= 1.0, "%s %s m=%d out=%d in=%d bias=%d act=%d residual=%d: error %.3g times the tolerance",
		  k->name, AlbertPrecisionName(precision), m, out, in, with_bias, act, with_residual, worst);
	CHECK(canaries, "%s %s m=%d out=%d in=%d: wrote past a row", k->name,
		  AlbertPrecisionName(precision), m, out, in);
	free(residual);
	free(y);
	free(x);
	free_case(&c);
}

static void
test_linear(AlbertPrecision precision)
{
	static const int shapes[][2] = {
		{1, 1}, {2, 36}, {3, 7}, {5, 768}, {16, 16}, {17, 33}, {19, 36}, {32, 64}, {33, 3},
		{36, 19}, {36, 36}, {51, 36}, {36, 51}, {64, 128}, {65, 129}, {72, 36}, {96, 1027},
		{128, 100}, {40, 2051}, {31, 4103}, {100, 768}
	};
	static const int rows[] = {1, 2, 3, 5, 6, 7, 8, 13, 14, 15, 16, 29, 43, 113, 130};
	int			n = sizeof(shapes) / sizeof(shapes[0]);

	for (int s = 0; s < n; s++)
		for (int i = 0; i < 15; i++)
		{
			int			variant = s + i;

			if ((rows[i] > 43 && s % 4 != 0) || (UNIT_IS_EMULATED && s % 3 != i % 3))
				continue;
			check_linear(precision, rows[i], shapes[s][0], shapes[s][1], variant % 3 != 0,
						 (AlbertActivation) (variant % 6), variant % 2, variant % 4 == 3);
		}
}

/* A row alone, in batches of every size at every place, among strange neighbours. */
static void
test_identity(AlbertPrecision precision, int out, int in, int most)
{
	Case		c = make_case(precision, out, in, true);
	float	   *x = random_floats((size_t) most * in);
	float	   *alone = get((size_t) most * out * sizeof(float));
	float	   *y = get((size_t) most * out * sizeof(float));
	float	   *mixed = get((size_t) most * in * sizeof(float));
	int			different = 0;

	for (int r = 0; r < most; r++)
		run_linear(&c, 1, x + (size_t) r * in, in, ALBERT_ACT_GELU_NEW, NULL, 0,
				   alone + (size_t) r * out, out);
	for (int m = 1; m <= most; m++)
	{
		int			from = random_below(most - m + 1);

		run_linear(&c, m, x + (size_t) from * in, in, ALBERT_ACT_GELU_NEW, NULL, 0, y, out);
		for (int r = 0; r < m; r++)
			different += !same_bits(y + (size_t) r * out, alone + (size_t) (from + r) * out, out);
	}
	CHECK(different == 0, "%s %s out=%d in=%d: %d rows depend on the batch size",
		  k->name, AlbertPrecisionName(precision), out, in, different);

	different = 0;
	for (int place = 0; place < most; place++)
	{
		int			r = random_below(most);

		for (int i = 0; i < most * in; i++)
			mixed[i] = i / in == place ? x[(size_t) r * in + i % in] :
				i % 97 == 0 ? NAN : i % 89 == 0 ? INFINITY : i % 5 == 0 ? 1e37f : 1e-40f;
		run_linear(&c, most, mixed, in, ALBERT_ACT_GELU_NEW, NULL, 0, y, out);
		different += !same_bits(y + (size_t) place * out, alone + (size_t) r * out, out);
	}
	CHECK(different == 0, "%s %s out=%d in=%d: %d rows depend on their neighbours",
		  k->name, AlbertPrecisionName(precision), out, in, different);
	free(mixed);
	free(y);
	free(alone);
	free(x);
	free_case(&c);
}

/* Rows of weights, and int8 products, whose sums are exact: the same bits from every set. */
static void
test_exact(AlbertPrecision precision, int out, int in)
{
	enum {M = 9};
	Case		c = make_case(precision, out, in, true);
	float	   *x = random_floats((size_t) M * in);
	float	   *y = get((size_t) M * out * sizeof(float));
	float	   *row = get(in * sizeof(float));
	int		   *qx = get((size_t) M * in * sizeof(int));
	int		   *qw = get(in * sizeof(int));
	float		x_scale[M];
	int			different_rows = 0;
	int			different = 0;

	memset(x, 0, in * sizeof(float));	/* a row of zeros has no scale */
	run_linear(&c, M, x, in, ALBERT_ACT_NONE, NULL, 0, y, out);
	for (int r = 0; r < M; r++)
		x_scale[r] = (float) quantised_row(x + (size_t) r * in, in, qx + (size_t) r * in);
	for (int j = 0; j < out; j++)
	{
		const float *w = c.w + (size_t) j * in;
		float		w_scale = (float) quantised_weights(w, in, qw);

		k->weight_row(&c.linear, j, row);
		for (int i = 0; i < in; i++)
			different_rows += row[i] != (precision == ALBERT_FP32 ? w[i] :
										 precision == ALBERT_BF16 ? (float) bf16_value(w[i]) : qw[i] * w_scale);
		for (int r = 0; r < M && precision == ALBERT_INT8; r++)
		{
			int32_t		sum = 0;
			float		expected;

			for (int i = 0; i < in; i++)
				sum += qx[(size_t) r * in + i] * qw[i];
			expected = (float) sum * (x_scale[r] * w_scale);
			expected += c.bias[j];
			different += y[(size_t) r * out + j] != expected;
		}
	}
	CHECK(different_rows == 0, "%s %s: %d of %d weights of %d rows differ", k->name, AlbertPrecisionName(precision),
		  different_rows, out * in, out);
	CHECK(different == 0, "%s int8: %d products of %d x %d differ", k->name, different, out, in);
	free(qw);
	free(qx);
	free(row);
	free(y);
	free(x);
	free_case(&c);
}

/*
 * Sums at their limit: rows of 255 and the largest weights there are.  What is
 * summed in 16 bits must not overflow there.
 */
static void
test_int8_limits(void)
{
	enum {IN = 64, OUT = 40, M = 9};
	float		w[OUT * IN];
	float		x[M * IN];
	Case		c = {.linear = {IN, OUT, ALBERT_INT8, NULL, NULL}, .w = w};
	size_t		size = k->packed_size(ALBERT_INT8, OUT, IN);
	float		y[M * OUT];
	double		worst = 0;

	for (int j = 0; j < OUT; j++)
		for (int i = 0; i < IN; i++)
			w[j * IN + i] = (j % 3 == 0 ? 1.0f : j % 3 == 1 ? -1.0f : i >> (j % 4) & 1 ? 1.0f : -1.0f) *
				(j % 2 && i % 16 != j % 16 ? 1e-3f : 1.0f);
	for (int i = 0; i < M * IN; i++)
		x[i] = i / IN % 3 == 0 ? 1.0f : i / IN % 3 == 1 ? (i % 2 ? 1.0f : 0.0f) : (i % 4 ? 1.0f : -0.001f);
	c.packed = memset(get(size), 0, size);
	k->pack(ALBERT_INT8, OUT, IN, 0, OUT, w, c.packed);
	c.linear.weight = c.packed;
	run_linear(&c, M, x, IN, ALBERT_ACT_NONE, NULL, 0, y, OUT);
	for (int r = 0; r < M; r++)
		for (int j = 0; j < OUT; j++)
		{
			double		magnitude;
			double		product = reference_product(&c, x + r * IN, j, &magnitude);

			worst = fmax(worst, fabs(y[r * OUT + j] - product) / (magnitude * TOLERANCE(IN) + 1e-9));
		}
	CHECK(worst <= 1.0, "%s int8: products of the largest values off by %.3g times the tolerance", k->name, worst);
	free(c.packed);
}

/* What is not a number must show in its own row, nowhere else, and stop nothing. */
static void
test_strange_values(AlbertPrecision precision)
{
	enum {IN = 70, OUT = 45, M = 11};
	Case		c = make_case(precision, OUT, IN, true);
	float	   *x = random_floats(M * IN);
	float	   *clean = get(M * OUT * sizeof(float));
	float	   *y = get(M * OUT * sizeof(float));
	int			nan_lost = 0;
	int			spread = 0;

	run_linear(&c, M, x, IN, ALBERT_ACT_NONE, NULL, 0, clean, OUT);
	x[3 * IN + 69] = NAN;
	x[7 * IN + 1] = INFINITY;
	x[7 * IN + 2] = -INFINITY;
	x[8 * IN] = 3e38f;
	x[8 * IN + 1] = 3e38f;
	memset(x + 9 * IN, 0, IN * sizeof(float));
	for (int i = 0; i < IN; i++)
		x[10 * IN + i] *= 1e-38f;
	run_linear(&c, M, x, IN, ALBERT_ACT_NONE, NULL, 0, y, OUT);
	for (int r = 0; r < M; r++)
		for (int j = 0; j < OUT; j++)
		{
			float		value = y[r * OUT + j];

			if (r == 3)
				nan_lost += !isnan(value);
			else if (r == 7)
				nan_lost += isfinite(value);
			else if (r == 9 || r == 10)
				spread += !(fabsf(value - c.bias[j]) <= 1e-30f);
			else if (r != 8)
				spread += value != clean[r * OUT + j];
		}
	CHECK(nan_lost == 0, "%s %s: %d results hide a NaN or infinity", k->name,
		  AlbertPrecisionName(precision), nan_lost);
	CHECK(spread == 0, "%s %s: %d results changed by other rows or wrong for zeros", k->name,
		  AlbertPrecisionName(precision), spread);
	free(y);
	free(clean);
	free(x);
	free_case(&c);
}

/* ---- functions of one value ---- */

static void
test_activation(AlbertActivation act, double tolerance)
{
	enum {N = 200003};
	float	   *x = get(N * sizeof(float));
	float	   *y = get(N * sizeof(float));
	double		worst = 0;
	float		at = 0;
	int			different = 0;
	float		special[] = {INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 0.0f, -0.0f, 1e-42f, -1e-30f, 1e10f, -1e10f};
	int			nspecial = sizeof(special) / sizeof(float);

	for (int i = 0; i < N; i++)
		x[i] = (i - N / 2) * (1e-4f + 1e-9f * (i % 7)) * (i % 3 == 0 ? 1.0f : i % 3 == 1 ? 0.1f : 2.5f);
	memcpy(y, x, N * sizeof(float));
	k->activate(act, N, y);
	for (int i = 0; i < N; i++)
	{
		double		error = fabs(y[i] - reference_activation(act, x[i])) / fmax(1.0, fabs(x[i]));

		if (!(error <= worst))
		{
			worst = error;
			at = x[i];
		}
	}
	CHECK(worst <= tolerance, "%s activation %d: error %.3g at %g", k->name, act, worst, at);
	printf("  %-9s activation %d: largest error %.2e\n", k->name, act, worst);

	/* the same bits for any length and place */
	for (int n = 1; n < 70; n++)
	{
		float	   *z = get(n * sizeof(float));

		memcpy(z, x + N / 2 - 30, n * sizeof(float));
		k->activate(act, n, z);
		different += !same_bits(z, y + N / 2 - 30, n);
		free(z);
	}
	CHECK(different == 0, "%s activation %d depends on length or place", k->name, act);

	k->activate(act, nspecial, special);
	CHECK(isnan(special[2]), "%s activation %d hides a NaN", k->name, act);
	CHECK(special[0] == (act == ALBERT_ACT_TANH ? 1.0f : INFINITY), "%s activation %d of infinity: %g",
		  k->name, act, special[0]);
	CHECK(fabsf(special[1] - (act == ALBERT_ACT_TANH ? -1.0f : 0.0f)) < 1e-7,
		  "%s activation %d of -infinity: %g", k->name, act, special[1]);
	CHECK(special[3] == (act == ALBERT_ACT_TANH ? 1.0f : 3e38f), "%s activation %d of 3e38: %g",
		  k->name, act, special[3]);
	CHECK(fabsf(special[4] - (act == ALBERT_ACT_TANH ? -1.0f : 0.0f)) < 1e-7,
		  "%s activation %d of -3e38: %g", k->name, act, special[4]);
	CHECK(special[5] == 0 && special[6] == 0 && fabsf(special[7]) < 1e-41f && fabsf(special[8]) <= 1e-30f,
		  "%s activation %d near 0: %g %g %g %g", k->name, act, special[5], special[6], special[7], special[8]);
	free(y);
	free(x);
}

static void
check_softmax(int n, float spread, float offset)
{
	float	   *x = random_floats(n);
	float	   *y = get(n * sizeof(float));
	double		largest = -INFINITY;
	double		sum = 0;
	double		worst = 0;

	for (int i = 0; i < n; i++)
	{
		x[i] = x[i] * spread + offset;
		largest = fmax(largest, x[i]);
	}
	memcpy(y, x, n * sizeof(float));
	k->softmax(n, y);
	for (int i = 0; i < n; i++)
		sum += exp(x[i] - largest);
	for (int i = 0; i < n; i++)
	{
		double		p = exp(x[i] - largest) / sum;

		/* the difference to the largest is rounded to fp32 before the exponential */
		worst = fmax(worst, fabs(y[i] - p) /
					 (p * (6e-7 + TOLERANCE(n) + 1.2e-7 * fabs(x[i] - largest)) + 2e-38));
	}
	CHECK(worst <= 1.0, "%s softmax of %d, spread %g: error %.3g times the tolerance",
		  k->name, n, spread, worst);
	free(y);
	free(x);
}

static void
test_softmax(void)
{
	float		x[41];

	for (int n = 1; n < 75; n++)
		check_softmax(n, 5, 0);
	check_softmax(512, 20, 100);
	check_softmax(511, 300, -1000);
	check_softmax(2000, 1e-3f, 0);
	for (int place = 0; place < 41; place++)
	{
		bool		good = true;

		for (int i = 0; i < 41; i++)
			x[i] = i == place ? 2.0f : -1e30f;
		k->softmax(41, x);
		for (int i = 0; i < 41; i++)
			good = good && x[i] == (i == place ? 1.0f : 0.0f);
		CHECK(good, "%s softmax with all but %d masked", k->name, place);

		for (int i = 0; i < 41; i++)
			x[i] = i == place ? NAN : 1.0f;
		k->softmax(41, x);
		for (int i = 0; i < 41; i++)
			good = good && isnan(x[i]);
		CHECK(good, "%s softmax hides the NaN at %d", k->name, place);
	}
	for (int i = 0; i < 41; i++)
		x[i] = i % 2 ? -1e30f : -INFINITY;
	k->softmax(41, x);
	CHECK(x[0] == 0.0f && fabsf(x[1] - 1.0f / 20) < 1e-7f, "%s softmax of -1e30 and -infinity: %g %g",
		  k->name, x[0], x[1]);
	for (int i = 0; i < 41; i++)
		x[i] = i == 7 ? INFINITY : 0.0f;
	k->softmax(41, x);
	CHECK(isnan(x[7]), "%s softmax of infinity: %g", k->name, x[7]);
}

static void
check_layer_norm(int m, int n, float spread, float offset)
{
	int			ldx = n + random_below(4);
	float	   *x = random_floats((size_t) m * ldx);
	float	   *y = get((size_t) m * ldx * sizeof(float));
	float	   *weight = random_floats(n);
	float	   *bias = random_floats(n);
	double		worst = 0;
	bool		canaries = true;
	int			different = 0;

	for (int i = 0; i < m * ldx; i++)
		x[i] = i % ldx < n ? x[i] * spread + offset : CANARY;
	memcpy(y, x, (size_t) m * ldx * sizeof(float));
	k->layer_norm(m, n, y, ldx, weight, bias, 1e-12f);
	for (int r = 0; r < m; r++)
	{
		const float *row = x + (size_t) r * ldx;
		float	   *single = get(n * sizeof(float));
		double		mean = 0;
		double		variance = 0;

		for (int i = 0; i < n; i++)
			mean += (double) row[i] / n;
		for (int i = 0; i < n; i++)
			variance += (row[i] - mean) * (row[i] - mean) / n;
		for (int i = 0; i < n; i++)
		{
			double		z = (row[i] - mean) / sqrt(variance + 1e-12);

			/* the mean is rounded to fp32, which counts when it is large beside the deviations */
			worst = fmax(worst, fabs(y[(size_t) r * ldx + i] - (z * weight[i] + bias[i])) /
						 (1e-6 * (1 + fabs(z)) + 4 * TOLERANCE(n) * fabs(mean) / sqrt(variance + 1e-12)));
		}
		for (int i = n; i < ldx; i++)
			canaries = canaries && y[(size_t) r * ldx + i] == CANARY;
		memcpy(single, row, n * sizeof(float));
		k->layer_norm(1, n, single, n, weight, bias, 1e-12f);
		different += !same_bits(single, y + (size_t) r * ldx, n);
		free(single);
	}
	CHECK(worst <= 1.0, "%s layer_norm m=%d n=%d spread=%g: error %.3g times the tolerance",
		  k->name, m, n, spread, worst);
	CHECK(canaries && different == 0, "%s layer_norm m=%d n=%d: past the row, or dependent on the batch",
		  k->name, m, n);
	free(bias);
	free(weight);
	free(y);
	free(x);
}

static void
test_layer_norm(void)
{
	static const int widths[] = {2, 3, 7, 8, 9, 15, 16, 17, 19, 31, 32, 33, 36, 51, 64, 128, 312, 768, 1024, 4096};

	for (int i = 0; i < 20; i++)
	{
		check_layer_norm(1 + i % 5, widths[i], 1, 0);
		check_layer_norm(3, widths[i], 30, 100);
	}
}

/* ---- attention ---- */

typedef struct Text
{
	int			len;
	int			hidden;
	int			heads;
	int			ld;
	float	   *qkv;
	AlbertPrecision precision;
} Text;

static void
run_attention(const Text *t, int nq, const float *q, float *context, int ldc, float *probs)
{
	void	   *scratch = get(k->attention_scratch(t->precision, t->len, t->hidden, t->heads));

	k->attention(t->precision, t->len, t->hidden, t->heads, nq, q, t->qkv + t->hidden, t->ld,
				 context, ldc, probs, scratch);
	free(scratch);
}

/* Largest error of a context row, and of its probabilities, in units of the tolerance. */
static double
attention_error(const Text *t, int head, int q_row, const float *context, const float *probs)
{
	int			size = t->hidden / t->heads;
	const float *q = t->qkv + (size_t) q_row * t->ld + head * size;
	double	   *p = get(t->len * sizeof(double));
	double		largest = -INFINITY;
	double		sum = 0;
	double		magnitude = 0;
	double		worst = 0;
	double		rounded = t->precision == ALBERT_FP32 ? 0 : 0x1p-7;	/* a product of two bf16 */

	for (int j = 0; j < t->len; j++)
	{
		const float *key = t->qkv + (size_t) j * t->ld + t->hidden + head * size;
		double		m = 0;

		p[j] = 0;
		for (int d = 0; d < size; d++)
		{
			p[j] += (double) q[d] * key[d] / sqrt(size);
			m += fabs((double) q[d] * key[d]) / sqrt(size);
		}
		magnitude = fmax(magnitude, m);
		largest = fmax(largest, p[j]);
	}
	for (int j = 0; j < t->len; j++)
		sum += p[j] = exp(p[j] - largest);
	for (int j = 0; j < t->len; j++)
	{
		p[j] /= sum;
		worst = fmax(worst, fabs(probs[j] - p[j]) /
					 (p[j] * (1e-6 + 4 * TOLERANCE(size) * magnitude + expm1(2 * rounded * magnitude)) + 1e-37));
	}
	for (int d = 0; d < size; d++)
	{
		double		c = 0;
		double		total = 0;

		for (int j = 0; j < t->len; j++)
		{
			double		term = p[j] * t->qkv[(size_t) j * t->ld + 2 * t->hidden + head * size + d];

			c += term;
			total += fabs(term);
		}
		worst = fmax(worst, fabs(context[head * size + d] - c) /
					 (total * (1e-6 + rounded + TOLERANCE(t->len) + 4 * TOLERANCE(size) * magnitude +
							   expm1(2 * rounded * magnitude)) + 1e-37));
	}
	free(p);
	return worst;
}

static void
check_attention(AlbertPrecision precision, int len, int heads, int size)
{
	Text		t = {len, heads * size, heads, 3 * heads * size + random_below(3), NULL, precision};
	int			ldc = t.hidden + random_below(3);
	float	   *all;
	float	   *probs = get((size_t) heads * len * len * sizeof(float));
	int32_t		rows[70];
	float	   *q = get(70 * (size_t) t.ld * sizeof(float));
	float	   *some = get(70 * (size_t) ldc * sizeof(float));
	float	   *some_probs = get((size_t) heads * 70 * len * sizeof(float));
	double		worst = 0;
	bool		canaries = true;
	int			different = 0;

	t.qkv = random_floats((size_t) len * t.ld);
	for (int i = 0; i < len * t.ld; i++)
		t.qkv[i] *= 4.0f;
	all = get((size_t) len * ldc * sizeof(float));
	for (int i = 0; i < len * ldc; i++)
		all[i] = CANARY;
	run_attention(&t, len, t.qkv, all, ldc, probs);
	for (int i = 0; i < len; i += 1 + len / 9)
		for (int h = 0; h < heads; h++)
		{
			double		error = attention_error(&t, h, i, all + (size_t) i * ldc,
												probs + ((size_t) h * len + i) * len);

			if (!(error <= worst))
				worst = error;
		}
	CHECK(worst <= 1.0, "%s %s attention len=%d heads=%d size=%d: error %.3g times the tolerance",
		  k->name, AlbertPrecisionName(precision), len, heads, size, worst);
	for (int i = 0; i < len; i++)
		for (int j = t.hidden; j < ldc; j++)
			canaries = canaries && all[(size_t) i * ldc + j] == CANARY;
	CHECK(canaries, "%s %s attention len=%d heads=%d size=%d wrote past a row",
		  k->name, AlbertPrecisionName(precision), len, heads, size);

	/* chosen queries, with and without the probabilities: the same bits */
	for (int trial = 0; trial < 6; trial++)
	{
		int			nq = trial == 0 ? 1 : 1 + random_below(70);

		for (int i = 0; i < nq; i++)
		{
			rows[i] = trial == 0 ? 0 : random_below(len);
			memcpy(q + (size_t) i * t.ld, t.qkv + (size_t) rows[i] * t.ld, t.hidden * sizeof(float));
		}
		run_attention(&t, nq, q, some, ldc, trial % 2 ? some_probs : NULL);
		for (int i = 0; i < nq; i++)
		{
			different += !same_bits(some + (size_t) i * ldc, all + (size_t) rows[i] * ldc, t.hidden);
			for (int h = 0; h < heads && trial % 2; h++)
				different += !same_bits(some_probs + ((size_t) h * nq + i) * len,
										probs + ((size_t) h * len + rows[i]) * len, len);
		}
	}
	CHECK(different == 0, "%s %s attention len=%d heads=%d size=%d: %d rows depend on the queries asked for",
		  k->name, AlbertPrecisionName(precision), len, heads, size, different);
	free(some_probs);
	free(some);
	free(q);
	free(probs);
	free(all);
	free(t.qkv);
}

static void
test_attention(AlbertPrecision precision)
{
	static const int lengths[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 47, 64, 65, 100};
	static const int heads[][2] = {{1, 4}, {3, 12}, {2, 26}, {2, 32}, {1, 64}, {1, 65}, {2, 33}, {1, 128}};

	for (int i = 0; i < 14; i++)
		for (int h = 0; h < 8; h++)
			check_attention(precision, lengths[i], heads[h][0], heads[h][1]);
	check_attention(precision, 512, 1, 64);
	check_attention(precision, 513, 2, 12);
}

/* ---- choosing a set ---- */

static void
test_dispatch(void)
{
	AlbertStatus status;
	const AlbertKernels *found;
	int			count = 0;

	for (int i = 0; AlbertKernelsAt(i) != NULL; i++)
	{
		const AlbertKernels *set = AlbertKernelsAt(i);

		count++;
		CHECK(AlbertKernelsById(set->id) == (set->usable() ? set : NULL), "set %s by number", set->name);
		for (int p = 0; p < 3; p++)
		{
			memset(&status, 0, sizeof(status));
			found = AlbertKernelsFind(set->name, precisions[p], &status);
			if (set->usable() && AlbertKernelsHave(set, precisions[p]))
				CHECK(found == set, "set %s by name", set->name);
			else
				CHECK(found == NULL && status.code == ALBERT_UNSUPPORTED && status.message[0] != '\0',
					  "set %s must be refused with a message", set->name);
		}
		for (int j = 0; j < i; j++)
			CHECK(AlbertKernelsAt(j)->id != set->id && strcmp(AlbertKernelsAt(j)->name, set->name) != 0,
				  "sets %d and %d share a name or number", i, j);
	}
	CHECK(AlbertKernelsAt(count) == NULL && AlbertKernelsAt(-1) == NULL, "past the last set");
	CHECK(AlbertKernelsById(0) == NULL && AlbertKernelsById(9999) == NULL, "unknown numbers");
	CHECK(AlbertKernelsFind("fastest", ALBERT_FP32, &status) == NULL && status.code == ALBERT_NOT_FOUND,
		  "unknown name");
	for (int p = 0; p < 3; p++)
	{
		found = AlbertKernelsFind("auto", precisions[p], &status);
		CHECK(found != NULL && found->usable() && AlbertKernelsHave(found, precisions[p]), "auto");
		printf("auto, %s: %s\n", AlbertPrecisionName(precisions[p]), found->name);
	}
}

static void
test_products(AlbertPrecision precision)
{
	if (!AlbertKernelsHave(k, precision))
	{
		printf("  %-9s has no %s\n", k->name, AlbertPrecisionName(precision));
		return;
	}
	test_attention(precision);
	test_linear(precision);
	test_identity(precision, 67, 100, 70);
	test_identity(precision, 40, 1283, 40);
	test_identity(precision, 33, 4500, 20);
	test_strange_values(precision);
	test_exact(precision, 203, 19);
	test_exact(precision, 64, 128);
	test_exact(precision, 3, 1300);
	test_exact(precision, 35, 4100);
	if (precision == ALBERT_INT8)
		test_int8_limits();
}

static void
test_functions(void)
{
	test_activation(ALBERT_ACT_GELU, ACTIVATION_TOLERANCE);
	test_activation(ALBERT_ACT_GELU_NEW, ACTIVATION_TOLERANCE);
	test_activation(ALBERT_ACT_RELU, 0);
	test_activation(ALBERT_ACT_SILU, ACTIVATION_TOLERANCE);
	test_activation(ALBERT_ACT_TANH, ACTIVATION_TOLERANCE);
	test_softmax();
	test_layer_norm();
}

static bool
is_named(const char *name, int n, char **names)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

#if defined(__aarch64__)
/* What the kernels may choose from, so that a reader of the output sees what was tested. */
static void
show_cpu(void)
{
	printf("this CPU has:%s%s%s\n", getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? " dotprod" : "",
		   getauxval(AT_HWCAP2) & HWCAP2_I8MM ? " i8mm" : "", getauxval(AT_HWCAP2) & HWCAP2_BF16 ? " bf16" : "");
}
#endif

/* Is the set to be tested?  only: the set that is, or NULL for all. */
static void
add_set(const AlbertKernels *set, const char *needs, const char *only)
{
	if (only != NULL && strcmp(only, set->name) != 0)
		return;
	if (set->usable())
		sets[nsets++] = set;
	else
		unit_skip("kernels %s: this machine lacks %s", set->name, needs);
}

/* Arguments: the only kernel set to test; then precisions, the products in which are all that is tested of it. */
int
main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;

	for (int i = 0; AlbertKernelsAt(i) != NULL; i++)
		add_set(AlbertKernelsAt(i), AlbertKernelsAt(i)->needs, only);
#ifdef ALBERT_X86_64
	add_set(&albert_kernels_amx_emulated, "AVX512_BF16", only);
#endif
#if defined(__aarch64__)
	show_cpu();
#endif
	test_dispatch();
	for (int i = 0; i < nsets; i++)
	{
		k = sets[i];
		printf("%s\n", k->name);
		if (argc <= 2)
			test_functions();
		for (int p = 0; p < 3; p++)
			if (argc <= 2 || is_named(AlbertPrecisionName(precisions[p]), argc - 2, argv + 2))
				test_products(precisions[p]);
	}
	CHECK(nsets > 0, "no kernel set tested");
	return unit_report();
}
