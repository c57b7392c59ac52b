/*
 * simd_linear.h
 *	  Matrix products on packed weights, written once for all vector widths
 *	  and precisions.
 *
 * Weights lie in blocks of inputs, inside a block in panels of NR = 2 VN output
 * channels, inside a panel unit by unit: [block][panel][unit][NR].  A unit is
 * the group of neighbouring inputs of one channel that one instruction
 * multiplies: one fp32, two bf16, four int8.  Everything missing is zero.
 *
 * The rows of x are taken in blocks of at most MR, made as equal as they go,
 * because a micro-kernel of 8 rows uses a panel much better than one of 1 or 2.
 * A row block is prepared (converted, and transposed to [unit][rows]) once for
 * all panels of a block of inputs, with as many other row blocks as fit the L2
 * cache; a micro-kernel then computes a tile of rows x NR sums in registers.
 *
 * For one output element that is, whatever the number of rows: within a block
 * of inputs one chain in ascending order; the blocks' sums added in ascending
 * order; then bias, activation, residual.
 *
 * Besides what simd_math.h needs, the including file defines MR, the rows of its
 * micro-kernels, FOR_ROWS(M, name) = M(name, 1) ... M(name, MR), and
 *
 *	vi				a vector of VN int32
 *	vi_set vi_load vi_store vi_add vi_sub vi_mul
 *	vi_add_pairs(s, a, b)	s + sum of the pair's products, lane by lane
 *	v_even_bf16(p), v_odd_bf16(p)	from VN words, their lower or upper bf16
 *	v_round_bf16(v)			rounded to bf16, as fp32
 *	v_from_int(i)			VN int32 as floats
 *	transpose4(s0, s1, s2, s3, dst, stride)	VN floats of four rows
 *	matrix_kind(precision)	which of the kinds below, or of its own, it uses
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
#define BLOCK_UNITS		768		/* in a block, about */
#define CHUNK_BYTES		(384 * 1024)	/* prepared rows that share the L2 cache, at most */
#define CHUNK_BLOCKS	24		/* row blocks among them, at most */
#ifndef MAX_ROWS
#define MAX_ROWS		MR		/* in a row block of any kind */
#endif
#ifndef FETCH_AHEAD
#define FETCH_AHEAD		0		/* units of fp32 weights that are fetched before they are multiplied */
#endif
#define WIDEN_BLOCKS	5		/* row blocks for which expanding a panel of bf16 first pays */
#define CONVERT_UNITS	64		/* units converted at a time, on the stack */

/*
 * tile[rows][NR] = sums over `units` of x and w, added to what is there when
 * `more` is set: floats, or int32 for int8
 */
typedef void (*Multiply) (int rows, int units, const void *x, const void *w, void *tile, bool more);

/* The same for a number of rows known to the compiler. */
typedef void (*MicroKernel) (int units, const void *x, const void *w, void *tile, bool more);

/*
 * n inputs of a row to the words of their units, up to a whole vector of inputs,
 * what is missing as zeros were.
 */
typedef void (*Convert) (int n, const float *x, const AlbertInt8Row *row, uint32_t *words);

typedef struct MatrixKind
{
	AlbertPrecision precision;
	int			unit_inputs;	/* inputs in a unit */
	int			weight_bytes;	/* bytes of a unit of weights, a channel */
	int			words;			/* 32-bit words of a prepared unit, a row */
	int			most_rows;		/* in a row block, at most MAX_ROWS */
	int			step;			/* units come in multiples of this, zeros at the end */
	bool		transposed;		/* prepared rows are [word][row_stride], else [row][unit], of a word each */
	bool		narrow;			/* int8: products are summed in 16 bits, see albert_int8_weights() */
	int			lower;			/* int8: how much lower activations are than 0 .. 255 */
	Multiply	multiply;

	Convert		convert;		/* NULL: fp32 as it is */

	/*
	 * A panel's weights as fp32, to be multiplied by multiply_fp32_rows when
	 * several row blocks use them; NULL: never.
	 */
	void		(*expand) (int units, const void *w, float *wide);

	/* Before and after products with row blocks of at most so many rows; NULL: nothing to do. */
	void		(*begin) (int rows);
	void		(*end) (void);
} MatrixKind;

