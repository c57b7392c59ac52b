/*
 * json.c
 *	  Parsing JSON, and reading members of objects by tables.
 */
#include "base/json.h"

#include <stdio.h>
#include <string.h>

static const char *
type_name(json_type type)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object",
		[JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",
		[JSON_INTEGER] = "an integer",
		[JSON_REAL] = "a number",
		[JSON_TRUE] = "a boolean",
		[JSON_FALSE] = "a boolean",
		[JSON_NULL] = "null"
	};

	return names[type];
}

json_t *
AlbertJsonParse(json_t *documents, const char *data, size_t size, size_t flags, json_type type,
				const char *what, const char *name, AlbertStatus *status)
{
	json_error_t error;
	json_t	   *json = json_loadb(data, size, flags | JSON_DECODE_ANY, &error);

	if (json == NULL && json_error_code(&error) != json_error_out_of_memory)
	{
		AlbertFail(status, ALBERT_FORMAT, "%s \"%s\" is not valid JSON", what, name);
		AlbertDetail(status, "Line %d, column %d: %s.", error.line, error.column, error.text);
		return NULL;
	}
	if (json == NULL || json_array_append_new(documents, json) != 0)
	{
		AlbertNoMemory(status);
		return NULL;
	}
	if (json_typeof(json) != type)
	{
		AlbertFail(status, ALBERT_FORMAT, "%s \"%s\" holds %s where %s is expected",
				   what, name, type_name(json_typeof(json)), type_name(type));
		return NULL;
	}
	return json;
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
AlbertJsonWrong(const json_t *value, AlbertCode code, const char *key, const char *file, AlbertStatus *status)
{
	char		text[100];

	AlbertJsonShow(value, text, sizeof(text));
	return AlbertFail(status, code, "%s \"%s\" in file \"%s\": %s",
					  code == ALBERT_UNSUPPORTED ? "unsupported" : "invalid", key, file, text);
}

bool
AlbertJsonChoose(const AlbertJsonChoice *choices, const char *name, int32_t *value)
{
	for (; choices->name != NULL; choices++)
		if (strcmp(name, choices->name) == 0)
		{
			*value = choices->value;
			return true;
		}
	return false;
}

static bool
list_choices(const AlbertJsonChoice *choices, AlbertStatus *status)
{
	char		list[sizeof(status->detail) - 16];
	size_t		used = 0;

	for (size_t i = 0; choices[i].name != NULL && used < sizeof(list); i++)
		used += snprintf(list + used, sizeof(list) - used, "%s\"%s\"",
						 i == 0 ? "" : choices[i + 1].name == NULL ? " and " : ", ", choices[i].name);
	return AlbertDetail(status, "Supported: %s.", list);
}

static bool
is_of_kind(const AlbertJsonMember *member, const json_t *value)
{
	switch (member->kind)
	{
		case ALBERT_JSON_INT:
			return json_is_integer(value) && json_integer_value(value) >= member->lowest &&
				json_integer_value(value) <= member->highest;
		case ALBERT_JSON_NUMBER:
			return json_is_number(value) && json_number_value(value) >= member->lowest &&
				json_number_value(value) <= member->highest;
		case ALBERT_JSON_BOOL:
		case ALBERT_JSON_BIT:
			return json_is_boolean(value);
		case ALBERT_JSON_UNSUPPORTED:
			return true;
		default:
			return json_is_string(value);
	}
}

static bool
describe_kind(const AlbertJsonMember *member, AlbertStatus *status)
{
	switch (member->kind)
	{
		case ALBERT_JSON_INT:
			return AlbertDetail(status, "It must be an integer from %.0f to %.0f.", member->lowest, member->highest);
		case ALBERT_JSON_NUMBER:
			return AlbertDetail(status, "It must be a number from %g to %g.", member->lowest, member->highest);
		case ALBERT_JSON_BOOL:
		case ALBERT_JSON_BIT:
			return AlbertDetail(status, "It must be true or false.");
		case ALBERT_JSON_STRING:
			return AlbertDetail(status, "It must be a string.");
		default:
			return list_choices(member->choices, status);
	}
}

static bool
choose(const AlbertJsonMember *member, const json_t *value, int32_t *dest, const char *file, AlbertStatus *status)
{
	const char *name = json_string_value(value);
	const char *dot = member->kind == ALBERT_JSON_CLASS ? strrchr(name, '.') : NULL;
	int32_t		ignored;

	if (AlbertJsonChoose(member->choices, dot == NULL ? name : dot + 1, dest == NULL ? &ignored : dest))
		return true;
	AlbertJsonWrong(value, member->unknown == 0 ? ALBERT_UNSUPPORTED : member->unknown, member->key, file, status);
	return list_choices(member->choices, status);
}

static bool
read_member(const AlbertJsonMember *member, const json_t *value, void *dest, const char *file, AlbertStatus *status)
{
	if (!is_of_kind(member, value))
	{
		AlbertJsonWrong(value, member->unknown == 0 ? ALBERT_FORMAT : member->unknown, member->key, file, status);
		return describe_kind(member, status);
	}
	switch (member->kind)
	{
		case ALBERT_JSON_INT:
			*(int32_t *) dest = (int32_t) json_integer_value(value);
			return true;
		case ALBERT_JSON_BOOL:
			*(int32_t *) dest = json_is_true(value);
			return true;
		case ALBERT_JSON_BIT:
			*(uint32_t *) dest &= ~(uint32_t) member->lowest;
			*(uint32_t *) dest |= json_is_true(value) ? (uint32_t) member->lowest : 0;
			return true;
		case ALBERT_JSON_NUMBER:
			*(double *) dest = json_number_value(value);
			return true;
		case ALBERT_JSON_STRING:
			*(const char **) dest = json_string_value(value);
			return true;
		case ALBERT_JSON_UNSUPPORTED:
			return !json_is_true(value) || AlbertJsonWrong(value, ALBERT_UNSUPPORTED, member->key, file, status);
		default:
			return choose(member, value, dest, file, status);
	}
}

bool
AlbertJsonRead(const json_t *object, const AlbertJsonMember *members, size_t n, void *dest,
			   const char *file, AlbertStatus *status)
{
	for (const AlbertJsonMember *member = members; member < members + n; member++)
	{
		const json_t *value = json_object_get(object, member->key);
		void	   *place = member->offset == ALBERT_JSON_NOWHERE ? NULL : (char *) dest + member->offset;

		if (value != NULL && !(member->or_null && json_is_null(value)))
		{
			if (!read_member(member, value, place, file, status))
				return false;
		}
		else if (member->kind == ALBERT_JSON_INT &&
				 (*(int32_t *) place < member->lowest || *(int32_t *) place > member->highest))
			return AlbertFail(status, ALBERT_FORMAT, "file \"%s\" has no \"%s\"", file, member->key);
	}
	return true;
}
