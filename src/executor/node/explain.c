/*
 * explain.c
 *	  The batching node in EXPLAIN.
 */
#include "postgres.h"

#include "commands/explain.h"
#include "nodes/makefuncs.h"
#include "utils/ruleutils.h"

#include "compat.h"
#include "executor/node/node.h"

/* The calls as SQL; table names in front of columns as the other nodes do it. */
static List *
deparse_calls(AlbertNodeState *node, List *ancestors, ExplainState *es)
{
	CustomScan *plan = (CustomScan *) node->css.ss.ps.plan;
	List	   *context = set_deparse_context_plan(es->deparse_cxt, &plan->scan.plan, ancestors);
	bool		prefix = AlbertExplainTables(es) > 1 || es->verbose;
	List	   *result = NIL;

	for (int i = node->ncolumns; i < node->natts; i++)
	{
		TargetEntry *entry = list_nth_node(TargetEntry, plan->custom_scan_tlist, i);

		result = lappend(result, deparse_expression((Node *) entry->expr, context, prefix, false));
	}
	return result;
}

void
AlbertNodeExplain(CustomScanState *css, List *ancestors, ExplainState *es)
{
	AlbertNodeState *node = (AlbertNodeState *) css;
	AlbertNodeCounts *counts = &node->counts;

	ExplainPropertyList("Calls", deparse_calls(node, ancestors, es), es);
	if (!es->analyze)
		return;
	ExplainPropertyUInteger("Texts", NULL, counts->recall.texts, es);
	ExplainPropertyUInteger("Hits", NULL, counts->recall.hits, es);
	ExplainPropertyUInteger("Misses", NULL, counts->recall.misses, es);
	ExplainPropertyUInteger("Evictions", NULL, counts->recall.evictions, es);
	ExplainPropertyUInteger("Tokens", NULL, counts->tokens, es);
	ExplainPropertyUInteger("Batches", NULL, counts->batches, es);
	if (counts->single > 0 || es->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyUInteger("Rows One by One", NULL, counts->single, es);
	if (es->timing)
		ExplainPropertyFloat("Batch Time", "ms", counts->microseconds / 1000.0, 3, es);
}
