/*
 * classify.c
 *	  Sequence classification: the best label, or every label's score.
 */
#include "postgres.h"

#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/classify.h"
#include "functions/embedding.h"
#include "functions/functions.h"
#include "functions/scores.h"

typedef enum ScoreFunction
{
	SCORE_SOFTMAX,
	SCORE_SIGMOID,
	SCORE_IDENTITY
} ScoreFunction;

/* As TextClassificationPipeline.postprocess chooses it. */
static ScoreFunction
score_function(const AlbertConfig *config)
{
	switch (config->problem_type)
	{
		case ALBERT_PROBLEM_REGRESSION:
			return SCORE_IDENTITY;
		case ALBERT_PROBLEM_MULTI_LABEL:
			return SCORE_SIGMOID;
		default:
			return config->num_labels == 1 ? SCORE_SIGMOID : SCORE_SOFTMAX;
	}
}

static void
apply_function(const AlbertConfig *config, double *scores)
{
	switch (score_function(config))
	{
		case SCORE_SOFTMAX:
			AlbertSoftmax(scores, config->num_labels);
			break;
		case SCORE_SIGMOID:
			for (int i = 0; i < config->num_labels; i++)
				scores[i] = AlbertSigmoid(scores[i]);
			break;
		case SCORE_IDENTITY:
			break;
	}
}

typedef struct ClassifyOptions
{
	float		min_score;		/* albert_classify: NULL when the best label scores less */
	int			top_k;			/* albert_classify_scores: 0: all */
} ClassifyOptions;

StaticAssertDecl(sizeof(ClassifyOptions) <= ALBERT_MAX_OPTIONS, "options too large");

static void
init_classify(AlbertJob *job)
{
	((ClassifyOptions *) &job->options)->min_score = -get_float4_infinity();
}

static bool
option_classify(AlbertJob *job, const char *name, Datum value, Oid type)
{
	ClassifyOptions *options = (ClassifyOptions *) &job->options;

	if (strcmp(name, "min_score") == 0)
		options->min_score = DatumGetFloat4(value);
	else if (strcmp(name, "top_k") == 0)
		options->top_k = AlbertIntOption(name, value, 0, INT_MAX);
	else
		return false;
	return true;
}

/* Logits by item; a long text's windows count by the tokens that are their own. */
typedef struct Logits
{
	double	   *sums;			/* (nitems, num_labels) */
	int		   *weights;
} Logits;

static void
consume_classifier(AlbertForward *forward, const AlbertSequence *sequences, int n,
				   const AlbertBatch *batch, const AlbertRows *hidden)
{
	Logits	   *logits = forward->state;
	AlbertRows	rows = AlbertPooledLogits(forward->job, hidden, ALBERT_HEAD_CLASSIFIER);

	for (int s = 0; s < n; s++)
	{
		double	   *sums = logits->sums + (size_t) sequences[s].item * rows.width;
		const float *row = rows.data + (size_t) s * rows.ld;
		int			own = sequences[s].own_to - sequences[s].own_from;

		for (int i = 0; i < rows.width; i++)
			sums[i] += (double) row[i] * own;
		logits->weights[sequences[s].item] += own;
	}
}

/* The logits of a head that has been trained on embeddings. */
static double *
trained_logits(AlbertJob *job, AlbertItem *items, int n)
{
	const AlbertModel *model = &job->binding->model;
	int			num_labels = model->config->num_labels;
	double	   *logits = palloc0((size_t) n * num_labels * sizeof(double));

	for (int i = 0; i < n; i++)
	{
		if (items[i].pair.data != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("model \"%s\" has been trained on single texts and cannot judge pairs", job->binding->name)));
	}
	AlbertEmbedPlainly(job, items, n);
	for (int i = 0; i < n; i++)
	{
		ArrayType  *array;
		int			width;

		if (items[i].status != NULL)
			continue;
		array = DatumGetArrayTypeP(items[i].result);
		width = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		for (int label = 0; label < num_labels; label++)
		{
			const float *weights = model->head_weights + (size_t) label * width;
			double		sum = model->head_bias[label];

			for (int j = 0; j < width; j++)
				sum += (double) weights[j] * ((const float *) ARR_DATA_PTR(array))[j];
			logits[(size_t) i * num_labels + label] = sum;
		}
		items[i].result = (Datum) 0;
		items[i].isnull = true;
	}
	return logits;
}

