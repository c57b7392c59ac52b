/*
 * simd_product.h
 *	  Sums of rows times a panel of weights in registers, written once for all
 *	  vector widths and precisions; how rows of x are prepared for it.
 *
 * A panel is NR = 2 VN output channels, unit by unit: [unit][NR].  A unit is the
 * group of neighbouring inputs of one channel that one instruction multiplies:
 * one fp32, two bf16, four int8.  What is missing is zero.
 *
 * Besides what simd_math.h needs, the including file defines MR, the rows of its
 * micro-kernels, FOR_ROWS, that of the FOR_..._ROWS below with as many, and
 *
 *	vi				a vector of VN int32
 *	vi_set vi_load vi_store vi_add vi_sub vi_mul
 *	vi_add_pairs(s, a, b)	s + sum of the pair's products, lane by lane
 *	v_even_bf16(p), v_odd_bf16(p)	from VN words, their lower or upper bf16
 *	v_round_bf16(v)			rounded to bf16, as fp32
 *	v_from_int(i)			VN int32 as floats
 *	transpose4(s0, s1, s2, s3, dst, stride)	VN floats of four rows
 *
 * and, where bytes can be multiplied and summed in 16 bits, BYTES_MR, the rows of
 * such a micro-kernel, with
 *
 *	vi_pairs_of_bytes(a, b)	4 VN products of unsigned and signed bytes, as
 *							int16 sums of two neighbours
 *	vi_add_int16(a, b)		2 VN sums
 *	v_store_uint8(p, v, i)	v rounded, plus i, from 0 on; 255 when it is more
 *
 * and otherwise
 *
 *	vi_load_pairs(p)		2 VN int8 as int16 pairs
 *	v_store_int16(p, v)		integral values
 */

#define NR				(2 * VN)
#ifndef MAX_ROWS
#define MAX_ROWS		MR		/* in a row block of any kind */
#endif
#ifndef FETCH_AHEAD
#define FETCH_AHEAD		0		/* units of fp32 weights that are fetched before they are multiplied */
#endif
#define CONVERT_UNITS	64		/* units converted at a time, on the stack */

/*
 * tile[rows][NR] = sums over `units` of the prepared rows x times the panel w,
 * added to what is there when `more` is set: floats, or int32 for int8
 */
typedef void (*Multiply) (int rows, int units, const void *x, const void *w, void *tile, bool more);

/*
 * tile[rows][ld_tile] = the same sums of rows that lie as they happen to: row r's
 * word u is word r * x_row + u * x_step of x.  Unless the kind is transposed,
 * x_step is always 1.
 */
typedef void (*Product) (int rows, int units, const void *x, size_t x_row, size_t x_step,
						 const void *w, void *tile, size_t ld_tile);

/*
 * n inputs of a row to the words of their units, up to a whole vector of inputs:
 * those that are missing become what zeros become.
 */
typedef void (*Convert) (int n, const float *x, const AlbertInt8Row *row, uint32_t *words);

/* One way to multiply. */
typedef struct ProductKind
{
	AlbertPrecision precision;
	int			unit_inputs;	/* inputs in a unit */
	int			words;			/* 32-bit words of a prepared unit, a row */
	int			most_rows;		/* in a row block, at most MAX_ROWS */
	int			step;			/* units come in multiples of this, zeros at the end */
	bool		transposed;		/* prepared rows are [word][row_stride], else [row][unit], of a word each */
	bool		narrow;			/* int8: products are summed in 16 bits, see albert_int8_weights() */
	int			lower;			/* int8: how much lower activations are than 0 .. 255 */
	Multiply	multiply;
	Product		product;		/* for attention, whose units are a word each; NULL: it takes fp32 instead */

	Convert		convert;		/* NULL: fp32 as it is */

	/* For attention: a vector of units, each an input of row a and one of row b; NULL: fp32 as it is */
	void		(*pair) (vf a, vf b, uint32_t *words);

	/*
	 * A panel's weights as fp32, to be multiplied by multiply_fp32_rows when
	 * several row blocks use them; NULL: never.
	 */
	void		(*expand) (int units, const void *w, float *wide);

	/* Before and after products with row blocks of at most so many rows; NULL: nothing to do. */
	void		(*begin) (int rows);
	void		(*end) (void);
} ProductKind;

