/*
 * head.c
 *	  Heads that have been trained on another model's embeddings: read, and
 *	  bound to that model.
 */
#include "store/registry.h"

#include "encoder/encoder.h"

void
AlbertHeadRead(AlbertRequest *request, AlbertArena *arena, AlbertTrainedHead *head)
{
	AlbertSource *source;

	AlbertRequestFiles(request);
	source = AlbertRequestOpen(request, arena);
	if (AlbertSourceHead(source) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the files of model \"%s\" are not those of a trained head", request->name)));
	*head = *AlbertSourceHead(source);
	AlbertSourceClose(source);
}

void
AlbertHeadBind(const AlbertTrainedHead *head, const char *name, AlbertArena *arena, AlbertModel *model)
{
	AlbertConfig *config = MemoryContextAlloc(arena->context, sizeof(AlbertConfig));
	uint32		pooling = model->config->pooling;
	AlbertStatus ignored;
	int			width = AlbertPoolWidth(model, pooling != 0 ? pooling : ALBERT_POOL_MEAN, pooling != 0, &ignored);

	if (head->pairs)
		width *= ALBERT_PAIR_PARTS;
	if (head->width != width)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the files of model \"%s\" are malformed", name),
				 errdetail("It is for embeddings that make %d values, and those of its base make %d.",
						   head->width, width)));
	*config = *model->config;
	config->num_labels = head->nlabels;
	config->problem_type = head->problem;
	config->score_function = head->problem == ALBERT_PROBLEM_REGRESSION ? ALBERT_SCORE_IDENTITY : ALBERT_SCORE_UNSET;
	/* the base's own classifier goes, of whatever kind it is */
	config->heads &= ~(ALBERT_HEAD_TOKEN_CLASSIFIER | ALBERT_HEAD_CHOICE);
	config->heads |= ALBERT_HEAD_CLASSIFIER;
	model->config = config;
	model->labels = head->labels;
	model->head_weights = head->weights;
	model->head_bias = head->bias;
	model->head_pairs = head->pairs;
}

void
AlbertHeadMisfits(const char *name, const char *base)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("model \"%s\" is not the one that \"%s\" was trained on", base, name),
			 errdetail("Its files or options are others."),
			 errhint("Train it anew, or put the old model back.")));
}
