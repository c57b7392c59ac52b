/*
 * choose.c
 *	  Which of several texts given in the query fits a text best: as its label
 *	  (albert_zero_shot, through a model of natural language inference: does the
 *	  text entail "This example is LABEL."?) or as its continuation
 *	  (albert_choose, multiple choice).
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"

typedef struct ChooseOptions
{
	int			n;
	Datum	   *choices;		/* texts: labels or continuations */
	AlbertText *seconds;		/* by choice: what is paired with the text */
	AlbertTruncation truncation;
	int			output;			/* of the head, which speaks for the choice */
	int			against;		/* the one that speaks against it, where each is for itself; -1: they are compared */
	Datum		template;		/* text that the choice is put into; 0: none */
	bool		multi_label;
} ChooseOptions;

/* Labels, or choices: the first of the task's options. */
static void
take_choices(AlbertJob *job, Datum value)
{
	ChooseOptions *options = AlbertOptionsOf(job, ChooseOptions);
	const char *name = job->task->options->name;

	options->choices = AlbertTextsOption(name, value, &options->n);
	if (options->n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must hold at least one text", name)));
}

static void
take_template(AlbertJob *job, Datum value)
{
	AlbertOptionsOf(job, ChooseOptions)->template = value;
	if (strstr(AlbertCString(value), "{}") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("template \"%s\" has no place for the label", AlbertCString(value)),
				 errhint("Write {} where the label goes.")));
}

static void
pair_choices(AlbertJob *job)
{
	ChooseOptions *options = AlbertOptionsOf(job, ChooseOptions);

	options->seconds = palloc_extended(options->n * sizeof(AlbertText), MCXT_ALLOC_HUGE);
	for (int i = 0; i < options->n; i++)
	{
		Datum		second = options->choices[i];

		if (options->template != 0)
			second = DirectFunctionCall3Coll(replace_text, DEFAULT_COLLATION_OID, options->template,
											 CStringGetTextDatum("{}"), second);
		options->seconds[i] = AlbertTextFromDatum(second);
	}
	if (options->n > 1 && !options->multi_label)
		options->against = -1;
}

/* ---------- scores by choice ---------- */

static void
consume_choices(AlbertForward *forward, const AlbertSequence *sequences, int n, const AlbertRows *hidden)
{
	const ChooseOptions *options = AlbertOptionsOf(forward->job, ChooseOptions);
	AlbertRows	logits = AlbertPooledLogits(forward->job, hidden);

	for (int s = 0; s < n; s++)
	{
		const float *row = logits.data + (size_t) s * logits.ld;
		double		score = row[options->output];

		if (options->against >= 0)
			score = AlbertSigmoid(score - row[options->against]);
		AlbertScoresRow(forward->job, sequences[s].item)[sequences[s].window] = score;
	}
}

static void
run_choices(AlbertJob *job, AlbertItem *items, int n)
{
	const ChooseOptions *options = AlbertOptionsOf(job, ChooseOptions);

	AlbertScoresBegin(job, n, options->n);
	AlbertForwardPairs(job, items, n, options->seconds, options->n, options->truncation, consume_choices);
	for (int i = 0; i < n && options->against < 0; i++)
		AlbertSoftmax(AlbertScoresRow(job, i), options->n);
}

static int
best_choice(AlbertJob *job, int number)
{
	return AlbertArgMax(AlbertScoresRow(job, number), AlbertOptionsOf(job, ChooseOptions)->n);
}

/* ---------- labels ---------- */

/* As ZeroShotClassificationPipeline: the label called entail..., else the last. */
static void
init_zero_shot(AlbertJob *job)
{
	ChooseOptions *options = AlbertOptionsOf(job, ChooseOptions);
	const AlbertModel *model = &job->binding->model;
	int			num_labels = model->config->num_labels;

	if (num_labels < 2)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has one label and cannot tell entailment from contradiction",
						job->binding->name),
				 errhint("Classification by given labels needs a model trained on natural language inference.")));
	options->output = AlbertEntailmentLabel(model);
	if (options->output < 0)
		options->output = num_labels - 1;
	options->against = options->output == 0 ? num_labels - 1 : 0;
	options->truncation = ALBERT_TRUNCATE_FIRST;
}

static const AlbertOption zero_shot_options[] = {
	ALBERT_TAKEN_OPTION("labels", take_choices),
	ALBERT_BOOL_OPTION("multi_label", ChooseOptions, multi_label),
	ALBERT_TAKEN_OPTION("template", take_template),
	ALBERT_NO_OPTION
};

static Datum
given_label(const AlbertJob *job, int label)
{
	return AlbertOptionsOf(job, ChooseOptions)->choices[label];
}

/* albert_zero_shot(content, labels) text */
static void
set_label(AlbertJob *job, AlbertItem *item, int number)
{
	AlbertItemSet(item, PointerGetDatum(DatumGetTextPCopy(given_label(job, best_choice(job, number)))));
}

/* albert_zero_shot_scores(content, labels) rows: all, best first */
static void
put_labels(AlbertJob *job, AlbertItem *item, int number)
{
	AlbertPutScores(job, item, AlbertScoresRow(job, number), AlbertOptionsOf(job, ChooseOptions)->n, 0, given_label);
}

const AlbertTask albert_zero_shot_task = {
	.text_arg = "content",
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = init_zero_shot,
	.options = zero_shot_options,
	.check = pair_choices,
	.run = run_choices,
	.result = set_label,
	.rows = put_labels
};

/* ---------- continuations ---------- */

static void
init_choose(AlbertJob *job)
{
	AlbertOptionsOf(job, ChooseOptions)->against = -1;
	AlbertOptionsOf(job, ChooseOptions)->truncation = ALBERT_TRUNCATE_LONGEST;
}

static const AlbertOption choose_options[] = {
	ALBERT_TAKEN_OPTION("choices", take_choices),
	ALBERT_NO_OPTION
};

/* albert_choose(context, choices) int: the number of the best choice, from 1 */
static void
set_choice(AlbertJob *job, AlbertItem *item, int number)
{
	AlbertItemSet(item, Int32GetDatum(1 + best_choice(job, number)));
}

/* albert_choose_scores(context, choices) rows: in the order of the choices */
static void
put_choices(AlbertJob *job, AlbertItem *item, int number)
{
	const double *scores = AlbertScoresRow(job, number);

	for (int c = 0; c < AlbertOptionsOf(job, ChooseOptions)->n; c++)
		AlbertPutRow(item->rows, (Datum[]) {Int32GetDatum(c + 1), Float4GetDatum((float) scores[c])}, NULL);
}

const AlbertTask albert_choose_task = {
	.text_arg = "context",
	.heads = ALBERT_HEAD_CHOICE,
	.init = init_choose,
	.options = choose_options,
	.check = pair_choices,
	.run = run_choices,
	.result = set_choice,
	.rows = put_choices
};
