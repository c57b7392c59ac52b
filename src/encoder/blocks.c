/*
 * blocks.c
 *	  Matrices in the arena, and how rows are cut into blocks.
 */
#include "encoder/internal.h"

/*
 * Every block reads all weights of a layer again, so it should be large; its
 * activations, (hidden_size + intermediate_size) * 4 bytes a row, should stay
 * near the processor, so it should not.  Measured on base shapes from 28 to 448
 * rows, every precision is within 3 % of its best from 84 rows up; 96 divides
 * evenly among the kernels' tiles.
 */
#define BLOCK_ROWS			96
#define BLOCK_TAIL			16		/* a rest of so many rows joins the last block */
#define GRAIN_STEP			48		/* rows that a large model's blocks are a multiple of */
#define GRAIN_SMALL_STEP	8

void *
AlbertEncoderAlloc(AlbertArena *arena, size_t size, AlbertStatus *status)
{
	void	   *result = AlbertArenaAlloc(arena, size);

	if (result == NULL)
		AlbertFail(status, ALBERT_NO_MEMORY,
				   "out of memory for %zu bytes of model activations", size);
	return result;
}

bool
AlbertRowsNew(AlbertArena *arena, int n, int width, AlbertRows *rows, AlbertStatus *status)
{
	rows->n = n;
	rows->width = width;
	rows->ld = albert_stride(width);
	rows->data = AlbertEncoderAlloc(arena, (size_t) n * rows->ld * sizeof(float), status);
	return rows->data != NULL;
}

bool
AlbertPoll(const AlbertRun *run, AlbertStatus *status)
{
	if (run->interrupt != NULL && *run->interrupt)
		return AlbertFail(status, ALBERT_CANCELLED, "running the model was canceled");
	return true;
}

int
AlbertGrainRows(const AlbertModel *model, double flops_per_row, int most)
{
	double		rows = model->kernels->grain[model->precision] / flops_per_row;

	if (rows >= most)
		return most;
	if (rows >= GRAIN_STEP)
		return (int) rows / GRAIN_STEP * GRAIN_STEP;
	if (rows >= GRAIN_SMALL_STEP)
		return (int) rows / GRAIN_SMALL_STEP * GRAIN_SMALL_STEP;
	return rows >= 1 ? (int) rows : 1;
}

/* Rows worked on together. */
static int
block_rows(const AlbertRun *run)
{
	return run->block_rows > 0 ? run->block_rows : BLOCK_ROWS;
}

int
AlbertBlockSpace(const AlbertRun *run, int rows)
{
	int			space = block_rows(run) + BLOCK_TAIL;

	return rows < space ? rows : space;
}

int
AlbertNextBlock(const AlbertRun *run, const AlbertModel *model, double flops_per_row, int rest)
{
	int			n = AlbertGrainRows(model, flops_per_row, block_rows(run));
	int			tail = n / 2 < BLOCK_TAIL ? n / 2 : BLOCK_TAIL;

	return rest <= n + tail ? rest : n;
}

bool
AlbertLinearRows(const AlbertModel *model, const AlbertLinear *linear,
				 AlbertActivation act, const AlbertRows *rows,
				 const AlbertRun *run, AlbertRows *out, AlbertStatus *status)
{
	int			space = AlbertBlockSpace(run, rows->n);
	double		flops = albert_linear_flops(linear);
	AlbertArenaMark mark;
	void	   *scratch;
	int			n;

	if (rows->width != linear->in)
		return AlbertFail(status, ALBERT_INTERNAL, "rows of %d values given where %d are needed",
						  rows->width, linear->in);
	if (!AlbertRowsNew(run->arena, rows->n, linear->out, out, status))
		return false;
	mark = AlbertArenaGetMark(run->arena);
	scratch = AlbertEncoderAlloc(run->arena, model->kernels->linear_scratch(linear, space), status);
	if (scratch == NULL)
		return false;
	for (int first = 0; first < rows->n; first += n)
	{
		if (!AlbertPoll(run, status))
			return false;
		n = AlbertNextBlock(run, model, flops, rows->n - first);
		model->kernels->linear(linear, n, rows->data + (size_t) first * rows->ld, rows->ld,
							   act, NULL, 0,
							   out->data + (size_t) first * out->ld, out->ld, scratch);
	}
	AlbertArenaRewind(run->arena, mark);
	return true;
}
