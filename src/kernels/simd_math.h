/*
 * simd_math.h
 *	  Everything that goes element by element or row by row, written once for
 *	  all vector widths.
 *
 * Included by the kernel sets with vectors, after they have defined
 *
 *	VN				floats in a vector
 *	vf, vm			a vector of floats, a mask of lanes
 *	v_zero v_set v_load v_store v_add v_sub v_mul v_div v_abs
 *	v_fma(a, b, c)		a b + c
 *	v_max(a, b), v_min(a, b)	b when either is a NaN
 *	v_round				to the nearest integer, ties to even
 *	v_ldexp(a, n)		a 2^n for integral n in -151 .. 127
 *	v_copysign(a, b)	magnitude of a, sign of b
 *	v_mask(n)			the first n lanes
 *	v_load_mask(p, m, fill), v_store_mask(p, m, v)
 *	v_sum, v_largest	across the lanes, in a fixed order
 *
 * Loads and stores need no alignment.  Results depend on the values and on n
 * only, never on addresses.
 */

#define INLINE	static inline __attribute__((always_inline))

static inline vf
load_part(const float *p, int n)
{
	return n >= VN ? v_load(p) : v_load_mask(p, v_mask(n), v_zero());
}

static inline void
store_part(float *p, int n, vf v)
{
	if (n >= VN)
		v_store(p, v);
	else
		v_store_mask(p, v_mask(n), v);
}

#define LOG2_E	1.44269504088896340736f

/*
 * 2^t = 2^n (1 + result) with integral n; the polynomial is off by 1e-8 of
 * 2^r - 1 for r = t - n in -1/2 .. 1/2.
 */
INLINE vf
exp2_parts(vf t, vf *n)
{
	vf			r;
	vf			p = v_set(1.5403512225020677e-4f);

	*n = v_round(t);
	r = v_sub(t, *n);
	p = v_fma(p, r, v_set(1.3390849344432354e-3f));
	p = v_fma(p, r, v_set(9.618237614631653e-3f));
	p = v_fma(p, r, v_set(5.550357326865196e-2f));
	p = v_fma(p, r, v_set(0.24022649228572845f));
	p = v_fma(p, r, v_set(0.6931471824645996f));
	return v_mul(p, r);
}

/* For t up to 127; a NaN passes. */
INLINE vf
vector_exp2(vf t)
{
	vf			n;
	vf			p = exp2_parts(v_max(v_set(-151.0f), t), &n);

	return v_ldexp(v_add(p, v_set(1.0f)), n);
}

/* (e^2a - 1) / (e^2a + 1) with e^2a - 1 computed without cancellation */
INLINE vf
vector_tanh(vf x)
{
	vf			a = v_min(v_set(20.0f), v_abs(x));
	vf			n,
				p,
				scale,
				e;

	p = exp2_parts(v_mul(a, v_set(2.0f * LOG2_E)), &n);
	scale = v_ldexp(v_set(1.0f), n);
	e = v_fma(scale, p, v_sub(scale, v_set(1.0f)));
	return v_copysign(v_div(e, v_add(e, v_set(2.0f))), x);
}

/*
 * x / (1 + 2^t), where t goes to infinity when x goes to -infinity.  The limits
 * keep infinities out of it: what they cut off is 0.
 */
INLINE vf
divide_by_exp2(vf x, vf t)
{
	vf			e = vector_exp2(v_min(v_set(125.0f), t));

	return v_div(v_max(v_set(-1e6f), x), v_add(v_set(1.0f), e));
}

/*
 * With a = |x| and Q the upper tail of the normal distribution, GELU is
 * max(x, 0) - a Q(a).  Q(a) is 1 / D(a)^8 with D a polynomial fitted for the
 * absolute error of a Q(a) on 0 .. 6.5 (4e-8; rounding included, 1.8e-7);
 * beyond, a Q(a) is below 3e-10.
 */
INLINE vf
vector_gelu(vf x)
{
	vf			a = v_min(v_set(6.5f), v_abs(x));
	vf			d = v_set(3.310047304694308e-6f);

	d = v_fma(d, a, v_set(-1.978087857423816e-5f));
	d = v_fma(d, a, v_set(1.147855437011458e-4f));
	d = v_fma(d, a, v_set(9.708801371743903e-5f));
	d = v_fma(d, a, v_set(1.1097430251538754e-3f));
	d = v_fma(d, a, v_set(9.330887347459793e-3f));
	d = v_fma(d, a, v_set(4.886253923177719e-2f));
	d = v_fma(d, a, v_set(0.1087539941072464f));
	d = v_fma(d, a, v_set(1.090508222579956f));
	d = v_mul(d, d);
	d = v_mul(d, d);
	d = v_mul(d, d);
	return v_sub(v_max(v_zero(), x), v_div(a, d));
}

/* 0.5 (1 + tanh u) is 1 / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3) */
INLINE vf
vector_gelu_new(vf x)
{
	const float linear = -2.0f * 0.79788456080286535588f * LOG2_E;
	vf			factor = v_fma(v_mul(x, x), v_set(0.044715f * linear), v_set(linear));

	return divide_by_exp2(x, v_mul(x, factor));
}

