/*
 * blocks.c
 *	  Matrices in the arena, and how rows are cut into blocks.
 */
#include <time.h>

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
#define PACE_STEP			48		/* rows a large model's blocks grow by */

/*
 * Seconds of processor time for one product, the longest stretch without a
 * look at the interrupt flag.  Where a few rows take long it is mostly the
 * weights that are waited for, and fewer rows would only make it worse; so
 * small blocks may take more.
 */
#define PRODUCT_SHORT		0.03
#define PRODUCT_LONG		0.06
#define PRODUCT_TOO_LONG	0.09
#define FEW_ROWS			16

/* A product of fewer operations is not worth looking at the clock. */
#define WORTH_TIMING		5e7

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
		return AlbertFail(status, ALBERT_CANCELLED, "model run was canceled");
	return true;
}

bool
AlbertCheckWidth(const AlbertRows *rows, int width, AlbertStatus *status)
{
	if (rows->width != width)
		return AlbertFail(status, ALBERT_INTERNAL,
						  "rows of %d values given where %d are needed",
						  rows->width, width);
	return true;
}

bool
AlbertRequireHead(const AlbertModel *model, uint32_t heads, const char *what,
				  AlbertStatus *status)
{
	if ((model->heads & heads) == 0)
		return AlbertFail(status, ALBERT_UNSUPPORTED, "model has no %s", what);
	return true;
}

/* Processor time, because a process that had to wait is not a slow one. */
static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

int
AlbertPaceRows(const AlbertPace *pace, double flops_per_row, int most)
{
	double		rows = pace->grain / flops_per_row;

	if (rows >= most)
		return most;
	if (rows >= PACE_STEP)
		return (int) rows / PACE_STEP * PACE_STEP;
	if (rows >= 8)
		return (int) rows / 8 * 8;
	return rows >= 1 ? (int) rows : 1;
}

void
AlbertPaceStart(AlbertPace *pace, double flops)
{
	pace->started = flops < WORTH_TIMING ? 0 : now();
}

void
AlbertPaceStop(AlbertPace *pace, int rows, double largest, double flops)
{
	double		seconds;

	if (pace->started == 0)
		return;
	seconds = (now() - pace->started) * largest / flops;
	if (seconds > PRODUCT_TOO_LONG || (seconds > PRODUCT_LONG && rows >= FEW_ROWS))
		pace->grain = largest / 2;
	else if (seconds < PRODUCT_SHORT && largest > pace->grain / 2)
		pace->grain *= 2;
}

int
AlbertBlockRows(const AlbertRun *run)
{
	return run->block_rows > 0 ? run->block_rows : BLOCK_ROWS;
}

int
AlbertBlockSpace(const AlbertRun *run, int rows)
{
	int			space = AlbertBlockRows(run) + BLOCK_TAIL;

	return rows < space ? rows : space;
}

int
AlbertNextBlock(const AlbertRun *run, const AlbertPace *pace, double flops_per_row, int rest)
{
	int			n = AlbertPaceRows(pace, flops_per_row, AlbertBlockRows(run));
	int			tail = n / 2 < BLOCK_TAIL ? n / 2 : BLOCK_TAIL;

	return rest <= n + tail ? rest : n;
}

/*
 * A kernel may need more for fewer rows, when they divide less evenly among
 * its tiles.
 */
size_t
AlbertScratchSize(const AlbertModel *model, const AlbertLinear *linear, int most)
{
	size_t		size = 0;

	for (int rows = 1; rows <= most; rows++)
	{
		size_t		needed = model->kernels->linear_scratch(linear, rows);

		if (needed > size)
			size = needed;
	}
	return size;
}

bool
AlbertLinearRows(const AlbertModel *model, const AlbertLinear *linear,
				 AlbertActivation act, const AlbertRows *rows,
				 const AlbertRun *run, AlbertRows *out, AlbertStatus *status)
{
	int			space = AlbertBlockSpace(run, rows->n);
	double		flops = albert_linear_flops(linear);
	AlbertPace	pace = {.grain = ALBERT_FIRST_GRAIN};
	AlbertArenaMark mark;
	void	   *scratch;
	int			n;

	if (!AlbertCheckWidth(rows, linear->in, status) ||
		!AlbertRowsNew(run->arena, rows->n, linear->out, out, status))
		return false;
	mark = AlbertArenaGetMark(run->arena);
	scratch = AlbertEncoderAlloc(run->arena, AlbertScratchSize(model, linear, space), status);
	if (scratch == NULL)
		return false;
	for (int first = 0; first < rows->n; first += n)
	{
		if (!AlbertPoll(run, status))
			return false;
		n = AlbertNextBlock(run, &pace, flops, rows->n - first);
		AlbertPaceStart(&pace, flops * n);
		model->kernels->linear(linear, n, rows->data + (size_t) first * rows->ld, rows->ld,
							   act, NULL, 0,
							   out->data + (size_t) first * out->ld, out->ld, scratch);
		AlbertPaceStop(&pace, n, flops * n, flops * n);
	}
	AlbertArenaRewind(run->arena, mark);
	return true;
}
