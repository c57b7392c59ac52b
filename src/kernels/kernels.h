/*
 * kernels.h
 *	  The arithmetic, behind one table per family of processors.
 *
 * A kernel set is chosen when a model is loaded and written into its image,
 * because the weights are packed for it; every process that attaches uses the
 * same set, so that a row's result is the same bits everywhere.  Every output
 * element is one chain of operations in a fixed order that does not depend on
 * how many rows are computed together or which they are.
 */
#ifndef ALBERT_KERNELS_H
#define ALBERT_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

typedef enum AlbertPrecision
{
	ALBERT_FP32 = 0,
	ALBERT_BF16,				/* weights in bfloat16, sums in fp32 */
	ALBERT_INT8					/* weights scaled by output channel, activations by row */
} AlbertPrecision;

typedef enum AlbertActivation
{
	ALBERT_ACT_NONE = 0,
	ALBERT_ACT_GELU,			/* 0.5 x (1 + erf(x / sqrt 2)) */
	ALBERT_ACT_GELU_NEW,		/* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
	ALBERT_ACT_RELU,
	ALBERT_ACT_SILU,
	ALBERT_ACT_TANH
} AlbertActivation;

/* y = x W' + b with W of shape (out, in), packed by the kernel set. */
typedef struct AlbertLinear
{
	int32_t		in;
	int32_t		out;
	AlbertPrecision precision;
	const void *weight;			/* as AlbertKernels.pack wrote it */
	const float *bias;			/* out values; NULL: none */
} AlbertLinear;

typedef struct AlbertKernels AlbertKernels;

struct AlbertKernels
{
	const char *name;			/* "generic", "openblas", "avx2", "avx512", ... */
	int			id;				/* stable number, stored in images */
	const char *needs;			/* what usable() asks for, to end "It needs ..." */
	bool		(*usable) (void);	/* can this CPU (and its libraries) run it */
	bool		fp32_only;		/* has no other precision */

	/*
	 * Packing of a weight matrix: bytes needed, and copying rows
	 * row0 .. row0 + nrows - 1 (fp32, row-major, in values each) into place.
	 * Rows may come in any order and in any portions; every row must come
	 * once.  dst is zeroed before the first call and ALBERT_ALIGN aligned.
	 */
	size_t		(*packed_size) (AlbertPrecision precision, int out, int in);
	void		(*pack) (AlbertPrecision precision, int out, int in,
						 int row0, int nrows, const float *rows, void *dst);

	/*
	 * Operations, by precision, that one call may be given so that it ends
	 * within about half of a tenth of a second on the slowest CPU that would
	 * choose this set: between calls the encoder polls for a cancel.
	 */
	double		grain[ALBERT_INT8 + 1];

	/*
	 * y[m][ldy] = act(x[m][ldx] W' + b) (+ residual[m][ldr] when not NULL;
	 * the residual is added after the activation).  y may be the residual
	 * itself (same address and stride) and must not overlap x.  scratch, aligned
	 * to ALBERT_ALIGN, holds as many bytes as linear_scratch tells for m rows or
	 * more.
	 */
	size_t		(*linear_scratch) (const AlbertLinear *linear, int m);
	void		(*linear) (const AlbertLinear *linear, int m,
						   const float *x, int ldx,
						   AlbertActivation act,
						   const float *residual, int ldr,
						   float *y, int ldy, void *scratch);

	/* out[in] = the weights of one output: for matrices whose rows are looked up as well */
	void		(*weight_row) (const AlbertLinear *linear, int row, float *out);

	/* x[m][ldx] normalised over n values in place: biased variance, then weight and bias */
	void		(*layer_norm) (int m, int n, float *x, int ldx,
							   const float *weight, const float *bias, float eps);

	/*
	 * Self-attention of one text for all heads: nq queries at q, and len keys
	 * at kv, each with its values hidden_size behind it; rows of all are ld
	 * apart.  context (nq, hidden_size), ldc apart, is the result.  probs, when
	 * not NULL, receives the softmax (heads, nq, len).  precision is the
	 * weights': unless it is fp32 the products may be in bf16, where that is
	 * faster; the softmax is in fp32 always.
	 */
	size_t		(*attention_scratch) (AlbertPrecision precision, int len, int hidden_size, int heads);
	void		(*attention) (AlbertPrecision precision, int len, int hidden_size, int heads,
							  int nq, const float *q, const float *kv, int ld,
							  float *context, int ldc, float *probs, void *scratch);

	void		(*activate) (AlbertActivation act, int n, float *x);
	void		(*softmax) (int n, float *x);	/* in place */
};

/*
 * The kernel set of that name, or for "auto" the fastest usable one that has
 * the precision.  NULL with *status set when the name is unknown or this CPU
 * cannot run it.
 */
extern const AlbertKernels *AlbertKernelsFind(const char *name, AlbertPrecision precision,
											  AlbertStatus *status);

static inline bool
AlbertKernelsHave(const AlbertKernels *kernels, AlbertPrecision precision)
{
	return precision == ALBERT_FP32 || !kernels->fp32_only;
}

/* By the number found in an image; NULL when unknown or not usable here. */
extern const AlbertKernels *AlbertKernelsById(int id);

/* The i-th kernel set compiled in, for tests and settings; NULL past the end. */
extern const AlbertKernels *AlbertKernelsAt(int i);

extern const char *AlbertPrecisionName(AlbertPrecision precision);

#endif							/* ALBERT_KERNELS_H */
