/*
 * image.c
 *	  Building the image of the weights, and the entry points for both parts.
 *
 * Rows stream from the files through a bounded buffer to the kernel set's
 * packing, so loading needs no second copy of a model.
 */
#include "formats/internal.h"

#include <string.h>

const char	AlbertTextMagic[8] = "ALBTEXT";
const char	AlbertWeightsMagic[8] = "ALBWGHT";

/* FNV-1a over what the layout depends on. */
uint64_t
AlbertShapeHash(const ModelShape *shape)
{
	const unsigned char *bytes = (const unsigned char *) shape;
	uint64_t	hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < sizeof(*shape); i++)
		hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
	return hash;
}

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
store_rows(const Builder *builder, const Slot *slot, int row0, int nrows)
{
	void	   *dest = builder->image + slot->offset;

	if (slot->form == FORM_LINEAR)
		builder->kernels->pack(slot->precision, slot->rows, slot->cols, row0, nrows,
							   builder->rows, dest);
	else
		builder->kernels->pack_table(slot->precision, slot->rows, slot->cols, row0, nrows,
									 builder->rows, dest);
}

static bool
build_part(const Builder *builder, const Slot *slot, int part, AlbertStatus *status)
{
	const Tensor *tensor = AlbertPlanTensor(builder->source, slot, part, status);
	int			cols = slot->vector ? slot->cols / slot->ntensors : slot->cols;
	int			rows = slot->vector ? 1 : slot->rows / slot->ntensors;
	int			block = READ_BUFFER / sizeof(float) / cols;
	int			first = part * rows;

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
		if (slot->form == FORM_PLAIN)
			dest = (float *) (builder->image + slot->offset) +
				((int64_t) part * rows + row) * cols;
		if (!AlbertTensorRows(builder->source, tensor, row, nrows, dest, builder->raw,
							  builder->interrupt, status))
			return false;
		if (slot->form != FORM_PLAIN)
			store_rows(builder, slot, first + row, nrows);
	}
	return true;
}

static void
build_header(const AlbertSource *source, const AlbertKernels *kernels, AlbertPrecision precision,
			 const Plan *plan, char *image)
{
	WeightsImage *header = (WeightsImage *) image;
	ImageSpan  *spans;

	memcpy(header->header.magic, AlbertWeightsMagic, sizeof(header->header.magic));
	header->header.version = IMAGE_VERSION;
	header->header.endian = IMAGE_ENDIAN;
	header->header.size = plan->size;
	header->header.shape_hash = AlbertShapeHash(&source->shape);
	header->kernels_id = kernels->id;
	header->precision = precision;
	header->nslots = plan->nslots;
	header->slots.offset = align_up(sizeof(WeightsImage));
	header->slots.size = plan->nslots * sizeof(ImageSpan);
	spans = (ImageSpan *) (image + header->slots.offset);
	for (int i = 0; i < plan->nslots; i++)
	{
		spans[i].offset = plan->slots[i].offset;
		spans[i].size = plan->slots[i].size;
	}
}

static bool
plan_weights(AlbertSource *source, const AlbertKernels *kernels, AlbertPrecision precision,
			 Plan *plan, AlbertStatus *status)
{
	if (!kernels->has_precision(precision) || !kernels->has_precision(ALBERT_FP32))
		return AlbertFail(status, ALBERT_UNSUPPORTED, "kernel \"%s\" has no precision \"%s\"",
						  kernels->name, AlbertPrecisionName(precision));
	return AlbertPlanLayout(&source->shape, kernels, precision, source->arena, plan, status);
}

static bool
build_weights(AlbertSource *source, const AlbertKernels *kernels, AlbertPrecision precision,
			  char *image, size_t size, const volatile sig_atomic_t *interrupt,
			  AlbertStatus *status)
{
	Plan		plan;
	Builder		builder = {source, kernels, interrupt, image};
	size_t		row_bytes = READ_BUFFER;

	if (!plan_weights(source, kernels, precision, &plan, status))
		return false;
	if (plan.size != size)
		return AlbertFail(status, ALBERT_INTERNAL, "image of the weights has %zu bytes, not %zu",
						  plan.size, size);
	for (int i = 0; i < plan.nslots; i++)
		if (plan.slots[i].cols * sizeof(float) > row_bytes)
			row_bytes = plan.slots[i].cols * sizeof(float);
	builder.raw = AlbertArenaAlloc(source->arena, READ_BUFFER);
	builder.rows = AlbertArenaAlloc(source->arena, row_bytes);
	if (builder.raw == NULL || builder.rows == NULL)
		return AlbertFail(status, ALBERT_NO_MEMORY, "out of memory");
	build_header(source, kernels, precision, &plan, image);
	for (int i = 0; i < plan.nslots; i++)
		for (int part = 0; part < plan.slots[i].ntensors; part++)
			if (!build_part(&builder, &plan.slots[i], part, status))
				return false;
	return true;
}

size_t
AlbertImageSize(AlbertSource *source, AlbertPart part, const AlbertKernels *kernels,
				AlbertPrecision precision, AlbertStatus *status)
{
	AlbertArenaMark mark;
	Plan		plan;
	bool		ok;

	if (part == ALBERT_PART_TEXT)
		return AlbertTextImageSize(source, status);
	mark = AlbertArenaGetMark(source->arena);
	ok = plan_weights(source, kernels, precision, &plan, status);
	AlbertArenaRewind(source->arena, mark);
	return ok ? plan.size : 0;
}

bool
AlbertImageBuild(AlbertSource *source, AlbertPart part, const AlbertKernels *kernels,
				 AlbertPrecision precision, void *dest, size_t size,
				 const volatile sig_atomic_t *interrupt, AlbertStatus *status)
{
	AlbertArenaMark mark;
	bool		ok;

	if (part == ALBERT_PART_TEXT)
		return AlbertTextImageBuild(source, dest, size, status);
	mark = AlbertArenaGetMark(source->arena);
	ok = build_weights(source, kernels, precision, dest, size, interrupt, status);
	AlbertArenaRewind(source->arena, mark);
	return ok;
}
