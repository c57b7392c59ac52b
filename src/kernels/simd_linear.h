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
 * all panels; a micro-kernel then computes a tile of rows x NR sums in registers.
 *
 * For one output element that is, whatever the number of rows: within a block
 * of inputs one chain in ascending order; the blocks' sums added in ascending
 * order; then bias, activation, residual.
 *
 * Besides what simd_math.h needs, the including file defines MR, the rows of its
 * micro-kernels, FOR_ROWS(M, name) = M(name, 1) ... M(name, MR), and
 *
 *	vi				a vector of VN int32
 *	vi_set vi_load vi_store vi_add
 *	vi_load_pairs(p)		2 VN int8 as int16 pairs
 *	vi_add_pairs(s, a, b)	s + sum of the pair's products, lane by lane
 *	v_even_bf16(p), v_odd_bf16(p)	from VN words, their lower or upper bf16
 *	v_round_bf16(v)			rounded to bf16, as fp32
 *	v_store_int16(p, v)		rounded to integers
 *	v_from_int(p, q)		VN int32 at p less those at q, as floats
 *	transpose4(s0, s1, s2, s3, dst, stride)	VN floats of four rows
 *	largest_bits(n, x)		as albert_largest_bits
 *	matrix_kind(precision)	which of the kinds below, or of its own, it uses
 */

#define NR				(2 * VN)
#define BLOCK_UNITS		1024	/* in a block, about: panel and rows share the L2 cache */
#define CHUNK_BLOCKS	8		/* row blocks prepared at a time, at most */
#ifndef MAX_ROWS
#define MAX_ROWS		MR		/* in a row block of any kind */
#endif
#define WIDEN_BLOCKS	5		/* row blocks for which expanding a panel of bf16 first pays */
#define SLICE_UNITS		64		/* units converted at a time, on the stack */

/* tile[rows][NR] = sums over `units` of x and w: floats, or int32 for int8 */
typedef void (*Multiply) (int rows, int units, const void *x, const void *w, void *tile);

/* The same for a number of rows known to the compiler. */
typedef void (*MicroKernel) (int units, const void *x, const void *w, void *tile);

typedef struct MatrixKind
{
	AlbertPrecision precision;
	int			unit_inputs;	/* inputs in a unit */
	int			weight_bytes;	/* bytes of a unit of weights, a channel */
	int			words;			/* 32-bit words of a prepared unit, a row */
	int			most_rows;		/* in a row block, at most MAX_ROWS */
	int			step;			/* units come in multiples of this, zeros at the end */
	bool		transposed;		/* prepared rows are [word][row_stride], else [row][word] */
	int			offset;			/* what the prepared form adds to an int8 activation */
	Multiply	multiply;

	/*
	 * n inputs of a row to the words of their units, zeros up to a whole
	 * vector of inputs; NULL: fp32 as it is.
	 */
	void		(*convert) (int n, const float *x, float factor, uint32_t *words);

	/*
	 * A panel's weights as fp32, to be multiplied by multiply_fp32_rows when
	 * several row blocks use them; NULL: never.
	 */
	void		(*expand) (int units, const void *w, float *wide);
} MatrixKind;

