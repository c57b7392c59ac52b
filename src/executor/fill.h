/*
 * fill.h
 *	  Filling a column of a table by a task, batch by batch, each batch a
 *	  transaction of its own.
 */
#ifndef ALBERT_FILL_H
#define ALBERT_FILL_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct AlbertFill
{
	Oid			relation;
	const char *source;			/* a column's name, or an expression over the row, giving the text */
	bool		source_is_column;
	const char *target;			/* a column's name */
	const char *condition;		/* expression over the row: those to fill; NULL: all */
	const char *errors;			/* name of the column for the reasons of rows left out; NULL: none */
	const char *model;
	bool		default_model;	/* the call has named none: albert.overflow is followed as well */
	const char *task;			/* "embedding", "classify", ... */
	List	   *options;		/* of DefElem with strings: arguments of the function by name */
	Oid			function;		/* albert_TASK(content text, model text) */
	int			batch_tokens;	/* estimated tokens of a transaction */
} AlbertFill;

/*
 * Fill target where it is NULL and source is not, and errors is NULL.  Must be
 * called outside of a transaction block; strings must outlive transactions.
 * Rows locked by others are come back to; rows whose text the task refuses get
 * the reason in errors, or a WARNING, and are left NULL.
 */
extern void AlbertFillRun(const AlbertFill *fill);

#endif							/* ALBERT_FILL_H */
