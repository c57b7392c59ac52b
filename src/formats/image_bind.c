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
check_shape(const ModelShape *shape, AlbertStatus *status)
{
	if (!AlbertConfigCheck(&shape->config, "image", status))
		return false;
	if (shape->ndense < 0 || shape->ndense > ALBERT_MAX_DENSE)
		return bad_image(status, "number of Dense modules");
	for (int i = 0; i < shape->ndense; i++)
	{
		const DenseShape *dense = &shape->dense[i];

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
	const uint64_t *offsets;
	const char *text;
	uint64_t	text_size;
	const char **pointers;

	if (image->nlabels != image->shape.config.num_labels ||
		image->nprompts < 0 || image->nprompts > MAX_PROMPTS + 1)
		return bad_image(status, "number of labels or prompts");
	n = image->nlabels + 2 * (int64_t) image->nprompts;
	if (!inside(&image->strings, &image->header) || image->strings.size < n * sizeof(uint64_t))
		return bad_image(status, "place of the strings");
	offsets = (const uint64_t *) ((const char *) image + image->strings.offset);
	text = (const char *) (offsets + n);
	text_size = image->strings.size - n * sizeof(uint64_t);
	if (n > 0 && (text_size == 0 || text[text_size - 1] != '\0'))
		return bad_image(status, "end of the strings");
	pointers = AlbertArenaArray(arena, n, sizeof(char *));
	if (pointers == NULL)
		return AlbertNoMemory(status);
	for (int64_t i = 0; i < n; i++)
	{
		if (offsets[i] >= text_size)
			return bad_image(status, "place of a string");
		pointers[i] = text + offsets[i];
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
		!check_shape(&image->shape, status) ||
		!bind_strings(image, arena, model, status))
		return false;
	if (!inside(&image->tokenizer, &image->header))
		return bad_image(status, "place of the tokenizer");
	model->config = &image->shape.config;
	model->heads = image->shape.heads;
	model->parameters = image->parameters;
	model->pooling = image->pooling;
	model->normalize = image->normalize != 0;
	model->exclude_prompt = image->exclude_prompt != 0;
	model->max_seq_length = image->max_seq_length;
	model->ndense = image->shape.ndense;
	return AlbertTokenizerBind((const char *) image + image->tokenizer.offset,
							   image->tokenizer.size, tokenizer, status);
}

/* ---- weights ---- */

/*
 * The image's own table of places must be what this code would lay out for the
 * text's shape, so that weights of another shape are refused.
 */
static bool
check_matrices(const WeightsImage *image, const Layout *layout, AlbertStatus *status)
{
	const ImageSpan *spans;

	if (image->nmatrices != (uint64_t) layout->n || image->header.size != layout->size ||
		!inside(&image->matrices, &image->header) ||
		image->matrices.size != layout->n * sizeof(ImageSpan))
		return bad_image(status, "its weights are of another model");
	spans = (const ImageSpan *) ((const char *) image + image->matrices.offset);
	for (int i = 0; i < layout->n; i++)
		if (spans[i].offset != layout->matrices[i].offset || spans[i].size != layout->matrices[i].size)
			return bad_image(status, "its weights are of another model");
	return true;
}

static bool
bind_kernels(const WeightsImage *image, AlbertModel *model, AlbertStatus *status)
{
	if (image->precision < ALBERT_FP32 || image->precision > ALBERT_INT8)
		return bad_image(status, "precision");
	model->precision = image->precision;
	model->kernels = AlbertKernelsById(image->kernels_id);
	if (model->kernels == NULL || !model->kernels->has_precision(model->precision))
		return bad_image(status, "its kernel set cannot be used here");
	return true;
}

static bool
bind_weights(const TextImage *text, const WeightsImage *image, size_t size, AlbertArena *arena,
			 AlbertModel *model, AlbertStatus *status)
{
	int			nlayers = text->shape.config.num_hidden_groups * text->shape.config.inner_group_num;
	AlbertLayer *layers;
	AlbertArenaMark mark;
	Layout		layout;
	bool		ok;

	if (!check_header(&image->header, ALBERT_IMAGE_WEIGHTS, sizeof(WeightsImage), size, status))
		return false;
	if (!bind_kernels(image, model, status))
		return false;
	layers = AlbertArenaAllocZero(arena, nlayers * sizeof(AlbertLayer));
	if (layers == NULL)
		return AlbertNoMemory(status);
	model->layers = layers;
	for (int i = 0; i < text->shape.ndense; i++)
		model->dense[i].activation = text->shape.dense[i].activation;

	mark = AlbertArenaGetMark(arena);
	ok = AlbertLayoutPlace(&text->shape, model->kernels, model->precision, arena, &layout, status) &&
		check_matrices(image, &layout, status);
	for (int i = 0; ok && i < layout.n; i++)
		AlbertLayoutBind(model, layers, &layout.matrices[i],
						 (const char *) image + layout.matrices[i].offset);
	AlbertArenaRewind(arena, mark);
	if (ok && (text->shape.heads & ALBERT_HEAD_MLM) && !text->shape.untied)
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
