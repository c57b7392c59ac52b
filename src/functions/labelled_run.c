/*
 * labelled_run.c
 *	  Labelled texts of a query: a model's results for them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "executor/progress.h"
#include "functions/embedding.h"
#include "functions/labelled.h"

#define RUN_ITEMS		256		/* given to the model at a time */
#define MAX_BYTES		((Size) 4 * 1024 * 1024 * 1024)

void *
AlbertLabelledAlloc(Size count, Size size)
{
	return palloc_extended(Max(count, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static void
take_item(const AlbertLabels *labels, bool whole, int number, AlbertItem *item)
{
	item->isnull = true;
	item->text = labels->texts[whole ? labels->vectors[number].text : number];
	if (whole && labels->pairs)
		item->pair = labels->texts[labels->vectors[number].pair];
}

static void
run_some(AlbertJob *job, const AlbertLabels *labels, bool whole, int first, int n, AlbertItem *items)
{
	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < n; i++)
		take_item(labels, whole, first + i, &items[i]);
	job->raises = true;
	AlbertTaskRun(job, items, n);
}

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

		run_some(job, labels, whole, first, now, items);
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
