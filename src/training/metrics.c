/*
 * metrics.c
 *	  How good predictions are.
 */
#include <math.h>

#include "training/training.h"

#define CONFIDENT	1.959963984540054	/* standard deviations that 95% lie within */

void
AlbertShareInterval(double share, double n, double *low, double *high)
{
	double		z2 = CONFIDENT * CONFIDENT / n;
	double		middle = (share + z2 / 2) / (1 + z2);
	double		half = CONFIDENT * sqrt(share * (1 - share) / n + z2 / (4 * n)) / (1 + z2);

	/* rounding must not leave the share itself outside */
	*low = fmax(fmin(middle - half, share), 0);
	*high = fmin(fmax(middle + half, share), 1);
}

void
AlbertClassMetricsOf(const int64_t *confusion, int nclasses, AlbertClassMetrics *metrics)
{
	for (int c = 0; c < nclasses; c++)
	{
		AlbertClassMetrics *m = &metrics[c];

		m->rows = m->predicted = 0;
		for (int other = 0; other < nclasses; other++)
		{
			m->rows += confusion[(size_t) c * nclasses + other];
			m->predicted += confusion[(size_t) other * nclasses + c];
		}
		m->right = confusion[(size_t) c * nclasses + c];
		m->precision = m->predicted > 0 ? (double) m->right / m->predicted : NAN;
		m->recall = m->rows > 0 ? (double) m->right / m->rows : NAN;
		m->f1 = m->right > 0 ? 2.0 * m->right / (m->rows + m->predicted) : 0;
	}
}
