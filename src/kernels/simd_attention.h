/*
 * simd_attention.h
 *	  Self-attention of one text, written once for all vector widths.
 *
 * For each head the keys are transposed into panels of NR keys ([panel][unit][NR])
 * and the values copied into panels of NR columns ([panel][unit][NR]), as weights
 * are, so that both products run on the micro-kernels of simd_product.h.  A unit
 * is one fp32 or, where the CPU multiplies bf16 and the weights are not fp32
 * either, two bf16.  A block of queries has all its scores at hand, takes the
 * exponentials (in fp32, as their sum), multiplies with the values and divides by
 * the sum at the end.  What a query gets depends on its text only, not on which
 * queries are asked for with it.
 */

static const ProductKind *
attention_kind(AlbertPrecision precision)
{
	const ProductKind *kind = product_kind(precision == ALBERT_FP32 ? ALBERT_FP32 : ALBERT_BF16);

	return kind->product != NULL ? kind : &kind_fp32;
}

/* Of one head of one text: sizes and storage. */
typedef struct AttentionHead
{
	const ProductKind *kind;
	bool		transposed;		/* queries are taken as [unit][row]; what is converted row by row stays so */
	int			len;
	int			size;
	int			units;			/* of a query or key */
	int			key_units;		/* of a column of values, or of a row of exponentials */
	int			columns;		/* head size, rounded up to whole panels */
	int			ld_scores;
	int			ld_words;
	uint32_t   *keys;
	uint32_t   *values;
	float	   *scores;			/* [query][key]; then the exponentials, then these as words */
	float	   *scaled;			/* a query */
	uint32_t   *words;			/* queries or keys, row by row */
	float	   *prepared;		/* queries, transposed */
	float	   *result;			/* [query][column] */
	size_t		bytes;			/* in all */
} AttentionHead;

static void *
take(AttentionHead *h, void *base, size_t words)
{
	void	   *at = base == NULL ? NULL : (char *) base + h->bytes;

	h->bytes += albert_round_up(words * sizeof(uint32_t), ALBERT_ALIGN);
	return at;
}

static int
units_of(const ProductKind *kind, int n)
{
	return albert_round_up((n + kind->unit_inputs - 1) / kind->unit_inputs, kind->step);
}

static AttentionHead
attention_head(AlbertPrecision precision, int len, int size, void *base)
{
	AttentionHead h = {.kind = attention_kind(precision), .len = len, .size = size};
	size_t		keys = albert_round_up(len, NR);

	h.transposed = h.kind->convert == NULL;
	h.units = units_of(h.kind, size);
	h.key_units = units_of(h.kind, len);
	h.columns = albert_round_up(size, NR);

	/* an odd number of cache lines: rows do not fall on each other in L1 */
	h.ld_scores = ((keys + 15) / 16 | 1) * 16;
	h.ld_words = ((albert_round_up(h.units, VN) + 15) / 16 | 1) * 16;
	h.keys = take(&h, base, keys * h.units);
	h.values = take(&h, base, (size_t) h.key_units * h.columns);
	h.scores = take(&h, base, (size_t) h.kind->most_rows * h.ld_scores);
	h.scaled = take(&h, base, albert_round_up(size, VN));
	h.words = take(&h, base, (size_t) (h.kind->most_rows > NR ? h.kind->most_rows : NR) * h.ld_words);
	h.prepared = take(&h, base, h.transposed ? (size_t) row_stride(h.kind->most_rows) * h.units : 0);
	h.result = take(&h, base, (size_t) h.kind->most_rows * h.columns);
	return h;
}

static size_t
attention_scratch(AlbertPrecision precision, int len, int hidden_size, int heads)
{
	return attention_head(precision, len, hidden_size / heads, NULL).bytes;
}

static void
prepare_query(const AttentionHead *h, const float *query, uint32_t *words)
{
	vf			scale = v_set(LOG2_E / sqrtf((float) h->size));	/* scores for powers of 2 */
	float	   *scaled = h->kind->convert != NULL ? h->scaled : (float *) words;

	for (int d = 0; d < h->size; d += VN)
		store_part(scaled + d, h->size - d, v_mul(load_part(query + d, h->size - d), scale));
	if (h->kind->convert != NULL)
		convert_row(h->kind->convert, h->kind->unit_inputs, h->size, h->units, scaled, NULL, words);
}

