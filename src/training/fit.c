/*
 * fit.c
 *	  The loss of a linear model over vectors, its gradient, and the fit.
 *
 * Vectors are taken relative to their mean, which changes the intercepts and
 * nothing else, since these are not penalised: then coefficients and
 * intercepts hardly hang together.  Their covariance, with the second
 * derivative of the loss where all outputs are alike and the penalty, is the
 * preconditioner: an identity link is done after one step, the others after
 * some twenty.
 *
 * Parameters lie in tiles of ALBERT_LANES outputs: tile, then value of the
 * vector, then output; after a tile's values come its intercepts.
 */
#include <math.h>
#include <string.h>

#include "kernels/doubles.h"
#include "training/training.h"

#define BLOCK_ROWS		32		/* rows computed together */
#define JITTER			1e-10	/* of the mean variance, added to it: the factorisation never fails by rounding */

struct AlbertFitter
{
	const AlbertTraining *training;
	const AlbertDoubles *doubles;
	int			ntiles;
	int			ld;				/* doubles from one row of a block to the next, intercept included */
	double	   *mean;			/* width values, then 0 */
	double	   *covariance;		/* lower triangle; (width, ld) */
	double		variance;
	double	   *factor;			/* of the preconditioner for factor_C */
	double		factor_C;
	double		curvature;		/* of the loss where all outputs are alike */

	/* scratch of a block */
	double	   *x;				/* (BLOCK_ROWS, ld), centred, 1 behind the values */
	double	   *z;				/* (BLOCK_ROWS, ntiles * ALBERT_LANES): outputs, then their errors */

	/* the fit under way */
	double		C;
	double		total;			/* of the fit's weights */
	const int32_t *folds;
	int32_t		left_out;
};

/* ---------- the loss of one row ---------- */

/* In place; the logarithm of the sum of the exponentials. */
static double
softmax(double *z, int n)
{
	double		max = z[0];
	double		sum = 0;

	for (int i = 1; i < n; i++)
		max = z[i] > max ? z[i] : max;
	for (int i = 0; i < n; i++)
		sum += z[i] = exp(z[i] - max);
	for (int i = 0; i < n; i++)
		z[i] /= sum;
	return log(sum) + max;
}

static double
sigmoid(double z)
{
	return z >= 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z));
}

/* log(1 + exp(z)) */
static double
softplus(double z)
{
	return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z));
}

/* What output is to be for a row: 1 and 0, or a number. */
static double
target_of(const AlbertTraining *training, int row, int output)
{
	if (training->link == ALBERT_LINK_SOFTMAX)
		return training->rows[row].class == output;
	return training->targets[(size_t) row * training->noutputs + output];
}

/* Make what is predicted of a row of its outputs, in place; the row's loss. */
static double
predict(const AlbertTraining *training, int row, double *z)
{
	double		loss = 0;

	if (training->link == ALBERT_LINK_SOFTMAX)
	{
		double		own = z[training->rows[row].class];

		return softmax(z, training->noutputs) - own;
	}
	for (int i = 0; i < training->noutputs; i++)
	{
		double		target = target_of(training, row, i);

		if (training->link == ALBERT_LINK_IDENTITY)
			loss += 0.5 * (z[i] - target) * (z[i] - target);
		else
		{
			loss += softplus(z[i]) - target * z[i];
			z[i] = sigmoid(z[i]);
		}
	}
	return loss;
}

/* ---------- the loss of all, and its gradient ---------- */

/* A row's vector relative to the mean, and the 1 that the intercepts are for. */
static void
centre(const AlbertFitter *fitter, int row, double *x)
{
	const AlbertTraining *training = fitter->training;
	const float *vector = training->vectors + (size_t) training->rows[row].vector * training->width;

	for (int j = 0; j < training->width; j++)
		x[j] = vector[j] - fitter->mean[j];
	x[training->width] = 1;
}

static bool
is_left_out(const AlbertFitter *fitter, int row)
{
	return fitter->folds != NULL && fitter->folds[row] == fitter->left_out;
}

static bool
takes_part(const AlbertFitter *fitter, int row)
{
	return fitter->training->rows[row].weight > 0 && !is_left_out(fitter, row);
}

