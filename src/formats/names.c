/*
 * names.c
 *	  Names in the arena, and arrays that are searched by name.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
AlbertNameCopy(AlbertArena *arena, const char *text, size_t size)
{
	char	   *name = AlbertArenaAlloc(arena, size + 1);

	if (name == NULL)
		return NULL;
	memcpy(name, text, size);
	name[size] = '\0';
	return name;
}

const char *
AlbertNameJoin(AlbertArena *arena, const char *first, const char *between, const char *second)
{
	size_t		size = strlen(first) + strlen(between) + strlen(second) + 1;
	char	   *name = AlbertArenaAlloc(arena, size);

	if (name != NULL)
		snprintf(name, size, "%s%s%s", first, between, second);
	return name;
}

/* Every element begins with its name. */
static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

const char *
AlbertNamesSort(void *items, size_t n, size_t size)
{
	if (n > 1)
		qsort(items, n, size, compare_names);
	for (size_t i = 1; i < n; i++)
	{
		const char *item = (const char *) items + i * size;

		if (compare_names(item - size, item) == 0)
			return *(const char *const *) item;
	}
	return NULL;
}

void *
AlbertNamesFind(const void *items, size_t n, size_t size, const char *name)
{
	return n == 0 ? NULL : bsearch(&name, items, n, size, compare_names);
}
