/*
 * image.c
 *	  Building the image of the weights, and the entry points for both parts.
 *
 * Rows stream from the files through a bounded buffer to the kernel set's
 * packing, so loading needs no second copy of a model.
 */
#include "formats/internal.h"

#include <string.h>

typedef struct Builder
{
	const AlbertSource *source;
	const AlbertKernels *kernels;
	const volatile sig_atomic_t *interrupt;
	char	   *image;
	void	   *raw;			/* READ_BUFFER bytes */
	float	   *rows;			/* READ_BUFFER bytes, or one row when that is more */
} Builder;

static bool
cancelled(const Builder *builder, AlbertStatus *status)
{
	if (builder->interrupt == NULL || !*builder->interrupt)
		return false;
	AlbertFail(status, ALBERT_CANCELLED, "loading the model was cancelled");
	return true;
}

/* A block of rows to its place. */
static void
store_rows(const Builder *builder, const Matrix *matrix, int row0, int nrows)
{
	void	   *dest = builder->image + matrix->offset;

	if (matrix->form == FORM_LINEAR)
		builder->kernels->pack(matrix->precision, matrix->rows, matrix->cols, row0, nrows,
							   builder->rows, dest);
	else
		builder->kernels->pack_table(matrix->precision, matrix->rows, matrix->cols, row0, nrows,
									 builder->rows, dest);
}

static bool
build_tensor(const Builder *builder, const Matrix *matrix, int which, AlbertStatus *status)
{
	const Tensor *tensor = AlbertLayoutTensor(builder->source, matrix, which, status);
	int			cols = matrix->vector ? matrix->cols / matrix->ntensors : matrix->cols;
	int			rows = matrix->vector ? 1 : matrix->rows / matrix->ntensors;
	int			block = READ_BUFFER / sizeof(float) / cols;
	int			first = which * rows;

	if (tensor == NULL)
		return false;
	if (block < 1)
		block = 1;
	for (int row = 0; row < rows; row += block)
	{
		int			nrows = rows - row < block ? rows - row : block;
		float	   *dest = builder->rows;

		if (cancelled(builder, status))
			return false;
		if (matrix->form == FORM_PLAIN)
			dest = (float *) (builder->image + matrix->offset) +
				((int64_t) which * rows + row) * cols;
		if (!AlbertTensorRows(builder->source, tensor, row, nrows, dest, builder->raw,
							  builder->interrupt, status))
			return false;
		if (matrix->form != FORM_PLAIN)
			store_rows(builder, matrix, first + row, nrows);
	}
	return true;
}

static bool
lay_out(AlbertSource *source, const AlbertKernels *kernels, AlbertPrecision precision,
			 Layout *layout, AlbertStatus *status)
{
	if (!AlbertKernelsHave(kernels, precision) || !AlbertKernelsHave(kernels, ALBERT_FP32))
		return AlbertFail(status, ALBERT_UNSUPPORTED, "kernel \"%s\" has no precision \"%s\"",
						  kernels->name, AlbertPrecisionName(precision));
	return AlbertLayoutPlace(&source->info, kernels, precision, source->arena, layout, status);
}

static bool
build_weights(AlbertSource *source, const AlbertKernels *kernels, AlbertPrecision precision,
			  char *image, size_t size, const volatile sig_atomic_t *interrupt,
			  AlbertStatus *status)
{
	Layout		layout;
	Builder		builder = {
		.source = source, .kernels = kernels, .interrupt = interrupt, .image = image
	};
	size_t		row_bytes = READ_BUFFER;

	if (!lay_out(source, kernels, precision, &layout, status))
		return false;
	if (layout.size != size)
		return AlbertFail(status, ALBERT_INTERNAL, "image of the weights has %zu bytes, not %zu",
						  layout.size, size);
	for (int i = 0; i < layout.n; i++)
		if (layout.matrices[i].cols * sizeof(float) > row_bytes)
			row_bytes = layout.matrices[i].cols * sizeof(float);
	builder.raw = AlbertArenaAlloc(source->arena, READ_BUFFER);
	builder.rows = AlbertArenaAlloc(source->arena, row_bytes);
	if (builder.raw == NULL || builder.rows == NULL)
		return AlbertNoMemory(status);
	memcpy(&((WeightsImage *) image)->info, &source->info, sizeof(source->info));
	((WeightsImage *) image)->kernels_id = kernels->id;
	((WeightsImage *) image)->precision = precision;
	for (int i = 0; i < layout.n; i++)
		for (int which = 0; which < layout.matrices[i].ntensors; which++)
			if (!build_tensor(&builder, &layout.matrices[i], which, status))
				return false;
	return true;
}

size_t
AlbertImageSize(AlbertSource *source, AlbertPart part, const AlbertKernels *kernels,
				AlbertPrecision precision, AlbertStatus *status)
{
	AlbertArenaMark mark;
	Layout		layout;
	bool		ok;

	if (part == ALBERT_PART_TEXT)
		return AlbertTextImageSize(source, status);
	mark = AlbertArenaGetMark(source->arena);
	ok = lay_out(source, kernels, precision, &layout, status);
	AlbertArenaRewind(source->arena, mark);
	return ok ? layout.size : 0;
}

bool
AlbertImageBuild(AlbertSource *source, AlbertPart part, const AlbertKernels *kernels,
				 AlbertPrecision precision, void *dest, size_t size,
				 const volatile sig_atomic_t *interrupt, AlbertStatus *status)
{
	AlbertArenaMark mark;
	bool		ok;

	if (part == ALBERT_PART_TEXT)
		ok = AlbertTextImageBuild(source, dest, size, status);
	else
	{
		mark = AlbertArenaGetMark(source->arena);
		ok = build_weights(source, kernels, precision, dest, size, interrupt, status);
		AlbertArenaRewind(source->arena, mark);
	}
	if (ok)
		AlbertImageHeaderFill(dest, part == ALBERT_PART_TEXT ? ALBERT_IMAGE_TEXT : ALBERT_IMAGE_WEIGHTS, size);
	return ok;
}
