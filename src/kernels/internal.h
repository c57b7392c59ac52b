/*
 * internal.h
 *	  What the kernel sets share among themselves; not for the encoder.
 */
#ifndef ALBERT_KERNELS_INTERNAL_H
#define ALBERT_KERNELS_INTERNAL_H

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define ALBERT_X86_64	1
#endif

/*
 * Before a loop with a small number of turns that is constant after inlining:
 * what it works on can then stay in registers.  clang does not heed gcc's pragma.
 */
#if defined(__clang__)
#define UNROLL	_Pragma("clang loop unroll(full)")
#else
#define UNROLL	_Pragma("GCC unroll 16")
#endif

/* Numbers stored in images: never reuse or renumber. */
enum
{
	ALBERT_KERNELS_GENERIC = 1,
	ALBERT_KERNELS_OPENBLAS = 2,
	ALBERT_KERNELS_AVX2 = 3,
	ALBERT_KERNELS_AVX512 = 4,
	ALBERT_KERNELS_AMX = 5,
	ALBERT_KERNELS_SIMD128 = 6,
	ALBERT_KERNELS_NEON = 7
};

extern const AlbertKernels albert_kernels_generic;
extern const AlbertKernels albert_kernels_simd128;
extern AlbertKernels albert_kernels_openblas;	/* partly filled in by usable() */

#if defined(__aarch64__)
extern const AlbertKernels albert_kernels_neon;
#endif

#ifdef ALBERT_X86_64
extern const AlbertKernels albert_kernels_avx2;
extern const AlbertKernels albert_kernels_avx512;
extern const AlbertKernels albert_kernels_amx;

/* cpu.c: does this CPU, under this operating system, have all of these */
enum
{
	ALBERT_CPU_KNOWN = 1 << 0,	/* set once asked */
	ALBERT_CPU_AVX2 = 1 << 1,	/* and FMA, F16C */
	ALBERT_CPU_AVX512 = 1 << 2, /* F, BW, DQ, VL, CD */
	ALBERT_CPU_AVX512_VNNI = 1 << 3,
	ALBERT_CPU_AVX512_BF16 = 1 << 4,
	ALBERT_CPU_FAST_BF16 = 1 << 5,	/* AVX512_BF16, and faster than fp32 */
	ALBERT_CPU_AMX = 1 << 6		/* tiles, bf16, int8; permission granted */
};

extern bool albert_cpu_has(unsigned features);
#endif

/* Bytes of a weight. */
static inline size_t
albert_weight_size(AlbertPrecision precision)
{
	return precision == ALBERT_FP32 ? 4 : precision == ALBERT_BF16 ? 2 : 1;
}

static inline size_t
albert_round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static inline uint32_t
albert_float_bits(float x)
{
	uint32_t	bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static inline float
albert_bits_float(uint32_t bits)
{
	float		x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* Round to nearest even; a NaN stays a (quiet) NaN. */
static inline uint16_t
albert_to_bf16(float x)
{
	uint32_t	bits = albert_float_bits(x);

	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t) ((bits >> 16) | 0x40);
	return (uint16_t) ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static inline float
albert_from_bf16(uint16_t x)
{
	return albert_bits_float((uint32_t) x << 16);
}

/*
 * How int8 weights are made, channel by channel: symmetric, the largest
 * magnitude becomes 127.  The factor to quantise with is returned, *scale is
 * what to multiply back with.  A channel with an infinity or NaN gets a NaN
 * scale, so its results are NaN; one that is (nearly) zero gets zeros.
 *
 * Where a kernel set sums products in 16 bits, weights are narrow: the inputs
 * 0, 1, 4, 5 and 2, 3, 6, 7 of each eight are summed there, and neither the
 * positive nor the negative weights of such four may exceed 128 together, so
 * that 255 times as much is still below 2^15.  Rounding adds a half to each.
 */
#define ALBERT_NARROW_SUM	(128 - 4 * 0.5f)

static inline float
albert_int8_weights(int n, const float *w, bool narrow, float *scale)
{
	float		magnitude = 0.0f;	/* what becomes 127 */
	float		strange = 0.0f;

	for (int i = 0; i < n; i += 8)
	{
		float		above[2] = {0.0f, 0.0f};
		float		below[2] = {0.0f, 0.0f};

		for (int j = i; j < n && j < i + 8; j++)
		{
			strange += w[j] * 0.0f;
			magnitude = fabsf(w[j]) > magnitude ? fabsf(w[j]) : magnitude;
			if (w[j] > 0)
				above[j >> 1 & 1] += w[j];
			else
				below[j >> 1 & 1] -= w[j];
		}
		for (int g = 0; g < 2 && narrow; g++)
		{
			float		sum = (above[g] > below[g] ? above[g] : below[g]) * (127.0f / ALBERT_NARROW_SUM);

			magnitude = sum > magnitude ? sum : magnitude;
		}
	}
	*scale = 0.0f;
	if (strange != 0.0f)
		*scale = NAN;
	if (strange != 0.0f || magnitude < 1e-30f)
		return 0.0f;
	*scale = magnitude / 127.0f;
	return 127.0f / magnitude;
}

static inline int8_t
albert_to_int8(float w, float factor)
{
	return factor == 0.0f ? 0 : (int8_t) lrintf(w * factor);
}

/*
 * How a row of int8 activations is made, each time: its least and its greatest
 * value, 0 among them, become 0 and 255.  x is zero + x * factor, rounded term
 * by term and at most 255; the row's results are multiplied by the scale, which
 * is NaN when there is an infinity or a NaN.
 */
typedef struct AlbertInt8Row
{
	float		factor;
	float		scale;
	int32_t		zero;			/* what stands for 0 */
} AlbertInt8Row;

static inline AlbertInt8Row
albert_int8_row(float lowest, float highest, bool finite)
{
	AlbertInt8Row row = {0.0f, 0.0f, 0};
	float		scale = highest / 255.0f - lowest / 255.0f;

	if (!finite)
		row.scale = NAN;
	else if (scale >= 1e-32f)
	{
		row.scale = scale;
		row.factor = 1.0f / scale;
		row.zero = (int32_t) lrintf(-lowest * row.factor);
	}
	return row;
}

#endif							/* ALBERT_KERNELS_INTERNAL_H */
