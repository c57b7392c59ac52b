/*
 * inside.c
 *	  Looking inside: how far each layer moves the hidden states (figure 1 of
 *	  the ALBERT paper), and what each token attends to.
 */
#include "postgres.h"

#include <math.h>

#include "executor/forward.h"
#include "functions/functions.h"

static void
ignore_hidden(AlbertForward *forward, const AlbertSequence *sequences, int n, const AlbertRows *hidden)
{
}

/* Before a run over one text, which is one sequence, for what the trace is told. */
static void
begin_traced(AlbertForward *forward, AlbertJob *job, AlbertItem *item, const AlbertTrace *trace)
{
	AlbertForwardOptions options = {0};

	AlbertForwardTokenize(forward, job, item, 1, &options);
	forward->trace = trace;
}

/* ---------- albert_layers(content) rows ---------- */

/* Rows are kept apart from the trace callback: nothing may raise an error inside the encoder. */
typedef struct LayerMove
{
	double		distance;
	double		cosine;
} LayerMove;

/* Means over the tokens of |output - input| and of their cosine.  A run that was interrupted tells all layers again. */
static void
note_layer(void *context, int layer, int ntokens, int hidden_size,
		   const float *input, int ld_input, const float *output, int ld_output)
{
	LayerMove	move = {0};

	for (int t = 0; t < ntokens; t++)
	{
		const float *x = input + (size_t) t * ld_input;
		const float *y = output + (size_t) t * ld_output;
		double		sum = 0;

		for (int i = 0; i < hidden_size; i++)
			sum += ((double) y[i] - x[i]) * ((double) y[i] - x[i]);
		move.distance += sqrt(sum);
		move.cosine += AlbertCosine(x, y, hidden_size);
	}
	move.distance /= ntokens;
	move.cosine /= ntokens;
	((LayerMove *) context)[layer] = move;
}

static void
put_layers(AlbertJob *job, AlbertItem *item, int number)
{
	int			n = AlbertApplications(job->binding->model.config);
	LayerMove  *moves = AlbertJobAlloc(job, n, sizeof(LayerMove));
	AlbertTrace trace = {.context = moves, .layer = note_layer};
	AlbertForward forward;

	begin_traced(&forward, job, item, &trace);
	AlbertForwardRun(&forward, ignore_hidden);
	for (int layer = 0; layer < n; layer++)
		AlbertPutRow(item->rows, (Datum[]) {
			Int32GetDatum(layer + 1), Float4GetDatum((float) moves[layer].distance),
			Float4GetDatum((float) moves[layer].cosine)
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
		AlbertIntOption("layer", value, 1, AlbertApplications(job->binding->model.config));
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
	const AttentionOptions *options;
	float	   *probs;			/* (tokens, tokens) */
} AttentionMap;

static bool
wants_layer(void *context, int layer)
{
	return ((AttentionMap *) context)->options->layer == layer + 1;
}

static void
note_attention(void *context, int layer, int text, int heads, int len, const float *probs)
{
	AttentionMap *map = context;
	size_t		size = (size_t) len * len;

	memcpy(map->probs, probs + (map->options->head - 1) * size, size * sizeof(float));
}

static void
put_attention(AlbertJob *job, AlbertItem *item, int number)
{
	AttentionMap map = {.options = AlbertOptionsOf(job, AttentionOptions)};
	AlbertTrace trace = {
		.context = &map, .wants_attention = wants_layer, .attention = note_attention
	};
	AlbertForward forward;
	const AlbertTokens *tokens;
	Datum	   *pieces;

	begin_traced(&forward, job, item, &trace);
	tokens = &forward.sequences[0].tokens;
	map.probs = AlbertJobAlloc(job, (size_t) tokens->n * tokens->n, sizeof(float));
	AlbertForwardRun(&forward, ignore_hidden);
	pieces = AlbertTokenPieces(job, tokens);
	for (int q = 0; q < tokens->n; q++)
	{
		for (int k = 0; k < tokens->n; k++)
			AlbertPutRow(item->rows, (Datum[]) {
				Int32GetDatum(q), pieces[q], Int32GetDatum(k), pieces[k],
				Float4GetDatum(map.probs[(size_t) q * tokens->n + k])
			}, NULL);
	}
}

const AlbertTask albert_attention_task = {
	.text_arg = "content",
	.options = attention_options,
	.rows = put_attention
};
