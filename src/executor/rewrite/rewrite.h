/*
 * rewrite.h
 *	  Finished plans get batching nodes (executor/node) where an albert
 *	  function is called on the rows of a plan.
 *
 * A statement is looked at only when the planner met an albert function in it,
 * which the functions' support function tells (functions/tasks.c).
 */
#ifndef ALBERT_REWRITE_H
#define ALBERT_REWRITE_H

#include "postgres.h"

#include "executor/execdesc.h"
#include "nodes/plannodes.h"
#include "optimizer/planner.h"

#include "compat.h"
#include "executor/node/node.h"

/* ---- rewrite.c: for the hooks in albert.c ---- */

/* Run the planner: the plan that next, or PostgreSQL's own, makes gets its nodes. */
extern PlannedStmt *AlbertPlanStatement(planner_hook_type next, ALBERT_PLANNER_ARGS);

/* For the support function: the statement being planned has a call. */
extern void AlbertPlanningSeesCall(void);

/* Has it? */
extern bool AlbertPlanningHasCalls(void);

/* A plan about to be executed, should it have been made before the hooks were there. */
extern void AlbertPlanningCatchUp(QueryDesc *desc);

/* At the end of a transaction: from here on, all plans are made with the hooks. */
extern void AlbertPlanningForget(void);

/* ---- traits.c ---- */

/* Properties of expressions and plans; all false and empty to begin with. */
typedef struct AlbertTraits
{
	const PlannedStmt *stmt;
	bool		is_volatile;	/* evaluating it is an effect, or has a different result each time */
	bool		may_fail;		/* may raise an error for some value */
	bool		whole;			/* nodes below those that read all their input first matter, too */
	Bitmapset  *subplans;		/* seen already, by their number */
	bool		has_initplans;
	List	   *initplans;		/* the statement's, once they are asked for */
} AlbertTraits;

extern void AlbertExprTraits(Node *expr, AlbertTraits *traits);

/* Of what is evaluated when a row is read from a plan, but for the top node's own target list. */
extern void AlbertPlanTraits(Plan *plan, AlbertTraits *traits);

/* ---- lift.c ---- */

/* Who reads a plan's rows, and may stop doing so. */
typedef struct AlbertReader
{
	int			flags;			/* ALBERT_NODE_... */
	int			bound;			/* rows that a Limit asks for, if it gets just those it returns; -1: there is none */
} AlbertReader;

/* Its reader may stop at any row, as far as its own reader may. */
extern AlbertReader AlbertReaderOfSome(AlbertReader reader);

/* Put batching nodes on top of *place where that is possible. */
extern bool AlbertLiftCalls(const PlannedStmt *stmt, Plan **place, AlbertReader reader);

/*
 * Make calls among the arguments of aggregates below the Agg node; the reader is
 * of its child.  Those that have others in their arguments need another try.
 */
extern bool AlbertLiftAggregates(const PlannedStmt *stmt, Agg *agg, AlbertReader reader);

#endif							/* ALBERT_REWRITE_H */
