/*
 * labelled.c
 *	  Labelled texts of a query: reading them, and a model's results for them.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "executor/progress.h"
#include "functions/distinct.h"
#include "functions/functions.h"
#include "functions/labelled.h"

#define MAX_CLASSES		1000
#define RUN_ITEMS		256		/* given to the model at a time */
#define MAX_BYTES		((Size) 4 * 1024 * 1024 * 1024)

/* Distinct strings by their numbers, as they come: in UTF-8, with a NUL behind each. */
typedef struct Strings
{
	int			n;
	int			room;
	AlbertLabelText *strings;
	distinct_hash *numbers;
} Strings;

typedef struct Reader
{
	AlbertLabels *labels;
	bool		may_split;
	int			nknown;
	int			pair;			/* columns; 0: none */
	int			weight;
	int			split;
	Oid			element;		/* of a set's array */
	int			room;			/* for rows */
	Strings		texts;
	Strings		classes;		/* the known ones first */
	MemoryContext context;		/* of all that is kept */
} Reader;

void *
AlbertLabelledAlloc(Size count, Size size)
{
	return palloc_extended(Max(count, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* ---------- what the columns are ---------- */

static AlbertProblemType
problem_of(Oid type)
{
	type = getBaseType(type);
	if (type == FLOAT4OID || type == FLOAT8OID || type == NUMERICOID)
		return ALBERT_PROBLEM_REGRESSION;
	return TypeCategory(type) == TYPCATEGORY_ARRAY ? ALBERT_PROBLEM_MULTI_LABEL : ALBERT_PROBLEM_SINGLE_LABEL;
}

static void
require_text(Form_pg_attribute column, const char *which)
{
	if (TypeCategory(getBaseType(column->atttypid)) != TYPCATEGORY_STRING && column->atttypid != UNKNOWNOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query's %s must be a text, not %s", which, format_type_be(column->atttypid))));
}

/* What a column behind text and label is for, by its name. */
static void
look_at_other(Reader *reader, int number, Form_pg_attribute column)
{
	const char *name = NameStr(column->attname);
	int		   *place = strcmp(name, "weight") == 0 ? &reader->weight
		: strcmp(name, "pair") == 0 ? &reader->pair
		: strcmp(name, "split") == 0 && reader->may_split ? &reader->split : NULL;

	if (place == NULL || *place != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query has a column \"%s\" that has no meaning", name),
				 reader->may_split ?
				 errdetail("A text, its label and, under these names, a second text \"pair\", a \"weight\" and a "
						   "\"split\" are read.") :
				 errdetail("A text, its label and, under these names, a second text \"pair\" and a \"weight\" are "
						   "read.")));
	if (place != &reader->weight)
		require_text(column, psprintf("column \"%s\"", name));
	*place = number;
}

static void
look_at_columns(void *context, TupleDesc desc)
{
	Reader	   *reader = context;

	if (desc->natts < 2)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query must give a text and a label"),
				 errhint("For example: SELECT body, queue FROM tickets.")));
	require_text(TupleDescAttr(desc, 0), "first column");
	reader->labels->problem = problem_of(TupleDescAttr(desc, 1)->atttypid);
	if (reader->labels->problem == ALBERT_PROBLEM_MULTI_LABEL)
		reader->element = get_element_type(getBaseType(TupleDescAttr(desc, 1)->atttypid));
	for (int i = 2; i < desc->natts; i++)
		look_at_other(reader, i + 1, TupleDescAttr(desc, i));
	reader->labels->pairs = reader->pair != 0;
}

/* ---------- one row ---------- */

