/*
 * settings.c
 *	  The settings that say which models there are and how they are packed:
 *	  what they may be, and what follows when one changes.
 */
#include "store/registry.h"

#include "lib/stringinfo.h"
#include "utils/plancache.h"

static const struct config_enum_entry precision_options[] = {
	{"fp32", ALBERT_FP32, false},
	{"bf16", ALBERT_BF16, false},
	{"int8", ALBERT_INT8, false},
	{NULL, 0, false}
};

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
	ListCell   *cell;

	foreach(cell, AlbertModelDirectories(*newval))
	{
		const char *directory = lfirst(cell);

		if (!is_absolute_path(directory))
			GUC_check_errdetail("\"%s\" is not an absolute directory name.", directory);
		else if (strlen(directory) >= ALBERT_DIR_LEN)
			GUC_check_errdetail("A directory name has more than %d bytes.", ALBERT_DIR_LEN - 1);
		else
			continue;
		return false;
	}
	return true;
}

static bool
check_kernel(char **newval, void **extra, GucSource source)
{
	const AlbertKernels *kernels;
	AlbertStatus status;
	StringInfoData names;

	/* which one "auto" is, is found out when it is wanted */
	if (strcmp(*newval, "auto") == 0 || AlbertKernelsFind(*newval, ALBERT_FP32, &status) != NULL)
		return true;
	initStringInfo(&names);
	appendStringInfoString(&names, "auto");
	for (int i = 0; (kernels = AlbertKernelsAt(i)) != NULL; i++)
	{
		if (kernels->usable())
			appendStringInfo(&names, ", %s", kernels->name);
	}
	if (status.detail[0] != '\0')
		GUC_check_errdetail("%s", status.detail);
	GUC_check_errhint("Available values: %s.", names.data);
	pfree(names.data);
	return false;
}

/*
 * A name may stand for another model in this session now: what has been planned
 * may hold results of the one before (see invalidate.c).  Sessions that follow
 * a reload each come here, whether the value is another one or not.
 */
static void
settings_changed(void)
{
	albert_names_epoch++;
	ResetPlanCache();
}

static void
assign_string(const char *newval, void *extra)
{
	settings_changed();
}

static void
assign_bool(bool newval, void *extra)
{
	settings_changed();
}

static void
assign_enum(int newval, void *extra)
{
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
							   check_model_path, assign_string, NULL);

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
							 NULL, assign_enum, NULL);
	DefineCustomStringVariable("albert.kernel",
							   "Sets the kernel set that models are computed with.",
							   "\"auto\" is the fastest that this machine can run.",
							   &albert_kernel,
							   "auto",
							   PGC_SIGHUP, 0,
							   check_kernel, assign_string, NULL);
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
							 NULL, assign_bool, NULL);
	DefineCustomIntVariable("albert.load_lock_id",
							"Sets the advisory lock that every load of a model waits for.",
							"For tests: the lock's first key; its second is 0 for a model's text part and 1 for its "
							"weights. 0 is none.",
							&albert_load_lock_id,
							0, 0, INT_MAX,
							PGC_SUSET, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
							NULL, NULL, NULL);
}
