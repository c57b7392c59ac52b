/*
 * generic.c
 *	  The kernel set in plain C.  It defines what every operation means, runs
 *	  on any CPU, and is what the other sets are tested against.
 *
 * Weights are kept in panels of PANEL output channels, input-major inside
 * ([panel][in][PANEL]), so that the inner loop runs over neighbouring outputs
 * and each output stays one chain over the inputs in ascending order.
 *
 *	fp32:	sum over i of x[i] * w[i], every product and sum rounded to fp32
 *	bf16:	the same with x and w rounded to bfloat16 first (products are exact)
 *	int8:	integer sum of quantised values (exact), each x less what stands for
 *			0, times the row's scale times the channel's scale
 *
 * Then bias, activation, residual.
 */
#include "kernels/internal.h"

#define PANEL	16

#define SQRT_HALF			0.70710678118654752440f
#define SQRT_TWO_OVER_PI	0.79788456080286535588f

/* ---- activations, softmax and LayerNorm ---- */

/* The GELUs and SiLU of negative infinity are their limit, 0. */
static float
activate_one(AlbertActivation act, float x)
{
	if (x == -INFINITY && act != ALBERT_ACT_NONE && act != ALBERT_ACT_TANH)
		return -0.0f;
	switch (act)
	{
		case ALBERT_ACT_GELU:
			/* erfc(-z) is 1 + erf(z) without the cancellation for negative z */
			return 0.5f * x * erfcf(-x * SQRT_HALF);
		case ALBERT_ACT_GELU_NEW:
			return 0.5f * x * (1.0f + tanhf(SQRT_TWO_OVER_PI * (x + 0.044715f * (x * x * x))));
		case ALBERT_ACT_RELU:
			/* so that a NaN stays one */
			return x < 0.0f ? 0.0f : x;
		case ALBERT_ACT_SILU:
			return x / (1.0f + expf(-x));
		case ALBERT_ACT_TANH:
			return tanhf(x);
		case ALBERT_ACT_NONE:
			break;
	}
	return x;
}

static void
activate(AlbertActivation act, int n, float *x)
{
	if (act == ALBERT_ACT_NONE)
		return;
	for (int i = 0; i < n; i++)
		x[i] = activate_one(act, x[i]);
}

/* A NaN, a positive infinity, or nothing but negative ones: all NaN. */
static void
softmax(int n, float *x)
{
	float		largest = -INFINITY;
	float		sum = 0.0f;

	for (int i = 0; i < n; i++)
		if (x[i] > largest)
			largest = x[i];
	for (int i = 0; i < n; i++)
	{
		x[i] = expf(x[i] - largest);
		sum += x[i];
	}
	for (int i = 0; i < n; i++)
		x[i] /= sum;
}

static void
layer_norm(int m, int n, float *x, int ldx, const float *weight, const float *bias, float eps)
{
	for (int r = 0; r < m; r++)
	{
		float	   *row = x + (size_t) r * ldx;
		double		sum = 0.0;
		double		squares = 0.0;
		float		mean;
		float		factor;

		/* one long chain of fp32 would round in one direction, in every row alike */
		for (int i = 0; i < n; i++)
			sum += row[i];
		mean = (float) (sum / n);
		for (int i = 0; i < n; i++)
			squares += (double) (row[i] - mean) * (row[i] - mean);
		factor = (float) (1.0 / sqrt(squares / n + eps));
		for (int i = 0; i < n; i++)
			row[i] = (row[i] - mean) * factor * weight[i] + bias[i];
	}
}

/* ---- matrix products ---- */

/* Bytes before the int8 scales. */
static size_t
matrix_size(AlbertPrecision precision, int out, int in)
{
	return albert_round_up(albert_round_up(out, PANEL) * in * albert_weight_size(precision), ALBERT_ALIGN);
}

static size_t
packed_size(AlbertPrecision precision, int out, int in)
{
	size_t		size = matrix_size(precision, out, in);

	if (precision == ALBERT_INT8)
		size += albert_round_up(out, PANEL) * sizeof(float);
	return albert_round_up(size, ALBERT_ALIGN);
}

