/*
 * parallel.c
 *	  What the batching nodes of parallel workers have done, for the leader's
 *	  EXPLAIN.  Workers add to counters in the query's shared memory, which the
 *	  leader takes before it lets go of that memory.
 */
#include "postgres.h"

#include "executor/node/node.h"

static void
add_counts(AlbertNodeCounts *counts, const uint64 *more)
{
	uint64	   *values = (uint64 *) counts;

	for (int i = 0; i < ALBERT_NODE_NCOUNTS; i++)
		values[i] += more[i];
}

void
AlbertNodeCount(AlbertNodeState *node, const AlbertNodeCounts *more)
{
	const uint64 *values = (const uint64 *) more;

	add_counts(&node->counts, values);
	if (node->shared == NULL || !IsParallelWorker())
		return;
	for (int i = 0; i < ALBERT_NODE_NCOUNTS; i++)
	{
		if (values[i] != 0)
			pg_atomic_fetch_add_u64(&node->shared->values[i], values[i]);
	}
}

Size
AlbertNodeEstimateDSM(CustomScanState *css, ParallelContext *pcxt)
{
	return sizeof(AlbertSharedCounts);
}

void
AlbertNodeInitializeDSM(CustomScanState *css, ParallelContext *pcxt, void *coordinate)
{
	AlbertNodeState *node = (AlbertNodeState *) css;

	node->shared = coordinate;
	for (int i = 0; i < ALBERT_NODE_NCOUNTS; i++)
		pg_atomic_init_u64(&node->shared->values[i], 0);
}

/* Counters go on over the rescans of a Gather. */
void
AlbertNodeReInitializeDSM(CustomScanState *css, ParallelContext *pcxt, void *coordinate)
{
}

void
AlbertNodeInitializeWorker(CustomScanState *css, shm_toc *toc, void *coordinate)
{
	((AlbertNodeState *) css)->shared = coordinate;
}

/*
 * In the leader: workers have finished, unless nobody wants their rows; then
 * what they are still doing is not counted.
 */
void
AlbertNodeShutdown(CustomScanState *css)
{
	AlbertNodeState *node = (AlbertNodeState *) css;
	uint64		values[ALBERT_NODE_NCOUNTS];

	if (node->shared == NULL || IsParallelWorker())
		return;
	for (int i = 0; i < ALBERT_NODE_NCOUNTS; i++)
		values[i] = pg_atomic_exchange_u64(&node->shared->values[i], 0);
	add_counts(&node->counts, values);
	node->shared = NULL;
}