/* Which of the kinds below, or of its own, a kernel set uses. */
static const ProductKind *product_kind(AlbertPrecision precision);

INLINE int
row_stride(int rows)
{
	return (rows + 3) & ~3;
}

/* ---- micro-kernels: with a constant number of rows they unroll into registers ---- */

#define FOR_6_ROWS(M, name, target) \
	M(name, target, 1) M(name, target, 2) M(name, target, 3) M(name, target, 4) M(name, target, 5) M(name, target, 6)
#define FOR_10_ROWS(M, name, target) \
	FOR_6_ROWS(M, name, target) \
	M(name, target, 7) M(name, target, 8) M(name, target, 9) M(name, target, 10)
#define FOR_14_ROWS(M, name, target) \
	FOR_10_ROWS(M, name, target) \
	M(name, target, 11) M(name, target, 12) M(name, target, 13) M(name, target, 14)

/*
 * The function multiply_NAME_rows, a Multiply, that runs multiply_NAME for a
 * number of rows that is known to the compiler.
 */
#define MICRO_KERNEL(name, target, rows) \
static target void \
micro_##name##_##rows(int units, const void *x, const void *w, void *tile, bool more) \
{ \
	multiply_##name(rows, units, x, 1, row_stride(rows), w, tile, NR, more); \
}
#define MICRO_ENTRY(name, target, rows)	micro_##name##_##rows,

#define MULTIPLY(name, target) \
FOR_ROWS(MICRO_KERNEL, name, target) \
 \
static void \
multiply_##name##_rows(int rows, int units, const void *x, const void *w, void *tile, bool more) \
{ \
	static void (*const micro[]) (int, const void *, const void *, void *, bool) = \
	{FOR_ROWS(MICRO_ENTRY, name, target)}; \
 \
	micro[rows - 1] (units, x, w, tile, more); \
}

/* Likewise product_NAME, a Product. */
#define PRODUCT_KERNEL(name, target, rows) \
static target void \
product_##name##_##rows(int units, const void *x, size_t x_row, size_t x_step, \
						const void *w, void *tile, size_t ld_tile) \
{ \
	multiply_##name(rows, units, x, x_row, x_step, w, tile, ld_tile, false); \
}
#define PRODUCT_ENTRY(name, target, rows)	product_##name##_##rows,

#define PRODUCT(name, target) \
FOR_ROWS(PRODUCT_KERNEL, name, target) \
 \
static void \
product_##name(int rows, int units, const void *x, size_t x_row, size_t x_step, \
			   const void *w, void *tile, size_t ld_tile) \
{ \
	static void (*const micro[]) (int, const void *, size_t, size_t, const void *, void *, size_t) = \
	{FOR_ROWS(PRODUCT_ENTRY, name, target)}; \
 \
	micro[rows - 1] (units, x, x_row, x_step, w, tile, ld_tile); \
}

INLINE void
store_sums(int rows, vf (*sum)[2], float *tile, size_t ld_tile, bool more)
{
	UNROLL
	for (int r = 0; r < rows; r++)
		for (int i = 0; i < 2; i++)
		{
			float	   *at = tile + r * ld_tile + i * VN;

			v_store(at, more ? v_add(v_load(at), sum[r][i]) : sum[r][i]);
		}
}

INLINE void
store_int_sums(int rows, vi (*sum)[2], int32_t *tile, size_t ld_tile, bool more)
{
	UNROLL
	for (int r = 0; r < rows; r++)
		for (int i = 0; i < 2; i++)
		{
			int32_t    *at = tile + r * ld_tile + i * VN;

			vi_store(at, more ? vi_add(vi_load(at), sum[r][i]) : sum[r][i]);
		}
}

