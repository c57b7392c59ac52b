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

static void
take_choices(AlbertJob *job, Datum value)
{
	ChooseOptions *options = (ChooseOptions *) &job->options;
	Datum	   *values = AlbertTextsOption("choices", value, &options->nchoices);

	if (options->nchoices == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("choices must hold at least one text")));
	options->choices = palloc_extended(options->nchoices * sizeof(AlbertText), MCXT_ALLOC_HUGE);
	for (int i = 0; i < options->nchoices; i++)
		options->choices[i] = AlbertTextFromDatum(values[i]);
}

static const AlbertOption choose_options[] = {
	ALBERT_TAKEN_OPTION("choices", take_choices),
	ALBERT_NO_OPTION
};

static void
consume_choices(AlbertForward *forward, const AlbertSequence *sequences, int n,
				const AlbertBatch *batch, const AlbertRows *hidden)
{
	AlbertRows	logits = AlbertPooledLogits(forward->job, hidden, ALBERT_HEAD_CHOICE);

	for (int s = 0; s < n; s++)
		AlbertScoresRow(forward->job, sequences[s].item)[sequences[s].window] = logits.data[(size_t) s * logits.ld];
}

static void
run_choose(AlbertJob *job, AlbertItem *items, int n)
{
	const ChooseOptions *options = (const ChooseOptions *) &job->options;

	AlbertScoresBegin(job, n, options->nchoices);
	AlbertForwardPairs(job, items, n, options->choices, options->nchoices, ALBERT_TRUNCATE_LONGEST, consume_choices);
}

static double *
probabilities(AlbertJob *job, int number)
{
	double	   *scores = AlbertScoresRow(job, number);

	AlbertSoftmax(scores, ((const ChooseOptions *) &job->options)->nchoices);
	return scores;
}

/* ---------- albert_choose(context, choices) int: the number of the best choice, from 1 ---------- */

static void
best_choice(AlbertJob *job, AlbertItem *item, int number)
{
	int			nchoices = ((const ChooseOptions *) &job->options)->nchoices;

	AlbertItemSet(item, Int32GetDatum(1 + AlbertArgMax(probabilities(job, number), nchoices)));
}

const AlbertTask albert_choose_task = {
	.symbol = "albert_choose",
	.text_arg = "context",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_CHOICE,
	.options = choose_options,
	.run = run_choose,
	.result = best_choice
};

/* ---------- albert_choose_scores(context, choices) rows, in the order of the choices ---------- */

static void
put_choices(AlbertJob *job, AlbertItem *item, int number)
{
	const double *scores = probabilities(job, number);

	for (int c = 0; c < ((const ChooseOptions *) &job->options)->nchoices; c++)
	{
		Datum		values[2];

		values[0] = Int32GetDatum(c + 1);
		values[1] = Float4GetDatum((float) scores[c]);
		AlbertPutRow(item, values, NULL);
	}
}

const AlbertTask albert_choose_scores_task = {
	.symbol = "albert_choose_scores",
	.text_arg = "context",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_CHOICE,
	.options = choose_options,
	.run = run_choose,
	.result = put_choices
};