typedef struct MatrixShape
{
	int			units;
	int			blocks;
	int			block;			/* units in a block (the last may be shorter) */
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

/* int8: the channels' scales, and behind them what the offset adds to their sums. */
static float *
channel_scales(const MatrixShape *s, const void *weight)
{
	return (float *) ((char *) weight + s->size);
}

static int32_t *
channel_excess(const MatrixShape *s, const void *weight)
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

/* Where unit 0 of a channel in that block lies; its units are panel_unit apart. */
static size_t
channel_offset(const MatrixKind *kind, const MatrixShape *s, int block, int channel)
{
	return panel_offset(s, block, channel / NR) + channel % NR * kind->weight_bytes;
}

static void
pack_row(const MatrixKind *kind, const MatrixShape *s, int in, int channel,
		 const float *row, char *dst)
{
	int			step = kind->weight_bytes / kind->unit_inputs;
	float		scale = 0.0f;
	float		factor = 0.0f;
	int32_t		sum = 0;

	if (kind->precision == ALBERT_INT8)
		factor = albert_int8_factor(albert_largest_bits(in, row), &scale);
	for (int i = 0; i < in;)
	{
		int			block = i / kind->unit_inputs / s->block;
		int			end = (block + 1) * s->block * kind->unit_inputs;
		char	   *unit = dst + channel_offset(kind, s, block, channel);

		for (; i < in && i < end; unit += s->panel_unit)
		{
			for (int g = 0; g < kind->unit_inputs && i < in; g++, i++)
			{
				if (kind->precision == ALBERT_FP32)
					*(float *) unit = row[i];
				else if (kind->precision == ALBERT_BF16)
					((uint16_t *) unit)[g] = albert_to_bf16(row[i]);
				else
					sum += ((int8_t *) unit)[g * step] = albert_to_int8(row[i], factor);
			}
		}
	}
	if (kind->precision == ALBERT_INT8)
	{
		channel_scales(s, dst)[channel] = scale;
		channel_excess(s, dst)[channel] = sum * kind->offset;
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
	int			step = kind->weight_bytes / kind->unit_inputs;
	float		scale = table->precision == ALBERT_INT8 ? channel_scales(&s, table->data)[row] : 0.0f;

	for (int i = 0; i < table->cols;)
	{
		int			block = i / kind->unit_inputs / s.block;
		int			end = (block + 1) * s.block * kind->unit_inputs;
		const char *unit = (const char *) table->data + channel_offset(kind, &s, block, row);

		for (; i < table->cols && i < end; unit += s.panel_unit)
		{
			for (int g = 0; g < kind->unit_inputs && i < table->cols; g++, i++)
			{
				if (table->precision == ALBERT_FP32)
					out[i] = *(const float *) unit;
				else if (table->precision == ALBERT_BF16)
					out[i] = albert_from_bf16(((const uint16_t *) unit)[g]);
				else
					out[i] = ((const int8_t *) unit)[g * step] * scale;
			}
		}
	}
}

/* ---- micro-kernels: with a constant number of rows they unroll into registers ---- */

INLINE void
store_sums(int rows, vf (*sum)[2], float *tile, size_t ld_tile)
{
	UNROLL
	for (int r = 0; r < rows; r++)
	{
		v_store(tile + r * ld_tile, sum[r][0]);
		v_store(tile + r * ld_tile + VN, sum[r][1]);
	}
}

INLINE void
store_int_sums(int rows, vi (*sum)[2], int32_t *tile)
{
	UNROLL
	for (int r = 0; r < rows; r++)
	{
		vi_store(tile + r * NR, sum[r][0]);
		vi_store(tile + r * NR + VN, sum[r][1]);
	}
}

/*
 * fp32: sums of rows x NR outputs; row r's value for input k is at
 * x[r * x_row + k * x_step].
 */
INLINE void
multiply_fp32(int rows, int units, const float *x, size_t x_row, size_t x_step,
			  const float *w, float *tile, size_t ld_tile)
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
		x += x_step;
		w += NR;
	}
	store_sums(rows, sum, tile, ld_tile);
}

/*
 * bf16 where no instruction multiplies it: a unit's two weights share a 32-bit
 * word and are expanded to fp32; the rows come as fp32 values that bf16 can hold.
 */
INLINE void
multiply_expanded(int rows, int units, const float *x, const float *w, float *tile)
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
	store_sums(rows, sum, tile, NR);
}

/*
 * int8 where no instruction sums four products: pairs of weights are widened
 * to 16 bits, where the sum of two products is exact.
 */
INLINE void
multiply_pairs(int rows, int units, const int32_t *x, const int8_t *w, int32_t *tile)
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
	store_int_sums(rows, sum, tile);
}

#define MICRO_EXPANDED(name, rows) \
static void \
name##_##rows(int units, const void *x, const void *w, void *tile) \
{ \
	multiply_expanded(rows, units, x, w, tile); \
}
FOR_ROWS(MICRO_EXPANDED, micro_expanded)

#define MICRO_PAIRS(name, rows) \
static void \
name##_##rows(int units, const void *x, const void *w, void *tile) \
{ \
	multiply_pairs(rows, units, x, w, tile); \
}
FOR_ROWS(MICRO_PAIRS, micro_pairs)

#define MICRO_FP32(name, rows) \
static void \
name##_##rows(int units, const void *x, const void *w, void *tile) \
{ \
	multiply_fp32(rows, units, x, 1, row_stride(rows), w, tile, NR); \
}
FOR_ROWS(MICRO_FP32, micro_fp32)

#define TABLE_ENTRY(name, rows)	name##_##rows,

