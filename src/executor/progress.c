/*
 * progress.c
 *	  A small table of running jobs in shared memory.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "compat.h"
#include "executor/progress.h"

#define MAX_JOBS	32

typedef struct ProgressTable
{
	LWLock		lock;
	AlbertProgress jobs[MAX_JOBS];	/* pid 0: free */
} ProgressTable;

static ProgressTable *table = NULL;
static int	own_job = -1;
static bool exit_registered = false;

static ProgressTable *
get_table(void)
{
	bool		found;

	if (table != NULL)
		return table;
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	table = ShmemInitStruct("albert progress", sizeof(ProgressTable), &found);
	if (!found)
	{
		memset(table, 0, sizeof(*table));
		LWLockInitialize(&table->lock, AlbertNewTranche("albert_progress"));
	}
	LWLockRelease(AddinShmemInitLock);
	AlbertNameTranche(table->lock.tranche, "albert_progress");
	return table;
}

static void
end_at_exit(int code, Datum arg)
{
	AlbertProgressEnd();
}

void
AlbertProgressBegin(const AlbertProgress *progress)
{
	ProgressTable *jobs = get_table();

	if (!exit_registered)
	{
		before_shmem_exit(end_at_exit, (Datum) 0);
		exit_registered = true;
	}
	LWLockAcquire(&jobs->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_JOBS && own_job < 0; i++)
	{
		if (jobs->jobs[i].pid == 0)
		{
			jobs->jobs[i] = *progress;
			jobs->jobs[i].pid = MyProcPid;
			own_job = i;
		}
	}
	LWLockRelease(&jobs->lock);
}

void
AlbertProgressUpdate(const AlbertProgress *progress)
{
	ProgressTable *jobs = get_table();

	if (own_job < 0)
		return;
	LWLockAcquire(&jobs->lock, LW_EXCLUSIVE);
	jobs->jobs[own_job] = *progress;
	jobs->jobs[own_job].pid = MyProcPid;
	LWLockRelease(&jobs->lock);
}

void
AlbertProgressEnd(void)
{
	ProgressTable *jobs = table;

	if (own_job < 0 || jobs == NULL)
		return;
	LWLockAcquire(&jobs->lock, LW_EXCLUSIVE);
	jobs->jobs[own_job].pid = 0;
	LWLockRelease(&jobs->lock);
	own_job = -1;
}

AlbertProgress *
AlbertProgressList(int *n)
{
	ProgressTable *jobs = get_table();
	AlbertProgress *list = palloc(MAX_JOBS * sizeof(AlbertProgress));

	*n = 0;
	LWLockAcquire(&jobs->lock, LW_SHARED);
	for (int i = 0; i < MAX_JOBS; i++)
	{
		if (jobs->jobs[i].pid != 0)
			list[(*n)++] = jobs->jobs[i];
	}
	LWLockRelease(&jobs->lock);
	return list;
}
