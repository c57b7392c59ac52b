/*
 * clusters.c
 *	  Groups of vectors: k-means over their directions, in double precision.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/doubles.h"
#include "training/vectors.h"

#define BLOCK_ROWS		32
#define MAX_ROUNDS		100
#define SAME			1e-12	/* square of a distance that is none */
#define SEED			UINT64_C(0x9e3779b97f4a7c15)

typedef struct Clusters
{
	const AlbertVectors *vectors;
	const AlbertDoubles *doubles;
	int			k;
	int			ntiles;
	double	   *centres;		/* tiles of ALBERT_LANES centres, (width, ALBERT_LANES) each */
	double	   *squares;		/* of their lengths */
	double	   *sums;			/* (k, width) */
	int		   *counts;
	double	   *distances;		/* squares, to the nearest of the centres so far */
	double	   *x;				/* (BLOCK_ROWS, width), of length 1 */
	double	   *z;				/* (BLOCK_ROWS, ntiles * ALBERT_LANES) */
	uint64_t	random;
} Clusters;

/* Uniform in [0, 1): splitmix64. */
static double
next_random(Clusters *clusters)
{
	uint64_t	z = clusters->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return (double) (z >> 11) / 9007199254740992.0;
}

/* A vector of length 1 in the same direction; of a vector of zeros, zeros. */
static void
unit_row(const AlbertVectors *vectors, int i, double *to)
{
	const float *from = vectors->values + (size_t) i * vectors->width;
	double		length = AlbertVectorLength(vectors, i);

	for (int j = 0; j < vectors->width; j++)
		to[j] = from[j] / length;
}

static void
put_centre(Clusters *clusters, int c, const double *values, double factor)
{
	int			width = clusters->vectors->width;
	double	   *to = clusters->centres + (size_t) c / ALBERT_LANES * width * ALBERT_LANES + c % ALBERT_LANES;

	clusters->squares[c] = 0;
	for (int j = 0; j < width; j++)
	{
		double		value = values[j] * factor;

		to[(size_t) j * ALBERT_LANES] = value;
		clusters->squares[c] += value * value;
	}
}

/* Which vector is the next centre: each is chosen by the square of its distance from the nearest so far. */
static int
choose(Clusters *clusters)
{
	int			n = clusters->vectors->n;
	double		total = 0;
	double		aim;
	int			last = -1;

	for (int i = 0; i < n; i++)
		total += clusters->distances[i];
	aim = next_random(clusters) * total;
	for (int i = 0; i < n; i++)
	{
		if (clusters->distances[i] == 0)
			continue;
		last = i;
		aim -= clusters->distances[i];
		if (aim < 0)
			break;
	}
	return last;
}

/* The first centres; k becomes less when there are no more distinct vectors. */
static void
seed(Clusters *clusters)
{
	const AlbertVectors *vectors = clusters->vectors;
	double	   *centre = clusters->x;
	double	   *x = clusters->x + vectors->width;

	for (int i = 0; i < vectors->n; i++)
		clusters->distances[i] = 1;
	for (int c = 0; c < clusters->k; c++)
	{
		int			chosen = choose(clusters);

		if (chosen < 0)
		{
			clusters->k = c;
			return;
		}
		unit_row(vectors, chosen, centre);
		put_centre(clusters, c, centre, 1);
		for (int i = 0; i < vectors->n; i++)
		{
			double		square = 0;

			if (i % 1024 == 0)
				vectors->poll();
			unit_row(vectors, i, x);
			for (int j = 0; j < vectors->width; j++)
				square += (x[j] - centre[j]) * (x[j] - centre[j]);
			if (c == 0 || square < clusters->distances[i])
				clusters->distances[i] = square > SAME ? square : 0;
		}
	}
}

static int
nearest(const Clusters *clusters, const double *z)
{
	int			best = 0;

	for (int c = 1; c < clusters->k; c++)
	{
		if (z[c] - clusters->squares[c] / 2 > z[best] - clusters->squares[best] / 2)
			best = c;
	}
	return best;
}

