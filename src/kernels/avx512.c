/*
 * avx512.c
 *	  The kernel set for AVX-512 (F, BW, DQ, VL, CD), with the bf16 and int8
 *	  instructions of AVX512_BF16 and AVX512_VNNI where the CPU has them.
 */
#include "kernels/internal.h"

#ifdef ALBERT_X86_64

#include <immintrin.h>

#define VN	16
#define MR	14

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

#define v_zero()		_mm512_setzero_ps()
#define v_set(x)		_mm512_set1_ps(x)
#define v_load(p)		_mm512_loadu_ps(p)
#define v_store(p, v)	_mm512_storeu_ps(p, v)
#define v_add(a, b)		_mm512_add_ps(a, b)
#define v_sub(a, b)		_mm512_sub_ps(a, b)
#define v_mul(a, b)		_mm512_mul_ps(a, b)
#define v_div(a, b)		_mm512_div_ps(a, b)
#define v_abs(a)		_mm512_abs_ps(a)
#define v_fma(a, b, c)	_mm512_fmadd_ps(a, b, c)
#define v_fnma(a, b, c) _mm512_fnmadd_ps(a, b, c)
#define v_max(a, b)		_mm512_max_ps(a, b)
#define v_min(a, b)		_mm512_min_ps(a, b)
#define v_round(a)		_mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define v_ldexp(a, n)	_mm512_scalef_ps(a, n)
#define v_mask(n)		((__mmask16) ((1u << (n)) - 1))
#define v_load_mask(p, m, fill) _mm512_mask_loadu_ps(fill, m, p)
#define v_store_mask(p, m, v)	_mm512_mask_storeu_ps(p, m, v)
#define v_keep(m, v)	_mm512_maskz_mov_ps(m, v)

#define vi_set(x)		_mm512_set1_epi32(x)
#define vi_load(p)		_mm512_loadu_si512(p)
#define vi_store(p, v)	_mm512_storeu_si512(p, v)
#define vi_add(a, b)	_mm512_add_epi32(a, b)
#define vi_load_pairs(p)	_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *) (p)))
#define vi_add_pairs(s, a, b)	_mm512_add_epi32(s, _mm512_madd_epi16(a, b))
#define v_even_bf16(p)	_mm512_castsi512_ps(_mm512_slli_epi32(vi_load(p), 16))
#define v_odd_bf16(p)	_mm512_castsi512_ps(_mm512_and_si512(vi_load(p), vi_set((int) 0xffff0000)))

static inline vf
v_copysign(vf a, vf b)
{
	return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(vi_set(0x7fffffff),
														 _mm512_castps_si512(a),
														 _mm512_castps_si512(b), 0xca));
}

static inline float
v_sum(vf v)
{
	__m256		h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
	__m128		q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));

	q = _mm_add_ps(q, _mm_movehl_ps(q, q));
	return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

static inline float
v_largest(vf v)
{
	return _mm512_reduce_max_ps(v);
}

static inline vf
v_round_bf16(vf v)
{
	vi			bits = _mm512_castps_si512(v);
	vi			odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), vi_set(1));
	vi			rounded = _mm512_add_epi32(_mm512_add_epi32(bits, vi_set(0x7fff)), odd);
	__mmask16	nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);

	rounded = _mm512_and_si512(rounded, vi_set((int) 0xffff0000));
	return _mm512_castsi512_ps(_mm512_mask_mov_epi32(rounded, nan, vi_set(0x7fc00000)));
}

static inline void
v_store_int16(int16_t *p, vf v)
{
	_mm256_storeu_si256((__m256i *) p, _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(v)));
}

static inline vf
v_from_int(const void *p, const int32_t *q)
{
	return _mm512_cvtepi32_ps(_mm512_sub_epi32(vi_load(p), vi_load(q)));
}

static inline void
transpose4(const float *s0, const float *s1, const float *s2, const float *s3,
		   float *dst, int stride)
{
	vf			a = v_load(s0);
	vf			b = v_load(s1);
	vf			c = v_load(s2);
	vf			d = v_load(s3);
	__m512d		ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
	__m512d		cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
	__m512d		ab2 = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
	__m512d		cd2 = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
	vf			word[4];		/* i, i + 4, i + 8, i + 12 */

	word[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
	word[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
	word[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab2, cd2));
	word[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab2, cd2));
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
	{
		_mm_storeu_ps(dst + i * stride, _mm512_castps512_ps128(word[i]));
		_mm_storeu_ps(dst + (i + 4) * stride, _mm512_extractf32x4_ps(word[i], 1));
		_mm_storeu_ps(dst + (i + 8) * stride, _mm512_extractf32x4_ps(word[i], 2));
		_mm_storeu_ps(dst + (i + 12) * stride, _mm512_extractf32x4_ps(word[i], 3));
	}
}

static inline uint32_t
largest_bits(int n, const float *x)
{
	vi			largest = vi_set(0);

	for (int i = 0; i < n; i += VN)
	{
		__mmask16	m = n - i < VN ? v_mask(n - i) : (__mmask16) 0xffff;
		vi			bits = _mm512_castps_si512(v_load_mask(x + i, m, v_zero()));

		largest = _mm512_max_epi32(largest, _mm512_and_si512(bits, vi_set(0x7fffffff)));
	}
	return (uint32_t) _mm512_reduce_max_epi32(largest);
}

