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
#include "kernels/simd_product.h"
#include "kernels/simd_linear.h"
#include "kernels/simd_attention.h"

#define TARGET_DOTPROD	__attribute__((target("arch=armv8.2-a+dotprod")))
#define TARGET_I8MM		__attribute__((target("arch=armv8.2-a+i8mm")))
#define TARGET_BF16		__attribute__((target("arch=armv8.2-a+bf16")))

/*
 * int8, four products a lane.  i8mm multiplies unsigned by signed bytes,
 * dotprod signed ones only, so that activations are 128 lower.
 */
#define add_dotprod(sum, x, w)	((vi) vdotq_s32((int32x4_t) (sum), (int8x16_t) (x), (int8x16_t) (w)))
#define add_i8mm(sum, x, w)		((vi) vusdotq_s32((int32x4_t) (sum), (uint8x16_t) (x), (int8x16_t) (w)))

MULTIPLY_UNITS(dotprod, TARGET_DOTPROD, vi, vi_load, 4, add_dotprod, store_int_sums)

MULTIPLY_UNITS(i8mm, TARGET_I8MM, vi, vi_load, 4, add_i8mm, store_int_sums)

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
#define add_bf16_pairs(sum, x, w) \
	((vf) vbfdotq_f32((float32x4_t) (sum), (bfloat16x8_t) (x), (bfloat16x8_t) (w)))

MULTIPLY_UNITS(bf16, TARGET_BF16, vf, vi_load, 4, add_bf16_pairs, store_sums)

static void
convert_bf16(int n, const float *x, const AlbertInt8Row *row, uint32_t *words)
{
	for (int i = 0; i < n; i += VN)
		vst1_u16((uint16_t *) words + i,
				 vshrn_n_u32(vreinterpretq_u32_f32((float32x4_t) v_round_bf16(load_part(x + i, n - i))), 16));
}

static const ProductKind kind_dotprod = {
	.precision = ALBERT_INT8, .unit_inputs = 4, .words = 1, .most_rows = MR, .step = 1, .transposed = true,
	.lower = 128,
	.multiply = multiply_dotprod_rows, .convert = convert_dotprod
};
static const ProductKind kind_i8mm = {
	.precision = ALBERT_INT8, .unit_inputs = 4, .words = 1, .most_rows = MR, .step = 1, .transposed = true,
	.multiply = multiply_i8mm_rows, .convert = convert_i8mm
};
static const ProductKind kind_bf16 = {
	.precision = ALBERT_BF16, .unit_inputs = 2, .words = 1, .most_rows = MR, .step = 1, .transposed = true,
	.multiply = multiply_bf16_rows, .convert = convert_bf16
};

static const ProductKind *
product_kind(AlbertPrecision precision)
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
