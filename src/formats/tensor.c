/*
 * tensor.c
 *	  Stored tensors: the list of them, and their elements as fp32.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

int
AlbertElementSize(ElementType type)
{
	switch (type)
	{
		case ELEMENT_F32:
			return 4;
		case ELEMENT_F16:
		case ELEMENT_BF16:
			return 2;
		case ELEMENT_F64:
			return 8;
		default:
			return 0;
	}
}

void
AlbertTensorContiguous(Tensor *tensor)
{
	int64_t		stride = 1;

	for (int i = tensor->ndim - 1; i >= 0; i--)
	{
		tensor->stride[i] = stride;
		stride *= tensor->shape[i];
	}
}

/* Does the map place the tensor in the file of that name? */
static bool
placed_in(const json_t *weight_map, const char *tensor, const char *file)
{
	const char *slash = strrchr(file, '/');
	const char *place = json_string_value(json_object_get(weight_map, tensor));

	return place != NULL && strcmp(place, slash == NULL ? file : slash + 1) == 0;
}

bool
AlbertTensorAdd(const WeightsFile *weights, const Tensor *tensor, AlbertStatus *status)
{
	AlbertSource *source = weights->source;
	TensorList *list = &source->tensors;
	const char *name;

	if (weights->weight_map != NULL &&
		!placed_in(weights->weight_map, tensor->name, source->files[weights->number].name))
		return true;
	if (list->n >= MAX_TENSORS)
		return AlbertFail(status, ALBERT_UNSUPPORTED, "model has more than %d tensors", MAX_TENSORS);
	name = AlbertNameJoin(source, weights->prefix, tensor->name);
	if (name == NULL)
		return AlbertNoMemory(status);
	if (!AlbertArenaReserve(source->arena, &list->items, list->n, 1, sizeof(Tensor), &list->room))
		return AlbertNoMemory(status);
	list->items[list->n] = *tensor;
	list->items[list->n].name = name;
	list->items[list->n].file = weights->number;
	list->n++;
	return true;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const Tensor *) a)->name, ((const Tensor *) b)->name);
}

bool
AlbertTensorSort(AlbertSource *source, AlbertStatus *status)
{
	TensorList *list = &source->tensors;

	if (list->n > 1)
		qsort(list->items, list->n, sizeof(Tensor), compare_names);
	for (int i = 1; i < list->n; i++)
		if (strcmp(list->items[i - 1].name, list->items[i].name) == 0)
			return AlbertFail(status, ALBERT_FORMAT, "tensor \"%s\" is stored twice",
							  list->items[i].name);
	return true;
}

const Tensor *
AlbertTensorFind(const AlbertSource *source, const char *name)
{
	Tensor		key;

	if (source->tensors.n == 0)
		return NULL;
	key.name = name;
	return bsearch(&key, source->tensors.items, source->tensors.n, sizeof(Tensor), compare_names);
}

void
AlbertTensorShape(const Tensor *tensor, char *text, size_t size)
{
	size_t		used = 0;

	text[0] = '\0';
	for (int i = 0; i < tensor->ndim && used < size; i++)
		used += snprintf(text + used, size - used, "%s%lld", i == 0 ? "(" : ", ",
						 (long long) tensor->shape[i]);
	if (used < size)
		snprintf(text + used, size - used, tensor->ndim == 0 ? "()" : ")");
}

/* ---- elements; every format here stores them little-endian ---- */

