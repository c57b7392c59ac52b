/*
 * names.c
 *	  Models' names, the directories of albert.model_path, and who may use
 *	  what is in them.
 */
#include "store/registry.h"

#include <sys/stat.h>

#include "catalog/pg_authid.h"
#include "common/hashfn.h"
#include "utils/acl.h"

char	   *albert_model_path = NULL;
bool		albert_public_directory_models = true;

uint64		albert_names_epoch = 1;

/* ---- names ---- */

bool
AlbertModelNameIsValid(const char *name)
{
	const char *c;

	if (name[0] == '\0' || name[0] == '.' || strlen(name) >= ALBERT_NAME_LEN)
		return false;
	for (c = name; *c != '\0'; c++)
	{
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			  (*c >= '0' && *c <= '9') || *c == '_' || *c == '-' || *c == '.'))
			return false;
	}
	return true;
}

const char *
AlbertModelNameRule(void)
{
	StaticAssertStmt(ALBERT_NAME_LEN == 64, "the text below says how long a name may be");
	return _("A model's name has at most 63 letters (a to z, A to Z), digits, \"_\", \"-\" and \".\", and does not "
			 "begin with \".\".");
}

void
AlbertModelNameCheck(const char *name)
{
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no model is named"),
				 errhint("Name a model in the call, or set albert.model.")));
	if (!AlbertModelNameIsValid(name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid model name: \"%s\"", name),
				 errdetail_internal("%s", AlbertModelNameRule())));
}

/* ---- directories ---- */

List *
AlbertModelDirectories(const char *path)
{
	const char *macro = "$sharedir";
	List	   *directories = NIL;

	while (*(path += strspn(path, ":")) != '\0')
	{
		size_t		length = strcspn(path, ":");
		char	   *directory = pnstrdup(path, length);
		const char *rest = directory + strlen(macro);

		if (strncmp(directory, macro, strlen(macro)) == 0 && (*rest == '\0' || *rest == '/'))
			directory = psprintf("%s%s", AlbertSharePath(), rest);
		canonicalize_path(directory);
		directories = lappend(directories, directory);
		path += length;
	}
	return directories;
}

bool
AlbertModelDirectory(const char *name, char *directory)
{
	ListCell   *cell;

	foreach(cell, AlbertModelDirectories(albert_model_path))
	{
		struct stat st;

		snprintf(directory, ALBERT_PATH_LEN, "%s/%s", (char *) lfirst(cell), name);
		if (stat(directory, &st) == 0 && S_ISDIR(st.st_mode))
			return true;
	}
	return false;
}

uint64
AlbertPathHash(void)
{
	List	   *directories = AlbertModelDirectories(albert_model_path);
	uint64		hash = 0;
	ListCell   *cell;

	foreach(cell, directories)
		hash = hash_combine64(hash, hash_bytes_extended(lfirst(cell), strlen(lfirst(cell)), 0));
	list_free_deep(directories);
	return hash;
}

/* ---- who may use them ---- */

bool
AlbertMaySeePaths(void)
{
	return superuser() || has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_SETTINGS);
}

bool
AlbertMayUseDirectories(void)
{
	return albert_public_directory_models || !OidIsValid(MyDatabaseId) || superuser() ||
		has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES);
}

void
AlbertRequireDirectories(const char *name)
{
	if (!AlbertMayUseDirectories())
		AlbertModelMissing(name);
}

void
AlbertModelMissing(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" does not exist", name),
			 AlbertMaySeePaths() ?
			 errdetail("No directory of albert.model_path (%s) has a directory of that name.",
					   albert_model_path) : 0,
			 errhint("The models there are can be seen with: SELECT name, state FROM albert_models;")));
}
