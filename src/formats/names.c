/*
 * names.c
 *	  Names in the arena, and arrays that are searched by name.
 */
#include "formats/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
AlbertNameFormat(AlbertArena *arena, const char *fmt,...)
{
	va_list		arguments;
	int			size;
	char	   *name;

	va_start(arguments, fmt);
	size = vsnprintf(NULL, 0, fmt, arguments) + 1;
	va_end(arguments);
	name = AlbertArenaAlloc(arena, size);
	va_start(arguments, fmt);
	if (name != NULL)
		vsnprintf(name, size, fmt, arguments);
	va_end(arguments);
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
