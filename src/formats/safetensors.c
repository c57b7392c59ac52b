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

/* One tensor.  A type that is not known may be there, as long as nobody asks for the tensor. */
static bool
read_entry(const WeightsFile *weights, const char *name, json_t *entry, int64_t data_start, Range *range)
{
	int64_t		data_size = weights->file->size - data_start;
	Tensor		tensor = {.name = name, .type = AlbertElementTypes};
	const char *type;
	json_t	   *shape;
	size_t		i;
	json_t	   *size;
	int64_t		bytes;
	json_int_t	start;
	json_int_t	stop;

	if (strlen(name) > MAX_TENSOR_NAME ||
		json_unpack(entry, "{s:s,s:o,s:[I,I!]}", "dtype", &type, "shape", &shape, "data_offsets", &start, &stop) != 0 ||
		!json_is_array(shape) || json_array_size(shape) > MAX_DIMS)
		return AlbertWeightsBad(weights, "tensor \"%.100s\" has no valid dtype, shape or data_offsets", name);
	json_array_foreach(shape, i, size)
	{
		tensor.shape[tensor.ndim++] = json_integer_value(size);
		if (!json_is_integer(size) || json_integer_value(size) < 0)
			return AlbertWeightsBad(weights, "tensor \"%.100s\" has a shape that is not made of sizes", name);
	}
	while (tensor.type->size != 0 && strcmp(type, tensor.type->name) != 0)
		tensor.type++;
	if (start < 0 || stop < start || stop > data_size)
		return AlbertWeightsBad(weights, "tensor \"%.100s\" has data_offsets outside the file", name);
	if (!AlbertTensorContiguous(&tensor, &bytes) || (stop - start != bytes && tensor.type->size != 0))
		return AlbertWeightsBad(weights, "tensor \"%.100s\" has data_offsets that do not fit its shape", name);
	*range = (Range) {start, stop};
	tensor.offset = data_start + start;
	return AlbertTensorAdd(weights, &tensor);
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
check_coverage(const WeightsFile *weights, Range *ranges, int n, int64_t data_size)
{
	int64_t		end = 0;

	if (n > 1)
		qsort(ranges, n, sizeof(Range), compare_ranges);
	for (int i = 0; i < n; i++)
	{
		if (ranges[i].start != end)
			return AlbertWeightsBad(weights, "tensors %s at byte %lld of the data",
									ranges[i].start < end ? "overlap" : "leave a hole", (long long) end);
		end = ranges[i].stop;
	}
	return end == data_size || AlbertWeightsBad(weights, "tensors take %lld bytes and not the %lld that are there",
												(long long) end, (long long) data_size);
}

static bool
read_entries(const WeightsFile *weights, json_t *root, int64_t data_start)
{
	Range	   *ranges = AlbertArenaArray(weights->scratch, json_object_size(root) + 1, sizeof(Range));
	int			n = 0;
	const char *name;
	json_t	   *entry;

	if (ranges == NULL)
		return AlbertNoMemory(weights->status);
	json_object_foreach(root, name, entry)
		if (strcmp(name, "__metadata__") != 0 && !read_entry(weights, name, entry, data_start, &ranges[n++]))
			return false;
	return check_coverage(weights, ranges, n, weights->file->size - data_start);
}

bool
AlbertSafetensorsRead(const WeightsFile *weights)
{
	const AlbertSourceFile *file = weights->file;
	unsigned char bytes[8] = {0};
	uint64_t	size;
	AlbertSpan	header;
	json_t	   *root;

	if (file->size >= 8 && !AlbertFileRead(file, 0, bytes, 8, weights->status))
		return false;
	size = AlbertLittleEndian(bytes, 8);
	if (size < 2 || size > MAX_HEADER || size > (uint64_t) file->size - 8)
		return AlbertWeightsBad(weights, "it has no safetensors header of at most %d bytes", MAX_HEADER);
	if (!AlbertFileBytes(file, 8, size, weights->scratch, &header, weights->status))
		return false;
	root = AlbertJsonParse(weights->source->documents, (const char *) header.at, size, JSON_REJECT_DUPLICATES,
						   JSON_OBJECT, "header of file", file->name, weights->status);
	return root != NULL && read_entries(weights, root, 8 + size);
}
