/*
 * zip.c
 *	  The central directory of a zip archive, zip64 included.
 *
 * PyTorch stores every record as it is, so nothing is unpacked here: entries
 * that are compressed or encrypted are refused when they are asked for.
 */
#include "formats/checkpoints/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define END_SIZE			22	/* of the end record without its comment */
#define END64_SIZE			56
#define LOCATOR_SIZE		20
#define ENTRY_SIZE			46
#define LOCAL_SIZE			30
#define LONGEST_COMMENT		65535

static bool
bad_zip(const SourceFile *file, const char *what, AlbertStatus *status)
{
	return AlbertFail(status, ALBERT_FORMAT, "file \"%s\" is a damaged zip archive: %s",
					  file->name, what);
}

typedef struct Directory
{
	uint64_t	entries;
	uint64_t	size;
	uint64_t	offset;
	int64_t		end;			/* the records behind it begin here */
} Directory;

/* A zip64 end record, when there is a locator in front of the plain one. */
static bool
read_end64(const SourceFile *file, int64_t end, Directory *directory, AlbertStatus *status)
{
	unsigned char locator[LOCATOR_SIZE];
	unsigned char record[END64_SIZE];
	uint64_t	offset;

	if (end < LOCATOR_SIZE)
		return true;
	if (!AlbertFileRead(file, end - LOCATOR_SIZE, locator, LOCATOR_SIZE, status))
		return false;
	if (memcmp(locator, "PK\6\7", 4) != 0)
		return true;
	offset = AlbertLittleEndian(locator + 8, 8);
	if (offset > (uint64_t) end || end - offset < END64_SIZE + LOCATOR_SIZE)
		return bad_zip(file, "its zip64 end record lies outside the file", status);
	if (!AlbertFileRead(file, offset, record, END64_SIZE, status))
		return false;
	if (memcmp(record, "PK\6\6", 4) != 0)
		return bad_zip(file, "it has no zip64 end record", status);
	directory->entries = AlbertLittleEndian(record + 32, 8);
	directory->size = AlbertLittleEndian(record + 40, 8);
	directory->offset = AlbertLittleEndian(record + 48, 8);
	directory->end = offset;
	return true;
}

/* The end record is the last thing in the file but for a comment. */
static bool
find_end(const SourceFile *file, AlbertArena *arena, Directory *directory, AlbertStatus *status)
{
	int64_t		most = END_SIZE + LONGEST_COMMENT;
	int64_t		size = file->size < most ? file->size : most;
	unsigned char *tail = AlbertArenaAlloc(arena, size);

	if (tail == NULL)
		return AlbertNoMemory(status);
	if (!AlbertFileRead(file, file->size - size, tail, size, status))
		return false;
	for (int64_t i = size - END_SIZE; i >= 0; i--)
	{
		const unsigned char *record = tail + i;

		if (memcmp(record, "PK\5\6", 4) != 0 ||
			i + END_SIZE + (int64_t) AlbertLittleEndian(record + 20, 2) != size)
			continue;
		directory->entries = AlbertLittleEndian(record + 10, 2);
		directory->size = AlbertLittleEndian(record + 12, 4);
		directory->offset = AlbertLittleEndian(record + 16, 4);
		directory->end = file->size - size + i;
		return read_end64(file, directory->end, directory, status);
	}
	return bad_zip(file, "it has no end record", status);
}

/* Values of 0xffffffff stand in the zip64 extra field instead, in this order. */
static bool
read_extra(const SourceFile *file, const unsigned char *extra, size_t size, uint64_t *full_size,
		   uint64_t *stored_size, uint64_t *header, AlbertStatus *status)
{
	uint64_t   *values[3] = {full_size, stored_size, header};

	while (size >= 4)
	{
		size_t		length = AlbertLittleEndian(extra + 2, 2);

		if (length > size - 4)
			return bad_zip(file, "an extra field is too long", status);
		if (AlbertLittleEndian(extra, 2) == 1)
		{
			const unsigned char *at = extra + 4;
			size_t		left = length;

			for (int i = 0; i < 3; i++)
			{
				if (*values[i] != 0xffffffff)
					continue;
				if (left < 8)
					return bad_zip(file, "a zip64 field is too short", status);
				*values[i] = AlbertLittleEndian(at, 8);
				at += 8;
				left -= 8;
			}
			return true;
		}
		extra += 4 + length;
		size -= 4 + length;
	}
	return true;
}

