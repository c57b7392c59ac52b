/*
 * objects.c
 *	  Models as objects of the database: importing, creating, replacing,
 *	  renaming, dropping, exporting and granting them.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/fd.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "executor/text.h"
#include "store/object.h"

PG_FUNCTION_INFO_V1(albert_import_file);
PG_FUNCTION_INFO_V1(albert_import_directory);
PG_FUNCTION_INFO_V1(albert_create_model);
PG_FUNCTION_INFO_V1(albert_replace_model);
PG_FUNCTION_INFO_V1(albert_rename_model);
PG_FUNCTION_INFO_V1(albert_drop_model);
PG_FUNCTION_INFO_V1(albert_export_directory);
PG_FUNCTION_INFO_V1(albert_grant);
PG_FUNCTION_INFO_V1(albert_revoke);

/* ---- whose model it is ---- */

/* The table of a model, or of an import, that belongs to the current user. */
static Oid
own_table(const char *name)
{
	Oid			relation;

	AlbertModelNameCheck(name);
	relation = AlbertObjectRelation(name);
	if (!OidIsValid(relation) || !AlbertObjectIsVisible(relation))
		AlbertModelMissing(name);
	if (!AlbertObjectIsOwn(relation))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of model \"%s\"", name)));
	return relation;
}

static void
require_role(Oid role, const char *what)
{
	if (!superuser() && !has_privs_of_role(GetUserId(), role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to %s", what),
				 errdetail("Only members of the role \"%s\" may do this.", GetUserNameFromId(role, false))));
}

static void
require_absolute(char *directory)
{
	if (!is_absolute_path(directory))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is not an absolute directory name", directory)));
	canonicalize_path(directory);
}

/* ---- importing ---- */

/*
 * albert_import_file(model, path, part, "offset" = -1): the bytes that the file
 * has then.  A part that is there already, whole, is left as it is, so that a
 * client which does not know whether its last call arrived may repeat it.
 */
Datum
albert_import_file(PG_FUNCTION_ARGS)
{
	char	   *path = AlbertCString(PG_GETARG_DATUM(1));
	bytea	   *part = PG_GETARG_BYTEA_PP(2);
	int64		offset = PG_GETARG_INT64(3);
	int64		size = VARSIZE_ANY_EXHDR(part);
	Relation	table = AlbertImportBegin(AlbertCString(PG_GETARG_DATUM(0)));
	int64		end = AlbertObjectFileEnd(table, path);
	bool		fresh = end < 0;

	end = Max(end, 0);
	if (offset >= 0 && !fresh && offset <= end - size)
	{
		table_close(table, NoLock);
		PG_RETURN_INT64(end);
	}
	if (offset >= 0 && offset != end)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the part of file \"%s\" does not continue it", path),
				 errdetail("The file has %lld bytes so far, and the part begins at %lld.",
						   (long long) end, (long long) offset)));
	if (fresh || size > 0)
		AlbertImportAppend(table, path, end, VARDATA_ANY(part), size);
	table_close(table, NoLock);
	PG_RETURN_INT64(end + size);
}

static void
import_one(Relation table, const char *file, const char *path, char *buffer)
{
	int			fd = OpenTransientFile(file, O_RDONLY | PG_BINARY);
	int64		offset = 0;
	ssize_t		got;

	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", file)));
	do
	{
		got = read(fd, buffer, ALBERT_FILE_PART_BYTES);
		if (got < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not read file \"%s\": %m", file)));
		if (got > 0 || offset == 0)
			AlbertImportAppend(table, path, offset, buffer, got);
		offset += got;
	} while (got > 0);
	CloseTransientFile(fd);
}

/* Files below a directory; links lead where they lead, hidden files are left out. */
static int
import_below(Relation table, const char *directory, const char *base, char *buffer)
{
	DIR		   *dir = AllocateDir(directory);
	struct dirent *entry;
	int			n = 0;

	while ((entry = ReadDir(dir, directory)) != NULL)
	{
		char	   *file = psprintf("%s/%s", directory, entry->d_name);
		char	   *path = base[0] == '\0' ? pstrdup(entry->d_name) : psprintf("%s/%s", base, entry->d_name);
		struct stat st;

		CHECK_FOR_INTERRUPTS();
		if (entry->d_name[0] == '.')
			continue;
		if (stat(file, &st) != 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not stat file \"%s\": %m", file)));
		if (S_ISDIR(st.st_mode))
			n += import_below(table, file, path, buffer);
		else if (S_ISREG(st.st_mode))
		{
			import_one(table, file, path, buffer);
			n++;
		}
	}
	FreeDir(dir);
	return n;
}

