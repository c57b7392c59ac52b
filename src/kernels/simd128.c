/*
 * simd128.c
 *	  The kernel set for any CPU with 128-bit vectors, written with the
 *	  compiler's vector types: SSE2 on x86-64, NEON on 64-bit ARM, and whatever
 *	  the compiler makes of it elsewhere.
 */
#include "kernels/internal.h"

#include "kernels/simd128_vector.h"
#include "kernels/simd_math.h"
#include "kernels/simd_product.h"
#include "kernels/simd_linear.h"
#include "kernels/simd_attention.h"

static const ProductKind *
product_kind(AlbertPrecision precision)
{
	if (precision == ALBERT_BF16)
		return &kind_expanded;
	if (precision == ALBERT_INT8)
		return &kind_pairs;
	return &kind_fp32;
}

/* Units of bf16 and int8 are taken apart as little-endian words. */
static bool
usable(void)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
}

#define SET_NAME	"simd128"
#define SET_ID		ALBERT_KERNELS_SIMD128
#define SET_NEEDS	"a little-endian CPU"
#define SET_GRAIN	{1e9, 1e9, 1e9}
#define SET			albert_kernels_simd128

#include "kernels/set_table.h"
