/*
 * files.c
 *	  Files of the server that are read and written whole: a model's, for its
 *	  digest, its export and the copy of a table's; the registry's note.
 */
#include "store/registry.h"

#include <fcntl.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"

void
AlbertFileCreate(AlbertFile *file, const char *path, int flags)
{
	/* not where somebody has put a link */
	file->fd = OpenTransientFile(path, O_WRONLY | O_CREAT | O_NOFOLLOW | PG_BINARY | flags);
	file->name = path;
	file->end = 0;
	if (file->fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", path)));
}

void
AlbertFileAppend(void *context, const void *bytes, size_t size)
{
	AlbertFile *file = context;
	const char *from = bytes;

	while (size > 0)
	{
		ssize_t		done;

		CHECK_FOR_INTERRUPTS();
		errno = 0;
		done = pwrite(file->fd, from, Min(size, ALBERT_FILE_CHUNK), file->end);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
		{
			if (errno == 0)
				errno = ENOSPC;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write file \"%s\": %m", file->name)));
		}
		from += done;
		file->end += done;
		size -= done;
	}
}

void
AlbertFileClose(AlbertFile *file)
{
	if (CloseTransientFile(file->fd) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not close file \"%s\": %m", file->name)));
}

void
AlbertDirectoryMake(const char *path)
{
	if (MakePGDirectory(path) != 0 && errno != EEXIST)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", path)));
}

void
AlbertFileEach(int fd, const char *name, int64 size, AlbertWriteBytes take, void *context)
{
	char	   *buffer = palloc(ALBERT_FILE_CHUNK);
	int64		done = 0;

	while (done < size)
	{
		ssize_t		got = pread(fd, buffer, Min(ALBERT_FILE_CHUNK, size - done), done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_IO_ERROR),
					 got < 0 ?
					 errmsg("could not read file \"%s\": %m", name) :
					 errmsg("file \"%s\" has become shorter while it was read", name)));
		take(context, buffer, got);
		done += got;
		CHECK_FOR_INTERRUPTS();
	}
	pfree(buffer);
}
