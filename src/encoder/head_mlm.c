/*
 * head_mlm.c
 *	  The masked language model: dense to embedding_size, hidden_act,
 *	  LayerNorm, then a score for every word of the vocabulary.
 */
#include "encoder/internal.h"

/* One block: n rows of input to n rows of logits. */
static void
score_rows(const AlbertModel *model, int n, const float *x, int ldx,
		   float *transformed, int ldt, float *logits, int ldl, void *scratch)
{
	model->kernels->linear(&model->mlm_dense, n, x, ldx,
						   model->config->hidden_act, NULL, 0,
						   transformed, ldt, scratch);
	model->kernels->layer_norm(n, model->mlm_dense.out, transformed, ldt,
							   model->mlm_norm.weight, model->mlm_norm.bias,
							   model->config->layer_norm_eps);
	model->kernels->table_product(&model->mlm_decoder, n, transformed, ldt,
								  model->mlm_bias, logits, ldl, scratch);
}

static size_t
scratch_size(const AlbertModel *model, int most)
{
	size_t		size = AlbertScratchSize(model, &model->mlm_dense, most);

	for (int rows = 1; rows <= most; rows++)
	{
		size_t		needed = model->kernels->table_scratch(&model->mlm_decoder, rows);

		if (needed > size)
			size = needed;
	}
	return size;
}

bool
AlbertHeadMlm(const AlbertModel *model, const AlbertRows *rows,
			  const AlbertRun *run, AlbertRows *logits, AlbertStatus *status)
{
	int			space = AlbertBlockSpace(run, rows->n);
	double		dense_flops = albert_linear_flops(&model->mlm_dense);
	double		table_flops = 2.0 * model->mlm_decoder.rows * model->mlm_decoder.cols;
	double		largest = table_flops > dense_flops ? table_flops : dense_flops;
	AlbertArenaMark mark;
	AlbertRows	transformed;
	void	   *scratch;
	int			n;

	if (!AlbertRequireHead(model, ALBERT_HEAD_MLM, "masked language model head", status) ||
		!AlbertCheckWidth(rows, model->mlm_dense.in, status) ||
		!AlbertRowsNew(run->arena, rows->n, model->mlm_decoder.rows, logits, status))
		return false;
	mark = AlbertArenaGetMark(run->arena);
	if (!AlbertRowsNew(run->arena, space, model->mlm_dense.out, &transformed, status))
		return false;
	scratch = AlbertEncoderAlloc(run->arena, scratch_size(model, space), status);
	if (scratch == NULL)
		return false;
	for (int first = 0; first < rows->n; first += n)
	{
		if (!AlbertPoll(run, status))
			return false;
		n = AlbertNextBlock(run, model, largest, rows->n - first);
		score_rows(model, n, rows->data + (size_t) first * rows->ld, rows->ld,
				   transformed.data, transformed.ld,
				   logits->data + (size_t) first * logits->ld, logits->ld, scratch);
	}
	AlbertArenaRewind(run->arena, mark);
	return true;
}
