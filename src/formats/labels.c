/*
 * labels.c
 *	  The names of a classifier's labels: id2label, label2id, num_labels.
 *
 * transformers reads id2label only and counts its entries; without it there
 * are num_labels labels (2 by default) called LABEL_0, LABEL_1 ...  Files
 * written by hand also hold the inverted table, numbers as strings, and gaps.
 */
#include "formats/internal.h"

#include <stdlib.h>
#include <string.h>

/* The whole of a text as a label's number; -1 when it is none. */
static int64_t
parse_number(const char *text)
{
	char	   *end;
	long		number = strtol(text, &end, 10);

	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && number < MAX_LABELS ? number : -1;
}

/* A JSON value as a label's number; -1 when it is none. */
static int64_t
label_number(const json_t *value)
{
	if (json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) < MAX_LABELS)
		return json_integer_value(value);
	return json_is_string(value) ? parse_number(json_string_value(value)) : -1;
}

/* A JSON value as a label's text; NULL when it is no scalar. */
static const char *
label_text(AlbertSource *source, const json_t *value)
{
	char		buffer[64];

	if (!json_is_number(value) && !json_is_boolean(value))
		return json_string_value(value);
	AlbertJsonShow(value, buffer, sizeof(buffer));
	return AlbertNameFormat(source->arena, "%s", buffer);
}

/*
 * One table in either direction: {"0": "negative"} or {"negative": 0}.  What
 * id2label says goes before label2id.
 */
static bool
read_table(AlbertSource *source, const json_t *root, const char *key, const char *file, bool replace,
		   AlbertStatus *status)
{
	json_t	   *table = json_object_get(root, key);
	const char *name;
	json_t	   *value;
	char		buffer[64];

	if (table != NULL && !json_is_null(table) && !json_is_object(table))
		return AlbertFail(status, ALBERT_FORMAT, "\"%s\" in file \"%s\" is not an object", key, file);
	json_object_foreach(table, name, value)
	{
		int64_t		number = parse_number(name);
		const char *text = label_text(source, value);
		int64_t		reverse = label_number(value);

		/* {"1": 0} is a number either way: the key of id2label is the number, the value of label2id */
		if (number < 0 || text == NULL || (!replace && reverse >= 0))
		{
			number = reverse;
			text = name;
		}
		if (number < 0)
		{
			AlbertJsonShow(value, buffer, sizeof(buffer));
			AlbertFail(status, ALBERT_FORMAT, "invalid \"%s\" in file \"%s\"", key, file);
			return AlbertDetail(status, "The entry \"%.64s\": %s holds no label number from 0 to %d.",
								name, buffer, MAX_LABELS - 1);
		}
		if (number >= source->label_end)
			source->label_end = number + 1;
		if (replace || source->labels[number] == NULL)
			source->labels[number] = text;
	}
	return true;
}

bool
AlbertLabelsRead(AlbertSource *source, const json_t *root, const char *file, AlbertStatus *status)
{
	static const AlbertJsonMember number = {
		"num_labels", ALBERT_JSON_INT, offsetof(AlbertSource, nlabels), 0, MAX_LABELS, .or_null = true
	};
	const json_t *id2label = json_object_get(root, "id2label");
	const json_t *label2id = json_object_get(root, "label2id");

	source->nlabels = 2;
	source->labels = AlbertArenaAllocZero(source->arena, MAX_LABELS * sizeof(char *));
	if (source->labels == NULL)
		return AlbertNoMemory(status);
	if (!AlbertJsonRead(root, &number, 1, source, file, status) ||
		!read_table(source, root, "id2label", file, true, status) ||
		!read_table(source, root, "label2id", file, false, status))
		return false;
	if (json_is_object(id2label))
		source->nlabels = json_object_size(id2label);
	else if (json_is_object(label2id) && json_object_get(root, "num_labels") == NULL)
		source->nlabels = json_object_size(label2id);
	return true;
}