static bool
read_entry(const SourceFile *file, const unsigned char *record, size_t left, int64_t end,
		   AlbertArena *arena, ZipEntry *entry, size_t *used, AlbertStatus *status)
{
	uint64_t	stored_size;
	uint64_t	full_size;
	uint64_t	header;
	size_t		name_size;
	size_t		extra_size;
	char	   *name;

	if (left < ENTRY_SIZE || memcmp(record, "PK\1\2", 4) != 0)
		return bad_zip(file, "its directory ends too early", status);
	name_size = AlbertLittleEndian(record + 28, 2);
	extra_size = AlbertLittleEndian(record + 30, 2);
	*used = ENTRY_SIZE + name_size + extra_size + AlbertLittleEndian(record + 32, 2);
	if (*used > left || name_size > MAX_TENSOR_NAME)
		return bad_zip(file, "an entry of its directory is too long", status);
	stored_size = AlbertLittleEndian(record + 20, 4);
	full_size = AlbertLittleEndian(record + 24, 4);
	header = AlbertLittleEndian(record + 42, 4);
	if (!read_extra(file, record + ENTRY_SIZE + name_size, extra_size, &full_size,
					&stored_size, &header, status))
		return false;
	if (header > (uint64_t) end || stored_size > end - header || full_size > INT64_MAX)
		return bad_zip(file, "an entry lies outside the file", status);
	if (memchr(record + ENTRY_SIZE, '\0', name_size) != NULL)
		return bad_zip(file, "a name contains a zero byte", status);
	name = AlbertArenaAlloc(arena, name_size + 1);
	if (name == NULL)
		return AlbertNoMemory(status);
	memcpy(name, record + ENTRY_SIZE, name_size);
	name[name_size] = '\0';
	entry->name = name;
	entry->encrypted = (AlbertLittleEndian(record + 8, 2) & 1) != 0;
	entry->method = AlbertLittleEndian(record + 10, 2);
	entry->size = stored_size;
	entry->full_size = full_size;
	entry->header = header;
	return true;
}

static int
compare_entries(const void *a, const void *b)
{
	return strcmp(((const ZipEntry *) a)->name, ((const ZipEntry *) b)->name);
}

static bool
read_directory(const SourceFile *file, const Directory *directory, AlbertArena *arena,
			   ZipArchive *zip, AlbertStatus *status)
{
	unsigned char *bytes = AlbertArenaAlloc(arena, directory->size);
	size_t		at = 0;

	zip->entries = AlbertArenaArray(arena, directory->entries, sizeof(ZipEntry));
	if (bytes == NULL || zip->entries == NULL)
		return AlbertNoMemory(status);
	if (!AlbertFileRead(file, directory->offset, bytes, directory->size, status))
		return false;
	zip->file = file;
	zip->end = directory->offset;
	for (zip->nentries = 0; zip->nentries < (int) directory->entries; zip->nentries++)
	{
		size_t		used = 0;

		if (!read_entry(file, bytes + at, directory->size - at, zip->end, arena,
						&zip->entries[zip->nentries], &used, status))
			return false;
		at += used;
	}
	if (zip->nentries > 1)
		qsort(zip->entries, zip->nentries, sizeof(ZipEntry), compare_entries);
	for (int i = 1; i < zip->nentries; i++)
		if (compare_entries(&zip->entries[i - 1], &zip->entries[i]) == 0)
			return bad_zip(file, "two entries have the same name", status);
	return true;
}

bool
AlbertZipOpen(const SourceFile *file, AlbertArena *arena, ZipArchive *zip, AlbertStatus *status)
{
	Directory	directory = {0};

	if (!find_end(file, arena, &directory, status))
		return false;
	if (directory.offset > (uint64_t) directory.end ||
		directory.size > directory.end - directory.offset)
		return bad_zip(file, "its directory lies outside the file", status);
	if (directory.entries > MAX_ZIP_ENTRIES || directory.size > MAX_ZIP_DIRECTORY ||
		directory.entries > directory.size / ENTRY_SIZE)
		return bad_zip(file, "its directory has an impossible size", status);
	return read_directory(file, &directory, arena, zip, status);
}

const ZipEntry *
AlbertZipFind(const ZipArchive *zip, const char *name)
{
	ZipEntry	key;

	if (zip->nentries == 0)
		return NULL;
	key.name = name;
	return bsearch(&key, zip->entries, zip->nentries, sizeof(ZipEntry), compare_entries);
}

bool
AlbertZipData(const ZipArchive *zip, const ZipEntry *entry, int64_t *offset, AlbertStatus *status)
{
	const SourceFile *file = zip->file;
	unsigned char local[LOCAL_SIZE];

	if (entry->method != 0 || entry->encrypted || entry->size != entry->full_size)
	{
		AlbertFail(status, ALBERT_UNSUPPORTED, "entry \"%.200s\" of file \"%s\" is %s",
				   entry->name, file->name, entry->encrypted ? "encrypted" : "compressed");
		return AlbertHint(status, "PyTorch stores its records uncompressed; save the model again with it.");
	}
	if (zip->end - entry->header < LOCAL_SIZE)
		return bad_zip(file, "an entry lies outside the file", status);
	if (!AlbertFileRead(file, entry->header, local, LOCAL_SIZE, status))
		return false;
	if (memcmp(local, "PK\3\4", 4) != 0)
		return bad_zip(file, "an entry has no header", status);
	*offset = entry->header + LOCAL_SIZE + AlbertLittleEndian(local + 26, 2) + AlbertLittleEndian(local + 28, 2);
	if (*offset > zip->end || entry->size > zip->end - *offset)
		return bad_zip(file, "an entry lies outside the file", status);
	return true;
}
