/*
 * probability.c
 *	  Of a classification, what stands in a condition or a column: the
 *	  probability of one label, and the labels that are probable enough.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"

#include "executor/text.h"
#include "functions/functions.h"

/* Labels that an error message lists at most. */
#define LABELS_SHOWN	20

typedef struct ProbabilityOptions
{
	int			label;			/* number of the label whose probability is wanted */
	float		threshold;		/* albert_labels: the least probability */
} ProbabilityOptions;

static void
refuse_regression(AlbertJob *job)
{
	if (job->binding->model.config->problem_type == ALBERT_PROBLEM_REGRESSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" is a regression, whose outputs are no probabilities", job->binding->name),
				 errhint("albert_classify_scores gives its outputs.")));
}

static const char *
label_list(const AlbertJob *job)
{
	StringInfoData list;
	int			n = job->binding->model.config->num_labels;

	initStringInfo(&list);
	for (int i = 0; i < Min(n, LABELS_SHOWN); i++)
		appendStringInfo(&list, "%s%s", i == 0 ? "" : ", ", AlbertCString(AlbertLabelToDatum(job, i)));
	if (n > LABELS_SHOWN)
		appendStringInfoString(&list, ", ...");
	return list.data;
}

static void
label_probability(AlbertJob *job, AlbertItem *item, int number)
{
	int			label = AlbertOptionsOf(job, ProbabilityOptions)->label;

	AlbertItemSet(item, Float4GetDatum((float) AlbertClassScores(job, number)[label]));
}

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
	AlbertOptionsOf(job, ProbabilityOptions)->label = label;
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

/* ---------- albert_class_probability(content, label [, pair]) real ---------- */

static void
take_label(AlbertJob *job, Datum value)
{
	AlbertText	name = AlbertTextFromDatum(value);
	const AlbertModel *model = &job->binding->model;

	for (int i = 0; i < model->config->num_labels; i++)
	{
		if (strlen(model->labels[i]) == name.size && memcmp(model->labels[i], name.data, name.size) == 0)
		{
			AlbertOptionsOf(job, ProbabilityOptions)->label = i;
			return;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model \"%s\" has no label \"%s\"", job->binding->name, AlbertCString(value)),
			 errdetail("Its labels are: %s.", label_list(job))));
}

static const AlbertOption class_options[] = {
	ALBERT_TAKEN_OPTION("label", take_label),
	ALBERT_NO_OPTION
};

const AlbertTask albert_class_probability_task = {
	.text_arg = "content",
	.pair_arg = "pair",
	.windows = true,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = refuse_regression,
	.options = class_options,
	.run = AlbertRunClassifier,
	.result = label_probability
};

/* ---------- albert_labels(content [, pair]) text[] ---------- */

static void
init_labels(AlbertJob *job)
{
	refuse_regression(job);
	AlbertOptionsOf(job, ProbabilityOptions)->threshold = 0.5;
}

static const AlbertOption labels_options[] = {
	ALBERT_FLOAT_OPTION("threshold", ProbabilityOptions, threshold),
	ALBERT_NO_OPTION
};

/* The labels whose scores reach the threshold, best first. */
static void
labels_above(AlbertJob *job, AlbertItem *item, int number)
{
	float		threshold = AlbertOptionsOf(job, ProbabilityOptions)->threshold;
	int			num_labels = job->binding->model.config->num_labels;
	const double *scores = AlbertClassScores(job, number);
	AlbertRanked *ranked = AlbertRank(scores, num_labels);
	Datum	   *labels = palloc(num_labels * sizeof(Datum));
	int			n = 0;

	for (; n < num_labels && (float) ranked[n].score >= threshold; n++)
		labels[n] = AlbertLabelToDatum(job, ranked[n].first);
	AlbertItemSet(item, PointerGetDatum(construct_array(labels, n, TEXTOID, -1, false, TYPALIGN_INT)));
}

const AlbertTask albert_labels_task = {
	.text_arg = "content",
	.pair_arg = "pair",
	.windows = true,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = init_labels,
	.options = labels_options,
	.run = AlbertRunClassifier,
	.result = labels_above
};
