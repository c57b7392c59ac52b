/*
 * validation.c
 *	  Folds, cross-validation over the strength of the penalty, and how sure
 *	  what is found by it is.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "training/training.h"

#define VALIDATION_TOLERANCE	1e-3

/* ---------- folds ---------- */

typedef struct FoldRow
{
	int32_t		stratum;
	int32_t		row;
	int32_t		ntargets;
	const float *targets;
} FoldRow;

static int
compare_fold_rows(const void *a, const void *b)
{
	const FoldRow *x = a;
	const FoldRow *y = b;
	int			order = 0;

	if (x->stratum != y->stratum)
		return x->stratum < y->stratum ? -1 : 1;
	if (x->ntargets > 0)
		order = memcmp(y->targets, x->targets, x->ntargets * sizeof(float));
	return order != 0 ? order : x->row < y->row ? -1 : x->row > y->row;
}

/* Of the outputs that are right for a row, the one that is right for the fewest rows; noutputs: none is. */
static int32_t
rarest(const AlbertTraining *training, const float *targets, const int64_t *counts)
{
	int32_t		best = training->noutputs;

	for (int i = 0; i < training->noutputs; i++)
	{
		if (targets[i] != 0 && (best == training->noutputs || counts[i] < counts[best]))
			best = i;
	}
	return best;
}

/* The rows that are to be dealt, those that are alike one after the other; returns how many. */
static int
order_rows(const AlbertTraining *training, int64_t *counts, FoldRow *order)
{
	int			n = 0;

	for (int row = 0; row < training->nrows && training->link == ALBERT_LINK_SIGMOID; row++)
	{
		for (int i = 0; i < training->noutputs && training->rows[row].group >= 0; i++)
			counts[i] += training->targets[(size_t) row * training->noutputs + i] != 0;
	}
	for (int row = 0; row < training->nrows; row++)
	{
		FoldRow    *to = &order[n];

		if (training->rows[row].group < 0)
			continue;
		*to = (FoldRow) {.row = row};
		if (training->link == ALBERT_LINK_SOFTMAX)
			to->stratum = training->rows[row].class;
		else if (training->link == ALBERT_LINK_SIGMOID)
		{
			to->ntargets = training->noutputs;
			to->targets = training->targets + (size_t) row * training->noutputs;
			to->stratum = rarest(training, to->targets, counts);
		}
		n++;
	}
	qsort(order, n, sizeof(FoldRow), compare_fold_rows);
	return n;
}

bool
AlbertFoldsMake(const AlbertTraining *training, int ngroups, int nfolds, int32_t **result, AlbertStatus *status)
{
	AlbertArena *arena = training->arena;
	int32_t    *folds = AlbertArenaArray(arena, training->nrows, sizeof(int32_t));
	int32_t    *of_group = AlbertArenaArray(arena, ngroups, sizeof(int32_t));
	int32_t    *next = AlbertArenaArray(arena, training->noutputs + 1, sizeof(int32_t));
	int64_t    *counts = AlbertArenaAllocZero(arena, (training->noutputs + 1) * sizeof(int64_t));
	FoldRow    *order = AlbertArenaArray(arena, training->nrows, sizeof(FoldRow));
	int			n;

	if (folds == NULL || of_group == NULL || next == NULL || counts == NULL || order == NULL)
		return AlbertNoMemory(status);
	for (int i = 0; i < ngroups; i++)
		of_group[i] = -1;
	/* each stratum begins elsewhere, or the first folds would get what is left over of all */
	for (int i = 0; i <= training->noutputs; i++)
		next[i] = i % nfolds;
	n = order_rows(training, counts, order);
	for (int i = 0; i < n; i++)
	{
		int32_t    *fold = &of_group[training->rows[order[i].row].group];

		if (*fold < 0)
		{
			*fold = next[order[i].stratum];
			next[order[i].stratum] = (*fold + 1) % nfolds;
		}
	}
	for (int row = 0; row < training->nrows; row++)
		folds[row] = training->rows[row].group < 0 ? -1 : of_group[training->rows[row].group];
	*result = folds;
	return true;
}

/* ---------- cross-validation ---------- */

bool
AlbertCrossValidate(AlbertFitter *fitter, const AlbertTraining *training, const int32_t *folds, int nfolds,
					const double *Cs, int nCs, AlbertValidation *best, AlbertStatus *status)
{
	size_t		n = (size_t) training->nrows * training->noutputs;
	AlbertFit  *fits = AlbertArenaAllocZero(training->arena, nfolds * sizeof(AlbertFit));	/* of the C before */
	double	   *outputs = AlbertArenaArray(training->arena, n, sizeof(double));
	double		least = INFINITY;

	best->outputs = AlbertArenaArray(training->arena, n, sizeof(double));
	if (fits == NULL || outputs == NULL || best->outputs == NULL)
		return AlbertNoMemory(status);
	for (size_t i = 0; i < n; i++)
		outputs[i] = NAN;
	for (int i = 0; i < nCs; i++)
	{
		double		loss = 0;

		for (int fold = 0; fold < nfolds; fold++)
		{
			if (!AlbertFitterFit(fitter, Cs[i], folds, fold, VALIDATION_TOLERANCE, &fits[fold], status))
				return false;
			loss += AlbertFitterPredict(fitter, &fits[fold], folds, fold, outputs);
		}
		if (i > 0 && !(loss < least))
			break;
		least = loss;
		best->C = Cs[i];
		memcpy(best->outputs, outputs, n * sizeof(double));
	}
	return true;
}

/* ---------- how sure ---------- */

void
AlbertShareInterval(double share, double n, double *low, double *high)
{
	double		z2 = ALBERT_CONFIDENT * ALBERT_CONFIDENT / n;
	double		middle = (share + z2 / 2) / (1 + z2);
	double		half = ALBERT_CONFIDENT * sqrt(share * (1 - share) / n + z2 / (4 * n)) / (1 + z2);

	/* rounding must not leave the share itself outside */
	*low = fmax(fmin(middle - half, share), 0);
	*high = fmin(fmax(middle + half, share), 1);
}
