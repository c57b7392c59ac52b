/*
 * zip.c
 *	  The central directory of a zip archive, zip64 included.
 *
 * PyTorch stores every record as it is, so nothing is unpacked here: entries
 * that are compressed or encrypted are refused when they are asked for.
 */
#include "formats/checkpoints/internal.h"

#include <string.h>

#define END_SIZE			22	/* of the end record without its comment */
#define END64_SIZE			56	/* of zip64's, which is in front of its locator */
#define LOCATOR_SIZE		20
#define ENTRY_SIZE			46
#define LOCAL_SIZE			30
#define LONGEST_COMMENT		65535

static bool
bad_zip(const ZipArchive *zip, const char *what)
{
	return AlbertWeightsBad(zip->weights, "its zip archive has %s", what);
}

/* ---- the end record, which tells where the directory is ---- */

static bool
is_end(const unsigned char *record, int64_t left)
{
	return memcmp(record, "PK\5\6", 4) == 0 && END_SIZE + (int64_t) AlbertLittleEndian(record + 20, 2) == left;
}

/* It is the last thing in the file but for a comment.  With zip64 there are two more in front of it. */
static bool
find_directory(ZipArchive *zip, uint64_t *size)
{
	const WeightsFile *weights = zip->weights;
	int64_t		most = END64_SIZE + LOCATOR_SIZE + END_SIZE + LONGEST_COMMENT;
	int64_t		tail_size = weights->file->size < most ? weights->file->size : most;
	int64_t		start = weights->file->size - tail_size;
	int64_t		at = tail_size - END_SIZE;
	AlbertSpan	tail;

	if (!AlbertFileBytes(weights->file, start, tail_size, weights->scratch, &tail, weights->status))
		return false;
	while (at >= 0 && !is_end(tail.at + at, tail_size - at))
		at--;
	if (at < 0)
		return bad_zip(zip, "no end record");
	*size = AlbertLittleEndian(tail.at + at + 12, 4);
	zip->end = AlbertLittleEndian(tail.at + at + 16, 4);
	if (at >= END64_SIZE + LOCATOR_SIZE && memcmp(tail.at + at - LOCATOR_SIZE, "PK\6\7", 4) == 0)
	{
		at -= LOCATOR_SIZE + END64_SIZE;
		if (memcmp(tail.at + at, "PK\6\6", 4) != 0)
			return bad_zip(zip, "no zip64 end record");
		*size = AlbertLittleEndian(tail.at + at + 40, 8);
		zip->end = AlbertLittleEndian(tail.at + at + 48, 8);
	}
	if (zip->end > (uint64_t) (start + at) || *size > start + at - zip->end)
		return bad_zip(zip, "a directory outside the file");
	return *size <= MAX_ZIP_DIRECTORY || bad_zip(zip, "a directory of an impossible size");
}

/* ---- the directory ---- */

/* Numbers of 0xffffffff are in the extra field of zip64, in the order that they have here. */
static bool
read_extra(const ZipArchive *zip, AlbertSpan extra, uint64_t *numbers, int n)
{
	while (AlbertSpanSize(extra) >= 4)
	{
		const unsigned char *at = extra.at + 4;
		size_t		length = AlbertLittleEndian(extra.at + 2, 2);
		bool		is_zip64 = AlbertLittleEndian(extra.at, 2) == 1;

		if (length > AlbertSpanSize(extra) - 4)
			return bad_zip(zip, "an extra field that is too long");
		extra.at = at + length;
		for (int i = 0; is_zip64 && i < n; i++)
		{
			if (numbers[i] != 0xffffffff)
				continue;
			if (extra.at - at < 8)
				return bad_zip(zip, "a zip64 field that is too short");
			numbers[i] = AlbertLittleEndian(at, 8);
			at += 8;
		}
	}
	return true;
}

