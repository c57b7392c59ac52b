/*
 * head_export.c
 *	  A trained head and its base as a directory that other programs read.
 *
 * transformers knows one place for a classifier: above the pooler.  A head on
 * embeddings of that kind becomes a model for sequence classification.  All
 * others stay beside their base: its files as they are, for
 * sentence-transformers, and the head's own in the subdirectory "head".
 */
#include "store/head.h"
#include "store/registry.h"

#include <fcntl.h>

#define ONLY_POOLER	"{\"pooling\":\"pooler\"}"

/* ---- files ---- */

typedef struct NewFile
{
	int			fd;
	const char *path;
	int64		size;
} NewFile;

static void
create_file(NewFile *file, const char *path)
{
	file->path = path;
	file->fd = AlbertFileCreate(path, O_EXCL);
	file->size = 0;
}

static void
append(void *context, const void *bytes, size_t size)
{
	NewFile    *file = context;

	AlbertFileWrite(file->fd, file->path, bytes, size, file->size);
	file->size += size;
}

static void
write_text(const char *directory, const char *name, const char *text)
{
	NewFile		file;

	create_file(&file, psprintf("%s/%s", directory, name));
	append(&file, text, strlen(text));
	AlbertFileClose(file.fd, file.path);
}

/* A source's file number i; without: its name's directories are left out. */
static void
copy_file(const AlbertSource *source, int i, const char *directory, bool without)
{
	int64_t		size;
	NewFile		file;
	int			fd;
	const char *name = AlbertSourceFile(source, i, &fd, &size);
	const char *slash = strrchr(name, '/');

	if (slash != NULL && without)
		name = slash + 1;
	else if (slash != NULL)
		AlbertDirectoryMake(psprintf("%s/%.*s", directory, (int) (slash - name), name));
	create_file(&file, psprintf("%s/%s", directory, name));
	AlbertFileEach(fd, name, size, append, &file);
	AlbertFileClose(file.fd, file.path);
}

/* ---- the two kinds of directory ---- */

static void
write_classifier(const AlbertTrainedHead *head, const AlbertSource *base, AlbertArena *arena, const char *directory)
{
	AlbertStatus status;
	NewFile		file;
	const char *config = AlbertHeadConfig(head, base, arena, &status);

	if (config == NULL)
		AlbertReport(&status);
	write_text(directory, "config.json", config);
	create_file(&file, psprintf("%s/model.safetensors", directory));
	if (!AlbertHeadWrite(head, base, arena, append, &file, &status))
		AlbertReport(&status);
	AlbertFileClose(file.fd, file.path);
	for (int i = 0, n = AlbertSourceFileCount(base); i < n; i++)
	{
		if (AlbertSourceFileIsTokenizer(base, i))
			copy_file(base, i, directory, true);
	}
}

static void
write_beside(const AlbertObject *object, const char *name, const AlbertSource *base, const char *directory)
{
	char	   *head = psprintf("%s/head", directory);

	for (int i = 0, n = AlbertSourceFileCount(base); i < n; i++)
		copy_file(base, i, directory, false);
	AlbertDirectoryMake(head);
	AlbertObjectExport(object->relation, name, head);
}

/* ---- the base ---- */

static void
open_base(const AlbertRequest *request, AlbertArena *arena, AlbertSource **source)
{
	AlbertStatus status;
	bool		ok;

	if (request->directory[0] != '\0' || !request->is_object)
		ok = AlbertSourceOpen(request->directory, arena, source, &status);
	else
		ok = AlbertObjectOpen(request->object.relation, request->name, arena, source, &status);
	if (!ok)
		AlbertReportLoad(&status);
}

/* Of the base as it is now: is it what the head was trained on? */
static void
check_base(const AlbertObject *object, const char *name, const AlbertRequest *request, const AlbertSource *source)
{
	uint8		digest[ALBERT_SHA256_LEN];
	bool		same;

	AlbertDigest(source, digest);
	same = request->is_object ? memcmp(digest, request->object.digest, ALBERT_SHA256_LEN) == 0 &&
		memcmp(request->object.identity, object->base_digest, ALBERT_SHA256_LEN) == 0
		: memcmp(digest, object->base_digest, ALBERT_SHA256_LEN) == 0;
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" is not the one that \"%s\" was trained on", object->base, name),
				 errdetail("Its files or options are others."),
				 errhint("Train it anew, or put the old model back.")));
}

static void
export_with(const AlbertObject *object, const char *name, const AlbertTrainedHead *head, const AlbertRequest *request,
			AlbertSource *source, AlbertArena *arena, const char *directory)
{
	const char *options = request->is_object ? request->object.options : "{}";

	check_base(object, name, request, source);
	if (strcmp(options, ONLY_POOLER) == 0 && !head->pairs)
		write_classifier(head, source, arena, directory);
	else if (strcmp(options, "{}") == 0)
		write_beside(object, name, source, directory);
	else
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" cannot be exported with its base \"%s\"", name, object->base),
				 errdetail("The base has options that its files do not tell: %s.", options),
				 errhint("albert-import --export writes the files of the head alone.")));
}

void
AlbertHeadExport(const AlbertObject *object, const char *name, const char *directory)
{
	AlbertTrainedHead head;
	AlbertRequest request;
	AlbertArena arena;
	AlbertSource *source;

	AlbertArenaInitContext(&arena, CurrentMemoryContext);
	AlbertHeadRead(object, name, &arena, &head);
	AlbertRequestMake(object->base, &request);
	AlbertRequestFiles(&request);
	open_base(&request, &arena, &source);
	PG_TRY();
	{
		export_with(object, name, &head, &request, source, &arena, directory);
	}
	PG_FINALLY();
	{
		AlbertSourceClose(source);
	}
	PG_END_TRY();
}
