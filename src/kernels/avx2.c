/*
 * avx2.c
 *	  The kernel set for AVX2 with FMA: bf16 weights are expanded to fp32,
 *	  int8 products summed in 16 bits and then in 32.
 */
#include "kernels/internal.h"

#ifdef ALBERT_X86_64

#include <immintrin.h>

#define VN	8
#define MR	6
#define FOR_ROWS	FOR_6_ROWS
#define BYTES_MR	4
#define FETCH_AHEAD	4

typedef __m256 vf;
typedef __m256i vi;
typedef __m256i vm;

#define v_zero()		_mm256_setzero_ps()
#define v_set(x)		_mm256_set1_ps(x)
#define v_load(p)		_mm256_loadu_ps(p)
#define v_store(p, v)	_mm256_storeu_ps(p, v)
#define v_add(a, b)		_mm256_add_ps(a, b)
#define v_sub(a, b)		_mm256_sub_ps(a, b)
#define v_mul(a, b)		_mm256_mul_ps(a, b)
#define v_div(a, b)		_mm256_div_ps(a, b)
#define v_abs(a)		_mm256_andnot_ps(v_set(-0.0f), a)
#define v_fma(a, b, c)	_mm256_fmadd_ps(a, b, c)
#define v_max(a, b)		_mm256_max_ps(a, b)
#define v_min(a, b)		_mm256_min_ps(a, b)
#define v_round(a)		_mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define v_store_mask(p, m, v)	_mm256_maskstore_ps(p, m, v)

#define vi_set(x)		_mm256_set1_epi32(x)
#define vi_load(p)		_mm256_loadu_si256((const __m256i *) (p))
#define vi_store(p, v)	_mm256_storeu_si256((__m256i *) (p), v)
#define vi_add(a, b)	_mm256_add_epi32(a, b)
#define vi_sub(a, b)	_mm256_sub_epi32(a, b)
#define vi_mul(a, b)	_mm256_mullo_epi32(a, b)
#define vi_pairs_of_bytes(a, b)	_mm256_maddubs_epi16(a, b)
#define vi_add_int16(a, b)	_mm256_add_epi16(a, b)
#define v_from_int(i)	_mm256_cvtepi32_ps(i)
#define vi_add_pairs(s, a, b)	_mm256_add_epi32(s, _mm256_madd_epi16(a, b))
#define v_even_bf16(p)	_mm256_castsi256_ps(_mm256_slli_epi32(vi_load(p), 16))
#define v_odd_bf16(p)	_mm256_castsi256_ps(_mm256_and_si256(vi_load(p), vi_set((int) 0xffff0000)))

static inline vm
v_mask(int n)
{
	return _mm256_cmpgt_epi32(vi_set(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vf
v_load_mask(const float *p, vm m, vf fill)
{
	return _mm256_blendv_ps(fill, _mm256_maskload_ps(p, m), _mm256_castsi256_ps(m));
}

static inline vf
v_copysign(vf a, vf b)
{
	return _mm256_or_ps(v_abs(a), _mm256_and_ps(v_set(-0.0f), b));
}

/* In two steps, because 2^n alone may be out of range where the result is not. */
static inline vf
v_ldexp(vf a, vf n)
{
	vi			all = _mm256_cvtps_epi32(n);
	vi			half = _mm256_srai_epi32(all, 1);
	vi			bias = vi_set(127);
	vi			first = _mm256_slli_epi32(vi_add(half, bias), 23);
	vi			second = _mm256_slli_epi32(vi_add(_mm256_sub_epi32(all, half), bias), 23);

	a = v_mul(a, _mm256_castsi256_ps(first));
	return v_mul(a, _mm256_castsi256_ps(second));
}

static inline float
v_sum(vf v)
{
	__m128		q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	q = _mm_add_ps(q, _mm_movehl_ps(q, q));
	return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

static inline float
v_largest(vf v)
{
	__m128		q = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	q = _mm_max_ps(q, _mm_movehl_ps(q, q));
	return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

static inline vf
v_round_bf16(vf v)
{
	vi			bits = _mm256_castps_si256(v);
	vi			odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), vi_set(1));
	vi			rounded = vi_add(vi_add(bits, vi_set(0x7fff)), odd);
	vf			nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);

	rounded = _mm256_and_si256(rounded, vi_set((int) 0xffff0000));
	return _mm256_blendv_ps(_mm256_castsi256_ps(rounded), v_set(NAN), nan);
}

static inline void
v_store_uint8(uint8_t *p, vf v, int add)
{
	vi			all = vi_add(_mm256_cvtps_epi32(v), vi_set(add));
	__m128i		words = _mm_packs_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));

	_mm_storel_epi64((__m128i *) p, _mm_packus_epi16(words, words));
}

static inline void
transpose4(const float *s0, const float *s1, const float *s2, const float *s3,
		   float *dst, int stride)
{
	vf			a = v_load(s0);
	vf			b = v_load(s1);
	vf			c = v_load(s2);
	vf			d = v_load(s3);
	__m256d		ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
	__m256d		cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
	__m256d		ab2 = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
	__m256d		cd2 = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
	vf			word[4];		/* i, i + 4 */

	word[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd));
	word[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd));
	word[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab2, cd2));
	word[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab2, cd2));
	UNROLL
	for (int i = 0; i < 4; i++)
	{
		_mm_storeu_ps(dst + i * stride, _mm256_castps256_ps128(word[i]));
		_mm_storeu_ps(dst + (i + 4) * stride, _mm256_extractf128_ps(word[i], 1));
	}
}

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
		return &kind_bytes;
	return &kind_fp32;
}

static bool
usable(void)
{
	return albert_cpu_has(ALBERT_CPU_AVX2);
}

#define SET_NAME	"avx2"
#define SET_ID		ALBERT_KERNELS_AVX2
#define SET_NEEDS	"a CPU with AVX2, FMA and F16C"
#define SET_GRAIN	{4e9, 4e9, 6e9}
#define SET			albert_kernels_avx2

#include "kernels/set_table.h"

#endif							/* ALBERT_X86_64 */
