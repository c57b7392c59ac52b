/*
 * pooling.c
 *	  One vector a text, as sentence-transformers' Pooling, Dense and
 *	  Normalize modules make it.
 *
 * Every token of a text counts, [CLS] and [SEP] included.
 */
#include <math.h>
#include <string.h>

#include "encoder/internal.h"

#define POOL_SUMS	(ALBERT_POOL_MEAN | ALBERT_POOL_MEAN_SQRT_LEN)

/* In the order in which several are put together. */
static const struct
{
	uint32_t	bit;
	const char *name;
}			poolings[] =
{
	{ALBERT_POOL_CLS, "cls"},
	{ALBERT_POOL_MAX, "max"},
	{ALBERT_POOL_MEAN, "mean"},
	{ALBERT_POOL_MEAN_SQRT_LEN, "mean_sqrt_len"},
	{ALBERT_POOL_POOLER, "pooler"}
};

#define NPOOLINGS	((int) (sizeof(poolings) / sizeof(poolings[0])))

uint32_t
AlbertPoolingByName(const char *name)
{
	for (int i = 0; i < NPOOLINGS; i++)
		if (strcmp(name, poolings[i].name) == 0)
			return poolings[i].bit;
	return 0;
}

static void
pool_max(const float *rows, int n, int ld, int width, float *out)
{
	memcpy(out, rows, width * sizeof(float));
	for (int i = 1; i < n; i++)
	{
		const float *row = rows + (size_t) i * ld;

		for (int j = 0; j < width; j++)
			out[j] = row[j] > out[j] ? row[j] : out[j];
	}
}

/* Summed in double: long texts would otherwise lose what short ones keep. */
static void
pool_sum(const float *rows, int n, int ld, int width, double *sum)
{
	memset(sum, 0, width * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		const float *row = rows + (size_t) i * ld;

		for (int j = 0; j < width; j++)
			sum[j] += row[j];
	}
}

static void
scale_sum(const double *sum, double divisor, int width, float *out)
{
	for (int j = 0; j < width; j++)
		out[j] = (float) (sum[j] / divisor);
}

/* The poolings of one text side by side, in the order of their bits; first is its first token's row. */
static void
pool_text(uint32_t pooling, const float *first, const float *rows, int n, int ld, int width,
		  const float *pooler_row, double *sum, float *out)
{
	if (pooling & POOL_SUMS)
		pool_sum(rows, n, ld, width, sum);
	if (pooling & ALBERT_POOL_CLS)
	{
		memcpy(out, first, width * sizeof(float));
		out += width;
	}
	if (pooling & ALBERT_POOL_MAX)
	{
		pool_max(rows, n, ld, width, out);
		out += width;
	}
	if (pooling & ALBERT_POOL_MEAN)
	{
		scale_sum(sum, n, width, out);
		out += width;
	}
	if (pooling & ALBERT_POOL_MEAN_SQRT_LEN)
	{
		scale_sum(sum, sqrt(n), width, out);
		out += width;
	}
	if (pooling & ALBERT_POOL_POOLER)
		memcpy(out, pooler_row, width * sizeof(float));
}

void
AlbertNormalizeRow(float *row, int width)
{
	double		squares = 0;
	double		norm;

	for (int j = 0; j < width; j++)
		squares += (double) row[j] * row[j];
	norm = sqrt(squares);
	if (norm < 1e-12)
		norm = 1e-12;
	for (int j = 0; j < width; j++)
		row[j] = (float) (row[j] / norm);
}

/* The pooler's output for the first row of every text. */
static bool
run_pooler(const AlbertModel *model, const AlbertBatch *batch, const AlbertRows *hidden,
		   const AlbertRun *run, AlbertRows *pooled, AlbertStatus *status)
{
	AlbertRows	first;

	if (!AlbertRowsNew(run->arena, batch->ntexts, hidden->width, &first, status))
		return false;
	for (int i = 0; i < batch->ntexts; i++)
		memcpy(first.data + (size_t) i * first.ld, hidden->data + (size_t) batch->text_start[i] * hidden->ld,
			   hidden->width * sizeof(float));
	return AlbertHeadPooler(model, &first, run, pooled, status);
}

