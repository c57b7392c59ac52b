/*
 * settings.c
 *	  The settings that say which models there are and how they are packed;
 *	  from a model's name to its key in the registry and to its directory.
 */
#include "store/registry.h"

#include <sys/stat.h>

#include "catalog/pg_authid.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "utils/acl.h"
#include "utils/plancache.h"

char	   *albert_model = NULL;
char	   *albert_model_path = NULL;
char	   *albert_kernel = NULL;
char	   *albert_preload_models = NULL;
int			albert_load_lock_id = 0;
int			albert_precision = ALBERT_FP32;
int			albert_shared_memory_limit = -1;
bool		albert_public_directory_models = true;

/*
 * What AlbertRequestMake needs of the settings, worked out again only after one of
 * them has changed.  Until the epoch is 1 there is nothing.
 */
uint64		albert_settings_epoch = 1;
static uint64 resolved_epoch = 0;
static uint64 resolved_path = 0;
static const AlbertKernels *resolved_kernels = NULL;

static const struct config_enum_entry precision_options[] = {
	{"fp32", ALBERT_FP32, false},
	{"bf16", ALBERT_BF16, false},
	{"int8", ALBERT_INT8, false},
	{NULL, 0, false}
};

/* ---- names and directories ---- */

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

/*
 * The next directory of a colon-separated list, $sharedir replaced, moving
 * *list behind it; NULL at the end.
 */
static char *
next_directory(const char **list)
{
	const char *macro = "$sharedir";
	const char *start = *list;
	const char *end;
	StringInfoData entry;

	while (*start == ':')
		start++;
	if (*start == '\0')
		return NULL;
	end = start + strcspn(start, ":");
	*list = end;

	initStringInfo(&entry);
	if (strncmp(start, macro, strlen(macro)) == 0 &&
		(start + strlen(macro) == end || start[strlen(macro)] == '/'))
	{
		appendStringInfoString(&entry, AlbertSharePath());
		start += strlen(macro);
	}
	appendBinaryStringInfo(&entry, start, end - start);
	canonicalize_path(entry.data);
	return entry.data;
}

List *
AlbertModelDirectories(void)
{
	const char *list = albert_model_path;
	List	   *directories = NIL;
	char	   *directory;

	while ((directory = next_directory(&list)) != NULL)
		directories = lappend(directories, directory);
	return directories;
}

bool
AlbertModelDirectory(const char *name, char *directory)
{
	List	   *directories = AlbertModelDirectories();
	bool		found = false;
	ListCell   *cell;

	foreach(cell, directories)
	{
		struct stat st;

		snprintf(directory, ALBERT_PATH_LEN, "%s/%s", (char *) lfirst(cell), name);
		if (stat(directory, &st) == 0 && S_ISDIR(st.st_mode))
		{
			found = true;
			break;
		}
	}
	list_free_deep(directories);
	return found;
}

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

/* ---- keys ---- */

uint64
AlbertPathHash(void)
{
	const char *list = albert_model_path;
	uint64		hash = 0;
	char	   *directory;

	while ((directory = next_directory(&list)) != NULL)
	{
		hash = hash_combine64(hash,
							  hash_bytes_extended((unsigned char *) directory, strlen(directory), 0));
		pfree(directory);
	}
	return hash;
}

static void
resolve_settings(void)
{
	AlbertStatus status;

	resolved_kernels = AlbertKernelsFind(albert_kernel, albert_precision, &status);
	if (resolved_kernels == NULL)
		AlbertReport(&status);
	resolved_path = AlbertPathHash();
	resolved_epoch = albert_settings_epoch;
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

void
AlbertRequestMake(const char *name, AlbertRequest *request)
{
	AlbertKey  *key = &request->key;

	AlbertModelNameCheck(name);
	if (resolved_epoch != albert_settings_epoch)
		resolve_settings();
	memset(request, 0, sizeof(*request));
	strcpy(request->name, name);
	request->kernels = resolved_kernels;
	key->precision = albert_precision;
	request->is_object = AlbertObjectFind(name, &request->object);
	if (!request->is_object)
	{
		AlbertRequireDirectories(name);
		strcpy(key->name, name);
		key->path = resolved_path;
	}
	else
	{
		memcpy(key->identity, request->object.identity, ALBERT_SHA256_LEN);
		if (request->object.precision >= 0 && request->object.precision != albert_precision)
		{
			AlbertStatus status;

			key->precision = request->object.precision;
			request->kernels = AlbertKernelsFind(albert_kernel, key->precision, &status);
			if (request->kernels == NULL)
				AlbertReport(&status);
		}
	}
	key->kernels = request->kernels->id;
}

void
AlbertRequestFiles(AlbertRequest *request)
{
	if (!request->is_object)
	{
		if (!AlbertModelDirectory(request->name, request->directory))
			AlbertModelMissing(request->name);
	}
	else if (request->object.directory[0] != '\0' &&
			 !AlbertModelDirectory(request->object.directory, request->directory))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("the directory of model \"%s\" is not there", request->name),
				 errdetail("The model was made of the directory \"%s\" of albert.model_path.",
						   request->object.directory)));
}

/* ---- the settings themselves ---- */

static bool
check_model(char **newval, void **extra, GucSource source)
{
	if ((*newval)[0] == '\0' || AlbertModelNameIsValid(*newval))
		return true;
	GUC_check_errdetail("%s", AlbertModelNameRule());
	return false;
}

