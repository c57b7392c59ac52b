/*
 * digest.c
 *	  The SHA-256 of a model: of the lines "sha256sum" prints for its files.
 */
#include "store/registry.h"

#include "common/cryptohash.h"

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

static void
digest_file(const DigestFile *file, uint8 *digest)
{
	pg_cryptohash_ctx *hash = begin_hash();

	AlbertFileEach(file->fd, file->name, file->size, add_hash, hash);
	end_hash(hash, digest);
}

void
AlbertDigest(const AlbertSource *source, uint8 digest[ALBERT_SHA256_LEN])
{
	DigestFile *files;
	pg_cryptohash_ctx *hash;
	int			nfiles = AlbertSourceFileCount(source);
	int64_t		size;
	int			i;
	int			j;

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

		digest_file(&files[i], one);
		for (j = 0; j < ALBERT_SHA256_LEN; j++)
			sprintf(hex + 2 * j, "%02x", one[j]);
		add_hash(hash, hex, 2 * ALBERT_SHA256_LEN);
		add_hash(hash, "  ", 2);
		add_hash(hash, files[i].name, strlen(files[i].name));
		add_hash(hash, "\n", 1);
	}
	end_hash(hash, digest);
	pfree(files);
}
