/*
 * tensor.c
 *	  Stored tensors: the list of them, and their elements as fp32.
 */
#include "formats/internal.h"

#include <stdarg.h>
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

#define READ_BUFFER		65536	/* bytes of other types that are read at once */

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

bool
(AlbertWeightsBad) (const WeightsFile *weights, const char *fmt,...)
{
	char		what[256];
	va_list		arguments;

	va_start(arguments, fmt);
	vsnprintf(what, sizeof(what), fmt, arguments);
	va_end(arguments);
	return AlbertFail(weights->status, ALBERT_FORMAT, "could not read weights from file \"%s\": %s",
					  weights->file->name, what);
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
AlbertTensorAdd(const WeightsFile *weights, const Tensor *tensor)
{
	AlbertSource *source = weights->source;
	Tensor	   *added;
	const char *name;

	if (weights->weight_map != NULL && !placed_in(weights->weight_map, tensor->name, weights->file->name))
		return true;
	if (source->ntensors >= MAX_TENSORS)
		return AlbertFail(weights->status, ALBERT_UNSUPPORTED, "model has more than %d tensors", MAX_TENSORS);
	name = AlbertNameFormat(source->arena, "%s%s", weights->prefix, tensor->name);
	if (name == NULL || !AlbertArenaReserve(source->arena, &source->tensors, source->ntensors, 1, sizeof(Tensor),
											&source->tensors_room))
		return AlbertNoMemory(weights->status);
	added = &source->tensors[source->ntensors++];
	*added = *tensor;
	added->name = name;
	added->file = weights->file;
	return true;
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
read_run(const Tensor *tensor, int64_t first, int64_t n, float *dest, int64_t dest_stride, AlbertStatus *status)
{
	unsigned char buffer[READ_BUFFER];
	int			size = tensor->type->size;
	int64_t		chunk = READ_BUFFER / size;
	int64_t		offset = tensor->offset + first * size;

	if (dest_stride == 1 && STORED_AS_FLOAT(tensor->type->kind))
		return AlbertFileRead(tensor->file, offset, dest, n * size, status);
	for (int64_t now; n > 0; n -= now)
	{
		now = n < chunk ? n : chunk;
		if (!AlbertFileRead(tensor->file, offset, buffer, now * size, status))
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

/* Rows or columns: how many, and how far apart their elements are in the file and where they go. */
typedef struct Axis
{
	int64_t		n;
	int64_t		stride;
	int64_t		step;
} Axis;

bool
AlbertTensorRows(const Tensor *tensor, int64_t row0, int64_t nrows, float *dest,
				 const volatile sig_atomic_t *interrupt, AlbertStatus *status)
{
	bool		vector = tensor->ndim == 1;
	int64_t		cols = vector ? 1 : tensor->shape[1];
	Axis		outer = {nrows, tensor->stride[0], cols};
	Axis		inner = {cols, vector ? 1 : tensor->stride[1], 1};
	int64_t		start = row0 * outer.stride;
	int64_t		run;

	/* a transposed view is stored by columns */
	if (nrows > 1 && inner.stride > outer.stride)
	{
		Axis		rows = outer;

		outer = inner;
		inner = rows;
	}
	else if (inner.stride == 1 && outer.stride == cols)
	{
		inner.n *= outer.n;
		outer.n = 1;
	}
	/* elements that do not lie together in either direction come one at a time */
	run = inner.stride == 1 ? inner.n : 1;
	for (int64_t i = 0; i < outer.n; i++)
	{
		if (interrupt != NULL && *interrupt)
			return AlbertFail(status, ALBERT_CANCELLED, "loading the model was canceled");
		for (int64_t k = 0; k < inner.n; k += run)
			if (!read_run(tensor, start + i * outer.stride + k * inner.stride, run,
						  dest + i * outer.step + k * inner.step, inner.step, status))
				return false;
	}
	if (!all_finite(dest, nrows * cols))
		return AlbertFail(status, ALBERT_FORMAT,
						  "tensor \"%s\" in file \"%s\" has a value that is not a finite number",
						  tensor->name, tensor->file->name);
	return true;
}