static const float *
int8_scales(const void *weight, int out, int in)
{
	return (const float *) ((const char *) weight + matrix_size(ALBERT_INT8, out, in));
}

/* Where input 0 of an output channel lies; its inputs are PANEL elements apart. */
static size_t
channel_offset(int channel, int in)
{
	return (size_t) (channel / PANEL) * PANEL * in + channel % PANEL;
}

static void
pack_row(AlbertPrecision precision, int out, int in, int channel, const float *row, void *dst)
{
	size_t		at = channel_offset(channel, in);
	float		factor;

	if (precision == ALBERT_FP32)
		for (int i = 0; i < in; i++)
			((float *) dst)[at + (size_t) i * PANEL] = row[i];
	else if (precision == ALBERT_BF16)
		for (int i = 0; i < in; i++)
			((uint16_t *) dst)[at + (size_t) i * PANEL] = albert_to_bf16(row[i]);
	else
	{
		factor = albert_int8_weights(in, row, false, (float *) int8_scales(dst, out, in) + channel);
		for (int i = 0; i < in; i++)
			((int8_t *) dst)[at + (size_t) i * PANEL] = albert_to_int8(row[i], factor);
	}
}

static void
pack(AlbertPrecision precision, int out, int in,
	 int row0, int nrows, const float *rows, void *dst)
{
	for (int r = 0; r < nrows; r++)
		pack_row(precision, out, in, row0 + r, rows + (size_t) r * in, dst);
}

static void
weight_row(const AlbertLinear *linear, int row, float *out)
{
	const void *weight = linear->weight;
	size_t		at = channel_offset(row, linear->in);

	if (linear->precision == ALBERT_FP32)
		for (int i = 0; i < linear->in; i++)
			out[i] = ((const float *) weight)[at + (size_t) i * PANEL];
	else if (linear->precision == ALBERT_BF16)
		for (int i = 0; i < linear->in; i++)
			out[i] = albert_from_bf16(((const uint16_t *) weight)[at + (size_t) i * PANEL]);
	else
	{
		float		scale = int8_scales(weight, linear->out, linear->in)[row];

		for (int i = 0; i < linear->in; i++)
			out[i] = ((const int8_t *) weight)[at + (size_t) i * PANEL] * scale;
	}
}

/* One prepared row of activations. */
static size_t
linear_scratch(const AlbertLinear *linear, int m)
{
	return linear->precision == ALBERT_FP32 ? 0 :
		albert_round_up(linear->in * sizeof(float), ALBERT_ALIGN);
}

static void
panel_fp32(int in, const float *x, const float *w, float *sum)
{
	float		acc[PANEL] = {0};

	for (int i = 0; i < in; i++)
		for (int j = 0; j < PANEL; j++)
			acc[j] += x[i] * w[(size_t) i * PANEL + j];
	memcpy(sum, acc, sizeof(acc));
}

static void
panel_bf16(int in, const float *x, const uint16_t *w, float *sum)
{
	float		acc[PANEL] = {0};

	for (int i = 0; i < in; i++)
		for (int j = 0; j < PANEL; j++)
			acc[j] += x[i] * albert_from_bf16(w[(size_t) i * PANEL + j]);
	memcpy(sum, acc, sizeof(acc));
}

/* x becomes integers from -255 to 255; the scale is returned. */
static float
quantise(int n, const float *x, int16_t *q)
{
	float		lowest = 0.0f;
	float		highest = 0.0f;
	bool		finite = true;
	AlbertInt8Row row;

	for (int i = 0; i < n; i++)
	{
		lowest = x[i] < lowest ? x[i] : lowest;
		highest = x[i] > highest ? x[i] : highest;
		finite = finite && isfinite(x[i]);
	}
	row = albert_int8_row(lowest, highest, finite);
	for (int i = 0; i < n; i++)
	{
		float		value = row.factor == 0.0f ? 0.0f : rintf(x[i] * row.factor) + row.zero;

		q[i] = (int16_t) (value > 255.0f ? 255.0f : value) - row.zero;
	}
	return row.scale;
}

