/*
 * source.c
 *	  A model directory: opening it, its files, what it is.
 */
#include "formats/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- weights ---- */

/* Every tensor the model needs must be there in the right shape. */
static bool
check_tensors(AlbertSource *source, AlbertStatus *status)
{
	Layout		layout;

	if (!AlbertLayoutList(&source->config, NULL, ALBERT_FP32, source->arena, &layout, status))
		return false;
	for (int i = 0; i < layout.n; i++)
	{
		const Matrix *matrix = &layout.matrices[i];

		if (AlbertLayoutTensor(source, matrix, status) == NULL)
			return false;
		if (matrix->scope != SCOPE_MODULE)
			source->config.parameters += (int64_t) matrix->rows * matrix->cols;
	}
	return true;
}

/* ---- what is no model by itself ---- */

#define ADAPTER			"adapter_config.json"
#define PICKLED_HEAD	"model_head.pkl"

/* The adapter's kind and base model, as far as its configuration tells them. */
static void
describe_adapter(AlbertSource *source, const char *base, AlbertStatus *status)
{
	AlbertStatus ignored;
	AlbertJsonText json;
	const char *kind = "unknown";
	const char *model;

	if (AlbertJsonFile(source, base, ADAPTER, true, JSON_OBJECT, &json, &ignored) &&
		json_unpack((json_t *) json.root, "{s?s,s:s}", "peft_type", &kind, "base_model_name_or_path", &model) == 0)
		AlbertDetail(status, "It is of kind \"%.50s\", for the model \"%.200s\".", kind, model);
}

/* Adapters and pickled heads: what they say of the model cannot be left out silently. */
static bool
refuse_parts(AlbertSource *source, const char *base, AlbertStatus *status)
{
	const char *slash = base[0] == '\0' ? "" : "/";

	if (AlbertFileExists(source, base, ADAPTER))
	{
		AlbertFail(status, ALBERT_UNSUPPORTED,
				   "\"%s%s" ADAPTER "\" says that the directory holds an adapter, which is no model by itself",
				   base, slash);
		AlbertHint(status, "Merge it into its base model and save that: "
				   "merge_and_unload() and save_pretrained() of the peft library.");
		describe_adapter(source, base, status);
		return false;
	}
	if (AlbertFileExists(source, base, PICKLED_HEAD))
	{
		AlbertFail(status, ALBERT_UNSUPPORTED,
				   "\"%s%s" PICKLED_HEAD "\" holds SetFit's classifier as a pickled Python object, which is not read",
				   base, slash);
		return AlbertHint(status, "Without that file the directory is a model for embeddings.");
	}
	return true;
}

/* ---- opening ---- */

/* The original release calls the file albert_config.json. */
static bool
read_config(AlbertSource *source, const char *base, AlbertStatus *status)
{
	bool		original = !AlbertFileExists(source, base, "config.json") &&
		AlbertFileExists(source, base, "albert_config.json");

	return AlbertConfigRead(source, base, original ? "albert_config.json" : "config.json", original, status);
}

static bool
read_directory(AlbertSource *source, AlbertStatus *status)
{
	const json_t *modules;
	const char *base;

	if (!refuse_parts(source, "", status) ||
		!AlbertModulesBase(source, &modules, &base, status) ||
		!refuse_parts(source, base, status) ||
		!read_config(source, base, status) ||
		!AlbertWeightsOpen(source, base, "", status))
		return false;
	if (json_object_get(source->config_json, "base_sha256") != NULL)
		return AlbertHeadFilesRead(source, status);
	return AlbertLayoutHeads(source, status) &&
		AlbertModulesRead(source, modules, base, status) &&
		check_tensors(source, status) &&
		AlbertSourceOpenTokenizer(source, base, status);
}

bool
AlbertSourceOpen(const char *directory, AlbertArena *arena, AlbertSource **result,
				 AlbertStatus *status)
{
	AlbertSource *source = AlbertArenaAllocZero(arena, sizeof(AlbertSource));
	bool		ok;

	*result = NULL;
	if (source == NULL)
		return AlbertNoMemory(status);
	source->arena = arena;
	source->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (source->directory < 0)
		return AlbertFail(status, errno == ENOENT ? ALBERT_NOT_FOUND : ALBERT_IO,
						  "could not open model directory: %s", strerror(errno));
	source->documents = json_array();
	ok = source->documents != NULL ? read_directory(source, status) : AlbertNoMemory(status);
	close(source->directory);
	source->directory = -1;
	if (ok)
		*result = source;
	else
		AlbertSourceClose(source);
	return ok;
}

void
AlbertSourceClose(AlbertSource *source)
{
	if (source == NULL)
		return;
	for (int i = 0; i < source->nfiles; i++)
		close(source->files[i].fd);
	source->nfiles = 0;
	json_decref(source->documents);
	source->documents = NULL;
}

const AlbertConfig *
AlbertSourceConfig(const AlbertSource *source)
{
	return &source->config;
}

const AlbertSourceFile *
AlbertSourceGetFile(const AlbertSource *source, int i)
{
	return i < source->nfiles ? &source->files[i] : NULL;
}