/* albert_import_directory(model, directory): how many files. */
Datum
albert_import_directory(PG_FUNCTION_ARGS)
{
	char	   *directory = AlbertCString(PG_GETARG_DATUM(1));
	Relation	table;
	int			n;

	require_role(ROLE_PG_READ_SERVER_FILES, "read files of the server");
	require_absolute(directory);
	table = AlbertImportBegin(AlbertCString(PG_GETARG_DATUM(0)));
	n = import_below(table, directory, "", palloc(ALBERT_FILE_PART_BYTES));
	table_close(table, NoLock);
	PG_RETURN_INT32(n);
}

/* ---- creating ---- */

/* The options among the arguments, by their names: members of a JSON object. */
static char *
options_json(FunctionCallInfo fcinfo, int first)
{
	static const char *const names[] = {
		"directory", "precision", "do_lower_case", "keep_accents", "strip_accents", "max_length", "overflow",
		"pooling", "normalized", "prompt"
	};
	StringInfoData json;

	initStringInfo(&json);
	for (int i = 0; i < lengthof(names); i++)
	{
		if (PG_ARGISNULL(first + i))
			continue;
		if (json.len > 0)
			appendStringInfoString(&json, ", ");
		escape_json(&json, names[i]);
		appendStringInfoString(&json, ": ");
		if (get_fn_expr_argtype(fcinfo->flinfo, first + i) == TEXTOID)
			escape_json(&json, AlbertCString(PG_GETARG_DATUM(first + i)));
		else if (get_fn_expr_argtype(fcinfo->flinfo, first + i) == BOOLOID)
			appendStringInfoString(&json, PG_GETARG_BOOL(first + i) ? "true" : "false");
		else
			appendStringInfo(&json, "%d", PG_GETARG_INT32(first + i));
	}
	return json.data;
}

#define COMMENT_ARGUMENT 11

/* CALL albert_create_model(model, directory, options...) */
Datum
albert_create_model(PG_FUNCTION_ARGS)
{
	char	   *name;
	char	   *directory = PG_ARGISNULL(1) ? NULL : AlbertCString(PG_GETARG_DATUM(1));

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the model must not be null")));
	name = AlbertCString(PG_GETARG_DATUM(0));
	AlbertModelNameCheck(name);
	if (directory == NULL)
		(void) own_table(name);
	else
	{
		AlbertModelNameCheck(directory);
		AlbertRequireDirectories(directory);
		if (OidIsValid(AlbertObjectRelation(name)))
			(void) own_table(name);
	}
	AlbertImportEnd(AlbertImportBegin(name), directory, options_json(fcinfo, 1));
	if (!PG_ARGISNULL(COMMENT_ARGUMENT))
		AlbertObjectCommand(psprintf("COMMENT ON TABLE %s IS %s", AlbertObjectQuoted(name),
									 quote_literal_cstr(AlbertCString(PG_GETARG_DATUM(COMMENT_ARGUMENT)))));
	PG_RETURN_VOID();
}

/* ---- changing ---- */

Datum
albert_drop_model(PG_FUNCTION_ARGS)
{
	char	   *name = AlbertCString(PG_GETARG_DATUM(0));
	Oid			relation = own_table(name);
	AlbertObject object;
	char	   *description;

	/* what of it lies in shared memory goes with it; also a table that cannot be read can be dropped */
	if (AlbertObjectProblem(relation, name, &description, &object) == NULL && description != NULL)
		AlbertUnloadAtCommit(object.identity);
	AlbertObjectChanged(relation);
	AlbertObjectCommand(psprintf("DROP TABLE %s", AlbertObjectQuoted(name)));
	PG_RETURN_VOID();
}

Datum
albert_rename_model(PG_FUNCTION_ARGS)
{
	char	   *name = AlbertCString(PG_GETARG_DATUM(0));
	char	   *new_name = AlbertCString(PG_GETARG_DATUM(1));
	Oid			relation = own_table(name);

	AlbertModelNameCheck(new_name);
	if (OidIsValid(AlbertObjectRelation(new_name)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("the name \"%s\" is not available for a model", new_name)));
	AlbertObjectCommand(psprintf("ALTER TABLE %s RENAME TO %s", AlbertObjectQuoted(name), quote_identifier(new_name)));
	AlbertObjectChanged(relation);
	PG_RETURN_VOID();
}

static void
change_grant(FunctionCallInfo fcinfo, const char *change, const char *direction)
{
	char	   *name = AlbertCString(PG_GETARG_DATUM(0));
	char	   *role = NameStr(*PG_GETARG_NAME(1));

	(void) own_table(name);
	AlbertObjectCommand(psprintf("%s SELECT ON TABLE %s %s %s", change, AlbertObjectQuoted(name), direction,
								 strcmp(role, "public") == 0 ? "PUBLIC" : quote_identifier(role)));
}

Datum
albert_grant(PG_FUNCTION_ARGS)
{
	change_grant(fcinfo, "GRANT", "TO");
	PG_RETURN_VOID();
}

