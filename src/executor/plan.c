/*
 * plan.c
 *	  The hooks that put batching nodes into finished plans, and the walk over
 *	  a plan that knows of each node who may stop reading it.
 *
 * A statement is looked at only when the planner met an albert function in it,
 * which the functions' support function tells (functions/support.c).  In the
 * first statement of a session that is also what loads the library: too late
 * for planner_hook, so that ExecutorStart_hook then rewrites a copy.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "executor/executor.h"
#include "jit/jit.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "utils/memutils.h"

#include "executor/node.h"
#include "executor/node_internal.h"

bool		albert_enable_batching = true;

/*
 * Plans that planner_hook has seen carry this bit in jitFlags, which has room
 * for it and travels with the plan everywhere.
 */
#define ALBERT_PLAN_SEEN	(1 << 28)

static planner_hook_type previous_planner = NULL;
static ExecutorStart_hook_type previous_executor_start = NULL;
static ExecutorRun_hook_type previous_executor_run = NULL;

static bool calls_seen = false; /* by the planner run that is under way */
static int	planner_depth = 0;
static bool plans_missed = false;	/* a planner run was under way when the hooks came */

/* ---------- the walk ---------- */

typedef struct Walk
{
	AlbertLift	lift;
	int			next_node_id;
	bool		changed;		/* something below the node just visited */
	int		   *subplan_flags;	/* by subplan: who may stop the readers of a CTE; -1: not met */
} Walk;

/* One level of it. */
typedef struct WalkLevel
{
	Walk	   *walk;
	Plan	   *parent;
	int			flags;			/* of the parent */
	int			nchildren;		/* visited before */
} WalkLevel;

static void walk_plan(Walk *walk, Plan **place, int flags);

/* Below a node that does not pass each of its child's rows on. */
static int
not_counted(int flags)
{
	int			result = flags & (ALBERT_NODE_LAZY | ALBERT_NODE_EARLY);

	if (flags & ALBERT_NODE_LIMIT)
		result |= ALBERT_NODE_EARLY;
	return result;
}

static int
flags_below_join(const Join *join, int flags, bool inner)
{
	int			result = not_counted(flags);

	/* a merge join stops when one side is used up */
	if (IsA(join, MergeJoin))
		return result | ALBERT_NODE_EARLY;
	if (IsA(join, HashJoin))
		return inner ? 0 : result | ALBERT_NODE_ONE_FIRST;	/* to see whether there is any */
	if (inner && (join->inner_unique || join->jointype == JOIN_SEMI || join->jointype == JOIN_ANTI))
		result |= ALBERT_NODE_EARLY;
	return result;
}

/* Who may stop reading a child before its last row. */
static int
flags_below(const Plan *parent, int flags, int nth)
{
	switch (nodeTag(parent))
	{
		case T_Limit:
			return ((const Limit *) parent)->limitCount == NULL ? flags : flags | ALBERT_NODE_LIMIT;
		case T_Result:
		case T_SubqueryScan:
			return parent->qual == NIL ? flags : not_counted(flags);
		case T_LockRows:
			return flags;
		case T_Sort:
		case T_Hash:
			return 0;
		case T_Agg:
			if (((const Agg *) parent)->aggstrategy == AGG_HASHED ||
				((const Agg *) parent)->aggstrategy == AGG_PLAIN)
				return 0;
			return not_counted(flags);
		case T_ModifyTable:
			/* reads all, unless its own rows are returned */
			return ((const ModifyTable *) parent)->returningLists == NIL ? 0 : flags & ALBERT_NODE_LAZY;
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			return flags_below_join((const Join *) parent, flags, nth == 1);
		case T_Gather:
		case T_GatherMerge:
			/* a worker's executor has the child as its root */
			return not_counted(flags) | ALBERT_NODE_LAZY | ALBERT_NODE_ROOT;
		case T_Append:
		case T_MergeAppend:
		case T_Material:
		case T_Memoize:
		case T_IncrementalSort:
		case T_Unique:
		case T_SetOp:
		case T_Group:
		case T_WindowAgg:
		case T_ProjectSet:
			return not_counted(flags);
		default:
			return not_counted(flags) | ALBERT_NODE_EARLY;
	}
}

/*
 * A merge join marks and restores positions in its inner input.  The planner
 * saw to it that the input can; a batching node cannot, so that its rows are
 * kept above it.
 */
