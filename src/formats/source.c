/*
 * source.c
 *	  A model directory: opening it, its files, what it is.
 */
#include "formats/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- the tokenizer's files ---- */

static bool
open_tokenizer_file(AlbertSource *source, const char *base, const char *name,
					TokenizerFile which, AlbertStatus *status)
{
	const char *path = AlbertFilePath(source, base, name);

	if (path == NULL)
		return AlbertNoMemory(status);
	if (source->tokenizer_files[which] >= 0 || !AlbertFileExists(source, path))
		return true;
	source->tokenizer_files[which] = AlbertFileOpen(source, path, status);
	return source->tokenizer_files[which] >= 0;
}

static bool
open_tokenizer(AlbertSource *source, const char *base, AlbertStatus *status)
{
	static const struct
	{
		const char *name;
		TokenizerFile which;
	}			files[] =
	{
		{"spiece.model", TOKENIZER_SPIECE_MODEL},
		{"30k-clean.model", TOKENIZER_SPIECE_MODEL},	/* its name in the original release */
		{"vocab.txt", TOKENIZER_VOCAB_TXT},
		{"tokenizer.json", TOKENIZER_JSON},
		{"tokenizer_config.json", TOKENIZER_CONFIG_JSON},
		{"special_tokens_map.json", TOKENIZER_SPECIAL_TOKENS_MAP_JSON},
		{"added_tokens.json", TOKENIZER_ADDED_TOKENS_JSON},
		{"albert.json", TOKENIZER_ALBERT_JSON}
	};

	for (size_t i = 0; i < LENGTH(files); i++)
		if (!open_tokenizer_file(source, base, files[i].name, files[i].which, status))
			return false;
	if (source->tokenizer_files[TOKENIZER_SPIECE_MODEL] >= 0 ||
		source->tokenizer_files[TOKENIZER_VOCAB_TXT] >= 0 ||
		source->tokenizer_files[TOKENIZER_JSON] >= 0)
		return true;
	AlbertFail(status, ALBERT_NOT_FOUND, "model directory contains no tokenizer");
	return AlbertHint(status, "One of spiece.model, vocab.txt or tokenizer.json is needed.");
}

/* ---- weights ---- */

/* Every tensor the model needs must be there in the right shape. */
static bool
check_tensors(AlbertSource *source, AlbertStatus *status)
{
	Layout		layout;

	if (!AlbertLayoutList(&source->info, source->arena, &layout, status))
		return false;
	for (int i = 0; i < layout.n; i++)
	{
		const Matrix *matrix = &layout.matrices[i];

		for (int which = 0; which < matrix->ntensors; which++)
			if (AlbertLayoutTensor(source, matrix, which, status) == NULL)
				return false;
		if (matrix->scope != SCOPE_MODULE)
			source->info.parameters += (int64_t) matrix->rows * matrix->cols;
	}
	return true;
}

/* ---- what is no model by itself ---- */

/* The adapter's kind and base model, as far as its configuration tells them. */
static void
describe_adapter(AlbertSource *source, const char *path, AlbertStatus *status)
{
	AlbertStatus ignored;
	AlbertJsonText json;
	const char *kind;
	const char *model;

	if (!AlbertJsonFile(source, "", path, true, JSON_OBJECT, &json, &ignored))
		return;
	kind = json_string_value(json_object_get(json.root, "peft_type"));
	model = json_string_value(json_object_get(json.root, "base_model_name_or_path"));
	if (model != NULL)
		AlbertDetail(status, "It is of kind \"%.50s\", for the model \"%.200s\".",
					 kind == NULL ? "unknown" : kind, model);
}

/* Adapters and pickled heads: what they say of the model cannot be left out silently. */
static bool
refuse_parts(AlbertSource *source, const char *base, AlbertStatus *status)
{
	const char *adapter = AlbertFilePath(source, base, "adapter_config.json");
	const char *head = AlbertFilePath(source, base, "model_head.pkl");

	if (adapter == NULL || head == NULL)
		return AlbertNoMemory(status);
	if (AlbertFileExists(source, adapter))
	{
		AlbertFail(status, ALBERT_UNSUPPORTED,
				   "\"%s\" says that the directory holds an adapter, which is no model by itself", adapter);
		AlbertHint(status, "Merge it into its base model and save that: "
				   "merge_and_unload() and save_pretrained() of the peft library.");
		describe_adapter(source, adapter, status);
		return false;
	}
	if (AlbertFileExists(source, head))
	{
		AlbertFail(status, ALBERT_UNSUPPORTED,
				   "\"%s\" holds SetFit's classifier as a pickled Python object, which is not read", head);
		AlbertHint(status, "Without that file the directory is a model for embeddings.");
		return false;
	}
	return true;
}

/* ---- opening ---- */

/* The original release calls the file albert_config.json. */
static bool
read_config(AlbertSource *source, const char *base, AlbertStatus *status)
{
	static const char name[] = "config.json";
	static const char old_name[] = "albert_config.json";
	const char *path = AlbertFilePath(source, base, name);
	const char *old = AlbertFilePath(source, base, old_name);
	bool		original;

	if (path == NULL || old == NULL)
		return AlbertNoMemory(status);
	original = !AlbertFileExists(source, path) && AlbertFileExists(source, old);
	return AlbertConfigRead(source, base, original ? old_name : name, original, status);
}

static bool
read_directory(AlbertSource *source, AlbertStatus *status)
{
	const json_t *modules;
	const char *base;

	return refuse_parts(source, "", status) &&
		AlbertModulesBase(source, &modules, &base, status) &&
		refuse_parts(source, base, status) &&
		read_config(source, base, status) &&
		AlbertWeightsOpen(source, base, "", status) &&
		AlbertLayoutHeads(source, status) &&
		AlbertModulesRead(source, modules, base, status) &&
		check_tensors(source, status) &&
		open_tokenizer(source, base, status);
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
	for (int i = 0; i < NTOKENIZER_FILES; i++)
		source->tokenizer_files[i] = -1;
	source->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (source->directory < 0)
		return AlbertFail(status, errno == ENOENT ? ALBERT_NOT_FOUND : ALBERT_IO,
						  "could not open model directory \"%s\": %s", directory, strerror(errno));
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

const AlbertSourceInfo *
AlbertSourceGetInfo(const AlbertSource *source)
{
	return &source->info;
}

const char *
AlbertSourceFile(const AlbertSource *source, int i, int *fd, int64_t *size)
{
	if (i < 0 || i >= source->nfiles)
		return NULL;
	*fd = source->files[i].fd;
	*size = source->files[i].size;
	return source->files[i].name;
}

int
AlbertSourceFileCount(const AlbertSource *source)
{
	return source->nfiles;
}

bool
AlbertSourceFileIsTokenizer(const AlbertSource *source, int i)
{
	for (int which = 0; which < NTOKENIZER_FILES; which++)
	{
		if (source->tokenizer_files[which] == i)
			return true;
	}
	return false;
}
