/*
 * pairs.c
 *	  Vectors that are alike, found by products of blocks of them.
 */
#include <string.h>

#include "training/vectors.h"

#define RIGHT_ROWS		96		/* multiplied with it at a time */
#define ROUNDING		6e-8	/* of a sum of as many products as a vector is wide, for each */

typedef struct Blocks
{
	const AlbertVectors *vectors;
	const AlbertKernels *kernels;
	int			ld;
	float	   *rows;			/* (RIGHT_ROWS, ld), of length 1 */
	void	   *packed;			/* ALBERT_PAIR_ROWS of them, as a matrix of weights */
	size_t		packed_size;
	float	   *products;		/* (RIGHT_ROWS, ALBERT_PAIR_ROWS) */
	void	   *scratch;
} Blocks;

static void
unit_row(const AlbertVectors *vectors, int i, float *to)
{
	const float *from = vectors->values + (size_t) i * vectors->width;
	double		length = AlbertVectorLength(vectors, i);

	for (int j = 0; j < vectors->width; j++)
		to[j] = (float) (from[j] / length);
}

static AlbertLinear
linear_of(const Blocks *blocks, int rows)
{
	return (AlbertLinear) {
		.in = blocks->vectors->width, .out = rows, .precision = ALBERT_FP32, .weight = blocks->packed
	};
}

static bool
make_blocks(Blocks *blocks, AlbertStatus *status)
{
	AlbertArena *arena = blocks->vectors->arena;
	int			width = blocks->vectors->width;
	AlbertLinear linear = linear_of(blocks, ALBERT_PAIR_ROWS);

	blocks->ld = (width + 15) / 16 * 16;
	blocks->packed_size = blocks->kernels->packed_size(ALBERT_FP32, ALBERT_PAIR_ROWS, width);
	blocks->rows = AlbertArenaAllocZero(arena, (size_t) RIGHT_ROWS * blocks->ld * sizeof(float));
	blocks->packed = AlbertArenaAlloc(arena, blocks->packed_size);
	blocks->products = AlbertArenaArray(arena, (size_t) RIGHT_ROWS * ALBERT_PAIR_ROWS, sizeof(float));
	blocks->scratch = AlbertArenaAlloc(arena, blocks->kernels->linear_scratch(&linear, RIGHT_ROWS));
	if (blocks->rows == NULL || blocks->packed == NULL || blocks->products == NULL || blocks->scratch == NULL)
		return AlbertNoMemory(status);
	return true;
}

/* The products of all rows from a on with those of the block that begins there. */
static void
search_block(Blocks *blocks, int a, float bound, AlbertPairFound found, void *context)
{
	const AlbertVectors *vectors = blocks->vectors;
	const AlbertKernels *kernels = blocks->kernels;
	int			nleft = vectors->n - a < ALBERT_PAIR_ROWS ? vectors->n - a : ALBERT_PAIR_ROWS;
	AlbertLinear linear = linear_of(blocks, nleft);

	memset(blocks->packed, 0, blocks->packed_size);
	for (int i = 0; i < nleft; i++)
	{
		unit_row(vectors, a + i, blocks->rows);
		kernels->pack(ALBERT_FP32, nleft, vectors->width, i, 1, blocks->rows, blocks->packed);
	}
	for (int b = a; b < vectors->n; b += RIGHT_ROWS)
	{
		int			nright = vectors->n - b < RIGHT_ROWS ? vectors->n - b : RIGHT_ROWS;

		vectors->poll();
		for (int i = 0; i < nright; i++)
			unit_row(vectors, b + i, blocks->rows + (size_t) i * blocks->ld);
		kernels->linear(&linear, nright, blocks->rows, blocks->ld, ALBERT_ACT_NONE, NULL, 0,
						blocks->products, ALBERT_PAIR_ROWS, blocks->scratch);
		for (int i = 0; i < nright; i++)
		{
			const float *row = blocks->products + (size_t) i * ALBERT_PAIR_ROWS;

			for (int l = 0; l < nleft && a + l < b + i; l++)
			{
				if (row[l] >= bound)
					found(context, a + l, b + i);
			}
		}
	}
}

bool
AlbertNearPairs(const AlbertVectors *vectors, double least, const AlbertKernels *kernels,
				AlbertPairNext next, AlbertPairFound found, void *context, AlbertStatus *status)
{
	Blocks		blocks = {.vectors = vectors, .kernels = kernels};
	float		bound = (float) (least - ROUNDING * (vectors->width + 8));
	int			nblocks = (vectors->n + ALBERT_PAIR_ROWS - 1) / ALBERT_PAIR_ROWS;
	int			number;

	if (vectors->n == 0)
		return true;
	if (!make_blocks(&blocks, status))
		return false;
	while ((number = next(context)) < nblocks)
		search_block(&blocks, number * ALBERT_PAIR_ROWS, bound, found, context);
	return true;
}
