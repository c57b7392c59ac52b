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
#include "kernels/simd_product.h"
#include "kernels/simd_linear.h"
#include "kernels/simd_attention.h"
#include "kernels/avx512_bf16.h"

/* ---- AVX512_BF16: two products a lane; inputs and products below 2^-126 count as 0 ---- */

#define add_bf16_pairs(sum, x, w)	_mm512_dpbf16_ps(sum, (__m512bh) (x), (__m512bh) (w))

MULTIPLY_UNITS(bf16, TARGET_BF16, vf, vi_load, 4, add_bf16_pairs, store_sums)

PRODUCT(bf16, TARGET_BF16)

static const ProductKind kind_bf16 = {
	.precision = ALBERT_BF16, .unit_inputs = 2, .words = 1, .most_rows = MR, .step = 1, .transposed = true,
	.multiply = multiply_bf16_rows, .product = product_bf16, .convert = convert_bf16, .pair = pair_bf16
};

/* ---- AVX512_VNNI: four products of unsigned and signed bytes a lane ---- */

#define TARGET_VNNI	__attribute__((target("avx512vnni")))

MULTIPLY_UNITS(vnni, TARGET_VNNI, vi, vi_load, 4, _mm512_dpbusd_epi32, store_int_sums)

static const ProductKind kind_vnni = {
	.precision = ALBERT_INT8, .unit_inputs = 4, .words = 1, .most_rows = MR, .step = 1, .transposed = true,
	.multiply = multiply_vnni_rows, .convert = convert_bytes
};

/* ---- the set ---- */

static const ProductKind *
product_kind(AlbertPrecision precision)
{
	if (precision == ALBERT_BF16)
		return albert_cpu_has(ALBERT_CPU_FAST_BF16) ? &kind_bf16 : &kind_expanded;
	if (precision == ALBERT_INT8)
		return albert_cpu_has(ALBERT_CPU_AVX512_VNNI) ? &kind_vnni : &kind_bytes;
	return &kind_fp32;
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