static bool
pool_texts(const AlbertModel *model, const AlbertBatch *batch, const int32_t *skip, const AlbertRows *hidden,
		   uint32_t pooling, const AlbertRun *run, AlbertRows *out, AlbertStatus *status)
{
	AlbertRows	pooled = {0};
	double	   *sum;

	sum = AlbertEncoderAlloc(run->arena, hidden->width * sizeof(double), status);
	if (sum == NULL)
		return false;
	if ((pooling & ALBERT_POOL_POOLER) && !run_pooler(model, batch, hidden, run, &pooled, status))
		return false;
	for (int i = 0; i < batch->ntexts; i++)
	{
		int			n = batch->text_start[i + 1] - batch->text_start[i];
		int			skipped = skip == NULL ? 0 : skip[i];
		const float *first = hidden->data + (size_t) batch->text_start[i] * hidden->ld;

		if (!AlbertPoll(run, status))
			return false;
		pool_text(pooling, first, first + (size_t) skipped * hidden->ld, n - skipped, hidden->ld, hidden->width,
				  pooled.data == NULL ? NULL : pooled.data + (size_t) i * pooled.ld,
				  sum, out->data + (size_t) i * out->ld);
	}
	return true;
}

int
AlbertPoolWidth(const AlbertModel *model, uint32_t pooling, bool with_dense, AlbertStatus *status)
{
	int			width = model->config->hidden_size * __builtin_popcount(pooling);

	for (int i = 0; with_dense && i < model->config->ndense; i++)
	{
		if (model->dense[i].in != width)
		{
			AlbertFail(status, ALBERT_UNSUPPORTED,
					   "pooling gives %d values, but the model's dense module takes %d",
					   width, model->dense[i].in);
			return 0;
		}
		width = model->dense[i].out;
	}
	return width;
}

bool
AlbertPoolDense(const AlbertModel *model, const AlbertRows *vectors, const AlbertRun *run,
				AlbertRows *result, AlbertStatus *status)
{
	*result = *vectors;
	for (int i = 0; i < model->config->ndense; i++)
	{
		AlbertRows	next;

		if (!AlbertLinearRows(model, &model->dense[i], model->config->dense[i].activation,
							  result, run, &next, status))
			return false;
		*result = next;
	}
	return true;
}

bool
AlbertPool(const AlbertModel *model, const AlbertBatch *batch, const int32_t *skip,
		   const AlbertRows *hidden, uint32_t pooling,
		   const AlbertRun *run, AlbertRows *vectors, AlbertStatus *status)
{
	AlbertArenaMark mark;

	if (!AlbertRowsNew(run->arena, batch->ntexts, hidden->width * __builtin_popcount(pooling), vectors, status))
		return false;
	mark = AlbertArenaGetMark(run->arena);
	if (!pool_texts(model, batch, skip, hidden, pooling, run, vectors, status))
		return false;
	AlbertArenaRewind(run->arena, mark);
	return true;
}

/* ---- windows of a long text ---- */

void
AlbertPoolAdd(uint32_t pooling, int hidden_size, const float *window, int tokens, double *sums, int64_t *total)
{
	for (int i = 0; i < NPOOLINGS; i++)
	{
		double		weight = poolings[i].bit == ALBERT_POOL_MEAN_SQRT_LEN ? sqrt(tokens) : tokens;

		if ((pooling & poolings[i].bit) == 0)
			continue;
		for (int j = 0; j < hidden_size; j++)
		{
			if (poolings[i].bit != ALBERT_POOL_MAX)
				sums[j] += window[j] * weight;
			else if (*total == 0 || window[j] > sums[j])
				sums[j] = window[j];
		}
		sums += hidden_size;
		window += hidden_size;
	}
	*total += tokens;
}

void
AlbertPoolEnd(uint32_t pooling, int hidden_size, const double *sums, int64_t total, float *vector)
{
	for (int i = 0; i < NPOOLINGS; i++)
	{
		double		divisor = total;

		if ((pooling & poolings[i].bit) == 0)
			continue;
		if (poolings[i].bit == ALBERT_POOL_MAX)
			divisor = 1;
		else if (poolings[i].bit == ALBERT_POOL_MEAN_SQRT_LEN)
			divisor = sqrt(total);
		scale_sum(sums, divisor, hidden_size, vector);
		sums += hidden_size;
		vector += hidden_size;
	}
}
