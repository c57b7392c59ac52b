/*
 * image_bind.c
 *	  From images to the structures of encoder/model.h, everything checked.
 */
#include "formats/internal.h"

#include <string.h>

static bool
bad_image(AlbertStatus *status, const char *what)
{
	return AlbertFail(status, ALBERT_FORMAT, "image of a model is invalid: %s", what);
}

static bool
check_header(const AlbertImageHeader *header, AlbertImageKind kind, size_t least, size_t size,
			 AlbertStatus *status)
{
	const char *problem = AlbertImageHeaderProblem(header, kind, least, size);

	return problem == NULL || bad_image(status, problem);
}

static bool
inside(const ImageSpan *span, const AlbertImageHeader *header)
{
	return span->offset % ALBERT_ALIGN == 0 && span->offset <= header->size &&
		span->size <= header->size - span->offset;
}

/* ---- texts ---- */

static bool
check_info(const AlbertSourceInfo *info, AlbertStatus *status)
{
	if (!AlbertConfigCheck(&info->config, "image", status))
		return false;
	if (info->ndense < 0 || info->ndense > ALBERT_MAX_DENSE)
		return bad_image(status, "number of Dense modules");
	for (int i = 0; i < info->ndense; i++)
	{
		const AlbertDenseShape *dense = &info->dense[i];

		if (dense->in < 1 || dense->in > MAX_INTERMEDIATE || dense->out < 1 ||
			dense->out > MAX_HIDDEN_SIZE || (int64_t) dense->in * dense->out > MAX_MATRIX ||
			dense->activation < ALBERT_ACT_NONE || dense->activation > ALBERT_ACT_TANH)
			return bad_image(status, "shape of a Dense module");
	}
	return true;
}

/* Pointers to labels, prompt names and prompts, which lie one after the other. */
static bool
bind_strings(const TextImage *image, AlbertArena *arena, AlbertModel *model, AlbertStatus *status)
{
	int64_t		n;
	const char *text;
	const char *end;
	const char **pointers;

	if (image->nlabels != image->info.config.num_labels ||
		image->nprompts < 0 || image->nprompts > MAX_PROMPTS + 1)
		return bad_image(status, "number of labels or prompts");
	n = image->nlabels + 2 * (int64_t) image->nprompts;
	if (!inside(&image->strings, &image->header))
		return bad_image(status, "place of the strings");
	text = (const char *) image + image->strings.offset;
	end = text + image->strings.size;
	pointers = AlbertArenaArray(arena, n, sizeof(char *));
	if (pointers == NULL)
		return AlbertNoMemory(status);
	for (int64_t i = 0; i < n; i++)
	{
		pointers[i] = text;
		text = memchr(text, '\0', end - text);
		if (text == NULL)
			return bad_image(status, "end of the strings");
		text++;
	}
	model->nlabels = image->nlabels;
	model->labels = pointers;
	model->nprompts = image->nprompts;
	model->prompt_names = pointers + image->nlabels;
	model->prompts = model->prompt_names + image->nprompts;
	return true;
}

static bool
bind_text(const TextImage *image, size_t size, AlbertArena *arena, AlbertModel *model,
		  AlbertTokenizer *tokenizer, AlbertStatus *status)
{
	if (!check_header(&image->header, ALBERT_IMAGE_TEXT, sizeof(TextImage), size, status) ||
		!check_info(&image->info, status) ||
		!bind_strings(image, arena, model, status))
		return false;
	if (!inside(&image->tokenizer, &image->header))
		return bad_image(status, "place of the tokenizer");
	model->config = &image->info.config;
	model->heads = image->info.heads;
	model->parameters = image->info.parameters;
	model->pooling = image->info.pooling;
	model->normalize = image->info.normalize != 0;
	model->exclude_prompt = image->info.exclude_prompt != 0;
	model->max_seq_length = image->info.max_seq_length;
	model->overflow = image->info.overflow;
	model->ndense = image->info.ndense;
	return AlbertTokenizerBind((const char *) image + image->tokenizer.offset,
							   image->tokenizer.size, tokenizer, status);
}

/* ---- weights ---- */

static bool
bind_kernels(const WeightsImage *image, AlbertModel *model, AlbertStatus *status)
{
	if (image->precision < ALBERT_FP32 || image->precision > ALBERT_INT8)
		return bad_image(status, "precision");
	model->precision = image->precision;
	model->kernels = AlbertKernelsById(image->kernels_id);
	if (model->kernels == NULL || !AlbertKernelsHave(model->kernels, model->precision))
		return bad_image(status, "its kernel set cannot be used here");
	return true;
}

static bool
bind_weights(const TextImage *text, const WeightsImage *image, size_t size, AlbertArena *arena,
			 AlbertModel *model, AlbertStatus *status)
{
	int			nlayers = text->info.config.num_hidden_groups * text->info.config.inner_group_num;
	AlbertLayer *layers;
	AlbertArenaMark mark;
	Layout		layout;
	bool		ok;

	if (!check_header(&image->header, ALBERT_IMAGE_WEIGHTS, sizeof(WeightsImage), size, status) ||
		!bind_kernels(image, model, status))
		return false;
	if (memcmp(&image->info, &text->info, sizeof(image->info)) != 0)
		return bad_image(status, "its weights are of another model");
	layers = AlbertArenaAllocZero(arena, nlayers * sizeof(AlbertLayer));
	if (layers == NULL)
		return AlbertNoMemory(status);
	model->layers = layers;
	for (int i = 0; i < text->info.ndense; i++)
		model->dense[i].activation = text->info.dense[i].activation;

	mark = AlbertArenaGetMark(arena);
	ok = AlbertLayoutPlace(&text->info, model->kernels, model->precision, arena, &layout, status) &&
		(image->header.size == layout.size || bad_image(status, "its weights are of another model"));
	for (int i = 0; ok && i < layout.n; i++)
		AlbertLayoutBind(model, layers, &layout.matrices[i],
						 (const char *) image + layout.matrices[i].offset);
	AlbertArenaRewind(arena, mark);
	if (ok && (text->info.heads & ALBERT_HEAD_MLM) && !text->info.untied)
		model->mlm_decoder = model->word_embeddings;
	return ok;
}

bool
AlbertImageBind(const void *text, size_t text_size, const void *weights, size_t weights_size,
				AlbertArena *arena, AlbertModel *model, AlbertTokenizer *tokenizer,
				AlbertStatus *status)
{
	memset(model, 0, sizeof(*model));
	if (!bind_text(text, text_size, arena, model, tokenizer, status))
		return false;
	return weights == NULL ||
		bind_weights(text, weights, weights_size, arena, model, status);
}
