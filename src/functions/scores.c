/*
 * scores.c
 *	  Softmax, sigmoid and ranks over a handful of logits.
 */
#include "postgres.h"

#include <math.h>

#include "functions/scores.h"

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

typedef struct Ranked
{
	double		score;
	int			index;
} Ranked;

static int
compare_ranked(const void *a, const void *b)
{
	const Ranked *x = a;
	const Ranked *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x->index - y->index;
}

int *
AlbertRank(const double *scores, int n)
{
	Ranked	   *ranked = palloc(n * sizeof(Ranked));
	int		   *order = palloc(n * sizeof(int));

	for (int i = 0; i < n; i++)
	{
		ranked[i].score = scores[i];
		ranked[i].index = i;
	}
	qsort(ranked, n, sizeof(Ranked), compare_ranked);
	for (int i = 0; i < n; i++)
		order[i] = ranked[i].index;
	pfree(ranked);
	return order;
}
