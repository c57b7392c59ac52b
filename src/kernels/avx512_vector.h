/*
 * avx512_vector.h
 *	  The vector operations that the simd_*.h files ask for, in AVX-512.
 */
#include <immintrin.h>

#define VN	16
#define MR	14
#define FOR_ROWS	FOR_14_ROWS
#define BYTES_MR	12
#define FETCH_AHEAD	4

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
#define v_max(a, b)		_mm512_max_ps(a, b)
#define v_min(a, b)		_mm512_min_ps(a, b)
#define v_round(a)		_mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define v_ldexp(a, n)	_mm512_scalef_ps(a, n)
#define v_mask(n)		((__mmask16) ((1u << (n)) - 1))
#define v_load_mask(p, m, fill) _mm512_mask_loadu_ps(fill, m, p)
#define v_store_mask(p, m, v)	_mm512_mask_storeu_ps(p, m, v)

#define vi_set(x)		_mm512_set1_epi32(x)
#define vi_load(p)		_mm512_loadu_si512(p)
#define vi_store(p, v)	_mm512_storeu_si512(p, v)
#define vi_add(a, b)	_mm512_add_epi32(a, b)
#define vi_sub(a, b)	_mm512_sub_epi32(a, b)
#define vi_mul(a, b)	_mm512_mullo_epi32(a, b)
#define vi_add_pairs(s, a, b)	_mm512_add_epi32(s, _mm512_madd_epi16(a, b))
#define vi_pairs_of_bytes(a, b)	_mm512_maddubs_epi16(a, b)
#define vi_add_int16(a, b)	_mm512_add_epi16(a, b)
#define v_from_int(i)	_mm512_cvtepi32_ps(i)
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
v_store_uint8(uint8_t *p, vf v, int add)
{
	_mm_storeu_si128((__m128i *) p, _mm512_cvtusepi32_epi8(vi_add(_mm512_cvtps_epi32(v), vi_set(add))));
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
	UNROLL
	for (int i = 0; i < 4; i++)
	{
		_mm_storeu_ps(dst + i * stride, _mm512_castps512_ps128(word[i]));
		_mm_storeu_ps(dst + (i + 4) * stride, _mm512_extractf32x4_ps(word[i], 1));
		_mm_storeu_ps(dst + (i + 8) * stride, _mm512_extractf32x4_ps(word[i], 2));
		_mm_storeu_ps(dst + (i + 12) * stride, _mm512_extractf32x4_ps(word[i], 3));
	}
}
