/*
 * choose.c
 *	  Multiple choice: which of several continuations fits the context.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

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
	bool	   *nulls;

	if (strcmp(name, "choices") != 0)
		return false;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &values, &nulls, &options->nchoices);
	if (options->nchoices == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("choices must hold at least one text")));
	options->choices = palloc(options->nchoices * sizeof(AlbertText));
	for (int i = 0; i < options->nchoices; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("choices must not contain nulls")));
		options->choices[i] = AlbertTextFromDatum(values[i]);
	}
	return true;
}

static void
consume_choices(AlbertForward *forward, const AlbertSequence *sequences, int n,
				const AlbertBatch *batch, const AlbertRows *hidden)
{
	double	   *scores = forward->state;
	AlbertRows	logits = AlbertPooledLogits(forward->job, hidden, ALBERT_HEAD_CHOICE);

	for (int s = 0; s < n; s++)
		scores[&sequences[s] - forward->sequences] = logits.data[(size_t) s * logits.ld];
}

/* (n, nchoices) probabilities, in the arena */
static double *
choose(AlbertJob *job, AlbertItem *items, int n)
{
	const ChooseOptions *options = (const ChooseOptions *) &job->options;
	double	   *scores = AlbertJobAlloc(job, (size_t) n * options->nchoices, sizeof(double));
	AlbertForward forward;

	AlbertForwardInit(&forward, job, items, n);
	for (int i = 0; i < n; i++)
	{
		for (int c = 0; c < options->nchoices; c++)
			AlbertForwardAddPair(&forward, i, &items[i].text, &options->choices[c],
								 ALBERT_TRUNCATE_LONGEST);
	}
	AlbertForwardFirstRows(&forward);
	forward.state = scores;
	forward.consume = consume_choices;
	AlbertForwardRun(&forward);
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
		for (int c = 0; c < options->nchoices; c++)
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
