/*
 * distinct.h
 *	  Distinct strings and their numbers: a hash table.
 */
#ifndef ALBERT_DISTINCT_H
#define ALBERT_DISTINCT_H

#include "postgres.h"

#include "common/hashfn.h"

#include "tokenizer/tokenizer.h"

typedef struct AlbertDistinct
{
	AlbertText	text;			/* as it was given; who needs it longer than that puts a copy here */
	int			number;
	uint32		hash;
	char		status;			/* simplehash's */
} AlbertDistinct;

#define SH_PREFIX			distinct
#define SH_ELEMENT_TYPE		AlbertDistinct
#define SH_KEY_TYPE			AlbertText
#define SH_KEY				text
#define SH_HASH_KEY(tb, key)	hash_bytes((const unsigned char *) (key).data, (key).size)
#define SH_EQUAL(tb, a, b)	((a).size == (b).size && memcmp((a).data, (b).data, (a).size) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry)	(entry)->hash
#define SH_SCOPE			static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* The string's entry, until the next one is put; a new one's number is the next, *n. */
static inline AlbertDistinct *
AlbertDistinctPut(distinct_hash *strings, AlbertText text, int *n, bool *found)
{
	AlbertDistinct *entry = distinct_insert(strings, text, found);

	if (!*found)
		entry->number = (*n)++;
	return entry;
}

#endif							/* ALBERT_DISTINCT_H */
