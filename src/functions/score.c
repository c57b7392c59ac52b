/*
 * score.c
 *	  How well a document answers a query, by a cross-encoder: a model that
 *	  reads both at once and has one label.
 */
#include "postgres.h"

#include "functions/classify.h"
#include "functions/embedding.h"
#include "functions/functions.h"
#include "functions/scores.h"

static void
init_score(AlbertJob *job)
{
	int			num_labels = job->binding->model.config->num_labels;

	if (num_labels != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has %d labels and gives no single score", job->binding->name, num_labels),
				 errhint("albert_class_probability gives the probability of one label, albert_entailment that of "
						 "entailment.")));
}

/*
 * As CrossEncoder.predict: with the length and the default prompt of sentence-
 * transformers' files where they give them.
 */
static void
run_score(AlbertJob *job, AlbertItem *items, int n)
{
	const AlbertModel *model = &job->binding->model;
	AlbertText	prompt;

	/* a head on embeddings has them with their own prompt */
	if (model->head_weights == NULL && AlbertFindPrompt(model, "", &prompt))
		AlbertPrependPrompt(job, &prompt, items, n);
	AlbertRunLogits(job, items, n, 1, model->max_seq_length);
}

static void
single_score(AlbertJob *job, AlbertItem *item, int number)
{
	double		score = *AlbertScoresRow(job, number);

	if (job->binding->model.config->score_function != ALBERT_SCORE_IDENTITY)
		score = AlbertSigmoid(score);
	AlbertItemSet(item, Float4GetDatum((float) score));
}

const AlbertTask albert_score_task = {
	.symbol = "albert_score",
	.text_arg = "query",
	.pair_arg = "document",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = init_score,
	.run = run_score,
	.result = single_score
};
