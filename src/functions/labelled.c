/*
 * labelled.c
 *	  Labelled texts of a query: reading them.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "executor/text.h"
#include "functions/labelled.h"

#define FETCH_ROWS	1000
#define MAX_CLASSES	1000

typedef struct Reader
{
	AlbertLabels *labels;
	TupleDesc	desc;
	int			weight;			/* its column; 0: none */
	Oid			element;		/* of a set's array */
	int			room;
	MemoryContext context;
} Reader;

/* ---------- what the columns are ---------- */

static AlbertLabelKind
kind_of(Oid type)
{
	char		category;
	bool		preferred;

	type = getBaseType(type);
	if (type == FLOAT4OID || type == FLOAT8OID || type == NUMERICOID)
		return ALBERT_LABEL_NUMBER;
	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_ARRAY ? ALBERT_LABEL_SET : ALBERT_LABEL_CLASS;
}

static void
look_at_columns(Reader *reader)
{
	TupleDesc	desc = reader->desc;

	if (desc->natts < 2)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query must give a text and a label"),
				 errhint("For example: SELECT body, queue FROM tickets.")));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (i == 0)
		{
			char		category;
			bool		preferred;

			get_type_category_preferred(getBaseType(column->atttypid), &category, &preferred);
			if (category != TYPCATEGORY_STRING && column->atttypid != UNKNOWNOID)
				ereport(ERROR,
						(errcode(ERRCODE_DATATYPE_MISMATCH),
						 errmsg("the query's first column must be a text, not %s", format_type_be(column->atttypid))));
		}
		else if (i == 1)
		{
			reader->labels->kind = kind_of(column->atttypid);
			if (reader->labels->kind == ALBERT_LABEL_SET)
				reader->element = get_element_type(getBaseType(column->atttypid));
		}
		else if (strcmp(NameStr(column->attname), "weight") == 0 && reader->weight == 0)
			reader->weight = i + 1;
		else
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("the query has a column \"%s\" that has no meaning", NameStr(column->attname)),
					 errdetail("A text, its label and, under that name, a weight are read.")));
	}
}

/* ---------- one row ---------- */

static AlbertText
utf8(const char *string)
{
	AlbertText	text = AlbertTextFromDatum(CStringGetTextDatum(string));

	return text;
}

static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* A set's members in order, each with a NUL behind it. */
static void
take_set(Reader *reader, AlbertLabelled *row, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	StringInfoData set;
	int16		length;
	bool		byval;
	char		align;
	Oid			output;
	bool		is_varlena;
	Datum	   *members;
	bool	   *nulls;
	char	  **names;
	int			n;
	int			k = 0;

	get_typlenbyvalalign(reader->element, &length, &byval, &align);
	getTypeOutputInfo(reader->element, &output, &is_varlena);
	deconstruct_array(array, reader->element, length, byval, align, &members, &nulls, &n);
	names = palloc(Max(n, 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
	{
		AlbertText	name;

		if (nulls[i])
			continue;
		name = utf8(OidOutputFunctionCall(output, members[i]));
		names[k++] = pnstrdup(name.data, name.size);
	}
	qsort(names, k, sizeof(char *), compare_strings);
	initStringInfo(&set);
	for (int i = 0; i < k; i++)
	{
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			appendBinaryStringInfo(&set, names[i], strlen(names[i]) + 1);
	}
	row->label = set.data;
	row->size = set.len;
}

static double
number_of(Reader *reader, HeapTuple tuple, int column, const char *what)
{
	char	   *string = SPI_getvalue(tuple, reader->desc, column);
	double		number = string == NULL ? 1 : DatumGetFloat8(DirectFunctionCall1(float8in, CStringGetDatum(string)));

	if (isnan(number) || isinf(number))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("a %s is not a finite number", what)));
	return number;
}