static bool
read_entry(ZipArchive *zip, AlbertSpan *directory)
{
	const unsigned char *record = directory->at;
	ZipEntry   *entry = &zip->entries[zip->nentries++];
	size_t		left = AlbertSpanSize(*directory);
	size_t		name_size;
	size_t		extra_size;
	size_t		used;
	AlbertSpan	extra;
	uint64_t	numbers[3];		/* full size, stored size, header */

	if (left < ENTRY_SIZE || memcmp(record, "PK\1\2", 4) != 0)
		return bad_zip(zip, "a directory that ends too early");
	name_size = AlbertLittleEndian(record + 28, 2);
	extra_size = AlbertLittleEndian(record + 30, 2);
	used = ENTRY_SIZE + name_size + extra_size + AlbertLittleEndian(record + 32, 2);
	if (used > left || name_size > MAX_TENSOR_NAME)
		return bad_zip(zip, "an entry that is too long");
	directory->at += used;
	extra.at = record + ENTRY_SIZE + name_size;
	extra.end = extra.at + extra_size;
	numbers[0] = AlbertLittleEndian(record + 24, 4);
	numbers[1] = AlbertLittleEndian(record + 20, 4);
	numbers[2] = AlbertLittleEndian(record + 42, 4);
	if (!read_extra(zip, extra, numbers, LENGTH(numbers)))
		return false;
	entry->size = numbers[1];
	entry->header = numbers[2];
	if (entry->header > zip->end || entry->size > zip->end - entry->header)
		return bad_zip(zip, "an entry outside the file");
	if (memchr(record + ENTRY_SIZE, '\0', name_size) != NULL)
		return bad_zip(zip, "a name with a zero byte");
	entry->name = AlbertNameFormat(zip->weights->scratch, "%.*s", (int) name_size, (const char *) record + ENTRY_SIZE);
	/* the flag for encryption, and the method of compression */
	entry->plain = (AlbertLittleEndian(record + 8, 2) & 1) == 0 && AlbertLittleEndian(record + 10, 2) == 0 &&
		numbers[0] == numbers[1];
	return entry->name != NULL || AlbertNoMemory(zip->weights->status);
}

bool
AlbertZipOpen(ZipArchive *zip)
{
	const WeightsFile *weights = zip->weights;
	uint64_t	size = 0;		/* gcc does not see at -O1 that it is always set */
	AlbertSpan	directory;

	if (!find_directory(zip, &size) ||
		!AlbertFileBytes(weights->file, zip->end, size, weights->scratch, &directory, weights->status))
		return false;
	zip->entries = AlbertArenaArray(weights->scratch, size / ENTRY_SIZE + 1, sizeof(ZipEntry));
	if (zip->entries == NULL)
		return AlbertNoMemory(weights->status);
	while (directory.at < directory.end)
		if (!read_entry(zip, &directory))
			return false;
	return AlbertNamesSort(zip->entries, zip->nentries, sizeof(ZipEntry)) == NULL ||
		bad_zip(zip, "two entries of the same name");
}

bool
AlbertZipData(const ZipArchive *zip, const ZipEntry *entry, int64_t *offset)
{
	const WeightsFile *weights = zip->weights;
	unsigned char local[LOCAL_SIZE];
	uint64_t	data;

	if (!entry->plain)
	{
		AlbertFail(weights->status, ALBERT_UNSUPPORTED, "entry \"%.200s\" of file \"%s\" is compressed or encrypted",
				   entry->name, weights->file->name);
		return AlbertHint(weights->status, "PyTorch stores its records as they are; save the model again with it.");
	}
	if (zip->end - entry->header < LOCAL_SIZE)
		return bad_zip(zip, "an entry outside the file");
	if (!AlbertFileRead(weights->file, entry->header, local, LOCAL_SIZE, weights->status))
		return false;
	if (memcmp(local, "PK\3\4", 4) != 0)
		return bad_zip(zip, "an entry without a header");
	data = entry->header + LOCAL_SIZE + AlbertLittleEndian(local + 26, 2) + AlbertLittleEndian(local + 28, 2);
	if (data > zip->end || entry->size > zip->end - data)
		return bad_zip(zip, "an entry outside the file");
	*offset = (int64_t) data;
	return true;
}
