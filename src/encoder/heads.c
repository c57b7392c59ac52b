/*
 * heads.c
 *	  From hidden rows to what a model answers: linear maps, all but one.
 */
#include "encoder/internal.h"

/* act(rows W' + b), if the model has one of these heads. */
static bool
run_head(const AlbertModel *model, uint32_t heads, const char *what, const AlbertLinear *linear, AlbertActivation act,
		 const AlbertRows *rows, const AlbertRun *run, AlbertRows *out, AlbertStatus *status)
{
	if ((model->config->heads & heads) == 0)
		return AlbertFail(status, ALBERT_UNSUPPORTED, "model has no %s", what);
	return AlbertLinearRows(model, linear, act, rows, run, out, status);
}

bool
AlbertHeadPooler(const AlbertModel *model, const AlbertRows *first_rows,
				 const AlbertRun *run, AlbertRows *pooled, AlbertStatus *status)
{
	return run_head(model, ALBERT_HEAD_POOLER, "pooler", &model->pooler, ALBERT_ACT_TANH,
					first_rows, run, pooled, status);
}

/* Dense to embedding_size, hidden_act, LayerNorm, then a score for every word of the vocabulary. */
bool
AlbertHeadMlm(const AlbertModel *model, const AlbertRows *rows,
			  const AlbertRun *run, AlbertRows *logits, AlbertStatus *status)
{
	AlbertRows	words;

	if (!run_head(model, ALBERT_HEAD_MLM, "masked language model head", &model->mlm_dense, model->config->hidden_act,
				  rows, run, &words, status))
		return false;
	model->kernels->layer_norm(words.n, words.width, words.data, words.ld,
							   model->mlm_norm.weight, model->mlm_norm.bias, model->config->layer_norm_eps);
	return AlbertLinearRows(model, &model->mlm_decoder, ALBERT_ACT_NONE, &words, run, logits, status);
}

bool
AlbertHeadSentenceOrder(const AlbertModel *model, const AlbertRows *pooled,
						const AlbertRun *run, AlbertRows *logits, AlbertStatus *status)
{
	return run_head(model, ALBERT_HEAD_SENTENCE_ORDER, "sentence order head", &model->sentence_order, ALBERT_ACT_NONE,
					pooled, run, logits, status);
}

bool
AlbertHeadClassifier(const AlbertModel *model, const AlbertRows *rows,
					 const AlbertRun *run, AlbertRows *logits, AlbertStatus *status)
{
	return run_head(model, ALBERT_HEAD_CLASSIFIER | ALBERT_HEAD_TOKEN_CLASSIFIER | ALBERT_HEAD_CHOICE,
					"classification head", &model->classifier, ALBERT_ACT_NONE, rows, run, logits, status);
}

bool
AlbertHeadQuestionAnswering(const AlbertModel *model, const AlbertRows *rows,
							const AlbertRun *run, AlbertRows *logits, AlbertStatus *status)
{
	return run_head(model, ALBERT_HEAD_QUESTION_ANSWERING, "question answering head", &model->qa_outputs,
					ALBERT_ACT_NONE, rows, run, logits, status);
}
