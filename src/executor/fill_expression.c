/*
 * fill_expression.c
 *	  Expressions over the row that a call of a fill gives.
 *
 * They become parts of the fill's statements, which run with the privileges of
 * who calls.  Here it is seen that such a text is one expression and nothing
 * else, so that it means the same in each of them, and that it may be
 * evaluated as often as the fill likes.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"

#include "executor/fill_internal.h"

/* The place of an error is one in the expression, not in the call. */
static void
place_error(void *query)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(query);
	}
}

static List *
parse(char *query)
{
	ErrorContextCallback context = {.callback = place_error, .arg = query, .previous = error_context_stack};
	List	   *statements;

	error_context_stack = &context;
	statements = raw_parser(query, RAW_PARSE_DEFAULT);
	error_context_stack = context.previous;
	return statements;
}

/* Is this SELECT and one value without a name, and no other part of a query? */
static bool
is_one_value(List *statements)
{
	SelectStmt *select;
	SelectStmt *bare = makeNode(SelectStmt);

	if (list_length(statements) != 1)
		return false;
	select = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
	if (!IsA(select, SelectStmt) || list_length(select->targetList) != 1)
		return false;
	bare->targetList = select->targetList;
	return equal(select, bare) && linitial_node(ResTarget, select->targetList)->name == NULL;
}

static void
require_one_value(const char *argument, const char *expression)
{
	if (!is_one_value(parse(psprintf("SELECT %s", expression))))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s must be one expression over the row, not \"%s\"", argument, expression)));
}

/* What is found to do must be the same row after row, and statement after statement. */
static void
require_stable(SPIPlanPtr plan)
{
	CachedPlanSource *statement = linitial(SPI_plan_get_plan_sources(plan));
	Query	   *query = linitial_node(Query, statement->query_list);

	if (contain_volatile_functions((Node *) query->targetList) ||
		contain_volatile_functions(query->jointree->quals))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("functions in source and condition must not be volatile"),
				 errdetail("They are evaluated several times for a row.")));
}

void
AlbertExpressionRequire(const FillRun *run)
{
	const AlbertFill *fill = run->fill;
	SPIPlanPtr	plan;

	if (fill->source_is_column && fill->condition == NULL)
		return;
	if (!fill->source_is_column)
		require_one_value("source", fill->source);
	if (fill->condition != NULL)
		require_one_value("condition", fill->condition);
	plan = SPI_prepare(psprintf("SELECT %s FROM %s WHERE %s", AlbertRowSource(fill),
								AlbertRowTable(run, fill->relation), AlbertRowToDo(fill)), 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	require_stable(plan);
	SPI_freeplan(plan);
}

char *
AlbertRowTable(const FillRun *run, Oid table)
{
	char	   *name = get_rel_name(table);
	char	   *schema = get_namespace_name(get_rel_namespace(table));

	/* the table that is called for is not locked while the call is looked at */
	if (name == NULL || schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", table)));
	return psprintf("ONLY %s AS %s", quote_qualified_identifier(schema, name), quote_identifier(run->table_name));
}

/* As text also where it is asked for being NULL: a row that has a NULL in it is a text. */
char *
AlbertRowSource(const AlbertFill *fill)
{
	/* a comment at the end ends with its line */
	return fill->source_is_column ? psprintf("%s::pg_catalog.text", quote_identifier(fill->source))
		: psprintf("(%s\n)::pg_catalog.text", fill->source);
}

char *
AlbertRowToDo(const AlbertFill *fill)
{
	StringInfoData terms;

	initStringInfo(&terms);
	appendStringInfo(&terms, "%s IS NULL AND %s IS NOT NULL", quote_identifier(fill->target), AlbertRowSource(fill));
	if (fill->errors != NULL)
		appendStringInfo(&terms, " AND %s IS NULL", quote_identifier(fill->errors));
	if (fill->condition != NULL)
		appendStringInfo(&terms, " AND (%s\n)", fill->condition);
	return terms.data;
}
