/*
 * node_parallel.c
 *	  What the batching nodes of parallel workers have done, for the leader's
 *	  EXPLAIN.
 *
 * Workers add to counters in the query's shared memory.  The leader fetches
 * them when it lets go of that memory: by then the workers have finished,
 * while the node's own shutdown may come when they have not.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "executor/node_internal.h"

typedef struct AlbertCollector
{
	AlbertNodeState *node;		/* NULL: has ended */
	AlbertSharedCounts *shared;
} AlbertCollector;

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
	if (node->shared == NULL)
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

static void
collect_counts(dsm_segment *segment, Datum arg)
{
	AlbertCollector *collector = (AlbertCollector *) DatumGetPointer(arg);
	uint64		values[ALBERT_NODE_NCOUNTS];

	/* while a failed transaction is cleaned up, nobody will ask */
	if (collector->node == NULL || !IsTransactionState())
		return;
	for (int i = 0; i < ALBERT_NODE_NCOUNTS; i++)
		values[i] = pg_atomic_read_u64(&collector->shared->values[i]);
	add_counts(&collector->node->counts, values);
	collector->node->collector = NULL;
}

void
AlbertNodeInitializeDSM(CustomScanState *css, ParallelContext *pcxt, void *coordinate)
{
	AlbertNodeState *node = (AlbertNodeState *) css;
	AlbertSharedCounts *shared = coordinate;
	AlbertCollector *collector;

	for (int i = 0; i < ALBERT_NODE_NCOUNTS; i++)
		pg_atomic_init_u64(&shared->values[i], 0);
	/* without shared memory to be had, there are no workers */
	if (pcxt->seg == NULL)
		return;
	collector = MemoryContextAlloc(TopTransactionContext, sizeof(AlbertCollector));
	collector->node = node;
	collector->shared = shared;
	node->collector = collector;
	on_dsm_detach(pcxt->seg, collect_counts, PointerGetDatum(collector));
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

void
AlbertNodeEndParallel(AlbertNodeState *node)
{
	if (node->collector != NULL)
		node->collector->node = NULL;
	node->collector = NULL;
}