typedef struct MatrixShape
{
	int			units;
	int			blocks;
	int			block;			/* units prepared at a time (the last may be fewer) */
	int			channels;		/* out, rounded up to whole panels */
	size_t		panel_unit;		/* bytes of one unit of a panel */
	size_t		size;			/* bytes before the int8 scales */
} MatrixShape;

static const MatrixKind *matrix_kind(AlbertPrecision precision);

INLINE int
row_stride(int rows)
{
	return (rows + 3) & ~3;
}

static MatrixShape
matrix_shape(const MatrixKind *kind, int out, int in)
{
	MatrixShape s;

	s.units = albert_round_up((in + kind->unit_inputs - 1) / kind->unit_inputs, kind->step);
	s.blocks = (s.units + BLOCK_UNITS - 1) / BLOCK_UNITS;
	s.block = albert_round_up((s.units + s.blocks - 1) / s.blocks, kind->step);
	s.channels = (out + NR - 1) / NR * NR;
	s.panel_unit = NR * kind->weight_bytes;
	s.size = albert_round_up((size_t) s.units * s.channels * kind->weight_bytes, ALBERT_ALIGN);
	return s;
}

/* int8: the channels' scales, and behind them the sums of their weights. */
static float *
channel_scales(const MatrixShape *s, const void *weight)
{
	return (float *) ((char *) weight + s->size);
}

static int32_t *
channel_sums(const MatrixShape *s, const void *weight)
{
	return (int32_t *) (channel_scales(s, weight) + s->channels);
}

static size_t
packed_size(AlbertPrecision precision, int out, int in)
{
	const MatrixKind *kind = matrix_kind(precision);
	MatrixShape s = matrix_shape(kind, out, in);

	return precision == ALBERT_INT8 ? s.size + s.channels * 2 * sizeof(float) : s.size;
}

static int
block_units(const MatrixShape *s, int block)
{
	return block == s->blocks - 1 ? s->units - block * s->block : s->block;
}

static size_t
panel_offset(const MatrixShape *s, int block, int panel)
{
	return ((size_t) block * s->block * (s->channels / NR) +
			(size_t) block_units(s, block) * panel) * s->panel_unit;
}

/* Where an input of a channel lies. */
static char *
weight_place(const MatrixKind *kind, const MatrixShape *s, const void *weight, int channel, int input)
{
	int			unit = input / kind->unit_inputs;
	int			block = unit / s->block;

	return (char *) weight + panel_offset(s, block, channel / NR) +
		(unit - block * s->block) * s->panel_unit + channel % NR * kind->weight_bytes +
		input % kind->unit_inputs * (kind->weight_bytes / kind->unit_inputs);
}

static void
pack_row(const MatrixKind *kind, const MatrixShape *s, int in, int channel,
		 const float *row, void *dst)
{
	float		scale = 0.0f;
	float		factor = 0.0f;
	int32_t		sum = 0;

	if (kind->precision == ALBERT_INT8)
		factor = albert_int8_weights(in, row, kind->narrow, &scale);
	for (int i = 0; i < in; i++)
	{
		char	   *place = weight_place(kind, s, dst, channel, i);

		if (kind->precision == ALBERT_FP32)
			*(float *) place = row[i];
		else if (kind->precision == ALBERT_BF16)
			*(uint16_t *) place = albert_to_bf16(row[i]);
		else
			sum += *(int8_t *) place = albert_to_int8(row[i], factor);
	}
	if (kind->precision == ALBERT_INT8)
	{
		channel_scales(s, dst)[channel] = scale;
		channel_sums(s, dst)[channel] = sum;
	}
}

static void
pack(AlbertPrecision precision, int out, int in,
	 int row0, int nrows, const float *rows, void *dst)
{
	const MatrixKind *kind = matrix_kind(precision);
	MatrixShape s = matrix_shape(kind, out, in);

	for (int r = 0; r < nrows; r++)
		pack_row(kind, &s, in, row0 + r, rows + (size_t) r * in, dst);
}

