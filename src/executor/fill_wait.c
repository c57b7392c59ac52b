/*
 * fill_wait.c
 *	  From one transaction of a fill to the next, at once or when others have
 *	  let go of what it waits for.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "executor/fill_internal.h"

#define WAIT_NOTICE_SECONDS	5	/* first told who is waited for */
#define WAIT_AGAIN_SECONDS	60	/* and told again */
#define WAIT_SECONDS		60	/* waited for at most, unless lock_timeout says */

void
AlbertFillCommit(void)
{
	SPI_commit();
	SPI_start_transaction();
	/* its memory lasts as long as the connection, and grows with each statement */
	SPI_finish();
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	/* rows that others change are looked at as they are then, whatever the session's default */
	XactIsoLevel = XACT_READ_COMMITTED;
	CHECK_FOR_INTERRUPTS();
}

static void
tell_waiting(FillRun *run, FillWait *wait)
{
	char	   *name = get_rel_name(run->leaf);

	if (wait->seconds < wait->next_notice || name == NULL)
		return;
	wait->next_notice += WAIT_AGAIN_SECONDS;
	ereport(NOTICE,
			(wait == &run->table_wait ? errmsg("waiting for a lock on table \"%s\"", name)
			 : errmsg("waiting for rows of table \"%s\" that others have locked", name),
			 AlbertHolderDetail(&wait->holder),
			 AlbertHolderHint(&wait->holder)));
}

/*
 * A table that a session has locked is waited for as any statement does, that
 * is, for ever if lock_timeout is 0.  A prepared transaction may never end.
 */
static bool
waited_enough(FillRun *run, FillWait *wait)
{
	if (LockTimeout > 0)
		return wait->seconds * 1000 >= LockTimeout;
	if (wait == &run->table_wait && wait->holder.gid[0] == '\0')
		return false;
	return wait->seconds >= WAIT_SECONDS;
}

bool
AlbertFillWait(FillRun *run, FillWait *wait, int milliseconds)
{
	TimestampTz start;

	if (wait->seconds == 0)
		wait->next_notice = WAIT_NOTICE_SECONDS;
	tell_waiting(run, wait);
	if (waited_enough(run, wait))
		return false;
	AlbertFillCommit();
	start = GetCurrentTimestamp();
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
					 AlbertWaitEvent("AlbertTableJobLock"));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	wait->seconds += (GetCurrentTimestamp() - start) / 1e6;
	return true;
}
