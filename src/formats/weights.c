/*
 * weights.c
 *	  Whichever file of weights a directory has: one file or shards with an
 *	  index; safetensors before pickles, as transformers chooses; then the
 *	  TensorFlow checkpoint of the original release.
 */
#include "formats/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const struct
{
	const char *file;
	const char *index;
	WeightsReader reader;
}			formats[] =
{
	{"model.safetensors", "model.safetensors.index.json", AlbertSafetensorsRead},
	{"pytorch_model.bin", "pytorch_model.bin.index.json", AlbertTorchRead}
};

static bool
read_file(AlbertSource *source, const char *path, const char *prefix, const json_t *weight_map,
		  WeightsReader reader, AlbertStatus *status)
{
	AlbertArena scratch;
	WeightsFile weights = {.source = source, .prefix = prefix, .weight_map = weight_map, .scratch = &scratch};
	bool		ok;

	weights.number = AlbertFileOpen(source, path, status);
	if (weights.number < 0)
		return false;
	AlbertArenaInit(&scratch, source->arena->get, source->arena->put, source->arena->context);
	ok = reader(&weights, status);
	AlbertArenaFree(&scratch);
	return ok;
}

/* ---- shards ---- */

/* A shard's name comes from the index, so it is checked before it is opened. */
static bool
check_name(const json_t *name, const char *tensor, const char *index, AlbertStatus *status)
{
	if (json_is_string(name) && AlbertPlainName(json_string_value(name)))
		return true;
	AlbertFail(status, ALBERT_FORMAT, "file \"%s\" names %s for tensor \"%.200s\"", index,
			   json_is_string(name) ? "an invalid file" : "no file", tensor);
	if (json_is_string(name))
		AlbertDetail(status, "\"%.200s\" is not a plain file name.", json_string_value(name));
	return false;
}

/* Every shard once, in the order of the map. */
static bool
read_shards(AlbertSource *source, const char *base, const char *prefix, const json_t *weight_map,
			const char *index, WeightsReader reader, AlbertStatus *status)
{
	const char *done[MAX_SHARDS];
	int			ndone = 0;
	const char *tensor;
	json_t	   *place;

	json_object_foreach((json_t *) weight_map, tensor, place)
	{
		const char *name = json_string_value(place);
		const char *path;
		int			i = ndone;

		if (!check_name(place, tensor, index, status))
			return false;
		while (i > 0 && strcmp(done[i - 1], name) != 0)
			i--;
		if (i > 0)
			continue;
		if (ndone == MAX_SHARDS)
			return AlbertFail(status, ALBERT_UNSUPPORTED, "weights are in more than %d files", MAX_SHARDS);
		done[ndone++] = name;
		path = AlbertFilePath(source, base, name);
		if (path == NULL)
			return AlbertNoMemory(status);
		if (!read_file(source, path, prefix, weight_map, reader, status))
			return false;
	}
	return true;
}

static bool
check_all_there(AlbertSource *source, const char *prefix, const json_t *weight_map,
				const char *index, AlbertStatus *status)
{
	const char *tensor;
	json_t	   *place;

	json_object_foreach((json_t *) weight_map, tensor, place)
	{
		AlbertArenaMark mark = AlbertArenaGetMark(source->arena);
		const char *name = AlbertNameJoin(source, prefix, tensor);
		bool		found = name != NULL && AlbertTensorFind(source, name) != NULL;

		AlbertArenaRewind(source->arena, mark);
		if (!found)
			return AlbertFail(status, ALBERT_FORMAT,
							  "tensor \"%.200s\" is not in file \"%.200s\", where \"%s\" places it",
							  tensor, json_string_value(place), index);
	}
	return true;
}

static bool
read_index(AlbertSource *source, const char *base, const char *prefix, const char *index,
		   WeightsReader reader, AlbertStatus *status)
{
	AlbertJsonText json;
	const json_t *weight_map;

	if (!AlbertJsonFile(source, "", index, true, JSON_OBJECT, &json, status))
		return false;
	weight_map = json_object_get(json.root, "weight_map");
	if (!json_is_object(weight_map))
		return AlbertFail(status, ALBERT_FORMAT, "file \"%s\" has no \"weight_map\"", index);
	return read_shards(source, base, prefix, weight_map, index, reader, status) &&
		AlbertTensorSort(source, status) &&
		check_all_there(source, prefix, weight_map, index, status);
}

/* ---- TensorFlow's checkpoint, which is known by the end of its name only ---- */