static void
table_row(const AlbertTable *table, int row, float *out)
{
	const MatrixKind *kind = matrix_kind(table->precision);
	MatrixShape s = matrix_shape(kind, table->rows, table->cols);
	float		scale = table->precision == ALBERT_INT8 ? channel_scales(&s, table->data)[row] : 0.0f;

	for (int i = 0; i < table->cols; i++)
	{
		const char *place = weight_place(kind, &s, table->data, row, i);

		if (table->precision == ALBERT_FP32)
			out[i] = *(const float *) place;
		else if (table->precision == ALBERT_BF16)
			out[i] = albert_from_bf16(*(const uint16_t *) place);
		else
			out[i] = *(const int8_t *) place * scale;
	}
}

static bool
int8_is_narrow(void)
{
	return matrix_kind(ALBERT_INT8)->narrow;
}

/* ---- micro-kernels: with a constant number of rows they unroll into registers ---- */

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
store_int_sums(int rows, vi (*sum)[2], int32_t *tile, bool more)
{
	UNROLL
	for (int r = 0; r < rows; r++)
		for (int i = 0; i < 2; i++)
		{
			int32_t    *at = tile + r * NR + i * VN;

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

/*
 * fp32: sums of rows x NR outputs; row r's value for input k is at
 * x[r * x_row + k * x_step].
 */
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

		UNROLL
		for (int r = 0; r < rows; r++)
		{
			vf			value = v_set(x[r * x_row]);

			sum[r][0] = v_fma(value, w0, sum[r][0]);
			sum[r][1] = v_fma(value, w1, sum[r][1]);
		}
		fetch_ahead(w);
		x += x_step;
		w += NR;
	}
	store_sums(rows, sum, tile, ld_tile, more);
}

/*
 * bf16 where no instruction multiplies it: a unit's two weights share a 32-bit
 * word and are expanded to fp32; the rows come as fp32 values that bf16 can hold.
 */
INLINE void
multiply_expanded(int rows, int units, const float *x, const float *w, float *tile, bool more)
{
	vf			sum[MR][2];
	int			stride = row_stride(rows);

	UNROLL
	for (int r = 0; r < rows; r++)
		sum[r][0] = sum[r][1] = v_zero();
	for (int k = 0; k < units; k++)
	{
		vf			w0 = v_even_bf16(w);
		vf			w1 = v_even_bf16(w + VN);

		UNROLL
		for (int r = 0; r < rows; r++)
		{
			vf			value = v_set(x[r]);

			sum[r][0] = v_fma(value, w0, sum[r][0]);
			sum[r][1] = v_fma(value, w1, sum[r][1]);
		}
		w0 = v_odd_bf16(w);
		w1 = v_odd_bf16(w + VN);
		UNROLL
		for (int r = 0; r < rows; r++)
		{
			vf			value = v_set(x[stride + r]);

			sum[r][0] = v_fma(value, w0, sum[r][0]);
			sum[r][1] = v_fma(value, w1, sum[r][1]);
		}
		x += 2 * stride;
		w += NR;
	}
	store_sums(rows, sum, tile, NR, more);
}

/*
 * int8 where an instruction multiplies bytes and sums two products in 16 bits:
 * the weights are small enough for the sums of two units to stay there too.
 */
#ifdef BYTES_MR
#define VI_INT16_ONES	vi_set(0x00010001)

INLINE void
multiply_bytes(int rows, int units, const int32_t *x, const int8_t *w, int32_t *tile, bool more)
{
	vi			sum[MR][2];
	int			stride = row_stride(rows);

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
			vi			four = vi_set(x[r]);
			vi			next = vi_set(x[stride + r]);

			sum[r][0] = vi_add_pairs(sum[r][0], VI_INT16_ONES,
									 vi_add_int16(vi_pairs_of_bytes(four, w0), vi_pairs_of_bytes(next, w2)));
			sum[r][1] = vi_add_pairs(sum[r][1], VI_INT16_ONES,
									 vi_add_int16(vi_pairs_of_bytes(four, w1), vi_pairs_of_bytes(next, w3)));
		}
		x += 2 * stride;
		w += 8 * NR;
	}
	store_int_sums(rows, sum, tile, more);
}

