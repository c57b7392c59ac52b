/*
 * rewrite.c
 *	  When plans get their batching nodes, and the walk over a plan that knows
 *	  of each node who may stop reading it.
 */
#include "postgres.h"

#include "jit/jit.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

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

/* A Limit's count or offset, with a value in place of NULL; -1: it is not known, or very large. */
static int
limit_number(const Node *number, int null_value)
{
	int64		value;

	if (number == NULL || (IsA(number, Const) && ((const Const *) number)->constisnull))
		return null_value;
	if (!IsA(number, Const))
		return -1;
	value = DatumGetInt64(((const Const *) number)->constvalue);
	return value > INT_MAX / 2 ? -1 : (int) value;
}

/* It asks for just the rows that it skips and returns, and returns no more than it is asked for. */
static AlbertReader
reader_below_limit(const Limit *limit, AlbertReader reader)
{
	int			count = limit_number(limit->limitCount, INT_MAX);
	int			offset = limit_number(limit->limitOffset, 0);

	if (count == INT_MAX)
		return AlbertReaderOfSome(reader);
	if (count < 0 || offset < 0 || limit->limitOption == LIMIT_OPTION_WITH_TIES)
	{
		reader.flags |= ALBERT_NODE_EARLY;
		return AlbertReaderOfSome(reader);
	}
	reader.bound = offset + (reader.bound >= 0 ? Min(count, reader.bound) : count);
	return reader;
}

/* Who reads a child of a plan node. */
static AlbertReader
reader_below(const Plan *parent, AlbertReader reader, bool inner)
{
	uint32		facts = AlbertPlanFacts(parent);
	AlbertReader result = AlbertReaderOfSome(reader);

	if (facts & ALBERT_PLAN_READS_ALL)
		return (AlbertReader) {.bound = -1};
	if (facts & ALBERT_PLAN_JOINS)
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
	const PlannedStmt *stmt;
	bool		changed;
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
	Plan	   *parent = level->parent;
	bool		inner = child == &parent->righttree;

	/*
	 * what a join pushed down to another server needs for rechecks is its module's
	 * own, as is what another module's node reads
	 */
	if (IsA(parent, ForeignScan) || (IsA(parent, CustomScan) && !AlbertIsNode(parent)))
		return;
	/* nor can a batching node go back to a mark */
	if (IsA(parent, MergeJoin) && inner && !((MergeJoin *) parent)->skip_mark_restore &&
		(AlbertPlanFacts(*child) & ALBERT_PLAN_KEEPS_MARKS) == 0)
		return;
	walk_plan(level->walk, child, reader_below(parent, level->reader, inner));
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
	while (IsA(plan, Agg) && AlbertLiftAggregates(walk->stmt, (Agg *) plan, reader_below(plan, reader, false)))
		walk->changed = true;
	if (AlbertLiftCalls(walk->stmt, place, reader))
		walk->changed = true;
}

/* ---------- after it ---------- */

typedef struct Settling
{
	int		   *next_id;		/* of a batching node */
	bool		below_gather;
} Settling;

/*
 * Batching nodes are numbered from the top, since the planner begins with 0.
 * They wait for their children, which so cannot be asked asynchronously.  Below
 * a Gather they tell what they have done through shared memory, for which only
 * parallel-aware nodes are asked.
 */
static void
settle_plan(Plan **child, void *context)
{
	Plan	   *plan = *child;
	Settling	below = *(Settling *) context;

	plan->async_capable = false;
	if (AlbertIsNode(plan))
	{
		plan->plan_node_id = (*below.next_id)--;
		plan->parallel_aware = below.below_gather;
	}
	below.below_gather |= IsA(plan, Gather) || IsA(plan, GatherMerge);
	AlbertPlanChildren(plan, settle_plan, &below);
}

static void
put_nodes(PlannedStmt *stmt)
{
	Walk		walk = {.stmt = stmt};
	int			next_id = INT_MAX;
	Settling	settling = {.next_id = &next_id};
	int			nsubplans = list_length(stmt->subplans);
	ListCell   *cell;

	walk.subplan_flags = palloc(Max(nsubplans, 1) * sizeof(int));
	for (int i = 0; i < nsubplans; i++)
		walk.subplan_flags[i] = -1;
	walk_plan(&walk, &stmt->planTree, (AlbertReader) {.flags = ALBERT_NODE_LAZY | ALBERT_NODE_ROOT, .bound = -1});
	/* those that others refer to come first in the list */
	for (int i = nsubplans - 1; i >= 0; i--)
	{
		int			flags = walk.subplan_flags[i] < 0 ? ALBERT_NODE_EARLY : walk.subplan_flags[i];

		cell = list_nth_cell(stmt->subplans, i);
		if (lfirst(cell) != NULL)
			walk_plan(&walk, (Plan **) &lfirst(cell), (AlbertReader) {.flags = flags, .bound = -1});
	}
	if (!walk.changed)
		return;
	settle_plan(&stmt->planTree, &settling);
	foreach(cell, stmt->subplans)
	{
		if (lfirst(cell) != NULL)
			settle_plan((Plan **) &lfirst(cell), &settling);
	}
}

/* ---------- plans ---------- */

static void
finish_plan(PlannedStmt *stmt)
{
	if (stmt->planTree == NULL)
		return;
	/* calls cost so much that almost any plan with one is over the thresholds, and none of their work is compiled */
	stmt->jitFlags = PGJIT_NONE;
	if (albert_enable_batching)
		put_nodes(stmt);
}

PlannedStmt *
AlbertPlanStatement(planner_hook_type next, ALBERT_PLANNER_ARGS)
{
	bool		outer = calls_seen;
	PlannedStmt *stmt;

	calls_seen = false;
	planner_depth++;
	PG_TRY();
	{
		stmt = next != NULL ? next(ALBERT_PLANNER_PASS) : standard_planner(ALBERT_PLANNER_PASS);
		if (calls_seen)
			finish_plan(stmt);
	}
	PG_FINALLY();
	{
		planner_depth--;
		calls_seen = outer;
	}
	PG_END_TRY();
	return stmt;
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
