/*
 * labels.c
 *	  The names of a classifier's labels: id2label, label2id, num_labels.
 *
 * transformers reads id2label only and counts its entries; without it there
 * are num_labels labels (2 by default) called LABEL_0, LABEL_1 ...  Files
 * written by hand also hold the inverted table, numbers as strings, and gaps.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <string.h>

static bool
set_label(AlbertSource *source, ConfigFile *config, int64_t number, const char *text,
		  bool replace, AlbertStatus *status)
{
	if ((size_t) number >= config->label_room)
	{
		size_t		used = config->label_room;
		const char **labels = AlbertArenaGrow(source->arena, config->labels, used, number + 1, sizeof(char *),
											  &config->label_room);

		if (labels == NULL)
			return AlbertNoMemory(status);
		for (size_t i = used; i < config->label_room; i++)
			labels[i] = NULL;
		config->labels = labels;
	}
	if (number >= config->label_end)
		config->label_end = number + 1;
	if (config->labels[number] != NULL && !replace)
		return true;
	config->labels[number] = AlbertNameJoin(source, text, "");
	if (config->labels[number] == NULL)
		return AlbertNoMemory(status);
	return true;
}

/* A JSON value as a label's number; -1 when it is none. */
static int64_t
label_number(const json_t *value)
{
	if (json_is_integer(value) && json_integer_value(value) >= 0 &&
		json_integer_value(value) < MAX_LABELS)
		return json_integer_value(value);
	if (json_is_string(value))
		return AlbertParseNumber(json_string_value(value), MAX_LABELS - 1);
	return -1;
}

/* A JSON value as a label's text; NULL when it is no scalar. */
static const char *
label_text(const json_t *value, char *buffer, size_t size)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_number(value) || json_is_boolean(value))
	{
		AlbertJsonShow(value, buffer, size);
		return buffer;
	}
	return NULL;
}

/*
 * One table in either direction: {"0": "negative"} or {"negative": 0}.  What
 * id2label says goes before label2id.
 */
static bool
read_table(AlbertSource *source, const json_t *table, const char *key, const char *file,
		   ConfigFile *config, bool replace, AlbertStatus *status)
{
	const char *name;
	json_t	   *value;
	char		buffer[64];

	json_object_foreach((json_t *) table, name, value)
	{
		int64_t		number = AlbertParseNumber(name, MAX_LABELS - 1);
		const char *text = label_text(value, buffer, sizeof(buffer));
		int64_t		reverse = label_number(value);

		/* {"1": 0} is a number either way: the key of id2label is the number, the value of label2id */
		if (number >= 0 && (replace || reverse < 0) && text != NULL)
		{
			if (!set_label(source, config, number, text, replace, status))
				return false;
		}
		else if (reverse >= 0)
		{
			if (!set_label(source, config, reverse, name, replace, status))
				return false;
		}
		else
		{
			AlbertJsonShow(value, buffer, sizeof(buffer));
			AlbertFail(status, ALBERT_FORMAT, "invalid \"%s\" in file \"%s\"", key, file);
			return AlbertDetail(status, "The entry \"%.64s\": %s holds no label number from 0 to %d.",
								name, buffer, MAX_LABELS - 1);
		}
	}
	return true;
}

static bool
get_table(const json_t *root, const char *key, const char *file, json_t **table,
		  AlbertStatus *status)
{
	*table = json_object_get(root, key);
	if (json_is_null(*table))
		*table = NULL;
	if (*table == NULL || json_is_object(*table))
		return true;
	return AlbertFail(status, ALBERT_FORMAT, "\"%s\" in file \"%s\" is not an object", key, file);
}

bool
AlbertLabelsRead(AlbertSource *source, const json_t *root, const char *name,
				 ConfigFile *config, AlbertStatus *status)
{
	json_t	   *id2label;
	json_t	   *label2id;
	int32_t		num_labels = 2;

	if (!get_table(root, "id2label", name, &id2label, status) ||
		!get_table(root, "label2id", name, &label2id, status))
		return false;
	if (!json_is_null(json_object_get(root, "num_labels")) &&
		!AlbertJsonInt(root, "num_labels", 2, 0, MAX_LABELS, &num_labels, name, status))
		return false;
	if (id2label != NULL && !read_table(source, id2label, "id2label", name, config, true, status))
		return false;
	if (label2id != NULL && !read_table(source, label2id, "label2id", name, config, false, status))
		return false;
	if (id2label != NULL)
		config->nlabels = json_object_size(id2label);
	else if (label2id != NULL && json_object_get(root, "num_labels") == NULL)
		config->nlabels = json_object_size(label2id);
	else
		config->nlabels = num_labels;
	return true;
}
