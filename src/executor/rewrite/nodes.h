/*
 * nodes.h
 *	  What PostgreSQL's plan nodes do, as far as it matters to who puts a node
 *	  between them: one row of the table in nodes.c each.
 */
#ifndef ALBERT_REWRITE_NODES_H
#define ALBERT_REWRITE_NODES_H

#include "postgres.h"

#include "nodes/plannodes.h"

/* Its target list may be evaluated above it, from the columns it is made of. */
#define ALBERT_PLAN_LIST_MOVES		0x0001
/* So may its last quals. */
#define ALBERT_PLAN_QUAL_MOVES		0x0002
/* Without a qual: it is asked for as many rows as it reads. */
#define ALBERT_PLAN_PASSES_ROWS		0x0004
/* It stops reading before the last row only when its own reader does. */
#define ALBERT_PLAN_READS_ON		0x0008
/* It reads all rows before it returns one. */
#define ALBERT_PLAN_READS_ALL		0x0010
/* It may raise errors beyond those of its expressions. */
#define ALBERT_PLAN_MAY_FAIL		0x0020
/* It acts on the rows it reads, or nothing is known of it. */
#define ALBERT_PLAN_ACTS			0x0040
/* It can go back to a marked row whatever is below it. */
#define ALBERT_PLAN_KEEPS_MARKS		0x0080
/* It is a Join. */
#define ALBERT_PLAN_JOINS			0x0100

/* One plan node's. */
extern uint32 AlbertPlanFacts(const Plan *plan);

/* The expressions that it evaluates for its rows besides target list and qual. */
extern List *AlbertPlanExprs(const Plan *plan);

/* Call visit on the place of each child. */
typedef void (*AlbertPlanVisitor) (Plan **child, void *context);
extern void AlbertPlanChildren(Plan *plan, AlbertPlanVisitor visit, void *context);

/* Where the quals are that may be tested later, in the order they are tested; NULL: nowhere. */
extern List **AlbertPlanQuals(Plan *plan);

#endif							/* ALBERT_REWRITE_NODES_H */
