/*
 * classify.c
 *	  Sequence classification, and what it is asked for: the best label, every
 *	  label's score, the labels that are probable enough, the probability of one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/float.h"

#include "executor/text.h"
#include "functions/functions.h"

/* Labels that an error message lists at most. */
#define LABELS_SHOWN	20

typedef struct ClassifyOptions
{
	float		least;			/* labels that score less are none */
	int			top_k;			/* 0: all */
	int			label;			/* number of the label whose probability is wanted */
} ClassifyOptions;

static Datum
label_name(const AlbertJob *job, int label)
{
	const char *name = job->binding->model.labels[label];

	return AlbertOutputToDatum(name, strlen(name));
}

static const char *
label_list(const AlbertJob *job)
{
	StringInfoData list;
	int			n = job->binding->model.config->num_labels;

	initStringInfo(&list);
	for (int i = 0; i < Min(n, LABELS_SHOWN); i++)
		appendStringInfo(&list, "%s%s", i == 0 ? "" : ", ", AlbertCString(label_name(job, i)));
	if (n > LABELS_SHOWN)
		appendStringInfoString(&list, ", ...");
	return list.data;
}

static void
take_label(AlbertJob *job, Datum value)
{
	AlbertText	name = AlbertTextFromDatum(value);
	const AlbertModel *model = &job->binding->model;

	for (int i = 0; i < model->config->num_labels; i++)
	{
		if (strlen(model->labels[i]) == name.size && memcmp(model->labels[i], name.data, name.size) == 0)
		{
			AlbertOptionsOf(job, ClassifyOptions)->label = i;
			return;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model \"%s\" has no label \"%s\"", job->binding->name, AlbertCString(value)),
			 errdetail("Its labels are: %s.", label_list(job))));
}

/* Of all these functions: each has those that it can use. */
static const AlbertOption classify_options[] = {
	ALBERT_FLOAT_OPTION("min_score", ClassifyOptions, least),
	ALBERT_FLOAT_OPTION("threshold", ClassifyOptions, least),
	ALBERT_INT_OPTION("top_k", ClassifyOptions, top_k, 0, INT_MAX),
	ALBERT_TAKEN_OPTION("label", take_label),
	ALBERT_NO_OPTION
};

/* ---------- scores ---------- */

/* As TextClassificationPipeline makes them of logits. */
static void
scores_of_logits(const AlbertConfig *config, double *scores)
{
	if (config->problem_type == ALBERT_PROBLEM_REGRESSION)
		return;
	if (config->problem_type == ALBERT_PROBLEM_MULTI_LABEL || config->num_labels == 1)
	{
		for (int i = 0; i < config->num_labels; i++)
			scores[i] = AlbertSigmoid(scores[i]);
	}
	else
		AlbertSoftmax(scores, config->num_labels);
}

void
AlbertRunClassifier(AlbertJob *job, AlbertItem *items, int n)
{
	const AlbertConfig *config = job->binding->model.config;

	AlbertRunLogits(job, items, n, config->num_labels, 0);
	for (int i = 0; i < n; i++)
		scores_of_logits(config, AlbertScoresRow(job, i));
}

/* ---------- albert_classify(content [, pair]) text, albert_classify_scores(content [, pair]) rows ---------- */

static void
init_classify(AlbertJob *job)
{
	AlbertOptionsOf(job, ClassifyOptions)->least = -get_float4_infinity();
}

static void
best_label(AlbertJob *job, AlbertItem *item, int number)
{
	const double *scores = AlbertScoresRow(job, number);
	int			best = AlbertArgMax(scores, job->binding->model.config->num_labels);

	if (scores[best] >= AlbertOptionsOf(job, ClassifyOptions)->least)
		AlbertItemSet(item, label_name(job, best));
}

static void
put_labels(AlbertJob *job, AlbertItem *item, int number)
{
	AlbertPutScores(job, item, AlbertScoresRow(job, number), job->binding->model.config->num_labels,
					AlbertOptionsOf(job, ClassifyOptions)->top_k, label_name);
}

const AlbertTask albert_classify_task = {
	.text_arg = "content",
	.pair_arg = "pair",
	.heads = ALBERT_HEAD_CLASSIFIER,
	.windows = true,
	.init = init_classify,
	.options = classify_options,
	.run = AlbertRunClassifier,
	.result = best_label,
	.rows = put_labels
};

/* ---------- albert_labels(content [, pair]) text[] ---------- */

static void
refuse_regression(AlbertJob *job)
{
	if (job->binding->model.config->problem_type == ALBERT_PROBLEM_REGRESSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" is a regression, whose outputs are no probabilities", job->binding->name),
				 errhint("albert_classify_scores gives its outputs.")));
}

static void
init_labels(AlbertJob *job)
{
	refuse_regression(job);
	AlbertOptionsOf(job, ClassifyOptions)->least = 0.5;
}

/* Best first. */
static void
labels_above(AlbertJob *job, AlbertItem *item, int number)
{
	float		least = AlbertOptionsOf(job, ClassifyOptions)->least;
	int			num_labels = job->binding->model.config->num_labels;
	AlbertRanked *ranked = AlbertRank(AlbertScoresRow(job, number), num_labels);
	Datum	   *labels = palloc(num_labels * sizeof(Datum));
	int			n = 0;

	for (; n < num_labels && (float) ranked[n].score >= least; n++)
		labels[n] = label_name(job, ranked[n].first);
	AlbertItemSet(item, PointerGetDatum(construct_array(labels, n, TEXTOID, -1, false, TYPALIGN_INT)));
}

const AlbertTask albert_labels_task = {
	.text_arg = "content",
	.pair_arg = "pair",
	.windows = true,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = init_labels,
	.options = classify_options,
	.run = AlbertRunClassifier,
	.result = labels_above
};

/* ---------- albert_class_probability(content, label [, pair]) real ---------- */

static void
label_probability(AlbertJob *job, AlbertItem *item, int number)
{
	int			label = AlbertOptionsOf(job, ClassifyOptions)->label;

	AlbertItemSet(item, Float4GetDatum((float) AlbertScoresRow(job, number)[label]));
}

const AlbertTask albert_class_probability_task = {
	.text_arg = "content",
	.pair_arg = "pair",
	.windows = true,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = refuse_regression,
	.options = classify_options,
	.run = AlbertRunClassifier,
	.result = label_probability
};

/* ---------- albert_entailment(premise, hypothesis) real ---------- */

int
AlbertEntailmentLabel(const AlbertModel *model)
{
	for (int i = 0; i < model->config->num_labels; i++)
	{
		if (pg_strncasecmp(model->labels[i], "entail", 6) == 0)
			return i;
	}
	return -1;
}

/*
 * A zero-shot pipeline takes the last label where none is called so; a number that
 * stands alone should not be guessed.
 */
static void
init_entailment(AlbertJob *job)
{
	int			label = AlbertEntailmentLabel(&job->binding->model);

	refuse_regression(job);
	if (label < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has no label for entailment", job->binding->name),
				 errdetail("Its labels are: %s.", label_list(job)),
				 errhint("Where one of them means entailment, name it in the model's config.json, or use "
						 "albert_class_probability.")));
	AlbertOptionsOf(job, ClassifyOptions)->label = label;
}

const AlbertTask albert_entailment_task = {
	.text_arg = "premise",
	.pair_arg = "hypothesis",
	.pair_needed = true,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = init_entailment,
	.run = AlbertRunClassifier,
	.result = label_probability
};
