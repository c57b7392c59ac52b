/*
 * avx512.c
 *	  The kernel set for AVX-512 (F, BW, DQ, VL, CD), with the bf16 and int8
 *	  instructions of AVX512_BF16 and AVX512_VNNI where the CPU has them and
 *	  they are fast.
 */
#include "kernels/internal.h"

#ifdef ALBERT_X86_64

#include "kernels/avx512_vector.h"
#include "kernels/simd_math.h"
#include "kernels/simd_linear.h"
#define OWN_ATTENTION_KIND
#include "kernels/simd_attention.h"
#include "kernels/avx512_bf16.h"

/* ---- AVX512_BF16: two products a lane; inputs and products below 2^-126 count as 0 ---- */

/* Row r's unit k is at x[r * x_row + k * x_step]. */
INLINE TARGET_BF16 void
multiply_bf16_pairs(int rows, int units, const int32_t *x, size_t x_row, size_t x_step,
					const float *w, float *tile, size_t ld_tile, bool more)
{
	vf			sum[MR][2];

	UNROLL
	for (int r = 0; r < rows; r++)
		sum[r][0] = sum[r][1] = v_zero();
	for (int k = 0; k < units; k++)
	{
		__m512bh	w0 = (__m512bh) vi_load(w);
		__m512bh	w1 = (__m512bh) vi_load(w + VN);

		UNROLL
		for (int r = 0; r < rows; r++)
		{
			__m512bh	pair = (__m512bh) vi_set(x[r * x_row]);

			sum[r][0] = _mm512_dpbf16_ps(sum[r][0], pair, w0);
			sum[r][1] = _mm512_dpbf16_ps(sum[r][1], pair, w1);
		}
		x += x_step;
		w += NR;
	}
	store_sums(rows, sum, tile, ld_tile, more);
}

#define MICRO_BF16(name, rows) \
static TARGET_BF16 void \
name##_##rows(int units, const void *x, const void *w, void *tile, bool more) \
{ \
	multiply_bf16_pairs(rows, units, x, 1, row_stride(rows), w, tile, NR, more); \
}
FOR_ROWS(MICRO_BF16, micro_bf16)

MULTIPLY(bf16)

static const MatrixKind kind_bf16 = {
	.precision = ALBERT_BF16, .unit_inputs = 2, .weight_bytes = 4, .words = 1, .most_rows = MR, .step = 1,
	.transposed = true,
	.multiply = multiply_bf16_rows, .convert = convert_bf16
};

#define MICRO_ATTENTION_BF16(name, rows) \
static TARGET_BF16 void \
name##_##rows(int units, const void *x, size_t x_row, size_t x_step, const void *w, float *tile, size_t ld_tile) \
{ \
	multiply_bf16_pairs(rows, units, x, x_row, x_step, w, tile, ld_tile, false); \
}
FOR_ROWS(MICRO_ATTENTION_BF16, attention_bf16)

PRODUCT(bf16)

static const AttentionKind attention_bf16 = {
	.unit_inputs = 2, .most_rows = MR, .step = 1, .product = product_bf16,
	.convert = convert_bf16, .pair = pair_bf16
};

/* ---- AVX512_VNNI: four products of unsigned and signed bytes a lane ---- */

#define TARGET_VNNI	__attribute__((target("avx512vnni")))

INLINE TARGET_VNNI void
multiply_vnni(int rows, int units, const int32_t *x, const int32_t *w, int32_t *tile, bool more)
{
	vi			sum[MR][2];

	UNROLL
	for (int r = 0; r < rows; r++)
		sum[r][0] = sum[r][1] = vi_set(0);
	for (int k = 0; k < units; k++)
	{
		vi			w0 = vi_load(w);
		vi			w1 = vi_load(w + VN);

		UNROLL
		for (int r = 0; r < rows; r++)
		{
			vi			four = vi_set(x[r]);

			sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], four, w0);
			sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], four, w1);
		}
		x += row_stride(rows);
		w += NR;
	}
	store_int_sums(rows, sum, tile, more);
}

#define MICRO_VNNI(name, rows) \
static TARGET_VNNI void \
name##_##rows(int units, const void *x, const void *w, void *tile, bool more) \
{ \
	multiply_vnni(rows, units, x, w, tile, more); \
}
FOR_ROWS(MICRO_VNNI, micro_vnni)

MULTIPLY(vnni)

static const MatrixKind kind_vnni = {
	.precision = ALBERT_INT8, .unit_inputs = 4, .weight_bytes = 4, .words = 1, .most_rows = MR, .step = 1,
	.transposed = true,
	.multiply = multiply_vnni_rows, .convert = convert_bytes
};

/* ---- the set ---- */

static const MatrixKind *
matrix_kind(AlbertPrecision precision)
{
	if (precision == ALBERT_BF16)
		return albert_cpu_has(ALBERT_CPU_FAST_BF16) ? &kind_bf16 : &kind_expanded;
	if (precision == ALBERT_INT8)
		return albert_cpu_has(ALBERT_CPU_AVX512_VNNI) ? &kind_vnni : &kind_bytes;
	return &kind_fp32;
}

static const AttentionKind *
attention_kind(AlbertPrecision precision)
{
	return precision != ALBERT_FP32 && albert_cpu_has(ALBERT_CPU_FAST_BF16) ? &attention_bf16 : &attention_fp32;
}

static bool
usable(void)
{
	return albert_cpu_has(ALBERT_CPU_AVX512);
}

#define SET_NAME	"avx512"
#define SET_ID		ALBERT_KERNELS_AVX512
#define SET_NEEDS	"a CPU with AVX-512 (F, BW, DQ, VL and CD)"
#define SET_GRAIN	{4e9, 8e9, 1.2e10}
#define SET			albert_kernels_avx512

#include "kernels/set_table.h"

#endif							/* ALBERT_X86_64 */
