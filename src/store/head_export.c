/*
 * head_export.c
 *	  A trained head and its base as a directory that other programs read.
 *
 * transformers knows one place for a classifier: above the pooler.  A head on
 * embeddings of that kind becomes a model for sequence classification.  All
 * others stay beside their base: its files as they are, for
 * sentence-transformers, and the head's own in the subdirectory "head".
 */
#include "store/registry.h"

#include <fcntl.h>

#define ONLY_POOLER	"{\"pooling\":\"pooler\"}"

/* ---- files ---- */

static void
write_text(const char *directory, const char *name, const char *text)
{
	AlbertFile	file;

	AlbertFileCreate(&file, psprintf("%s/%s", directory, name), O_EXCL);
	AlbertFileAppend(&file, text, strlen(text));
	AlbertFileClose(&file);
}

/* A source's file; without: its name's directories are left out. */
static void
copy_file(const AlbertSourceFile *source, const char *directory, bool without)
{
	AlbertFile	file;
	const char *name = source->name;
	const char *slash = strrchr(name, '/');

	if (slash != NULL && without)
		name = slash + 1;
	else if (slash != NULL)
		AlbertDirectoryMake(psprintf("%s/%.*s", directory, (int) (slash - name), name));
	AlbertFileCreate(&file, psprintf("%s/%s", directory, name), O_EXCL);
	AlbertFileEach(source->fd, name, source->size, AlbertFileAppend, &file);
	AlbertFileClose(&file);
}

/* ---- the two kinds of directory ---- */

static void
write_classifier(const AlbertTrainedHead *head, const AlbertSource *base, AlbertArena *arena, const char *directory)
{
	AlbertStatus status;
	AlbertFile	file;
	const AlbertSourceFile *copied;
	const char *config = AlbertHeadConfig(head, base, arena, &status);

	if (config == NULL)
		AlbertReport(&status);
	write_text(directory, "config.json", config);
	AlbertFileCreate(&file, psprintf("%s/model.safetensors", directory), O_EXCL);
	if (!AlbertHeadWrite(head, base, arena, AlbertFileAppend, &file, &status))
		AlbertReport(&status);
	AlbertFileClose(&file);
	for (int i = 0; (copied = AlbertSourceGetFile(base, i)) != NULL; i++)
	{
		if (AlbertSourceFileIsTokenizer(base, copied))
			copy_file(copied, directory, true);
	}
}

static void
write_beside(const AlbertRequest *request, const AlbertSource *base, const char *directory)
{
	char	   *head = psprintf("%s/head", directory);
	const AlbertSourceFile *file;

	for (int i = 0; (file = AlbertSourceGetFile(base, i)) != NULL; i++)
		copy_file(file, directory, false);
	AlbertDirectoryMake(head);
	AlbertObjectExport(request->object.relation, request->name, head);
}

/* ---- which of them ---- */

static void
export_with(const AlbertRequest *request, const AlbertTrainedHead *head, AlbertArena *arena, const char *directory)
{
	AlbertRequest base;
	AlbertSource *source;
	const char *options = "{}";
	uint8		identity[ALBERT_SHA256_LEN];

	AlbertRequestMake(request->object.base, &base);
	AlbertRequestFiles(&base);
	source = AlbertRequestOpen(&base, arena);
	if (base.is_object)
	{
		memcpy(identity, base.object.identity, ALBERT_SHA256_LEN);
		options = base.object.options;
	}
	else
		AlbertDigest(source, identity);
	if (memcmp(identity, request->object.base_digest, ALBERT_SHA256_LEN) != 0)
		AlbertHeadMisfits(request->name, base.name);
	if (strcmp(options, ONLY_POOLER) == 0 && !head->pairs)
		write_classifier(head, source, arena, directory);
	else if (strcmp(options, "{}") == 0)
		write_beside(request, source, directory);
	else
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" cannot be exported with its base \"%s\"", request->name, base.name),
				 errdetail("The base has options that its files do not tell: %s.", options),
				 errhint("albert-import --export writes the files of the head alone.")));
}

void
AlbertHeadExport(const char *name, const char *directory)
{
	AlbertTrainedHead head;
	AlbertRequest request;
	AlbertArena arena;

	AlbertArenaInitContext(&arena, CurrentMemoryContext);
	AlbertRequestMake(name, &request);
	AlbertHeadRead(&request, &arena, &head);
	export_with(&request, &head, &arena, directory);
}