static void
panel_int8(int in, const int16_t *x, float x_scale, const int8_t *w,
		   const float *w_scale, float *sum)
{
	int32_t		acc[PANEL] = {0};

	for (int i = 0; i < in; i++)
		for (int j = 0; j < PANEL; j++)
			acc[j] += x[i] * w[(size_t) i * PANEL + j];
	for (int j = 0; j < PANEL; j++)
		sum[j] = (float) acc[j] * (x_scale * w_scale[j]);
}

/* One row of y. */
static void
linear_row(const AlbertLinear *linear, const float *x, AlbertActivation act,
		   const float *residual, float *y, void *scratch)
{
	int			in = linear->in;
	float		x_scale = 0;

	if (linear->precision == ALBERT_BF16)
		for (int i = 0; i < in; i++)
			((float *) scratch)[i] = albert_from_bf16(albert_to_bf16(x[i]));
	else if (linear->precision == ALBERT_INT8)
		x_scale = quantise(in, x, scratch);

	for (int j0 = 0; j0 < linear->out; j0 += PANEL)
	{
		size_t		at = channel_offset(j0, in);
		int			n = linear->out - j0 < PANEL ? linear->out - j0 : PANEL;
		float		sum[PANEL];

		if (linear->precision == ALBERT_FP32)
			panel_fp32(in, x, (const float *) linear->weight + at, sum);
		else if (linear->precision == ALBERT_BF16)
			panel_bf16(in, scratch, (const uint16_t *) linear->weight + at, sum);
		else
			panel_int8(in, scratch, x_scale, (const int8_t *) linear->weight + at,
					   int8_scales(linear->weight, linear->out, in) + j0, sum);
		if (linear->bias != NULL)
			for (int j = 0; j < n; j++)
				sum[j] += linear->bias[j0 + j];
		activate(act, n, sum);
		for (int j = 0; j < n; j++)
			y[j0 + j] = residual != NULL ? sum[j] + residual[j0 + j] : sum[j];
	}
}

static void
linear(const AlbertLinear *linear, int m, const float *x, int ldx,
	   AlbertActivation act, const float *residual, int ldr,
	   float *y, int ldy, void *scratch)
{
	for (int r = 0; r < m; r++)
		linear_row(linear, x + (size_t) r * ldx, act,
				   residual != NULL ? residual + (size_t) r * ldr : NULL,
				   y + (size_t) r * ldy, scratch);
}

/* ---- attention of one text ---- */

/* One row of scores. */
static size_t
attention_scratch(AlbertPrecision precision, int len, int hidden_size, int heads)
{
	return albert_round_up(len * sizeof(float), ALBERT_ALIGN);
}

/* softmax(q K' / sqrt(head size)) V for one query of one head */
static void
attend(int len, int size, const float *q, const float *keys, const float *values,
	   int ld, float *scores, float *context)
{
	float		scale = 1.0f / sqrtf((float) size);

	for (int j = 0; j < len; j++)
	{
		const float *key = keys + (size_t) j * ld;
		float		sum = 0;

		for (int d = 0; d < size; d++)
			sum += q[d] * key[d];
		scores[j] = sum * scale;
	}
	softmax(len, scores);
	memset(context, 0, size * sizeof(float));
	for (int j = 0; j < len; j++)
		for (int d = 0; d < size; d++)
			context[d] += scores[j] * values[(size_t) j * ld + d];
}

static void
attention(AlbertPrecision precision, int len, int hidden_size, int heads,
		  int nq, const float *q, const float *kv, int ld,
		  float *context, int ldc, float *probs, void *scratch)
{
	int			size = hidden_size / heads;

	for (int h = 0; h < heads; h++)
		for (int i = 0; i < nq; i++)
			attend(len, size, q + (size_t) i * ld + h * size, kv + h * size, kv + hidden_size + h * size, ld,
				   probs != NULL ? probs + ((size_t) h * nq + i) * len : scratch,
				   context + (size_t) i * ldc + h * size);
}

static bool
usable(void)
{
	return true;
}

#define SET_NAME	"generic"
#define SET_ID		ALBERT_KERNELS_GENERIC
#define SET_NEEDS	"any CPU"
#define SET_GRAIN	{2.5e8, 2.5e8, 2.5e8}
#define SET			albert_kernels_generic

#include "kernels/set_table.h"