/* The next rows that are wanted, from *next on, centred in x. */
static int
next_block(const AlbertFitter *fitter, bool (*wanted) (const AlbertFitter *fitter, int row), int *next, int *rows)
{
	int			n = 0;

	for (; *next < fitter->training->nrows && n < BLOCK_ROWS; (*next)++)
	{
		if (wanted != NULL && !wanted(fitter, *next))
			continue;
		centre(fitter, *next, fitter->x + (size_t) n * fitter->ld);
		rows[n++] = *next;
	}
	return n;
}

/* The outputs of the first n rows of the block, in z. */
static void
outputs_of(const AlbertFitter *fitter, int n, const double *w)
{
	int			width = fitter->training->width + 1;

	for (int t = 0; t < fitter->ntiles; t++)
		fitter->doubles->product(n, width, fitter->x, fitter->ld, w + (size_t) t * width * ALBERT_LANES,
								 fitter->z + t * ALBERT_LANES, fitter->ntiles * ALBERT_LANES);
}

/* Half the squares of the coefficients over C, and its gradient. */
static double
penalty(const AlbertFitter *fitter, const double *w, double *gradient)
{
	size_t		tile = (size_t) (fitter->training->width + 1) * ALBERT_LANES;
	size_t		penalised = (size_t) fitter->training->width * ALBERT_LANES;
	double		factor = 1 / (fitter->C * fitter->total);
	double		sum = 0;

	for (int t = 0; t < fitter->ntiles; t++)
	{
		for (size_t i = 0; i < penalised; i++)
		{
			sum += w[t * tile + i] * w[t * tile + i];
			gradient[t * tile + i] = factor * w[t * tile + i];
		}
		memset(gradient + t * tile + penalised, 0, ALBERT_LANES * sizeof(double));
	}
	return 0.5 * factor * sum;
}

/* Everything is divided by the sum of the weights. */
static double
evaluate(void *context, const double *w, double *gradient)
{
	AlbertFitter *fitter = context;
	const AlbertTraining *training = fitter->training;
	int			width = training->width + 1;
	int			ldz = fitter->ntiles * ALBERT_LANES;
	double		value = penalty(fitter, w, gradient);
	double		loss = 0;
	int			rows[BLOCK_ROWS];
	int			next = 0;
	int			n;

	while ((n = next_block(fitter, takes_part, &next, rows)) > 0)
	{
		training->poll();
		outputs_of(fitter, n, w);
		for (int i = 0; i < n; i++)
		{
			double	   *z = fitter->z + (size_t) i * ldz;
			double		weight = training->rows[rows[i]].weight / fitter->total;

			loss += weight * predict(training, rows[i], z);
			/* the loss's derivatives: what is predicted less what should be */
			for (int output = 0; output < training->noutputs; output++)
				z[output] = weight * (z[output] - target_of(training, rows[i], output));
			for (int output = training->noutputs; output < ldz; output++)
				z[output] = 0;
		}
		for (int t = 0; t < fitter->ntiles; t++)
			fitter->doubles->accumulate(n, width, fitter->x, fitter->ld, fitter->z + t * ALBERT_LANES, ldz,
										gradient + (size_t) t * width * ALBERT_LANES);
	}
	return value + loss;
}

/* ---------- the preconditioner ---------- */

static void
precondition(void *context, double *v)
{
	AlbertFitter *fitter = context;
	int			width = fitter->training->width;

	for (int t = 0; t < fitter->ntiles; t++)
	{
		double	   *tile = v + (size_t) t * (width + 1) * ALBERT_LANES;

		fitter->doubles->solve(width, fitter->factor, fitter->ld, tile);
		for (int lane = 0; lane < ALBERT_LANES; lane++)
			tile[(size_t) width * ALBERT_LANES + lane] /= fitter->curvature;
	}
}

/* Factor what the second derivatives are where all outputs are alike. */
static bool
factorise(AlbertFitter *fitter, double C, AlbertStatus *status)
{
	int			width = fitter->training->width;
	double		diagonal = 1 / (C * fitter->total) + JITTER * (fitter->variance / width + 1e-300);

	if (fitter->factor_C == C)
		return true;
	fitter->factor_C = 0;
	for (int i = 0; i < width; i++)
	{
		double	   *row = fitter->factor + (size_t) i * fitter->ld;

		for (int j = 0; j <= i; j++)
			row[j] = fitter->curvature * fitter->covariance[(size_t) i * fitter->ld + j];
		row[i] += diagonal;
	}
	for (int i = 0; i < width; i++)
	{
		fitter->training->poll();
		if (!fitter->doubles->cholesky_row(i, fitter->factor, fitter->ld))
			return AlbertFail(status, ALBERT_INPUT, "the vectors' covariance cannot be factored");
	}
	fitter->factor_C = C;
	return true;
}

