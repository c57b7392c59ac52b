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
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/rel.h"

/* ---- SQL ---- */

char *
AlbertObjectQuoted(const char *name)
{
	return psprintf("\"%s\".%s", ALBERT_SCHEMA, quote_identifier(name));
}

/* Run a command with nothing but pg_catalog in the search path. */
static void
run(const char *command, int nargs, Oid *types, Datum *values)
{
	int			level = NewGUCNestLevel();
	int			result;

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	result = SPI_execute_with_args(command, nargs, types, values, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", command, SPI_result_code_string(result));
	SPI_finish();
	AtEOXact_GUC(true, level);
}

void
AlbertObjectCommand(const char *command)
{
	run(command, 0, NULL, NULL);
}

/* A row, inserted as the table's owner. */
static void
insert_row(Relation table, const char *path, int64 offset, const char *data, Size size)
{
	Oid			types[] = {TEXTOID, INT8OID, BYTEAOID};
	bytea	   *bytes = palloc(VARHDRSZ + size);
	Datum		values[] = {CStringGetTextDatum(path), Int64GetDatum(offset), PointerGetDatum(bytes)};
	char	   *command = psprintf("INSERT INTO %s (path, \"offset\", data) VALUES ($1, $2, $3)",
								   AlbertObjectQuoted(RelationGetRelationName(table)));
	Oid			user;
	int			context;

	SET_VARSIZE(bytes, VARHDRSZ + size);
	memcpy(VARDATA(bytes), data, size);
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(table->rd_rel->relowner, context | SECURITY_RESTRICTED_OPERATION);
	run(command, 3, types, values);
	SetUserIdAndSecContext(user, context);
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
	AlbertObjectCommand(psprintf("CREATE TABLE %s (path text COLLATE \"C\" NOT NULL, "
								 "\"offset\" bigint NOT NULL CHECK (\"offset\" >= 0), "
								 "data bytea NOT NULL CHECK (octet_length(data) <= %d), "
								 "CONSTRAINT \".%s\" PRIMARY KEY (path, \"offset\")) USING heap",
								 table, ALBERT_FILE_PART_BYTES,
								 DatumGetCString(DirectFunctionCall1(uuid_out, unique))));
	AlbertObjectCommand(psprintf("ALTER TABLE %s ALTER COLUMN data SET STORAGE EXTERNAL", table));
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
		Size		part = Min(size - done, ALBERT_FILE_PART_BYTES);

		CHECK_FOR_INTERRUPTS();
		insert_row(table, path, offset + done, data + done, part);
		done += part;
	} while (done < size);
	CommandCounterIncrement();
}

/*
 * What the files say, which are checked by that as far as opening a model checks
 * them: their SHA-256, and of a head its base as options.
 */
static char *
read_files(Relation table, const char *directory, const char *options, uint8 *digest)
{
	const char *name = RelationGetRelationName(table);
	const AlbertTrainedHead *head;
	AlbertSource *source;
	AlbertArena arena;
	StringInfoData all;

	initStringInfo(&all);
	appendStringInfoString(&all, options);
	AlbertArenaInitContext(&arena, CurrentMemoryContext);
	source = AlbertFilesOpen(directory, RelationGetRelid(table), name, &arena);
	AlbertDigest(source, digest);
	head = AlbertSourceHead(source);
	if (head != NULL && options[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" cannot have options", name),
				 errdetail("It is a trained head, which is computed as its base is.")));
	if (head != NULL)
	{
		appendStringInfoString(&all, "\"base\": ");
		escape_json(&all, head->base);
		appendStringInfoString(&all, ", \"base_sha256\": ");
		escape_json(&all, head->base_sha256);
	}
	AlbertSourceClose(source);
	return all.data;
}

void
AlbertImportEnd(Relation table, const char *directory, const char *options)
{
	char	   *name = pstrdup(RelationGetRelationName(table));
	char		path[ALBERT_PATH_LEN] = "";
	uint8		digest[ALBERT_SHA256_LEN];
	AlbertObject object;
	char	   *description;
	const char *problem;

	if (directory != NULL && !AlbertModelDirectory(directory, path))
		AlbertModelMissing(directory);
	options = read_files(table, path, options, digest);
	description = psprintf("{\"sha256\": \"%s\"%s%s}", AlbertHex(digest), options[0] != '\0' ? ", " : "", options);
	problem = AlbertObjectParse(description, &object);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid option for model \"%s\"", name),
				 errdetail("%s", problem)));
	insert_row(table, "", 0, description, strlen(description));
	AlbertObjectChanged(RelationGetRelid(table));
	table_close(table, NoLock);

	/* what loading checks, and whether it can be loaded */
	AlbertStoreLoad(name);
	pfree(name);
}

static void
append_bytes(void *context, const void *bytes, size_t size)
{
	appendBinaryStringInfo(context, bytes, size);
}

void
AlbertHeadKeep(const char *name, const AlbertTrainedHead *head, const AlbertBinding *base)
{
	Relation	table = AlbertImportBegin(name);
	AlbertTrainedHead whole = *head;
	StringInfoData weights;
	const char *config;
	AlbertArena arena;
	AlbertStatus status;

	whole.base = base->name;
	whole.base_sha256 = AlbertHex(base->identity);
	initStringInfo(&weights);
	AlbertArenaInitContext(&arena, CurrentMemoryContext);
	config = AlbertHeadConfig(&whole, NULL, &arena, &status);
	if (config == NULL || !AlbertHeadWrite(&whole, NULL, &arena, append_bytes, &weights, &status))
		AlbertReport(&status);
	AlbertImportAppend(table, "config.json", 0, config, strlen(config));
	AlbertImportAppend(table, "model.safetensors", 0, weights.data, weights.len);
	AlbertImportEnd(table, NULL, "");
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
