/*
 * encoder.c
 *	  The forward pass: the order of layers, and which rows are computed where.
 */
#include <string.h>

#include "encoder/internal.h"

/*
 * The layer of an application.  The group's number is computed as the
 * reference does it, int(i / (layers / groups)) in floating point.
 */
static const AlbertLayer *
layer_of(const AlbertModel *model, int application)
{
	const AlbertConfig *config = model->config;
	int			i = application / config->inner_group_num;
	double		layers_a_group = (double) config->num_hidden_layers / config->num_hidden_groups;
	int			group = (int) (i / layers_a_group);

	return &model->layers[group * config->inner_group_num + application % config->inner_group_num];
}

static bool
check_tokens(const AlbertConfig *config, const AlbertBatch *batch, AlbertStatus *status)
{
	for (int i = 0; i < batch->ntokens; i++)
	{
		if (batch->ids[i] < 0 || batch->ids[i] >= config->vocab_size)
			return AlbertFail(status, ALBERT_INPUT,
							  "token id %d is outside the model's vocabulary of %d",
							  batch->ids[i], config->vocab_size);
		if (batch->types != NULL && batch->types[i] >= config->type_vocab_size)
			return AlbertFail(status, ALBERT_INPUT,
							  "token type %d is outside the model's %d token types",
							  batch->types[i], config->type_vocab_size);
	}
	return true;
}

/* Check everything that indexes something; find the longest text. */
static bool
check_batch(const AlbertConfig *config, const AlbertBatch *batch, int *max_len,
			AlbertStatus *status)
{
	if (batch->ntexts < 1 || batch->ntokens < 1)
		return AlbertFail(status, ALBERT_INPUT, "no tokens to run the model on");
	if (batch->text_start[0] != 0 || batch->text_start[batch->ntexts] != batch->ntokens)
		return AlbertFail(status, ALBERT_INTERNAL,
						  "texts of a batch do not cover its %d tokens", batch->ntokens);
	for (int i = 0; i < batch->ntexts; i++)
	{
		int64_t		len = (int64_t) batch->text_start[i + 1] - batch->text_start[i];

		if (len < 1)
			return AlbertFail(status, ALBERT_INPUT, "text %d of the batch has no tokens", i);
		if (len > config->max_position_embeddings)
			return AlbertFail(status, ALBERT_INPUT,
							  "text of %d tokens is longer than the model's %d positions",
							  (int) len, config->max_position_embeddings);
		if (len > *max_len)
			*max_len = (int) len;
	}
	if (batch->wanted != NULL && batch->nwanted < 0)
		return AlbertFail(status, ALBERT_INTERNAL, "%d rows of a batch wanted", batch->nwanted);
	for (int i = 0; batch->wanted != NULL && i < batch->nwanted; i++)
	{
		if (batch->wanted[i] < (i == 0 ? 0 : batch->wanted[i - 1] + 1) ||
			batch->wanted[i] >= batch->ntokens)
			return AlbertFail(status, ALBERT_INPUT,
							  "wanted rows of a batch must ascend and lie within its %d tokens",
							  batch->ntokens);
	}
	return check_tokens(config, batch, status);
}

/* What any product of the pass may need beside its operands; layers have one shape. */
static size_t
linear_scratch_size(const AlbertModel *model, int rows)
{
	const AlbertLayer *layer = &model->layers[0];
	const AlbertLinear *linears[] = {&model->embedding_projection, &layer->query, &layer->key_value,
		&layer->dense, &layer->ffn, &layer->ffn_output};
	size_t		size = 0;

	for (int i = 0; i < 6; i++)
	{
		size_t		needed = linears[i]->weight == NULL ? 0 : model->kernels->linear_scratch(linears[i], rows);

		if (needed > size)
			size = needed;
	}
	return size;
}

/* The widest row held in the block that passes through the feed-forward, or through the embeddings. */
static int
intermediate_width(const AlbertConfig *config)
{
	return config->intermediate_size > config->embedding_size ?
		config->intermediate_size : config->embedding_size;
}

/* Everything but pass->hidden, which may be the caller's result. */
static bool
allocate_workspace(AlbertPass *pass, AlbertStatus *status)
{
	const AlbertConfig *config = pass->config;
	AlbertArena *arena = pass->run->arena;
	int			ntokens = pass->batch->ntokens;
	size_t		linear_size = linear_scratch_size(pass->model, pass->block_space);
	size_t		attention_size = pass->kernels->attention_scratch(pass->model->precision, pass->max_len,
																  config->hidden_size, config->num_attention_heads);

	if (!AlbertRowsNew(arena, ntokens, 3 * config->hidden_size, &pass->qkv, status) ||
		!AlbertRowsNew(arena, ntokens, config->hidden_size, &pass->context, status) ||
		!AlbertRowsNew(arena, pass->block_space, config->hidden_size, &pass->attended, status) ||
		!AlbertRowsNew(arena, pass->block_space, intermediate_width(config),
					   &pass->intermediate, status))
		return false;
	if (pass->trace != NULL && pass->trace->layer != NULL &&
		!AlbertRowsNew(arena, ntokens, config->hidden_size, &pass->before, status))
		return false;
	pass->linear_scratch = AlbertEncoderAlloc(arena, linear_size, status);
	if (pass->linear_scratch == NULL)
		return false;
	pass->attention_scratch = AlbertEncoderAlloc(arena, attention_size, status);
	return pass->attention_scratch != NULL;
}

