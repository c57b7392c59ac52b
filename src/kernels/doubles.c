/*
 * doubles.c
 *	  Products in double precision: one text, compiled for each width of
 *	  vectors that processors have.
 */
#include "kernels/doubles.h"
#include "kernels/internal.h"

typedef double Lanes __attribute__((vector_size(ALBERT_LANES * sizeof(double)), may_alias));

#define INLINE	static inline __attribute__((always_inline))

#define TOGETHER	4			/* rows, or columns, whose sums stay in registers */

INLINE void
product_rows(int rows, int width, const double *x, int ldx, const Lanes *w, double *z, int ldz)
{
	Lanes		sums[TOGETHER] = {{0}};

	for (int j = 0; j < width; j++)
	{
		UNROLL
		for (int row = 0; row < rows; row++)
			sums[row] += x[(size_t) row * ldx + j] * w[j];
	}
	UNROLL
	for (int row = 0; row < rows; row++)
		*(Lanes *) (z + (size_t) row * ldz) = sums[row];
}

INLINE void
product_body(int rows, int width, const double *x, int ldx, const double *w, double *z, int ldz)
{
	int			row = 0;

	for (; row + TOGETHER <= rows; row += TOGETHER)
		product_rows(TOGETHER, width, x + (size_t) row * ldx, ldx, (const Lanes *) w, z + (size_t) row * ldz, ldz);
	for (; row < rows; row++)
		product_rows(1, width, x + (size_t) row * ldx, ldx, (const Lanes *) w, z + (size_t) row * ldz, ldz);
}

INLINE void
accumulate_columns(int columns, int rows, const double *x, int ldx, const double *r, int ldr, Lanes *g)
{
	Lanes		sums[TOGETHER];

	UNROLL
	for (int j = 0; j < columns; j++)
		sums[j] = g[j];
	for (int row = 0; row < rows; row++)
	{
		UNROLL
		for (int j = 0; j < columns; j++)
			sums[j] += x[(size_t) row * ldx + j] * *(const Lanes *) (r + (size_t) row * ldr);
	}
	UNROLL
	for (int j = 0; j < columns; j++)
		g[j] = sums[j];
}

INLINE void
accumulate_body(int rows, int width, const double *x, int ldx, const double *r, int ldr, double *g)
{
	int			j = 0;

	for (; j + TOGETHER <= width; j += TOGETHER)
		accumulate_columns(TOGETHER, rows, x + j, ldx, r, ldr, (Lanes *) g + j);
	for (; j < width; j++)
		accumulate_columns(1, rows, x + j, ldx, r, ldr, (Lanes *) g + j);
}

/* Eight chains, then their sum, in order. */
INLINE double
dot_body(int n, const double *a, const double *b)
{
	Lanes		sums = {0};
	double		sum = 0;
	int			i = 0;

	for (; i + ALBERT_LANES <= n; i += ALBERT_LANES)
		sums += *(const Lanes *) (a + i) * *(const Lanes *) (b + i);
	for (int lane = 0; lane < ALBERT_LANES; lane++)
		sum += sums[lane];
	for (; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

INLINE bool
cholesky_row_body(int i, double *a, int ld)
{
	double	   *row = a + (size_t) i * ld;
	double		square;

	for (int j = 0; j < i; j++)
	{
		const double *other = a + (size_t) j * ld;

		row[j] = (row[j] - dot_body(j, row, other)) / other[j];
	}
	square = row[i] - dot_body(i, row, row);
	if (!(square > 0))
		return false;
	row[i] = sqrt(square);
	return true;
}

INLINE void
solve_body(int n, const double *factor, int ld, double *v)
{
	Lanes	   *x = (Lanes *) v;

	for (int i = 0; i < n; i++)
	{
		const double *row = factor + (size_t) i * ld;
		Lanes		left = x[i];

		for (int j = 0; j < i; j++)
			left -= row[j] * x[j];
		x[i] = left / row[i];
	}
	for (int i = n - 1; i >= 0; i--)
	{
		const double *row = factor + (size_t) i * ld;
		Lanes		solved = x[i] / row[i];

		x[i] = solved;
		for (int j = 0; j < i; j++)
			x[j] -= row[j] * solved;
	}
}

#define DOUBLES(set, attribute) \
	attribute static void \
	set##_product(int rows, int width, const double *x, int ldx, const double *w, double *z, int ldz) \
	{ \
		product_body(rows, width, x, ldx, w, z, ldz); \
	} \
	attribute static void \
	set##_accumulate(int rows, int width, const double *x, int ldx, const double *r, int ldr, double *g) \
	{ \
		accumulate_body(rows, width, x, ldx, r, ldr, g); \
	} \
	attribute static bool \
	set##_cholesky_row(int i, double *a, int ld) \
	{ \
		return cholesky_row_body(i, a, ld); \
	} \
	attribute static void \
	set##_solve(int n, const double *factor, int ld, double *v) \
	{ \
		solve_body(n, factor, ld, v); \
	} \
	static const AlbertDoubles set = {set##_product, set##_accumulate, set##_cholesky_row, set##_solve}

DOUBLES(plain,);
#ifdef ALBERT_X86_64
DOUBLES(wide, __attribute__((target("avx2"))));
DOUBLES(widest, __attribute__((target("avx512f"))));
#endif

const AlbertDoubles *
AlbertDoublesAt(int i)
{
	const AlbertDoubles *sets[3];
	int			n = 0;

#ifdef ALBERT_X86_64
	if (albert_cpu_has(ALBERT_CPU_AVX512))
		sets[n++] = &widest;
	if (albert_cpu_has(ALBERT_CPU_AVX2))
		sets[n++] = &wide;
#endif
	sets[n++] = &plain;
	return i >= 0 && i < n ? sets[i] : NULL;
}