static void
prepare_keys(const AttentionHead *h, const float *keys, int ld)
{
	uint32_t   *dst = h->keys;

	for (int j = 0; j < h->len; j += NR)
	{
		int			n = h->len - j < NR ? h->len - j : NR;
		const float *rows = keys + (size_t) j * ld;
		int			ld_rows = ld;

		if (h->kind->convert != NULL)
		{
			for (int i = 0; i < n; i++)
				convert_row(h->kind->convert, h->kind->unit_inputs, h->size, h->units, rows + (size_t) i * ld, NULL,
							h->words + (size_t) i * h->ld_words);
			rows = (const float *) h->words;
			ld_rows = h->ld_words;
		}
		transpose_to(n, h->units, rows, ld_rows, (float *) dst, NR);
		for (int u = 0; u < h->units; u++)
			for (int i = row_stride(n); i < NR; i++)
				dst[u * NR + i] = 0;
		dst += (size_t) h->units * NR;
	}
}

/* VN columns of the values of a unit: n of them are there, of keys j and, if they are pairs, j + 1. */
INLINE void
prepare_unit(const AttentionHead *h, int j, int n, const float *value, int ld, uint32_t *dst)
{
	vf			v = j < h->len ? load_part(value, n) : v_zero();

	if (h->kind->pair != NULL)
		h->kind->pair(v, j + 1 < h->len ? load_part(value + ld, n) : v_zero(), dst);
	else
		v_store((float *) dst, v);
}

static void
prepare_values(const AttentionHead *h, const float *values, int ld)
{
	uint32_t   *dst = h->values;

	for (int c = 0; c < h->size; c += NR)
		for (int u = 0; u < h->key_units; u++)
		{
			int			j = u * h->kind->unit_inputs;
			const float *value = values + (size_t) j * ld + c;

			prepare_unit(h, j, h->size - c, value, ld, dst);
			if (h->size - c > VN)
				prepare_unit(h, j, h->size - c - VN, value + VN, ld, dst + VN);
			else
				v_store((float *) dst + VN, v_zero());
			dst += NR;
		}
}

/* Queries of one block, row numbers given; context and probs already stand at the block and head. */
static void
attend(const AttentionHead *h, int rows, float *context, int ldc, float *probs)
{
	const ProductKind *kind = h->kind;
	float		factor[MAX_ROWS];

	if (h->transposed)
		transpose(rows, h->units, (const float *) h->words, h->ld_words, h->prepared);
	for (int j = 0; j < h->len; j += NR)
		kind->product(rows, h->units, h->transposed ? (const void *) h->prepared : h->words,
					  h->transposed ? 1 : h->ld_words, h->transposed ? row_stride(rows) : 1,
					  h->keys + (size_t) j * h->units, h->scores + j, h->ld_scores);
	for (int r = 0; r < rows; r++)
	{
		float	   *row = h->scores + (size_t) r * h->ld_scores;

		factor[r] = 1.0f / exponentials(h->len, row, 1.0f);
		if (probs != NULL)
		{
			memcpy(probs + (size_t) r * h->len, row, h->len * sizeof(float));
			scale_row(h->len, probs + (size_t) r * h->len, factor[r]);
		}
		if (kind->convert != NULL)	/* to what is shorter, so in its place */
			convert_row(kind->convert, kind->unit_inputs, h->len, h->key_units, row, NULL, (uint32_t *) row);
	}
	for (int c = 0; c < h->size; c += NR)
		kind->product(rows, h->key_units, h->scores, h->ld_scores, 1, h->values + (size_t) c * h->key_units,
					  h->result + c, h->columns);
	for (int r = 0; r < rows; r++)
		for (int d = 0; d < h->size; d += VN)
			store_part(context + (size_t) r * ldc + d, h->size - d,
					   v_mul(v_load(h->result + (size_t) r * h->columns + d), v_set(factor[r])));
}

static void
attention(AlbertPrecision precision, int len, int hidden_size, int heads,
		  int nq, const float *q, const float *kv, int ld,
		  float *context, int ldc, float *probs, void *scratch)
{
	int			size = hidden_size / heads;
	AttentionHead h = attention_head(precision, len, size, scratch);
	int			most = h.kind->most_rows;

	if (nq <= 0)
		return;
	if (h.kind->begin != NULL)
		h.kind->begin(nq < most ? nq : most);
	for (int head = 0; head < heads; head++)
	{
		prepare_keys(&h, kv + head * size, ld);
		prepare_values(&h, kv + hidden_size + head * size, ld);
		for (int b = 0; b < row_blocks(nq, most); b++)
		{
			int			first;
			int			rows = row_block(nq, most, b, &first);

			for (int r = 0; r < rows; r++)
				prepare_query(&h, q + (size_t) (first + r) * ld + head * size, h.words + (size_t) r * h.ld_words);
			attend(&h, rows, context + (size_t) first * ldc + head * size, ldc,
				   probs != NULL ? probs + ((size_t) head * nq + first) * len : NULL);
		}
	}
	if (h.kind->end != NULL)
		h.kind->end();
}
