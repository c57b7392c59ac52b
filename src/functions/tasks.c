/*
 * tasks.c
 *	  The table of tasks: one line for each SQL function over a text.
 */
#include "functions/functions.h"

const AlbertTask *const albert_tasks[] = {
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
	NULL
};
