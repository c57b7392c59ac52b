/*
 * object_write.c
 *	  Writing model tables: imports and their end.
 *
 * SQL runs as the current user, whose privileges decide; rows are inserted as
 * the table's owner, with whose triggers nobody else has then to do.
 */
#include "store/registry.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"

/* ---- SQL ---- */

char *
AlbertObjectQuoted(const char *name)
{
	return psprintf("\"%s\".%s", ALBERT_SCHEMA, quote_identifier(name));
}

static void
set_search_path(void)
{
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

void
AlbertObjectCommand(const char *format,...)
{
	int			level = NewGUCNestLevel();
	StringInfoData command;
	va_list		args;
	int			needed;
	int			result;

	initStringInfo(&command);
	do
	{
		va_start(args, format);
		needed = appendStringInfoVA(&command, format, args);
		va_end(args);
		if (needed > 0)
			enlargeStringInfo(&command, needed);
	} while (needed > 0);
	set_search_path();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	result = SPI_execute(command.data, false, 0);
	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", command.data, SPI_result_code_string(result));
	SPI_finish();
	AtEOXact_GUC(true, level);
	pfree(command.data);
}

/* A row, inserted as the table's owner. */
static void
insert_row(Relation table, const char *path, int64 offset, const char *data, Size size)
{
	Oid			types[] = {TEXTOID, INT8OID, BYTEAOID};
	bytea	   *bytes = palloc(VARHDRSZ + size);
	Datum		values[3];
	char	   *command;
	Oid			user;
	int			context;
	int			level = NewGUCNestLevel();
	int			result;

	SET_VARSIZE(bytes, VARHDRSZ + size);
	memcpy(VARDATA(bytes), data, size);
	values[0] = CStringGetTextDatum(path);
	values[1] = Int64GetDatum(offset);
	values[2] = PointerGetDatum(bytes);
	command = psprintf("INSERT INTO %s (path, \"offset\", data) VALUES ($1, $2, $3)",
					   AlbertObjectQuoted(RelationGetRelationName(table)));
	set_search_path();
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(table->rd_rel->relowner, context | SECURITY_RESTRICTED_OPERATION);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	result = SPI_execute_with_args(command, 3, types, values, NULL, false, 0);
	if (result != SPI_OK_INSERT)
		elog(ERROR, "could not write to a model's table: %s", SPI_result_code_string(result));
	SPI_finish();
	SetUserIdAndSecContext(user, context);
	AtEOXact_GUC(true, level);
	pfree(bytes);
	pfree(command);
}

/* ---- imports ---- */

static void
make_table(const char *name)
{
	Oid			schema = get_namespace_oid(ALBERT_SCHEMA, false);
	char	   *table = AlbertObjectQuoted(name);
	Datum		unique;

	if (!AlbertMayCreateIn(schema, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to create models"),
				 errhint("An administrator can allow it: GRANT CREATE ON SCHEMA \"%s\" TO ...", ALBERT_SCHEMA)));
	/* The index's name is none that a model could have. */
	unique = DirectFunctionCall1(gen_random_uuid, (Datum) 0);
	AlbertObjectCommand("CREATE TABLE %s (path text COLLATE \"C\" NOT NULL, "
						"\"offset\" bigint NOT NULL CHECK (\"offset\" >= 0), "
						"data bytea NOT NULL CHECK (octet_length(data) <= %d), "
						"CONSTRAINT \".%s\" PRIMARY KEY (path, \"offset\")) USING heap",
						table, ALBERT_PART_BYTES, DatumGetCString(DirectFunctionCall1(uuid_out, unique)));
	AlbertObjectCommand("ALTER TABLE %s ALTER COLUMN data SET STORAGE EXTERNAL", table);
	pfree(table);
}

Relation
AlbertImportBegin(const char *name)
{
	Oid			relation;
	AlbertObject object;
	Relation	table;

	AlbertModelNameCheck(name);
	relation = AlbertObjectRelation(name);
	if (!OidIsValid(relation))
	{
		make_table(name);
		relation = AlbertObjectRelation(name);
	}
	/* whoever may not even see it is not told that it exists by another error than of somebody who may not create */
	if (!AlbertObjectIsOwn(relation))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the name \"%s\" is not available for a model", name),
				 errhint("Choose another name.")));
	/* a standby would complain of the lock */
	PreventCommandIfReadOnly("INSERT");
	table = table_open(relation, ShareRowExclusiveLock);
	if (AlbertObjectRelation(name) != relation)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has been changed by another session", name)));
	if (AlbertObjectRead(relation, name, &object))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("model \"%s\" exists already", name),
				 errhint("Import under another name and replace it: SELECT albert_replace_model('%s', 'another "
						 "name').", name)));
	return table;
}

void
AlbertImportAppend(Relation table, const char *path, int64 offset, const char *data, Size size)
{
	Size		done = 0;

	if (!AlbertObjectPathIsValid(path))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid name of a model's file: \"%s\"", path),
				 errdetail("It is relative to the model's directory, without \".\" and \"..\".")));
	do
	{
		Size		part = Min(size - done, ALBERT_PART_BYTES);

		CHECK_FOR_INTERRUPTS();
		insert_row(table, path, offset + done, data + done, part);
		done += part;
	} while (done < size);
	CommandCounterIncrement();
}

/* The SHA-256 of what the files make up, which are checked by that as far as opening a model checks them. */
static void
take_digest(Relation table, const char *directory, uint8 *digest)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(old, "albert model import", ALLOCSET_DEFAULT_SIZES);
	AlbertSource *source;
	AlbertStatus status;
	AlbertArena arena;
	bool		ok;

	AlbertArenaInitContext(&arena, context);
	MemoryContextSwitchTo(context);
	if (directory != NULL)
		ok = AlbertSourceOpen(directory, &arena, &source, &status);
	else
		ok = AlbertObjectOpen(RelationGetRelid(table), RelationGetRelationName(table), &arena, &source, &status);
	if (!ok)
		AlbertReportLoad(&status);
	PG_TRY();
	{
		AlbertDigest(source, digest);
	}
	PG_FINALLY();
	{
		AlbertSourceClose(source);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
AlbertImportFinish(Relation table, const uint8 *digest, const char *options)
{
	char	   *name = pstrdup(RelationGetRelationName(table));
	AlbertObject object;
	StringInfoData description;

	initStringInfo(&description);
	appendStringInfoString(&description, "{\"sha256\": \"");
	for (int i = 0; i < ALBERT_SHA256_LEN; i++)
		appendStringInfo(&description, "%02x", digest[i]);
	appendStringInfo(&description, "\"%s%s}", options[0] != '\0' ? ", " : "", options);
	AlbertObjectParse(name, description.data, true, &object);
	insert_row(table, "", 0, description.data, description.len);
	AlbertObjectChanged(RelationGetRelid(table));
	table_close(table, NoLock);

	/* what loading checks, and whether it can be loaded */
	AlbertStoreLoad(name);
	pfree(name);
}

void
AlbertImportEnd(Relation table, const char *directory, const char *options)
{
	char		path[ALBERT_PATH_LEN];
	uint8		digest[ALBERT_SHA256_LEN];

	if (directory != NULL && !AlbertModelDirectory(directory, path))
		AlbertModelMissing(directory);
	take_digest(table, directory != NULL ? path : NULL, digest);
	AlbertImportFinish(table, digest, options);
}

void
AlbertObjectChanged(Oid relation)
{
	CommandCounterIncrement();
	if (OidIsValid(relation))
		CacheInvalidateRelcacheByRelid(relation);
	AlbertForgetPlansAtCommit();
	CommandCounterIncrement();
}
