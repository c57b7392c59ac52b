/*
 * tasks.c
 *	  The table of tasks: one line for each SQL function over a text.  _PG_init
 *	  hands it to the executor, which knows none of them by name.
 */
#include "functions/functions.h"

static const AlbertTask *const tasks[] = {
	&albert_tokenize_task,
	&albert_encode_task,
	&albert_tokens_task,
	&albert_token_count_task,
	&albert_chunks_task,
	&albert_fill_mask_task,
	&albert_fill_mask_candidates_task,
	&albert_embedding_task,
	&albert_similarity_task,
	&albert_token_embeddings_task,
	&albert_sentence_order_task,
	&albert_classify_task,
	&albert_classify_scores_task,
	&albert_score_task,
	&albert_entailment_task,
	&albert_class_probability_task,
	&albert_labels_task,
	&albert_zero_shot_task,
	&albert_zero_shot_scores_task,
	&albert_answer_task,
	&albert_answers_task,
	&albert_entities_task,
	&albert_choose_task,
	&albert_choose_scores_task,
	&albert_layers_task,
	&albert_attention_task
};

void
AlbertTasksInit(void)
{
	for (int i = 0; i < lengthof(tasks); i++)
		AlbertTaskRegister(tasks[i]);
}