#define MICRO_BYTES(name, rows) \
static void \
name##_##rows(int units, const void *x, const void *w, void *tile, bool more) \
{ \
	multiply_bytes(rows, units, x, w, tile, more); \
}
FOR_ROWS(MICRO_BYTES, micro_bytes)
#else

/*
 * int8 where no instruction sums four products: pairs of weights are widened
 * to 16 bits, where the sum of two products is exact.
 */
INLINE void
multiply_pairs(int rows, int units, const int32_t *x, const int8_t *w, int32_t *tile, bool more)
{
	vi			sum[MR][2];

	UNROLL
	for (int r = 0; r < rows; r++)
		sum[r][0] = sum[r][1] = vi_set(0);
	for (int k = 0; k < units; k++)
	{
		vi			w0 = vi_load_pairs(w);
		vi			w1 = vi_load_pairs(w + 2 * VN);

		UNROLL
		for (int r = 0; r < rows; r++)
		{
			vi			pair = vi_set(x[r]);

			sum[r][0] = vi_add_pairs(sum[r][0], pair, w0);
			sum[r][1] = vi_add_pairs(sum[r][1], pair, w1);
		}
		x += row_stride(rows);
		w += 2 * NR;
	}
	store_int_sums(rows, sum, tile, more);
}

#define MICRO_PAIRS(name, rows) \
static void \
name##_##rows(int units, const void *x, const void *w, void *tile, bool more) \
{ \
	multiply_pairs(rows, units, x, w, tile, more); \
}
FOR_ROWS(MICRO_PAIRS, micro_pairs)
#endif

#define MICRO_EXPANDED(name, rows) \
static void \
name##_##rows(int units, const void *x, const void *w, void *tile, bool more) \
{ \
	multiply_expanded(rows, units, x, w, tile, more); \
}
FOR_ROWS(MICRO_EXPANDED, micro_expanded)

#define MICRO_FP32(name, rows) \
static void \
name##_##rows(int units, const void *x, const void *w, void *tile, bool more) \
{ \
	multiply_fp32(rows, units, x, 1, row_stride(rows), w, tile, NR, more); \
}
FOR_ROWS(MICRO_FP32, micro_fp32)

#define TABLE_ENTRY(name, rows)	name##_##rows,

