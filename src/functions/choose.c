/*
 * choose.c
 *	  Multiple choice: which of several continuations fits the context.
 */
#include "postgres.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"

typedef struct ChooseOptions
{
	int			nchoices;
	AlbertText *choices;
} ChooseOptions;

static void
take_choices(AlbertJob *job, Datum value)
{
	ChooseOptions *options = AlbertOptionsOf(job, ChooseOptions);
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
consume_choices(AlbertForward *forward, const AlbertSequence *sequences, int n, const AlbertRows *hidden)
{
	AlbertRows	logits = AlbertPooledLogits(forward->job, hidden, ALBERT_HEAD_CHOICE);

	for (int s = 0; s < n; s++)
		AlbertScoresRow(forward->job, sequences[s].item)[sequences[s].window] = logits.data[(size_t) s * logits.ld];
}

static void
run_choose(AlbertJob *job, AlbertItem *items, int n)
{
	const ChooseOptions *options = AlbertOptionsOf(job, ChooseOptions);

	AlbertScoresBegin(job, n, options->nchoices);
	AlbertForwardPairs(job, items, n, options->choices, options->nchoices, ALBERT_TRUNCATE_LONGEST, consume_choices);
}

static double *
probabilities(AlbertJob *job, int number)
{
	double	   *scores = AlbertScoresRow(job, number);

	AlbertSoftmax(scores, AlbertOptionsOf(job, ChooseOptions)->nchoices);
	return scores;
}

/* albert_choose(context, choices) int: the number of the best choice, from 1 */
static void
best_choice(AlbertJob *job, AlbertItem *item, int number)
{
	int			nchoices = AlbertOptionsOf(job, ChooseOptions)->nchoices;

	AlbertItemSet(item, Int32GetDatum(1 + AlbertArgMax(probabilities(job, number), nchoices)));
}

/* albert_choose_scores(context, choices) rows: in the order of the choices */
static void
put_choices(AlbertJob *job, AlbertItem *item, int number)
{
	const double *scores = probabilities(job, number);

	for (int c = 0; c < AlbertOptionsOf(job, ChooseOptions)->nchoices; c++)
		AlbertPutRow(item->rows, (Datum[]) {Int32GetDatum(c + 1), Float4GetDatum((float) scores[c])}, NULL);
}

const AlbertTask albert_choose_task = {
	.text_arg = "context",
	.heads = ALBERT_HEAD_CHOICE,
	.options = choose_options,
	.run = run_choose,
	.result = best_choice,
	.rows = put_choices
};
