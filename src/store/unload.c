/*
 * unload.c
 *	  Models leave shared memory: when somebody asks for it, and when what used
 *	  them has been dropped.
 */
#include "store/registry.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "utils/inval.h"
#include "utils/syscache.h"

static object_access_hook_type next_object_access_hook = NULL;

#define MAX_DROPPED	32

/* What this transaction has dropped. */
static struct
{
	bool		extension;
	int			nmodels;
	uint8		models[MAX_DROPPED][ALBERT_SHA256_LEN];	/* identities */
}			dropped;

/* A slot of that model that is loaded or being loaded. */
static AlbertSlot *
find_loaded(AlbertRegistry *registry, const AlbertKey *key)
{
	for (int i = 0; i < ALBERT_NSLOTS; i++)
	{
		AlbertSlot *slot = &registry->slots[i];

		if (AlbertSlotIsOf(slot, key) && (slot->loader != 0 || slot->images[ALBERT_PART_TEXT].size > 0))
			return slot;
	}
	return NULL;
}

bool
AlbertStoreUnload(const char *name)
{
	AlbertRequest request;
	AlbertSlot *slot;
	bool		any = false;

	AlbertRequestMake(name, &request);
	do
	{
		bool		loading;

		slot = find_loaded(AlbertRegistryLock(LW_EXCLUSIVE), &request.key);
		loading = slot != NULL && slot->loader != 0;
		if (slot != NULL && !loading)
		{
			AlbertSlotDrop(slot);
			any = true;
		}
		AlbertRegistryUnlock();
		if (loading)
			ConditionVariableSleep(&slot->changed, AlbertWaitEvent("AlbertModelLoad"));
	} while (slot != NULL);
	ConditionVariableCancelSleep();

	/* Whoever unloads a model is about to use other files, or has done so; it may have been put out long ago. */
	AlbertForgetPlans();
	AcceptInvalidationMessages();
	return any;
}

/* ---- what dropped databases have left ---- */

static bool
have_gone(const Oid *databases)
{
	for (int i = 0; i < ALBERT_NDATABASES && OidIsValid(databases[i]); i++)
	{
		if (SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(databases[i])))
			return false;
	}
	return OidIsValid(databases[0]);
}

void
AlbertStoreSweep(void)
{
	AlbertRegistry *registry;
	Oid			databases[ALBERT_NSLOTS][ALBERT_NDATABASES];

	/* without a database there are no catalogs either */
	if (!OidIsValid(MyDatabaseId))
		return;
	registry = AlbertRegistryLock(LW_SHARED);
	for (int i = 0; i < ALBERT_NSLOTS; i++)
		memcpy(databases[i], registry->slots[i].databases, sizeof(databases[i]));
	AlbertRegistryUnlock();

	for (int i = 0; i < ALBERT_NSLOTS; i++)
	{
		AlbertSlot *slot = &registry->slots[i];

		if (!have_gone(databases[i]))
			continue;
		(void) AlbertRegistryLock(LW_EXCLUSIVE);
		if (AlbertSlotIsLoaded(slot) && memcmp(slot->databases, databases[i], sizeof(databases[i])) == 0)
			AlbertSlotDrop(slot);
		AlbertRegistryUnlock();
	}
}

/* ---- what this transaction drops ---- */

/*
 * DROP EXTENSION frees the models that only that database has used, and
 * dropping or replacing a model what it had, if no other database uses the
 * same.  Sessions of other databases would not be harmed by more than having to
 * load again, but that is no reason to let them.  A session that has not loaded
 * the library cannot take part in this; the documentation says so.
 */
static bool
is_dropped(const AlbertSlot *slot)
{
	if (!AlbertSlotIsLoaded(slot) || slot->databases[0] != MyDatabaseId || OidIsValid(slot->databases[1]))
		return false;
	if (dropped.extension)
		return true;
	for (int i = 0; i < dropped.nmodels; i++)
	{
		if (slot->key.name[0] == '\0' && memcmp(slot->key.identity, dropped.models[i], ALBERT_SHA256_LEN) == 0)
			return true;
	}
	return false;
}

static void
unload_dropped(void)
{
	AlbertRegistry *registry = AlbertRegistryLock(LW_EXCLUSIVE);

	for (int i = 0; i < ALBERT_NSLOTS; i++)
	{
		if (is_dropped(&registry->slots[i]))
			AlbertSlotDrop(&registry->slots[i]);
	}
	AlbertRegistryUnlock();
}

/* What is forgotten when there are too many at once is put out when its memory is wanted. */
void
AlbertUnloadAtCommit(const uint8 *identity)
{
	if (dropped.nmodels < MAX_DROPPED)
		memcpy(dropped.models[dropped.nmodels++], identity, ALBERT_SHA256_LEN);
}

static void
watch_drop(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	if (next_object_access_hook != NULL)
		next_object_access_hook(access, classId, objectId, subId, arg);
	if (access == OAT_DROP && classId == ExtensionRelationId)
	{
		char	   *name = get_extension_name(objectId);

		if (name != NULL && strcmp(name, "albert") == 0)
			dropped.extension = true;
	}
}

/*
 * The registry is looked for while an error can still undo the drop; once the
 * transaction is committed there is only what cannot fail.
 */
static void
end_of_transaction(XactEvent event, void *arg)
{
	if (!dropped.extension && dropped.nmodels == 0)
		return;
	if (event == XACT_EVENT_PRE_COMMIT)
	{
		/* A drop may have been rolled back to a savepoint, or the extension made again. */
		dropped.extension = dropped.extension && !OidIsValid(get_extension_oid("albert", true));
		AlbertRegistryFind();
	}
	if (event == XACT_EVENT_COMMIT && AlbertRegistryKnown() != NULL)
		unload_dropped();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		memset(&dropped, 0, sizeof(dropped));
}

void
AlbertUnloadInit(void)
{
	next_object_access_hook = object_access_hook;
	object_access_hook = watch_drop;
	RegisterXactCallback(end_of_transaction, NULL);
}
