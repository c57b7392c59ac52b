/*
 * invalidate.c
 *	  When a name begins to stand for another model: what all sessions have
 *	  planned is planned anew.
 *
 * A call of a named form on constants is computed while a statement is planned,
 * and its result is part of the plan, of an index's or a domain's expression,
 * also of those that reach it only through a function of somebody else.  So no
 * list of plans that depend on a model could be complete, and all are dropped,
 * by messages that sessions listen to anyway.  They are sent as they are, not
 * with the transaction: a model changes at once.
 */
#include "store/registry.h"

#include "catalog/pg_constraint.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "storage/sinval.h"
#include "utils/inval.h"
#include "utils/syscache.h"

/* A hash that no entry of a catalog cache needs to have: their listeners look at which cache it is. */
#define ANY_HASH	1

void
AlbertForgetPlans(void)
{
	SharedInvalidationMessage messages[3];

	memset(messages, 0, sizeof(messages));

	/* plans, whatever they depend on */
	messages[0].cc.id = FOREIGNDATAWRAPPEROID;
	messages[0].cc.dbId = InvalidOid;
	messages[0].cc.hashValue = ANY_HASH;

	/* constraints of domains */
	messages[1].cc.id = CONSTROID;
	messages[1].cc.dbId = InvalidOid;
	messages[1].cc.hashValue = ANY_HASH;

	/* expressions of indexes and partition keys, with every table */
	messages[2].rc.id = SHAREDINVALRELCACHE_ID;
	messages[2].rc.dbId = InvalidOid;
	messages[2].rc.relId = InvalidOid;

	SendSharedInvalidMessages(messages, lengthof(messages));
}

void
AlbertForgetPlansAtCommit(void)
{
	CacheInvalidateCatalog(ForeignDataWrapperRelationId);
	CacheInvalidateCatalog(ConstraintRelationId);
	CacheInvalidateRelcacheAll();
}
