/*
 * zero_shot.c
 *	  Classification by labels given in the query, through a model of natural
 *	  language inference: does the text entail "This example is LABEL."?
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"

typedef struct ZeroShotOptions
{
	int			nlabels;
	Datum	   *labels;			/* text */
	Datum		template;		/* text */
	bool		multi_label;
	int			entailment;		/* the model's labels */
	int			contradiction;
} ZeroShotOptions;

/* As ZeroShotClassificationPipeline: the label called entail..., else the last. */
static void
find_entailment(AlbertJob *job)
{
	ZeroShotOptions *options = AlbertOptionsOf(job, ZeroShotOptions);
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
take_labels(AlbertJob *job, Datum value)
{
	ZeroShotOptions *options = AlbertOptionsOf(job, ZeroShotOptions);

	options->labels = AlbertTextsOption("labels", value, &options->nlabels);
	if (options->nlabels == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("labels must name at least one label")));
}

static void
take_template(AlbertJob *job, Datum value)
{
	ZeroShotOptions *options = AlbertOptionsOf(job, ZeroShotOptions);

	options->template = value;
	if (strstr(AlbertCString(value), "{}") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("template \"%s\" has no place for the label", AlbertCString(value)),
				 errhint("Write {} where the label goes.")));
}

static const AlbertOption zero_shot_options[] = {
	ALBERT_TAKEN_OPTION("labels", take_labels),
	ALBERT_BOOL_OPTION("multi_label", ZeroShotOptions, multi_label),
	ALBERT_TAKEN_OPTION("template", take_template),
	ALBERT_NO_OPTION
};

/* Logits or, with several labels, probabilities, by label. */
static void
consume_entailment(AlbertForward *forward, const AlbertSequence *sequences, int n, const AlbertRows *hidden)
{
	const ZeroShotOptions *options = AlbertOptionsOf(forward->job, ZeroShotOptions);
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
	const ZeroShotOptions *options = AlbertOptionsOf(job, ZeroShotOptions);
	AlbertText *hypotheses = palloc_extended(options->nlabels * sizeof(AlbertText), MCXT_ALLOC_HUGE);

	for (int i = 0; i < options->nlabels; i++)
		hypotheses[i] = AlbertTextFromDatum(DirectFunctionCall3Coll(replace_text, DEFAULT_COLLATION_OID,
																	options->template, CStringGetTextDatum("{}"),
																	options->labels[i]));
	AlbertScoresBegin(job, n, options->nlabels);
	AlbertForwardPairs(job, items, n, hypotheses, options->nlabels, ALBERT_TRUNCATE_FIRST, consume_entailment);
}

static double *
label_scores(AlbertJob *job, int number)
{
	const ZeroShotOptions *options = AlbertOptionsOf(job, ZeroShotOptions);
	double	   *scores = AlbertScoresRow(job, number);

	if (!options->multi_label && options->nlabels > 1)
		AlbertSoftmax(scores, options->nlabels);
	return scores;
}

/* albert_zero_shot(content, labels) text */
static void
best_label(AlbertJob *job, AlbertItem *item, int number)
{
	const ZeroShotOptions *options = AlbertOptionsOf(job, ZeroShotOptions);
	int			best = AlbertArgMax(label_scores(job, number), options->nlabels);

	AlbertItemSet(item, PointerGetDatum(DatumGetTextPCopy(options->labels[best])));
}

static Datum
given_label(const AlbertJob *job, int label)
{
	return AlbertOptionsOf(job, ZeroShotOptions)->labels[label];
}

/* albert_zero_shot_scores(content, labels) rows: all, best first */
static void
put_labels(AlbertJob *job, AlbertItem *item, int number)
{
	const ZeroShotOptions *options = AlbertOptionsOf(job, ZeroShotOptions);

	AlbertPutScores(job, item, label_scores(job, number), options->nlabels, 0, given_label);
}

const AlbertTask albert_zero_shot_task = {
	.text_arg = "content",
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = find_entailment,
	.options = zero_shot_options,
	.run = run_zero_shot,
	.result = best_label,
	.rows = put_labels
};