static DIR *
open_directory(const AlbertSource *source, const char *base)
{
	int			fd = openat(source->directory, base[0] == '\0' ? "." : base,
							O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR		   *directory = fd < 0 ? NULL : fdopendir(fd);

	if (directory == NULL && fd >= 0)
		close(fd);
	return directory;
}

/* The path of the one index of a checkpoint in a directory; NULL when there is none. */
static bool
find_checkpoint(AlbertSource *source, const char *base, const char **index, AlbertStatus *status)
{
	DIR		   *directory = open_directory(source, base);
	struct dirent *entry;
	int			n = 0;

	*index = NULL;
	if (directory == NULL)
		return true;
	while (n < 2 && (entry = readdir(directory)) != NULL)
	{
		if (!ends_with(entry->d_name, ".index"))
			continue;
		*index = AlbertFilePath(source, base, entry->d_name);
		n++;
	}
	closedir(directory);
	if (n == 1 && *index == NULL)
		return AlbertNoMemory(status);
	if (n > 1)
		return AlbertFail(status, ALBERT_UNSUPPORTED, "model directory contains more than one checkpoint");
	return true;
}

/* ---- nothing that can be read ---- */

static const char *
foreign_format(const char *name)
{
	static const struct
	{
		const char *end;
		const char *format;
	}			endings[] =
	{
		{".gguf", "GGUF"},
		{"openvino_model.bin", "OpenVINO"},
		{".onnx", "ONNX"},
		{".h5", "Keras"},
		{".msgpack", "Flax"},
		{".ot", "rust-bert"},
		{".tflite", "TensorFlow Lite"},
		{".mlmodel", "Core ML"},
		{".pb", "TensorFlow's SavedModel"},
		{".safetensors", "safetensors under another name"},
		{".bin", "PyTorch under another name"},
		{".pt", "PyTorch under another name"},
		{".ckpt", "TensorFlow"}
	};

	for (size_t i = 0; i < LENGTH(endings); i++)
		if (ends_with(name, endings[i].end))
			return endings[i].format;
	return NULL;
}

/* Say which weights are there instead, for that is what the user wonders about. */
static bool
describe_foreign(AlbertSource *source, const char *base, AlbertStatus *status)
{
	DIR		   *directory = open_directory(source, base);
	const char *format = NULL;
	struct dirent *entry;

	while (directory != NULL && format == NULL && (entry = readdir(directory)) != NULL)
	{
		format = foreign_format(entry->d_name);
		if (format != NULL)
			AlbertDetail(status, "There is \"%.100s%s%.100s\" (%s), which cannot be used.",
						 base, base[0] == '\0' ? "" : "/", entry->d_name, format);
	}
	if (directory != NULL)
		closedir(directory);
	return format != NULL;
}

static bool
no_weights(AlbertSource *source, const char *base, AlbertStatus *status)
{
	AlbertFail(status, ALBERT_NOT_FOUND, "model directory contains no weights in a supported form");
	AlbertHint(status, "Weights are read from model.safetensors or pytorch_model.bin, also in shards with an index, "
			   "or from a TensorFlow checkpoint of the original release.");
	if (!describe_foreign(source, base, status))
	{
		/* exports are kept in directories of their own */
		static const char *const directories[] = {"onnx", "openvino"};

		for (size_t i = 0; i < LENGTH(directories); i++)
		{
			const char *path = AlbertFilePath(source, base, directories[i]);

			if (path != NULL && describe_foreign(source, path, status))
				break;
		}
	}
	return false;
}

bool
AlbertWeightsOpen(AlbertSource *source, const char *base, const char *prefix, AlbertStatus *status)
{
	const char *checkpoint;

	for (size_t i = 0; i < LENGTH(formats); i++)
	{
		const char *file = AlbertFilePath(source, base, formats[i].file);
		const char *index = AlbertFilePath(source, base, formats[i].index);

		if (file == NULL || index == NULL)
			return AlbertNoMemory(status);
		if (AlbertFileExists(source, file))
			return read_file(source, file, prefix, NULL, formats[i].reader, status) &&
				AlbertTensorSort(source, status);
		if (AlbertFileExists(source, index))
			return read_index(source, base, prefix, index, formats[i].reader, status);
	}
	if (!find_checkpoint(source, base, &checkpoint, status))
		return false;
	if (checkpoint == NULL)
		return no_weights(source, base, status);
	return read_file(source, checkpoint, prefix, NULL, AlbertTensorFlowRead, status) &&
		AlbertTensorSort(source, status);
}
