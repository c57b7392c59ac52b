/*
 * labelled.c
 *	  Labelled texts of a query: reading them.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "executor/text.h"
#include "functions/labelled.h"

#define FETCH_ROWS	1000
#define MAX_CLASSES	1000

typedef struct Reader
{
	AlbertLabels *labels;
	TupleDesc	desc;
	bool		may_split;
	int			pair;			/* columns; 0: none */
	int			weight;
	int			split;
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
require_text(Form_pg_attribute column, const char *which)
{
	char		category;
	bool		preferred;

	get_type_category_preferred(getBaseType(column->atttypid), &category, &preferred);
	if (category != TYPCATEGORY_STRING && column->atttypid != UNKNOWNOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query's %s must be a text, not %s", which, format_type_be(column->atttypid))));
}

/* What a column behind text and label is for, by its name. */
static void
look_at_other(Reader *reader, int number, Form_pg_attribute column)
{
	const char *name = NameStr(column->attname);

	if (strcmp(name, "weight") == 0 && reader->weight == 0)
		reader->weight = number;
	else if (strcmp(name, "pair") == 0 && reader->pair == 0)
	{
		require_text(column, "column \"pair\"");
		reader->pair = number;
	}
	else if (strcmp(name, "split") == 0 && reader->split == 0 && reader->may_split)
	{
		require_text(column, "column \"split\"");
		reader->split = number;
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query has a column \"%s\" that has no meaning", name),
				 reader->may_split ?
				 errdetail("A text, its label and, under these names, a second text \"pair\", a \"weight\" and a "
						   "\"split\" are read.") :
				 errdetail("A text, its label and, under these names, a second text \"pair\" and a \"weight\" are "
						   "read.")));
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
			require_text(column, "first column");
		else if (i == 1)
		{
			reader->labels->kind = kind_of(column->atttypid);
			if (reader->labels->kind == ALBERT_LABEL_SET)
				reader->element = get_element_type(getBaseType(column->atttypid));
		}
		else
			look_at_other(reader, i + 1, column);
	}
	reader->labels->pairs = reader->pair != 0;
}

/* ---------- one row ---------- */

static char *
utf8(char *string)
{
	return pg_server_to_any(string, strlen(string), PG_UTF8);
}

/* Of what is read of a row, these bytes are kept. */
static char *
keep(const Reader *reader, const char *data, Size size)
{
	char	   *kept = MemoryContextAllocExtended(reader->context, size + 1, MCXT_ALLOC_HUGE);

	memcpy(kept, data, size);
	kept[size] = '\0';
	return kept;
}

static AlbertText
keep_text(const Reader *reader, char *string)
{
	char	   *text = utf8(string);
	size_t		size = strlen(text);

	return (AlbertText) {.data = keep(reader, text, size), .size = size};
}

/* Sorting millions takes seconds. */
static int
compare_strings(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();
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
		if (!nulls[i])
			names[k++] = utf8(OidOutputFunctionCall(output, members[i]));
	}
	qsort(names, k, sizeof(char *), compare_strings);
	initStringInfo(&set);
	for (int i = 0; i < k; i++)
	{
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			appendBinaryStringInfo(&set, names[i], strlen(names[i]) + 1);
	}
	row->label = keep(reader, set.data, set.len);
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

/* Is a row of that split kept back? */
static bool
is_tested(const char *split)
{
	if (strcmp(split, "train") == 0)
		return false;
	if (strcmp(split, "test") == 0 || strcmp(split, "validation") == 0)
		return true;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown split \"%s\"", split),
			 errhint("Rows of \"train\" are learnt from; those of \"test\" or \"validation\" tell how well. A row "
					 "whose split is null is left out.")));
}