static bool
check_model_path(char **newval, void **extra, GucSource source)
{
	const char *list = *newval;
	char	   *directory;

	while ((directory = next_directory(&list)) != NULL)
	{
		bool		absolute = is_absolute_path(directory);
		bool		fits = strlen(directory) < ALBERT_DIR_LEN;

		if (!absolute)
			GUC_check_errdetail("\"%s\" is not an absolute directory name.", directory);
		else if (!fits)
			GUC_check_errdetail("A directory name has more than %d bytes.", ALBERT_DIR_LEN - 1);
		pfree(directory);
		if (!absolute || !fits)
			return false;
	}
	return true;
}

static bool
check_kernel(char **newval, void **extra, GucSource source)
{
	const AlbertKernels *kernels;
	StringInfoData names;
	int			i;

	if (strcmp(*newval, "auto") == 0)
		return true;
	initStringInfo(&names);
	appendStringInfoString(&names, "auto");
	for (i = 0; (kernels = AlbertKernelsAt(i)) != NULL; i++)
	{
		bool		usable = kernels->usable();

		if (strcmp(*newval, kernels->name) == 0)
		{
			if (!usable)
				GUC_check_errdetail("Kernel set \"%s\" cannot run on this machine.", kernels->name);
			pfree(names.data);
			return usable;
		}
		if (usable)
			appendStringInfo(&names, ", %s", kernels->name);
	}
	GUC_check_errhint("Available values: %s.", names.data);
	pfree(names.data);
	return false;
}

/*
 * A name stands for another model in this session now: what has been planned
 * may hold results of the one before (see invalidate.c).  Sessions that follow
 * a reload each come here.
 */
static void
settings_changed(void)
{
	albert_settings_epoch++;
	ResetPlanCache();
}

/*
 * A string is compared with a copy of the last one: the variable may point to
 * memory that the server has freed already, as in a parallel worker that takes
 * over its leader's settings.
 */
static void
string_assigned(char **last, const char *newval)
{
	if (*last != NULL && strcmp(newval, *last) == 0)
		return;
	free(*last);
	*last = strdup(newval);
	settings_changed();
}

static void
assign_model_path(const char *newval, void *extra)
{
	static char *last = NULL;

	string_assigned(&last, newval);
}

static void
assign_kernel(const char *newval, void *extra)
{
	static char *last = NULL;

	string_assigned(&last, newval);
}

static void
assign_public(bool newval, void *extra)
{
	if (newval != albert_public_directory_models)
		settings_changed();
}

static void
assign_precision(int newval, void *extra)
{
	if (newval != albert_precision)
		settings_changed();
}

void
AlbertSettingsInit(void)
{
	DefineCustomStringVariable("albert.model",
							   "Sets the model of albert functions that are called without one.",
							   NULL,
							   &albert_model,
							   "albert-mini",
							   PGC_USERSET, 0,
							   check_model, NULL, NULL);
	DefineCustomStringVariable("albert.model_path",
							   "Sets the directories in which models are looked for.",
							   "A colon-separated list of absolute directory names; $sharedir is the share directory "
							   "that albert was installed into.",
							   &albert_model_path,
							   "$sharedir/albert",
							   PGC_SUSET, 0,
							   check_model_path, assign_model_path, NULL);

	/*
	 * What a model's name stands for is the same in every session, or results
	 * of IMMUTABLE functions would depend on who computes them.
	 */
	DefineCustomEnumVariable("albert.precision",
							 "Sets the precision in which models' weights are kept.",
							 NULL,
							 &albert_precision,
							 ALBERT_FP32,
							 precision_options,
							 PGC_SIGHUP, 0,
							 NULL, assign_precision, NULL);
	DefineCustomStringVariable("albert.kernel",
							   "Sets the kernel set that models are computed with.",
							   "\"auto\" is the fastest that this machine can run.",
							   &albert_kernel,
							   "auto",
							   PGC_SIGHUP, 0,
							   check_kernel, assign_kernel, NULL);
	DefineCustomIntVariable("albert.shared_memory_limit",
							"Sets how much dynamic shared memory all models together may take.",
							"Models that nobody uses are put out for another one. -1 is half of what the system gives.",
							&albert_shared_memory_limit,
							-1, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MB,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("albert.public_directory_models",
							 "Lets everybody use the models in the directories of albert.model_path.",
							 "When off, members of pg_read_server_files may, and others use models of the database.",
							 &albert_public_directory_models,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, assign_public, NULL);

	/*
	 * Models are preloaded at server start or not at all.  The setting exists
	 * in any case, so that a server which has it but not the preloaded library
	 * does not warn every session of an unknown setting.
	 */
	DefineCustomStringVariable("albert.preload_models",
							   "Lists models to load into shared memory at server start.",
							   "Needs albert in shared_preload_libraries.",
							   &albert_preload_models,
							   "",
							   process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP,
							   0,
							   NULL, NULL, NULL);
	DefineCustomIntVariable("albert.load_lock_id",
							"Sets the advisory lock that every load of a model waits for.",
							"For tests: the lock's first key; its second is 0 for a model's text part and 1 for its "
							"weights. 0 is none.",
							&albert_load_lock_id,
							0, 0, INT_MAX,
							PGC_SUSET, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
							NULL, NULL, NULL);
}
