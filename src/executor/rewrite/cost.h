/*
 * cost.h
 *	  What albert calls cost the planner.
 */
#ifndef ALBERT_REWRITE_COST_H
#define ALBERT_REWRITE_COST_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "compat.h"

/* What an execution of a call costs, in the planner's units; root and call may be NULL. */
extern double AlbertCallCost(PlannerInfo *root, Oid function, const FuncExpr *call);

/* The hook on a table about to be planned: parallel workers where it is small and its calls are not. */
extern void AlbertCostWorkers(ALBERT_BASE_REL_ARGS);

#endif							/* ALBERT_REWRITE_COST_H */