static void
take_row(Reader *reader, HeapTuple tuple)
{
	AlbertLabels *labels = reader->labels;
	char	   *text = SPI_getvalue(tuple, reader->desc, 1);
	char	   *pair = reader->pair == 0 ? NULL : SPI_getvalue(tuple, reader->desc, reader->pair);
	char	   *split = reader->split == 0 ? NULL : SPI_getvalue(tuple, reader->desc, reader->split);
	bool		isnull;
	Datum		label = SPI_getbinval(tuple, reader->desc, 2, &isnull);
	AlbertLabelled *row;
	char	   *name;

	if (text == NULL || isnull || (reader->pair != 0 && pair == NULL) || (reader->split != 0 && split == NULL))
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
		labels->rows = labels->rows == NULL
			? MemoryContextAllocExtended(reader->context, reader->room * sizeof(AlbertLabelled), MCXT_ALLOC_HUGE)
			: repalloc_huge(labels->rows, reader->room * sizeof(AlbertLabelled));
	}
	row = &labels->rows[labels->nrows++];
	memset(row, 0, sizeof(*row));
	row->text = keep_text(reader, text);
	row->hash = hash_bytes_extended((const unsigned char *) row->text.data, row->text.size, 0);
	if (pair != NULL)
		row->pair = keep_text(reader, pair);
	row->tested = split != NULL && is_tested(split);
	labels->ntested += row->tested;
	row->weight = reader->weight == 0 ? 1 : number_of(reader, tuple, reader->weight, "weight");
	if (row->weight < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a weight is negative")));
	if (labels->kind == ALBERT_LABEL_NUMBER)
	{
		row->number = number_of(reader, tuple, 2, "label");
		/* what a model computes are such */
		if (fabs(row->number) > FLT_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("label %g is out of range for type real", row->number)));
	}
	else if (labels->kind == ALBERT_LABEL_SET)
		take_set(reader, row, label);
	else
	{
		name = utf8(SPI_getvalue(tuple, reader->desc, 2));
		row->size = strlen(name);
		row->label = keep(reader, name, row->size);
	}
}

/* ---------- order, distinct texts, classes ---------- */

static int
compare_bytes(const char *a, size_t na, const char *b, size_t nb)
{
	int			order = na == 0 || nb == 0 ? 0 : memcmp(a, b, Min(na, nb));

	return order != 0 ? order : na < nb ? -1 : na > nb;
}

static int
compare_texts(const AlbertText *a, const AlbertText *b)
{
	return compare_bytes(a->data, a->size, b->data, b->size);
}

/* By the text's hash first, so that what folds are made of is as if it were drawn. */
static int
compare_rows(const void *a, const void *b)
{
	const AlbertLabelled *x = a;
	const AlbertLabelled *y = b;
	int			order;

	CHECK_FOR_INTERRUPTS();
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	order = compare_texts(&x->text, &y->text);
	if (order == 0)
		order = compare_texts(&x->pair, &y->pair);
	if (order == 0)
		order = compare_bytes(x->label, x->size, y->label, y->size);
	if (order == 0)
		order = x->number < y->number ? -1 : x->number > y->number;
	if (order == 0)
		order = x->weight < y->weight ? -1 : x->weight > y->weight;
	return order != 0 ? order : x->tested - y->tested;
}

/* Rows that are kept back tell nothing where the same text is learnt from: they are left out. */
static void
leave_out_known(AlbertLabels *labels)
{
	int			kept = 0;
	int			end;

	if (labels->ntested == 0)
		return;
	for (int begin = 0; begin < labels->nrows; begin = end)
	{
		const AlbertText *text = &labels->rows[begin].text;
		bool		learnt = false;

		for (end = begin; end < labels->nrows && compare_texts(&labels->rows[end].text, text) == 0; end++)
			learnt = learnt || !labels->rows[end].tested;
		for (int i = begin; i < end; i++)
		{
			if (learnt && labels->rows[i].tested)
			{
				labels->nskipped++;
				labels->ntested--;
			}
			else
				labels->rows[kept++] = labels->rows[i];
		}
	}
	labels->nrows = kept;
}

typedef struct TextPlace
{
	AlbertText	text;
	int		   *number;
} TextPlace;

static int
compare_places(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();
	return compare_texts(&((const TextPlace *) a)->text, &((const TextPlace *) b)->text);
}

/* Number the distinct texts of all vectors, of which the rows have those given as their numbers. */
static void
number_texts(AlbertLabels *labels, const AlbertLabelled **examples)
{
	int			n = 0;
	TextPlace  *places = AlbertLabelledAlloc(2 * (Size) labels->nvectors, sizeof(TextPlace));

	for (int i = 0; i < labels->nvectors; i++)
	{
		places[n++] = (TextPlace) {examples[i]->text, &labels->vectors[i].text};
		labels->vectors[i].pair = -1;
		if (labels->pairs)
			places[n++] = (TextPlace) {examples[i]->pair, &labels->vectors[i].pair};
	}
	qsort(places, n, sizeof(TextPlace), compare_places);
	labels->texts = AlbertLabelledAlloc(n, sizeof(AlbertText));
	for (int i = 0; i < n; i++)
	{
		if (i == 0 || compare_places(&places[i - 1], &places[i]) != 0)
			labels->texts[labels->ntexts++] = places[i].text;
		*places[i].number = labels->ntexts - 1;
	}
	pfree(places);
}

