/*
 * doubles.h
 *	  The products that training needs, in double precision.
 *
 * Matrices of coefficients lie in tiles of eight columns, one row of a tile
 * after the other.  Every output is one chain of multiplications and additions
 * in a fixed order, none of them fused, so that all processors compute the
 * same bits; they differ in how many columns are computed at a time.
 */
#ifndef ALBERT_DOUBLES_H
#define ALBERT_DOUBLES_H

#include <stdbool.h>
#include <stddef.h>

#define ALBERT_LANES	8		/* columns of a tile */

/*
 * Arrays of tiles, x and factors are aligned to ALBERT_ALIGN; ldr and ldz, in
 * doubles, are multiples of ALBERT_LANES.
 */
typedef struct AlbertDoubles
{
	/* z[row][0..8) = sum over j < width of x[row][j] w[j][0..8) */
	void		(*product) (int rows, int width, const double *x, int ldx,
							const double *w, double *z, int ldz);

	/* g[j][0..8) += sum over rows of x[row][j] r[row][0..8), for j < width */
	void		(*accumulate) (int rows, int width, const double *x, int ldx,
							   const double *r, int ldr, double *g);

	/*
	 * Row i of a matrix's lower triangle becomes row i of its Cholesky factor;
	 * the rows before it have become theirs.  ld is a multiple of ALBERT_LANES.
	 * False: the matrix is not positive definite.
	 */
	bool		(*cholesky_row) (int i, double *a, int ld);

	/* v[n][0..8): the solution of L L' x = v in the place of v */
	void		(*solve) (int n, const double *factor, int ld, double *v);
} AlbertDoubles;

/* The i-th of those that this processor runs, the fastest first; NULL past the end. */
extern const AlbertDoubles *AlbertDoublesAt(int i);

#endif							/* ALBERT_DOUBLES_H */
