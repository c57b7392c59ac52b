/*
 * report.c
 *	  From a status of the code below to a PostgreSQL error.
 */
#include "store/registry.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

static const struct
{
	uint32		head;
	const char *name;
}			head_names[] =
{
	{ALBERT_HEAD_MLM, "fill-mask"},
	{ALBERT_HEAD_SENTENCE_ORDER, "sentence order"},
	{ALBERT_HEAD_CLASSIFIER, "classification"},
	{ALBERT_HEAD_TOKEN_CLASSIFIER, "token classification"},
	{ALBERT_HEAD_QUESTION_ANSWERING, "question answering"},
	{ALBERT_HEAD_CHOICE, "multiple choice"},
	{ALBERT_HEAD_POOLER, "pooler"},
};

const char *
AlbertHeadName(int i, uint32 *head)
{
	if (i < 0 || i >= lengthof(head_names))
		return NULL;
	*head = head_names[i].head;
	return head_names[i].name;
}

char *
AlbertHeadNames(uint32 heads)
{
	StringInfoData names;
	const char *name;
	uint32		head;
	int			i;

	initStringInfo(&names);
	for (i = 0; (name = AlbertHeadName(i, &head)) != NULL; i++)
	{
		if (heads & head)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", name);
	}
	return names.data;
}

/*
 * A message may quote bytes of a file that nobody has checked, and may have
 * been cut in the middle of a character.  What the database's encoding cannot
 * hold becomes a question mark, so that reporting cannot fail.
 */
char *
AlbertCleanText(const char *text)
{
	int			left = strlen(text);
	bool		utf8 = GetDatabaseEncoding() == PG_UTF8;
	char	   *clean = palloc(left + 1);
	char	   *to = clean;

	while (left > 0)
	{
		const unsigned char *c = (const unsigned char *) text;
		int			len = pg_utf_mblen(c);

		if (len > left || !pg_utf8_islegal(c, len))
			len = 1;
		if ((len == 1 && (*c & 0x80) != 0) || (len > 1 && !utf8))
			*to++ = '?';
		else
		{
			memcpy(to, text, len);
			to += len;
		}
		text += len;
		left -= len;
	}
	*to = '\0';
	return clean;
}

int
AlbertStatusSqlState(const AlbertStatus *status)
{
	switch (status->code)
	{
		case ALBERT_NOT_FOUND:
			return ERRCODE_UNDEFINED_FILE;
		case ALBERT_IO:
			return ERRCODE_IO_ERROR;
		case ALBERT_FORMAT:
			return ERRCODE_DATA_CORRUPTED;
		case ALBERT_UNSUPPORTED:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		case ALBERT_INPUT:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case ALBERT_TOO_LONG:
			return ERRCODE_STRING_DATA_RIGHT_TRUNCATION;
		case ALBERT_NO_MEMORY:
			return ERRCODE_OUT_OF_MEMORY;
		case ALBERT_CANCELLED:
			return ERRCODE_QUERY_CANCELED;
		case ALBERT_OK:
		case ALBERT_INTERNAL:
			break;
	}
	return ERRCODE_INTERNAL_ERROR;
}

void
AlbertReport(const AlbertStatus *status)
{
	/* The interrupt that stopped the work has words of its own. */
	if (status->code == ALBERT_CANCELLED)
		CHECK_FOR_INTERRUPTS();

	ereport(ERROR,
			(errcode(AlbertStatusSqlState(status)),
			 errmsg_internal("%s", AlbertCleanText(status->message)),
			 status->detail[0] != '\0' ?
			 errdetail_internal("%s", AlbertCleanText(status->detail)) : 0,
			 status->hint[0] != '\0' ?
			 errhint("%s", AlbertCleanText(status->hint)) : 0));
}