/*
 * A panel of fp32 weights and the rows are more than the L1 cache, and Intel's
 * cores wait for what they have not asked for: 1.1 times as fast there with 8
 * units ahead, on Zen 4 1.00 to 1.03 with 4 and slower with 8.  Past a panel lies
 * the next one; what is fetched past the last is never read.
 */
INLINE void
fetch_ahead(const float *w)
{
	if (FETCH_AHEAD > 0)
		for (int i = 0; i < NR; i += 64 / (int) sizeof(float))
			__builtin_prefetch(w + FETCH_AHEAD * NR + i);
}

/* Add the products of an input's value in each row, x_row apart, and its weights. */
INLINE void
add_products(int rows, vf (*sum)[2], const float *x, size_t x_row, vf w0, vf w1)
{
	UNROLL
	for (int r = 0; r < rows; r++)
	{
		vf			value = v_set(x[r * x_row]);

		sum[r][0] = v_fma(value, w0, sum[r][0]);
		sum[r][1] = v_fma(value, w1, sum[r][1]);
	}
}

INLINE void
multiply_fp32(int rows, int units, const float *x, size_t x_row, size_t x_step,
			  const float *w, float *tile, size_t ld_tile, bool more)
{
	vf			sum[MR][2];

	UNROLL
	for (int r = 0; r < rows; r++)
		sum[r][0] = sum[r][1] = v_zero();
	for (int k = 0; k < units; k++)
	{
		vf			w0 = v_load(w);
		vf			w1 = v_load(w + VN);

		add_products(rows, sum, x, x_row, w0, w1);
		fetch_ahead(w);
		x += x_step;
		w += NR;
	}
	store_sums(rows, sum, tile, ld_tile, more);
}

MULTIPLY(fp32,)

PRODUCT(fp32,)

/*
 * bf16 where no instruction multiplies it: a unit's two weights share a 32-bit
 * word and are expanded to fp32; the rows come as fp32 values that bf16 can hold.
 */
INLINE void
multiply_expanded(int rows, int units, const float *x, size_t x_row, size_t x_step,
				  const float *w, float *tile, size_t ld_tile, bool more)
{
	vf			sum[MR][2];

	UNROLL
	for (int r = 0; r < rows; r++)
		sum[r][0] = sum[r][1] = v_zero();
	for (int k = 0; k < units; k++)
	{
		vf			w0 = v_even_bf16(w);
		vf			w1 = v_even_bf16(w + VN);

		add_products(rows, sum, x, x_row, w0, w1);
		w0 = v_odd_bf16(w);
		w1 = v_odd_bf16(w + VN);
		add_products(rows, sum, x + x_step, x_row, w0, w1);
		x += 2 * x_step;
		w += NR;
	}
	store_sums(rows, sum, tile, ld_tile, more);
}

MULTIPLY(expanded,)

/*
 * multiply_NAME and multiply_NAME_rows for an instruction that multiplies a whole
 * unit, a word of x: weights(w) are those of VN channels, add(sum, x, weights)
 * adds their products to a vector of floats or integers, which store_sums or
 * store_int_sums stores.
 */
#define MULTIPLY_UNITS(name, target, vector, weights, unit_bytes, add, store) \
INLINE target void \
multiply_##name(int rows, int units, const int32_t *x, size_t x_row, size_t x_step, \
				const int8_t *w, void *tile, size_t ld_tile, bool more) \
{ \
	vector		sum[MR][2]; \
 \
	UNROLL \
	for (int r = 0; r < rows; r++) \
		sum[r][0] = sum[r][1] = (vector) v_zero(); \
	for (int k = 0; k < units; k++) \
	{ \
		vi			w0 = weights(w); \
		vi			w1 = weights(w + unit_bytes * VN); \
 \
		UNROLL \
		for (int r = 0; r < rows; r++) \
		{ \
			vi			value = vi_set(x[r * x_row]); \
 \
			sum[r][0] = add(sum[r][0], value, w0); \
			sum[r][1] = add(sum[r][1], value, w1); \
		} \
		x += x_step; \
		w += unit_bytes * NR; \
	} \
	store(rows, sum, tile, ld_tile, more); \
} \
MULTIPLY(name, target)

