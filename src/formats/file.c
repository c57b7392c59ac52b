/*
 * file.c
 *	  Opening and reading the files of a model directory.
 *
 * Everything is read with pread, never mapped: a file that shrinks while it
 * is read gives an error, not a signal.  Links are followed, since the hub's
 * cache consists of them; what they lead to must be a regular file.
 */
#include "formats/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LFS_START	"version https://git-lfs"

bool
AlbertPlainName(const char *name)
{
	return name[0] != '\0' && strlen(name) <= 255 && strchr(name, '/') == NULL &&
		strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

const char *
AlbertFilePath(AlbertSource *source, const char *base, const char *name)
{
	return AlbertNameFormat(source->arena, "%s%s%s", base, base[0] == '\0' ? "" : "/", name);
}

bool
AlbertFileExists(const AlbertSource *source, const char *base, const char *name)
{
	char		path[MAX_PATH];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s%s", base, base[0] == '\0' ? "" : "/", name);
	return fstatat(source->directory, path, &st, 0) == 0;
}

/* A checkout without Git LFS leaves small text files in the place of large ones. */
static bool
is_lfs_pointer(const AlbertSourceFile *file)
{
	char		start[sizeof(LFS_START) - 1];

	return file->size >= (int64_t) sizeof(start) && file->size <= 1024 &&
		pread(file->fd, start, sizeof(start), 0) == (ssize_t) sizeof(start) &&
		memcmp(start, LFS_START, sizeof(start)) == 0;
}

static bool
check_file(AlbertSourceFile *file, AlbertStatus *status)
{
	struct stat st;

	if (fstat(file->fd, &st) != 0)
		return AlbertFail(status, ALBERT_IO, "could not stat file \"%s\": %s",
						  file->name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return AlbertFail(status, ALBERT_IO, "\"%s\" is not a regular file", file->name);
	file->size = st.st_size;
	if (is_lfs_pointer(file))
	{
		AlbertFail(status, ALBERT_FORMAT, "file \"%s\" is a Git LFS pointer, not the file itself",
				   file->name);
		return AlbertHint(status, "Fetch the real files with \"git lfs pull\", or download them from the hub.");
	}
	return true;
}

bool
AlbertFileOpen(AlbertSource *source, const char *base, const char *name, const AlbertSourceFile **result,
			   AlbertStatus *status)
{
	AlbertSourceFile *file = source->files;
	const char *path = AlbertFilePath(source, base, name);

	if (path == NULL)
		return AlbertNoMemory(status);
	while (file < source->files + source->nfiles && strcmp(file->name, path) != 0)
		file++;
	*result = file;
	if (file < source->files + source->nfiles)
		return true;
	if (source->nfiles == MAX_FILES)
	{
		AlbertFail(status, ALBERT_UNSUPPORTED, "model directory has too many files");
		return AlbertDetail(status, "At most %d files can make up a model.", MAX_FILES);
	}
	/* O_NONBLOCK: a FIFO must not make us wait for its writer */
	*file = (AlbertSourceFile) {
		.name = path, .fd = openat(source->directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
	};
	if (file->fd < 0 && errno == ENOENT)
		return AlbertFail(status, ALBERT_NOT_FOUND, "model directory has no file \"%s\"", path);
	if (file->fd < 0)
		return AlbertFail(status, ALBERT_IO, "could not open file \"%s\": %s", path, strerror(errno));
	if (!check_file(file, status))
	{
		close(file->fd);
		return false;
	}
	source->nfiles++;
	return true;
}

bool
AlbertFileRead(const AlbertSourceFile *file, int64_t offset, void *dest, size_t size,
			   AlbertStatus *status)
{
	char	   *to = dest;

	while (size > 0)
	{
		ssize_t		got = pread(file->fd, to, size, offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return AlbertFail(status, ALBERT_IO, "could not read file \"%s\": %s",
							  file->name, strerror(errno));
		if (got == 0)
			return AlbertFail(status, ALBERT_IO, "file \"%s\" ended at byte %lld while it was read",
							  file->name, (long long) offset);
		to += got;
		offset += got;
		size -= got;
	}
	return true;
}

bool
AlbertFileBytes(const AlbertSourceFile *file, int64_t offset, size_t size, AlbertArena *arena, AlbertSpan *bytes,
				AlbertStatus *status)
{
	unsigned char *data = AlbertArenaAlloc(arena, size);

	if (data == NULL)
		return AlbertNoMemory(status);
	bytes->at = data;
	bytes->end = data + size;
	return AlbertFileRead(file, offset, data, size, status);
}

bool
AlbertFileReadAll(const AlbertSourceFile *file, size_t limit, AlbertArena *arena, AlbertSpan *bytes,
				  AlbertStatus *status)
{
	if (file->size <= (int64_t) limit)
		return AlbertFileBytes(file, 0, file->size, arena, bytes, status);
	AlbertFail(status, ALBERT_FORMAT, "file \"%s\" is too large", file->name);
	return AlbertDetail(status, "It has %lld bytes; at most %zu are expected.", (long long) file->size, limit);
}

bool
AlbertJsonFile(AlbertSource *source, const char *base, const char *name, bool required,
			   json_type type, AlbertJsonText *json, AlbertStatus *status)
{
	AlbertArenaMark mark;
	const AlbertSourceFile *file;
	AlbertSpan	text;

	*json = (AlbertJsonText) {NULL, name};
	if (!required && !AlbertFileExists(source, base, name))
		return true;
	if (!AlbertFileOpen(source, base, name, &file, status))
		return false;
	json->file = file->name;
	mark = AlbertArenaGetMark(source->arena);
	if (AlbertFileReadAll(file, MAX_JSON_FILE, source->arena, &text, status))
		json->root = AlbertJsonParse(source->documents, (const char *) text.at, AlbertSpanSize(text),
									 JSON_REJECT_DUPLICATES, type, "file", json->file, status);
	AlbertArenaRewind(source->arena, mark);
	return json->root != NULL;
}

char *
AlbertJsonDump(AlbertArena *arena, const json_t *value, size_t flags)
{
	size_t		size = json_dumpb(value, NULL, 0, flags);
	char	   *text = size == 0 ? NULL : AlbertArenaAllocZero(arena, size + 1);

	if (text != NULL)
		json_dumpb(value, text, size, flags);
	return text;
}