static int
number_of_string(const Reader *reader, Strings *strings, char *string)
{
	AlbertText	text = {.data = pg_server_to_any(string, strlen(string), PG_UTF8)};
	AlbertDistinct *entry;
	bool		found;

	text.size = strlen(text.data);
	entry = AlbertDistinctPut(strings->numbers, text, &strings->n, &found);
	if (!found)
	{
		char	   *kept = MemoryContextAllocExtended(reader->context, text.size + 1, MCXT_ALLOC_HUGE);

		memcpy(kept, text.data, text.size + 1);
		entry->text.data = kept;
		strings->strings = AlbertMakeRoom(strings->strings, entry->number, &strings->room, sizeof(AlbertLabelText));
		strings->strings[entry->number] = (AlbertLabelText) {.text = entry->text, .hash = entry->hash};
	}
	return entry->number;
}

static Bitmapset *
add_class(Reader *reader, Bitmapset *classes, char *name)
{
	int			class = number_of_string(reader, &reader->classes, name);

	if (class >= reader->nknown + MAX_CLASSES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are more than %d labels", MAX_CLASSES),
				 errhint("The query's second column is the label; numbers with a fraction are learnt as numbers.")));
	return bms_add_member(classes, class);
}

static Bitmapset *
take_set(Reader *reader, ArrayType *array)
{
	Bitmapset  *classes = NULL;
	int16		length;
	bool		byval;
	char		align;
	Oid			output;
	bool		is_varlena;
	Datum	   *members;
	bool	   *nulls;
	int			n;

	get_typlenbyvalalign(reader->element, &length, &byval, &align);
	getTypeOutputInfo(reader->element, &output, &is_varlena);
	deconstruct_array(array, reader->element, length, byval, align, &members, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			classes = add_class(reader, classes, OidOutputFunctionCall(output, members[i]));
	}
	return classes;
}

static double
finite_number(HeapTuple tuple, TupleDesc desc, int column, const char *what)
{
	char	   *string = SPI_getvalue(tuple, desc, column);
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
take_label(Reader *reader, AlbertLabelled *row, HeapTuple tuple, TupleDesc desc)
{
	Bitmapset  *classes;
	MemoryContext old;
	bool		isnull;

	if (reader->labels->problem == ALBERT_PROBLEM_REGRESSION)
	{
		row->number = finite_number(tuple, desc, 2, "label");
		/* what a model computes are such */
		if (fabs(row->number) > FLT_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("label %g is out of range for type real", row->number)));
		return;
	}
	if (reader->labels->problem == ALBERT_PROBLEM_MULTI_LABEL)
		classes = take_set(reader, DatumGetArrayTypeP(SPI_getbinval(tuple, desc, 2, &isnull)));
	else
		classes = add_class(reader, NULL, SPI_getvalue(tuple, desc, 2));
	old = MemoryContextSwitchTo(reader->context);
	row->classes = bms_copy(classes);
	MemoryContextSwitchTo(old);
}

