/*
 * share_path.c
 *	  What $sharedir of albert.model_path stands for.
 *
 * It is the share directory that albert itself was installed into.  That is
 * the server's, unless the library was found through dynamic_library_path or
 * the control file through extension_control_path (PostgreSQL 18): an image of
 * the extension that is mounted beside the server brings its models along.
 */
#include "store/registry.h"

#include <dlfcn.h>
#include <unistd.h>

#include "miscadmin.h"
#include "utils/guc.h"

/* Was albert installed into this share directory? */
static bool
has_control_file(const char *share)
{
	char		path[MAXPGPATH];

	return snprintf(path, sizeof(path), "%s/extension/albert.control", share) < (int) sizeof(path) &&
		access(path, F_OK) == 0;
}

/*
 * The share directory that lies to the loaded library's directory as the
 * server's does to its own, for an installation under another root.
 */
static bool
beside_library(const char *libdir, const char *server_share, char *share)
{
	size_t		common = 0;
	const char *tail;
	size_t		length = strlen(libdir);

	for (size_t i = 0; pkglib_path[i] != '\0' && pkglib_path[i] == server_share[i]; i++)
	{
		if (pkglib_path[i] == '/')
			common = i;
	}
	tail = pkglib_path + common;
	if (length < strlen(tail) || strcmp(libdir + length - strlen(tail), tail) != 0)
		return false;
	return snprintf(share, MAXPGPATH, "%.*s%s",
					(int) (length - strlen(tail)), libdir, server_share + common) < MAXPGPATH;
}

/* The directory of extension_control_path where the control file is found. */
static bool
on_control_path(const char *server_share, char *share)
{
	const char *list = GetConfigOption("extension_control_path", true, false);
	const char *macro = "$system";

	while (list != NULL && *list != '\0')
	{
		size_t		length = strcspn(list, ":");
		bool		is_server = length == strlen(macro) && strncmp(list, macro, length) == 0;

		strlcpy(share, is_server ? server_share : list, is_server ? MAXPGPATH : Min(length + 1, MAXPGPATH));
		canonicalize_path(share);
		if (is_absolute_path(share) && has_control_file(share))
			return true;
		list += length + (list[length] == ':');
	}
	return false;
}

/* Worked out once: a library that is loaded stays where it is. */
const char *
AlbertSharePath(void)
{
	static char found[MAXPGPATH] = "";
	char		server_share[MAXPGPATH];
	char		share[MAXPGPATH];
	char		libdir[MAXPGPATH];
	Dl_info		library;

	if (found[0] != '\0')
		return found;
	get_share_path(my_exec_path, server_share);
	if (dladdr((void *) AlbertSharePath, &library) != 0 && library.dli_fname != NULL &&
		is_absolute_path(library.dli_fname))
	{
		strlcpy(libdir, library.dli_fname, sizeof(libdir));
		canonicalize_path(libdir);
		get_parent_directory(libdir);
		if (strcmp(libdir, pkglib_path) != 0)
		{
			if (beside_library(libdir, server_share, share) && has_control_file(share))
				return strcpy(found, share);
			get_parent_directory(libdir);
			if (snprintf(share, sizeof(share), "%s/share", libdir) < (int) sizeof(share) && has_control_file(share))
				return strcpy(found, share);
		}
	}
	return strcpy(found, on_control_path(server_share, share) ? share : server_share);
}
