/*
 * object.c
 *	  From a name to a model of the database: its table, its description, and
 *	  whether the current user may have it.
 */
#include "store/registry.h"

#include <jansson.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* What has been read of this database's descriptions: AlbertObject by relation, without what has changed since. */
static HTAB *known_objects = NULL;

/* ---- tables and privileges ---- */

Oid
AlbertObjectRelation(const char *name)
{
	Oid			schema;
	Oid			relation;

	if (!OidIsValid(MyDatabaseId) || !IsTransactionState())
		return InvalidOid;
	schema = get_namespace_oid(ALBERT_SCHEMA, true);
	relation = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
	return OidIsValid(relation) && get_rel_relkind(relation) == RELKIND_RELATION ? relation : InvalidOid;
}

bool
AlbertObjectIsOwn(Oid relation)
{
	return AlbertClassOwnerCheck(relation, GetUserId());
}

bool
AlbertObjectIsVisible(Oid relation)
{
	/* dropped meanwhile: not visible */
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)) &&
		(pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) == ACLCHECK_OK || AlbertObjectIsOwn(relation));
}

Oid
AlbertObjectOwner(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner = HeapTupleIsValid(tuple) ? ((Form_pg_class) GETSTRUCT(tuple))->relowner : InvalidOid;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return owner;
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

List *
AlbertObjectNames(void)
{
	Oid			schema = get_namespace_oid(ALBERT_SCHEMA, true);
	List	   *names = NIL;
	Relation	pg_class;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	if (!OidIsValid(schema))
		return NIL;
	pg_class = table_open(RelationRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_class_relnamespace, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(schema));
	scan = systable_beginscan(pg_class, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (form->relkind == RELKIND_RELATION && AlbertModelNameIsValid(NameStr(form->relname)))
			names = lappend(names, pstrdup(NameStr(form->relname)));
	}
	systable_endscan(scan);
	table_close(pg_class, AccessShareLock);
	list_sort(names, compare_names);
	return names;
}

/* ---- descriptions ---- */

/* The identity of files that are used with options: the files' digest where there are none. */
static void
make_identity(AlbertObject *object)
{
	char	   *both = psprintf("%s%s", AlbertHex(object->digest), object->options);

	memcpy(object->identity, object->digest, ALBERT_SHA256_LEN);
	if (strcmp(object->options, "{}") != 0)
		AlbertSha256(both, strlen(both), object->identity);
	pfree(both);
}

static bool
parse_digest(const char *text, uint8 *digest)
{
	if (text == NULL || strlen(text) != 2 * ALBERT_SHA256_LEN ||
		strspn(text, "0123456789abcdef") != 2 * ALBERT_SHA256_LEN)
		return false;
	for (int i = 0; i < ALBERT_SHA256_LEN; i++)
	{
		char		byte[3] = {text[2 * i], text[2 * i + 1], '\0'};

		digest[i] = strtol(byte, NULL, 16);
	}
	return true;
}

static int
precision_by_name(const char *name)
{
	for (int i = ALBERT_FP32; i <= ALBERT_INT8; i++)
	{
		if (strcmp(name, AlbertPrecisionName(i)) == 0)
			return i;
	}
	return -1;
}

/* NULL, or what is wrong.  Raises no error: what the JSON library holds is freed. */
static const char *
parse_members(json_t *root, AlbertObject *object)
{
	static const char *const ours[] = {"sha256", "directory", "precision", "base", "base_sha256"};
	const char *directory = json_string_value(json_object_get(root, "directory"));
	const char *precision = json_string_value(json_object_get(root, "precision"));
	const char *base = json_string_value(json_object_get(root, "base"));
	size_t		size;

	if (!parse_digest(json_string_value(json_object_get(root, "sha256")), object->digest))
		return "It has no \"sha256\".";
	if (directory != NULL && !AlbertModelNameIsValid(directory))
		return "\"directory\" is not a model's name.";
	if (directory != NULL)
		strcpy(object->directory, directory);
	if (base != NULL && (!AlbertModelNameIsValid(base) ||
						 !parse_digest(json_string_value(json_object_get(root, "base_sha256")), object->base_digest)))
		return "\"base\" is not a model's name, or there is no \"base_sha256\".";
	if (base != NULL)
		strcpy(object->base, base);
	object->precision = -1;
	if (precision != NULL)
	{
		object->precision = precision_by_name(precision);
		if (object->precision < 0)
			return "\"precision\" is none of fp32, bf16 and int8.";
	}
	for (int i = 0; i < lengthof(ours); i++)
		(void) json_object_del(root, ours[i]);
	size = json_dumpb(root, object->options, ALBERT_OPTIONS_LEN - 1, JSON_COMPACT | JSON_SORT_KEYS);
	return size == 0 ? "Out of memory." : size >= ALBERT_OPTIONS_LEN ? "The options are too long." : NULL;
}

const char *
AlbertObjectParse(const char *description, AlbertObject *object)
{
	json_t	   *root = json_loads(description, JSON_REJECT_DUPLICATES, NULL);
	const char *problem = "It is not a JSON object.";

	memset(object, 0, sizeof(*object));
	if (json_is_object(root))
		problem = parse_members(root, object);
	json_decref(root);
	if (problem == NULL)
		make_identity(object);
	return problem;
}

/* The description in a table, and what it says of the object; false: there is none. */
static bool
read_description(Oid relation, const char *name, char **description, AlbertObject *object)
{
	const char *problem;

	*description = AlbertObjectDescription(relation);
	if (*description == NULL)
		return false;
	problem = AlbertObjectParse(*description, object);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the description of model \"%s\" is malformed", name),
				 errdetail("%s", problem)));
	object->relation = relation;
	return true;
}

