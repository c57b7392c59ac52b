/*
 * cost.c
 *	  What albert calls cost the planner, and parallel workers for tables that
 *	  are small on disk but long to compute.
 *
 * The planner's unit is the read of a page, about 10 microseconds of memory
 * traffic.  Models differ by a factor of hundreds, and which one a call uses
 * is known when it runs; the estimate is for a small one, so that it rather
 * errs towards plans that would be right without any function.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "parser/parsetree.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "executor/rewrite/cost.h"
#include "executor/task.h"

#define COST_PER_TOKEN_ENCODED		4.0
#define COST_PER_TOKEN_TOKENIZED	0.04
#define COST_PER_CALL				0.1

/* A worker more for so much work, in multiples of what starting it costs. */
#define WORK_BY_WORKER				10.0

/* Texts that the planner cannot look into. */
#define WIDTH_UNKNOWN				100.0

/* ---------- width of texts ---------- */

/* Bytes of a table's out-of-line values by row; statistics count just the pointers to them. */
static double
toasted_width(Oid table)
{
	Relation	relation;
	Oid			toast;
	double		tuples;
	BlockNumber pages = 0;

	/* whoever plans a query over the table has it locked */
	relation = try_relation_open(table, NoLock);
	if (relation == NULL)
		return 0;
	toast = relation->rd_rel->reltoastrelid;
	tuples = relation->rd_rel->reltuples;
	relation_close(relation, NoLock);
	if (!OidIsValid(toast) || tuples <= 0)
		return 0;
	relation = try_relation_open(toast, AccessShareLock);
	if (relation == NULL)
		return 0;
	pages = RelationGetNumberOfBlocks(relation);
	relation_close(relation, AccessShareLock);
	return (double) pages * BLCKSZ / tuples;
}

/* Average bytes of a column of a base relation; 0: not known. */
static double
column_width(PlannerInfo *root, const Var *var)
{
	RangeTblEntry *rte;
	double		width;

	if (root == NULL || var->varlevelsup != 0 || var->varno <= 0 ||
		var->varno >= root->simple_rel_array_size)
		return 0;
	rte = root->simple_rte_array[var->varno];
	if (rte == NULL || rte->rtekind != RTE_RELATION || var->varattno <= 0)
		return 0;
	width = get_attavgwidth(rte->relid, var->varattno);
	if (width > 0 && rte->relkind == RELKIND_RELATION)
		width += toasted_width(rte->relid);
	return width;
}

static double
constant_width(const Const *constant)
{
	if (constant->constisnull)
		return 0;
	return constant->constlen == -1
		? VARSIZE_ANY_EXHDR(DatumGetPointer(constant->constvalue))
		: sizeof(Datum);
}

typedef struct WidthSum
{
	PlannerInfo *root;
	double		bytes;
	bool		known;
} WidthSum;

/* A text is about as long as the texts it is made of together. */
static bool
width_walker(Node *node, void *context)
{
	WidthSum   *sum = context;
	double		width = 0;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
		width = column_width(sum->root, (Var *) node);
	else if (IsA(node, Const))
		width = constant_width((Const *) node);
	else
		return expression_tree_walker(node, width_walker, context);
	sum->bytes += width;
	sum->known = sum->known || width > 0;
	return false;
}

static double
text_width(PlannerInfo *root, Node *expr)
{
	WidthSum	sum = {.root = root};

	(void) width_walker(expr, &sum);
	return sum.known ? sum.bytes : WIDTH_UNKNOWN;
}

/* ---------- cost of a call ---------- */

static int
argument_tokens(PlannerInfo *root, const List *args, int arg)
{
	if (arg < 0)
		return 0;
	if (arg >= list_length(args))
		return AlbertEstimateTokens((size_t) WIDTH_UNKNOWN);
	return AlbertEstimateTokens((size_t) Min(text_width(root, list_nth(args, arg)), 1e8));
}

double
AlbertCallCost(PlannerInfo *root, Oid function, const FuncExpr *call)
{
	AlbertSignature *signature = AlbertSignatureOf(function);
	const List *args = call == NULL ? NIL : call->args;
	double		tokens;

	if (signature == NULL)
		return COST_PER_CALL;
	tokens = argument_tokens(root, args, signature->text) + argument_tokens(root, args, signature->pair);
	return COST_PER_CALL + tokens *
		(signature->task->text_only ? COST_PER_TOKEN_TOKENIZED : COST_PER_TOKEN_ENCODED);
}

/* ---------- workers ---------- */

typedef struct WorkSum
{
	PlannerInfo *root;
	Relids		relids;			/* of the table, and its parent's if it is a partition */
	double		by_row;
} WorkSum;

/* Calls on a table's columns anywhere in the query. */
static bool
work_walker(Node *node, void *context)
{
	WorkSum    *sum = context;

	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid >= FirstNormalObjectId)
	{
		FuncExpr   *call = (FuncExpr *) node;
		AlbertSignature *signature = AlbertSignatureOf(call->funcid);

		if (signature != NULL && bms_overlap(pull_varnos(sum->root, node), sum->relids))
			sum->by_row += AlbertCallCost(sum->root, call->funcid, call);
	}
	if (IsA(node, Query))
		return false;
	return expression_tree_walker(node, work_walker, context);
}

static double
work_by_row(PlannerInfo *root, RelOptInfo *rel)
{
	WorkSum		sum = {.root = root};

	sum.relids = rel->top_parent_relids != NULL
		? bms_add_member(bms_copy(rel->top_parent_relids), rel->relid)
		: bms_make_singleton(rel->relid);
	(void) work_walker((Node *) root->parse->targetList, &sum);
	(void) work_walker((Node *) root->parse->jointree, &sum);
	(void) work_walker(root->parse->havingQual, &sum);
	return sum.by_row;
}

void
AlbertCostWorkers(ALBERT_BASE_REL_ARGS)
{
	const RangeTblEntry *entry = planner_rt_fetch(rel->relid, root);
	double		workers;

	if (entry->rtekind != RTE_RELATION || entry->inh || !root->glob->parallelModeOK ||
		max_parallel_workers_per_gather == 0 ||
		rel->rel_parallel_workers != -1 || rel->pages < 2 || rel->tuples <= 0)
		return;
	workers = rel->tuples * work_by_row(root, rel) /
		(WORK_BY_WORKER * Max(parallel_setup_cost, 1.0));
	/* a page is read by one process, and the leader is one of them */
	workers = Min(workers, (double) rel->pages - 1);
	workers = Min(workers, (double) max_parallel_workers_per_gather);
	/* the planner's own choice is by size */
	if (workers >= 1 && (int) workers > compute_parallel_worker(rel, rel->pages, -1, max_parallel_workers_per_gather))
		rel->rel_parallel_workers = (int) workers;
}
