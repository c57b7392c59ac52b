/*
 * progress.h
 *	  What fills and trainings tell other sessions about themselves.
 */
#ifndef ALBERT_PROGRESS_H
#define ALBERT_PROGRESS_H

#include "postgres.h"

#include "datatype/timestamp.h"

typedef struct AlbertProgress
{
	int			pid;
	Oid			database;
	Oid			role;			/* who has connected */
	Oid			relation;		/* InvalidOid: rows of a query */
	char		model[NAMEDATALEN];
	char		task[NAMEDATALEN];
	int64		rows_total;		/* to do when it began */
	int64		rows_done;
	int64		rows_failed;
	int64		tokens;			/* estimated */
	TimestampTz started_at;
	TimestampTz told_at;		/* when the client was told last how far it is */
} AlbertProgress;

/*
 * Such work of this session begins, and ends with a memory context.  Where too
 * much goes on at once it is not shown, and not stopped.
 */
extern void AlbertProgressBegin(AlbertProgress *progress, MemoryContext context, Oid relation, const char *model,
								const char *task, int64 rows_total);

/* Show how far it is. */
extern void AlbertProgressUpdate(const AlbertProgress *progress);

/* Likewise, and tell the client from time to time. */
extern void AlbertProgressTell(AlbertProgress *progress);

/* Copies of all entries, palloc'd. */
extern AlbertProgress *AlbertProgressList(int *n);

#endif							/* ALBERT_PROGRESS_H */
