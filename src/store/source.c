/*
 * source.c
 *	  A model's files: opened, from a directory or a table of the database, and
 *	  what tells which files they are.
 */
#include "store/registry.h"

#include <sys/stat.h>

#include "commands/tablespace.h"
#include "common/cryptohash.h"
#include "common/file_utils.h"
#include "common/hashfn.h"
#include "storage/fd.h"

/* ---- opening ---- */

static void
close_source(void *source)
{
	AlbertSourceClose(source);
}

bool
AlbertDirectoryOpen(const char *directory, AlbertArena *arena, AlbertSource **source, AlbertStatus *status)
{
	MemoryContextCallback *callback = MemoryContextAlloc(arena->context, sizeof(MemoryContextCallback));

	if (!AlbertSourceOpen(directory, arena, source, status))
		return false;
	callback->func = close_source;
	callback->arg = *source;
	MemoryContextRegisterResetCallback(arena->context, callback);
	return true;
}

static void
remove_directory(int code, Datum directory)
{
	PathNameDeleteTemporaryDir(DatumGetCString(directory));
}

/*
 * The files of a table are copied into a temporary directory, which has gone
 * again when this returns: the source keeps its files open.  Should the process
 * be killed meanwhile, the server removes the directory with its other temporary
 * files.
 */
static bool
open_table(Oid relation, const char *name, AlbertArena *arena, AlbertSource **source, AlbertStatus *status)
{
	static uint32 number = 0;
	char		base[MAXPGPATH];
	char	   *directory;
	bool		ok;

	PrepareTempTablespaces();
	TempTablespacePath(base, GetNextTempTableSpace());
	directory = psprintf("%s/%s%d.albert.%u", base, PG_TEMP_FILE_PREFIX, MyProcPid, number++);
	PG_ENSURE_ERROR_CLEANUP(remove_directory, CStringGetDatum(directory));
	{
		PathNameCreateTemporaryDir(base, directory);
		AlbertObjectExport(relation, name, directory);
		ok = AlbertDirectoryOpen(directory, arena, source, status);
	}
	PG_END_ENSURE_ERROR_CLEANUP(remove_directory, CStringGetDatum(directory));
	remove_directory(0, CStringGetDatum(directory));
	return ok;
}

AlbertSource *
AlbertFilesOpen(const char *directory, Oid relation, const char *name, AlbertArena *arena)
{
	AlbertSource *source;
	AlbertStatus status;

	if (directory[0] != '\0' ? !AlbertDirectoryOpen(directory, arena, &source, &status)
		: !open_table(relation, name, arena, &source, &status))
		AlbertReport(&status);
	return source;
}

AlbertSource *
AlbertRequestOpen(const AlbertRequest *request, AlbertArena *arena)
{
	const AlbertObject *object = &request->object;
	AlbertSource *source = AlbertFilesOpen(request->directory, object->relation, request->name, arena);
	uint8		digest[ALBERT_SHA256_LEN];

	if (!request->is_object)
		return source;
	AlbertDigest(source, digest);
	if (memcmp(digest, object->digest, ALBERT_SHA256_LEN) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the files of model \"%s\" are not those that it was made of", request->name),
				 errdetail("Their SHA-256 is another one than that of its description."),
				 request->directory[0] != '\0' ?
				 errhint("Put the old files back, or drop the model and make it anew.") : 0));
	return source;
}

/* ---- the SHA-256 of a model ---- */

static pg_cryptohash_ctx *
begin_hash(void)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	if (hash == NULL || pg_cryptohash_init(hash) < 0)
		elog(ERROR, "could not initialize SHA-256");
	return hash;
}

static void
add_hash(void *hash, const void *data, size_t size)
{
	if (pg_cryptohash_update(hash, data, size) < 0)
		elog(ERROR, "could not compute SHA-256");
}

static void
end_hash(pg_cryptohash_ctx *hash, uint8 *digest)
{
	if (pg_cryptohash_final(hash, digest, ALBERT_SHA256_LEN) < 0)
		elog(ERROR, "could not finish SHA-256");
	pg_cryptohash_free(hash);
}

void
AlbertSha256(const void *data, Size size, uint8 *digest)
{
	pg_cryptohash_ctx *hash = begin_hash();

	add_hash(hash, data, size);
	end_hash(hash, digest);
}

char *
AlbertHex(const uint8 *digest)
{
	char	   *text = palloc(2 * ALBERT_SHA256_LEN + 1);

	for (int i = 0; i < ALBERT_SHA256_LEN; i++)
		sprintf(text + 2 * i, "%02x", digest[i]);
	return text;
}

static int
compare_lines(const ListCell *a, const ListCell *b)
{
	/* the names, behind the digests */
	return strcmp((const char *) lfirst(a) + 2 * ALBERT_SHA256_LEN, (const char *) lfirst(b) + 2 * ALBERT_SHA256_LEN);
}

void
AlbertDigest(const AlbertSource *source, uint8 *digest)
{
	List	   *lines = NIL;
	ListCell   *cell;
	pg_cryptohash_ctx *hash;
	const AlbertSourceFile *file;

	for (int i = 0; (file = AlbertSourceGetFile(source, i)) != NULL; i++)
	{
		hash = begin_hash();
		AlbertFileEach(file->fd, file->name, file->size, add_hash, hash);
		end_hash(hash, digest);
		lines = lappend(lines, psprintf("%s  %s\n", AlbertHex(digest), file->name));
	}
	list_sort(lines, compare_lines);
	hash = begin_hash();
	foreach(cell, lines)
		add_hash(hash, lfirst(cell), strlen(lfirst(cell)));
	end_hash(hash, digest);
	list_free_deep(lines);
}

/* ---- what tells without reading them ---- */

uint64
AlbertFingerprint(const AlbertSource *source)
{
	uint64		hash = 0;
	const AlbertSourceFile *file;

	for (int i = 0; (file = AlbertSourceGetFile(source, i)) != NULL; i++)
	{
		struct stat st;
		uint64		facts[5] = {0};

		if (fstat(file->fd, &st) == 0)
		{
			facts[0] = st.st_dev;
			facts[1] = st.st_ino;
			facts[2] = st.st_mtim.tv_sec;
			facts[3] = st.st_mtim.tv_nsec;
		}
		facts[4] = file->size;
		hash = hash_combine64(hash, hash_bytes_extended((const unsigned char *) file->name, strlen(file->name), 0));
		hash = hash_combine64(hash, hash_bytes_extended((const unsigned char *) facts, sizeof(facts), 0));
	}
	return hash;
}