/* Give every vector to its nearest centre; how many had another. */
static int
assign(Clusters *clusters, int32_t *to, double *similarities)
{
	const AlbertVectors *vectors = clusters->vectors;
	int			width = vectors->width;
	int			ldz = clusters->ntiles * ALBERT_LANES;
	int			changed = 0;

	memset(clusters->sums, 0, (size_t) clusters->k * width * sizeof(double));
	memset(clusters->counts, 0, clusters->k * sizeof(int));
	for (int first = 0; first < vectors->n; first += BLOCK_ROWS)
	{
		int			n = vectors->n - first < BLOCK_ROWS ? vectors->n - first : BLOCK_ROWS;

		vectors->poll();
		for (int i = 0; i < n; i++)
			unit_row(vectors, first + i, clusters->x + (size_t) i * width);
		for (int t = 0; t < clusters->ntiles; t++)
			clusters->doubles->product(n, width, clusters->x, width,
									   clusters->centres + (size_t) t * width * ALBERT_LANES,
									   clusters->z + t * ALBERT_LANES, ldz);
		for (int i = 0; i < n; i++)
		{
			const double *z = clusters->z + (size_t) i * ldz;
			int			c = nearest(clusters, z);

			changed += to[first + i] != c;
			to[first + i] = c;
			similarities[first + i] = clusters->squares[c] > 0 ? z[c] / sqrt(clusters->squares[c]) : 0;
			clusters->counts[c]++;
			for (int j = 0; j < width; j++)
				clusters->sums[(size_t) c * width + j] += clusters->x[(size_t) i * width + j];
		}
	}
	return changed;
}

typedef struct Group
{
	int			count;
	int			first;			/* its first vector */
	int			number;
} Group;

static int
compare_groups(const void *a, const void *b)
{
	const Group *x = a;
	const Group *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* Number the groups by size; those that nobody is in go last, and are none. */
static bool
renumber(Clusters *clusters, int32_t *of, int *nclusters, AlbertStatus *status)
{
	int			n = clusters->vectors->n;
	Group	   *groups = AlbertArenaArray(clusters->vectors->arena, clusters->k, sizeof(Group));
	int		   *numbers = AlbertArenaArray(clusters->vectors->arena, clusters->k, sizeof(int));

	if (groups == NULL || numbers == NULL)
		return AlbertNoMemory(status);
	for (int c = 0; c < clusters->k; c++)
		groups[c] = (Group) {0, n, c};
	for (int i = n - 1; i >= 0; i--)
	{
		groups[of[i]].count++;
		groups[of[i]].first = i;
	}
	qsort(groups, clusters->k, sizeof(Group), compare_groups);
	*nclusters = 0;
	for (int c = 0; c < clusters->k; c++)
	{
		numbers[groups[c].number] = c;
		*nclusters += groups[c].count > 0;
	}
	for (int i = 0; i < n; i++)
		of[i] = numbers[of[i]];
	return true;
}

bool
AlbertClusterVectors(const AlbertVectors *vectors, int k, int32_t *of, double *similarities,
					 int *nclusters, AlbertStatus *status)
{
	AlbertArena *arena = vectors->arena;
	Clusters	clusters = {
		.vectors = vectors, .doubles = AlbertDoublesAt(0), .k = k < vectors->n ? k : vectors->n, .random = SEED
	};
	int			width = vectors->width;
	int			changed = 1;

	*nclusters = 0;
	if (vectors->n == 0)
		return true;
	clusters.ntiles = (clusters.k + ALBERT_LANES - 1) / ALBERT_LANES;
	clusters.centres = AlbertArenaAllocZero(arena, (size_t) clusters.ntiles * width * ALBERT_LANES * sizeof(double));
	clusters.squares = AlbertArenaArray(arena, clusters.k, sizeof(double));
	clusters.sums = AlbertArenaArray(arena, (size_t) clusters.k * width, sizeof(double));
	clusters.counts = AlbertArenaArray(arena, clusters.k, sizeof(int));
	clusters.distances = AlbertArenaArray(arena, vectors->n, sizeof(double));
	clusters.x = AlbertArenaArray(arena, (size_t) BLOCK_ROWS * width, sizeof(double));
	clusters.z = AlbertArenaArray(arena, (size_t) BLOCK_ROWS * clusters.ntiles * ALBERT_LANES, sizeof(double));
	if (clusters.centres == NULL || clusters.squares == NULL || clusters.sums == NULL || clusters.counts == NULL ||
		clusters.distances == NULL || clusters.x == NULL || clusters.z == NULL)
		return AlbertNoMemory(status);
	for (int i = 0; i < vectors->n; i++)
		of[i] = -1;
	seed(&clusters);
	for (int round = 0; round < MAX_ROUNDS && changed > 0; round++)
	{
		changed = assign(&clusters, of, similarities);
		for (int c = 0; c < clusters.k && changed > 0; c++)
		{
			if (clusters.counts[c] > 0)
				put_centre(&clusters, c, clusters.sums + (size_t) c * width, 1.0 / clusters.counts[c]);
		}
	}
	return renumber(&clusters, of, nclusters, status);
}
