/*
 * holder.c
 *	  Who holds a lock that others wait for.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "executor/holder.h"

/* A prepared transaction's locks have no pid, and its number only in the lock on that number. */
#define HOLDER_QUERY \
	"SELECT l.pid, (SELECT p.gid FROM pg_catalog.pg_locks x " \
	"JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid " \
	"WHERE x.pid IS NULL AND x.virtualtransaction = l.virtualtransaction LIMIT 1) " \
	"FROM pg_catalog.pg_locks l WHERE l.granted AND coalesce(l.pid, 0) <> pg_backend_pid() AND "

/* Who has the lock that a condition on pg_locks finds, the first of several; false when there is none. */
static bool
find_lock(const char *query, Oid type, Datum argument, AlbertHolder *holder)
{
	int			nest = NewGUCNestLevel();
	bool		found;

	memset(holder, 0, sizeof(*holder));
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	found = SPI_execute_with_args(query, 1, &type, &argument, NULL, false, 1) == SPI_OK_SELECT && SPI_processed == 1;
	if (found)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		Datum		pid = SPI_getbinval(tuple, desc, 1, &isnull);
		char	   *gid = SPI_getvalue(tuple, desc, 2);

		if (!isnull)
			holder->pid = DatumGetInt32(pid);
		if (gid != NULL)
			strlcpy(holder->gid, gid, ALBERT_GID_SIZE);
	}
	AtEOXact_GUC(false, nest);
	return found;
}

/* ---------- rows ---------- */

/* One that has ended holds no lock any more. */
static bool
find_transaction(TransactionId xid, AlbertHolder *holder)
{
	return find_lock(HOLDER_QUERY "l.locktype = 'transactionid' AND l.transactionid = $1 AND l.mode = 'ExclusiveLock'",
					 XIDOID, TransactionIdGetDatum(xid), holder);
}

/* Who has locked, changed or deleted the row in a slot. */
static void
find_row_holder(TupleTableSlot *slot, AlbertHolder *holder)
{
	BufferHeapTupleTableSlot *heap = (BufferHeapTupleTableSlot *) slot;
	MultiXactMember *members;
	TransactionId xid;
	uint16		mask;
	int			n;

	memset(holder, 0, sizeof(*holder));
	/* other kinds of storage keep this elsewhere */
	if (!TTS_IS_BUFFERTUPLE(slot))
		return;
	LockBuffer(heap->buffer, BUFFER_LOCK_SHARE);
	mask = heap->base.tuple->t_data->t_infomask;
	xid = HeapTupleHeaderGetRawXmax(heap->base.tuple->t_data);
	LockBuffer(heap->buffer, BUFFER_LOCK_UNLOCK);
	if ((mask & HEAP_XMAX_IS_MULTI) == 0)
	{
		(void) find_transaction(xid, holder);
		return;
	}
	n = GetMultiXactIdMembers(xid, &members, HEAP_LOCKED_UPGRADED(mask), HEAP_XMAX_IS_LOCKED_ONLY(mask));
	for (int i = 0; i < n; i++)
	{
		/* who shares the key is in no update's way */
		if (members[i].status != MultiXactStatusForKeyShare && find_transaction(members[i].xid, holder))
			return;
	}
}

TM_Result
AlbertRowLock(Oid table, ItemPointer tid, AlbertHolder *holder)
{
	Relation	relation = relation_open(table, NoLock);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	TM_FailureData failure;
	TM_Result	result;

	PushActiveSnapshot(GetTransactionSnapshot());
	result = table_tuple_lock(relation, tid, GetActiveSnapshot(), slot, GetCurrentCommandId(true),
							  LockTupleNoKeyExclusive, LockWaitSkip, 0, &failure);
	PopActiveSnapshot();
	if (result == TM_WouldBlock && holder != NULL)
		find_row_holder(slot, holder);
	ExecDropSingleTupleTableSlot(slot);
	relation_close(relation, NoLock);
	return result;
}

/* ---------- tables ---------- */

void
AlbertTableHolder(Oid table, AlbertHolder *holder)
{
	(void) find_lock(HOLDER_QUERY "l.locktype = 'relation' AND l.relation = $1 AND "
					 "l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) AND "
					 "l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')",
					 OIDOID, ObjectIdGetDatum(table), holder);
}

int
AlbertHolderDetail(const AlbertHolder *holder)
{
	if (holder->gid[0] != '\0')
		return errdetail("Prepared transaction \"%s\" holds the lock.", holder->gid);
	if (holder->pid != 0)
		return errdetail("Process %d holds the lock.", holder->pid);
	return 0;
}

int
AlbertHolderHint(const AlbertHolder *holder)
{
	if (holder->gid[0] != '\0')
		return errhint("COMMIT PREPARED or ROLLBACK PREPARED ends a prepared transaction.");
	return 0;
}
