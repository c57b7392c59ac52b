/*
 * head_qa.c
 *	  Where an answer starts and stops: two scores a token.
 */
#include "encoder/internal.h"

bool
AlbertHeadQuestionAnswering(const AlbertModel *model, const AlbertRows *rows,
							const AlbertRun *run, AlbertRows *logits, AlbertStatus *status)
{
	return AlbertRequireHead(model, ALBERT_HEAD_QUESTION_ANSWERING,
							 "question answering head", status) &&
		AlbertLinearRows(model, &model->qa_outputs, ALBERT_ACT_NONE, rows,
						 run, logits, status);
}
