/*
 * json.c
 *	  Reading the JSON files of a model directory.
 */
#include "formats/internal.h"

bool
AlbertJsonFile(AlbertSource *source, const char *base, const char *name, bool required,
			   json_type type, AlbertJsonText *json, AlbertStatus *status)
{
	AlbertArenaMark mark;
	int			file;
	char	   *data;
	size_t		size;

	json->root = NULL;
	json->file = AlbertFilePath(source, base, name);
	if (json->file == NULL)
		return AlbertNoMemory(status);
	if (!required && !AlbertFileExists(source, json->file))
		return true;
	file = AlbertFileOpen(source, json->file, status);
	if (file < 0)
		return false;
	mark = AlbertArenaGetMark(source->arena);
	if (AlbertFileReadAll(source, file, MAX_JSON_FILE, &data, &size, status))
		json->root = AlbertJsonParse(source->documents, data, size, JSON_REJECT_DUPLICATES, type,
									 "file", json->file, status);
	AlbertArenaRewind(source->arena, mark);
	return json->root != NULL;
}