#define FOR_ROWS(M, name) \
	M(name, 1) M(name, 2) M(name, 3) M(name, 4) M(name, 5) M(name, 6) M(name, 7) \
	M(name, 8) M(name, 9) M(name, 10) M(name, 11) M(name, 12) M(name, 13) M(name, 14)

#include "kernels/simd_math.h"
#include "kernels/simd_linear.h"
#include "kernels/simd_attention.h"

/* ---- AVX512_BF16: two products a lane; inputs and products below 2^-126 count as 0 ---- */

#define TARGET_BF16	__attribute__((target("avx512bf16")))

INLINE TARGET_BF16 void
multiply_bf16(int rows, int units, const int32_t *x, const float *w,
			  const float *add, float *tile)
{
	vf			sum[MR][2];

#pragma GCC unroll 16
	for (int r = 0; r < rows; r++)
		sum[r][0] = sum[r][1] = v_zero();
	for (int k = 0; k < units; k++)
	{
		__m512bh	w0 = (__m512bh) vi_load(w);
		__m512bh	w1 = (__m512bh) vi_load(w + VN);

#pragma GCC unroll 16
		for (int r = 0; r < rows; r++)
		{
			__m512bh	pair = (__m512bh) vi_set(x[r]);

			sum[r][0] = _mm512_dpbf16_ps(sum[r][0], pair, w0);
			sum[r][1] = _mm512_dpbf16_ps(sum[r][1], pair, w1);
		}
		x += row_stride(rows);
		w += NR;
	}
	store_sums(rows, sum, add, tile, NR);
}

#define MICRO_BF16(name, rows) \
static TARGET_BF16 void \
name##_##rows(int units, const void *x, const void *w, const void *add, void *tile) \
{ \
	multiply_bf16(rows, units, x, w, add, tile); \
}
FOR_ROWS(MICRO_BF16, micro_bf16)

static const MicroKernel micro_bf16[] = {FOR_ROWS(TABLE_ENTRY, micro_bf16)};

static TARGET_BF16 void
convert_bf16(int n, int units, const float *x, float factor, uint32_t *words)
{
	for (int i = 0; i < 2 * units; i += VN)
		_mm256_storeu_si256((__m256i *) ((uint16_t *) words + i),
							(__m256i) _mm512_cvtneps_pbh(load_part(x + i, n - i)));
}

static const MatrixKind kind_bf16 = {ALBERT_BF16, 2, 4, 1, micro_bf16, convert_bf16, 0};

/* ---- AVX512_VNNI: four products of unsigned and signed bytes a lane ---- */

#define TARGET_VNNI	__attribute__((target("avx512vnni")))

INLINE TARGET_VNNI void
multiply_vnni(int rows, int units, const int32_t *x, const int32_t *w,
			  const int32_t *add, int32_t *tile)
{
	vi			sum[MR][2];

#pragma GCC unroll 16
	for (int r = 0; r < rows; r++)
		sum[r][0] = sum[r][1] = vi_set(0);
	for (int k = 0; k < units; k++)
	{
		vi			w0 = vi_load(w);
		vi			w1 = vi_load(w + VN);

#pragma GCC unroll 16
		for (int r = 0; r < rows; r++)
		{
			vi			four = vi_set(x[r]);

			sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], four, w0);
			sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], four, w1);
		}
		x += row_stride(rows);
		w += NR;
	}
	store_int_sums(rows, sum, add, tile);
}

#define MICRO_VNNI(name, rows) \
static TARGET_VNNI void \
name##_##rows(int units, const void *x, const void *w, const void *add, void *tile) \
{ \
	multiply_vnni(rows, units, x, w, add, tile); \
}
FOR_ROWS(MICRO_VNNI, micro_vnni)

static const MicroKernel micro_vnni[] = {FOR_ROWS(TABLE_ENTRY, micro_vnni)};

/* Bytes made unsigned by adding 128; what that adds to the sums is taken off in the end. */
static void
convert_vnni(int n, int units, const float *x, float factor, uint32_t *words)
{
	for (int i = 0; i < 4 * units; i += VN)
	{
		vi			q = _mm512_cvtps_epi32(v_mul(load_part(x + i, n - i), v_set(factor)));

		_mm_storeu_si128((__m128i *) ((char *) words + i),
						 _mm_xor_si128(_mm512_cvtepi32_epi8(q), _mm_set1_epi8((char) 0x80)));
	}
}

static const MatrixKind kind_vnni = {ALBERT_INT8, 4, 4, 1, micro_vnni, convert_vnni, 128};

/* ---- the set ---- */

static const MatrixKind *
matrix_kind(AlbertPrecision precision)
{
	if (precision == ALBERT_BF16)
		return albert_cpu_has(ALBERT_CPU_AVX512_BF16) ? &kind_bf16 : &kind_expanded;
	if (precision == ALBERT_INT8)
		return albert_cpu_has(ALBERT_CPU_AVX512_VNNI) ? &kind_vnni : &kind_pairs;
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
#define SET			albert_kernels_avx512

#include "kernels/simd_set.h"

#endif							/* ALBERT_X86_64 */
