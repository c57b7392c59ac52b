/*
 * choose.c
 *	  Multiple choice: which of several continuations fits the context.
 */
#include "postgres.h"


#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"
#include "functions/scores.h"

typedef struct ChooseOptions
{
	int			nchoices;
	AlbertText *choices;
} ChooseOptions;

StaticAssertDecl(sizeof(ChooseOptions) <= ALBERT_MAX_OPTIONS, "options too large");

static bool
option_choose(AlbertJob *job, const char *name, Datum value, Oid type)
{
	ChooseOptions *options = (ChooseOptions *) &job->options;
	Datum	   *values;

	if (strcmp(name, "choices") != 0)
		return false;
	values = AlbertTextsOption(name, value, &options->nchoices);
	if (options->nchoices == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("choices must hold at least one text")));
	options->choices = palloc_extended(options->nchoices * sizeof(AlbertText), MCXT_ALLOC_HUGE);
	for (int i = 0; i < options->nchoices; i++)
		options->choices[i] = AlbertTextFromDatum(values[i]);
	return true;
}

static void
consume_choices(AlbertForward *forward, const AlbertSequence *sequences, int n,
				const AlbertBatch *batch, const AlbertRows *hidden)
{
	const ChooseOptions *options = (const ChooseOptions *) &forward->job->options;
	double	   *scores = forward->state;
	AlbertRows	logits = AlbertPooledLogits(forward->job, hidden, ALBERT_HEAD_CHOICE);

	for (int s = 0; s < n; s++)
		scores[(size_t) sequences[s].item * options->nchoices + sequences[s].window] = logits.data[(size_t) s * logits.ld];
}

/* (n, nchoices) probabilities, in the arena */
static double *
choose(AlbertJob *job, AlbertItem *items, int n)
{
	const ChooseOptions *options = (const ChooseOptions *) &job->options;
	double	   *scores = AlbertJobAlloc(job, (size_t) n * options->nchoices, sizeof(double));

	memset(scores, 0, (size_t) n * options->nchoices * sizeof(double));
	AlbertForwardPairs(job, items, n, options->choices, options->nchoices, ALBERT_TRUNCATE_LONGEST,
					   consume_choices, scores);
	for (int i = 0; i < n; i++)
		AlbertSoftmax(scores + (size_t) i * options->nchoices, options->nchoices);
	return scores;
}

/* ---------- albert_choose(context, choices) int: the number of the best choice, from 1 ---------- */

static void
run_choose(AlbertJob *job, AlbertItem *items, int n)
{
	const ChooseOptions *options = (const ChooseOptions *) &job->options;
	double	   *scores = choose(job, items, n);

	for (int i = 0; i < n; i++)
	{
		if (items[i].status != NULL)
			continue;
		items[i].result = Int32GetDatum(1 + AlbertArgMax(scores + (size_t) i * options->nchoices,
														 options->nchoices));
		items[i].isnull = false;
	}
}

const AlbertTask albert_choose_task = {
	.symbol = "albert_choose",
	.text_arg = "context",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_CHOICE,
	.option = option_choose,
	.run = run_choose
};

ALBERT_SCALAR_FUNCTION(albert_choose);

/* ---------- albert_choose_scores(context, choices) rows, in the order of the choices ---------- */

static void
run_choose_scores(AlbertJob *job, AlbertItem *items, int n)
{
	const ChooseOptions *options = (const ChooseOptions *) &job->options;
	double	   *scores = choose(job, items, n);

	for (int i = 0; i < n; i++)
	{
		for (int c = 0; c < options->nchoices && items[i].status == NULL; c++)
		{
			Datum		values[2];

			values[0] = Int32GetDatum(c + 1);
			values[1] = Float4GetDatum((float) scores[(size_t) i * options->nchoices + c]);
			AlbertPutRow(&items[i], values, NULL);
		}
	}
}

const AlbertTask albert_choose_scores_task = {
	.symbol = "albert_choose_scores",
	.text_arg = "context",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_CHOICE,
	.option = option_choose,
	.run = run_choose_scores
};

ALBERT_ROWS_FUNCTION(albert_choose_scores);
