/*
 * lbfgs.c
 *	  Minimising a smooth convex function of many variables.
 *
 * The two loops over the last steps are those of Nocedal, "Updating
 * quasi-Newton matrices with limited storage" (1980).  Where it is usual to
 * begin with a multiple of the identity matrix, the objective's preconditioner
 * is taken.  A step is halved, or cut to the minimum of a parabola, until it
 * lowers the value enough.
 */
#include <math.h>
#include <string.h>

#include "training/training.h"

#define HISTORY			10
#define MAX_ITERATIONS	1000
#define MAX_CUTS		30
#define ENOUGH			1e-4	/* of what the slope promises */
#define LEAST_CURVATURE	1e-12

typedef struct Search
{
	const AlbertObjective *objective;
	double	   *x;
	double		value;
	double	   *gradient;
	double	   *direction;
	double	   *next_x;
	double	   *next_gradient;
	double	   *work;
	double	   *steps[HISTORY]; /* differences of x, oldest given up first */
	double	   *changes[HISTORY];	/* of the gradient */
	double		curvature[HISTORY]; /* their products */
	int			kept;
	int			newest;
	double		scale;			/* of the preconditioner, by the newest step */
} Search;

static double
dot(size_t n, const double *a, const double *b)
{
	double		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static void
add(size_t n, double factor, const double *from, double *to)
{
	for (size_t i = 0; i < n; i++)
		to[i] += factor * from[i];
}

static double
greatest(size_t n, const double *a)
{
	double		most = 0;

	for (size_t i = 0; i < n; i++)
		most = fmax(most, fabs(a[i]));
	return most;
}

/* The step to take, minus the gradient times what is known of the inverse second derivatives. */
static void
find_direction(Search *search)
{
	size_t		n = search->objective->n;
	double	   *d = search->direction;
	double		alpha[HISTORY];

	for (size_t i = 0; i < n; i++)
		d[i] = -search->gradient[i];
	for (int age = 0; age < search->kept; age++)
	{
		int			k = (search->newest - age + HISTORY) % HISTORY;

		alpha[k] = dot(n, search->steps[k], d) / search->curvature[k];
		add(n, -alpha[k], search->changes[k], d);
	}
	search->objective->precondition(search->objective->context, d);
	for (size_t i = 0; i < n; i++)
		d[i] *= search->scale;
	for (int age = search->kept - 1; age >= 0; age--)
	{
		int			k = (search->newest - age + HISTORY) % HISTORY;
		double		beta = dot(n, search->changes[k], d) / search->curvature[k];

		add(n, alpha[k] - beta, search->steps[k], d);
	}
}

/* Remember the step from x to next_x. */
static void
remember(Search *search)
{
	size_t		n = search->objective->n;
	int			k = (search->newest + 1) % HISTORY;
	double	   *step = search->steps[k];
	double	   *change = search->changes[k];
	double		curvature;
	double		size;

	for (size_t i = 0; i < n; i++)
	{
		step[i] = search->next_x[i] - search->x[i];
		change[i] = search->next_gradient[i] - search->gradient[i];
	}
	curvature = dot(n, step, change);
	if (search->kept == HISTORY)
		search->kept--;			/* the slot's old pair is lost */
	if (!(curvature > LEAST_CURVATURE * dot(n, change, change)))
		return;
	memcpy(search->work, change, n * sizeof(double));
	search->objective->precondition(search->objective->context, search->work);
	size = dot(n, change, search->work);
	if (!(size > 0))
		return;
	search->scale = curvature / size;
	search->curvature[k] = curvature;
	search->newest = k;
	search->kept++;
}

/* Move along the direction as far as it lowers the value; does it? */
static bool
line_search(Search *search)
{
	const AlbertObjective *objective = search->objective;
	size_t		n = objective->n;
	double		slope = dot(n, search->gradient, search->direction);
	double		length = 1;

	for (int cut = 0; cut < MAX_CUTS && slope < 0; cut++)
	{
		double		value;
		double		parabola;

		for (size_t i = 0; i < n; i++)
			search->next_x[i] = search->x[i] + length * search->direction[i];
		value = objective->evaluate(objective->context, search->next_x, search->next_gradient);
		if (value <= search->value + ENOUGH * length * slope)
		{
			bool		moved = value < search->value;

			search->value = value;
			return moved;
		}
		parabola = -slope * length * length / (2 * (value - search->value - slope * length));
		length = parabola > 0.1 * length && parabola < 0.5 * length ? parabola : 0.5 * length;
	}
	return false;
}

static bool
make_search(Search *search, const AlbertObjective *objective, double *x, AlbertArena *arena)
{
	double	  **arrays[] = {&search->gradient, &search->direction, &search->next_x, &search->next_gradient,
	&search->work};
	bool		all = true;

	memset(search, 0, sizeof(*search));
	search->objective = objective;
	search->x = x;
	search->scale = 1;
	search->newest = HISTORY - 1;
	for (int i = 0; i < 5; i++)
		all = (*arrays[i] = AlbertArenaArray(arena, objective->n, sizeof(double))) != NULL && all;
	for (int i = 0; i < HISTORY; i++)
	{
		all = (search->steps[i] = AlbertArenaArray(arena, objective->n, sizeof(double))) != NULL && all;
		all = (search->changes[i] = AlbertArenaArray(arena, objective->n, sizeof(double))) != NULL && all;
	}
	return all;
}

bool
AlbertMinimise(const AlbertObjective *objective, double *x, double tolerance, AlbertArena *arena,
			   int *iterations, AlbertStatus *status)
{
	Search		search;
	size_t		n = objective->n;

	if (!make_search(&search, objective, x, arena))
		return AlbertNoMemory(status);
	/* what the tolerance is a share of */
	memset(search.work, 0, n * sizeof(double));
	(void) objective->evaluate(objective->context, search.work, search.gradient);
	tolerance *= greatest(n, search.gradient);
	search.value = objective->evaluate(objective->context, x, search.gradient);
	for (*iterations = 0; *iterations < MAX_ITERATIONS; (*iterations)++)
	{
		double	   *gradient = search.gradient;

		if (greatest(n, gradient) <= tolerance)
			break;
		find_direction(&search);
		if (!line_search(&search))
		{
			if (search.kept == 0)
				break;			/* as low as the numbers' precision lets it be */
			search.kept = 0;	/* try once more, without what was remembered */
			search.scale = 1;
			continue;
		}
		remember(&search);
		memcpy(x, search.next_x, n * sizeof(double));
		search.gradient = search.next_gradient;
		search.next_gradient = gradient;
	}
	return true;
}
