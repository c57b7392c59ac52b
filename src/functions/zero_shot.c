/*
 * zero_shot.c
 *	  Classification by labels given in the query, through a model of natural
 *	  language inference: does the text entail "This example is LABEL."?
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/classify.h"
#include "functions/functions.h"
#include "functions/scores.h"

typedef struct ZeroShotOptions
{
	int			nlabels;
	Datum	   *labels;			/* text */
	const char *template;
	bool		multi_label;
	int			entailment;		/* the model's labels */
	int			contradiction;
} ZeroShotOptions;

StaticAssertDecl(sizeof(ZeroShotOptions) <= ALBERT_MAX_OPTIONS, "options too large");

/* As ZeroShotClassificationPipeline: the label called entail..., else the last. */
static void
find_entailment(AlbertJob *job, ZeroShotOptions *options)
{
	const AlbertModel *model = &job->binding->model;
	int			num_labels = model->config->num_labels;

	if (num_labels < 2)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has one label and cannot tell entailment from contradiction",
						job->binding->name),
				 errhint("Classification by given labels needs a model trained on natural language inference.")));
	options->entailment = AlbertEntailmentLabel(model);
	if (options->entailment < 0)
		options->entailment = num_labels - 1;
	options->contradiction = options->entailment == 0 ? num_labels - 1 : 0;
}

static void
init_zero_shot(AlbertJob *job)
{
	ZeroShotOptions *options = (ZeroShotOptions *) &job->options;

	options->template = "This example is {}.";
	find_entailment(job, options);
}

static void
take_labels(AlbertJob *job, Datum value)
{
	ZeroShotOptions *options = (ZeroShotOptions *) &job->options;

	options->labels = AlbertTextsOption("labels", value, &options->nlabels);
	if (options->nlabels == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("labels must name at least one label")));
}

static void
take_template(AlbertJob *job, Datum value)
{
	ZeroShotOptions *options = (ZeroShotOptions *) &job->options;

	options->template = AlbertCString(value);
	if (strstr(options->template, "{}") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("template \"%s\" has no place for the label", options->template),
				 errhint("Write {} where the label goes.")));
}

static const AlbertOption zero_shot_options[] = {
	ALBERT_TAKEN_OPTION("labels", take_labels),
	ALBERT_BOOL_OPTION("multi_label", ZeroShotOptions, multi_label),
	ALBERT_TAKEN_OPTION("template", take_template),
	ALBERT_NO_OPTION
};

/* The template with the label in place of each {}. */
static AlbertText
hypothesis(const char *template, Datum label)
{
	StringInfoData text;
	char	   *name = AlbertCString(label);
	const char *p = template;
	const char *place;

	initStringInfo(&text);
	while ((place = strstr(p, "{}")) != NULL)
	{
		appendBinaryStringInfo(&text, p, place - p);
		appendStringInfoString(&text, name);
		p = place + 2;
	}
	appendStringInfoString(&text, p);
	return AlbertTextFromDatum(PointerGetDatum(cstring_to_text_with_len(text.data, text.len)));
}

/* Logits or, with several labels, probabilities, by label. */
static void
consume_entailment(AlbertForward *forward, const AlbertSequence *sequences, int n,
				   const AlbertBatch *batch, const AlbertRows *hidden)
{
	const ZeroShotOptions *options = (const ZeroShotOptions *) &forward->job->options;
	AlbertRows	logits = AlbertPooledLogits(forward->job, hidden, ALBERT_HEAD_CLASSIFIER);

	for (int s = 0; s < n; s++)
	{
		const float *row = logits.data + (size_t) s * logits.ld;
		double		score = row[options->entailment];

		/* each label for itself: entailment against contradiction */
		if (options->multi_label || options->nlabels == 1)
			score = AlbertSigmoid(score - row[options->contradiction]);
		AlbertScoresRow(forward->job, sequences[s].item)[sequences[s].window] = score;
	}
}

static void
run_zero_shot(AlbertJob *job, AlbertItem *items, int n)
{
	const ZeroShotOptions *options = (const ZeroShotOptions *) &job->options;
	AlbertText *hypotheses = palloc_extended(options->nlabels * sizeof(AlbertText), MCXT_ALLOC_HUGE);

	for (int i = 0; i < options->nlabels; i++)
		hypotheses[i] = hypothesis(options->template, options->labels[i]);
	AlbertScoresBegin(job, n, options->nlabels);
	AlbertForwardPairs(job, items, n, hypotheses, options->nlabels, ALBERT_TRUNCATE_FIRST, consume_entailment);
}

static double *
label_scores(AlbertJob *job, int number)
{
	const ZeroShotOptions *options = (const ZeroShotOptions *) &job->options;
	double	   *scores = AlbertScoresRow(job, number);

	if (!options->multi_label && options->nlabels > 1)
		AlbertSoftmax(scores, options->nlabels);
	return scores;
}

/* ---------- albert_zero_shot(content, labels) text ---------- */

static void
best_label(AlbertJob *job, AlbertItem *item, int number)
{
	const ZeroShotOptions *options = (const ZeroShotOptions *) &job->options;
	int			best = AlbertArgMax(label_scores(job, number), options->nlabels);

	AlbertItemSet(item, PointerGetDatum(DatumGetTextPCopy(options->labels[best])));
}

const AlbertTask albert_zero_shot_task = {
	.symbol = "albert_zero_shot",
	.text_arg = "content",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = init_zero_shot,
	.options = zero_shot_options,
	.run = run_zero_shot,
	.result = best_label
};

/* ---------- albert_zero_shot_scores(content, labels) rows ---------- */

static Datum
given_label(const AlbertJob *job, int label)
{
	return ((const ZeroShotOptions *) &job->options)->labels[label];
}

static void
put_labels(AlbertJob *job, AlbertItem *item, int number)
{
	const ZeroShotOptions *options = (const ZeroShotOptions *) &job->options;

	AlbertPutScores(job, item, label_scores(job, number), options->nlabels, 0, given_label);
}

const AlbertTask albert_zero_shot_scores_task = {
	.symbol = "albert_zero_shot_scores",
	.text_arg = "content",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = init_zero_shot,
	.options = zero_shot_options,
	.run = run_zero_shot,
	.result = put_labels
};
