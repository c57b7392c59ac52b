/*
 * training.h
 *	  Linear models over vectors: multinomial logistic regression, one
 *	  logistic regression a label, ridge regression.
 *
 * All three minimise
 *
 *		C sum_i weight_i loss_i + 1/2 sum of squared coefficients
 *
 * with intercepts that are not penalised: scikit-learn's LogisticRegression of
 * the same C, and its Ridge of alpha = 1 / C.  Sums run over the rows in the
 * order that is given, in double precision and without regard to the
 * processor, so the same rows in the same order give the same bits; whoever
 * wants them whatever the order sorts the rows first.
 *
 * Memory comes from the arena in AlbertTraining, which the caller rewinds.
 */
#ifndef ALBERT_TRAINING_H
#define ALBERT_TRAINING_H

#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

typedef enum AlbertLink
{
	ALBERT_LINK_SOFTMAX,		/* one of the outputs is right */
	ALBERT_LINK_SIGMOID,		/* each output is right or wrong by itself: targets are 0 or 1 */
	ALBERT_LINK_IDENTITY		/* outputs are numbers */
} AlbertLink;

typedef struct AlbertTrainingRow
{
	int32_t		vector;			/* which vector it has */
	int32_t		class;			/* the output that is right, for ALBERT_LINK_SOFTMAX */
	int32_t		group;			/* rows of a group are in one fold; -1: in every fit, and never predicted */
	double		weight;			/* not negative, nor 0 for all rows */
} AlbertTrainingRow;

typedef struct AlbertTraining
{
	AlbertLink	link;
	int			width;
	const float *vectors;		/* (number of vectors, width) */
	int			nrows;
	const AlbertTrainingRow *rows;
	const float *targets;		/* (nrows, noutputs), for the other links */
	int			noutputs;
	AlbertArena *arena;
	void		(*poll) (void);	/* called often; may leave by longjmp: all memory is the arena's */
	void		(*fitted) (void *context);	/* told after each fit; may be NULL */
	void	   *context;
} AlbertTraining;

/* What rows share between fits, and their parameters: opaque. */
typedef struct AlbertFitter AlbertFitter;

typedef struct AlbertFit
{
	double	   *parameters;		/* NULL: none yet */
	int			iterations;
} AlbertFit;

/*
 * Prepare for fits.  Fails with ALBERT_NO_MEMORY, or ALBERT_INPUT for a value
 * that is not finite or weights that are all 0.
 */
extern bool AlbertFitterMake(const AlbertTraining *training, AlbertFitter **fitter, AlbertStatus *status);

/* How far a vector's values are from their means: the sum of their variances. */
extern double AlbertFitterVariance(const AlbertFitter *fitter);

/*
 * Fit the rows, in this order, whose fold is not left_out (folds NULL: all).
 * *fit, unless it has no parameters yet, is where to begin; the nearer, the
 * sooner it ends.  tolerance is of the gradient, as a share of what it is
 * without any coefficients.
 */
extern bool AlbertFitterFit(AlbertFitter *fitter, double C, const int32_t *folds, int32_t left_out,
							double tolerance, AlbertFit *fit, AlbertStatus *status);

/*
 * What a fit says of the vectors of the rows in a fold (folds NULL: of all):
 * probabilities or numbers, at their places in outputs (nrows, noutputs).
 * Returns the sum of the rows' losses, by weight.
 */
extern double AlbertFitterPredict(AlbertFitter *fitter, const AlbertFit *fit, const int32_t *folds, int32_t fold,
								  double *outputs);

/* An output's coefficients, width of them; returns its intercept. */
extern double AlbertFitterCoefficients(const AlbertFitter *fitter, const AlbertFit *fit, int output,
									   double *coefficients);

/*
 * A fold from 0 to nfolds - 1 for each row: rows of a group in one fold, groups
 * spread so that every output is right for about as many rows of each.  Rows of
 * the group -1 are not dealt: theirs is -1.
 */
extern bool AlbertFoldsMake(const AlbertTraining *training, int ngroups, int nfolds, int32_t **folds,
							AlbertStatus *status);

/* What cross-validation found. */
typedef struct AlbertValidation
{
	double		C;				/* of the least loss */
	double	   *outputs;		/* (nrows, noutputs): each row's by the fit that left out its fold */
} AlbertValidation;

/*
 * Fit with each fold left out.  Cs ascend; the first after which the loss has
 * grown again is the last that is tried.  folds may be -1 for rows that are
 * in every fit and not predicted (their outputs are NaN).
 */
extern bool AlbertCrossValidate(AlbertFitter *fitter, const AlbertTraining *training, const int32_t *folds, int nfolds,
								const double *Cs, int nCs, AlbertValidation *best, AlbertStatus *status);

#define ALBERT_CONFIDENT	1.959963984540054	/* standard deviations that 95% lie within */

/* Bounds of a share of n that was found, with 95% confidence: Wilson's. */
extern void AlbertShareInterval(double share, double n, double *low, double *high);

/* ---------- lbfgs.c ---------- */

typedef struct AlbertObjective
{
	size_t		n;				/* parameters */
	void	   *context;
	/* value and gradient at x */
	double		(*evaluate) (void *context, const double *x, double *gradient);
	/* v times something near the inverse of the second derivatives, in place */
	void		(*precondition) (void *context, double *v);
} AlbertObjective;

/*
 * Minimise a convex function from x, by the limited-memory method of Broyden,
 * Fletcher, Goldfarb and Shanno, until no element of the gradient is greater
 * than the tolerance's share of the greatest at 0, or the value can no longer be
 * lowered.
 */
extern bool AlbertMinimise(const AlbertObjective *objective, double *x, double tolerance, AlbertArena *arena,
						   int *iterations, AlbertStatus *status);

#endif							/* ALBERT_TRAINING_H */
