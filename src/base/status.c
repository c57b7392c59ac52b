/*
 * status.c
 *	  Filling in an AlbertStatus.
 */
#define ALBERT_STATUS_IMPLEMENTATION
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

bool
AlbertFail(AlbertStatus *status, AlbertCode code, const char *fmt,...)
{
	va_list		args;

	status->code = code;
	status->detail[0] = '\0';
	status->hint[0] = '\0';
	va_start(args, fmt);
	vsnprintf(status->message, sizeof(status->message), fmt, args);
	va_end(args);
	return false;
}

bool
AlbertDetail(AlbertStatus *status, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	vsnprintf(status->detail, sizeof(status->detail), fmt, args);
	va_end(args);
	return false;
}

bool
AlbertHint(AlbertStatus *status, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	vsnprintf(status->hint, sizeof(status->hint), fmt, args);
	va_end(args);
	return false;
}

bool
AlbertNoMemory(AlbertStatus *status)
{
	return AlbertFail(status, ALBERT_NO_MEMORY, "out of memory");
}
