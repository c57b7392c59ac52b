/*
 * simd_linear.h
 *	  Linear maps on packed weights.
 *
 * Weights lie in blocks of inputs, inside a block in the panels of simd_product.h:
 * [block][panel][unit][NR].
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
 */

#define BLOCK_UNITS		768		/* in a block, about */
#define CHUNK_BYTES		(384 * 1024)	/* prepared rows that share the L2 cache, at most */
#define CHUNK_BLOCKS	24		/* row blocks among them, at most */
#define WIDEN_BLOCKS	5		/* row blocks for which expanding a panel of bf16 first pays */

typedef struct MatrixShape
{
	int			units;
	int			blocks;
	int			block;			/* units prepared at a time (the last may be fewer) */
	int			channels;		/* out, rounded up to whole panels */
	size_t		unit_size;		/* bytes of a channel's unit */
	size_t		size;			/* bytes before the int8 scales */
} MatrixShape;

static MatrixShape
matrix_shape(const ProductKind *kind, int out, int in)
{
	MatrixShape s;

	s.units = albert_round_up((in + kind->unit_inputs - 1) / kind->unit_inputs, kind->step);
	s.blocks = (s.units + BLOCK_UNITS - 1) / BLOCK_UNITS;
	s.block = albert_round_up((s.units + s.blocks - 1) / s.blocks, kind->step);
	s.channels = (out + NR - 1) / NR * NR;
	s.unit_size = kind->unit_inputs * albert_weight_size(kind->precision);
	s.size = albert_round_up((size_t) s.units * s.channels * s.unit_size, ALBERT_ALIGN);
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
	const ProductKind *kind = product_kind(precision);
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
	return ((size_t) block * s->block * s->channels + (size_t) block_units(s, block) * panel * NR) * s->unit_size;
}

/* Where an input of a channel lies. */
static char *
weight_place(const ProductKind *kind, const MatrixShape *s, const void *weight, int channel, int input)
{
	int			unit = input / kind->unit_inputs;
	int			block = unit / s->block;

	return (char *) weight + panel_offset(s, block, channel / NR) +
		((size_t) (unit - block * s->block) * NR + channel % NR) * s->unit_size +
		input % kind->unit_inputs * albert_weight_size(kind->precision);
}

static void
pack_row(const ProductKind *kind, const MatrixShape *s, int in, int channel,
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
	const ProductKind *kind = product_kind(precision);
	MatrixShape s = matrix_shape(kind, out, in);

	for (int r = 0; r < nrows; r++)
		pack_row(kind, &s, in, row0 + r, rows + (size_t) r * in, dst);
}

static void
weight_row(const AlbertLinear *linear, int row, float *out)
{
	const ProductKind *kind = product_kind(linear->precision);
	MatrixShape s = matrix_shape(kind, linear->out, linear->in);
	float		scale = linear->precision == ALBERT_INT8 ? channel_scales(&s, linear->weight)[row] : 0.0f;

	for (int i = 0; i < linear->in; i++)
	{
		const char *place = weight_place(kind, &s, linear->weight, row, i);

		if (linear->precision == ALBERT_FP32)
			out[i] = *(const float *) place;
		else if (linear->precision == ALBERT_BF16)
			out[i] = albert_from_bf16(*(const uint16_t *) place);
		else
			out[i] = *(const int8_t *) place * scale;
	}
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
	int			most_together;	/* blocks */
	int			chunk;			/* blocks taken together, all chunks being about as large */
	size_t		prepared;		/* floats for the prepared rows of a block */
	size_t		sums;			/* floats for its sums: of one panel, or of all between blocks of inputs */
	size_t		wide;			/* floats for a panel of expanded weights */
} Rows;

static Rows
cut_rows(const ProductKind *kind, const MatrixShape *s, int m)
{
	Rows		rows;
	int			fitting;

	rows.m = m;
	rows.most = kind->most_rows;
	rows.blocks = row_blocks(m, rows.most);
	rows.prepared = albert_round_up((size_t) s->block * kind->words *
									row_stride(m < rows.most ? m : rows.most),
									ALBERT_ALIGN / sizeof(float));
	fitting = CHUNK_BYTES / (rows.prepared * sizeof(float));
	fitting = fitting < 1 ? 1 : fitting > CHUNK_BLOCKS ? CHUNK_BLOCKS : fitting;
	rows.most_together = fitting < rows.blocks ? fitting : rows.blocks;
	rows.chunk = row_blocks(rows.blocks, row_blocks(rows.blocks, fitting));
	rows.sums = (size_t) rows.most * (s->blocks > 1 ? s->channels : NR);
	rows.wide = kind->expand != NULL && rows.most_together >= WIDEN_BLOCKS ?
		(size_t) s->block * kind->unit_inputs * NR : 0;
	return rows;
}

/* Fewer rows may be taken more blocks at a time: 25 blocks as 13 and 12, but 24 at once. */
static size_t
linear_scratch(const AlbertLinear *linear, int m)
{
	const ProductKind *kind = product_kind(linear->precision);
	MatrixShape s = matrix_shape(kind, linear->out, linear->in);
	Rows		rows;

	if (m <= 0)
		return 0;
	rows = cut_rows(kind, &s, m);
	return (rows.wide + rows.most_together * (rows.prepared + rows.sums)) * sizeof(float);
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
fetch_row(const float *row, int n)
{
	for (int i = 0; i < NR && i < n; i += 64 / (int) sizeof(float))
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
		fetch_row(f->y + (size_t) r * f->ldy + j, f->linear->out - j);
		if (f->residual != NULL && f->residual != f->y)
			fetch_row(f->residual + (size_t) r * f->ldr + j, f->linear->out - j);
	}
}

/* A panel of a block times the chunk's rows; after the last block the results. */
static void
multiply_panel(const ProductKind *kind, const Finish *f, const Rows *cut, const Chunk *chunk,
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
linear_chunk(const ProductKind *kind, const Finish *f, const Rows *cut, int b0, int n,
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
	const ProductKind *kind = product_kind(linear->precision);
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
