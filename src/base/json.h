/*
 * json.h
 *	  JSON from untrusted files, read by tables that say which members an
 *	  object has, of which kind, and where they go.
 */
#ifndef ALBERT_JSON_H
#define ALBERT_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/status.h"

/*
 * Parse text whose top level must be an object or array, as type says, and
 * append it to the documents, which own it.  For messages: it is the file of
 * that name, or the part of it that what names.  flags are jansson's.  NULL:
 * *status tells why.
 */
extern json_t *AlbertJsonParse(json_t *documents, const char *data, size_t size, size_t flags, json_type type,
							   const char *what, const char *name, AlbertStatus *status);

typedef enum AlbertJsonKind
{
	ALBERT_JSON_INT,			/* to an int32_t */
	ALBERT_JSON_BOOL,			/* to an int32_t: 0 or 1 */
	ALBERT_JSON_BIT,			/* a boolean; sets or clears the bits of lowest in a uint32_t */
	ALBERT_JSON_NUMBER,			/* to a double */
	ALBERT_JSON_STRING,			/* to a const char *, the document's own */
	ALBERT_JSON_CHOICE,			/* a string of choices; its value to an int32_t */
	ALBERT_JSON_CLASS,			/* likewise, of the part behind the last dot */
	ALBERT_JSON_UNSUPPORTED		/* must not be true */
} AlbertJsonKind;

typedef struct AlbertJsonChoice
{
	const char *name;
	int32_t		value;
} AlbertJsonChoice;

typedef struct AlbertJsonMember
{
	const char *key;
	AlbertJsonKind kind;
	size_t		offset;			/* in what is read into; ALBERT_JSON_NOWHERE: only checked */
	double		lowest;			/* of a number */
	double		highest;
	const AlbertJsonChoice *choices;	/* up to one without a name */
	bool		or_null;		/* null is as good as nothing */
	AlbertCode	unknown;		/* of none of the choices; 0: ALBERT_UNSUPPORTED for a string, else ALBERT_FORMAT */
} AlbertJsonMember;

#define ALBERT_JSON_NOWHERE		SIZE_MAX

/*
 * Read an object's members into a structure.  One that is missing leaves its
 * place as it is; if what is there lies outside the limits, it has to be given.
 */
extern bool AlbertJsonRead(const json_t *object, const AlbertJsonMember *members, size_t n, void *dest,
						   const char *file, AlbertStatus *status);

/* The value of a name; false: it is none of them. */
extern bool AlbertJsonChoose(const AlbertJsonChoice *choices, const char *name, int32_t *value);

/* Say that a member's value is invalid (ALBERT_FORMAT) or unsupported; false. */
extern bool AlbertJsonWrong(const json_t *value, AlbertCode code, const char *key, const char *file,
							AlbertStatus *status);

/* A value as short text for a message. */
extern void AlbertJsonShow(const json_t *value, char *text, size_t size);

#endif							/* ALBERT_JSON_H */
