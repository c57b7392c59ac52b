/*
 * test_training.c
 *	  Linear models: fits beside scikit-learn's, the same bits whatever the
 *	  processor's vectors, folds, bounds of shares, interrupts and memory.
 */
#include <math.h>
#include <setjmp.h>
#include <string.h>

#include "kernels/doubles.h"
#include "training/training.h"
#include "training/vectors.h"
#include "../malloc_arena.h"
#include "unit.h"

typedef struct Expected
{
	const char *name;
	int			link;
	int			nrows;
	int			width;
	int			noutputs;
	double		C;
	int			balanced;
	int			seed;
	double		coefficients[64];
	double		intercepts[8];
	double		scores[16];		/* of the first three rows */
} Expected;

#include "training_expected.h"

#define NEXPECTED	((int) (sizeof(expected) / sizeof(expected[0])))

static uint64_t state;
static int	polls;			/* until poll leaves */
static jmp_buf left;

static void
poll(void)
{
	if (polls-- == 0)
		longjmp(left, 1);
}

static float
next_number(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (float) ((double) (state >> 40) / (1 << 23) - 1);
}

static int
best(const double *z, int n)
{
	int			at = 0;

	for (int i = 1; i < n; i++)
		at = z[i] > z[at] ? i : at;
	return at;
}

/* The rows that make_training_expected.py makes. */
static void
make_rows(AlbertTraining *training, AlbertArena *arena, int link, int n, int width, int k, int seed)
{
	double	   *a = AlbertArenaArray(arena, k * width, sizeof(double));
	float	   *x = AlbertArenaArray(arena, n * width, sizeof(float));
	float	   *targets = AlbertArenaArray(arena, n * k, sizeof(float));
	AlbertTrainingRow *rows = AlbertArenaArray(arena, n, sizeof(AlbertTrainingRow));

	state = seed;
	for (int i = 0; i < k * width; i++)
		a[i] = (double) next_number() * 3;
	for (int row = 0; row < n; row++)
	{
		double		z[64];

		for (int j = 0; j < width; j++)
			x[row * width + j] = next_number() + (j == 0 ? 0.5f : 0);
		for (int c = 0; c < k; c++)
		{
			z[c] = (double) next_number() * 2 - (c == 1);
			for (int j = 0; j < width; j++)
				z[c] += a[c * width + j] * x[row * width + j];
			targets[row * k + c] = link == ALBERT_LINK_SIGMOID ? z[c] > 0 : (float) z[c];
		}
		rows[row] = (AlbertTrainingRow) {.vector = row, .class = best(z, k), .group = row, .weight = 1};
	}
	*training = (AlbertTraining) {
		.link = link, .width = width, .vectors = x, .nrows = n, .rows = rows,
		.targets = link == ALBERT_LINK_SOFTMAX ? NULL : targets,
		.noutputs = k, .arena = arena, .poll = poll
	};
	polls = -1;
}

static AlbertTrainingRow *
change_row(AlbertTraining *training, int row)
{
	return (AlbertTrainingRow *) &training->rows[row];
}

static void
balance(AlbertTraining *training)
{
	AlbertTrainingRow *rows = (AlbertTrainingRow *) training->rows;

	for (int row = 0; row < training->nrows; row++)
	{
		int			same = 0;

		for (int other = 0; other < training->nrows; other++)
			same += rows[other].class == rows[row].class;
		rows[row].weight = (double) training->nrows / (training->noutputs * same);
	}
}

static double
difference(const double *a, const double *b, int n)
{
	double		most = 0;

	for (int i = 0; i < n; i++)
		most = fmax(most, isnan(a[i]) ? INFINITY : fabs(a[i] - b[i]));
	return most;
}