/* The function `multiply_NAME_rows` that runs the micro-kernel for a number of rows. */
#define MULTIPLY(name) \
static void \
multiply_##name##_rows(int rows, int units, const void *x, const void *w, void *tile, bool more) \
{ \
	static const MicroKernel micro[] = {FOR_ROWS(TABLE_ENTRY, micro_##name)}; \
 \
	micro[rows - 1] (units, x, w, tile, more); \
}

MULTIPLY(fp32)
MULTIPLY(expanded)

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

static const MatrixKind kind_fp32 = {
	.precision = ALBERT_FP32, .unit_inputs = 1, .weight_bytes = 4, .words = 1, .most_rows = MR, .step = 1,
	.transposed = true,
	.multiply = multiply_fp32_rows
};
static const MatrixKind kind_expanded = {
	.precision = ALBERT_BF16, .unit_inputs = 2, .weight_bytes = 4, .words = 2, .most_rows = MR, .step = 1,
	.transposed = true,
	.multiply = multiply_expanded_rows, .convert = convert_expanded, .expand = expand_bf16
};
#ifdef BYTES_MR
static void
convert_bytes(int n, const float *x, const AlbertInt8Row *row, uint32_t *words)
{
	for (int i = 0; i < n; i += VN)
		v_store_uint8((uint8_t *) words + i, v_mul(load_part(x + i, n - i), v_set(row->factor)), row->zero);
}

MULTIPLY(bytes)

static const MatrixKind kind_bytes = {
	.precision = ALBERT_INT8, .unit_inputs = 4, .weight_bytes = 4, .words = 1, .most_rows = BYTES_MR, .step = 2,
	.transposed = true, .narrow = true,
	.multiply = multiply_bytes_rows, .convert = convert_bytes
};
#else
static void
convert_pairs(int n, const float *x, const AlbertInt8Row *row, uint32_t *words)
{
	for (int i = 0; i < n; i += VN)
	{
		vf			q = v_round(v_mul(load_part(x + i, n - i), v_set(row->factor)));

		v_store_int16((int16_t *) words + i, v_min(v_add(q, v_set(row->zero)), v_set(255.0f)));
	}
}

MULTIPLY(pairs)

static const MatrixKind kind_pairs = {
	.precision = ALBERT_INT8, .unit_inputs = 2, .weight_bytes = 2, .words = 1, .most_rows = MR, .step = 1,
	.transposed = true,
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

/* How a row is quantised. */
static AlbertInt8Row
int8_row(int n, const float *x)
{
	vf			lowest = v_zero();
	vf			highest = v_zero();
	vf			strange[2] = {v_zero(), v_zero()};	/* NaN by a NaN or an infinity */

	for (int i = 0; i < n; i += 2 * VN)
	{
		vf			v = load_part(x + i, n - i);
		vf			next = n - i > VN ? load_part(x + i + VN, n - i - VN) : v_zero();

		lowest = v_min(next, v_min(v, lowest));
		highest = v_max(next, v_max(v, highest));
		strange[0] = v_fma(v, v_zero(), strange[0]);
		strange[1] = v_fma(next, v_zero(), strange[1]);
	}
	return albert_int8_row(-v_largest(v_sub(v_zero(), lowest)), v_largest(highest),
						   v_sum(v_add(strange[0], strange[1])) == 0.0f);
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
prepare_rows(const MatrixKind *kind, int n, int rows, const float *x, int ldx,
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

/* ---- from sums to results ---- */

typedef struct Finish
{
	const AlbertLinear *linear;
	MatrixShape shape;
	AlbertActivation act;
	const float *residual;
	int			ldr;
	float	   *y;
	int			ldy;
} Finish;

/* The results of a tile's rows for a vector of channels, from j on. */
INLINE void
finish_channels(const Finish *f, AlbertActivation act, const float *sums, const AlbertInt8Row *quantised,
				int row0, int rows, int j)
{
	const AlbertLinear *linear = f->linear;
	bool		int8 = linear->precision == ALBERT_INT8;
	int			n = linear->out - j;
	vf			bias = linear->bias != NULL ? load_part(linear->bias + j, n) : v_zero();
	vf			scale = int8 ? v_load(channel_scales(&f->shape, linear->weight) + j) : v_zero();
	vi			sum = int8 ? vi_load(channel_sums(&f->shape, linear->weight) + j) : vi_set(0);

	for (int r = 0; r < rows; r++)
	{
		vf			v = v_load(sums + r * NR);

		if (int8)
		{
			vi			zeros = vi_mul(vi_set(quantised[r].zero), sum);

			v = v_from_int(vi_sub(vi_load(sums + r * NR), zeros));
			v = v_mul(v, v_mul(v_set(quantised[r].scale), scale));
		}
		if (linear->bias != NULL)
			v = v_add(v, bias);
		v = activated(act, v);
		if (f->residual != NULL)
			v = v_add(v, load_part(f->residual + (size_t) (row0 + r) * f->ldr + j, n));
		store_part(f->y + (size_t) (row0 + r) * f->ldy + j, n, v);
	}
}

static void
finish_tile(const Finish *f, const float *tile, const AlbertInt8Row *quantised,
			int row0, int rows, int panel)
{
	for (int i = 0; i < NR && panel * NR + i < f->linear->out; i += VN)
		switch (f->act)
		{
#define FINISH(known) \
			case known: \
				finish_channels(f, known, tile + i, quantised, row0, rows, panel * NR + i); \
				break;
			FOR_ACTIVATIONS(FINISH)
		}
}

/* ---- the whole ---- */

/* How m rows are cut, and the storage that a row block needs. */
typedef struct Rows
{
	int			m;
	int			most;			/* rows in a block */
	int			blocks;
	int			chunk;			/* blocks taken together */
	size_t		prepared;		/* floats for the prepared rows of a block */
	size_t		sums;			/* floats for its sums: of one panel, or of all between blocks of inputs */
	size_t		wide;			/* floats for a panel of expanded weights */
} Rows;

static Rows
cut_rows(const MatrixKind *kind, const MatrixShape *s, int m)
{
	Rows		rows;
	int			chunk;

	rows.m = m;
	rows.most = kind->most_rows;
	rows.blocks = row_blocks(m, rows.most);
	rows.prepared = albert_round_up((size_t) s->block * kind->words *
									row_stride(m < rows.most ? m : rows.most),
									ALBERT_ALIGN / sizeof(float));
	chunk = CHUNK_BYTES / (rows.prepared * sizeof(float));
	chunk = chunk < 1 ? 1 : chunk > CHUNK_BLOCKS ? CHUNK_BLOCKS : chunk;
	rows.chunk = row_blocks(rows.blocks, row_blocks(rows.blocks, chunk));
	rows.sums = (size_t) rows.most * (s->blocks > 1 ? s->channels : NR);
	rows.wide = kind->expand != NULL && rows.chunk >= WIDEN_BLOCKS ? (size_t) s->block * kind->unit_inputs * NR : 0;
	return rows;
}

static size_t
linear_scratch(const AlbertLinear *linear, int m)
{
	const MatrixKind *kind = matrix_kind(linear->precision);
	MatrixShape s = matrix_shape(kind, linear->out, linear->in);
	Rows		rows;

	if (m <= 0)
		return 0;
	rows = cut_rows(kind, &s, m);
	return (rows.wide + rows.chunk * (rows.prepared + rows.sums)) * sizeof(float);
}

/* Row blocks that are multiplied with the same weights one after the other. */
typedef struct Chunk
{
	int			n;
	int			first[CHUNK_BLOCKS];	/* rows of x */
	int			rows[CHUNK_BLOCKS];
	AlbertInt8Row quantised[CHUNK_BLOCKS * MAX_ROWS];	/* by row, from the chunk's first on */
	float	   *wide;
	float	   *prepared;
	float	   *sums;
} Chunk;

/* The lines that a row's results of a panel are in. */
INLINE void
fetch_row(const float *row, int n, int write)
{
	for (int i = 0; i < NR && i < n; i += 64 / (int) sizeof(float))
		if (write)
			__builtin_prefetch(row + i, 1);
		else
			__builtin_prefetch(row + i);
}

/*
 * Where a tile's results go, and what is added to them, is far away when there
 * are many rows; asked for before the sums, it is there after them.
 */
INLINE void
fetch_results(const Finish *f, int row0, int rows, int panel)
{
	int			j = panel * NR;

	for (int r = row0; r < row0 + rows; r++)
	{
		fetch_row(f->y + (size_t) r * f->ldy + j, f->linear->out - j, 1);
		if (f->residual != NULL && f->residual != f->y)
			fetch_row(f->residual + (size_t) r * f->ldr + j, f->linear->out - j, 0);
	}
}

/* A panel of a block times the chunk's rows; after the last block the results. */
static void
multiply_panel(const MatrixKind *kind, const Finish *f, const Rows *cut, const Chunk *chunk,
			   int block, int panel)
{
	const MatrixShape *s = &f->shape;
	const void *w = (const char *) f->linear->weight + panel_offset(s, block, panel);
	int			units = block_units(s, block);
	float	   *sums = chunk->sums + (s->blocks > 1 ? (size_t) panel * chunk->n * cut->most * NR : 0);
	bool		widened = cut->wide > 0 && chunk->n >= WIDEN_BLOCKS;

	if (widened)
		kind->expand(units, w, chunk->wide);
	for (int b = 0; b < chunk->n; b++)
	{
		const float *x = chunk->prepared + b * cut->prepared;
		float	   *tile = sums + (size_t) b * cut->most * NR;

		if (block == s->blocks - 1)
			fetch_results(f, chunk->first[b], chunk->rows[b], panel);
		if (widened)
			multiply_fp32_rows(chunk->rows[b], units * kind->unit_inputs, x, chunk->wide, tile, block > 0);
		else
			kind->multiply(chunk->rows[b], units, x, w, tile, block > 0);
		if (block == s->blocks - 1)
			finish_tile(f, tile, &chunk->quantised[chunk->first[b] - chunk->first[0]],
						chunk->first[b], chunk->rows[b], panel);
	}
}

/* Row blocks b0 .. b0 + n - 1. */
static void
linear_chunk(const MatrixKind *kind, const Finish *f, const Rows *cut, int b0, int n,
			 const float *x, int ldx, float *scratch)
{
	const AlbertLinear *linear = f->linear;
	const MatrixShape *s = &f->shape;
	Chunk		chunk;

	chunk.n = n;
	chunk.wide = scratch;
	chunk.prepared = chunk.wide + cut->wide;
	chunk.sums = chunk.prepared + cut->chunk * cut->prepared;
	for (int b = 0; b < n; b++)
		chunk.rows[b] = row_block(cut->m, cut->most, b0 + b, &chunk.first[b]);
	if (kind->precision == ALBERT_INT8)
		for (int r = chunk.first[0]; r < chunk.first[n - 1] + chunk.rows[n - 1]; r++)
		{
			AlbertInt8Row *row = &chunk.quantised[r - chunk.first[0]];

			*row = int8_row(linear->in, x + (size_t) r * ldx);
			row->zero -= kind->lower;
		}
	if (kind->begin != NULL)
		kind->begin(chunk.rows[0]);	/* none has more: row_block() */
	for (int block = 0; block < s->blocks; block++)
	{
		int			units = block_units(s, block);
		int			i = block * s->block * kind->unit_inputs;
		int			inputs = units * kind->unit_inputs;

		for (int b = 0; b < n; b++)
			prepare_rows(kind, linear->in - i < inputs ? linear->in - i : inputs, chunk.rows[b],
						 x + (size_t) chunk.first[b] * ldx + i, ldx,
						 &chunk.quantised[chunk.first[b] - chunk.first[0]], units,
						 chunk.prepared + b * cut->prepared);
		for (int panel = 0; panel * NR < linear->out; panel++)
			multiply_panel(kind, f, cut, &chunk, block, panel);
	}
	if (kind->end != NULL)
		kind->end();
}

static void
linear(const AlbertLinear *linear, int m, const float *x, int ldx,
	   AlbertActivation act, const float *residual, int ldr,
	   float *y, int ldy, void *scratch)
{
	const MatrixKind *kind = matrix_kind(linear->precision);
	Finish		f = {linear, matrix_shape(kind, linear->out, linear->in),
	act, residual, ldr, y, ldy};
	Rows		cut;

	if (m <= 0)
		return;
	cut = cut_rows(kind, &f.shape, m);
	for (int b = 0; b < cut.blocks; b += cut.chunk)
		linear_chunk(kind, &f, &cut, b, cut.blocks - b < cut.chunk ? cut.blocks - b : cut.chunk,
					 x, ldx, scratch);
}

static AlbertLinear
table_as_linear(const AlbertTable *table, const float *bias)
{
	AlbertLinear l = {table->cols, table->rows, table->precision, table->data, bias};

	return l;
}

static void
table_product(const AlbertTable *table, int m, const float *x, int ldx,
			  const float *bias, float *y, int ldy, void *scratch)
{
	AlbertLinear l = table_as_linear(table, bias);

	linear(&l, m, x, ldx, ALBERT_ACT_NONE, NULL, 0, y, ldy, scratch);
}

static size_t
table_scratch(const AlbertTable *table, int m)
{
	AlbertLinear l = table_as_linear(table, NULL);

	return linear_scratch(&l, m);
}
