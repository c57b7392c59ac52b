/*
 * neon.c
 *	  The kernel set for 64-bit Arm: as in simd128.c, with the products of int8
 *	  and bf16 that the CPU has instructions for (dotprod, i8mm, bf16).
 */
#include "kernels/internal.h"

#if defined(__aarch64__)

#include <sys/auxv.h>

#include "kernels/simd128_vector.h"

#define HAS_DOTPROD	(1ul << 20)	/* of AT_HWCAP */
#define HAS_I8MM	(1ul << 13)		/* of AT_HWCAP2 */
#define HAS_BF16	(1ul << 14)

#include "kernels/simd_math.h"
#include "kernels/simd_linear.h"
#include "kernels/simd_attention.h"

/*
 * int8, four products a lane.  i8mm multiplies unsigned by signed bytes,
 * dotprod signed ones only, so that activations are 128 lower.
 */
#define MULTIPLY_FOURS(function, features, type, from_int, product) \
INLINE __attribute__((target(features))) void \
function(int rows, int units, const int32_t *x, const int8_t *w, int32_t *tile, bool more) \
{ \
	vi			sum[MR][2]; \
 \
	UNROLL \
	for (int r = 0; r < rows; r++) \
		sum[r][0] = sum[r][1] = vi_set(0); \
	for (int k = 0; k < units; k++) \
	{ \
		int8x16_t	w0 = vld1q_s8(w); \
		int8x16_t	w1 = vld1q_s8(w + 4 * VN); \
 \
		UNROLL \
		for (int r = 0; r < rows; r++) \
		{ \
			type		four = from_int(vdupq_n_s32(x[r])); \
 \
			sum[r][0] = (vi) product((int32x4_t) sum[r][0], four, w0); \
			sum[r][1] = (vi) product((int32x4_t) sum[r][1], four, w1); \
		} \
		x += row_stride(rows); \
		w += 4 * NR; \
	} \
	store_int_sums(rows, sum, tile, more); \
}

MULTIPLY_FOURS(multiply_dotprod, "arch=armv8.2-a+dotprod", int8x16_t, vreinterpretq_s8_s32, vdotq_s32)
MULTIPLY_FOURS(multiply_i8mm, "arch=armv8.2-a+i8mm", uint8x16_t, vreinterpretq_u8_s32, vusdotq_s32)

#define MICRO_DOTPROD(name, rows) \
static __attribute__((target("arch=armv8.2-a+dotprod"))) void \
name##_##rows(int units, const void *x, const void *w, void *tile, bool more) \
{ \
	multiply_dotprod(rows, units, x, w, tile, more); \
}
FOR_ROWS(MICRO_DOTPROD, micro_dotprod)

#define MICRO_I8MM(name, rows) \
static __attribute__((target("arch=armv8.2-a+i8mm"))) void \
name##_##rows(int units, const void *x, const void *w, void *tile, bool more) \
{ \
	multiply_i8mm(rows, units, x, w, tile, more); \
}
FOR_ROWS(MICRO_I8MM, micro_i8mm)

MULTIPLY(dotprod)
MULTIPLY(i8mm)

/* Four activations, at most `most`. */
INLINE void
convert_fours(int n, const float *x, const AlbertInt8Row *row, int most, uint32_t *words)
{
	for (int i = 0; i < n; i += VN)
	{
		vi			q = vi_from_float(v_mul(load_part(x + i, n - i), v_set(row->factor))) + vi_set(row->zero);
		int8x16_t	bytes = vreinterpretq_s8_s32(vminq_s32((int32x4_t) q, vdupq_n_s32(most)));

		bytes = vuzp1q_s8(bytes, bytes);
		words[i / VN] = vgetq_lane_u32(vreinterpretq_u32_s8(vuzp1q_s8(bytes, bytes)), 0);
	}
}

static void
convert_i8mm(int n, const float *x, const AlbertInt8Row *row, uint32_t *words)
{
	convert_fours(n, x, row, 255, words);
}

static void
convert_dotprod(int n, const float *x, const AlbertInt8Row *row, uint32_t *words)
{
	convert_fours(n, x, row, 127, words);
}

/* bf16, two products a lane */
INLINE __attribute__((target("arch=armv8.2-a+bf16"))) void
multiply_bf16(int rows, int units, const float *x, const float *w, float *tile, bool more)
{
	vf			sum[MR][2];

	UNROLL
	for (int r = 0; r < rows; r++)
		sum[r][0] = sum[r][1] = v_zero();
	for (int k = 0; k < units; k++)
	{
		bfloat16x8_t w0 = (bfloat16x8_t) v_load(w);
		bfloat16x8_t w1 = (bfloat16x8_t) v_load(w + VN);

		UNROLL
		for (int r = 0; r < rows; r++)
		{
			bfloat16x8_t pair = (bfloat16x8_t) v_set(x[r]);

			sum[r][0] = (vf) vbfdotq_f32((float32x4_t) sum[r][0], pair, w0);
			sum[r][1] = (vf) vbfdotq_f32((float32x4_t) sum[r][1], pair, w1);
		}
		x += row_stride(rows);
		w += NR;
	}
	store_sums(rows, sum, tile, NR, more);
}

#define MICRO_BF16(name, rows) \
static __attribute__((target("arch=armv8.2-a+bf16"))) void \
name##_##rows(int units, const void *x, const void *w, void *tile, bool more) \
{ \
	multiply_bf16(rows, units, x, w, tile, more); \
}
FOR_ROWS(MICRO_BF16, micro_bf16)

MULTIPLY(bf16)

static void
convert_bf16(int n, const float *x, const AlbertInt8Row *row, uint32_t *words)
{
	for (int i = 0; i < n; i += VN)
		vst1_u16((uint16_t *) words + i,
				 vshrn_n_u32(vreinterpretq_u32_f32((float32x4_t) v_round_bf16(load_part(x + i, n - i))), 16));
}

static const MatrixKind kind_dotprod = {
	.precision = ALBERT_INT8, .unit_inputs = 4, .weight_bytes = 4, .words = 1, .most_rows = MR, .step = 1,
	.transposed = true, .lower = 128,
	.multiply = multiply_dotprod_rows, .convert = convert_dotprod
};
static const MatrixKind kind_i8mm = {
	.precision = ALBERT_INT8, .unit_inputs = 4, .weight_bytes = 4, .words = 1, .most_rows = MR, .step = 1,
	.transposed = true,
	.multiply = multiply_i8mm_rows, .convert = convert_i8mm
};
static const MatrixKind kind_bf16 = {
	.precision = ALBERT_BF16, .unit_inputs = 2, .weight_bytes = 4, .words = 1, .most_rows = MR, .step = 1,
	.transposed = true,
	.multiply = multiply_bf16_rows, .convert = convert_bf16
};

static const MatrixKind *
matrix_kind(AlbertPrecision precision)
{
	if (precision == ALBERT_BF16)
		return getauxval(AT_HWCAP2) & HAS_BF16 ? &kind_bf16 : &kind_expanded;
	if (precision == ALBERT_INT8)
		return getauxval(AT_HWCAP2) & HAS_I8MM ? &kind_i8mm :
			getauxval(AT_HWCAP) & HAS_DOTPROD ? &kind_dotprod : &kind_pairs;
	return &kind_fp32;
}

static bool
usable(void)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
}

#define SET_NAME	"neon"
#define SET_ID		ALBERT_KERNELS_NEON
#define SET_NEEDS	"a little-endian CPU"
#define SET_GRAIN	{1e9, 1e9, 1e9}
#define SET			albert_kernels_neon

#include "kernels/set_table.h"

#endif							/* __aarch64__ */