static void
test_expected(void)
{
	for (int i = 0; i < NEXPECTED; i++)
	{
		const Expected *e = &expected[i];
		AlbertArena arena;
		AlbertTraining training;
		AlbertFitter *fitter;
		AlbertFit	fit = {0};
		AlbertStatus status;
		double	   *scores;
		double		coefficients[64];
		double		intercepts[8];
		double		d;

		AlbertArenaInitMalloc(&arena);
		make_rows(&training, &arena, e->link, e->nrows, e->width, e->noutputs, e->seed);
		if (e->balanced)
			balance(&training);
		CHECK(AlbertFitterMake(&training, &fitter, &status) &&
			  AlbertFitterFit(fitter, e->C, NULL, 0, 1e-8, &fit, &status), "%s: a fit", e->name);
		CHECK(fit.iterations < 60, "%s: %d iterations", e->name, fit.iterations);
		for (int i = 0; i < e->noutputs; i++)
			intercepts[i] = AlbertFitterCoefficients(fitter, &fit, i, coefficients + i * e->width);
		d = difference(coefficients, e->coefficients, e->width * e->noutputs);
		CHECK(d < 1e-4, "%s: coefficients differ by %g", e->name, d);
		d = difference(intercepts, e->intercepts, e->noutputs);
		CHECK(d < 1e-4, "%s: intercepts differ by %g", e->name, d);
		scores = AlbertArenaArray(&arena, e->nrows * e->noutputs, sizeof(double));
		AlbertFitterPredict(fitter, &fit, NULL, 0, scores);
		d = difference(scores, e->scores, 3 * e->noutputs);
		CHECK(d < 1e-4, "%s: scores differ by %g", e->name, d);
		AlbertArenaFree(&arena);
	}
}

/* Every width of vectors computes the same bits. */
static void
test_doubles(void)
{
	const AlbertDoubles *plain = NULL;
	AlbertArena arena;
	enum {ROWS = 31, WIDTH = 45, LD = 48};
	double	   *x;
	double	   *w;
	double	   *results[2];
	size_t		size = (ROWS + WIDTH) * ALBERT_LANES + LD * LD + LD * ALBERT_LANES;
	int			n = 0;

	while (AlbertDoublesAt(n) != NULL)
		plain = AlbertDoublesAt(n++);
	AlbertArenaInitMalloc(&arena);
	x = AlbertArenaArray(&arena, ROWS * LD, sizeof(double));
	w = AlbertArenaArray(&arena, WIDTH * ALBERT_LANES, sizeof(double));
	state = 9;
	for (int i = 0; i < ROWS * LD; i++)
		x[i] = next_number();
	for (int i = 0; i < WIDTH * ALBERT_LANES; i++)
		w[i] = next_number();
	for (int set = 0; set < n; set++)
	{
		const AlbertDoubles *doubles = set == 0 ? plain : AlbertDoublesAt(set - 1);
		double	   *result = results[set > 0] = AlbertArenaAllocZero(&arena, size * sizeof(double));
		double	   *g = result + ROWS * ALBERT_LANES;
		double	   *matrix = g + WIDTH * ALBERT_LANES;
		double	   *v = matrix + LD * LD;
		double		wrong = 0;

		doubles->product(ROWS, WIDTH, x, LD, w, result, ALBERT_LANES);
		doubles->accumulate(ROWS, WIDTH, x, LD, result, ALBERT_LANES, g);
		for (int i = 0; i < LD; i++)
			for (int j = 0; j < LD; j++)
				for (int row = 0; row < ROWS; row++)
					matrix[i * LD + j] += x[row * LD + i] * x[row * LD + j] + (row == 0 && i == j);
		memcpy(v, g, WIDTH * ALBERT_LANES * sizeof(double));
		for (int i = 0; i < LD; i++)
			CHECK(doubles->cholesky_row(i, matrix, LD), "row %d of a positive definite matrix", i);
		doubles->solve(LD, matrix, LD, v);
		for (int i = 0; i < WIDTH; i++)
		{
			double		sum = 0;

			for (int j = 0; j < LD; j++)
				for (int row = 0; row < ROWS; row++)
					sum += (x[row * LD + i] * x[row * LD + j] + (row == 0 && i == j)) * v[j * ALBERT_LANES];
			wrong = fmax(wrong, fabs(sum - g[i * ALBERT_LANES]));
		}
		CHECK(wrong < 1e-8, "set %d: a solution is off by %g", set, wrong);
		if (set > 0)
			CHECK(memcmp(results[0], result, size * sizeof(double)) == 0, "set %d gives other bits", set);
	}
	x[0] = -1;
	CHECK(!plain->cholesky_row(0, x, LD), "a matrix that is not positive definite");
	AlbertArenaFree(&arena);
}

