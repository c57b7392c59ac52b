/*
 * status.h
 *	  How code that knows nothing of PostgreSQL reports what went wrong.
 *
 * A function that can fail returns bool: true when it did its work, false
 * when *status tells why it did not.  The texts follow PostgreSQL's message
 * style (lower case, no full stop in the message; whole sentences in detail
 * and hint), because the store passes them on to the user unchanged.
 */
#ifndef ALBERT_STATUS_H
#define ALBERT_STATUS_H

#include <stdbool.h>

typedef enum AlbertCode
{
	ALBERT_OK = 0,
	ALBERT_NOT_FOUND,			/* no such file, model, head, label ... */
	ALBERT_IO,					/* the system refused to open or read a file */
	ALBERT_FORMAT,				/* a file's contents are malformed */
	ALBERT_UNSUPPORTED,			/* well-formed, but something we do not do */
	ALBERT_INPUT,				/* the caller's text or option is invalid */
	ALBERT_TOO_LONG,			/* the text exceeds the model's length */
	ALBERT_NO_MEMORY,			/* the arena could not grow */
	ALBERT_CANCELLED,			/* the interrupt flag was raised */
	ALBERT_INTERNAL				/* a broken promise between our own parts */
} AlbertCode;

typedef struct AlbertStatus
{
	AlbertCode	code;
	char		message[512];
	char		detail[512];	/* empty when there is nothing to add */
	char		hint[512];		/* likewise */
} AlbertStatus;

/* Fill in *status; each returns false so that callers can "return AlbertFail(...)". */
extern bool AlbertFail(AlbertStatus *status, AlbertCode code, const char *fmt,...)
			__attribute__((format(printf, 3, 4)));

/* Add to a status that AlbertFail has filled in; both return false too. */
extern bool AlbertDetail(AlbertStatus *status, const char *fmt,...)
			__attribute__((format(printf, 2, 3)));
extern bool AlbertHint(AlbertStatus *status, const char *fmt,...)
			__attribute__((format(printf, 2, 3)));

/* The caller's memory is used up; returns false. */
extern bool AlbertNoMemory(AlbertStatus *status);

/*
 * Say so to the compiler as well, which would otherwise take into account that
 * a caller goes on after a failure, with results that were never set.
 */
static inline bool
AlbertFalse(bool result)
{
	(void) result;
	return false;
}

#ifndef ALBERT_STATUS_IMPLEMENTATION
#define AlbertFail(...)		AlbertFalse(AlbertFail(__VA_ARGS__))
#define AlbertDetail(...)	AlbertFalse(AlbertDetail(__VA_ARGS__))
#define AlbertHint(...)		AlbertFalse(AlbertHint(__VA_ARGS__))
#define AlbertNoMemory(status)	AlbertFalse(AlbertNoMemory(status))
#endif

#endif							/* ALBERT_STATUS_H */
