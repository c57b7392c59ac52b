/*
 * albert.c
 *	  The library's beginning: settings and hooks.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "optimizer/pathnode.h"
#include "optimizer/planner.h"

#include "compat.h"
#include "executor/node/node.h"
#include "executor/rewrite/cost.h"
#include "executor/rewrite/rewrite.h"
#include "executor/task.h"
#include "functions/functions.h"
#include "store/store.h"

ALBERT_MODULE_MAGIC;

static const struct config_enum_entry overflow_options[] = {
	{"truncate", ALBERT_OVERFLOW_TRUNCATE, false},
	{"error", ALBERT_OVERFLOW_ERROR, false},
	{"window", ALBERT_OVERFLOW_WINDOW, false},
	{NULL, 0, false}
};

/* ---------- hooks: each does what was there before, and what the executor's rooms want ---------- */

static planner_hook_type next_planner = NULL;
static AlbertBaseRelHookType next_base_rel = NULL;
static ExecutorStart_hook_type next_executor_start = NULL;
static ExecutorRun_hook_type next_executor_run = NULL;

static PlannedStmt *
plan_statement(ALBERT_PLANNER_ARGS)
{
	return AlbertPlanStatement(next_planner, ALBERT_PLANNER_PASS);
}

static void
base_rel(ALBERT_BASE_REL_ARGS)
{
	if (next_base_rel != NULL)
		next_base_rel(ALBERT_BASE_REL_PASS);
	if (AlbertPlanningHasCalls())
		AlbertCostWorkers(ALBERT_BASE_REL_PASS);
}

static void
start_executor(QueryDesc *queryDesc, int eflags)
{
	AlbertPlanningCatchUp(queryDesc);
	if (next_executor_start != NULL)
		next_executor_start(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

static void
run_executor(ALBERT_EXECUTOR_RUN_ARGS)
{
	AlbertExecutorRun outer = albert_executor_run;

	albert_executor_run = (AlbertExecutorRun) {.estate = queryDesc->estate, .count = count};
	PG_TRY();
	{
		if (next_executor_run != NULL)
			next_executor_run(ALBERT_EXECUTOR_RUN_PASS);
		else
			standard_ExecutorRun(ALBERT_EXECUTOR_RUN_PASS);
	}
	PG_FINALLY();
	{
		albert_executor_run = outer;
	}
	PG_END_TRY();
}

static void
end_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		AlbertPlanningForget();
}

static void
set_hooks(void)
{
	next_planner = planner_hook;
	planner_hook = plan_statement;
	next_base_rel = albert_base_rel_hook;
	albert_base_rel_hook = base_rel;
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = run_executor;
	RegisterXactCallback(end_transaction, NULL);
	RegisterCustomScanMethods(&albert_scan_methods);
}

void
_PG_init(void)
{
	DefineCustomEnumVariable("albert.overflow",
							 "Sets what functions of the default model do with a text that is longer than it takes.",
							 NULL,
							 &albert_overflow,
							 ALBERT_OVERFLOW_TRUNCATE,
							 overflow_options,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("albert.batch_tokens",
							"Sets how many tokens are computed together.",
							NULL,
							&albert_batch_tokens,
							512, 16, 65536,
							PGC_USERSET, 0,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("albert.enable_batching",
							 "Computes the texts of many rows together.",
							 "Results are the same, only slower, when this is off.",
							 &albert_enable_batching,
							 true,
							 PGC_USERSET, GUC_EXPLAIN,
							 NULL, NULL, NULL);
	AlbertStoreInit();
	AlbertTasksInit();
	set_hooks();
	MarkGUCPrefixReserved("albert");
}
