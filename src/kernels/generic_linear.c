/*
 * generic_linear.c
 *	  Matrix products in plain C: what every kernel set's linear layers and
 *	  tables compute.
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

static size_t
element_size(AlbertPrecision precision)
{
	return precision == ALBERT_FP32 ? 4 : precision == ALBERT_BF16 ? 2 : 1;
}

/* Bytes before the int8 scales. */
static size_t
matrix_size(AlbertPrecision precision, int out, int in)
{
	return albert_round_up(albert_round_up(out, PANEL) * in * element_size(precision),
						   ALBERT_ALIGN);
}

size_t
albert_generic_packed_size(AlbertPrecision precision, int out, int in)
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
pack_row(AlbertPrecision precision, int out, int in, int channel, const float *row, bool narrow, void *dst)
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
		factor = albert_int8_weights(in, row, narrow, (float *) int8_scales(dst, out, in) + channel);
		for (int i = 0; i < in; i++)
			((int8_t *) dst)[at + (size_t) i * PANEL] = albert_to_int8(row[i], factor);
	}
}

void
albert_generic_pack(AlbertPrecision precision, int out, int in,
					int row0, int nrows, const float *rows, void *dst)
{
	for (int r = 0; r < nrows; r++)
		pack_row(precision, out, in, row0 + r, rows + (size_t) r * in, false, dst);
}

/* What a kernel set computes whose int8 weights are narrow. */
void
albert_generic_pack_narrow(AlbertPrecision precision, int out, int in,
						   int row0, int nrows, const float *rows, void *dst)
{
	for (int r = 0; r < nrows; r++)
		pack_row(precision, out, in, row0 + r, rows + (size_t) r * in, true, dst);
}

void
albert_generic_table_row(const AlbertTable *table, int row, float *out)
{
	size_t		at = channel_offset(row, table->cols);

	if (table->precision == ALBERT_FP32)
		for (int i = 0; i < table->cols; i++)
			out[i] = ((const float *) table->data)[at + (size_t) i * PANEL];
	else if (table->precision == ALBERT_BF16)
		for (int i = 0; i < table->cols; i++)
			out[i] = albert_from_bf16(((const uint16_t *) table->data)[at + (size_t) i * PANEL]);
	else
	{
		float		scale = int8_scales(table->data, table->rows, table->cols)[row];

		for (int i = 0; i < table->cols; i++)
			out[i] = ((const int8_t *) table->data)[at + (size_t) i * PANEL] * scale;
	}
}

/* One prepared row of activations. */
size_t
albert_generic_linear_scratch(const AlbertLinear *linear, int m)
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
		albert_generic_activate(act, n, sum);
		for (int j = 0; j < n; j++)
			y[j0 + j] = residual != NULL ? sum[j] + residual[j0 + j] : sum[j];
	}
}

void
albert_generic_linear(const AlbertLinear *linear, int m,
					  const float *x, int ldx, AlbertActivation act,
					  const float *residual, int ldr,
					  float *y, int ldy, void *scratch)
{
	for (int r = 0; r < m; r++)
		linear_row(linear, x + (size_t) r * ldx, act,
				   residual != NULL ? residual + (size_t) r * ldr : NULL,
				   y + (size_t) r * ldy, scratch);
}
