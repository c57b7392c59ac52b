/*
 * head_classifier.c
 *	  The three heads that give a score a label: of sequences and of choices
 *	  (from the pooler's output), and of tokens (from hidden states).
 */
#include "encoder/internal.h"

bool
AlbertHeadClassifier(const AlbertModel *model, const AlbertRows *rows,
					 const AlbertRun *run, AlbertRows *logits, AlbertStatus *status)
{
	return AlbertRequireHead(model,
							 ALBERT_HEAD_CLASSIFIER | ALBERT_HEAD_TOKEN_CLASSIFIER | ALBERT_HEAD_CHOICE,
							 "classification head", status) &&
		AlbertLinearRows(model, &model->classifier, ALBERT_ACT_NONE, rows,
						 run, logits, status);
}
