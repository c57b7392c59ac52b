/*
 * simd_attention.h
 *	  Self-attention of one text, written once for all vector widths.
 *
 * For each head the keys are transposed into panels of NR keys ([panel][d][NR])
 * and the values copied into panels of NR columns ([panel][key][NR]), so that
 * both products run on the micro-kernels of simd_linear.h.  A block of at most
 * MR queries has all its scores at hand, takes the exponentials, multiplies
 * with the values and divides by the sum at the end.  What a query gets
 * depends on its text only, not on which queries are asked for with it.
 */

typedef struct AttentionScratch
{
	float	   *keys;
	float	   *values;
	float	   *scores;
	float	   *queries;		/* scaled, [row][d] */
	float	   *prepared;		/* the same, [d][row] */
	float	   *result;			/* [row][columns] */
	int			columns;		/* head size, rounded up to whole panels */
	int			ld_scores;
	size_t		size;			/* bytes in all */
} AttentionScratch;

static float *
take(AttentionScratch *s, void *base, size_t floats)
{
	float	   *at = base == NULL ? NULL : (float *) ((char *) base + s->size);

	s->size += albert_round_up(floats * sizeof(float), ALBERT_ALIGN);
	return at;
}

static AttentionScratch
attention_layout(int len, int size, void *base)
{
	AttentionScratch s = {0};
	size_t		keys = albert_round_up(len, NR);

	s.columns = albert_round_up(size, NR);

	/* an odd number of cache lines: rows do not fall on each other in L1 */
	s.ld_scores = ((keys + 15) / 16 | 1) * 16;
	s.keys = take(&s, base, keys * size);
	s.values = take(&s, base, (size_t) len * s.columns);
	s.scores = take(&s, base, (size_t) MR * s.ld_scores);
	s.queries = take(&s, base, (size_t) MR * size);
	s.prepared = take(&s, base, (size_t) row_stride(MR) * size);
	s.result = take(&s, base, (size_t) MR * s.columns);
	return s;
}

static size_t
attention_scratch(int len, int hidden_size, int heads)
{
	return attention_layout(len, hidden_size / heads, NULL).size;
}

typedef void (*AttentionKernel) (int units, const float *x, size_t ld_x,
								 const float *w, float *tile, size_t ld_tile);

/* scores of a panel of keys, from prepared queries */
#define MICRO_SCORES(name, rows) \
static void \
name##_##rows(int units, const float *x, size_t ld_x, const float *w, float *tile, size_t ld_tile) \
{ \
	multiply_fp32(rows, units, x, 1, row_stride(rows), w, tile, ld_tile, false); \
}
FOR_ROWS(MICRO_SCORES, micro_scores)

/* exponentials, row by row as they are, times a panel of values */
#define MICRO_CONTEXT(name, rows) \
static void \
name##_##rows(int units, const float *x, size_t ld_x, const float *w, float *tile, size_t ld_tile) \
{ \
	multiply_fp32(rows, units, x, ld_x, 1, w, tile, ld_tile, false); \
}
FOR_ROWS(MICRO_CONTEXT, micro_context)

static const AttentionKernel micro_scores[] = {FOR_ROWS(TABLE_ENTRY, micro_scores)};
static const AttentionKernel micro_context[] = {FOR_ROWS(TABLE_ENTRY, micro_context)};

static void
prepare_keys(int len, int size, const float *keys, int ld, float *dst)
{
	for (int j = 0; j < len; j += NR)
	{
		int			n = len - j < NR ? len - j : NR;

		transpose_to(n, size, keys + (size_t) j * ld, ld, dst, NR);
		for (int d = 0; d < size; d++)
			for (int i = row_stride(n); i < NR; i++)
				dst[d * NR + i] = 0.0f;
		dst += (size_t) size * NR;
	}
}

static void
prepare_values(int len, int size, const float *values, int ld, float *dst)
{
	for (int c = 0; c < size; c += NR)
	{
		for (int j = 0; j < len; j++)
		{
			const float *row = values + (size_t) j * ld + c;

			v_store(dst, load_part(row, size - c));
			v_store(dst + VN, size - c > VN ? load_part(row + VN, size - c - VN) : v_zero());
			dst += NR;
		}
	}
}

/* Queries of one block, rows numbers given; context and probs already stand at the block and head. */
static void
attend(const AttentionScratch *s, int len, int size, int rows,
	   float *context, int ldc, float *probs)
{
	float		factor[MR];

	transpose(rows, size, s->queries, size, s->prepared);
	for (int j = 0; j < len; j += NR)
		micro_scores[rows - 1] (size, s->prepared, 0, s->keys + (size_t) j * size,
								s->scores + j, s->ld_scores);
	for (int r = 0; r < rows; r++)
	{
		float	   *row = s->scores + (size_t) r * s->ld_scores;

		factor[r] = 1.0f / exponentials(len, row, 1.0f);
		if (probs != NULL)
		{
			memcpy(probs + (size_t) r * len, row, len * sizeof(float));
			scale_row(len, probs + (size_t) r * len, factor[r]);
		}
	}
	for (int c = 0; c < size; c += NR)
		micro_context[rows - 1] (len, s->scores, s->ld_scores, s->values + (size_t) c * len,
								 s->result + c, s->columns);
	for (int r = 0; r < rows; r++)
		for (int d = 0; d < size; d += VN)
			store_part(context + (size_t) r * ldc + d, size - d,
					   v_mul(v_load(s->result + (size_t) r * s->columns + d), v_set(factor[r])));
}

static void
attention(int len, int hidden_size, int heads, const float *qkv, int ld,
		  int nq, const int32_t *q_rows, float *context, int ldc,
		  float *probs, void *scratch)
{
	int			size = hidden_size / heads;
	AttentionScratch s = attention_layout(len, size, scratch);
	vf			scale = v_set(LOG2_E / sqrtf((float) size));	/* scores for powers of 2 */

	if (nq <= 0)
		return;
	for (int h = 0; h < heads; h++)
	{
		prepare_keys(len, size, qkv + hidden_size + h * size, ld, s.keys);
		prepare_values(len, size, qkv + 2 * hidden_size + h * size, ld, s.values);
		for (int b = 0; b < row_blocks(nq, MR); b++)
		{
			int			first;
			int			rows = row_block(nq, MR, b, &first);

			for (int r = 0; r < rows; r++)
			{
				const float *q = qkv + h * size +
					(size_t) (q_rows != NULL ? q_rows[first + r] : first + r) * ld;

				for (int d = 0; d < size; d += VN)
					store_part(s.queries + (size_t) r * size + d, size - d,
							   v_mul(load_part(q + d, size - d), scale));
			}
			attend(&s, len, size, rows, context + (size_t) first * ldc + h * size, ldc,
				   probs != NULL ? probs + ((size_t) h * nq + first) * len : NULL);
		}
	}
}
