/*
 * progress.c
 *	  A small table in shared memory of what is under way.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "executor/progress.h"
#include "store/store.h"

#define MAX_ENTRIES	32

/* how often a client is told how far it is; where all is slow, under valgrind, expected output has no place for it */
#ifndef ALBERT_NOTICE_SECONDS
#define ALBERT_NOTICE_SECONDS	10
#endif

static AlbertProgress *entries = NULL; /* MAX_ENTRIES, in shared memory; pid 0: free */
static LWLock *entries_lock = NULL;
static int	own_entry = -1;

static void
find_entries(void)
{
	if (entries == NULL)
		entries = AlbertSharedRoom(MAX_ENTRIES * sizeof(AlbertProgress), &entries_lock);
}

static void
end_progress(void *arg)
{
	if (own_entry < 0)
		return;
	LWLockAcquire(entries_lock, LW_EXCLUSIVE);
	entries[own_entry].pid = 0;
	LWLockRelease(entries_lock);
	own_entry = -1;
}

void
AlbertProgressBegin(AlbertProgress *progress, MemoryContext context, Oid relation, const char *model,
					const char *task, int64 rows_total)
{
	MemoryContextCallback *end = MemoryContextAllocZero(context, sizeof(MemoryContextCallback));

	memset(progress, 0, sizeof(*progress));
	progress->pid = MyProcPid;
	progress->database = MyDatabaseId;
	progress->role = GetSessionUserId();
	progress->relation = relation;
	strlcpy(progress->model, model, NAMEDATALEN);
	strlcpy(progress->task, task, NAMEDATALEN);
	progress->rows_total = rows_total;
	progress->started_at = progress->told_at = GetCurrentTimestamp();
	find_entries();
	end_progress(NULL);
	end->func = end_progress;
	MemoryContextRegisterResetCallback(context, end);
	LWLockAcquire(entries_lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_ENTRIES && own_entry < 0; i++)
	{
		if (entries[i].pid == 0)
		{
			entries[i] = *progress;
			own_entry = i;
		}
	}
	LWLockRelease(entries_lock);
}

void
AlbertProgressUpdate(const AlbertProgress *progress)
{
	if (own_entry < 0)
		return;
	LWLockAcquire(entries_lock, LW_EXCLUSIVE);
	entries[own_entry] = *progress;
	LWLockRelease(entries_lock);
}

void
AlbertProgressTell(AlbertProgress *progress)
{
	TimestampTz now = GetCurrentTimestamp();
	double		seconds = (now - progress->started_at) / 1e6;
	int64		done = progress->rows_done + progress->rows_failed;
	double		rate = seconds > 0 ? done / seconds : 0;

	AlbertProgressUpdate(progress);
	if (!TimestampDifferenceExceeds(progress->told_at, now, ALBERT_NOTICE_SECONDS * 1000))
		return;
	progress->told_at = now;
	ereport(NOTICE,
			(errmsg("%lld of %lld rows, %.0f rows a second, %.0f seconds to go",
					(long long) done, (long long) progress->rows_total, rate,
					rate > 0 ? Max(progress->rows_total - done, 0) / rate : 0.0)));
}

AlbertProgress *
AlbertProgressList(int *n)
{
	AlbertProgress *list = palloc(MAX_ENTRIES * sizeof(AlbertProgress));

	*n = 0;
	find_entries();
	LWLockAcquire(entries_lock, LW_SHARED);
	for (int i = 0; i < MAX_ENTRIES; i++)
	{
		if (entries[i].pid != 0)
			list[(*n)++] = entries[i];
	}
	LWLockRelease(entries_lock);
	return list;
}
