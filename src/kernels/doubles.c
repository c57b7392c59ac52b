/*
 * doubles.c
 *	  Products in double precision: one text, compiled for each width of
 *	  vectors that processors have.
 */
#include "kernels/doubles.h"
#include "kernels/internal.h"

typedef double Lanes __attribute__((vector_size(ALBERT_LANES * sizeof(double)), may_alias));

#define INLINE	static inline __attribute__((always_inline))

INLINE void
product_body(int rows, int width, const double *x, int ldx, const double *w, double *z, int ldz)
{
	const Lanes *wj = (const Lanes *) w;
	int			row = 0;

	for (; row + 4 <= rows; row += 4)
	{
		const double *x0 = x + (size_t) row * ldx;
		const double *x1 = x0 + ldx;
		const double *x2 = x1 + ldx;
		const double *x3 = x2 + ldx;
		Lanes		z0 = {0};
		Lanes		z1 = {0};
		Lanes		z2 = {0};
		Lanes		z3 = {0};

		for (int j = 0; j < width; j++)
		{
			z0 += x0[j] * wj[j];
			z1 += x1[j] * wj[j];
			z2 += x2[j] * wj[j];
			z3 += x3[j] * wj[j];
		}
		*(Lanes *) (z + (size_t) row * ldz) = z0;
		*(Lanes *) (z + (size_t) (row + 1) * ldz) = z1;
		*(Lanes *) (z + (size_t) (row + 2) * ldz) = z2;
		*(Lanes *) (z + (size_t) (row + 3) * ldz) = z3;
	}
	for (; row < rows; row++)
	{
		Lanes		sum = {0};

		for (int j = 0; j < width; j++)
			sum += x[(size_t) row * ldx + j] * wj[j];
		*(Lanes *) (z + (size_t) row * ldz) = sum;
	}
}

INLINE void
accumulate_body(int rows, int width, const double *x, int ldx, const double *r, int ldr, double *g)
{
	Lanes	   *gj = (Lanes *) g;
	int			j = 0;

	for (; j + 4 <= width; j += 4)
	{
		Lanes		g0 = gj[j];
		Lanes		g1 = gj[j + 1];
		Lanes		g2 = gj[j + 2];
		Lanes		g3 = gj[j + 3];

		for (int row = 0; row < rows; row++)
		{
			const double *xj = x + (size_t) row * ldx + j;
			const Lanes *rj = (const Lanes *) (r + (size_t) row * ldr);

			g0 += xj[0] * *rj;
			g1 += xj[1] * *rj;
			g2 += xj[2] * *rj;
			g3 += xj[3] * *rj;
		}
		gj[j] = g0;
		gj[j + 1] = g1;
		gj[j + 2] = g2;
		gj[j + 3] = g3;
	}
	for (; j < width; j++)
	{
		for (int row = 0; row < rows; row++)
			gj[j] += x[(size_t) row * ldx + j] * *(const Lanes *) (r + (size_t) row * ldr);
	}
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

const AlbertDoubles *
AlbertDoublesFind(void)
{
	return AlbertDoublesAt(0);
}
