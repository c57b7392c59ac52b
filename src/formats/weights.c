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

#define SAFETENSORS	"model.safetensors"
#define TORCH		"pytorch_model.bin"
#define INDEX		".index.json"

/* Shards: every file that an index names, once. */
static bool
read_index(const WeightsFile *index)
{
	AlbertSource *source = index->source;
	WeightsReader reader = ends_with(index->file->name, SAFETENSORS INDEX) ? AlbertSafetensorsRead : AlbertTorchRead;
	WeightsFile shard = *index;
	AlbertJsonText json;
	json_t	   *weight_map;
	const char *tensor;
	json_t	   *place;

	if (!AlbertJsonFile(source, "", index->file->name, true, JSON_OBJECT, &json, index->status))
		return false;
	shard.weight_map = weight_map = json_object_get(json.root, "weight_map");
	if (!json_is_object(weight_map))
		return AlbertWeightsBad(index, "it has no \"weight_map\"");
	json_object_foreach(weight_map, tensor, place)
	{
		const char *name = json_string_value(place);
		int			known = source->nfiles;

		if (name == NULL || !AlbertPlainName(name))
			return AlbertWeightsBad(index, "it names no valid file for tensor \"%.100s\"", tensor);
		if (!AlbertFileOpen(source, index->base, name, &shard.file, index->status) ||
			(source->nfiles > known && !reader(&shard)))
			return false;
	}
	return true;
}

static const struct
{
	const char *name;
	WeightsReader reader;
}			formats[] =
{
	{SAFETENSORS, AlbertSafetensorsRead},
	{SAFETENSORS INDEX, read_index},
	{TORCH, AlbertTorchRead},
	{TORCH INDEX, read_index}
};

static bool
read_file(AlbertSource *source, const char *base, const char *name, const char *prefix, WeightsReader reader,
		  AlbertStatus *status)
{
	AlbertArena scratch;
	WeightsFile weights = {.source = source, .base = base, .prefix = prefix, .scratch = &scratch, .status = status};
	const char *twice;
	bool		ok;

	AlbertArenaInit(&scratch, source->arena->get, source->arena->put, source->arena->context);
	ok = AlbertFileOpen(source, base, name, &weights.file, status) && reader(&weights);
	AlbertArenaFree(&scratch);
	twice = AlbertNamesSort(source->tensors, source->ntensors, sizeof(Tensor));
	if (ok && twice != NULL)
		return AlbertFail(status, ALBERT_FORMAT, "tensor \"%s\" is stored twice", twice);
	return ok;
}

/* ---- files that are known by the end of their names only ---- */

/* How many files of a directory end in this way; of one of them the name, in the arena. */
static int
find_ending(AlbertSource *source, const char *base, const char *end, const char **name)
{
	int			fd = openat(source->directory, base[0] == '\0' ? "." : base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR		   *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int			n = 0;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (ends_with(entry->d_name, end))
		{
			*name = AlbertNameFormat(source->arena, "%s", entry->d_name);
			n++;
		}
	if (directory != NULL)
		closedir(directory);
	else if (fd >= 0)
		close(fd);
	return n;
}

static const struct
{
	const char *end;
	const char *format;
}			foreign[] =
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

/* Say which weights are there instead, for that is what the user wonders about. */
static bool
no_weights(AlbertSource *source, const char *base, AlbertStatus *status)
{
	/* exports are kept in directories of their own */
	static const char *const directories[] = {"", "onnx", "openvino"};

	AlbertFail(status, ALBERT_NOT_FOUND, "model directory contains no weights in a supported form");
	AlbertHint(status, "Weights are read from model.safetensors or pytorch_model.bin, also in shards with an index, "
			   "or from a TensorFlow checkpoint of the original release.");
	for (size_t i = 0; i < LENGTH(directories) * LENGTH(foreign); i++)
	{
		const char *directory = directories[i / LENGTH(foreign)];
		const char *path = directory[0] == '\0' ? base : AlbertFilePath(source, base, directory);
		const char *name = NULL;

		if (path != NULL && find_ending(source, path, foreign[i % LENGTH(foreign)].end, &name) > 0 && name != NULL)
			return AlbertDetail(status, "There is \"%.100s%s%.100s\" (%s), which cannot be used.",
								path, path[0] == '\0' ? "" : "/", name, foreign[i % LENGTH(foreign)].format);
	}
	return false;
}

/* ---- whichever there is ---- */

bool
AlbertWeightsOpen(AlbertSource *source, const char *base, const char *prefix, AlbertStatus *status)
{
	const char *checkpoint = NULL;

	for (size_t i = 0; i < LENGTH(formats); i++)
		if (AlbertFileExists(source, base, formats[i].name))
			return read_file(source, base, formats[i].name, prefix, formats[i].reader, status);
	switch (find_ending(source, base, ".index", &checkpoint))
	{
		case 0:
			return no_weights(source, base, status);
		case 1:
			return checkpoint == NULL ? AlbertNoMemory(status) :
				read_file(source, base, checkpoint, prefix, AlbertTensorFlowRead, status);
		default:
			return AlbertFail(status, ALBERT_UNSUPPORTED, "model directory contains more than one checkpoint");
	}
}