/* The function `multiply_name` that finds the micro-kernel for a number of rows. */
#define MULTIPLY(name) \
static void \
multiply_##name##_rows(int rows, int units, const void *x, const void *w, void *tile) \
{ \
	static const MicroKernel micro[] = {FOR_ROWS(TABLE_ENTRY, micro_##name)}; \
 \
	micro[rows - 1] (units, x, w, tile); \
}

MULTIPLY(fp32)
MULTIPLY(expanded)
MULTIPLY(pairs)

static void
convert_expanded(int n, const float *x, float factor, uint32_t *words)
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

static void
convert_pairs(int n, const float *x, float factor, uint32_t *words)
{
	for (int i = 0; i < n; i += VN)
		v_store_int16((int16_t *) words + i, v_mul(load_part(x + i, n - i), v_set(factor)));
}

static const MatrixKind kind_fp32 = {
	ALBERT_FP32, 1, 4, 1, MR, 1, true, 0, multiply_fp32_rows, NULL, NULL
};
static const MatrixKind kind_expanded = {
	ALBERT_BF16, 2, 4, 2, MR, 1, true, 0, multiply_expanded_rows, convert_expanded, expand_bf16
};
static const MatrixKind kind_pairs = {
	ALBERT_INT8, 2, 2, 1, MR, 1, true, 0, multiply_pairs_rows, convert_pairs, NULL
};

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

/* Prepare the n inputs at x of a row block: `units` units, of which the last may be empty. */
static void
prepare_rows(const MatrixKind *kind, int n, int rows, const float *x, int ldx,
			 const float *factors, int units, float *dst)
{
	uint32_t	slice[MAX_ROWS][SLICE_UNITS * 2];
	int			slice_inputs = SLICE_UNITS * kind->unit_inputs;

	if (kind->convert == NULL)
		transpose(rows, n, x, ldx, dst);
	else if (!kind->transposed)
	{
		memset(dst, 0, (size_t) rows * units * kind->words * sizeof(float));
		for (int r = 0; r < rows; r++)
			kind->convert(n, x + (size_t) r * ldx, factors[r],
						  (uint32_t *) dst + (size_t) r * units * kind->words);
	}
	else
		for (int i = 0; i < n; i += slice_inputs)
		{
			int			inputs = n - i < slice_inputs ? n - i : slice_inputs;
			int			words = (inputs + kind->unit_inputs - 1) / kind->unit_inputs * kind->words;

			for (int r = 0; r < rows; r++)
				kind->convert(inputs, x + (size_t) r * ldx + i, factors[r], slice[r]);
			transpose(rows, words, (const float *) slice, SLICE_UNITS * 2, dst);
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

/* Sums of one row, from output channel j on, to what the activation is taken of. */
INLINE void
finish_sums(const Finish *f, float *sums, float x_scale, int j, int n)
{
	const AlbertLinear *linear = f->linear;
	vf			v;

	if (linear->precision == ALBERT_INT8)
	{
		v = v_from_int(sums, channel_excess(&f->shape, linear->weight) + j);
		v = v_mul(v, v_mul(v_set(x_scale),
						   v_load(channel_scales(&f->shape, linear->weight) + j)));
	}
	else
		v = v_load(sums);
	if (linear->bias != NULL)
		v = v_add(v, load_part(linear->bias + j, n));
	v_store(sums, v);
}

INLINE void
finish_row(const Finish *f, const float *values, int row, int j, int n)
{
	vf			v = v_load(values);

	if (f->residual != NULL)
		v = v_add(v, load_part(f->residual + (size_t) row * f->ldr + j, n));
	store_part(f->y + (size_t) row * f->ldy + j, n, v);
}

static void
finish_tile(const Finish *f, float *tile, const float *x_scales,
			int row0, int rows, int panel)
{
	int			j = panel * NR;
	int			n = f->linear->out - j;

	if (f->linear->precision == ALBERT_INT8 || f->linear->bias != NULL)
		for (int r = 0; r < rows; r++)
		{
			finish_sums(f, tile + r * NR, x_scales[r], j, n);
			if (n > VN)
				finish_sums(f, tile + r * NR + VN, x_scales[r], j + VN, n - VN);
		}
	activate(f->act, rows * NR, tile);
	for (int r = 0; r < rows; r++)
	{
		finish_row(f, tile + r * NR, row0 + r, j, n);
		if (n > VN)
			finish_row(f, tile + r * NR + VN, row0 + r, j + VN, n - VN);
	}
}

/* ---- the whole ---- */

/* to[n] += from[n]: floats, or int32 for int8 */
static void
add_sums(const MatrixKind *kind, int n, float *to, const float *from)
{
	for (int i = 0; i < n; i += VN)
	{
		if (kind->precision == ALBERT_INT8)
			vi_store(to + i, vi_add(vi_load(to + i), vi_load(from + i)));
		else
			v_store(to + i, v_add(v_load(to + i), v_load(from + i)));
	}
}

/* How m rows are cut, and the storage that a row block needs. */
typedef struct Rows
{
	int			m;
	int			most;			/* rows in a block */
	int			blocks;
	int			chunk;			/* blocks taken together */
	size_t		prepared;		/* floats for the prepared rows of a block */
	size_t		partial;		/* floats for its sums between blocks of inputs */
	size_t		wide;			/* floats for a panel of expanded weights */
} Rows;

static Rows
cut_rows(const MatrixKind *kind, const MatrixShape *s, int m)
{
	Rows		rows;

	rows.m = m;
	rows.most = kind->most_rows;
	rows.blocks = row_blocks(m, rows.most);
	rows.chunk = row_blocks(rows.blocks, row_blocks(rows.blocks, CHUNK_BLOCKS));
	rows.prepared = albert_round_up((size_t) s->block * kind->words *
									row_stride(m < rows.most ? m : rows.most),
									ALBERT_ALIGN / sizeof(float));
	rows.partial = s->blocks > 1 ? (size_t) s->channels * rows.most : 0;
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
	return (rows.wide + rows.chunk * (rows.prepared + rows.partial)) * sizeof(float);
}

/* Row blocks b0 .. b0 + n - 1. */
static void
linear_chunk(const MatrixKind *kind, const Finish *f, const Rows *cut, int b0, int n,
			 const float *x, int ldx, float *scratch)
{
	float	   *wide = scratch;
	float	   *prepared = wide + cut->wide;
	float	   *partial = prepared + cut->chunk * cut->prepared;
	const AlbertLinear *linear = f->linear;
	const MatrixShape *s = &f->shape;
	int			first[CHUNK_BLOCKS];
	int			rows[CHUNK_BLOCKS];
	float		factors[CHUNK_BLOCKS * MAX_ROWS] = {0}; /* by row, from the chunk's first on */
	float		scales[CHUNK_BLOCKS * MAX_ROWS] = {0};
	float		sums[MAX_ROWS * NR] __attribute__((aligned(ALBERT_ALIGN)));

	for (int b = 0; b < n; b++)
		rows[b] = row_block(cut->m, cut->most, b0 + b, &first[b]);
	if (kind->precision == ALBERT_INT8)
		for (int r = first[0]; r < first[n - 1] + rows[n - 1]; r++)
			factors[r - first[0]] = albert_int8_factor(largest_bits(linear->in, x + (size_t) r * ldx),
													   &scales[r - first[0]]);
	for (int block = 0; block < s->blocks; block++)
	{
		int			units = block_units(s, block);
		int			i = block * s->block * kind->unit_inputs;
		int			inputs = linear->in - i < units * kind->unit_inputs ? linear->in - i : units * kind->unit_inputs;
		bool		last = block == s->blocks - 1;

		for (int b = 0; b < n; b++)
			prepare_rows(kind, inputs, rows[b], x + (size_t) first[b] * ldx + i, ldx,
						 factors + first[b] - first[0], units, prepared + b * cut->prepared);
		for (int panel = 0; panel * NR < linear->out; panel++)
		{
			const void *w = (const char *) linear->weight + panel_offset(s, block, panel);
			bool		widened = cut->wide > 0 && n >= WIDEN_BLOCKS;

			if (widened)
				kind->expand(units, w, wide);
			for (int b = 0; b < n; b++)
			{
				float	   *between = partial + ((size_t) panel * n + b) * cut->most * NR;
				float	   *tile = block == 0 && !last ? between : sums;

				if (widened)
					multiply_fp32_rows(rows[b], units * kind->unit_inputs, prepared + b * cut->prepared,
									   wide, tile);
				else
					kind->multiply(rows[b], units, prepared + b * cut->prepared, w, tile);
				if (block > 0 && last)
					add_sums(kind, rows[b] * NR, sums, between);
				else if (block > 0)
					add_sums(kind, rows[b] * NR, between, sums);
				if (last)
					finish_tile(f, sums, scales + first[b] - first[0], first[b], rows[b], panel);
			}
		}
	}
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