Datum
albert_revoke(PG_FUNCTION_ARGS)
{
	change_grant(fcinfo, "REVOKE", "FROM");
	PG_RETURN_VOID();
}

/* albert_export_directory(model, directory): a directory on the server, made by this. */
Datum
albert_export_directory(PG_FUNCTION_ARGS)
{
	char	   *name = AlbertCString(PG_GETARG_DATUM(0));
	char	   *directory = AlbertCString(PG_GETARG_DATUM(1));
	AlbertObject object;

	require_role(ROLE_PG_WRITE_SERVER_FILES, "write files of the server");
	AlbertModelNameCheck(name);
	if (!AlbertObjectFind(name, &object))
		AlbertModelMissing(name);
	if (object.directory[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("model \"%s\" has its files in a directory", name)));
	require_absolute(directory);
	if (MakePGDirectory(directory) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", directory)));
	if (object.base[0] != '\0')
		AlbertHeadExport(name, directory);
	else
		AlbertObjectExport(object.relation, name, directory);
	PG_RETURN_VOID();
}

/* ---- replacing ---- */

/* The text that a query gives; NULL: none. */
static char *
query_text(const char *query)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *text = NULL;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute(query, false, 1) == SPI_OK_SELECT && SPI_processed == 1)
		text = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (text != NULL)
		text = MemoryContextStrdup(context, text);
	SPI_finish();
	return text;
}

/* Tell what holds results of the old model; schema: the extension's, quoted. */
static void
tell_dependents(const char *name, const char *schema)
{
	char	   *model = quote_literal_cstr(name);
	char	   *list = query_text(psprintf(
		"SELECT string_agg(what, ', ' ORDER BY what) FROM ("
		"SELECT format('column %%s.%%I', relation, \"column\") AS what FROM %s.albert_columns "
		"WHERE %s = ANY (string_to_array(model, ', ')) "
		"UNION ALL SELECT format('index %%s', indexrelid::regclass) FROM pg_index "
		"WHERE %s = ANY (%s.albert_called_models(indexprs)) OR %s = ANY (%s.albert_called_models(indpred))) AS d",
		schema, model, model, schema, model, schema));

	if (list != NULL)
		ereport(NOTICE,
				(errmsg("results of the replaced model \"%s\" are kept", name),
				 errdetail("In %s.", list),
				 errhint("Compute generated columns anew by UPDATE, and indexes by REINDEX.")));
}

/* The privileges of a table for another one, whose name is quoted. */
static void
copy_grants(Oid from, const char *to)
{
	char	   *commands = query_text(psprintf(
		"SELECT pg_catalog.string_agg(pg_catalog.format('GRANT %%s ON TABLE ', privilege_type) || %s || ' TO ' || "
		"CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE "
		"pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END || "
		"CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, '; ') "
		"FROM pg_catalog.pg_class AS c, pg_catalog.aclexplode(c.relacl) "
		"WHERE c.oid = %u AND grantee <> c.relowner", quote_literal_cstr(to), from));

	if (commands != NULL)
		AlbertObjectCommand(commands);
}

/*
 * albert_replace_model(model, by): the files of "by", an import or a model,
 * under the name of another, whose owner, privileges and, of an import, options
 * it gets.
 */
Datum
albert_replace_model(PG_FUNCTION_ARGS)
{
	char	   *name = AlbertCString(PG_GETARG_DATUM(0));
	char	   *by = AlbertCString(PG_GETARG_DATUM(1));
	Oid			schema = get_func_namespace(fcinfo->flinfo->fn_oid);
	char	   *quoted = AlbertObjectQuoted(by);
	Oid			old = own_table(name);
	Oid			new = own_table(by);
	AlbertObject replaced;
	AlbertObject object;

	if (old == new)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a model cannot be replaced by itself")));
	/* as in AlbertImportBegin */
	PreventCommandIfReadOnly("ALTER TABLE");
	LockRelationOid(old, ShareRowExclusiveLock);
	if (!AlbertObjectRead(old, name, &replaced))
		AlbertModelMissing(name);
	if (!AlbertObjectRead(new, by, &object))
		AlbertImportEnd(AlbertImportBegin(by), NULL, AlbertObjectOptions(&replaced));
	AlbertUnloadAtCommit(replaced.identity);
	copy_grants(old, quoted);
	AlbertObjectCommand(psprintf("ALTER TABLE %s OWNER TO %s", quoted,
								 quote_identifier(GetUserNameFromId(AlbertObjectOwner(old), false))));
	AlbertObjectCommand(psprintf("DROP TABLE %s", AlbertObjectQuoted(name)));
	AlbertObjectCommand(psprintf("ALTER TABLE %s RENAME TO %s", quoted, quote_identifier(name)));
	AlbertObjectChanged(new);
	tell_dependents(name, quote_identifier(get_namespace_name(schema)));
	PG_RETURN_VOID();
}
