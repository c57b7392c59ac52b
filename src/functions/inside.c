/*
 * inside.c
 *	  Looking inside: how far each layer moves the hidden states (figure 1 of
 *	  the ALBERT paper), and what each token attends to.
 */
#include "postgres.h"

#include <math.h>

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"

static void
ignore_hidden(AlbertForward *forward, const AlbertSequence *sequences, int n, const AlbertRows *hidden)
{
}

/* The traced run over one text, whose tokens are to be had before it: false when it has a status. */
static bool
tokenize_one(AlbertJob *job, AlbertItem *item, AlbertForward *forward)
{
	AlbertForwardOptions options = {0};

	AlbertForwardTokenize(forward, job, item, 1, &options);
	forward->nsequences = Min(forward->nsequences, 1);
	return item->status == NULL;
}

static void
run_traced(AlbertForward *forward, const AlbertTrace *trace)
{
	forward->trace = trace;
	forward->consume = ignore_hidden;
	AlbertForwardRun(forward);
}

/* ---------- albert_layers(content) rows ---------- */

/* Rows are kept apart from the trace callback: nothing may raise an error inside the encoder. */
typedef struct LayerMoves
{
	int			nlayers;
	int			max;
	double	   *distances;
	double	   *cosines;
} LayerMoves;

/* Means over the tokens of |output - input| and of their cosine. */
static void
note_layer(void *context, int layer, int ntokens, int hidden_size,
		   const float *input, int ld_input, const float *output, int ld_output)
{
	LayerMoves *moves = context;
	double		distance = 0;
	double		cosine = 0;

	if (moves->nlayers == moves->max)
		return;
	for (int t = 0; t < ntokens; t++)
	{
		const float *x = input + (size_t) t * ld_input;
		const float *y = output + (size_t) t * ld_output;
		double		sum = 0;

		for (int i = 0; i < hidden_size; i++)
			sum += ((double) y[i] - x[i]) * ((double) y[i] - x[i]);
		distance += sqrt(sum);
		cosine += AlbertCosine(x, y, hidden_size);
	}
	moves->distances[moves->nlayers] = distance / ntokens;
	moves->cosines[moves->nlayers] = cosine / ntokens;
	moves->nlayers++;
}

/* Layers of a model: an application of a group of inner layers counts each of them. */
static int
layer_applications(const AlbertConfig *config)
{
	return config->num_hidden_layers * config->inner_group_num;
}

static void
put_layers(AlbertJob *job, AlbertItem *item, int number)
{
	LayerMoves	moves = {.max = layer_applications(job->binding->model.config)};
	AlbertTrace trace = {.context = &moves, .layer = note_layer};
	AlbertForward forward;

	moves.distances = AlbertJobAlloc(job, moves.max, sizeof(double));
	moves.cosines = AlbertJobAlloc(job, moves.max, sizeof(double));
	if (!tokenize_one(job, item, &forward))
		return;
	run_traced(&forward, &trace);
	for (int layer = 0; layer < moves.nlayers; layer++)
		AlbertPutRow(item->rows, (Datum[]) {
			Int32GetDatum(layer + 1), Float4GetDatum((float) moves.distances[layer]),
			Float4GetDatum((float) moves.cosines[layer])
		}, NULL);
}

const AlbertTask albert_layers_task = {
	.text_arg = "content",
	.rows = put_layers
};

/* ---------- albert_attention(content, layer, head) rows ---------- */

typedef struct AttentionOptions
{
	int			layer;			/* from 1 */
	int			head;			/* from 1 */
} AttentionOptions;

static void
take_layer(AlbertJob *job, Datum value)
{
	AlbertOptionsOf(job, AttentionOptions)->layer =
		AlbertIntOption("layer", value, 1, layer_applications(job->binding->model.config));
}

static void
take_head(AlbertJob *job, Datum value)
{
	AlbertOptionsOf(job, AttentionOptions)->head =
		AlbertIntOption("head", value, 1, job->binding->model.config->num_attention_heads);
}

static const AlbertOption attention_options[] = {
	ALBERT_TAKEN_OPTION("layer", take_layer),
	ALBERT_TAKEN_OPTION("head", take_head),
	ALBERT_NO_OPTION
};

typedef struct AttentionMap
{
	int			layer;			/* from 0 */
	int			head;			/* from 0 */
	int			len;			/* tokens of the sequence */
	float	   *probs;			/* (len, len) */
} AttentionMap;

static bool
wants_layer(void *context, int layer)
{
	return ((AttentionMap *) context)->layer == layer;
}

static void
note_attention(void *context, int layer, int text, int heads, int len, const float *probs)
{
	AttentionMap *map = context;

	memcpy(map->probs, probs + (size_t) map->head * len * len, (size_t) len * len * sizeof(float));
	map->len = len;
}

static void
put_map(AlbertJob *job, AlbertItem *item, const AlbertTokens *tokens, const AttentionMap *map)
{
	Datum	   *pieces = palloc(tokens->n * sizeof(Datum));

	for (int t = 0; t < tokens->n; t++)
		pieces[t] = AlbertPieceToDatum(&job->binding->tokenizer, tokens->items[t].id);
	for (int q = 0; q < map->len; q++)
	{
		for (int k = 0; k < map->len; k++)
			AlbertPutRow(item->rows, (Datum[]) {
				Int32GetDatum(q), pieces[q], Int32GetDatum(k), pieces[k],
				Float4GetDatum(map->probs[(size_t) q * map->len + k])
			}, NULL);
	}
}

static void
put_attention(AlbertJob *job, AlbertItem *item, int number)
{
	const AttentionOptions *options = AlbertOptionsOf(job, AttentionOptions);
	AttentionMap map = {.layer = options->layer - 1, .head = options->head - 1};
	AlbertTrace trace = {
		.context = &map, .wants_attention = wants_layer, .attention = note_attention
	};
	AlbertForward forward;
	const AlbertTokens *tokens;

	if (!tokenize_one(job, item, &forward))
		return;
	tokens = &forward.sequences[0].tokens;
	map.probs = AlbertJobAlloc(job, (size_t) tokens->n * tokens->n, sizeof(float));
	run_traced(&forward, &trace);
	put_map(job, item, tokens, &map);
}

const AlbertTask albert_attention_task = {
	.text_arg = "content",
	.options = attention_options,
	.rows = put_attention
};
