/*
 * score.c
 *	  What two texts have to do with each other: how well a document answers a
 *	  query, by a cross-encoder, a model that reads both at once and has one
 *	  label; and whether one text is the continuation of the other, ALBERT's
 *	  second pretraining task.
 */
#include "postgres.h"

#include "functions/functions.h"

/* ---------- albert_score(query, document) real ---------- */

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
	AlbertRunLogits(job, items, n, 1, model->config->max_seq_length);
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
	.text_arg = "query",
	.pair_arg = "document",
	.pair_needed = true,
	.heads = ALBERT_HEAD_CLASSIFIER,
	.init = init_score,
	.run = run_score,
	.result = single_score
};

/* ---------- albert_sentence_order(a, b) real ---------- */

static void
run_order(AlbertJob *job, AlbertItem *items, int n)
{
	AlbertRunLogits(job, items, n, 2, 0);
}

static void
order_probability(AlbertJob *job, AlbertItem *item, int number)
{
	const double *logits = AlbertScoresRow(job, number);

	/* softmax of two; label 0 is "in order" */
	AlbertItemSet(item, Float4GetDatum((float) AlbertSigmoid(logits[0] - logits[1])));
}

const AlbertTask albert_sentence_order_task = {
	.text_arg = "a",
	.pair_arg = "b",
	.heads = ALBERT_HEAD_SENTENCE_ORDER,
	.run = run_order,
	.result = order_probability
};