static void
keep_marks(Walk *walk, MergeJoin *join)
{
	Plan	   *inner = join->join.plan.righttree;
	Material   *material;
	ListCell   *cell;

	if (join->skip_mark_restore || IsA(inner, Sort) || IsA(inner, Material))
		return;
	material = makeNode(Material);
	material->plan.startup_cost = inner->startup_cost;
	material->plan.total_cost = inner->total_cost;
	material->plan.plan_rows = inner->plan_rows;
	material->plan.plan_width = inner->plan_width;
	material->plan.parallel_safe = inner->parallel_safe;
	material->plan.plan_node_id = walk->next_node_id++;
	material->plan.lefttree = inner;
	material->plan.extParam = bms_copy(inner->extParam);
	material->plan.allParam = bms_copy(inner->allParam);
	foreach(cell, inner->targetlist)
	{
		TargetEntry *entry = flatCopyTargetEntry(lfirst_node(TargetEntry, cell));
		Node	   *expr = (Node *) entry->expr;

		entry->expr = (Expr *) makeVar(OUTER_VAR, entry->resno, exprType(expr), exprTypmod(expr),
									   exprCollation(expr), 0);
		material->plan.targetlist = lappend(material->plan.targetlist, entry);
	}
	join->join.plan.righttree = &material->plan;
}

static void
visit_child(Plan **child, void *context)
{
	WalkLevel  *level = context;
	Walk	   *walk = level->walk;
	bool		changed_before = walk->changed;
	int			nth = level->nchildren++;

	/* what a join pushed down to another server needs for rechecks is its module's own, as is what another module's node reads */
	if (IsA(level->parent, ForeignScan) || IsA(level->parent, CustomScan))
		return;
	if (IsA(level->parent, NestLoop) || IsA(level->parent, MergeJoin) || IsA(level->parent, HashJoin))
		nth = (child == &level->parent->righttree);
	walk->changed = false;
	walk_plan(walk, child, flags_below(level->parent, level->flags, nth));
	if (walk->changed)
	{
		/* a node that waits for no one cannot be asked asynchronously */
		level->parent->async_capable = false;
		(*child)->async_capable = false;
		if (IsA(level->parent, MergeJoin) && nth == 1)
			keep_marks(walk, (MergeJoin *) level->parent);
	}
	walk->changed = walk->changed || changed_before;
}

static void
note_cte_reader(Walk *walk, const CteScan *scan, int flags)
{
	int		   *noted = &walk->subplan_flags[scan->ctePlanId - 1];

	*noted = (*noted < 0 ? 0 : *noted) | not_counted(flags);
}

static void
note_new_node(Walk *walk, Plan *node)
{
	node->plan_node_id = walk->next_node_id++;
	walk->changed = true;
}

static void
walk_plan(Walk *walk, Plan **place, int flags)
{
	Plan	   *plan = *place;
	WalkLevel	level = {walk, plan, flags, 0};

	check_stack_depth();
	if (IsA(plan, CteScan))
		note_cte_reader(walk, (CteScan *) plan, flags);
	AlbertPlanChildren(plan, visit_child, &level);
	if (IsA(plan, Agg) &&
		AlbertFeedAggregates(&walk->lift, (Agg *) plan, flags_below(plan, flags, 0)))
		note_new_node(walk, plan->lefttree);
	if (IsA(plan, ModifyTable) &&
		AlbertFeedMerge(&walk->lift, (ModifyTable *) plan, flags_below(plan, flags, 0)))
		note_new_node(walk, plan->lefttree);
	if (IsA(plan, ModifyTable) ? AlbertLiftReturning(&walk->lift, place, flags)
		: AlbertLiftCalls(&walk->lift, place, flags))
		note_new_node(walk, *place);
}

static void
find_last_node_id(Plan **child, void *context)
{
	int		   *last = context;

	if (*child == NULL)
		return;
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

void
AlbertPlanBatch(PlannedStmt *stmt)
{
	Walk		walk = {.lift = {.stmt = stmt}};
	int			nsubplans = list_length(stmt->subplans);
	int			last_id = 0;
	bool		below_gather = false;
	ListCell   *cell;

	if (stmt->planTree == NULL)
		return;
	find_last_node_id(&stmt->planTree, &last_id);
	foreach(cell, stmt->subplans)
		find_last_node_id((Plan **) &lfirst(cell), &last_id);
	walk.next_node_id = last_id + 1;
	walk.subplan_flags = palloc(Max(nsubplans, 1) * sizeof(int));
	for (int i = 0; i < nsubplans; i++)
		walk.subplan_flags[i] = -1;

	walk_plan(&walk, &stmt->planTree, ALBERT_NODE_LAZY | ALBERT_NODE_ROOT);
	/* those that others refer to come first in the list */
	for (int i = nsubplans - 1; i >= 0; i--)
	{
		cell = list_nth_cell(stmt->subplans, i);
		if (lfirst(cell) != NULL)
			walk_plan(&walk, (Plan **) &lfirst(cell),
					  walk.subplan_flags[i] < 0 ? ALBERT_NODE_EARLY : walk.subplan_flags[i]);
	}
	if (!walk.changed)
		return;
	mark_parallel(&stmt->planTree, &below_gather);
	foreach(cell, stmt->subplans)
	{
		if (lfirst(cell) != NULL)
			mark_parallel((Plan **) &lfirst(cell), &below_gather);
	}
}

/* ---------- hooks ---------- */

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
	cost = AlbertPlanOtherCost(stmt);
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
	confine_jit(stmt);
	if (albert_enable_batching)
		AlbertPlanBatch(stmt);
}

