/*
 * generic_attention.c
 *	  Scaled dot-product attention of one text in plain C.
 */
#include "kernels/internal.h"

/* One row of scores. */
size_t
albert_generic_attention_scratch(AlbertPrecision precision, int len, int hidden_size, int heads)
{
	return albert_round_up(len * sizeof(float), ALBERT_ALIGN);
}

/* softmax(q K' / sqrt(head size)) V for one query of one head */
static void
attend(int len, int size, const float *q, const float *keys, const float *values,
	   int ld, float *scores, float *context)
{
	float		scale = 1.0f / sqrtf((float) size);

	for (int j = 0; j < len; j++)
	{
		const float *key = keys + (size_t) j * ld;
		float		sum = 0;

		for (int d = 0; d < size; d++)
			sum += q[d] * key[d];
		scores[j] = sum * scale;
	}
	albert_generic_softmax(len, scores);
	memset(context, 0, size * sizeof(float));
	for (int j = 0; j < len; j++)
		for (int d = 0; d < size; d++)
			context[d] += scores[j] * values[(size_t) j * ld + d];
}

void
albert_generic_attention(AlbertPrecision precision, int len, int hidden_size, int heads,
						 const float *qkv, int ld,
						 int nq, const int32_t *q_rows,
						 float *context, int ldc,
						 float *probs, void *scratch)
{
	int			size = hidden_size / heads;

	for (int h = 0; h < heads; h++)
	{
		for (int i = 0; i < nq; i++)
		{
			int			row = q_rows != NULL ? q_rows[i] : i;
			float	   *scores = probs != NULL ? probs + ((size_t) h * nq + i) * len : scratch;

			attend(len, size, qkv + (size_t) row * ld + h * size,
				   qkv + hidden_size + h * size, qkv + 2 * hidden_size + h * size,
				   ld, scores, context + (size_t) i * ldc + h * size);
		}
	}
}
