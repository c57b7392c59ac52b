/*
 * image_bind.c
 *	  From images to the structures of encoder/model.h, their bounds checked.
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

/* ---- texts ---- */

/* Pointers to labels, prompt names and prompts, which lie one after the other. */
static bool
bind_strings(const TextImage *image, AlbertArena *arena, AlbertModel *model, AlbertStatus *status)
{
	int			nlabels = image->config.num_labels;
	int64_t		n = nlabels + 2 * (int64_t) image->nprompts;
	const char *text = (const char *) (image + 1);
	const char *end = (const char *) image + image->tokenizer;
	const char **pointers;

	if (nlabels < 0 || image->nprompts < 0 || n > end - text)
		return bad_image(status, "number of labels or prompts");
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
	model->labels = pointers;
	model->nprompts = image->nprompts;
	model->prompt_names = pointers + nlabels;
	model->prompts = model->prompt_names + image->nprompts;
	return true;
}

static bool
bind_text(const TextImage *image, size_t size, AlbertArena *arena, AlbertModel *model,
		  AlbertTokenizer *tokenizer, AlbertStatus *status)
{
	if (!check_header(&image->header, ALBERT_IMAGE_TEXT, sizeof(TextImage), size, status))
		return false;
	if (image->tokenizer % ALBERT_ALIGN != 0 || image->tokenizer < sizeof(TextImage) ||
		image->tokenizer > image->header.size)
		return bad_image(status, "place of the tokenizer");
	if (!bind_strings(image, arena, model, status))
		return false;
	model->config = &image->config;
	return AlbertTokenizerBind((const char *) image + image->tokenizer, image->header.size - image->tokenizer,
							   tokenizer, status);
}

/* ---- weights ---- */

static bool
bind_kernels(const WeightsImage *image, AlbertModel *model, AlbertStatus *status)
{
	if (image->precision < ALBERT_FP32 || image->precision > ALBERT_INT8)
		return bad_image(status, "precision");
	model->precision = image->precision;
	model->kernels = AlbertKernelsById(image->kernels_id);
	return model->kernels != NULL || bad_image(status, "its kernel set cannot be used here");
}

static bool
bind_weights(const TextImage *text, const WeightsImage *image, size_t size, AlbertArena *arena,
			 AlbertModel *model, AlbertStatus *status)
{
	AlbertLayer *layers;
	AlbertArenaMark mark;
	Layout		layout;
	bool		ok;

	if (!check_header(&image->header, ALBERT_IMAGE_WEIGHTS, sizeof(WeightsImage), size, status) ||
		!bind_kernels(image, model, status))
		return false;
	if (memcmp(&image->config, &text->config, sizeof(image->config)) != 0)
		return bad_image(status, "its weights are of another model");
	/* so sizes are those that came from checked files, and the layout follows from them */
	layers = AlbertArenaAllocZero(arena, text->config.num_hidden_groups * text->config.inner_group_num *
								  sizeof(AlbertLayer));
	if (layers == NULL)
		return AlbertNoMemory(status);
	model->layers = layers;

	mark = AlbertArenaGetMark(arena);
	ok = AlbertLayoutList(&text->config, model->kernels, model->precision, arena, &layout, status) &&
		(image->header.size == layout.size || bad_image(status, "its weights are of another model"));
	for (int i = 0; ok && i < layout.n; i++)
		AlbertLayoutBind(model, layers, &layout.matrices[i],
						 (const char *) image + layout.matrices[i].offset);
	AlbertArenaRewind(arena, mark);
	if (ok && (text->config.heads & ALBERT_HEAD_MLM) && !text->config.untied)
	{
		const float *bias = model->mlm_decoder.bias;

		model->mlm_decoder = model->word_embeddings;
		model->mlm_decoder.bias = bias;
	}
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