static float
from_bits(uint32_t bits)
{
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static float
from_half(uint32_t half)
{
	uint32_t	sign = (half & 0x8000) << 16;
	uint32_t	exponent = (half >> 10) & 0x1f;
	uint32_t	fraction = half & 0x3ff;

	if (exponent == 0x1f)
		return from_bits(sign | 0x7f800000 | fraction << 13);
	if (exponent != 0)
		return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
	/* a subnormal half is fraction * 2^-24, exact in fp32 */
	return from_bits(sign | 0x3f800000) * ((float) fraction * 0x1p-24f);
}

static float
from_double(uint64_t bits)
{
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return (float) value;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define STORED_AS_FLOAT(type)	((type) == ELEMENT_F32)
#else
#define STORED_AS_FLOAT(type)	false
#endif

static void
widen(ElementType type, const unsigned char *from, int64_t n, float *to)
{
	int64_t		i;

	switch (type)
	{
		case ELEMENT_F32:
			for (i = 0; i < n; i++)
				to[i] = from_bits((uint32_t) AlbertLittleEndian(from + 4 * i, 4));
			break;
		case ELEMENT_F16:
			for (i = 0; i < n; i++)
				to[i] = from_half((uint32_t) AlbertLittleEndian(from + 2 * i, 2));
			break;
		case ELEMENT_BF16:
			for (i = 0; i < n; i++)
				to[i] = from_bits((uint32_t) AlbertLittleEndian(from + 2 * i, 2) << 16);
			break;
		case ELEMENT_F64:
			for (i = 0; i < n; i++)
				to[i] = from_double(AlbertLittleEndian(from + 8 * i, 8));
			break;
		default:
			break;
	}
}

/* n elements a stride apart, from a number of elements behind the tensor's first one */
static bool
read_strided(const SourceFile *file, const Tensor *tensor, int64_t first, int64_t n,
			 int64_t stride, float *dest, int64_t dest_stride, unsigned char *buffer,
			 AlbertStatus *status)
{
	int			size = AlbertElementSize(tensor->type);
	int64_t		chunk = READ_BUFFER / size;

	if (stride == 1 && dest_stride == 1 && STORED_AS_FLOAT(tensor->type))
		return AlbertFileRead(file, tensor->offset + first * size, dest, n * size, status);

	/* as many as lie within one buffer; far-apart ones come one at a time */
	if (stride > 1)
		chunk = stride >= chunk ? 1 : (chunk - 1) / stride + 1;
	while (n > 0)
	{
		int64_t		now = n < chunk ? n : chunk;
		int64_t		span = stride == 0 ? 1 : (now - 1) * stride + 1;

		if (!AlbertFileRead(file, tensor->offset + first * size, buffer, span * size, status))
			return false;
		if (stride == 1 && dest_stride == 1)
			widen(tensor->type, buffer, now, dest);
		else
			for (int64_t i = 0; i < now; i++)
				widen(tensor->type, buffer + i * stride * size, 1, dest + i * dest_stride);
		first += now * stride;
		dest += now * dest_stride;
		n -= now;
	}
	return true;
}

static bool
all_finite(const float *values, int64_t n)
{
	uint32_t	bits;
	uint32_t	bad = 0;

	for (int64_t i = 0; i < n; i++)
	{
		memcpy(&bits, &values[i], sizeof(bits));
		bad |= (bits & 0x7f800000) == 0x7f800000;
	}
	return bad == 0;
}

bool
AlbertTensorRows(const AlbertSource *source, const Tensor *tensor,
				 int64_t row0, int64_t nrows, float *dest, void *buffer,
				 const volatile sig_atomic_t *interrupt, AlbertStatus *status)
{
	const SourceFile *file = &source->files[tensor->file];
	bool		vector = tensor->ndim == 1;
	int64_t		cols = tensor->shape[vector ? 0 : 1];
	int64_t		row_stride = vector ? 0 : tensor->stride[0];
	int64_t		col_stride = tensor->stride[vector ? 0 : 1];
	int64_t		first = row0 * row_stride;
	bool		by_rows = nrows == 1 || col_stride <= row_stride;	/* a transposed view is stored by columns */
	int64_t		outer = by_rows ? nrows : cols;
	bool		ok = true;

	if (col_stride == 1 && (row_stride == cols || nrows == 1))
		ok = read_strided(file, tensor, first, nrows * cols, 1, dest, 1, buffer, status);
	else
		for (int64_t i = 0; ok && i < outer; i++)
		{
			if ((i & 255) == 0 && interrupt != NULL && *interrupt)
				return AlbertFail(status, ALBERT_CANCELLED, "loading the model was cancelled");
			if (by_rows)
				ok = read_strided(file, tensor, first + i * row_stride, cols, col_stride, dest + i * cols, 1,
								  buffer, status);
			else
				ok = read_strided(file, tensor, first + i * col_stride, nrows, row_stride, dest + i, cols,
								  buffer, status);
		}
	if (ok && !all_finite(dest, nrows * cols))
		return AlbertFail(status, ALBERT_FORMAT,
						  "tensor \"%s\" in file \"%s\" has a value that is not a finite number",
						  tensor->name, file->name);
	return ok;
}
