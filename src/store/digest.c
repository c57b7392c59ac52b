/*
 * digest.c
 *	  The SHA-256 of a model: of the lines "sha256sum" prints for its files.
 */
#include "store/registry.h"

#include <unistd.h>

#include "common/cryptohash.h"

#define CHUNK	(256 * 1024)

typedef struct DigestFile
{
	const char *name;
	int			fd;
	int64		size;
} DigestFile;

static int
compare_files(const void *a, const void *b)
{
	return strcmp(((const DigestFile *) a)->name, ((const DigestFile *) b)->name);
}

static pg_cryptohash_ctx *
begin_hash(void)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	if (hash == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (pg_cryptohash_init(hash) < 0)
		elog(ERROR, "could not initialize SHA-256");
	return hash;
}

static void
add_hash(pg_cryptohash_ctx *hash, const void *data, size_t size)
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

static void
digest_file(const DigestFile *file, char *buffer, uint8 *digest)
{
	pg_cryptohash_ctx *hash = begin_hash();
	int64		done = 0;

	while (done < file->size)
	{
		ssize_t		got = pread(file->fd, buffer, Min(CHUNK, file->size - done), done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_IO_ERROR),
					 got < 0 ?
					 errmsg("could not read file \"%s\": %m", file->name) :
					 errmsg("file \"%s\" has become shorter while it was read", file->name)));
		add_hash(hash, buffer, got);
		done += got;
		CHECK_FOR_INTERRUPTS();
	}
	end_hash(hash, digest);
}

void
AlbertDigest(const AlbertSource *source, uint8 digest[ALBERT_SHA256_LEN])
{
	DigestFile *files;
	pg_cryptohash_ctx *hash;
	char	   *buffer = palloc(CHUNK);
	int			nfiles = 0;
	int			fd;
	int64_t		size;
	int			i;
	int			j;

	while (AlbertSourceFile(source, nfiles, &fd, &size) != NULL)
		nfiles++;
	files = palloc0(sizeof(DigestFile) * Max(nfiles, 1));
	for (i = 0; i < nfiles; i++)
	{
		files[i].name = AlbertSourceFile(source, i, &files[i].fd, &size);
		files[i].size = size;
	}
	qsort(files, nfiles, sizeof(DigestFile), compare_files);

	hash = begin_hash();
	for (i = 0; i < nfiles; i++)
	{
		uint8		one[ALBERT_SHA256_LEN];
		char		hex[2 * ALBERT_SHA256_LEN + 1];

		digest_file(&files[i], buffer, one);
		for (j = 0; j < ALBERT_SHA256_LEN; j++)
			sprintf(hex + 2 * j, "%02x", one[j]);
		add_hash(hash, hex, 2 * ALBERT_SHA256_LEN);
		add_hash(hash, "  ", 2);
		add_hash(hash, files[i].name, strlen(files[i].name));
		add_hash(hash, "\n", 1);
	}
	end_hash(hash, digest);
	pfree(files);
	pfree(buffer);
}
