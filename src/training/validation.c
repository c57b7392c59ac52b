/*
 * validation.c
 *	  Folds, and cross-validation over the strength of the penalty.
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

	if (x->stratum != y->stratum)
		return x->stratum < y->stratum ? -1 : 1;
	for (int i = 0; i < x->ntargets; i++)
	{
		if (x->targets[i] != y->targets[i])
			return x->targets[i] > y->targets[i] ? -1 : 1;
	}
	return x->row < y->row ? -1 : x->row > y->row;
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
order_rows(const AlbertTraining *training, const int32_t *group, int64_t *counts, FoldRow *order)
{
	int			n = 0;

	for (int row = 0; row < training->nrows && training->link == ALBERT_LINK_SIGMOID; row++)
	{
		for (int i = 0; i < training->noutputs && group[row] >= 0; i++)
			counts[i] += training->targets[(size_t) row * training->noutputs + i] != 0;
	}
	for (int row = 0; row < training->nrows; row++)
	{
		FoldRow    *to = &order[n];

		if (group[row] < 0)
			continue;
		*to = (FoldRow) {.row = row};
		if (training->link == ALBERT_LINK_SOFTMAX)
			to->stratum = training->classes[row];
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
AlbertFoldsMake(const AlbertTraining *training, const int32_t *group, int ngroups, int nfolds,
				int32_t **result, AlbertStatus *status)
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
	n = order_rows(training, group, counts, order);
	for (int i = 0; i < n; i++)
	{
		int32_t    *fold = &of_group[group[order[i].row]];

		if (*fold < 0)
		{
			*fold = next[order[i].stratum];
			next[order[i].stratum] = (*fold + 1) % nfolds;
		}
	}
	for (int row = 0; row < training->nrows; row++)
		folds[row] = group[row] < 0 ? -1 : of_group[group[row]];
	*result = folds;
	return true;
}

/* ---------- cross-validation ---------- */

typedef struct Validation
{
	AlbertFitter *fitter;
	const AlbertTraining *training;
	const int32_t *folds;
	int			nfolds;
	AlbertFit  *fits;			/* by fold, of the C before */
	double	   *outputs;
} Validation;

/* Fit without each fold and predict it. */
static bool
predict_folds(Validation *validation, double C, AlbertStatus *status)
{
	const AlbertTraining *training = validation->training;

	for (int fold = 0; fold < validation->nfolds; fold++)
	{
		AlbertFit  *fit = &validation->fits[fold];

		if (!AlbertFitterFit(validation->fitter, C, validation->folds, fold, VALIDATION_TOLERANCE, fit, status))
			return false;
		for (int row = 0; row < training->nrows; row++)
		{
			if (validation->folds[row] == fold)
				AlbertFitPredict(training, fit, row, validation->outputs + (size_t) row * training->noutputs);
		}
	}
	return true;
}

static double
mean_loss(const Validation *validation)
{
	const AlbertTraining *training = validation->training;
	double		loss = 0;
	double		total = 0;

	for (int row = 0; row < training->nrows; row++)
	{
		if (validation->folds[row] < 0)
			continue;
		loss += training->weights[row] *
			AlbertRowLoss(training, row, validation->outputs + (size_t) row * training->noutputs);
		total += training->weights[row];
	}
	return total > 0 ? loss / total : 0;
}

bool
AlbertCrossValidate(AlbertFitter *fitter, const AlbertTraining *training, const int32_t *folds, int nfolds,
					const double *Cs, int nCs, AlbertValidation *best, AlbertStatus *status)
{
	size_t		size = (size_t) training->nrows * training->noutputs * sizeof(double);
	Validation	validation = {
		.fitter = fitter,
		.training = training,
		.folds = folds,
		.nfolds = nfolds,
		.fits = AlbertArenaAllocZero(training->arena, nfolds * sizeof(AlbertFit)),
		.outputs = AlbertArenaAlloc(training->arena, size)
	};

	best->outputs = AlbertArenaAlloc(training->arena, size);
	if (validation.fits == NULL || validation.outputs == NULL || best->outputs == NULL)
		return AlbertNoMemory(status);
	for (size_t i = 0; i < size / sizeof(double); i++)
		validation.outputs[i] = NAN;
	best->loss = INFINITY;
	for (best->tried = 0; best->tried < nCs; best->tried++)
	{
		double		loss;

		if (!predict_folds(&validation, Cs[best->tried], status))
			return false;
		loss = mean_loss(&validation);
		if (best->tried > 0 && !(loss < best->loss))
			break;
		best->loss = loss;
		best->C = Cs[best->tried];
		memcpy(best->outputs, validation.outputs, size);
	}
	return true;
}