static void
take_row(Reader *reader, HeapTuple tuple)
{
	AlbertLabels *labels = reader->labels;
	char	   *text = SPI_getvalue(tuple, reader->desc, 1);
	bool		isnull;
	Datum		label = SPI_getbinval(tuple, reader->desc, 2, &isnull);
	AlbertLabelled *row;

	if (text == NULL || isnull)
	{
		labels->nskipped++;
		return;
	}
	if (labels->nrows == reader->room)
	{
		if (reader->room > INT_MAX / 4)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the query has too many rows")));
		reader->room = Max(1000, 2 * reader->room);
		labels->rows = labels->rows == NULL ? palloc_extended(reader->room * sizeof(AlbertLabelled), MCXT_ALLOC_HUGE)
			: repalloc_huge(labels->rows, reader->room * sizeof(AlbertLabelled));
	}
	row = &labels->rows[labels->nrows++];
	memset(row, 0, sizeof(*row));
	row->text = utf8(text);
	row->hash = hash_bytes_extended((const unsigned char *) row->text.data, row->text.size, 0);
	row->weight = reader->weight == 0 ? 1 : number_of(reader, tuple, reader->weight, "weight");
	if (row->weight < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a weight is negative")));
	if (labels->kind == ALBERT_LABEL_NUMBER)
		row->number = number_of(reader, tuple, 2, "label");
	else if (labels->kind == ALBERT_LABEL_SET)
		take_set(reader, row, label);
	else
	{
		AlbertText	name = utf8(SPI_getvalue(tuple, reader->desc, 2));

		row->label = pnstrdup(name.data, name.size);
		row->size = name.size;
	}
}

/* ---------- order, distinct texts, classes ---------- */

static int
compare_bytes(const char *a, size_t na, const char *b, size_t nb)
{
	int			order = na == 0 || nb == 0 ? 0 : memcmp(a, b, Min(na, nb));

	return order != 0 ? order : na < nb ? -1 : na > nb;
}

/* By the text's hash first, so that what folds are made of is as if it were drawn. */
static int
compare_rows(const void *a, const void *b)
{
	const AlbertLabelled *x = a;
	const AlbertLabelled *y = b;
	int			order;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	order = compare_bytes(x->text.data, x->text.size, y->text.data, y->text.size);
	if (order == 0)
		order = compare_bytes(x->label, x->size, y->label, y->size);
	if (order == 0)
		order = x->number < y->number ? -1 : x->number > y->number;
	return order != 0 ? order : x->weight < y->weight ? -1 : x->weight > y->weight;
}

static void
number_texts(AlbertLabels *labels)
{
	labels->texts = palloc_extended(Max(labels->nrows, 1) * sizeof(AlbertText), MCXT_ALLOC_HUGE);
	for (int i = 0; i < labels->nrows; i++)
	{
		AlbertLabelled *row = &labels->rows[i];

		if (i == 0 || compare_bytes(row->text.data, row->text.size, row[-1].text.data, row[-1].text.size) != 0)
			labels->texts[labels->ntexts++] = row->text;
		row->vector = labels->ntexts - 1;
	}
}

/* Every name of a class among the rows, once for each time it comes. */
static const char **
all_names(const AlbertLabels *labels, int *n)
{
	const char **names;

	*n = 0;
	for (int i = 0; i < labels->nrows; i++)
	{
		if (labels->kind == ALBERT_LABEL_CLASS)
			(*n)++;
		else
			for (int at = 0; at < labels->rows[i].size; at += strlen(labels->rows[i].label + at) + 1)
				(*n)++;
	}
	names = palloc_extended(Max(*n, 1) * sizeof(char *), MCXT_ALLOC_HUGE);
	*n = 0;
	for (int i = 0; i < labels->nrows; i++)
	{
		if (labels->kind == ALBERT_LABEL_CLASS)
			names[(*n)++] = labels->rows[i].label;
		else
			for (int at = 0; at < labels->rows[i].size; at += strlen(labels->rows[i].label + at) + 1)
				names[(*n)++] = labels->rows[i].label + at;
	}
	return names;
}

static void
number_classes(AlbertLabels *labels)
{
	int			n;
	const char **names = all_names(labels, &n);

	qsort(names, n, sizeof(char *), compare_strings);
	for (int i = 0; i < n; i++)
	{
		if (labels->nclasses == 0 || strcmp(names[i], names[labels->nclasses - 1]) != 0)
			names[labels->nclasses++] = names[i];
	}
	labels->classes = names;
	if (labels->nclasses > MAX_CLASSES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are %d labels, more than %d", labels->nclasses, MAX_CLASSES),
				 errhint("The query's second column is the label; numbers with a fraction are learnt as numbers.")));
	for (int i = 0; labels->kind == ALBERT_LABEL_CLASS && i < labels->nrows; i++)
	{
		const char **found = bsearch(&labels->rows[i].label, labels->classes, labels->nclasses, sizeof(char *),
									 compare_strings);

		labels->rows[i].class = found - labels->classes;
	}
}

bool
AlbertLabelHas(const AlbertLabels *labels, const AlbertLabelled *row, int class)
{
	if (labels->kind == ALBERT_LABEL_CLASS)
		return row->class == class;
	for (int at = 0; at < row->size; at += strlen(row->label + at) + 1)
	{
		if (strcmp(row->label + at, labels->classes[class]) == 0)
			return true;
	}
	return false;
}

void
AlbertLabelledRead(const char *query, AlbertLabels *labels)
{
	Reader		reader = {.labels = labels, .context = CurrentMemoryContext};
	SPIPlanPtr	plan;
	Portal		portal;

	memset(labels, 0, sizeof(*labels));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL || !SPI_is_cursor_plan(plan))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query must be one that gives rows"),
				 errhint("For example: SELECT body, queue FROM tickets.")));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	reader.desc = portal->tupDesc;
	look_at_columns(&reader);
	for (;;)
	{
		MemoryContext old;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		old = MemoryContextSwitchTo(reader.context);
		for (uint64 i = 0; i < SPI_processed; i++)
			take_row(&reader, SPI_tuptable->vals[i]);
		MemoryContextSwitchTo(old);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_finish();
	if (labels->nrows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("the query gives no row with a text and a label")));
	qsort(labels->rows, labels->nrows, sizeof(AlbertLabelled), compare_rows);
	number_texts(labels);
	if (labels->kind != ALBERT_LABEL_NUMBER)
		number_classes(labels);
}