/* ---- kinds ---- */

static const ProductKind kind_fp32 = {
	.precision = ALBERT_FP32, .unit_inputs = 1, .words = 1, .most_rows = MR, .step = 1, .transposed = true,
	.multiply = multiply_fp32_rows, .product = product_fp32
};

static void
convert_expanded(int n, const float *x, const AlbertInt8Row *row, uint32_t *words)
{
	for (int i = 0; i < n; i += VN)
		v_store((float *) words + i, v_round_bf16(load_part(x + i, n - i)));
}

static void
expand_bf16(int units, const void *w, float *wide)
{
	const float *pairs = w;

	for (int u = 0; u < units; u++)
	{
		v_store(wide, v_even_bf16(pairs));
		v_store(wide + VN, v_even_bf16(pairs + VN));
		v_store(wide + NR, v_odd_bf16(pairs));
		v_store(wide + NR + VN, v_odd_bf16(pairs + VN));
		pairs += NR;
		wide += 2 * NR;
	}
}

static const ProductKind kind_expanded = {
	.precision = ALBERT_BF16, .unit_inputs = 2, .words = 2, .most_rows = MR, .step = 1, .transposed = true,
	.multiply = multiply_expanded_rows, .convert = convert_expanded, .expand = expand_bf16
};

#ifdef BYTES_MR
/*
 * int8 where an instruction multiplies bytes and sums two products in 16 bits:
 * the weights are small enough for the sums of two units to stay there too.
 */
#define VI_INT16_ONES	vi_set(0x00010001)

INLINE void
multiply_bytes(int rows, int units, const int32_t *x, size_t x_row, size_t x_step,
			   const int8_t *w, int32_t *tile, size_t ld_tile, bool more)
{
	vi			sum[MR][2];

	UNROLL
	for (int r = 0; r < rows; r++)
		sum[r][0] = sum[r][1] = vi_set(0);
	for (int k = 0; k < units; k += 2)
	{
		vi			w0 = vi_load(w);
		vi			w1 = vi_load(w + 4 * VN);
		vi			w2 = vi_load(w + 4 * NR);
		vi			w3 = vi_load(w + 4 * NR + 4 * VN);

		UNROLL
		for (int r = 0; r < rows; r++)
		{
			vi			four = vi_set(x[r * x_row]);
			vi			next = vi_set(x[x_step + r * x_row]);

			sum[r][0] = vi_add_pairs(sum[r][0], VI_INT16_ONES,
									 vi_add_int16(vi_pairs_of_bytes(four, w0), vi_pairs_of_bytes(next, w2)));
			sum[r][1] = vi_add_pairs(sum[r][1], VI_INT16_ONES,
									 vi_add_int16(vi_pairs_of_bytes(four, w1), vi_pairs_of_bytes(next, w3)));
		}
		x += 2 * x_step;
		w += 8 * NR;
	}
	store_int_sums(rows, sum, tile, ld_tile, more);
}

MULTIPLY(bytes,)

static void
convert_bytes(int n, const float *x, const AlbertInt8Row *row, uint32_t *words)
{
	for (int i = 0; i < n; i += VN)
		v_store_uint8((uint8_t *) words + i, v_mul(load_part(x + i, n - i), v_set(row->factor)), row->zero);
}

static const ProductKind kind_bytes = {
	.precision = ALBERT_INT8, .unit_inputs = 4, .words = 1, .most_rows = BYTES_MR, .step = 2, .transposed = true,
	.narrow = true,
	.multiply = multiply_bytes_rows, .convert = convert_bytes
};
#else

/*
 * int8 where no instruction sums four products: pairs of weights are widened
 * to 16 bits, where the sum of two products is exact.
 */
MULTIPLY_UNITS(pairs, , vi, vi_load_pairs, 2, vi_add_pairs, store_int_sums)

