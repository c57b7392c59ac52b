/*
 * image.c
 *	  Building the images of both parts: configuration, labels, prompts and the
 *	  compiled tokenizer; the weights.
 *
 * Rows of weights go from the files through a bounded buffer to the kernel
 * set's packing, so loading needs no second copy of a model.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <string.h>

/* ---- the text part ---- */

/* Put a string behind those at dest, NULL where they are only counted; their bytes are returned. */
static size_t
put_string(char *dest, size_t used, const char *text)
{
	size_t		size = strlen(text) + 1;

	if (dest != NULL)
		memcpy(dest + used, text, size);
	return used + size;
}

/*
 * The labels, prompt names and prompts to dest, if it is not NULL: how many
 * bytes they take.  The prompt that applies when none is named is listed under
 * the empty name.
 */
static size_t
put_strings(const AlbertSource *source, char *dest)
{
	size_t		used = 0;
	const char *name;
	json_t	   *text;

	for (int i = 0; i < source->config.num_labels; i++)
	{
		char		preset[32];
		const char *label = source->labels[i];

		snprintf(preset, sizeof(preset), "LABEL_%d", i);
		used = put_string(dest, used, label != NULL ? label : preset);
	}
	json_object_foreach(source->prompts, name, text)
		used = put_string(dest, used, name);
	if (source->default_prompt != NULL)
		used = put_string(dest, used, "");
	json_object_foreach(source->prompts, name, text)
		used = put_string(dest, used, json_string_value(text));
	if (source->default_prompt != NULL)
		used = put_string(dest, used, source->default_prompt);
	return used;
}

/* What a text part begins with; its size is 0 if there is no tokenizer. */
static TextImage
text_image(AlbertSource *source, AlbertStatus *status)
{
	TextImage	image = {.config = source->config};

	if (!AlbertSourceCompileTokenizer(source, status))
		return image;
	image.nprompts = (int32_t) json_object_size(source->prompts) + (source->default_prompt != NULL);
	image.tokenizer = AlbertAlign(sizeof(TextImage) + put_strings(source, NULL));
	image.header.size = AlbertAlign(image.tokenizer + source->tokenizer.size);
	return image;
}

static bool
build_text(AlbertSource *source, char *dest, AlbertStatus *status)
{
	TextImage	image = text_image(source, status);

	if (image.header.size == 0)
		return false;
	memcpy(dest, &image, sizeof(image));
	put_strings(source, dest + sizeof(image));
	memcpy(dest + image.tokenizer, source->tokenizer.data, source->tokenizer.size);
	return true;
}

/* ---- the weights ---- */

typedef struct Builder
{
	const AlbertKernels *kernels;
	char	   *image;
} Builder;

/* Rows of a matrix to their place. */
static void
pack_rows(void *context, const Matrix *matrix, int row0, int nrows, const float *values)
{
	const Builder *builder = context;
	char	   *dest = builder->image + matrix->offset;
	size_t		row_bytes = matrix->cols * sizeof(float);

	if (matrix->form == FORM_LINEAR)
		builder->kernels->pack(matrix->precision, matrix->image_rows, matrix->cols, row0, nrows, values, dest);
	else
		memcpy(dest + row0 * row_bytes, values, nrows * row_bytes);
}

static bool
build_weights(AlbertSource *source, const AlbertKernels *kernels, AlbertPrecision precision,
			  char *dest, const volatile sig_atomic_t *interrupt, AlbertStatus *status)
{
	WeightsImage *image = (WeightsImage *) dest;
	Layout		layout;
	Builder		builder = {.kernels = kernels, .image = dest};

	if (!AlbertLayoutList(&source->config, kernels, precision, source->arena, &layout, status))
		return false;
	image->config = source->config;
	image->kernels_id = kernels->id;
	image->precision = precision;
	return AlbertMatricesRead(source, &layout, pack_rows, &builder, interrupt, status);
}

/* ---- either ---- */

size_t
AlbertImageSize(AlbertSource *source, AlbertPart part, const AlbertKernels *kernels,
				AlbertPrecision precision, AlbertStatus *status)
{
	AlbertArenaMark mark;
	Layout		layout;
	bool		ok;

	if (source->head.nlabels > 0)
	{
		AlbertFail(status, ALBERT_UNSUPPORTED, "the directory holds a trained head, which is no model by itself");
		return AlbertHint(status, "Import it into a database that has its base, \"%.100s\".", source->head.base);
	}
	if (part == ALBERT_PART_TEXT)
		return text_image(source, status).header.size;
	mark = AlbertArenaGetMark(source->arena);
	ok = AlbertLayoutList(&source->config, kernels, precision, source->arena, &layout, status);
	AlbertArenaRewind(source->arena, mark);
	return ok ? layout.size : 0;
}

bool
AlbertImageBuild(AlbertSource *source, AlbertPart part, const AlbertKernels *kernels,
				 AlbertPrecision precision, void *dest, size_t size,
				 const volatile sig_atomic_t *interrupt, AlbertStatus *status)
{
	size_t		needed = AlbertImageSize(source, part, kernels, precision, status);
	AlbertArenaMark mark;
	bool		ok;

	if (needed == 0)
		return false;
	if (needed != size)
		return AlbertFail(status, ALBERT_INTERNAL, "image of a model has %zu bytes, not %zu", needed, size);
	mark = AlbertArenaGetMark(source->arena);
	ok = part == ALBERT_PART_TEXT ? build_text(source, dest, status)
		: build_weights(source, kernels, precision, dest, interrupt, status);
	AlbertArenaRewind(source->arena, mark);
	if (ok)
		AlbertImageHeaderFill(dest, part == ALBERT_PART_TEXT ? ALBERT_IMAGE_TEXT : ALBERT_IMAGE_WEIGHTS, size);
	return ok;
}