static void
take_row(void *context, HeapTuple tuple, TupleDesc desc)
{
	Reader	   *reader = context;
	AlbertLabels *labels = reader->labels;
	char	   *text = SPI_getvalue(tuple, desc, 1);
	char	   *pair = reader->pair == 0 ? NULL : SPI_getvalue(tuple, desc, reader->pair);
	char	   *split = reader->split == 0 ? NULL : SPI_getvalue(tuple, desc, reader->split);
	AlbertLabelled *row;

	if (text == NULL || heap_attisnull(tuple, 2, desc) || (reader->pair != 0 && pair == NULL) ||
		(reader->split != 0 && split == NULL))
	{
		labels->nskipped++;
		return;
	}
	labels->rows = AlbertMakeRoom(labels->rows, labels->nrows, &reader->room, sizeof(AlbertLabelled));
	row = &labels->rows[labels->nrows++];
	memset(row, 0, sizeof(*row));
	row->text = number_of_string(reader, &reader->texts, text);
	row->pair = pair == NULL ? -1 : number_of_string(reader, &reader->texts, pair);
	row->tested = split != NULL && is_tested(split);
	labels->ntested += row->tested;
	reader->texts.strings[row->text].learnt |= !row->tested;
	row->weight = reader->weight == 0 ? 1 : finite_number(tuple, desc, reader->weight, "weight");
	if (row->weight < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a weight is negative")));
	take_label(reader, row, tuple, desc);
}

/* ---------- order, distinct texts, classes ---------- */

/* Rows that are kept back tell nothing where the same text is learnt from: they are left out. */
static void
leave_out_known(AlbertLabels *labels)
{
	int			kept = 0;

	for (int i = 0; i < labels->nrows; i++)
	{
		const AlbertLabelled *row = &labels->rows[i];

		if (row->tested && labels->texts[row->text].learnt)
		{
			labels->nskipped++;
			labels->ntested--;
		}
		else
			labels->rows[kept++] = *row;
	}
	labels->nrows = kept;
}

static int
compare_names(const void *a, const void *b, void *context)
{
	const AlbertLabelText *names = context;

	return strcmp(names[*(const int *) a].text.data, names[*(const int *) b].text.data);
}

/* The known classes, and those of the rows in alphabetical order. */
static void
number_classes(const Reader *reader)
{
	AlbertLabels *labels = reader->labels;
	AlbertLabelText *names = reader->classes.strings;
	int		   *order = AlbertLabelledAlloc(reader->classes.n, sizeof(int));
	int		   *numbers = AlbertLabelledAlloc(reader->classes.n, sizeof(int));
	Bitmapset  *used = NULL;
	int			n;

	for (int i = 0; i < labels->nrows; i++)
		used = bms_add_members(used, labels->rows[i].classes);
	for (n = 0; n < reader->nknown; n++)
		order[n] = n;
	for (int c = n - 1; (c = bms_next_member(used, c)) >= 0;)
		order[n++] = c;
	qsort_arg(order + reader->nknown, n - reader->nknown, sizeof(int), compare_names, names);
	labels->nclasses = n;
	labels->classes = AlbertLabelledAlloc(n, sizeof(char *));
	for (int c = 0; c < n; c++)
	{
		numbers[order[c]] = c;
		labels->classes[c] = names[order[c]].text.data;
	}
	for (int i = 0; i < labels->nrows; i++)
	{
		Bitmapset **classes = &labels->rows[i].classes;
		Bitmapset  *renumbered = NULL;

		CHECK_FOR_INTERRUPTS();
		for (int c = -1; (c = bms_next_member(*classes, c)) >= 0;)
			renumbered = bms_add_member(renumbered, numbers[c]);
		bms_free(*classes);
		*classes = renumbered;
	}
}

/* By their hashes first, so that what folds are made of is as if it were drawn. */
static int
compare_texts(const AlbertLabelText *texts, int a, int b)
{
	if (a == b)
		return 0;
	if (texts[a].hash != texts[b].hash)
		return texts[a].hash < texts[b].hash ? -1 : 1;
	return strcmp(texts[a].text.data, texts[b].text.data);
}

/* Sorting millions takes seconds. */
static int
compare_rows(const void *a, const void *b, void *texts)
{
	const AlbertLabelled *x = a;
	const AlbertLabelled *y = b;
	int			order = compare_texts(texts, x->text, y->text);

	CHECK_FOR_INTERRUPTS();
	if (order == 0)
		order = compare_texts(texts, x->pair, y->pair);
	if (order == 0)
		order = bms_compare(x->classes, y->classes);
	if (order == 0)
		order = x->number < y->number ? -1 : x->number > y->number;
	if (order == 0)
		order = x->weight < y->weight ? -1 : x->weight > y->weight;
	return order != 0 ? order : x->tested - y->tested;
}

/* Number what rows have, and the groups of those with the same first text. */
static void
number_vectors(AlbertLabels *labels)
{
	labels->vectors = AlbertLabelledAlloc(labels->nrows, sizeof(int));
	for (int i = 0; i < labels->nrows; i++)
	{
		AlbertLabelled *row = &labels->rows[i];
		bool		new_text = i == 0 || row->text != row[-1].text;

		labels->ngroups += new_text;
		if (new_text || row->pair != row[-1].pair)
			labels->vectors[labels->nvectors++] = i;
		row->vector = labels->nvectors - 1;
		row->group = labels->ngroups - 1;
	}
}

/* The known classes in their places, also where a model calls two of them the same. */
static Strings
known_classes(const char *const *known, int n)
{
	Strings		classes = {
		.n = n, .room = n, .strings = AlbertLabelledAlloc(n, sizeof(AlbertLabelText)),
		.numbers = distinct_create(CurrentMemoryContext, 100, NULL)
	};

	for (int i = 0; i < n; i++)
	{
		AlbertText	name = {.data = known[i], .size = strlen(known[i])};
		bool		found;

		classes.strings[i].text = name;
		distinct_insert(classes.numbers, name, &found)->number = i;
	}
	return classes;
}

void
AlbertLabelledRead(const char *query, bool may_split, const char *const *known, int nknown, AlbertLabels *labels)
{
	Reader		reader = {
		.labels = labels, .may_split = may_split, .nknown = nknown, .context = CurrentMemoryContext,
		.texts = {.strings = palloc(1), .numbers = distinct_create(CurrentMemoryContext, 1000, NULL)},
		.classes = known_classes(known, nknown)
	};

	*labels = (AlbertLabels) {.rows = palloc(1)};
	AlbertReadQuery(query, look_at_columns, take_row, &reader);
	if (labels->nrows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("the query gives no row with a text and a label")));
	labels->ntexts = reader.texts.n;
	labels->texts = reader.texts.strings;
	leave_out_known(labels);
	if (labels->problem != ALBERT_PROBLEM_REGRESSION)
		number_classes(&reader);
	qsort_arg(labels->rows, labels->nrows, sizeof(AlbertLabelled), compare_rows, labels->texts);
	number_vectors(labels);
}

