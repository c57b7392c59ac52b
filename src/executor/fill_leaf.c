/*
 * fill_leaf.c
 *	  The table that a fill is at: locked and looked at anew in each of
 *	  its transactions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "executor/fill_internal.h"

#define LOCK_WAIT_MS	200

/* ---------- what a call can be for ---------- */

/*
 * Says what is wrong with a column before the first row would: one that is to
 * take values of a type, unless that is InvalidOid.
 */
static void
require_column(Oid table, const char *column, Oid values, const char *what)
{
	HeapTuple	tuple = SearchSysCacheAttName(table, column);
	Form_pg_attribute form;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", column, get_rel_name(table))));
	form = (Form_pg_attribute) GETSTRUCT(tuple);
	if (OidIsValid(values) && form->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" is a generated column", column),
				 errdetail("The server fills it whenever a row is written.")));
	/* a column that takes no value ends the call; only domains and casts have a say about single values */
	if (OidIsValid(values) && !can_coerce_type(1, &values, &form->atttypid, COERCION_ASSIGNMENT))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is of type %s but %s of type %s",
						column, format_type_be(form->atttypid), what, format_type_be(values))));
	ReleaseSysCache(tuple);
}

static void
require_columns(Oid table, const AlbertFill *fill)
{
	if (fill->source_is_column)
		require_column(table, fill->source, InvalidOid, NULL);
	require_column(table, fill->target, get_func_rettype(fill->function),
				   psprintf("albert_%s makes values", fill->task));
	if (fill->errors == NULL)
		return;
	require_column(table, fill->errors, TEXTOID, "errors are");
	if (strcmp(fill->errors, fill->target) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("errors and target must be different columns")));
}

/* Are the table's rows on other servers, in Citus's shards? */
static bool
is_distributed(Oid table)
{
	Oid			type = REGCLASSOID;
	Datum		argument = ObjectIdGetDatum(table);

	/* this table is Citus's own list, there and nowhere else */
	if (!OidIsValid(get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE)))
		return false;
	return SPI_execute_with_args("SELECT 1 FROM pg_catalog.pg_dist_partition "
								 "WHERE logicalrelid OPERATOR(pg_catalog.=) $1",
								 1, &type, &argument, NULL, true, 1) == SPI_OK_SELECT &&
		SPI_processed > 0;
}

char *
AlbertFillLeafRequire(Oid table, const AlbertFill *fill)
{
	char	   *name = get_rel_name(table);
	char		kind = get_rel_relkind(table);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", table)));
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", name),
				 kind == RELKIND_FOREIGN_TABLE
				 ? errhint("Call albert_embed_table on the server that has the rows.") : 0));
	if (is_distributed(table))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("albert_embed_table cannot fill the distributed table \"%s\" as a whole", name),
				 errdetail("Its rows are in shards, where they must be locked."),
				 errhint("Call it on each shard, with the same arguments and the model named: "
						 "SELECT * FROM run_command_on_shards(%s, "
						 "$$CALL albert_embed_table('%%s', ..., model => %s)$$).",
						 quote_literal_cstr(DatumGetCString(DirectFunctionCall1(regclassout, ObjectIdGetDatum(table)))),
						 quote_literal_cstr(fill->model))));
	require_columns(table, fill);
	return name;
}

/* ---------- of each transaction ---------- */

/*
 * The lock that an update takes.  An update of a partition also looks at what
 * it is a partition of; who drops or detaches it locks that first, so we do,
 * too, from the top down, lest each waits for the other.  The table that
 * somebody else has locked; invalid when there is none.
 */
static Oid
lock_unless_held(FillRun *run)
{
	List	   *ancestors = get_rel_relispartition(run->leaf) ? get_partition_ancestors(run->leaf) : NIL;

	for (int i = list_length(ancestors) - 1; i >= 0; i--)
	{
		if (!ConditionalLockRelationOid(list_nth_oid(ancestors, i), AccessShareLock))
			return list_nth_oid(ancestors, i);
	}
	return ConditionalLockRelationOid(run->leaf, RowExclusiveLock) ? InvalidOid : run->leaf;
}

/* Waiting ends the transaction, and so all locks, and what was known of ancestors: each try is a whole one. */
static void
lock_leaf(FillRun *run)
{
	FillWait   *wait = &run->table_wait;
	Oid			held;
	char	   *name;

	while (OidIsValid(held = lock_unless_held(run)))
	{
		AlbertTableHolder(held, &wait->holder);
		if (AlbertFillWait(run, wait, LOCK_WAIT_MS))
			continue;
		name = get_rel_name(run->leaf);
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not obtain lock on table \"%s\"", name != NULL ? name : run->table_name),
				 AlbertHolderDetail(&wait->holder),
				 AlbertHolderHint(&wait->holder)));
	}
	wait->seconds = 0;
}

void
AlbertFillLeafRequireFunction(const FillRun *run)
{
	Oid			function = run->fill->function;

	if (!SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function albert_%s does not exist any more", run->fill->task)));
	AlbertRequireExecute(function);
}

/* Nothing is known of the leaf's rows: it is another one, or has new storage (TRUNCATE, CLUSTER, ALTER TABLE, ...). */
static void
forget_rows(FillRun *run)
{
	HASHCTL		control = {.keysize = sizeof(RowVersion), .entrysize = sizeof(LeftRow), .hcxt = run->context};

	if (run->left != NULL)
		hash_destroy(run->left);
	run->left = hash_create("albert rows left out", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	/* it is not over with this pass */
	run->pass = (FillPass) {.rows = 1};
}

bool
AlbertFillLeafEnter(FillRun *run)
{
	Oid			table = run->fill->relation;
	Relation	leaf;
	bool		usable;

	lock_leaf(run);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" has been dropped while it was being filled", run->table_name)));
	leaf = try_relation_open(run->leaf, NoLock);
	if (leaf == NULL)
		return false;
	usable = leaf->rd_rel->relkind == RELKIND_RELATION && !RELATION_IS_OTHER_TEMP(leaf) &&
		(run->leaf == table || typeInheritsFrom(get_rel_type_id(run->leaf), get_rel_type_id(table)));
	if (usable)
	{
		AlbertFillLeafRequireFunction(run);
		require_columns(run->leaf, run->fill);
		/* names may become another table's at any time, so each statement says which table it means as well */
		run->table = AlbertRowTable(run, run->leaf);
		run->is_leaf = psprintf("tableoid OPERATOR(pg_catalog.=) %u::pg_catalog.oid", run->leaf);
		run->to_do = psprintf("%s AND %s", run->is_leaf, AlbertRowToDo(run->fill));
		strlcpy(run->leaf_name, RelationGetRelationName(leaf), NAMEDATALEN);
		if (OidIsValid(run->file) && run->file != leaf->rd_rel->relfilenode)
			forget_rows(run);
		run->file = leaf->rd_rel->relfilenode;
	}
	relation_close(leaf, NoLock);
	return usable;
}

void
AlbertFillLeafBegin(FillRun *run, Oid leaf)
{
	run->leaf = leaf;
	run->leaf_name[0] = '\0';
	run->file = InvalidOid;
	run->noted = 0;
	run->table_wait = run->row_wait = (FillWait) {0};
	forget_rows(run);
}
