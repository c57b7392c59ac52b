/*
 * rewrite.c
 *	  When plans get their batching nodes, and the walk over a plan that knows
 *	  of each node who may stop reading it.
 */
#include "postgres.h"

#include "jit/jit.h"
#include "miscadmin.h"
#include "optimizer/clauses.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

#include "executor/rewrite/cost.h"
#include "executor/rewrite/nodes.h"
#include "executor/rewrite/rewrite.h"

static bool calls_seen = false; /* by the planner run that is under way */
static int	planner_depth = 0;
static bool plans_missed = false;	/* a planner run was under way when the hooks came */

/* ---------- who reads ---------- */

static AlbertReader
reader_below_join(const Join *join, AlbertReader reader, bool inner)
{
	AlbertReader result = AlbertReaderOfSome(reader);

	/* a merge join stops when one side is used up */
	if (IsA(join, MergeJoin))
		result.flags |= ALBERT_NODE_EARLY;
	else if (IsA(join, HashJoin))
	{
		if (inner)
			result.flags = 0;
		else
			result.flags |= ALBERT_NODE_ONE_FIRST;	/* to see whether there is any */
	}
	else if (inner && (join->inner_unique || join->jointype == JOIN_SEMI || join->jointype == JOIN_ANTI))
		result.flags |= ALBERT_NODE_EARLY;
	return result;
}

static AlbertReader
reader_below_limit(const Limit *limit, AlbertReader reader)
{
	AlbertTraits traits = {0};

	if (limit->limitCount == NULL)
		return reader;
	reader.flags |= ALBERT_NODE_LIMIT;
	if (limit->limitOption == LIMIT_OPTION_WITH_TIES)
		reader.flags |= ALBERT_NODE_TIES;
	reader.limit = limit;
	/* the batching node evaluates the bounds as well */
	if (contain_subplans(limit->limitCount) || contain_subplans(limit->limitOffset))
		return AlbertReaderOfSome(reader);
	AlbertExprTraits(limit->limitCount, &traits);
	AlbertExprTraits(limit->limitOffset, &traits);
	return traits.is_volatile ? AlbertReaderOfSome(reader) : reader;
}

/* Who reads a child of a plan node. */
static AlbertReader
reader_below(const Plan *parent, AlbertReader reader, bool inner)
{
	uint32		facts = AlbertPlanFacts(parent);
	AlbertReader result = AlbertReaderOfSome(reader);

	if (facts & ALBERT_PLAN_READS_ALL)
		return (AlbertReader) {0};
	if (AlbertPlanIsJoin(parent))
		return reader_below_join((const Join *) parent, reader, inner);
	if (IsA(parent, Limit))
		return reader_below_limit((const Limit *) parent, reader);
	if ((facts & ALBERT_PLAN_PASSES_ROWS) && parent->qual == NIL)
		return reader;
	if (IsA(parent, ModifyTable))
	{
		/* reads all, unless its own rows are returned */
		result.flags = ((const ModifyTable *) parent)->returningLists == NIL ? 0 : reader.flags & ALBERT_NODE_LAZY;
		return result;
	}
	/* a worker's executor has the child as its root */
	if (IsA(parent, Gather) || IsA(parent, GatherMerge))
		result.flags |= ALBERT_NODE_LAZY | ALBERT_NODE_ROOT;
	else if ((facts & (ALBERT_PLAN_READS_ON | ALBERT_PLAN_PASSES_ROWS)) == 0)
		result.flags |= ALBERT_NODE_EARLY;
	return result;
}

/* ---------- the walk ---------- */

typedef struct Walk
{
	AlbertLift	lift;
	bool		changed;		/* something below the node just visited */
	int		   *subplan_flags;	/* by subplan: who may stop the readers of a CTE; -1: not met */
} Walk;

/* One level of it. */
typedef struct WalkLevel
{
	Walk	   *walk;
	Plan	   *parent;
	AlbertReader reader;		/* of the parent */
} WalkLevel;

static void walk_plan(Walk *walk, Plan **place, AlbertReader reader);

static void
visit_child(Plan **child, void *context)
{
	WalkLevel  *level = context;
	Walk	   *walk = level->walk;
	Plan	   *parent = level->parent;
	bool		inner = child == &parent->righttree;
	bool		changed_before = walk->changed;

	/*
	 * what a join pushed down to another server needs for rechecks is its module's
	 * own, as is what another module's node reads
	 */
	if (IsA(parent, ForeignScan) ||
		(IsA(parent, CustomScan) && ((CustomScan *) parent)->methods != &albert_scan_methods))
		return;
	/* nor can a batching node go back to a mark */
	if (IsA(parent, MergeJoin) && inner && !((MergeJoin *) parent)->skip_mark_restore &&
		(AlbertPlanFacts(*child) & ALBERT_PLAN_KEEPS_MARKS) == 0)
		return;
	walk->changed = false;
	walk_plan(walk, child, reader_below(parent, level->reader, inner));
	if (walk->changed)
	{
		/* a node that waits for no one cannot be asked asynchronously */
		parent->async_capable = false;
		(*child)->async_capable = false;
	}
	walk->changed = walk->changed || changed_before;
}