/* ---------- a model's results ---------- */

/* Room for all rows of that width. */
static float *
make_values(int n, int width)
{
	Size		size = (Size) n * width * sizeof(float);

	if (size > MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%d texts are too many to train on", n),
				 errhint("Take a sample of them.")));
	return palloc_extended(size, MCXT_ALLOC_HUGE);
}

/* A text, or what a row has. */
static AlbertItem
item_of(const AlbertLabels *labels, bool whole, int number)
{
	const AlbertLabelled *row = whole ? &labels->rows[labels->vectors[number]] : NULL;
	AlbertItem	item = {.isnull = true, .text = labels->texts[whole ? row->text : number].text};

	if (whole && labels->pairs)
		item.pair = labels->texts[row->pair].text;
	return item;
}

static float *
run_all(AlbertJob *job, const AlbertLabels *labels, bool whole, int n, AlbertProgress *progress, int *width)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "albert labelled texts",
												  ALLOCSET_DEFAULT_SIZES);
	float	   *values = NULL;

	while (progress->rows_done < n)
	{
		int			first = progress->rows_done;
		int			now = Min(n - first, RUN_ITEMS);
		MemoryContext old = MemoryContextSwitchTo(context);
		AlbertItem *items = palloc(now * sizeof(AlbertItem));

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < now; i++)
			items[i] = item_of(labels, whole, first + i);
		AlbertTaskRun(job, items, now);
		MemoryContextSwitchTo(old);
		for (int i = 0; i < now; i++)
		{
			const float *floats = AlbertFloatsOf(items[i].result, width);

			if (values == NULL)
				values = make_values(n, *width);
			memcpy(values + (Size) (first + i) * *width, floats, *width * sizeof(float));
		}
		MemoryContextReset(context);
		progress->rows_done += now;
		progress->tokens = job->counts.tokens;
		AlbertProgressTell(progress);
	}
	MemoryContextDelete(context);
	return values;
}

float *
AlbertLabelledRun(AlbertJob *job, const AlbertLabels *labels, bool whole, const char *model, const char *task,
				  int *width)
{
	AlbertProgress progress;

	job->raises = true;
	AlbertProgressBegin(&progress, CurrentMemoryContext, InvalidOid, model, task,
						whole ? labels->nvectors : labels->ntexts);
	return run_all(job, labels, whole, progress.rows_total, &progress, width);
}