char *
AlbertObjectOptions(const AlbertObject *object)
{
	/* without its braces */
	char	   *options = pnstrdup(object->options + 1, strlen(object->options) - 2);

	if (object->precision < 0)
		return options;
	return psprintf("%s%s\"precision\": \"%s\"", options, options[0] != '\0' ? ", " : "",
					AlbertPrecisionName(object->precision));
}

bool
AlbertObjectRead(Oid relation, const char *name, AlbertObject *object)
{
	AlbertObject *known = hash_search(known_objects, &relation, HASH_FIND, NULL);
	uint64		epoch = albert_names_epoch;
	char	   *description;

	if (known != NULL)
	{
		*object = *known;
		return true;
	}
	if (!read_description(relation, name, &description, object))
		return false;
	pfree(description);
	/* not what has changed while it was read */
	if (epoch == albert_names_epoch)
	{
		known = hash_search(known_objects, &relation, HASH_ENTER, NULL);
		*known = *object;
	}
	return true;
}

char *
AlbertObjectProblem(Oid relation, const char *name, char **description, AlbertObject *object)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		(void) read_description(relation, name, description, object);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
			error->sqlerrcode != ERRCODE_DATA_CORRUPTED && error->sqlerrcode != ERRCODE_WRONG_OBJECT_TYPE)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	return error == NULL ? NULL : error->message;
}

/* ---- waiting for a restore ---- */

/* How long to wait for a restore that seems to have stopped, in steps. */
#define PATIENCE	(3 * 1000)	/* ms */
#define STEP		50

/* Is some other session of this database writing, and not waiting as we do? */
static bool
others_write(uint32 restore_wait)
{
	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		const PGPROC *proc = &ProcGlobal->allProcs[i];

		if (proc != MyProc && proc->pid != 0 && proc->databaseId == MyDatabaseId &&
			TransactionIdIsValid(proc->xid) && proc->wait_event_info != restore_wait)
			return true;
	}
	return false;
}

/*
 * A table without rows is one that a restore has made and not filled yet: an
 * import makes it with its first part.  So whoever fills it is waited for, and
 * whoever may come to it as long as others restore something.
 */
static bool
wait_for_restore(Oid relation, const char *name, AlbertObject *object)
{
	uint32		restore_wait = AlbertWaitEvent("AlbertModelRestore");
	int			patience = PATIENCE;

	for (;;)
	{
		LOCKTAG		tag;

		SET_LOCKTAG_RELATION(tag, MyDatabaseId, relation);
		WaitForLockers(tag, ShareLock, false);
		if (AlbertObjectRead(relation, name, object))
			return true;
		if (AlbertObjectBytes(relation) >= 0)
			return false;
		patience = others_write(restore_wait) ? PATIENCE : patience - STEP;
		if (patience <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("model \"%s\" has not been restored yet", name),
					 errdetail("Its table in the schema \"%s\" is empty.", ALBERT_SCHEMA),
					 errhint("Restore the data of that schema before what is computed with it: pg_restore "
							 "--data-only --schema='%s', then the rest.",
							 ALBERT_SCHEMA)));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, STEP, restore_wait);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

bool
AlbertObjectFind(const char *name, AlbertObject *object)
{
	Oid			relation = AlbertObjectRelation(name);

	if (!OidIsValid(relation))
		return false;
	if (AlbertObjectRead(relation, name, object))
	{
		if (!AlbertObjectIsVisible(relation))
			AlbertModelMissing(name);
		return true;
	}
	return AlbertObjectIsVisible(relation) && AlbertObjectBytes(relation) < 0 &&
		wait_for_restore(relation, name, object);
}

/* ---- invalidation ---- */

static void
relation_changed(Datum arg, Oid relation)
{
	HASH_SEQ_STATUS all;
	AlbertObject *known;

	hash_seq_init(&all, known_objects);
	while ((known = hash_seq_search(&all)) != NULL)
	{
		if (OidIsValid(relation) && known->relation != relation)
			continue;
		(void) hash_search(known_objects, &known->relation, HASH_REMOVE, NULL);
		albert_names_epoch++;
	}
}

static void
names_changed(Datum arg, int cache, uint32 hash)
{
	albert_names_epoch++;
}

void
AlbertObjectsInit(void)
{
	HASHCTL		sizes = {.keysize = sizeof(Oid), .entrysize = sizeof(AlbertObject)};

	known_objects = hash_create("albert models", 16, &sizes, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(RELNAMENSP, names_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACENAME, names_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, names_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, names_changed, (Datum) 0);
}
