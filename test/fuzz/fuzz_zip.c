/*
 * fuzz_zip.c
 *	  libFuzzer on the directory of a zip archive, and where its entries lie.
 */
#include "fuzz_directory.h"
#include "formats/checkpoints/internal.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AlbertSourceFile file = {.name = "archive", .size = size};
	AlbertArena arena;
	AlbertStatus status = {0};
	WeightsFile weights = {.file = &file, .scratch = &arena, .status = &status};
	ZipArchive	zip = {.weights = &weights};
	char		path[512];

	fuzz_begin();
	fuzz_write("archive", data, size);
	snprintf(path, sizeof(path), "%s/archive", fuzz_directory);
	file.fd = open(path, O_RDONLY);
	if (file.fd < 0)
		abort();
	AlbertArenaInitMalloc(&arena);
	if (AlbertZipOpen(&zip))
	{
		for (int i = 0; i < zip.nentries; i++)
		{
			const ZipEntry *entry = &zip.entries[i];
			int64_t		offset;

			if (AlbertNamesFind(zip.entries, zip.nentries, sizeof(ZipEntry), entry->name) == NULL)
				abort();
			if (AlbertZipData(&zip, entry, &offset) &&
				(offset < 0 || offset > file.size || entry->size > (uint64_t) (file.size - offset)))
				abort();
		}
	}
	else
		fuzz_check_refusal(&status);
	AlbertArenaFree(&arena);
	close(file.fd);
	return 0;
}
