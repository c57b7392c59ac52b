/*
 * simd128_vector.h
 *	  The vector operations that the simd_*.h files ask for, with 128 bits and
 *	  the compiler's vector types.
 */
#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define VN	4
#if defined(__aarch64__)
#define MR	10
#define FOR_ROWS	FOR_10_ROWS
#else
#define MR	6
#define FOR_ROWS	FOR_6_ROWS
#endif

typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef int16_t vs __attribute__((vector_size(16)));
typedef int vm;					/* lanes, from the first; fewer than VN */

/* the same, wherever they lie */
typedef float vf_any __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t vi_any __attribute__((vector_size(16), aligned(1), may_alias));
typedef int8_t v8_any __attribute__((vector_size(8), aligned(1), may_alias));

#define v_zero()		((vf) {0})
#define v_load(p)		((vf) *(const vf_any *) (p))
#define v_store(p, v)	(*(vf_any *) (p) = (v))
#define v_add(a, b)		((a) + (b))
#define v_sub(a, b)		((a) - (b))
#define v_mul(a, b)		((a) * (b))
#define v_div(a, b)		((a) / (b))
#define v_abs(a)		((vf) ((vi) (a) & 0x7fffffff))
#define v_mask(n)		(n)

#define vi_load(p)		((vi) *(const vi_any *) (p))
#define vi_store(p, v)	(*(vi_any *) (p) = (v))
#define vi_add(a, b)	((a) + (b))
#define vi_sub(a, b)	((a) - (b))
#define vi_mul(a, b)	((a) * (b))
#define v_from_int(i)	__builtin_convertvector(i, vf)
#define vi_load_pairs(p)	((vi) __builtin_convertvector(*(const v8_any *) (p), vs))
#define v_even_bf16(p)	((vf) (vi_load(p) << 16))
#define v_odd_bf16(p)	((vf) (vi_load(p) & (int32_t) 0xffff0000))

static inline vf
v_set(float x)
{
	return (vf) {x, x, x, x};
}

static inline vi
vi_set(int32_t x)
{
	return (vi) {x, x, x, x};
}

static inline vf
v_select(vi condition, vf yes, vf no)
{
	return (vf) ((condition & (vi) yes) | (~condition & (vi) no));
}

static inline vf
v_fma(vf a, vf b, vf c)
{
#if defined(__aarch64__)
	return (vf) vfmaq_f32((float32x4_t) c, (float32x4_t) a, (float32x4_t) b);
#else
	return a * b + c;
#endif
}

static inline vf
v_max(vf a, vf b)
{
#if defined(__SSE2__)
	return _mm_max_ps(a, b);
#else
	return v_select(a > b, a, b);
#endif
}

static inline vf
v_min(vf a, vf b)
{
#if defined(__SSE2__)
	return _mm_min_ps(a, b);
#else
	return v_select(a < b, a, b);
#endif
}

/* For magnitudes below 2^22: at 1.5 2^23 a float has no fraction left. */
static inline vf
v_round(vf a)
{
	vf			magic = v_set(12582912.0f);

	return (a + magic) - magic;
}

/* Rounded values that fit; anything else gives anything. */
static inline vi
vi_from_float(vf a)
{
#if defined(__SSE2__)
	return (vi) _mm_cvtps_epi32(a);
#elif defined(__aarch64__)
	return (vi) vcvtnq_s32_f32((float32x4_t) a);
#else
	return __builtin_convertvector(v_round(a), vi);
#endif
}

/* In two steps, because 2^n alone may be out of range where the result is not. */
static inline vf
v_ldexp(vf a, vf n)
{
	vi			all = vi_from_float(n);
	vi			half = all >> 1;

	return a * (vf) ((half + 127) << 23) * (vf) ((all - half + 127) << 23);
}

static inline vf
v_copysign(vf a, vf b)
{
	return (vf) (((vi) a & 0x7fffffff) | ((vi) b & (int32_t) 0x80000000));
}

static inline vf
v_load_mask(const float *p, vm m, vf fill)
{
	if (m > 0)
		fill[0] = p[0];
	if (m > 1)
		fill[1] = p[1];
	if (m > 2)
		fill[2] = p[2];
	return fill;
}

static inline void
v_store_mask(float *p, vm m, vf v)
{
	if (m > 0)
		p[0] = v[0];
	if (m > 1)
		p[1] = v[1];
	if (m > 2)
		p[2] = v[2];
}

static inline float
v_sum(vf v)
{
	return (v[0] + v[2]) + (v[1] + v[3]);
}

static inline float
v_largest(vf v)
{
	float		a = v[0] > v[1] ? v[0] : v[1];
	float		b = v[2] > v[3] ? v[2] : v[3];

	return a > b ? a : b;
}

/* s + a[2i] b[2i] + a[2i+1] b[2i+1] over the 16-bit halves of each lane */
static inline vi
vi_add_pairs(vi s, vi a, vi b)
{
#if defined(__SSE2__)
	return s + (vi) _mm_madd_epi16((__m128i) a, (__m128i) b);
#elif defined(__aarch64__)
	int32x4_t	low = vmull_s16(vget_low_s16((int16x8_t) a), vget_low_s16((int16x8_t) b));
	int32x4_t	high = vmull_high_s16((int16x8_t) a, (int16x8_t) b);

	return s + (vi) vpaddq_s32(low, high);
#else
	return s + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}

static inline vf
v_round_bf16(vf v)
{
	vi			bits = (vi) v;
	vi			rounded = (bits + 0x7fff + ((bits >> 16) & 1)) & (int32_t) 0xffff0000;

	return v_select(v == v, (vf) rounded, v_set(NAN));
}

static inline void
v_store_int16(int16_t *p, vf v)
{
	vi			q = vi_from_float(v);

	for (int i = 0; i < VN; i++)
		p[i] = (int16_t) q[i];
}

static inline void
transpose4(const float *s0, const float *s1, const float *s2, const float *s3,
		   float *dst, int stride)
{
	for (int i = 0; i < VN; i++)
		v_store(dst + i * stride, ((vf) {s0[i], s1[i], s2[i], s3[i]}));
}