double *
AlbertClassLogits(AlbertJob *job, AlbertItem *items, int n, int max_length)
{
	const AlbertConfig *config = job->binding->model.config;
	AlbertForwardOptions options = {.max_length = max_length};
	AlbertForward forward;
	Logits		logits;

	if (job->binding->model.head_weights != NULL)
		return trained_logits(job, items, n);
	logits.sums = AlbertJobAlloc(job, (size_t) n * config->num_labels, sizeof(double));
	logits.weights = AlbertJobAlloc(job, n, sizeof(int));

	memset(logits.sums, 0, (size_t) n * config->num_labels * sizeof(double));
	memset(logits.weights, 0, n * sizeof(int));
	AlbertForwardTokenize(&forward, job, items, n, &options);
	AlbertForwardFirstRows(&forward);
	forward.state = &logits;
	forward.consume = consume_classifier;
	AlbertForwardRun(&forward);
	for (int i = 0; i < n; i++)
	{
		double	   *row = logits.sums + (size_t) i * config->num_labels;

		if (items[i].status != NULL)
			continue;
		for (int label = 0; label < config->num_labels; label++)
			row[label] /= logits.weights[i];
	}
	return logits.sums;
}

double *
AlbertClassScores(AlbertJob *job, AlbertItem *items, int n)
{
	const AlbertConfig *config = job->binding->model.config;
	double	   *scores = AlbertClassLogits(job, items, n, 0);

	for (int i = 0; i < n; i++)
		apply_function(config, scores + (size_t) i * config->num_labels);
	return scores;
}

/* ---------- albert_classify(content [, pair]) text ---------- */

static void
run_classify(AlbertJob *job, AlbertItem *items, int n)
{
	const ClassifyOptions *options = (const ClassifyOptions *) &job->options;
	int			num_labels = job->binding->model.config->num_labels;
	double	   *scores = AlbertClassScores(job, items, n);

	for (int i = 0; i < n; i++)
	{
		const double *row = scores + (size_t) i * num_labels;
		int			best = AlbertArgMax(row, num_labels);

		if (items[i].status != NULL || row[best] < options->min_score)
			continue;
		items[i].result = AlbertLabelToDatum(job, best);
		items[i].isnull = false;
	}
}

const AlbertTask albert_classify_task = {
	.symbol = "albert_classify",
	.text_arg = "content",
	.pair_arg = "pair",
	.pair_optional = true,
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.windows = true,
	.init = init_classify,
	.option = option_classify,
	.run = run_classify
};

ALBERT_SCALAR_FUNCTION(albert_classify);

/* ---------- albert_classify_scores(content [, pair]) rows ---------- */

static void
run_classify_scores(AlbertJob *job, AlbertItem *items, int n)
{
	const ClassifyOptions *options = (const ClassifyOptions *) &job->options;
	int			num_labels = job->binding->model.config->num_labels;
	int			nrows = options->top_k > 0 ? Min(options->top_k, num_labels) : num_labels;
	double	   *scores = AlbertClassScores(job, items, n);

	for (int i = 0; i < n; i++)
	{
		const double *row = scores + (size_t) i * num_labels;
		int		   *order = AlbertRank(row, num_labels);

		if (items[i].status != NULL)
			continue;
		for (int r = 0; r < nrows; r++)
		{
			Datum		values[2];

			values[0] = AlbertLabelToDatum(job, order[r]);
			values[1] = Float4GetDatum((float) row[order[r]]);
			AlbertPutRow(&items[i], values, NULL);
		}
	}
}

const AlbertTask albert_classify_scores_task = {
	.symbol = "albert_classify_scores",
	.text_arg = "content",
	.pair_arg = "pair",
	.pair_optional = true,
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.windows = true,
	.init = init_classify,
	.option = option_classify,
	.run = run_classify_scores
};

ALBERT_ROWS_FUNCTION(albert_classify_scores);
