/*
 * simd_math.h
 *	  Everything that goes element by element or row by row, written once for
 *	  all vector widths.
 *
 * Included by avx2.c and avx512.c after they have defined
 *
 *	VN				floats in a vector
 *	vf, vm			a vector of floats, a mask of lanes
 *	v_zero v_set v_load v_store v_add v_sub v_mul v_div v_abs
 *	v_fma(a, b, c)		a b + c
 *	v_fnma(a, b, c)		c - a b
 *	v_max(a, b), v_min(a, b)	b when either is a NaN
 *	v_round				to the nearest integer, ties to even
 *	v_ldexp(a, n)		a 2^n for integral n in -150 .. 130
 *	v_copysign(a, b)	magnitude of a, sign of b
 *	v_mask(n)			the first n lanes
 *	v_load_mask(p, m, fill), v_store_mask(p, m, v), v_keep(m, v): masked, else 0
 *	v_sum, v_largest	across the lanes, in a fixed order
 *
 * Loads and stores need no alignment.  Results depend on the values and on n
 * only, never on addresses.
 */

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

/*
 * x = n log 2 + r with |r| <= log(2) / 2; returns (e^r - 1 - r) / r^2 by a
 * polynomial (relative error of e^r 3e-9).
 */
static inline vf
exp_reduce(vf x, vf *n, vf *r)
{
	vf			p = v_set(1.3882508501410484e-3f);

	*n = v_round(v_mul(x, v_set(1.44269504f)));
	*r = v_fnma(*n, v_set(0.693145751953125f), x);
	*r = v_fnma(*n, v_set(1.42860682e-6f), *r);
	p = v_fma(p, *r, v_set(8.366580121219158e-3f));
	p = v_fma(p, *r, v_set(4.166720062494278e-2f));
	p = v_fma(p, *r, v_set(0.1666654348373413f));
	return v_fma(p, *r, v_set(0.4999999701976776f));
}

static inline vf
vector_exp(vf x)
{
	vf			n,
				r,
				p;

	/* beyond these the result is 0 or infinite; a NaN passes */
	x = v_min(v_set(89.0f), v_max(v_set(-104.0f), x));
	p = exp_reduce(x, &n, &r);
	p = v_fma(v_mul(r, r), p, r);
	return v_ldexp(v_add(p, v_set(1.0f)), n);
}

/* (e^2a - 1) / (e^2a + 1) with e^2a - 1 computed without cancellation */
static inline vf
vector_tanh(vf x)
{
	vf			a = v_min(v_set(20.0f), v_abs(x));
	vf			n,
				r,
				p,
				scale,
				e;

	a = v_add(a, a);
	p = exp_reduce(a, &n, &r);
	p = v_fma(v_mul(r, r), p, r);
	scale = v_ldexp(v_set(1.0f), n);
	e = v_fma(scale, p, v_sub(scale, v_set(1.0f)));
	return v_copysign(v_div(e, v_add(e, v_set(2.0f))), x);
}

/* x / (1 + e^-z), where z goes to -infinity with x */
static inline vf
times_sigmoid(vf x, vf z)
{
	vf			e = vector_exp(v_sub(v_zero(), z));

	/* the limit for x = -infinity is 0, not -infinity / infinity */
	x = v_max(v_set(-1e6f), x);
	return v_div(x, v_add(v_set(1.0f), e));
}

/*
 * With a = |x| and Q the upper tail of the normal distribution, GELU is
 * max(x, 0) - a Q(a).  Q(a) is 1 / D(a)^8 with D a polynomial fitted for the
 * absolute error of a Q(a) on 0 .. 6.5 (4e-8; rounding included, 1.8e-7);
 * beyond, a Q(a) is below 3e-10.
 */
static inline vf
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

/* 0.5 (1 + tanh u) is 1 / (1 + e^-2u) */
static inline vf
vector_gelu_new(vf x)
{
	vf			cubic = v_fma(v_mul(x, x), v_set(0.044715f), v_set(1.0f));

	return times_sigmoid(x, v_mul(v_mul(v_set(1.59576912160573071176f), x), cubic));
}

static inline vf
vector_activate(AlbertActivation act, vf x)
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
			return times_sigmoid(x, x);
		case ALBERT_ACT_TANH:
			return vector_tanh(x);
		case ALBERT_ACT_NONE:
			break;
	}
	return x;
}

static void
activate(AlbertActivation act, int n, float *x)
{
	if (act == ALBERT_ACT_NONE)
		return;
	for (int i = 0; i < n; i += VN)
		store_part(x + i, n - i, vector_activate(act, load_part(x + i, n - i)));
}

/* x becomes e^(x - largest); returns the sum. */
static float
exponentials(int n, float *x)
{
	int			whole = n - n % VN;
	vm			rest = v_mask(n - whole);
	vf			largest = v_set(-INFINITY);
	vf			sum = v_zero();
	vf			e;

	/* a NaN is passed over here, and found again by the sum */
	for (int i = 0; i < whole; i += VN)
		largest = v_max(v_load(x + i), largest);
	if (whole < n)
		largest = v_max(v_load_mask(x + whole, rest, v_set(-INFINITY)), largest);
	largest = v_set(v_largest(largest));

	for (int i = 0; i < whole; i += VN)
	{
		e = vector_exp(v_sub(v_load(x + i), largest));
		v_store(x + i, e);
		sum = v_add(sum, e);
	}
	if (whole < n)
	{
		e = vector_exp(v_sub(v_load_mask(x + whole, rest, v_zero()), largest));
		v_store_mask(x + whole, rest, e);
		sum = v_add(sum, v_keep(rest, e));
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
	scale_row(n, x, 1.0f / exponentials(n, x));
}

/* Sum of (x - centre) or of its square, in two chains of vectors. */
static inline float
row_sum(int n, const float *x, float centre, bool squared)
{
	vf			sum[2] = {v_zero(), v_zero()};
	vf			c = v_set(centre);

	for (int i = 0; i < n; i += VN)
	{
		vf			v = v_sub(load_part(x + i, n - i), c);
		vf		   *s = &sum[(i / VN) & 1];

		if (n - i < VN)
			v = v_keep(v_mask(n - i), v);
		*s = squared ? v_fma(v, v, *s) : v_add(*s, v);
	}
	return v_sum(v_add(sum[0], sum[1]));
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
