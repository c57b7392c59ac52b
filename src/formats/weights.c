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
read_file(AlbertSource *source, const char *base, const char *name, const char *prefix, const json_t *weight_map,
		  WeightsReader reader, AlbertStatus *status)
{
	AlbertArena scratch;
	WeightsFile weights = {.source = source, .prefix = prefix, .weight_map = weight_map, .scratch = &scratch};
	bool		ok;

	if (!AlbertFileOpen(source, base, name, &weights.number, status))
		return false;
	AlbertArenaInit(&scratch, source->arena->get, source->arena->put, source->arena->context);
	ok = reader(&weights, status);
	AlbertArenaFree(&scratch);
	return ok;
}

/* Shards: every file that the index names, once. */
static bool
read_index(AlbertSource *source, const char *base, const char *index, const char *prefix,
		   WeightsReader reader, AlbertStatus *status)
{
	AlbertJsonText json;
	json_t	   *weight_map;
	const char *tensor;
	json_t	   *place;
	const char *done[MAX_SHARDS];
	int			ndone = 0;

	if (!AlbertJsonFile(source, base, index, true, JSON_OBJECT, &json, status))
		return false;
	weight_map = json_object_get(json.root, "weight_map");
	if (!json_is_object(weight_map))
		return AlbertFail(status, ALBERT_FORMAT, "file \"%s\" has no \"weight_map\"", json.file);
	json_object_foreach(weight_map, tensor, place)
	{
		const char *name = json_string_value(place);
		int			i = 0;

		if (name == NULL || !AlbertPlainName(name))
			return AlbertFail(status, ALBERT_FORMAT, "file \"%s\" names no valid file for tensor \"%.200s\"",
							  json.file, tensor);
		while (i < ndone && strcmp(done[i], name) != 0)
			i++;
		if (i < ndone)
			continue;
		if (ndone == MAX_SHARDS)
			return AlbertFail(status, ALBERT_UNSUPPORTED, "weights are in more than %d files", MAX_SHARDS);
		done[ndone++] = name;
		if (!read_file(source, base, name, prefix, weight_map, reader, status))
			return false;
	}
	return true;
}

/* ---- files that are known by the end of their names only ---- */

typedef struct Ending
{
	const char *end;
	const char *format;
} Ending;

static const Ending checkpoint_endings[] = {{".index", "TensorFlow"}};

static const Ending foreign_endings[] = {
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

/* How many files of a directory end in one of these ways; of one of them the name, in the arena, and the format. */
static int
find_endings(AlbertSource *source, const char *base, const Ending *endings, size_t nendings,
			 const char **name, const char **format)
{
	int			fd = openat(source->directory, base[0] == '\0' ? "." : base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR		   *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int			n = 0;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		for (size_t i = 0; i < nendings; i++)
			if (ends_with(entry->d_name, endings[i].end))
			{
				*name = AlbertNameCopy(source->arena, entry->d_name, strlen(entry->d_name));
				*format = endings[i].format;
				n++;
				break;
			}
	if (directory != NULL)
		closedir(directory);
	else if (fd >= 0)
		close(fd);
	return n;
}

/* Say which weights are there instead, for that is what the user wonders about. */
static bool
no_weights(AlbertSource *source, const char *base, AlbertStatus *status)
{
	/* exports are kept in directories of their own */
	static const char *const directories[] = {"", "onnx", "openvino"};
	const char *name = NULL;
	const char *format;

	AlbertFail(status, ALBERT_NOT_FOUND, "model directory contains no weights in a supported form");
	AlbertHint(status, "Weights are read from model.safetensors or pytorch_model.bin, also in shards with an index, "
			   "or from a TensorFlow checkpoint of the original release.");
	for (size_t i = 0; i < LENGTH(directories) && name == NULL; i++)
	{
		const char *path = i == 0 ? base : AlbertFilePath(source, base, directories[i]);

		if (path != NULL && find_endings(source, path, foreign_endings, LENGTH(foreign_endings), &name, &format) > 0 &&
			name != NULL)
			AlbertDetail(status, "There is \"%.100s%s%.100s\" (%s), which cannot be used.",
						 path, path[0] == '\0' ? "" : "/", name, format);
	}
	return false;
}

/* ---- whichever there is ---- */

static bool
read_weights(AlbertSource *source, const char *base, const char *prefix, AlbertStatus *status)
{
	const char *checkpoint = NULL;
	const char *format;

	for (size_t i = 0; i < LENGTH(formats); i++)
	{
		if (AlbertFileExists(source, base, formats[i].file))
			return read_file(source, base, formats[i].file, prefix, NULL, formats[i].reader, status);
		if (AlbertFileExists(source, base, formats[i].index))
			return read_index(source, base, formats[i].index, prefix, formats[i].reader, status);
	}
	switch (find_endings(source, base, checkpoint_endings, LENGTH(checkpoint_endings), &checkpoint, &format))
	{
		case 0:
			return no_weights(source, base, status);
		case 1:
			return checkpoint == NULL ? AlbertNoMemory(status) :
				read_file(source, base, checkpoint, prefix, NULL, AlbertTensorFlowRead, status);
		default:
			return AlbertFail(status, ALBERT_UNSUPPORTED, "model directory contains more than one checkpoint");
	}
}

bool
AlbertWeightsOpen(AlbertSource *source, const char *base, const char *prefix, AlbertStatus *status)
{
	return read_weights(source, base, prefix, status) && AlbertTensorSort(source, status);
}
