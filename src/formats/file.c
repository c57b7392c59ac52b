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
AlbertNameJoin(AlbertSource *source, const char *first, const char *second)
{
	size_t		first_size = strlen(first);
	size_t		second_size = strlen(second);
	char	   *name = AlbertArenaAlloc(source->arena, first_size + second_size + 1);

	if (name == NULL)
		return NULL;
	memcpy(name, first, first_size);
	memcpy(name + first_size, second, second_size + 1);
	return name;
}

const char *
AlbertFilePath(AlbertSource *source, const char *base, const char *name)
{
	const char *directory = base;

	if (base[0] != '\0')
		directory = AlbertNameJoin(source, base, "/");
	return directory == NULL ? NULL : AlbertNameJoin(source, directory, name);
}

bool
AlbertFileExists(AlbertSource *source, const char *name)
{
	struct stat st;

	return fstatat(source->directory, name, &st, 0) == 0;
}

/* A checkout without Git LFS leaves small text files in the place of large ones. */
static bool
is_lfs_pointer(const SourceFile *file)
{
	char		start[sizeof(LFS_START) - 1];

	return file->size >= (int64_t) sizeof(start) && file->size <= 1024 &&
		pread(file->fd, start, sizeof(start), 0) == (ssize_t) sizeof(start) &&
		memcmp(start, LFS_START, sizeof(start)) == 0;
}

static bool
check_file(SourceFile *file, AlbertStatus *status)
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

int
AlbertFileOpen(AlbertSource *source, const char *name, AlbertStatus *status)
{
	SourceFile	file;

	if (source->nfiles >= MAX_FILES)
	{
		AlbertFail(status, ALBERT_UNSUPPORTED, "model directory has too many files");
		AlbertDetail(status, "At most %d files can make up a model.", MAX_FILES);
		return -1;
	}
	file.name = AlbertNameJoin(source, name, "");
	if (file.name == NULL)
	{
		AlbertNoMemory(status);
		return -1;
	}
	file.size = 0;
	/* O_NONBLOCK: a FIFO must not make us wait for its writer */
	file.fd = openat(source->directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file.fd < 0)
	{
		if (errno == ENOENT)
			AlbertFail(status, ALBERT_NOT_FOUND, "model directory has no file \"%s\"", name);
		else
			AlbertFail(status, ALBERT_IO, "could not open file \"%s\": %s", name, strerror(errno));
		return -1;
	}
	if (!check_file(&file, status))
	{
		close(file.fd);
		return -1;
	}
	source->files[source->nfiles] = file;
	return source->nfiles++;
}

bool
AlbertFileRead(const SourceFile *file, int64_t offset, void *dest, size_t size,
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
AlbertFileReadAll(AlbertSource *source, int number, size_t limit,
				  char **data, size_t *size, AlbertStatus *status)
{
	const SourceFile *file = &source->files[number];

	if (file->size > (int64_t) limit)
	{
		AlbertFail(status, ALBERT_FORMAT, "file \"%s\" is too large", file->name);
		return AlbertDetail(status, "It has %lld bytes; at most %zu are expected.",
							(long long) file->size, limit);
	}
	*size = file->size;
	*data = AlbertArenaAlloc(source->arena, *size + 1);
	if (*data == NULL)
		return AlbertNoMemory(status);
	(*data)[*size] = '\0';
	return AlbertFileRead(file, 0, *data, *size, status);
}