static void
convert_pairs(int n, const float *x, const AlbertInt8Row *row, uint32_t *words)
{
	for (int i = 0; i < n; i += VN)
	{
		vf			q = v_round(v_mul(load_part(x + i, n - i), v_set(row->factor)));

		v_store_int16((int16_t *) words + i, v_min(v_add(q, v_set(row->zero)), v_set(255.0f)));
	}
}

static const ProductKind kind_pairs = {
	.precision = ALBERT_INT8, .unit_inputs = 2, .words = 1, .most_rows = MR, .step = 1, .transposed = true,
	.multiply = multiply_pairs_rows, .convert = convert_pairs
};
#endif

/* ---- the rows of x ---- */

/* m rows in blocks of at most `most`: their number, and the rows of block b. */
static int
row_blocks(int m, int most)
{
	return (m + most - 1) / most;
}

static int
row_block(int m, int most, int b, int *first)
{
	int			n = row_blocks(m, most);
	int			longer = m % n;

	*first = b * (m / n) + (b < longer ? b : longer);
	return m / n + (b < longer);
}

/* dst[word][stride] = src[row][word], row by row in groups of four */
static void
transpose_to(int rows, int words, const float *src, size_t ld, float *dst, int stride)
{
	int			whole = words - words % VN;

	for (int r = 0; r < rows; r += 4)
	{
		/* past the last row: the last row again, its results are not used */
		const float *s0 = src + r * ld;
		const float *s1 = src + (r + 1 < rows ? r + 1 : rows - 1) * ld;
		const float *s2 = src + (r + 2 < rows ? r + 2 : rows - 1) * ld;
		const float *s3 = src + (r + 3 < rows ? r + 3 : rows - 1) * ld;

		for (int i = 0; i < whole; i += VN)
			transpose4(s0 + i, s1 + i, s2 + i, s3 + i, dst + (size_t) i * stride + r, stride);
		for (int i = whole; i < words; i++)
		{
			float	   *to = dst + (size_t) i * stride + r;

			to[0] = s0[i];
			to[1] = s1[i];
			to[2] = s2[i];
			to[3] = s3[i];
		}
	}
}

static void
transpose(int rows, int words, const float *src, size_t ld, float *dst)
{
	transpose_to(rows, words, src, ld, dst, row_stride(rows));
}

/* n inputs of a row as units of a word, and zeros behind them. */
static void
convert_row(Convert convert, int unit_inputs, int n, int units, const float *x, const AlbertInt8Row *row,
			uint32_t *words)
{
	convert(n, x, row, words);
	for (int u = (n + VN - 1) / VN * VN / unit_inputs; u < units; u++)
		words[u] = 0;
}

/* Prepare the n inputs at x of a row block: `units` units, of which the last may be empty. */
static void
prepare_rows(const ProductKind *kind, int n, int rows, const float *x, int ldx,
			 const AlbertInt8Row *quantised, int units, float *dst)
{
	uint32_t	part[MAX_ROWS][CONVERT_UNITS * 2];

	if (kind->convert == NULL)
		transpose(rows, n, x, ldx, dst);
	else if (!kind->transposed)
		for (int r = 0; r < rows; r++)
			convert_row(kind->convert, kind->unit_inputs, n, units, x + (size_t) r * ldx, &quantised[r],
						(uint32_t *) dst + (size_t) r * units);
	else
		for (int u = 0; u < units; u += CONVERT_UNITS)
		{
			int			i = u * kind->unit_inputs;
			int			most = CONVERT_UNITS * kind->unit_inputs;
			int			words = (units - u < CONVERT_UNITS ? units - u : CONVERT_UNITS) * kind->words;

			for (int r = 0; r < rows; r++)
				kind->convert(n - i < most ? n - i : most, x + (size_t) r * ldx + i, &quantised[r], part[r]);
			transpose(rows, words, (const float *) part, CONVERT_UNITS * 2, dst);
			dst += (size_t) words * row_stride(rows);
		}
}
