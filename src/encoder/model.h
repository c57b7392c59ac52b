/*
 * model.h
 *	  A model as the encoder sees it: its configuration, and pointers to
 *	  weights that lie ready for one kernel set in some read-only image.
 *
 * The structures here hold no memory of their own.  formats/image_bind.c
 * fills them in when a process binds to an image.
 */
#ifndef ALBERT_MODEL_H
#define ALBERT_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* Whose names and defaults a checkpoint has: the configuration's model_type. */
typedef enum AlbertArchitecture
{
	ALBERT_ARCHITECTURE_ALBERT,
	ALBERT_ARCHITECTURE_BERT	/* as many groups as layers, and no projection */
} AlbertArchitecture;

#define ALBERT_NARCHITECTURES	2

#define ALBERT_MAX_DENSE	4

/* A Dense module of sentence-transformers. */
typedef struct AlbertDense
{
	int32_t		in;
	int32_t		out;
	int32_t		activation;		/* AlbertActivation */
	int32_t		bias;			/* is there one */
} AlbertDense;

/* What a model's files say of it, without labels, prompts and weights; stored in images as it is. */
typedef struct AlbertConfig
{
	/* transformers' AlbertConfig or BertConfig */
	int32_t		architecture;	/* AlbertArchitecture */
	int32_t		vocab_size;
	int32_t		embedding_size;
	int32_t		hidden_size;
	int32_t		num_hidden_layers;
	int32_t		num_hidden_groups;
	int32_t		inner_group_num;
	int32_t		num_attention_heads;
	int32_t		intermediate_size;
	int32_t		max_position_embeddings;
	int32_t		type_vocab_size;
	int32_t		num_labels;		/* 0 when no classification head is stored */
	int32_t		hidden_act;		/* AlbertActivation */
	int32_t		problem_type;	/* AlbertProblemType */
	int32_t		score_function; /* AlbertScoreFunction */
	float		layer_norm_eps;
	char		class_name[64]; /* architectures[0], or "AlbertModel" */

	/* the tensors */
	int64_t		parameters;		/* as stored in the checkpoint, tied weights once */
	uint32_t	heads;			/* AlbertHead bits */
	int32_t		untied;			/* an own decoder matrix is stored */

	/* sentence-transformers' modules */
	uint32_t	pooling;		/* AlbertPooling bits; 0: there are no modules */
	int32_t		normalize;
	int32_t		exclude_prompt; /* a prompt's tokens are seen, but not pooled */
	int32_t		max_seq_length; /* 0: not said */
	int32_t		ndense;
	AlbertDense dense[ALBERT_MAX_DENSE];

	int32_t		overflow;		/* AlbertOverflow: what becomes of a long text where the call does not say */
} AlbertConfig;

/* Applications of a layer to a text: each hidden layer applies all inner layers of its group. */
static inline int
AlbertApplications(const AlbertConfig *config)
{
	return config->num_hidden_layers * config->inner_group_num;
}

typedef enum AlbertProblemType
{
	ALBERT_PROBLEM_UNSET = 0,
	ALBERT_PROBLEM_SINGLE_LABEL,
	ALBERT_PROBLEM_MULTI_LABEL,
	ALBERT_PROBLEM_REGRESSION
} AlbertProblemType;

/* What sentence-transformers' CrossEncoder makes of a logit; unset, it is the logistic function for one label. */
typedef enum AlbertScoreFunction
{
	ALBERT_SCORE_UNSET = 0,
	ALBERT_SCORE_IDENTITY,
	ALBERT_SCORE_SIGMOID
} AlbertScoreFunction;

/* Which heads an image holds: a bit mask. */
typedef enum AlbertHead
{
	ALBERT_HEAD_POOLER = 1 << 0,
	ALBERT_HEAD_MLM = 1 << 1,
	ALBERT_HEAD_SENTENCE_ORDER = 1 << 2,
	ALBERT_HEAD_CLASSIFIER = 1 << 3,	/* sequence classification */
	ALBERT_HEAD_TOKEN_CLASSIFIER = 1 << 4,
	ALBERT_HEAD_QUESTION_ANSWERING = 1 << 5,
	ALBERT_HEAD_CHOICE = 1 << 6
} AlbertHead;

/* How a text becomes one vector in sentence-transformers: a bit mask of poolings, concatenated in this order. */
typedef enum AlbertPooling
{
	ALBERT_POOL_CLS = 1 << 0,
	ALBERT_POOL_MAX = 1 << 1,
	ALBERT_POOL_MEAN = 1 << 2,
	ALBERT_POOL_MEAN_SQRT_LEN = 1 << 3,
	ALBERT_POOL_POOLER = 1 << 4 /* the pooler's output; only by option */
} AlbertPooling;

/* What becomes of a text that is longer than the model takes. */
typedef enum AlbertOverflow
{
	ALBERT_OVERFLOW_TRUNCATE,
	ALBERT_OVERFLOW_ERROR,
	ALBERT_OVERFLOW_WINDOW
} AlbertOverflow;

typedef struct AlbertNorm
{
	const float *weight;
	const float *bias;
} AlbertNorm;

/* One inner layer of a group. */
typedef struct AlbertLayer
{
	AlbertLinear query;			/* hidden -> hidden */
	AlbertLinear key_value;		/* hidden -> 2 hidden: keys, then values */
	AlbertLinear dense;			/* attention output, hidden -> hidden */
	AlbertNorm	attention_norm;
	AlbertLinear ffn;			/* hidden -> intermediate */
	AlbertLinear ffn_output;	/* intermediate -> hidden */
	AlbertNorm	output_norm;
} AlbertLayer;

typedef struct AlbertModel
{
	const AlbertConfig *config;
	const AlbertKernels *kernels;
	AlbertPrecision precision;

	AlbertLinear word_embeddings;	/* (vocab, embedding), looked up by row */
	const float *position_embeddings;	/* (positions, embedding) */
	const float *token_type_embeddings; /* (types, embedding) */
	AlbertNorm	embedding_norm;
	AlbertLinear embedding_projection;	/* embedding -> hidden; without weight where there is none */
	const AlbertLayer *layers;	/* num_hidden_groups * inner_group_num, group-major */

	AlbertLinear pooler;		/* hidden -> hidden, then tanh */
	AlbertLinear mlm_dense;		/* hidden -> embedding, then hidden_act */
	AlbertNorm	mlm_norm;
	AlbertLinear mlm_decoder;	/* embedding -> vocab; its weights are word_embeddings' when tied */
	AlbertLinear sentence_order;	/* hidden -> 2; BERT calls it next sentence */
	AlbertLinear classifier;	/* hidden -> labels: sequence, token or choice head by the bits of heads */
	AlbertLinear qa_outputs;	/* hidden -> 2 */

	/* a head that has been trained on embeddings is the classifier instead: (num_labels, values of an embedding) */
	const float *head_weights;	/* NULL: there is none */
	const float *head_bias;
	bool		head_pairs;		/* for pairs of texts: of what both embeddings make together */

	AlbertLinear dense[ALBERT_MAX_DENSE];	/* config->ndense of them */
	const char *const *labels;	/* num_labels UTF-8 names; LABEL_i where the config has none */
	int32_t		nprompts;
	const char *const *prompt_names;
	const char *const *prompts;
} AlbertModel;

#endif							/* ALBERT_MODEL_H */
