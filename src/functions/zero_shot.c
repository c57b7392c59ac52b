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
	AlbertText *hypotheses;		/* UTF-8 */
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
take_labels(ZeroShotOptions *options, Datum array)
{
	options->labels = AlbertTextsOption("labels", array, &options->nlabels);
	if (options->nlabels == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("labels must name at least one label")));
}

static bool
option_zero_shot(AlbertJob *job, const char *name, Datum value, Oid type)
{
	ZeroShotOptions *options = (ZeroShotOptions *) &job->options;

	if (strcmp(name, "labels") == 0)
		take_labels(options, value);
	else if (strcmp(name, "multi_label") == 0)
		options->multi_label = DatumGetBool(value);
	else if (strcmp(name, "template") == 0)
	{
		options->template = AlbertCString(value);
		if (strstr(options->template, "{}") == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("template \"%s\" has no place for the label", options->template),
					 errhint("Write {} where the label goes.")));
	}
	else
		return false;
	return true;
}

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

/* The state: (nitems, nlabels) logits or, with several labels, probabilities. */
static void
consume_entailment(AlbertForward *forward, const AlbertSequence *sequences, int n,
				   const AlbertBatch *batch, const AlbertRows *hidden)
{
	const ZeroShotOptions *options = (const ZeroShotOptions *) &forward->job->options;
	double	   *entails = forward->state;
	AlbertRows	logits = AlbertPooledLogits(forward->job, hidden, ALBERT_HEAD_CLASSIFIER);

	for (int s = 0; s < n; s++)
	{
		const float *row = logits.data + (size_t) s * logits.ld;
		double		score = row[options->entailment];

		/* each label for itself: entailment against contradiction */
		if (options->multi_label || options->nlabels == 1)
			score = AlbertSigmoid(score - row[options->contradiction]);
		entails[(size_t) sequences[s].item * options->nlabels + sequences[s].window] = score;
	}
}

static double *
zero_shot(AlbertJob *job, AlbertItem *items, int n)
{
	ZeroShotOptions *options = (ZeroShotOptions *) &job->options;
	double	   *entails = AlbertJobAlloc(job, (size_t) n * options->nlabels, sizeof(double));

	options->hypotheses = palloc_extended(options->nlabels * sizeof(AlbertText), MCXT_ALLOC_HUGE);
	for (int i = 0; i < options->nlabels; i++)
		options->hypotheses[i] = hypothesis(options->template, options->labels[i]);
	memset(entails, 0, (size_t) n * options->nlabels * sizeof(double));
	AlbertForwardPairs(job, items, n, options->hypotheses, options->nlabels, ALBERT_TRUNCATE_FIRST,
					   consume_entailment, entails);
	if (!options->multi_label && options->nlabels > 1)
	{
		for (int i = 0; i < n; i++)
			AlbertSoftmax(entails + (size_t) i * options->nlabels, options->nlabels);
	}
	return entails;
}

/* ---------- albert_zero_shot(content, labels) text ---------- */

static void
run_zero_shot(AlbertJob *job, AlbertItem *items, int n)
{
	const ZeroShotOptions *options = (const ZeroShotOptions *) &job->options;
	double	   *scores = zero_shot(job, items, n);

	for (int i = 0; i < n; i++)
	{
		int			best;

		if (items[i].status != NULL)
			continue;
		best = AlbertArgMax(scores + (size_t) i * options->nlabels, options->nlabels);

		items[i].result = PointerGetDatum(DatumGetTextPCopy(options->labels[best]));
		items[i].isnull = false;
	}
}

const AlbertTask albert_zero_shot_task = {
	.symbol = "albert_zero_shot",
	.text_arg = "content",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = init_zero_shot,
	.option = option_zero_shot,
	.run = run_zero_shot
};

ALBERT_SCALAR_FUNCTION(albert_zero_shot);

/* ---------- albert_zero_shot_scores(content, labels) rows ---------- */

static void
run_zero_shot_scores(AlbertJob *job, AlbertItem *items, int n)
{
	const ZeroShotOptions *options = (const ZeroShotOptions *) &job->options;
	double	   *scores = zero_shot(job, items, n);

	for (int i = 0; i < n; i++)
	{
		const double *row = scores + (size_t) i * options->nlabels;
		int		   *order = AlbertRank(row, options->nlabels);

		if (items[i].status != NULL)
			continue;
		for (int r = 0; r < options->nlabels; r++)
		{
			Datum		values[2];

			values[0] = options->labels[order[r]];
			values[1] = Float4GetDatum((float) row[order[r]]);
			AlbertPutRow(&items[i], values, NULL);
		}
	}
}

const AlbertTask albert_zero_shot_scores_task = {
	.symbol = "albert_zero_shot_scores",
	.text_arg = "content",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = init_zero_shot,
	.option = option_zero_shot,
	.run = run_zero_shot_scores
};

ALBERT_ROWS_FUNCTION(albert_zero_shot_scores);