static void
count_fit(void *context)
{
	(*(int *) context)++;
}

static void
test_validation(void)
{
	static const double Cs[] = {1e-4, 1e-2, 1, 1e2, 1e4, 1e6, 1e8, 1e10};
	AlbertArena arena;
	AlbertTraining training;
	AlbertFitter *fitter;
	AlbertValidation found = {0};
	AlbertStatus status;
	AlbertFit	fit = {0};
	int32_t    *folds;
	int			counts[5][3] = {{0}};
	int			right = 0;
	int			fits = 0;
	double		outputs[310 * 3];

	AlbertArenaInitMalloc(&arena);
	make_rows(&training, &arena, ALBERT_LINK_SOFTMAX, 310, 6, 3, 3);
	/* every third row is another one's twin */
	for (int row = 2; row < training.nrows; row += 3)
		change_row(&training, row)->vector = change_row(&training, row)->group = row - 1;
	CHECK(AlbertFoldsMake(&training, training.nrows, 5, &folds, &status), "folds");
	for (int row = 0; row < training.nrows; row++)
	{
		counts[folds[row]][training.rows[row].class]++;
		CHECK(row % 3 != 2 || folds[row] == folds[row - 1], "row %d and its twin in one fold", row);
	}
	for (int fold = 1; fold < 5; fold++)
		for (int c = 0; c < 3; c++)
			CHECK(abs(counts[fold][c] - counts[0][c]) <= 12, "class %d: %d rows in fold %d, %d in the first", c,
				  counts[fold][c], fold, counts[0][c]);

	training.fitted = count_fit;
	training.context = &fits;
	CHECK(AlbertFitterMake(&training, &fitter, &status) &&
		  AlbertCrossValidate(fitter, &training, folds, 5, Cs, 8, &found, &status), "validation");
	CHECK(found.C > 1e-3 && found.C < 1e5 && fits < 5 * 8, "C %g after %d fits", found.C, fits);
	for (int row = 0; row < training.nrows; row++)
		right += best(found.outputs + row * 3, 3) == training.rows[row].class;
	CHECK(right > 160 && right < 310, "%d of 310 right", right);

	/* what was said of a row comes from a fit that has not seen it */
	CHECK(AlbertFitterFit(fitter, found.C, folds, folds[7], 1e-8, &fit, &status), "a fit without a fold");
	AlbertFitterPredict(fitter, &fit, folds, folds[7], outputs);
	CHECK(difference(outputs + 7 * 3, found.outputs + 7 * 3, 3) < 0.02, "a row's outputs by the fit that left it out");
	AlbertArenaFree(&arena);
}

/* Rows with several right outputs: every fold has its share of each, also of rare ones behind a frequent one. */
static void
test_folds_of_sets(void)
{
	enum
	{
		N = 200, OUTPUTS = 4, FOLDS = 5
	};
	AlbertArena arena;
	AlbertTraining training = {.link = ALBERT_LINK_SIGMOID, .nrows = N, .noutputs = OUTPUTS, .arena = &arena};
	AlbertStatus status;
	float		targets[N * OUTPUTS];
	AlbertTrainingRow rows[N];
	int32_t    *folds;
	int			counts[FOLDS][OUTPUTS + 1] = {{0}};

	AlbertArenaInitMalloc(&arena);
	for (int row = 0; row < N; row++)
	{
		targets[row * OUTPUTS] = row % 50 != 49;
		targets[row * OUTPUTS + 1] = row % 20 == 3;
		targets[row * OUTPUTS + 2] = row % 5 == 0 && row % 50 != 49;
		targets[row * OUTPUTS + 3] = row % 20 == 3 || row % 10 == 1;
		rows[row] = (AlbertTrainingRow) {.group = row == 7 ? -1 : row, .weight = 1};
	}
	training.targets = targets;
	training.rows = rows;
	CHECK(AlbertFoldsMake(&training, N, FOLDS, &folds, &status), "folds");
	CHECK(folds[7] == -1, "a row that is not dealt");
	for (int row = 0; row < N; row++)
	{
		for (int i = 0; i < OUTPUTS && folds[row] >= 0; i++)
			counts[folds[row]][i] += targets[row * OUTPUTS + i] != 0;
		counts[folds[row] < 0 ? 0 : folds[row]][OUTPUTS] += folds[row] >= 0;
	}
	for (int fold = 0; fold < FOLDS; fold++)
	{
		CHECK(counts[fold][1] == 2, "%d of the 10 rows of a rare output in fold %d", counts[fold][1], fold);
		CHECK(abs(counts[fold][2] - 8) <= 1, "%d of 40 rows in fold %d", counts[fold][2], fold);
		CHECK(abs(counts[fold][3] - 6) <= 1, "%d of 30 rows in fold %d", counts[fold][3], fold);
		CHECK(abs(counts[fold][OUTPUTS] - 40) <= 2, "%d of 199 rows in fold %d", counts[fold][OUTPUTS], fold);
	}
	AlbertArenaFree(&arena);
}

