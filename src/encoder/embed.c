/*
 * embed.c
 *	  From token ids to the first layer's input.
 */
#include "encoder/internal.h"

/*
 * Word plus type plus position, summed in the reference's order, then its
 * LayerNorm over embedding_size and the map to hidden_size, which ALBERT has
 * even when the two sizes are equal and BERT has not.
 */
void
AlbertEmbedRows(AlbertPass *pass, int first, int n, int *text)
{
	const AlbertModel *model = pass->model;
	const AlbertBatch *batch = pass->batch;
	int			width = pass->config->embedding_size;
	bool		projected = model->embedding_projection.weight != NULL;
	float	   *hidden = pass->hidden.data + (size_t) first * pass->hidden.ld;
	float	   *embedded = projected ? pass->intermediate.data : hidden;
	int			ld = projected ? albert_stride(width) : pass->hidden.ld;

	for (int i = 0; i < n; i++)
	{
		int			token = first + i;
		float	   *row = embedded + (size_t) i * ld;
		const float *type = model->token_type_embeddings;
		const float *position;

		while (token >= batch->text_start[*text + 1])
			(*text)++;
		if (batch->types != NULL)
			type += (size_t) batch->types[token] * width;
		position = model->position_embeddings +
			(size_t) (token - batch->text_start[*text]) * width;
		pass->kernels->weight_row(&model->word_embeddings, batch->ids[token], row);
		for (int j = 0; j < width; j++)
			row[j] = row[j] + type[j] + position[j];
	}
	pass->kernels->layer_norm(n, width, embedded, ld,
							  model->embedding_norm.weight, model->embedding_norm.bias,
							  pass->config->layer_norm_eps);
	if (projected)
		pass->kernels->linear(&model->embedding_projection, n, embedded, ld,
							  ALBERT_ACT_NONE, NULL, 0,
							  hidden, pass->hidden.ld, pass->linear_scratch);
}