/* Where the wanted rows are among the texts. */
static bool
select_wanted(const AlbertBatch *batch, AlbertArena *arena, const AlbertRows *result,
			  AlbertSelection *selection, AlbertStatus *status)
{
	int32_t    *text_start;
	int			row = 0;

	text_start = AlbertEncoderAlloc(arena, (batch->ntexts + 1) * sizeof(int32_t), status);
	if (text_start == NULL)
		return false;
	for (int text = 0; text < batch->ntexts; text++)
	{
		text_start[text] = row;
		while (row < batch->nwanted && batch->wanted[row] < batch->text_start[text + 1])
			row++;
	}
	text_start[batch->ntexts] = row;
	*selection = (AlbertSelection) {.text_start = text_start, .rows = *result};
	return true;
}

static void
gather_wanted(const AlbertPass *pass, const AlbertRows *result)
{
	for (int i = 0; i < result->n; i++)
		memcpy(result->data + (size_t) i * result->ld,
			   pass->hidden.data + (size_t) pass->batch->wanted[i] * pass->hidden.ld,
			   result->width * sizeof(float));
}

/* Queries of the gathered rows. */
static bool
project_wanted_queries(AlbertPass *pass, const AlbertLayer *layer, const AlbertRows *result,
					   AlbertStatus *status)
{
	int			n;

	for (int first = 0; first < result->n; first += n)
	{
		if (!AlbertPoll(pass->run, status))
			return false;
		n = AlbertNextBlock(pass->run, pass->model, albert_linear_flops(&layer->query),
							result->n - first);
		pass->kernels->linear(&layer->query, n,
							  result->data + (size_t) first * result->ld, result->ld,
							  ALBERT_ACT_NONE, NULL, 0,
							  pass->qkv.data + (size_t) first * pass->qkv.ld, pass->qkv.ld,
							  pass->linear_scratch);
	}
	return true;
}

/* Embeddings, and the first layer's queries, keys and values. */
static bool
embed(AlbertPass *pass, bool queries, AlbertStatus *status)
{
	const AlbertLayer *layer = layer_of(pass->model, 0);
	double		largest = albert_linear_flops(&layer->key_value);
	int			text = 0;
	int			n;

	for (int first = 0; first < pass->batch->ntokens; first += n)
	{
		if (!AlbertPoll(pass->run, status))
			return false;
		n = AlbertNextBlock(pass->run, pass->model, largest,
							pass->batch->ntokens - first);
		AlbertEmbedRows(pass, first, n, &text);
		AlbertProjectRows(pass, layer, first, n, queries);
	}
	return true;
}

/* last_selection, when not NULL, is for the last application, and its rows are the result. */
static bool
run_layers(AlbertPass *pass, AlbertSelection *last_selection, AlbertStatus *status)
{
	const AlbertSelection every_row = {pass->batch->text_start, pass->hidden};
	int			last = AlbertApplications(pass->config) - 1;

	if (!embed(pass, !(last_selection != NULL && last == 0), status))
		return false;
	for (int i = 0; i <= last; i++)
	{
		const AlbertLayer *layer = layer_of(pass->model, i);
		const AlbertLayer *next = i < last ? layer_of(pass->model, i + 1) : NULL;
		const AlbertSelection *selection = &every_row;

		if (last_selection != NULL && i == last)
		{
			selection = last_selection;
			gather_wanted(pass, &last_selection->rows);
			if (!project_wanted_queries(pass, layer, &last_selection->rows, status))
				return false;
		}
		if (!AlbertApplyLayer(pass, layer, i, selection, next,
							  !(last_selection != NULL && i + 1 == last), status))
			return false;
	}
	return true;
}

/*
 * The wanted rows alone go through the last application, in the result itself.
 * When all are wanted the result is the state between layers from the start.
 */
static bool
encode(AlbertPass *pass, AlbertRows *result, AlbertStatus *status)
{
	const AlbertBatch *batch = pass->batch;
	AlbertArena *arena = pass->run->arena;
	bool		all = batch->wanted == NULL || batch->nwanted == batch->ntokens;
	bool		only_wanted = !all && pass->trace == NULL;
	AlbertSelection selection;
	AlbertArenaMark mark;

	if (!AlbertRowsNew(arena, all ? batch->ntokens : batch->nwanted,
					   pass->config->hidden_size, result, status))
		return false;
	mark = AlbertArenaGetMark(arena);
	if (all)
		pass->hidden = *result;
	else if (!AlbertRowsNew(arena, batch->ntokens, pass->config->hidden_size,
							&pass->hidden, status))
		return false;
	if (only_wanted && !select_wanted(batch, arena, result, &selection, status))
		return false;
	if (!allocate_workspace(pass, status) ||
		!run_layers(pass, only_wanted ? &selection : NULL, status))
		return false;
	if (!all && !only_wanted)
		gather_wanted(pass, result);
	AlbertArenaRewind(arena, mark);
	return true;
}

bool
AlbertEncode(const AlbertModel *model, const AlbertBatch *batch,
			 const AlbertRun *run, AlbertRows *hidden, AlbertStatus *status)
{
	const AlbertConfig *config = model->config;
	int			widest = config->intermediate_size > 2 * config->hidden_size ?
		config->intermediate_size : 2 * config->hidden_size;
	AlbertPass	pass = {
		.model = model, .config = config, .kernels = model->kernels, .batch = batch, .run = run, .trace = run->trace,
		.block_space = AlbertBlockSpace(run, batch->ntokens), .largest_product = 2.0 * config->hidden_size * widest
	};
	AlbertArenaMark mark = AlbertArenaGetMark(run->arena);
	bool		ok;

	if (!check_batch(config, batch, &pass.max_len, status))
		return false;
	ok = encode(&pass, hidden, status);
	if (!ok)
		AlbertArenaRewind(run->arena, mark);
	return ok;
}