static void
walk_plan(Walk *walk, Plan **place, AlbertReader reader)
{
	Plan	   *plan = *place;
	WalkLevel	level = {walk, plan, reader};

	check_stack_depth();
	if (IsA(plan, CteScan))
	{
		int		   *noted = &walk->subplan_flags[((CteScan *) plan)->ctePlanId - 1];

		*noted = Max(*noted, 0) | AlbertReaderOfSome(reader).flags;
	}
	AlbertPlanChildren(plan, visit_child, &level);
	if (IsA(plan, Agg) && AlbertLiftAggregates(&walk->lift, (Agg *) plan, reader_below(plan, reader, false)))
		walk->changed = true;
	if (AlbertLiftCalls(&walk->lift, place, reader))
		walk->changed = true;
}

static void
find_last_node_id(Plan **child, void *context)
{
	int		   *last = context;

	*last = Max(*last, (*child)->plan_node_id);
	AlbertPlanChildren(*child, find_last_node_id, context);
}

/* Nodes below a Gather report what they did through shared memory; only parallel-aware ones are asked to. */
static void
mark_parallel(Plan **child, void *context)
{
	bool		below = *(bool *) context;

	if (IsA(*child, CustomScan) && ((CustomScan *) *child)->methods == &albert_scan_methods && below)
	{
		(*child)->parallel_aware = true;
		((CustomScan *) *child)->flags = 0;
	}
	below = below || IsA(*child, Gather) || IsA(*child, GatherMerge);
	AlbertPlanChildren(*child, mark_parallel, &below);
}

static void
for_each_tree(PlannedStmt *stmt, AlbertPlanVisitor visit, void *context)
{
	ListCell   *cell;

	visit(&stmt->planTree, context);
	foreach(cell, stmt->subplans)
	{
		if (lfirst(cell) != NULL)
			visit((Plan **) &lfirst(cell), context);
	}
}

static void
put_nodes(PlannedStmt *stmt)
{
	Walk		walk = {.lift = {.stmt = stmt}};
	int			nsubplans = list_length(stmt->subplans);
	bool		below_gather = false;

	for_each_tree(stmt, find_last_node_id, &walk.lift.next_node_id);
	walk.lift.next_node_id++;
	walk.subplan_flags = palloc(Max(nsubplans, 1) * sizeof(int));
	for (int i = 0; i < nsubplans; i++)
		walk.subplan_flags[i] = -1;

	walk_plan(&walk, &stmt->planTree, (AlbertReader) {.flags = ALBERT_NODE_LAZY | ALBERT_NODE_ROOT});
	/* those that others refer to come first in the list */
	for (int i = nsubplans - 1; i >= 0; i--)
	{
		ListCell   *cell = list_nth_cell(stmt->subplans, i);
		int			flags = walk.subplan_flags[i] < 0 ? ALBERT_NODE_EARLY : walk.subplan_flags[i];

		if (lfirst(cell) != NULL)
			walk_plan(&walk, (Plan **) &lfirst(cell), (AlbertReader) {.flags = flags});
	}
	if (walk.changed)
		for_each_tree(stmt, mark_parallel, &below_gather);
}

/* ---------- plans ---------- */

/*
 * Compiling expressions speeds up nothing of what calls do, and calls cost so
 * much that almost any plan with one is over the thresholds.  So what counts
 * is the rest of the plan.
 */
static void
confine_jit(PlannedStmt *stmt)
{
	double		cost;

	if (stmt->jitFlags == PGJIT_NONE)
		return;
	cost = AlbertCostWithoutCalls(stmt);
	if (cost <= jit_above_cost)
		stmt->jitFlags = PGJIT_NONE;
	if (cost <= jit_optimize_above_cost)
		stmt->jitFlags &= ~PGJIT_OPT3;
	if (cost <= jit_inline_above_cost)
		stmt->jitFlags &= ~PGJIT_INLINE;
}

static void
finish_plan(PlannedStmt *stmt)
{
	if (stmt->planTree == NULL)
		return;
	confine_jit(stmt);
	if (albert_enable_batching)
		put_nodes(stmt);
}

bool
AlbertPlanningBegin(void)
{
	bool		outer = calls_seen;

	calls_seen = false;
	planner_depth++;
	return outer;
}

void
AlbertPlanningFinish(PlannedStmt *stmt)
{
	if (calls_seen)
		finish_plan(stmt);
}

void
AlbertPlanningEnd(bool outer)
{
	planner_depth--;
	calls_seen = outer;
}

/* ---------- plans made without the hooks ---------- */

/*
 * The first statement of a session may be what loads the library, while it is
 * planned: too late for the planner's hook.  So what is executed until the end
 * of that transaction gets its nodes, if it has none, in a copy of its plan; and
 * plans that have been kept are made anew after it.  Putting nodes into a plan
 * that has them changes nothing.
 */

void
AlbertPlanningSeesCall(void)
{
	calls_seen = true;
	if (planner_depth == 0)
		plans_missed = true;
}

bool
AlbertPlanningHasCalls(void)
{
	return calls_seen;
}

void
AlbertPlanningCatchUp(QueryDesc *desc)
{
	MemoryContext old;

	if (!plans_missed)
		return;
	old = MemoryContextSwitchTo(GetMemoryChunkContext(desc));
	desc->plannedstmt = copyObject(desc->plannedstmt);
	finish_plan(desc->plannedstmt);
	MemoryContextSwitchTo(old);
}

void
AlbertPlanningForget(void)
{
	if (plans_missed)
		ResetPlanCache();
	plans_missed = false;
}
