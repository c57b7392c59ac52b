/*
 * other_scan.c
 *	  For tests: another extension's Custom Scan.  While other_scan.enabled is
 *	  on, tables are read by it and by nothing else.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/extensible.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/guc.h"
#include "utils/rel.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static bool enabled = false;
static set_rel_pathlist_hook_type next_pathlist_hook = NULL;

/* ---------- execution: a sequential scan ---------- */

typedef struct OtherScanState
{
	CustomScanState css;
	TupleTableSlot *row;		/* of the table's kind; the node's own is virtual */
} OtherScanState;

static void
begin(CustomScanState *node, EState *estate, int eflags)
{
	Relation	relation = node->ss.ss_currentRelation;

	((OtherScanState *) node)->row = MakeSingleTupleTableSlot(RelationGetDescr(relation), table_slot_callbacks(relation));
}

static TupleTableSlot *
next(ScanState *node)
{
	TupleTableSlot *row = ((OtherScanState *) node)->row;

	if (node->ss_currentScanDesc == NULL)
		node->ss_currentScanDesc = table_beginscan(node->ss_currentRelation, node->ps.state->es_snapshot, 0, NULL);
	if (!table_scan_getnextslot(node->ss_currentScanDesc, ForwardScanDirection, row))
		return NULL;
	ExecCopySlot(node->ss_ScanTupleSlot, row);
	node->ss_ScanTupleSlot->tts_tid = row->tts_tid;
	return node->ss_ScanTupleSlot;
}

static bool
recheck(ScanState *node, TupleTableSlot *slot)
{
	return true;
}

static TupleTableSlot *
exec(CustomScanState *node)
{
	return ExecScan(&node->ss, next, recheck);
}

static void
end(CustomScanState *node)
{
	if (node->ss.ss_currentScanDesc != NULL)
		table_endscan(node->ss.ss_currentScanDesc);
	ExecDropSingleTupleTableSlot(((OtherScanState *) node)->row);
}

static void
rescan(CustomScanState *node)
{
	if (node->ss.ss_currentScanDesc != NULL)
		table_rescan(node->ss.ss_currentScanDesc, NULL);
	ExecScanReScan(&node->ss);
}

static const CustomExecMethods exec_methods = {
	.CustomName = "OtherScan",
	.BeginCustomScan = begin,
	.ExecCustomScan = exec,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan
};

static Node *
create_state(CustomScan *plan)
{
	OtherScanState *node = palloc0(sizeof(OtherScanState));

	NodeSetTag(node, T_CustomScanState);
	node->css.methods = &exec_methods;
	return (Node *) node;
}

/* ---------- planning ---------- */

static const CustomScanMethods scan_methods = {
	.CustomName = "OtherScan",
	.CreateCustomScanState = create_state
};

static Plan *
plan_path(PlannerInfo *root, RelOptInfo *rel, struct CustomPath *path, List *tlist, List *clauses, List *plans)
{
	CustomScan *scan = makeNode(CustomScan);

	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = extract_actual_clauses(clauses, false);
	scan->scan.scanrelid = rel->relid;
	scan->flags = path->flags;
	scan->methods = &scan_methods;
	return &scan->scan.plan;
}

static const CustomPathMethods path_methods = {
	.CustomName = "OtherScan",
	.PlanCustomPath = plan_path
};

static void
add_scan(PlannerInfo *root, RelOptInfo *rel, Index index, RangeTblEntry *entry)
{
	if (next_pathlist_hook != NULL)
		next_pathlist_hook(root, rel, index, entry);
	if (enabled && entry->rtekind == RTE_RELATION && entry->relkind == RELKIND_RELATION && rel->pathlist != NIL)
	{
		CustomPath *path = makeNode(CustomPath);
		Path	   *other = linitial(rel->pathlist);

		path->path.pathtype = T_CustomScan;
		path->path.parent = rel;
		path->path.pathtarget = rel->reltarget;
		path->path.rows = other->rows;
		path->path.startup_cost = other->startup_cost;
		path->path.total_cost = other->total_cost;
#if PG_VERSION_NUM >= 150000
		path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
#endif
		path->methods = &path_methods;
		rel->pathlist = list_make1(path);
		rel->partial_pathlist = NIL;
	}
}

void
_PG_init(void)
{
	DefineCustomBoolVariable("other_scan.enabled", "Reads tables by a node of this module.", NULL,
							 &enabled, false, PGC_USERSET, 0, NULL, NULL, NULL);
	RegisterCustomScanMethods(&scan_methods);
	next_pathlist_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = add_scan;
}
