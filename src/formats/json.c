/*
 * json.c
 *	  Reading JSON files, and members of known type from them.
 */
#include "formats/internal.h"

#include <string.h>

static const char *
type_name(json_type type)
{
	switch (type)
	{
		case JSON_OBJECT:
			return "an object";
		case JSON_ARRAY:
			return "an array";
		case JSON_STRING:
			return "a string";
		case JSON_INTEGER:
			return "an integer";
		case JSON_REAL:
			return "a number";
		case JSON_TRUE:
		case JSON_FALSE:
			return "a boolean";
		default:
			return "null";
	}
}

json_t *
AlbertJsonParse(const char *data, size_t size, json_type type,
				const char *what, const char *name, AlbertStatus *status)
{
	json_error_t error;
	json_t	   *json;

	json = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);
	if (json == NULL)
	{
		if (json_error_code(&error) == json_error_out_of_memory)
			AlbertNoMemory(status);
		else
		{
			AlbertFail(status, ALBERT_FORMAT, "%s \"%s\" is not valid JSON", what, name);
			AlbertDetail(status, "Line %d, column %d: %s.", error.line, error.column, error.text);
		}
		return NULL;
	}
	if (json_typeof(json) != type)
	{
		AlbertFail(status, ALBERT_FORMAT, "%s \"%s\" holds %s where %s is expected",
				   what, name, type_name(json_typeof(json)), type_name(type));
		json_decref(json);
		return NULL;
	}
	return json;
}

bool
AlbertJsonFile(AlbertSource *source, const char *name, bool required,
			   json_type type, json_t **json, AlbertStatus *status)
{
	AlbertArenaMark mark;
	int			file;
	char	   *data;
	size_t		size;
	bool		ok;

	*json = NULL;
	if (!required && !AlbertFileExists(source, name))
		return true;
	file = AlbertFileOpen(source, name, status);
	if (file < 0)
		return false;
	mark = AlbertArenaGetMark(source->arena);
	ok = AlbertFileReadAll(source, file, MAX_JSON_FILE, &data, &size, status);
	if (ok)
	{
		*json = AlbertJsonParse(data, size, type, "file", source->files[file].name, status);
		ok = *json != NULL;
	}
	AlbertArenaRewind(source->arena, mark);
	return ok;
}

void
AlbertJsonShow(const json_t *value, char *text, size_t size)
{
	size_t		used = json_dumpb(value, text, size, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);

	/* what did not fit is cut; json_dumpb has filled the buffer as far as it goes */
	if (used == 0)
		strcpy(text, type_name(json_typeof(value)));
	else if (used >= size)
		strcpy(text + size - 4, "...");
	else
		text[used] = '\0';
}

bool
AlbertJsonInt(const json_t *object, const char *key, int64_t preset,
			  int64_t lowest, int64_t highest, int32_t *value,
			  const char *file, AlbertStatus *status)
{
	json_t	   *member = json_object_get(object, key);
	int64_t		number = preset;
	char		text[48];

	if (json_is_integer(member))
		number = json_integer_value(member);
	if ((member == NULL || json_is_integer(member)) && number >= lowest && number <= highest)
	{
		*value = (int32_t) number;
		return true;
	}
	if (member == NULL)
		return AlbertFail(status, ALBERT_FORMAT, "file \"%s\" has no \"%s\"", file, key);
	AlbertJsonShow(member, text, sizeof(text));
	AlbertFail(status, ALBERT_FORMAT, "invalid \"%s\" in file \"%s\": %s", key, file, text);
	return AlbertDetail(status, "It must be an integer from %lld to %lld.",
						(long long) lowest, (long long) highest);
}

bool
AlbertJsonBool(const json_t *object, const char *key, bool preset, bool *value,
			   const char *file, AlbertStatus *status)
{
	json_t	   *member = json_object_get(object, key);
	char		text[48];

	if (member == NULL || json_is_boolean(member))
	{
		*value = member == NULL ? preset : json_is_true(member);
		return true;
	}
	AlbertJsonShow(member, text, sizeof(text));
	AlbertFail(status, ALBERT_FORMAT, "invalid \"%s\" in file \"%s\": %s", key, file, text);
	return AlbertDetail(status, "It must be true or false.");
}

int64_t
AlbertParseNumber(const char *text, int64_t highest)
{
	int64_t		number = 0;

	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++)
	{
		if (*text < '0' || *text > '9')
			return -1;
		number = number * 10 + (*text - '0');
		if (number > highest)
			return -1;
	}
	return number;
}
