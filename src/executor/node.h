/*
 * node.h
 *	  Transparent batching: finished plans get a Custom Scan node where an
 *	  albert function is called on the rows of a plan.
 *
 * The node buffers rows of its child up to albert.batch_tokens, computes the
 * calls of all buffered rows by AlbertTaskRun, each distinct text once, and
 * then filters and projects row by row as the plan node below it would have
 * done.  What a query returns, which errors it raises and in which order it
 * evaluates what has side effects are the same with the node and without.
 * (One thing is not promised: when two rows of a query fail, one in a call and
 * a later one in another function below it, which of the two is reported.)
 */
#ifndef ALBERT_NODE_H
#define ALBERT_NODE_H

#include "postgres.h"

/* Called once by _PG_init: the hooks and the node's methods. */
extern void AlbertNodeInit(void);

/*
 * For the support function of the SQL functions (functions/support.c), which
 * the planner calls for every call it meets: this statement has one.
 */
extern void AlbertPlanningSeesCall(void);

/* What an execution of a call costs, in the planner's units; root may be NULL. */
struct PlannerInfo;
struct FuncExpr;
extern double AlbertCallCost(struct PlannerInfo *root, Oid function, const struct FuncExpr *call);

/* settings */
extern bool albert_enable_batching;

#endif							/* ALBERT_NODE_H */