/* Number what rows have, and the groups of those with the same first text. */
static void
number_vectors(AlbertLabels *labels)
{
	const AlbertLabelled **examples = AlbertLabelledAlloc(labels->nrows, sizeof(AlbertLabelled *));

	for (int i = 0; i < labels->nrows; i++)
	{
		AlbertLabelled *row = &labels->rows[i];
		bool		new_text = i == 0 || compare_texts(&row->text, &row[-1].text) != 0;

		labels->ngroups += new_text;
		if (new_text || compare_texts(&row->pair, &row[-1].pair) != 0)
			examples[labels->nvectors++] = row;
		row->vector = labels->nvectors - 1;
		row->group = labels->ngroups - 1;
	}
	labels->vectors = AlbertLabelledAlloc(labels->nvectors, sizeof(AlbertLabelVector));
	number_texts(labels, examples);
	pfree(examples);
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

static int
class_number(const AlbertLabels *labels, const char *name)
{
	const char **found = bsearch(&name, labels->classes, labels->nclasses, sizeof(char *), compare_strings);

	return found - labels->classes;
}

/* Room for the sets of all rows, empty ones. */
static void
make_sets(AlbertLabels *labels)
{
	Size		size = (labels->nclasses + 7) / 8;
	uint8	   *bits = AlbertLabelledAlloc(labels->nrows, size);

	for (int i = 0; i < labels->nrows; i++)
		labels->rows[i].classes = bits + i * size;
}

static void
number_row(const AlbertLabels *labels, AlbertLabelled *row)
{
	if (labels->kind == ALBERT_LABEL_CLASS)
		row->class = class_number(labels, row->label);
	else
		for (int at = 0; at < row->size; at += strlen(row->label + at) + 1)
		{
			int			class = class_number(labels, row->label + at);

			row->classes[class / 8] |= 1 << class % 8;
		}
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
	if (labels->kind == ALBERT_LABEL_SET)
		make_sets(labels);
	for (int i = 0; i < labels->nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		number_row(labels, &labels->rows[i]);
	}
}

void
AlbertLabelsRenumber(AlbertLabels *labels, const int *numbers, const char **classes, int n)
{
	AlbertLabels old = *labels;

	labels->classes = classes;
	labels->nclasses = n;
	labels->rows = AlbertLabelledAlloc(old.nrows, sizeof(AlbertLabelled));
	memcpy(labels->rows, old.rows, old.nrows * sizeof(AlbertLabelled));
	if (labels->kind == ALBERT_LABEL_SET)
		make_sets(labels);
	for (int i = 0; i < labels->nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (labels->kind == ALBERT_LABEL_CLASS)
			labels->rows[i].class = numbers[old.rows[i].class];
		else
			for (int c = 0; c < old.nclasses; c++)
			{
				if (AlbertLabelHas(&old, &old.rows[i], c))
					labels->rows[i].classes[numbers[c] / 8] |= 1 << numbers[c] % 8;
			}
	}
}

void
AlbertLabelledRead(const char *query, bool may_split, AlbertLabels *labels)
{
	Reader		reader = {.labels = labels, .may_split = may_split, .context = CurrentMemoryContext};
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
		MemoryContext per_fetch;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		per_fetch = AllocSetContextCreate(CurrentMemoryContext, "albert labels", ALLOCSET_DEFAULT_SIZES);
		old = MemoryContextSwitchTo(per_fetch);
		for (uint64 i = 0; i < SPI_processed; i++)
			take_row(&reader, SPI_tuptable->vals[i]);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(per_fetch);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_finish();
	if (labels->nrows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("the query gives no row with a text and a label")));
	qsort(labels->rows, labels->nrows, sizeof(AlbertLabelled), compare_rows);
	leave_out_known(labels);
	number_vectors(labels);
	if (labels->kind != ALBERT_LABEL_NUMBER)
		number_classes(labels);
}