/* The weighted mean of the rows' vectors; everything must be finite. */
static bool
find_mean(AlbertFitter *fitter, AlbertStatus *status)
{
	const AlbertTraining *training = fitter->training;
	double		total = 0;

	for (int row = 0; row < training->nrows; row++)
	{
		const float *vector = training->vectors + (size_t) training->rows[row].vector * training->width;
		double		weight = training->rows[row].weight;

		if (!(weight >= 0 && weight <= 1e300))
			return AlbertFail(status, ALBERT_INPUT, "a weight is negative or not finite");
		total += weight;
		for (int j = 0; j < training->width; j++)
			fitter->mean[j] += weight * vector[j];
	}
	if (!(total > 0 && total <= 1e300))
		return AlbertFail(status, ALBERT_INPUT, "the weights of all rows are 0");
	for (int j = 0; j < training->width; j++)
	{
		fitter->mean[j] /= total;
		if (!isfinite(fitter->mean[j]))
			return AlbertFail(status, ALBERT_INPUT, "a vector has a value that is not finite");
	}
	fitter->total = total;
	return true;
}

/* Copy columns of the block's rows, times the rows' weights, into a tile. */
static void
take_columns(const AlbertFitter *fitter, int n, const int *rows, int column)
{
	const AlbertTraining *training = fitter->training;

	for (int i = 0; i < n; i++)
	{
		const double *x = fitter->x + (size_t) i * fitter->ld + column;
		double		weight = training->rows[rows[i]].weight / fitter->total;

		for (int lane = 0; lane < ALBERT_LANES; lane++)
			fitter->z[(size_t) i * ALBERT_LANES + lane] = column + lane < training->width ? weight * x[lane] : 0;
	}
}

static bool
find_covariance(AlbertFitter *fitter, AlbertStatus *status)
{
	const AlbertTraining *training = fitter->training;
	int			width = training->width;
	int			ntiles = (width + ALBERT_LANES - 1) / ALBERT_LANES;
	AlbertArenaMark mark = AlbertArenaGetMark(training->arena);
	size_t		tile = (size_t) width * ALBERT_LANES;
	double	   *sums = AlbertArenaAllocZero(training->arena, ntiles * tile * sizeof(double));
	int			rows[BLOCK_ROWS];
	int			next = 0;
	int			n;

	if (sums == NULL)
		return AlbertNoMemory(status);
	while ((n = next_block(fitter, takes_part, &next, rows)) > 0)
	{
		training->poll();
		for (int t = 0; t < ntiles; t++)
		{
			/* the triangle: columns up to the tile's last */
			int			columns = (t + 1) * ALBERT_LANES < width ? (t + 1) * ALBERT_LANES : width;

			take_columns(fitter, n, rows, t * ALBERT_LANES);
			fitter->doubles->accumulate(n, columns, fitter->x, fitter->ld, fitter->z, ALBERT_LANES,
										sums + t * tile);
		}
	}
	for (int i = 0; i < width; i++)
	{
		for (int j = 0; j <= i; j++)
			fitter->covariance[(size_t) i * fitter->ld + j] =
				sums[i / ALBERT_LANES * tile + (size_t) j * ALBERT_LANES + i % ALBERT_LANES];
		fitter->variance += fitter->covariance[(size_t) i * fitter->ld + i];
	}
	AlbertArenaRewind(training->arena, mark);
	return true;
}

