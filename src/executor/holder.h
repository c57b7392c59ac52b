/*
 * holder.h
 *	  Who holds a lock that others wait for: a session, or a prepared
 *	  transaction, which no list of sessions shows.
 */
#ifndef ALBERT_HOLDER_H
#define ALBERT_HOLDER_H

#include "postgres.h"

#include "access/tableam.h"
#include "storage/itemptr.h"

#define ALBERT_GID_SIZE	201		/* PostgreSQL's names of prepared transactions have up to 200 bytes */

typedef struct AlbertHolder
{
	int			pid;			/* 0: no session */
	char		gid[ALBERT_GID_SIZE];	/* "": no prepared transaction */
} AlbertHolder;

/*
 * Lock a row for an update, without waiting.  With TM_WouldBlock, and a holder
 * to be told, who keeps it; nobody (pid 0, gid "") where that has ended
 * meanwhile.  Needs a connected SPI, as does the next one.
 */
extern TM_Result AlbertRowLock(Oid table, ItemPointer tid, AlbertHolder *holder);

/* Who keeps a table from being written. */
extern void AlbertTableHolder(Oid table, AlbertHolder *holder);

/* To stand in an ereport: who, as its detail, and what ends a prepared transaction, as its hint. */
extern int	AlbertHolderDetail(const AlbertHolder *holder);
extern int	AlbertHolderHint(const AlbertHolder *holder);

#endif							/* ALBERT_HOLDER_H */
