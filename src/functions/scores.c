/*
 * scores.c
 *	  Softmax, sigmoid and ranks over a handful of logits.
 */
#include "postgres.h"

#include <math.h>

#include "executor/forward.h"
#include "functions/functions.h"

void
AlbertSoftmax(double *x, int n)
{
	double		max = x[AlbertArgMax(x, n)];
	double		sum = 0;

	for (int i = 0; i < n; i++)
		sum += x[i] = exp(x[i] - max);
	for (int i = 0; i < n; i++)
		x[i] /= sum;
}

double
AlbertSigmoid(double x)
{
	return 1.0 / (1.0 + exp(-x));
}

int
AlbertArgMax(const double *x, int n)
{
	int			best = 0;

	for (int i = 1; i < n; i++)
	{
		if (x[i] > x[best])
			best = i;
	}
	return best;
}

/* ---------- the best of many ---------- */

int
AlbertCompareRanked(const void *a, const void *b)
{
	const AlbertRanked *x = a;
	const AlbertRanked *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->second < y->second ? -1 : x->second > y->second;
}

/* What is at a place of the heap sinks to where it belongs. */
static void
sink(AlbertBest *best, int at)
{
	for (;;)
	{
		AlbertRanked ranked = best->ranked[at];
		int			worst = at;

		for (int child = 2 * at + 1; child < best->n && child <= 2 * at + 2; child++)
		{
			if (AlbertCompareRanked(&best->ranked[child], &best->ranked[worst]) > 0)
				worst = child;
		}
		if (worst == at)
			return;
		best->ranked[at] = best->ranked[worst];
		best->ranked[worst] = ranked;
		at = worst;
	}
}

void
AlbertBestPut(AlbertBest *best, AlbertRanked ranked)
{
	if (best->n < best->k)
	{
		best->ranked[best->n++] = ranked;
		for (int i = best->n / 2 - 1; best->n == best->k && i >= 0; i--)
			sink(best, i);
	}
	else if (AlbertCompareRanked(&ranked, &best->ranked[0]) < 0)
	{
		best->ranked[0] = ranked;
		sink(best, 0);
	}
}

/* ---------- scores of a run ---------- */

typedef struct Scores
{
	int			width;
	double		values[FLEXIBLE_ARRAY_MEMBER];
} Scores;

void
AlbertScoresBegin(AlbertJob *job, int n, int width)
{
	Scores	   *scores = AlbertJobAlloc(job, (size_t) n * width + 1, sizeof(double));

	memset(scores, 0, ((size_t) n * width + 1) * sizeof(double));
	scores->width = width;
	job->state = scores;
}

double *
AlbertScoresRow(const AlbertJob *job, int number)
{
	Scores	   *scores = job->state;

	return scores->values + (size_t) number * scores->width;
}

AlbertRanked *
AlbertRank(const double *scores, int n)
{
	AlbertRanked *ranked = palloc(n * sizeof(AlbertRanked));

	for (int i = 0; i < n; i++)
		ranked[i] = (AlbertRanked) {.score = scores[i], .first = i};
	qsort(ranked, n, sizeof(AlbertRanked), AlbertCompareRanked);
	return ranked;
}

void
AlbertPutScores(AlbertJob *job, AlbertItem *item, const double *scores, int n, int most,
				Datum (*name) (const AlbertJob *job, int i))
{
	AlbertRanked *ranked = AlbertRank(scores, n);

	for (int r = 0; r < (most > 0 ? Min(most, n) : n); r++)
		AlbertPutRow(item->rows, (Datum[]) {
			name(job, ranked[r].first), Float4GetDatum((float) ranked[r].score)
		}, NULL);
}
