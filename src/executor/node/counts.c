/*
 * counts.c
 *	  What the batching node has done, and EXPLAIN.  Workers count in the query's
 *	  shared memory, and so does the leader until that is let go of.
 */
#include "postgres.h"

#include "commands/explain.h"
#include "utils/ruleutils.h"

#include "compat.h"
#include "executor/node/node.h"

/* ---------- parallel queries ---------- */

static void
move_counts(AlbertNodeState *node, pg_atomic_uint64 *place)
{
	for (int i = 0; i < ALBERT_NODE_NCOUNTS; i++)
		pg_atomic_init_u64(&place[i], pg_atomic_read_u64(&node->counts[i]));
	node->counts = place;
}

Size
AlbertNodeEstimateDSM(CustomScanState *css, ParallelContext *pcxt)
{
	return ALBERT_NODE_NCOUNTS * sizeof(pg_atomic_uint64);
}

void
AlbertNodeInitializeDSM(CustomScanState *css, ParallelContext *pcxt, void *coordinate)
{
	move_counts((AlbertNodeState *) css, coordinate);
}

void
AlbertNodeInitializeWorker(CustomScanState *css, shm_toc *toc, void *coordinate)
{
	((AlbertNodeState *) css)->counts = coordinate;
}

/*
 * Workers have finished, unless nobody wants their rows; then what they are
 * still doing is not counted.
 */
void
AlbertNodeShutdown(CustomScanState *css)
{
	AlbertNodeState *node = (AlbertNodeState *) css;

	if (node->counts != node->own_counts)
		move_counts(node, node->own_counts);
}

/* ---------- EXPLAIN ---------- */

/* The calls as SQL; table names in front of columns as the other nodes do it. */
static List *
deparse_calls(AlbertNodeState *node, List *ancestors, ExplainState *es)
{
	CustomScan *plan = (CustomScan *) node->css.ss.ps.plan;
	List	   *context = set_deparse_context_plan(es->deparse_cxt, &plan->scan.plan, ancestors);
	bool		prefix = AlbertExplainTables(es) > 1 || es->verbose;
	List	   *result = NIL;
	ListCell   *cell;

	for_each_from(cell, plan->custom_scan_tlist, node->ncolumns)
		result = lappend(result, deparse_expression((Node *) lfirst_node(TargetEntry, cell)->expr, context, prefix,
													false));
	return result;
}

void
AlbertNodeExplain(CustomScanState *css, List *ancestors, ExplainState *es)
{
	static const char *const names[] = {"Texts", "Hits", "Misses", "Evictions", "Tokens", "Batches"};
	AlbertNodeState *node = (AlbertNodeState *) css;

	ExplainPropertyList("Calls", deparse_calls(node, ancestors, es), es);
	if (!es->analyze)
		return;
	for (int i = 0; i < lengthof(names); i++)
		ExplainPropertyUInteger(names[i], NULL, pg_atomic_read_u64(&node->counts[i]), es);
	if (es->timing)
		ExplainPropertyFloat("Batch Time", "ms",
							 pg_atomic_read_u64(&node->counts[ALBERT_COUNT_MICROSECONDS]) / 1000.0, 3, es);
}
