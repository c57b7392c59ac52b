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
 * The share directory of the installation that the loaded library is part of:
 * the nearest directory above it has one as the server's root or prefix has
 * ("/usr/share/postgresql/15", "/share/postgresql/15", ...), or plain "share".
 */
static bool
beside_library(const char *library, const char *server_share, char *share)
{
	char		above[MAXPGPATH];

	strlcpy(above, library, sizeof(above));
	canonicalize_path(above);
	for (get_parent_directory(above); strlen(above) > 1; get_parent_directory(above))
	{
		for (const char *tail = server_share; tail != NULL; tail = strchr(tail + 1, '/'))
		{
			if (snprintf(share, MAXPGPATH, "%s%s", above, tail) < MAXPGPATH && has_control_file(share))
				return true;
		}
		if (snprintf(share, MAXPGPATH, "%s/share", above) < MAXPGPATH && has_control_file(share))
			return true;
	}
	return false;
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
	Dl_info		library;

	if (found[0] != '\0')
		return found;
	get_share_path(my_exec_path, server_share);
	if (dladdr((void *) AlbertSharePath, &library) != 0 && library.dli_fname != NULL &&
		is_absolute_path(library.dli_fname) && !path_is_prefix_of_path(pkglib_path, library.dli_fname) &&
		beside_library(library.dli_fname, server_share, share))
		return strcpy(found, share);
	return strcpy(found, on_control_path(server_share, share) ? share : server_share);
}
