/*
 * labelled.c
 *	  Labelled texts of a query: reading them, and a model's results for them.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

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

typedef struct Reader
{
	AlbertLabels *labels;
	bool		may_split;
	int			nknown;
	int			pair;			/* columns; 0: none */
	int			weight;
	int			split;
	Oid			element;		/* of a set's array */
	int			room;
	distinct_hash *texts;		/* numbered as they come */
	int			ntexts;
	distinct_hash *classes;
	int			nclasses;
	MemoryContext context;		/* of all that is kept */
} Reader;

void *
AlbertLabelledAlloc(Size count, Size size)
{
	return palloc_extended(Max(count, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* ---------- what the columns are ---------- */

static AlbertLabelKind
kind_of(Oid type)
{
	type = getBaseType(type);
	if (type == FLOAT4OID || type == FLOAT8OID || type == NUMERICOID)
		return ALBERT_LABEL_NUMBER;
	return TypeCategory(type) == TYPCATEGORY_ARRAY ? ALBERT_LABEL_SET : ALBERT_LABEL_CLASS;
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
	reader->labels->kind = kind_of(TupleDescAttr(desc, 1)->atttypid);
	if (reader->labels->kind == ALBERT_LABEL_SET)
		reader->element = get_element_type(getBaseType(TupleDescAttr(desc, 1)->atttypid));
	for (int i = 2; i < desc->natts; i++)
		look_at_other(reader, i + 1, TupleDescAttr(desc, i));
	reader->labels->pairs = reader->pair != 0;
}

/* ---------- one row ---------- */

/* A string's number among the distinct ones, which are kept in UTF-8 with a NUL behind each. */
static int
number_of_string(const Reader *reader, distinct_hash *strings, int *n, char *string)
{
	AlbertText	text = {.data = pg_server_to_any(string, strlen(string), PG_UTF8)};
	AlbertDistinct *entry;
	bool		found;

	text.size = strlen(text.data);
	entry = AlbertDistinctPut(strings, text, n, &found);
	if (!found)
	{
		char	   *kept = MemoryContextAllocExtended(reader->context, text.size + 1, MCXT_ALLOC_HUGE);

		memcpy(kept, text.data, text.size + 1);
		entry->text.data = kept;
	}
	return entry->number;
}

static Bitmapset *
add_class(Reader *reader, Bitmapset *classes, char *name)
{
	int			class = number_of_string(reader, reader->classes, &reader->nclasses, name);

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

static AlbertLabelled *
new_row(Reader *reader)
{
	AlbertLabels *labels = reader->labels;

	if (labels->nrows == reader->room)
	{
		if (reader->room > INT_MAX / 4)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the query has too many rows")));
		reader->room = Max(1000, 2 * reader->room);
		labels->rows = repalloc_huge(labels->rows, reader->room * sizeof(AlbertLabelled));
	}
	return &labels->rows[labels->nrows++];
}

static void
take_row(void *context, HeapTuple tuple, TupleDesc desc)
{
	Reader	   *reader = context;
	AlbertLabels *labels = reader->labels;
	char	   *text = SPI_getvalue(tuple, desc, 1);
	char	   *pair = reader->pair == 0 ? NULL : SPI_getvalue(tuple, desc, reader->pair);
	char	   *split = reader->split == 0 ? NULL : SPI_getvalue(tuple, desc, reader->split);
	bool		isnull;
	Datum		label = SPI_getbinval(tuple, desc, 2, &isnull);
	Bitmapset  *classes = NULL;
	MemoryContext old;
	AlbertLabelled *row;

	if (text == NULL || isnull || (reader->pair != 0 && pair == NULL) || (reader->split != 0 && split == NULL))
	{
		labels->nskipped++;
		return;
	}
	row = new_row(reader);
	memset(row, 0, sizeof(*row));
	row->text = number_of_string(reader, reader->texts, &reader->ntexts, text);
	row->pair = pair == NULL ? -1 : number_of_string(reader, reader->texts, &reader->ntexts, pair);
	row->tested = split != NULL && is_tested(split);
	labels->ntested += row->tested;
	row->weight = reader->weight == 0 ? 1 : finite_number(tuple, desc, reader->weight, "weight");
	if (row->weight < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a weight is negative")));
	if (labels->kind == ALBERT_LABEL_NUMBER)
	{
		row->number = finite_number(tuple, desc, 2, "label");
		/* what a model computes are such */
		if (fabs(row->number) > FLT_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("label %g is out of range for type real", row->number)));
	}
	else if (labels->kind == ALBERT_LABEL_SET)
		classes = take_set(reader, DatumGetArrayTypeP(label));
	else
		classes = add_class(reader, NULL, SPI_getvalue(tuple, desc, 2));
	old = MemoryContextSwitchTo(reader->context);
	row->classes = bms_copy(classes);
	MemoryContextSwitchTo(old);
}

/* ---------- order, distinct texts, classes ---------- */

/* Rows that are kept back tell nothing where the same text is learnt from: they are left out. */
static void
leave_out_known(AlbertLabels *labels, int ntexts)
{
	bool	   *learnt = AlbertLabelledAlloc(ntexts, sizeof(bool));
	int			kept = 0;

	for (int i = 0; i < labels->nrows; i++)
	{
		if (!labels->rows[i].tested)
			learnt[labels->rows[i].text] = true;
	}
	for (int i = 0; i < labels->nrows; i++)
	{
		if (labels->rows[i].tested && learnt[labels->rows[i].text])
		{
			labels->nskipped++;
			labels->ntested--;
		}
		else
			labels->rows[kept++] = labels->rows[i];
	}
	labels->nrows = kept;
	pfree(learnt);
}

/* In alphabetical order.  Sorting millions takes seconds. */
static int
compare_names(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();
	return strcmp((*(AlbertDistinct *const *) a)->text.data, (*(AlbertDistinct *const *) b)->text.data);
}

/* By their hashes first, so that what folds are made of is as if it were drawn. */
static int
compare_texts(const void *a, const void *b)
{
	uint32		x = (*(AlbertDistinct *const *) a)->hash;
	uint32		y = (*(AlbertDistinct *const *) b)->hash;

	return x != y ? (x < y ? -1 : 1) : compare_names(a, b);
}

/*
 * The strings in order, from the one numbered first on; numbers[i] becomes the
 * place of the one that was number i.  used NULL: all, else those of the numbers
 * in it.
 */
static AlbertDistinct **
in_order(distinct_hash *strings, int first, const Bitmapset *used, int (*compare) (const void *a, const void *b),
		 int *numbers, int *n)
{
	AlbertDistinct **order = AlbertLabelledAlloc(strings->members, sizeof(AlbertDistinct *));
	distinct_iterator iterator;
	AlbertDistinct *string;

	*n = 0;
	distinct_start_iterate(strings, &iterator);
	while ((string = distinct_iterate(strings, &iterator)) != NULL)
	{
		if (string->number >= first && (used == NULL || bms_is_member(string->number, used)))
			order[(*n)++] = string;
	}
	qsort(order, *n, sizeof(AlbertDistinct *), compare);
	for (int i = 0; i < *n; i++)
		numbers[order[i]->number] = first + i;
	return order;
}

static void
number_texts(Reader *reader)
{
	AlbertLabels *labels = reader->labels;
	int		   *numbers = AlbertLabelledAlloc(reader->ntexts, sizeof(int));
	AlbertDistinct **order = in_order(reader->texts, 0, NULL, compare_texts, numbers, &labels->ntexts);

	labels->texts = AlbertLabelledAlloc(labels->ntexts, sizeof(AlbertText));
	for (int i = 0; i < labels->ntexts; i++)
		labels->texts[i] = order[i]->text;
	for (int i = 0; i < labels->nrows; i++)
	{
		AlbertLabelled *row = &labels->rows[i];

		row->text = numbers[row->text];
		row->pair = labels->pairs ? numbers[row->pair] : -1;
	}
}

/* The known classes, and those of the rows. */
static void
number_classes(Reader *reader, const char *const *known)
{
	AlbertLabels *labels = reader->labels;
	int		   *numbers = AlbertLabelledAlloc(reader->nclasses, sizeof(int));
	Bitmapset  *used = NULL;
	AlbertDistinct **order;
	int			nothers;

	for (int i = 0; i < labels->nrows; i++)
		used = bms_add_members(used, labels->rows[i].classes);
	order = in_order(reader->classes, reader->nknown, used, compare_names, numbers, &nothers);
	labels->nclasses = reader->nknown + nothers;
	labels->classes = AlbertLabelledAlloc(labels->nclasses, sizeof(char *));
	for (int c = 0; c < reader->nknown; c++)
	{
		numbers[c] = c;
		labels->classes[c] = known[c];
	}
	for (int i = 0; i < nothers; i++)
		labels->classes[reader->nknown + i] = order[i]->text.data;
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

static int
compare_rows(const void *a, const void *b)
{
	const AlbertLabelled *x = a;
	const AlbertLabelled *y = b;
	int			order = x->text != y->text ? x->text - y->text : x->pair - y->pair;

	CHECK_FOR_INTERRUPTS();
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
	labels->vectors = AlbertLabelledAlloc(labels->nrows, sizeof(AlbertLabelVector));
	for (int i = 0; i < labels->nrows; i++)
	{
		AlbertLabelled *row = &labels->rows[i];
		bool		new_text = i == 0 || row->text != row[-1].text;

		labels->ngroups += new_text;
		if (new_text || row->pair != row[-1].pair)
			labels->vectors[labels->nvectors++] = (AlbertLabelVector) {.text = row->text, .pair = row->pair};
		row->vector = labels->nvectors - 1;
		row->group = labels->ngroups - 1;
	}
}

void
AlbertLabelledRead(const char *query, bool may_split, const char *const *known, int nknown, AlbertLabels *labels)
{
	Reader		reader = {
		.labels = labels, .may_split = may_split, .nknown = nknown, .nclasses = nknown, .context = CurrentMemoryContext,
		.texts = distinct_create(CurrentMemoryContext, 1000, NULL),
		.classes = distinct_create(CurrentMemoryContext, 100, NULL)
	};

	*labels = (AlbertLabels) {.rows = palloc(1)};
	for (int i = 0; i < nknown; i++)
	{
		AlbertText	name = {.data = known[i], .size = strlen(known[i])};
		bool		found;

		distinct_insert(reader.classes, name, &found)->number = i;
	}
	AlbertReadQuery(query, look_at_columns, take_row, &reader);
	if (labels->nrows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("the query gives no row with a text and a label")));
	leave_out_known(labels, reader.ntexts);
	number_texts(&reader);
	if (labels->kind != ALBERT_LABEL_NUMBER)
		number_classes(&reader, known);
	qsort(labels->rows, labels->nrows, sizeof(AlbertLabelled), compare_rows);
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
		AlbertItem *items = palloc0(now * sizeof(AlbertItem));

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < now; i++)
		{
			items[i].isnull = true;
			items[i].text = labels->texts[whole ? labels->vectors[first + i].text : first + i];
			if (whole && labels->pairs)
				items[i].pair = labels->texts[labels->vectors[first + i].pair];
		}
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
	float	   *values;

	job->raises = true;
	AlbertProgressBegin(&progress, InvalidOid, model, task, whole ? labels->nvectors : labels->ntexts);
	PG_TRY();
	{
		values = run_all(job, labels, whole, progress.rows_total, &progress, width);
	}
	PG_FINALLY();
	{
		AlbertProgressEnd();
	}
	PG_END_TRY();
	return values;
}
