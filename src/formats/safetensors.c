/*
 * safetensors.c
 *	  The header of a safetensors file: names, types, shapes and places.
 *
 * Layout: 8 bytes little-endian length of the header, the header (a JSON
 * object, possibly followed by spaces), the data.  The data must be covered
 * by the tensors exactly, without overlap, hole or rest, as the format's
 * reference implementation demands.
 */
#include "formats/internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct Range
{
	int64_t		start;
	int64_t		stop;
} Range;

static bool
bad_entry(const SourceFile *file, const char *tensor, const char *what, AlbertStatus *status)
{
	return AlbertFail(status, ALBERT_FORMAT, "tensor \"%.200s\" in file \"%s\" has %s", tensor, file->name, what);
}

/* A type that is not known may be there, as long as nobody asks for the tensor. */
static bool
read_type(const SourceFile *file, const json_t *entry, Tensor *tensor, AlbertStatus *status)
{
	const char *name = json_string_value(json_object_get(entry, "dtype"));

	if (name == NULL)
		return bad_entry(file, tensor->name, "no dtype", status);
	tensor->type = AlbertElementTypes;
	while (tensor->type->size != 0 && strcmp(name, tensor->type->name) != 0)
		tensor->type++;
	return true;
}

/* The shape, and the number of bytes it makes. */
static bool
read_shape(const SourceFile *file, const json_t *entry, Tensor *tensor, int64_t *bytes, AlbertStatus *status)
{
	json_t	   *shape = json_object_get(entry, "shape");

	if (!json_is_array(shape) || json_array_size(shape) > MAX_DIMS)
		return bad_entry(file, tensor->name, "no valid shape", status);
	tensor->ndim = json_array_size(shape);
	for (int i = 0; i < tensor->ndim; i++)
	{
		json_t	   *size = json_array_get(shape, i);

		if (!json_is_integer(size) || json_integer_value(size) < 0)
			return bad_entry(file, tensor->name, "a shape that is not made of sizes", status);
		tensor->shape[i] = json_integer_value(size);
	}
	return AlbertTensorContiguous(tensor, bytes) ||
		bad_entry(file, tensor->name, "a shape that is too large", status);
}

static bool
read_range(const SourceFile *file, const json_t *entry, const Tensor *tensor,
		   int64_t data_size, int64_t bytes, Range *range, AlbertStatus *status)
{
	json_t	   *offsets = json_object_get(entry, "data_offsets");
	json_t	   *start = json_array_get(offsets, 0);
	json_t	   *stop = json_array_get(offsets, 1);

	if (json_array_size(offsets) != 2 || !json_is_integer(start) || !json_is_integer(stop))
		return bad_entry(file, tensor->name, "no valid data_offsets", status);
	range->start = json_integer_value(start);
	range->stop = json_integer_value(stop);
	if (range->start < 0 || range->stop < range->start || range->stop > data_size)
		return bad_entry(file, tensor->name, "data_offsets outside the file", status);
	if (range->stop - range->start != bytes && tensor->type->size != 0)
	{
		char		shape[128];

		bad_entry(file, tensor->name, "data_offsets that do not fit its shape", status);
		AlbertTensorShape(tensor, shape, sizeof(shape));
		return AlbertDetail(status, "Shape %s of %s makes %lld bytes, the offsets %lld.",
							shape, tensor->type->name, (long long) bytes,
							(long long) (range->stop - range->start));
	}
	return true;
}

static int
compare_ranges(const void *a, const void *b)
{
	const Range *x = a;
	const Range *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->stop > y->stop) - (x->stop < y->stop);
}

static bool
check_coverage(const SourceFile *file, Range *ranges, int n, int64_t data_size,
			   AlbertStatus *status)
{
	int64_t		end = 0;

	if (n > 1)
		qsort(ranges, n, sizeof(Range), compare_ranges);
	for (int i = 0; i < n; i++)
	{
		if (ranges[i].start != end)
		{
			AlbertFail(status, ALBERT_FORMAT, "data of tensors in file \"%s\" %s", file->name,
					   ranges[i].start < end ? "overlap" : "leave a hole");
			return AlbertDetail(status, "One tensor ends at byte %lld of the data and the next begins at %lld.",
								(long long) end, (long long) ranges[i].start);
		}
		end = ranges[i].stop;
	}
	if (end != data_size)
	{
		AlbertFail(status, ALBERT_FORMAT, "file \"%s\" has the wrong size for its tensors", file->name);
		return AlbertDetail(status, "The tensors take %lld bytes; %lld are there.",
							(long long) end, (long long) data_size);
	}
	return true;
}

static bool
read_entries(const WeightsFile *weights, const json_t *root, int64_t data_start, AlbertStatus *status)
{
	const SourceFile *file = &weights->source->files[weights->number];
	int64_t		data_size = file->size - data_start;
	Range	   *ranges = AlbertArenaArray(weights->scratch, json_object_size(root) + 1, sizeof(Range));
	int			n = 0;
	const char *name;
	json_t	   *entry;

	if (ranges == NULL)
		return AlbertNoMemory(status);
	json_object_foreach((json_t *) root, name, entry)
	{
		Tensor		tensor = {.name = name};
		int64_t		bytes;

		if (strcmp(name, "__metadata__") == 0)
			continue;
		if (strlen(name) > MAX_TENSOR_NAME)
			return bad_entry(file, name, "too long a name", status);
		if (!read_type(file, entry, &tensor, status) ||
			!read_shape(file, entry, &tensor, &bytes, status) ||
			!read_range(file, entry, &tensor, data_size, bytes, &ranges[n], status))
			return false;
		tensor.offset = data_start + ranges[n].start;
		n++;
		if (!AlbertTensorAdd(weights, &tensor, status))
			return false;
	}
	return check_coverage(file, ranges, n, data_size, status);
}

static bool
read_header_size(const SourceFile *file, int64_t *size, AlbertStatus *status)
{
	unsigned char bytes[8];
	uint64_t	value;

	if (file->size < 8)
	{
		AlbertFail(status, ALBERT_FORMAT, "file \"%s\" is too short for a safetensors file", file->name);
		return AlbertDetail(status, "It has %lld bytes.", (long long) file->size);
	}
	if (!AlbertFileRead(file, 0, bytes, 8, status))
		return false;
	value = AlbertLittleEndian(bytes, 8);
	if (value > (uint64_t) (file->size - 8) || value > MAX_HEADER || value < 2)
	{
		AlbertFail(status, ALBERT_FORMAT, "file \"%s\" has an invalid safetensors header length",
				   file->name);
		return AlbertDetail(status, "The length is %llu, the file has %lld bytes, and at most %d are accepted.",
							(unsigned long long) value, (long long) file->size, MAX_HEADER);
	}
	*size = value;
	return true;
}

bool
AlbertSafetensorsRead(const WeightsFile *weights, AlbertStatus *status)
{
	const SourceFile *file = &weights->source->files[weights->number];
	int64_t		size = 0;
	AlbertSpan	header;
	const json_t *root;

	if (!read_header_size(file, &size, status) ||
		!AlbertFileBytes(file, 8, size, weights->scratch, &header, status))
		return false;
	root = AlbertJsonParse(weights->source->documents, (const char *) header.at, size, JSON_REJECT_DUPLICATES,
						   JSON_OBJECT, "header of file", file->name, status);
	return root != NULL && read_entries(weights, root, 8 + size, status);
}
