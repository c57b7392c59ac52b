/*
 * internal.h
 *	  What the files of the encoder share among themselves.
 *
 * Rows are worked on in blocks, so that a block's activations stay in the
 * processor's cache from one product to the next and so that a cancel is seen
 * in time.  Kernels compute a row the same way whatever its block, so block
 * sizes never touch a result.
 */
#ifndef ALBERT_ENCODER_INTERNAL_H
#define ALBERT_ENCODER_INTERNAL_H

#include "encoder/encoder.h"

/*
 * Floats from one row to the next: an odd number of cache lines, since rows a
 * power of two apart would all fall into the same few sets of the cache.
 */
static inline int
albert_stride(int width)
{
	return ((width + 15) / 16 | 1) * 16;
}

/* A matrix of n rows in the arena; false with ALBERT_NO_MEMORY. */
extern bool AlbertRowsNew(AlbertArena *arena, int n, int width,
						  AlbertRows *rows, AlbertStatus *status);

/* size bytes in the arena; NULL with ALBERT_NO_MEMORY. */
extern void *AlbertEncoderAlloc(AlbertArena *arena, size_t size, AlbertStatus *status);

/* false with ALBERT_CANCELLED when the interrupt flag is up. */
extern bool AlbertPoll(const AlbertRun *run, AlbertStatus *status);

/* Operations a row of a product. */
static inline double
albert_linear_flops(const AlbertLinear *linear)
{
	return 2.0 * linear->in * linear->out;
}

/*
 * How many rows of so many operations each, at least one and at most most, one
 * call of a kernel may be given: its grain by the model's precision.
 */
extern int	AlbertGrainRows(const AlbertModel *model, double flops_per_row, int most);

/*
 * The most rows a block of so many may get: what buffers for a block must
 * hold.  A few left over join the last block, so that the weights are not read
 * for them alone.
 */
extern int	AlbertBlockSpace(const AlbertRun *run, int rows);

/* Rows of the next block when rest rows are left. */
extern int	AlbertNextBlock(const AlbertRun *run, const AlbertModel *model,
							double flops_per_row, int rest);

/*
 * out = act(rows W' + b) in new rows, by blocks; scratch is given back.  Fails
 * with ALBERT_INTERNAL when rows are not as wide as the linear map expects.
 */
extern bool AlbertLinearRows(const AlbertModel *model, const AlbertLinear *linear,
							 AlbertActivation act, const AlbertRows *rows,
							 const AlbertRun *run, AlbertRows *out, AlbertStatus *status);

/* One forward pass: what its steps share. */
typedef struct AlbertPass
{
	const AlbertModel *model;
	const AlbertConfig *config;
	const AlbertKernels *kernels;
	const AlbertBatch *batch;
	const AlbertRun *run;
	const AlbertTrace *trace;
	int			max_len;		/* longest text */
	int			block_space;	/* rows of the buffers for a block */
	double		largest_product;	/* operations a row in the largest single product */

	AlbertRows	hidden;			/* (ntokens, hidden): the state between layers */
	AlbertRows	qkv;			/* (ntokens, 3 hidden): of the application to come, queries by selected row */
	AlbertRows	context;		/* (ntokens, hidden): what attention gives */
	AlbertRows	attended;		/* (block, hidden): after the attention's LayerNorm */
	AlbertRows	intermediate;	/* (block, intermediate or embedding) */
	AlbertRows	before;			/* (ntokens, hidden): a layer's input, when traced */
	void	   *linear_scratch;
	void	   *attention_scratch;
} AlbertPass;

/* The rows an application computes: all of them, or in the last one those wanted. */
typedef struct AlbertSelection
{
	const int32_t *text_start;	/* ntexts + 1: each text's first row among those selected */
	AlbertRows	rows;			/* where their hidden states are and go */
} AlbertSelection;

/*
 * Word, type and position embeddings, LayerNorm and projection of rows first .. first + n - 1 into pass->hidden.
 * *text is the text of a row at or before the first, afterwards that of the last.
 */
extern void AlbertEmbedRows(AlbertPass *pass, int first, int n, int *text);

/* Fill pass->qkv for those rows from pass->hidden; queries only when asked for. */
extern void AlbertProjectRows(AlbertPass *pass, const AlbertLayer *layer,
							  int first, int n, bool queries);

/*
 * One layer application over the selected rows.  next, when not NULL, is the
 * layer to project queries (next_queries), keys and values for at once, while
 * the rows are in the cache; only with all rows selected.
 */
extern bool AlbertApplyLayer(AlbertPass *pass, const AlbertLayer *layer, int application,
							 const AlbertSelection *selection,
							 const AlbertLayer *next, bool next_queries,
							 AlbertStatus *status);

#endif							/* ALBERT_ENCODER_INTERNAL_H */