static PlannedStmt *
plan_statement(ALBERT_PLANNER_ARGS)
{
	bool		seen_before = calls_seen;
	PlannedStmt *stmt;

	calls_seen = false;
	planner_depth++;
	PG_TRY();
	{
		stmt = previous_planner != NULL
			? previous_planner(ALBERT_PLANNER_PASS)
			: standard_planner(ALBERT_PLANNER_PASS);
		if (calls_seen)
			finish_plan(stmt);
	}
	PG_FINALLY();
	{
		planner_depth--;
		calls_seen = seen_before;
	}
	PG_END_TRY();
	stmt->jitFlags |= ALBERT_PLAN_SEEN;
	return stmt;
}

typedef struct CallSearch
{
	AlbertLift	lift;
	bool		found;
} CallSearch;

static bool
modify_has_call(AlbertLift *lift, const ModifyTable *modify)
{
	ListCell   *list;
	ListCell   *cell;

	foreach(list, AlbertMergeActionLists(modify))
	{
		foreach(cell, (List *) lfirst(list))
		{
			if (AlbertHasCall(lift, (Node *) ((MergeAction *) lfirst(cell))->targetList))
				return true;
		}
	}
	return AlbertHasCall(lift, (Node *) modify->returningLists);
}

static void
search_calls(Plan **child, void *context)
{
	CallSearch *search = context;

	if (search->found || *child == NULL)
		return;
	search->found = AlbertHasCall(&search->lift, (Node *) (*child)->targetlist) ||
		AlbertHasCall(&search->lift, (Node *) (*child)->qual) ||
		(IsA(*child, ModifyTable) && modify_has_call(&search->lift, (ModifyTable *) *child)) ||
		((IsA(*child, NestLoop) || IsA(*child, MergeJoin) || IsA(*child, HashJoin)) &&
		 AlbertHasCall(&search->lift, (Node *) ((Join *) *child)->joinqual));
	if (!search->found)
		AlbertPlanChildren(*child, search_calls, context);
}

/* A plan that planner_hook did not see. */
static void
catch_up(QueryDesc *desc)
{
	CallSearch	search = {.lift = {.stmt = desc->plannedstmt}};
	MemoryContext old;
	ListCell   *cell;

	search_calls(&desc->plannedstmt->planTree, &search);
	foreach(cell, desc->plannedstmt->subplans)
		search_calls((Plan **) &lfirst(cell), &search);
	if (!search.found)
		return;
	old = MemoryContextSwitchTo(GetMemoryChunkContext(desc));
	desc->plannedstmt = copyObject(desc->plannedstmt);
	finish_plan(desc->plannedstmt);
	MemoryContextSwitchTo(old);
}

static void
start_executor(QueryDesc *desc, int eflags)
{
	int			begun = AlbertNodeBegun();

	if (plans_missed && !IsParallelWorker() && desc->plannedstmt->planTree != NULL &&
		(desc->plannedstmt->jitFlags & ALBERT_PLAN_SEEN) == 0)
		catch_up(desc);
	if (previous_executor_start != NULL)
		previous_executor_start(desc, eflags);
	else
		standard_ExecutorStart(desc, eflags);
	if (AlbertNodeBegun() != begun)
		AlbertNodeLinkLimits(desc->planstate);
}

static void
run_executor(ALBERT_EXECUTOR_RUN_ARGS)
{
	albert_executor_runs++;
	/* only a run that may stop before the last row is of interest */
	if (count == 0)
	{
		if (previous_executor_run != NULL)
			previous_executor_run(ALBERT_EXECUTOR_RUN_PASS);
		else
			standard_ExecutorRun(ALBERT_EXECUTOR_RUN_PASS);
		return;
	}
	AlbertRunPush(queryDesc, count);
	PG_TRY();
	{
		if (previous_executor_run != NULL)
			previous_executor_run(ALBERT_EXECUTOR_RUN_PASS);
		else
			standard_ExecutorRun(ALBERT_EXECUTOR_RUN_PASS);
	}
	PG_FINALLY();
	{
		AlbertRunPop();
	}
	PG_END_TRY();
}

void
AlbertNodeInit(void)
{
	RegisterCustomScanMethods(&albert_scan_methods);
	AlbertPlanCostInit();
	previous_planner = planner_hook;
	planner_hook = plan_statement;
	previous_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	previous_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = run_executor;
}
