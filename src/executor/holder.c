/*
 * holder.c
 *	  Who holds a lock that others wait for.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "executor/holder.h"

/* A prepared transaction's locks have no pid, and its number only in the lock on that number. */
#define HOLDER_QUERY \
	"SELECT l.pid, (SELECT p.gid FROM pg_catalog.pg_locks x " \
	"JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid " \
	"WHERE x.pid IS NULL AND x.virtualtransaction = l.virtualtransaction LIMIT 1) " \
	"FROM pg_catalog.pg_locks l WHERE l.granted AND coalesce(l.pid, 0) <> pg_backend_pid() AND "

/* The first of the locks that a condition on pg_locks finds. */
static void
find_lock(const char *query, Oid type, Datum argument, AlbertHolder *holder)
{
	int			nest = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	if (SPI_execute_with_args(query, 1, &type, &argument, NULL, false, 1) == SPI_OK_SELECT && SPI_processed == 1)
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
}

/* The one of several transactions at a row that is in an update's way. */
static TransactionId
member_in_the_way(MultiXactId multi, bool only_locked)
{
	MultiXactMember *members;
	int			n = GetMultiXactIdMembers(multi, &members, false, only_locked);

	for (int i = 0; i < n; i++)
	{
		if (members[i].status != MultiXactStatusForKeyShare &&
			!TransactionIdIsCurrentTransactionId(members[i].xid) && TransactionIdIsInProgress(members[i].xid))
			return members[i].xid;
	}
	return InvalidTransactionId;
}

/* The transaction that has locked, changed or deleted a row; invalid when none is under way. */
static TransactionId
row_transaction(Relation table, ItemPointer tid)
{
	TupleTableSlot *slot = table_slot_create(table, NULL);
	TransactionId xid = InvalidTransactionId;

	/* other kinds of storage keep this elsewhere */
	if (table_tuple_fetch_row_version(table, tid, SnapshotAny, slot) && TTS_IS_BUFFERTUPLE(slot))
	{
		BufferHeapTupleTableSlot *heap = (BufferHeapTupleTableSlot *) slot;
		HeapTupleHeader header = heap->base.tuple->t_data;
		uint16		mask;

		LockBuffer(heap->buffer, BUFFER_LOCK_SHARE);
		mask = header->t_infomask;
		xid = HeapTupleHeaderGetRawXmax(header);
		LockBuffer(heap->buffer, BUFFER_LOCK_UNLOCK);
		if ((mask & HEAP_XMAX_INVALID) != 0)
			xid = InvalidTransactionId;
		else if ((mask & HEAP_XMAX_IS_MULTI) != 0)
			xid = HEAP_LOCKED_UPGRADED(mask) ? InvalidTransactionId
				: member_in_the_way(xid, HEAP_XMAX_IS_LOCKED_ONLY(mask));
		else if (!TransactionIdIsInProgress(xid))
			xid = InvalidTransactionId;
	}
	ExecDropSingleTupleTableSlot(slot);
	return xid;
}

void
AlbertRowHolder(Relation table, ItemPointer tid, AlbertHolder *holder)
{
	TransactionId xid = row_transaction(table, tid);

	memset(holder, 0, sizeof(*holder));
	if (TransactionIdIsValid(xid))
		find_lock(HOLDER_QUERY "l.locktype = 'transactionid' AND l.transactionid = $1 AND l.mode = 'ExclusiveLock'",
				  XIDOID, TransactionIdGetDatum(xid), holder);
}

void
AlbertTableHolder(Oid table, AlbertHolder *holder)
{
	memset(holder, 0, sizeof(*holder));
	find_lock(HOLDER_QUERY "l.locktype = 'relation' AND l.relation = $1 AND "
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