bool
AlbertFitterMake(const AlbertTraining *training, AlbertFitter **result, AlbertStatus *status)
{
	AlbertArena *arena = training->arena;
	AlbertFitter *fitter = AlbertArenaAllocZero(arena, sizeof(AlbertFitter));
	size_t		matrix;
	int			columns;

	if (fitter == NULL)
		return AlbertNoMemory(status);
	fitter->training = training;
	fitter->doubles = AlbertDoublesAt(0);
	fitter->ntiles = (training->noutputs + ALBERT_LANES - 1) / ALBERT_LANES;
	fitter->ld = (training->width + ALBERT_LANES) / ALBERT_LANES * ALBERT_LANES;
	columns = fitter->ntiles * ALBERT_LANES;
	matrix = (size_t) training->width * fitter->ld * sizeof(double);
	fitter->mean = AlbertArenaAllocZero(arena, fitter->ld * sizeof(double));
	fitter->covariance = AlbertArenaAlloc(arena, matrix);
	fitter->factor = AlbertArenaAlloc(arena, matrix);
	fitter->x = AlbertArenaAllocZero(arena, (size_t) BLOCK_ROWS * fitter->ld * sizeof(double));
	fitter->z = AlbertArenaArray(arena, (size_t) BLOCK_ROWS * columns, sizeof(double));
	if (fitter->mean == NULL || fitter->covariance == NULL || fitter->factor == NULL ||
		fitter->x == NULL || fitter->z == NULL)
		return AlbertNoMemory(status);
	fitter->curvature = training->link == ALBERT_LINK_IDENTITY ? 1
		: training->link == ALBERT_LINK_SIGMOID ? 0.25 : 1.0 / training->noutputs;
	*result = fitter;
	return find_mean(fitter, status) && find_covariance(fitter, status);
}

double
AlbertFitterVariance(const AlbertFitter *fitter)
{
	return fitter->variance;
}

/* ---------- one fit ---------- */

bool
AlbertFitterFit(AlbertFitter *fitter, double C, const int32_t *folds, int32_t left_out,
				double tolerance, AlbertFit *fit, AlbertStatus *status)
{
	const AlbertTraining *training = fitter->training;
	AlbertObjective objective = {
		.n = (size_t) fitter->ntiles * (training->width + 1) * ALBERT_LANES,
		.context = fitter,
		.evaluate = evaluate,
		.precondition = precondition
	};
	AlbertArenaMark mark;

	if (fit->parameters == NULL)
		fit->parameters = AlbertArenaAllocZero(training->arena, objective.n * sizeof(double));
	if (fit->parameters == NULL)
		return AlbertNoMemory(status);
	mark = AlbertArenaGetMark(training->arena);
	fitter->C = C;
	fitter->folds = folds;
	fitter->left_out = left_out;
	fitter->total = 0;
	for (int row = 0; row < training->nrows; row++)
		fitter->total += takes_part(fitter, row) ? training->rows[row].weight : 0;
	if (!(fitter->total > 0))
		return AlbertFail(status, ALBERT_INPUT, "the weights of all rows are 0");
	if (!factorise(fitter, C, status) ||
		!AlbertMinimise(&objective, fit->parameters, tolerance, training->arena, &fit->iterations, status))
		return false;
	AlbertArenaRewind(training->arena, mark);
	if (training->fitted != NULL)
		training->fitted(training->context);
	return true;
}

/* ---------- what a fit says ---------- */

double
AlbertFitterPredict(AlbertFitter *fitter, const AlbertFit *fit, const int32_t *folds, int32_t fold, double *outputs)
{
	const AlbertTraining *training = fitter->training;
	double		loss = 0;
	int			rows[BLOCK_ROWS];
	int			next = 0;
	int			n;

	fitter->folds = folds;
	fitter->left_out = fold;
	while ((n = next_block(fitter, folds == NULL ? NULL : is_left_out, &next, rows)) > 0)
	{
		training->poll();
		outputs_of(fitter, n, fit->parameters);
		for (int i = 0; i < n; i++)
		{
			double	   *to = outputs + (size_t) rows[i] * training->noutputs;

			memcpy(to, fitter->z + (size_t) i * fitter->ntiles * ALBERT_LANES, training->noutputs * sizeof(double));
			loss += training->rows[rows[i]].weight * predict(training, rows[i], to);
		}
	}
	return loss;
}

double
AlbertFitterCoefficients(const AlbertFitter *fitter, const AlbertFit *fit, int output, double *coefficients)
{
	int			width = fitter->training->width;
	const double *tile = fit->parameters + (size_t) output / ALBERT_LANES * (width + 1) * ALBERT_LANES +
		output % ALBERT_LANES;
	double		intercept = tile[(size_t) width * ALBERT_LANES];

	for (int j = 0; j < width; j++)
	{
		coefficients[j] = tile[(size_t) j * ALBERT_LANES];
		intercept -= coefficients[j] * fitter->mean[j];
	}
	return intercept;
}
