/*
 * validation.c
 *	  Folds, and cross-validation over the strength of the penalty.
 */
#include <math.h>
#include <string.h>

#include "training/training.h"

#define VALIDATION_TOLERANCE	1e-3

bool
AlbertFoldsMake(int nrows, const int32_t *vector, int nvectors, const int32_t *strata, int nstrata,
				int nfolds, AlbertArena *arena, int32_t **result, AlbertStatus *status)
{
	int32_t    *folds = AlbertArenaArray(arena, nrows, sizeof(int32_t));
	int32_t    *of_vector = AlbertArenaArray(arena, nvectors, sizeof(int32_t));
	int32_t    *next = AlbertArenaArray(arena, nstrata, sizeof(int32_t));

	if (folds == NULL || of_vector == NULL || next == NULL)
		return AlbertNoMemory(status);
	for (int i = 0; i < nvectors; i++)
		of_vector[i] = -1;
	/* each stratum begins elsewhere, or the first folds would get what is left over of all */
	for (int i = 0; i < nstrata; i++)
		next[i] = i % nfolds;
	for (int row = 0; row < nrows; row++)
	{
		int32_t    *fold = &of_vector[vector[row]];

		if (*fold < 0)
		{
			*fold = next[strata[row]];
			next[strata[row]] = (*fold + 1) % nfolds;
		}
		folds[row] = *fold;
	}
	*result = folds;
	return true;
}

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