INLINE vf
activated(AlbertActivation act, vf x)
{
	switch (act)
	{
		case ALBERT_ACT_GELU:
			return vector_gelu(x);
		case ALBERT_ACT_GELU_NEW:
			return vector_gelu_new(x);
		case ALBERT_ACT_RELU:
			return v_max(v_zero(), x);
		case ALBERT_ACT_SILU:
			return divide_by_exp2(x, v_mul(x, v_set(-LOG2_E)));
		case ALBERT_ACT_TANH:
			return vector_tanh(x);
		case ALBERT_ACT_NONE:
			break;
	}
	return x;
}

/* For a switch whose cases each know their activation when they are compiled. */
#define FOR_ACTIVATIONS(M) \
	M(ALBERT_ACT_NONE) M(ALBERT_ACT_GELU) M(ALBERT_ACT_GELU_NEW) \
	M(ALBERT_ACT_RELU) M(ALBERT_ACT_SILU) M(ALBERT_ACT_TANH)

INLINE void
activate_all(AlbertActivation act, int n, float *x)
{
	for (int i = 0; i < n; i += VN)
		store_part(x + i, n - i, activated(act, load_part(x + i, n - i)));
}

static void
activate(AlbertActivation act, int n, float *x)
{
	switch (act)
	{
#define ACTIVATE(known) \
		case known: \
			activate_all(known, n, x); \
			break;
		FOR_ACTIVATIONS(ACTIVATE)
	}
}

/* The largest of n values; a NaN is passed over. */
static inline float
row_largest(int n, const float *x)
{
	vf			even = v_set(-INFINITY);
	vf			odd = even;
	int			i = 0;

	for (; i + 2 * VN <= n; i += 2 * VN)
	{
		even = v_max(v_load(x + i), even);
		odd = v_max(v_load(x + i + VN), odd);
	}
	for (; i < n; i += VN)
		even = v_max(n - i >= VN ? v_load(x + i) :
					 v_load_mask(x + i, v_mask(n - i), v_set(-INFINITY)), even);
	return v_largest(v_max(odd, even));
}

/* x becomes 2^(log2_base (x - largest)); returns the sum, NaN when there was one. */
INLINE float
exponentials(int n, float *x, float log2_base)
{
	vf			largest = v_set(row_largest(n, x));
	vf			sum = v_zero();

	for (int i = 0; i < n; i += VN)
	{
		vf			v = load_part(x + i, n - i);

		v = vector_exp2(v_mul(v_sub(v, largest), v_set(log2_base)));
		store_part(x + i, n - i, v);
		if (n - i < VN)
			v = load_part(x + i, n - i);	/* zeros behind the end */
		sum = v_add(sum, v);
	}
	return v_sum(sum);
}

static void
scale_row(int n, float *x, float factor)
{
	for (int i = 0; i < n; i += VN)
		store_part(x + i, n - i, v_mul(load_part(x + i, n - i), v_set(factor)));
}

static void
softmax(int n, float *x)
{
	scale_row(n, x, 1.0f / exponentials(n, x, LOG2_E));
}

/* x - centre or its square, added to sum */
static inline vf
add_deviation(vf sum, vf x, vf centre, bool squared)
{
	vf			d = v_sub(x, centre);

	return squared ? v_fma(d, d, sum) : v_add(sum, d);
}

/* Sum of (x - centre) or of its square, in two chains of vectors. */
static inline float
row_sum(int n, const float *x, float centre, bool squared)
{
	vf			even = v_zero();
	vf			odd = v_zero();
	vf			c = v_set(centre);
	int			i = 0;

	for (; i + 2 * VN <= n; i += 2 * VN)
	{
		even = add_deviation(even, v_load(x + i), c, squared);
		odd = add_deviation(odd, v_load(x + i + VN), c, squared);
	}
	if (i + VN <= n)
	{
		even = add_deviation(even, v_load(x + i), c, squared);
		i += VN;
	}
	if (i < n)
		odd = add_deviation(odd, v_load_mask(x + i, v_mask(n - i), c), c, squared);
	return v_sum(v_add(even, odd));
}

static void
layer_norm(int m, int n, float *x, int ldx,
		   const float *weight, const float *bias, float eps)
{
	for (int r = 0; r < m; r++)
	{
		float	   *row = x + (size_t) r * ldx;
		float		mean = row_sum(n, row, 0.0f, false) / n;
		float		variance = row_sum(n, row, mean, true) / n;
		vf			centre = v_set(mean);
		vf			factor = v_set(1.0f / sqrtf(variance + eps));

		for (int i = 0; i < n; i += VN)
		{
			vf			v = v_mul(v_sub(load_part(row + i, n - i), centre), factor);

			v = v_fma(v, load_part(weight + i, n - i), load_part(bias + i, n - i));
			store_part(row + i, n - i, v);
		}
	}
}