/* More values than rows, all vectors the same, classes that a plane separates: fits end all the same. */
static void
test_degenerate(void)
{
	AlbertArena arena;
	AlbertTraining training;
	AlbertFitter *fitter;
	AlbertStatus status;
	double		outputs[24 * 3];

	for (int which = 0; which < 3; which++)
	{
		AlbertFit	fit = {0};

		AlbertArenaInitMalloc(&arena);
		make_rows(&training, &arena, ALBERT_LINK_SOFTMAX, 24, 100, 3, 6);
		for (int i = 0; which == 1 && i < 24 * 100; i++)
			((float *) training.vectors)[i] = 0.25;
		for (int row = 0; which == 2 && row < 24; row++)
			((float *) training.vectors)[row * 100] = 1e6f * training.rows[row].class;
		CHECK(AlbertFitterMake(&training, &fitter, &status) &&
			  AlbertFitterFit(fitter, 1e8, NULL, 0, 1e-8, &fit, &status), "case %d", which);
		AlbertFitterPredict(fitter, &fit, NULL, 0, outputs);
		CHECK(fabs(outputs[0] + outputs[1] + outputs[2] - 1) < 1e-9, "case %d: probabilities", which);
		CHECK(which == 1 || best(outputs, 3) == training.rows[0].class, "case %d: the first row's class", which);
		AlbertArenaFree(&arena);
	}
}

static void
test_refusals(void)
{
	AlbertArena arena;
	AlbertTraining training;
	AlbertFitter *fitter;
	AlbertStatus status;
	static AlbertFit fit;

	AlbertArenaInitMalloc(&arena);
	make_rows(&training, &arena, ALBERT_LINK_SOFTMAX, 100, 6, 3, 3);
	CHECK(AlbertFitterMake(&training, &fitter, &status), "a fitter");
	CHECK(polls <= -1 - 100 / 32, "polled");
	polls = 12;
	if (setjmp(left) == 0)
	{
		(void) AlbertFitterFit(fitter, 1, NULL, 0, 1e-8, &fit, &status);
		CHECK(false, "left in the middle of a fit");
	}
	/* nothing is the worse for it */
	polls = -1;
	CHECK(AlbertFitterFit(fitter, 1, NULL, 0, 1e-8, &fit, &status), "a fit");
	((float *) training.vectors)[8] = NAN;
	CHECK(!AlbertFitterMake(&training, &fitter, &status) && status.code == ALBERT_INPUT, "a value that is no number");
	((float *) training.vectors)[8] = 0;
	change_row(&training, 8)->weight = -1;
	CHECK(!AlbertFitterMake(&training, &fitter, &status) && status.code == ALBERT_INPUT, "a negative weight");
	for (int row = 0; row < 100; row++)
		change_row(&training, row)->weight = 0;
	CHECK(!AlbertFitterMake(&training, &fitter, &status) && status.code == ALBERT_INPUT, "no weights");
	AlbertArenaFree(&arena);
}

static void
test_interval(void)
{
	double		low;
	double		high;

	/* statsmodels.stats.proportion.proportion_confint(8, 10, method='wilson') */
	AlbertShareInterval(0.8, 10, &low, &high);
	CHECK(fabs(low - 0.490162) < 1e-6 && fabs(high - 0.943318) < 1e-6, "interval %g .. %g", low, high);
	AlbertShareInterval(1, 20, &low, &high);
	CHECK(fabs(high - 1) < 1e-12 && low > 0.83 && low < 0.84, "interval of all: %g .. %g", low, high);
}

