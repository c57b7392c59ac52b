/*
 * synthetic.h
 *	  Models with seeded random weights, packed for any kernel set, for tests
 *	  and timings that need a shape rather than a file.
 */
#ifndef ALBERT_SYNTHETIC_H
#define ALBERT_SYNTHETIC_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/encoder.h"
#include "../malloc_arena.h"

typedef struct Synthetic
{
	AlbertModel model;
	AlbertConfig config;
	AlbertLayer *layers;
	AlbertArena arena;
	uint64_t	seed;
} Synthetic;

/* Uniform in (-1, 1): splitmix64. */
static inline float
synthetic_random(uint64_t *seed)
{
	uint64_t	z = (*seed += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (int32_t) ((z ^ (z >> 31)) >> 32) / 2147483648.0f;
}

static inline void *
synthetic_alloc(Synthetic *synthetic, size_t size)
{
	void	   *result = AlbertArenaAllocZero(&synthetic->arena, size);

	if (result == NULL)
	{
		fprintf(stderr, "no memory for a synthetic model\n");
		exit(2);
	}
	return result;
}

static inline float *
synthetic_values(Synthetic *synthetic, size_t n, float middle, float spread)
{
	float	   *values = synthetic_alloc(synthetic, n * sizeof(float));

	for (size_t i = 0; i < n; i++)
		values[i] = middle + spread * synthetic_random(&synthetic->seed);
	return values;
}

/* Without a bias. */
static inline AlbertLinear
synthetic_matrix(Synthetic *synthetic, int out, int in, float spread)
{
	const AlbertKernels *kernels = synthetic->model.kernels;
	AlbertPrecision precision = synthetic->model.precision;
	AlbertLinear linear = {.in = in, .out = out, .precision = precision};
	void	   *packed = synthetic_alloc(synthetic, kernels->packed_size(precision, out, in));
	float	   *row = malloc(in * sizeof(float));

	for (int i = 0; i < out; i++)
	{
		for (int j = 0; j < in; j++)
			row[j] = spread * synthetic_random(&synthetic->seed);
		kernels->pack(precision, out, in, i, 1, row, packed);
	}
	free(row);
	linear.weight = packed;
	return linear;
}

static inline AlbertLinear
synthetic_linear(Synthetic *synthetic, int out, int in)
{
	AlbertLinear linear = synthetic_matrix(synthetic, out, in, 1.7f / sqrtf(in));

	linear.bias = synthetic_values(synthetic, out, 0, 0.1f);
	return linear;
}

static inline AlbertNorm
synthetic_norm(Synthetic *synthetic, int n)
{
	AlbertNorm	norm;

	norm.weight = synthetic_values(synthetic, n, 1, 0.4f);
	norm.bias = synthetic_values(synthetic, n, 0, 0.3f);
	return norm;
}

/* A model of that shape with every head (classifiers when num_labels > 0). */
static inline void
synthetic_init(Synthetic *synthetic, const AlbertConfig *shape,
			   const AlbertKernels *kernels, AlbertPrecision precision, uint64_t seed)
{
	AlbertModel *model = &synthetic->model;
	AlbertConfig *config = &synthetic->config;
	int			hidden = shape->hidden_size;
	int			embedding = shape->embedding_size;
	int			nlayers = shape->num_hidden_groups * shape->inner_group_num;

	memset(synthetic, 0, sizeof(*synthetic));
	AlbertArenaInitMalloc(&synthetic->arena);
	synthetic->seed = seed;
	*config = *shape;
	model->config = config;
	model->kernels = kernels;
	model->precision = precision;
	config->heads = ALBERT_HEAD_POOLER | ALBERT_HEAD_MLM | ALBERT_HEAD_SENTENCE_ORDER |
		ALBERT_HEAD_QUESTION_ANSWERING;
	model->word_embeddings = synthetic_matrix(synthetic, shape->vocab_size, embedding, 0.5f);
	model->position_embeddings = synthetic_values(synthetic,
												  (size_t) shape->max_position_embeddings * embedding, 0, 0.3f);
	model->token_type_embeddings = synthetic_values(synthetic,
													(size_t) shape->type_vocab_size * embedding, 0, 0.3f);
	model->embedding_norm = synthetic_norm(synthetic, embedding);
	if (shape->architecture == ALBERT_ARCHITECTURE_ALBERT)
		model->embedding_projection = synthetic_linear(synthetic, hidden, embedding);
	synthetic->layers = synthetic_alloc(synthetic, nlayers * sizeof(AlbertLayer));
	for (int i = 0; i < nlayers; i++)
	{
		AlbertLayer *layer = &synthetic->layers[i];

		layer->query = synthetic_linear(synthetic, hidden, hidden);
		layer->key_value = synthetic_linear(synthetic, 2 * hidden, hidden);
		layer->dense = synthetic_linear(synthetic, hidden, hidden);
		layer->attention_norm = synthetic_norm(synthetic, hidden);
		layer->ffn = synthetic_linear(synthetic, shape->intermediate_size, hidden);
		layer->ffn_output = synthetic_linear(synthetic, hidden, shape->intermediate_size);
		layer->output_norm = synthetic_norm(synthetic, hidden);
	}
	model->layers = synthetic->layers;
	model->pooler = synthetic_linear(synthetic, hidden, hidden);
	model->mlm_dense = synthetic_linear(synthetic, embedding, hidden);
	model->mlm_norm = synthetic_norm(synthetic, embedding);
	model->mlm_decoder = model->word_embeddings;
	model->mlm_decoder.bias = synthetic_values(synthetic, shape->vocab_size, 0, 0.2f);
	model->sentence_order = synthetic_linear(synthetic, 2, hidden);
	model->qa_outputs = synthetic_linear(synthetic, 2, hidden);
	if (shape->num_labels > 0)
	{
		config->heads |= ALBERT_HEAD_CLASSIFIER;
		model->classifier = synthetic_linear(synthetic, shape->num_labels, hidden);
	}
	config->ndense = 1;
	config->dense[0].activation = ALBERT_ACT_TANH;
	model->dense[0] = synthetic_linear(synthetic, 20, hidden);
}

static inline void
synthetic_free(Synthetic *synthetic)
{
	AlbertArenaFree(&synthetic->arena);
}

#endif							/* ALBERT_SYNTHETIC_H */
