/*
 * tensor.c
 *	  Stored tensors: the list of them, and their elements as fp32.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <string.h>

/* PyTorch's classes, which a legacy file needs the sizes of, and what quantized exports are made of. */
const ElementType AlbertElementTypes[] = {
	{ELEMENT_F32, 4, "F32", "torch.FloatStorage", 1},
	{ELEMENT_F16, 2, "F16", "torch.HalfStorage", 19},
	{ELEMENT_BF16, 2, "BF16", "torch.BFloat16Storage", 14},
	{ELEMENT_F64, 8, "F64", "torch.DoubleStorage", 2},
	{ELEMENT_OTHER, 8, "I64", "torch.LongStorage", 9},
	{ELEMENT_OTHER, 4, "I32", "torch.IntStorage", 3},
	{ELEMENT_OTHER, 2, "I16", "torch.ShortStorage", 5},
	{ELEMENT_OTHER, 1, "I8", "torch.CharStorage", 6},
	{ELEMENT_OTHER, 1, "U8", "torch.ByteStorage", 4},
	{ELEMENT_OTHER, 1, "BOOL", "torch.BoolStorage", 10},
	{ELEMENT_OTHER, 1, "F8_E4M3", "torch.Float8_e4m3fnStorage", 25},
	{ELEMENT_OTHER, 1, "F8_E5M2", "torch.Float8_e5m2Storage", 24},
	{ELEMENT_OTHER, 0, "unknown", "", 0}
};

bool
AlbertTensorContiguous(Tensor *tensor, int64_t *bytes)
{
	int64_t		stride = 1;

	for (int i = tensor->ndim - 1; i >= 0; i--)
	{
		tensor->stride[i] = stride;
		if (__builtin_mul_overflow(stride, tensor->shape[i], &stride))
			return false;
	}
	return !__builtin_mul_overflow(stride, (int64_t) tensor->type->size, bytes);
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
	Tensor	   *added;
	const char *name;

	if (weights->weight_map != NULL &&
		!placed_in(weights->weight_map, tensor->name, source->files[weights->number].name))
		return true;
	if (source->ntensors >= MAX_TENSORS)
		return AlbertFail(status, ALBERT_UNSUPPORTED, "model has more than %d tensors", MAX_TENSORS);
	name = AlbertNameJoin(source->arena, weights->prefix, "", tensor->name);
	if (name == NULL || !AlbertArenaReserve(source->arena, &source->tensors, source->ntensors, 1, sizeof(Tensor),
											&source->tensors_room))
		return AlbertNoMemory(status);
	added = &source->tensors[source->ntensors++];
	*added = *tensor;
	added->name = name;
	added->file = weights->number;
	return true;
}

bool
AlbertTensorSort(AlbertSource *source, AlbertStatus *status)
{
	const char *twice = AlbertNamesSort(source->tensors, source->ntensors, sizeof(Tensor));

	return twice == NULL || AlbertFail(status, ALBERT_FORMAT, "tensor \"%s\" is stored twice", twice);
}

const Tensor *
AlbertTensorFind(const AlbertSource *source, const char *name)
{
	return AlbertNamesFind(source->tensors, source->ntensors, sizeof(Tensor), name);
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
#define STORED_AS_FLOAT(kind)	((kind) == ELEMENT_F32)
#else
#define STORED_AS_FLOAT(kind)	false
#endif

static void
widen(ElementKind kind, const unsigned char *from, int64_t n, float *to)
{
	int64_t		i;

	switch (kind)
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

/* n elements that lie together, from a number of elements behind the tensor's first one */
static bool
read_run(const SourceFile *file, const Tensor *tensor, int64_t first, int64_t n,
		 float *dest, int64_t dest_stride, unsigned char *buffer, AlbertStatus *status)
{
	int			size = tensor->type->size;
	int64_t		chunk = READ_BUFFER / size;
	int64_t		offset = tensor->offset + first * size;

	if (dest_stride == 1 && STORED_AS_FLOAT(tensor->type->kind))
		return AlbertFileRead(file, offset, dest, n * size, status);
	for (int64_t now; n > 0; n -= now)
	{
		now = n < chunk ? n : chunk;
		if (!AlbertFileRead(file, offset, buffer, now * size, status))
			return false;
		if (dest_stride == 1)
			widen(tensor->type->kind, buffer, now, dest);
		else
			for (int64_t i = 0; i < now; i++)
				widen(tensor->type->kind, buffer + i * size, 1, dest + i * dest_stride);
		offset += now * size;
		dest += now * dest_stride;
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
	bool		by_rows = nrows == 1 || col_stride <= row_stride;	/* a transposed view is stored by columns */
	int64_t		stride = by_rows ? col_stride : row_stride;
	int64_t		outer = by_rows ? nrows : cols;
	int64_t		inner = by_rows ? cols : nrows;
	int64_t		run;

	if (by_rows && col_stride == 1 && (row_stride == cols || nrows == 1))
	{
		outer = 1;
		inner = nrows * cols;
	}
	/* elements that do not lie together in either direction come one at a time */
	run = stride == 1 ? inner : 1;
	for (int64_t i = 0; i < outer; i++)
	{
		int64_t		first = row0 * row_stride + i * (by_rows ? row_stride : col_stride);
		float	   *to = dest + i * (by_rows ? cols : 1);

		if (interrupt != NULL && *interrupt)
			return AlbertFail(status, ALBERT_CANCELLED, "loading the model was canceled");
		for (int64_t k = 0; k < inner; k += run)
			if (!read_run(file, tensor, first + k * stride, run, to + k * (by_rows ? 1 : cols), by_rows ? 1 : cols,
						  buffer, status))
				return false;
	}
	if (!all_finite(dest, nrows * cols))
		return AlbertFail(status, ALBERT_FORMAT,
						  "tensor \"%s\" in file \"%s\" has a value that is not a finite number",
						  tensor->name, file->name);
	return true;
}