/* ---------- vectors ---------- */

typedef struct Seen
{
	int			n;
	int			wrong;
	int			next;
	AlbertVectors *vectors;
} Seen;

static double
cosine(const AlbertVectors *vectors, int a, int b)
{
	double		dot[3] = {0};

	for (int j = 0; j < vectors->width; j++)
	{
		double		x = vectors->values[a * vectors->width + j];
		double		y = vectors->values[b * vectors->width + j];

		dot[0] += x * y;
		dot[1] += x * x;
		dot[2] += y * y;
	}
	return dot[0] / sqrt(dot[1] * dot[2]);
}

static void
count_pair(void *context, int a, int b)
{
	Seen	   *seen = context;
	double		similarity = cosine(seen->vectors, a, b);

	seen->n += similarity >= 0.6;
	seen->wrong += a >= b || similarity < 0.599;
}

static int
next_block(void *context)
{
	return ((Seen *) context)->next++;
}

static void
test_pairs(void)
{
	AlbertArena arena;
	AlbertTraining rows;
	AlbertVectors vectors;
	AlbertStatus status;
	const AlbertKernels *kernels;
	int			near = 0;

	AlbertArenaInitMalloc(&arena);
	make_rows(&rows, &arena, ALBERT_LINK_IDENTITY, 1300, 21, 1, 8);
	vectors = (AlbertVectors) {.n = 1300, .width = 21, .values = rows.vectors, .arena = &arena, .poll = poll};
	for (int a = 0; a < vectors.n; a++)
		for (int b = a + 1; b < vectors.n; b++)
			near += cosine(&vectors, a, b) >= 0.6;
	CHECK(near > 100, "only %d pairs", near);
	for (int i = 0; (kernels = AlbertKernelsAt(i)) != NULL; i++)
	{
		Seen		seen = {.vectors = &vectors};

		if (!kernels->usable() || !AlbertKernelsHave(kernels, ALBERT_FP32))
			continue;
		polls = -1;
		CHECK(AlbertNearPairs(&vectors, 0.6, kernels, next_block, count_pair, &seen, &status), "%s: pairs", kernels->name);
		CHECK(seen.n == near && seen.wrong == 0, "%s: %d pairs of %d, %d wrong", kernels->name, seen.n, near, seen.wrong);
		CHECK(polls <= -10, "%s: %d polls", kernels->name, -1 - polls);
	}
	AlbertArenaFree(&arena);
}

static void
test_clusters(void)
{
	enum {N = 330, WIDTH = 11, K = 10};
	AlbertArena arena;
	float		values[N * WIDTH];
	int32_t		clusters[N];
	double		similarities[N];
	AlbertVectors vectors = {.n = N, .width = WIDTH, .values = values, .arena = &arena, .poll = poll};
	AlbertStatus status;
	int			n;
	int			pure = 0;

	AlbertArenaInitMalloc(&arena);
	state = 3;
	for (int i = 0; i < N; i++)
		for (int j = 0; j < WIDTH; j++)
			values[i * WIDTH + j] = (1 + i % 4) * ((j == i % K) + 0.1f * next_number());
	CHECK(AlbertClusterVectors(&vectors, K, clusters, similarities, &n, &status) && n <= K, "clusters");
	for (int i = K; i < N; i++)
		pure += clusters[i] == clusters[i - K] && similarities[i] > 0.5 && similarities[i] <= 1 + 1e-9;
	CHECK(n >= K - 3 && pure > N - K - 3 * N / K, "%d clusters, %d rows in that of another of their direction", n, pure);
	for (int i = 0; i < N * WIDTH; i++)
		values[i] = i % WIDTH == (i / WIDTH >= 300);
	CHECK(AlbertClusterVectors(&vectors, K, clusters, similarities, &n, &status) && n == 2, "two directions: %d clusters", n);
	CHECK(clusters[0] == 0 && clusters[N - 1] == 1, "the larger first");
	AlbertArenaFree(&arena);
}

int
main(void)
{
	test_expected();
	test_doubles();
	test_validation();
	test_folds_of_sets();
	test_degenerate();
	test_refusals();
	test_interval();
	test_pairs();
	test_clusters();
	return unit_report();
}
