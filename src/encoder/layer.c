/*
 * layer.c
 *	  One application of a transformer layer (post-norm, as in the ALBERT
 *	  paper and the reference):
 *
 *	  a = LayerNorm(x + dense(attention(x)))
 *	  y = LayerNorm(a + ffn_output(act(ffn(a))))
 */
#include <string.h>

#include "encoder/internal.h"

/*
 * Attention is in fp32 or bf16 whatever the weights are, and its products are
 * small; so an operation of it counts as several of a linear map's.
 */
#define ATTENTION_COST	4

void
AlbertProjectRows(AlbertPass *pass, const AlbertLayer *layer, int first, int n, bool queries)
{
	const float *x = pass->hidden.data + (size_t) first * pass->hidden.ld;
	float	   *qkv = pass->qkv.data + (size_t) first * pass->qkv.ld;

	if (queries)
		pass->kernels->linear(&layer->query, n, x, pass->hidden.ld,
							  ALBERT_ACT_NONE, NULL, 0,
							  qkv, pass->qkv.ld, pass->linear_scratch);
	pass->kernels->linear(&layer->key_value, n, x, pass->hidden.ld,
						  ALBERT_ACT_NONE, NULL, 0,
						  qkv + pass->config->hidden_size, pass->qkv.ld,
						  pass->linear_scratch);
}

static bool
wants_attention(const AlbertTrace *trace, int application)
{
	return trace != NULL && trace->attention != NULL &&
		(trace->wants_attention == NULL || trace->wants_attention(trace->context, application));
}

/* Attention of one text, for its selected rows, into pass->context. */
static bool
attend(AlbertPass *pass, int application, const AlbertSelection *selection,
	   int text, AlbertStatus *status)
{
	const AlbertConfig *config = pass->config;
	const int32_t *text_start = pass->batch->text_start;
	int			ld = pass->qkv.ld;
	int			len = text_start[text + 1] - text_start[text];
	int			row = selection->text_start[text];
	int			nq = selection->text_start[text + 1] - row;
	int			most = pass->run->block_rows > 0 ? pass->run->block_rows : nq;
	const float *q = pass->qkv.data + (size_t) row * ld;
	const float *kv = pass->qkv.data + (size_t) text_start[text] * ld + config->hidden_size;
	float	   *context = pass->context.data + (size_t) row * pass->context.ld;
	AlbertArenaMark mark = AlbertArenaGetMark(pass->run->arena);
	float	   *probs = NULL;
	int			n;

	if (wants_attention(pass->trace, application))
	{
		probs = AlbertEncoderAlloc(pass->run->arena,
								   (size_t) config->num_attention_heads * len * len * sizeof(float), status);
		if (probs == NULL)
			return false;
	}
	for (int done = 0; done < nq; done += n)
	{
		if (!AlbertPoll(pass->run, status))
			return false;
		n = AlbertGrainRows(pass->model, ATTENTION_COST * 4.0 * len * config->hidden_size, most);
		if (n > nq - done || probs != NULL)
			n = nq - done;
		pass->kernels->attention(pass->model->precision, len, config->hidden_size, config->num_attention_heads,
								 n, q + (size_t) done * ld, kv, ld, context + (size_t) done * pass->context.ld,
								 pass->context.ld, probs, pass->attention_scratch);
	}
	if (probs != NULL)
	{
		pass->trace->attention(pass->trace->context, application, text, config->num_attention_heads, len, probs);
		AlbertArenaRewind(pass->run->arena, mark);
	}
	return true;
}

/* What follows attention, row by row: n selected rows from first on. */
static bool
finish_rows(AlbertPass *pass, const AlbertLayer *layer, const AlbertRows *rows,
			int first, int n, AlbertStatus *status)
{
	const AlbertKernels *kernels = pass->kernels;
	const AlbertConfig *config = pass->config;
	float	   *x = rows->data + (size_t) first * rows->ld;
	float	   *attended = pass->attended.data;
	float	   *intermediate = pass->intermediate.data;

	kernels->linear(&layer->dense, n,
					pass->context.data + (size_t) first * pass->context.ld, pass->context.ld,
					ALBERT_ACT_NONE, x, rows->ld,
					attended, pass->attended.ld, pass->linear_scratch);
	kernels->layer_norm(n, config->hidden_size, attended, pass->attended.ld,
						layer->attention_norm.weight, layer->attention_norm.bias,
						config->layer_norm_eps);
	if (!AlbertPoll(pass->run, status))
		return false;
	kernels->linear(&layer->ffn, n, attended, pass->attended.ld,
					config->hidden_act, NULL, 0,
					intermediate, pass->intermediate.ld, pass->linear_scratch);
	if (!AlbertPoll(pass->run, status))
		return false;
	kernels->linear(&layer->ffn_output, n, intermediate, pass->intermediate.ld,
					ALBERT_ACT_NONE, attended, pass->attended.ld,
					x, rows->ld, pass->linear_scratch);
	kernels->layer_norm(n, config->hidden_size, x, rows->ld,
						layer->output_norm.weight, layer->output_norm.bias,
						config->layer_norm_eps);
	return AlbertPoll(pass->run, status);
}

static void
copy_rows(AlbertRows *to, const AlbertRows *from)
{
	memcpy(to->data, from->data, (size_t) from->n * from->ld * sizeof(float));
}

/*
 * A block's texts are attended to just before the block needs them.  That
 * leaves the queries, keys and values of a row free for the next layer's as
 * soon as its block is done: all texts that touch the block have been seen.
 */
bool
AlbertApplyLayer(AlbertPass *pass, const AlbertLayer *layer, int application,
				 const AlbertSelection *selection,
				 const AlbertLayer *next, bool next_queries, AlbertStatus *status)
{
	const AlbertTrace *trace = pass->trace;
	const AlbertRows *rows = &selection->rows;
	bool		traced = trace != NULL && trace->layer != NULL;
	int			text = 0;
	int			n;

	if (traced)
		copy_rows(&pass->before, rows);
	for (int first = 0; first < rows->n; first += n)
	{
		n = AlbertNextBlock(pass->run, pass->model, pass->largest_product,
							rows->n - first);
		for (; text < pass->batch->ntexts && selection->text_start[text] < first + n; text++)
		{
			if (!attend(pass, application, selection, text, status))
				return false;
		}
		if (!finish_rows(pass, layer, rows, first, n, status))
			return false;
		if (next != NULL)
			AlbertProjectRows(pass, next, first, n, next_queries);
	}
	if (traced)
		trace->layer(trace->context, application, rows->n, rows->width,
					 pass->before.data, pass->before.ld, rows->data, rows->ld);
	return true;
}
