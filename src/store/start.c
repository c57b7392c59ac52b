/*
 * start.c
 *	  What is set up when the library is loaded; and, with albert in
 *	  shared_preload_libraries, the models of albert.preload_models, which a
 *	  worker of the server loads as soon as that runs.
 *
 * They lie where all models do, and are the first ones there.  A model that
 * cannot be loaded is an error in the log, and fails again when it is used.
 */
#include "store/registry.h"

#include "access/xact.h"
#include "postmaster/bgworker.h"
#include "tcop/tcopprot.h"

static char *albert_preload_models = NULL;

static void
preload(const char *name)
{
	MemoryContext context = CurrentMemoryContext;

	StartTransactionCommand();
	PG_TRY();
	{
		AlbertStoreLoad(name);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
}

/* The worker: it has no database, so that a model is what albert.model_path of the server says. */
PGDLLEXPORT void AlbertPreloadWorker(Datum arg);

void
AlbertPreloadWorker(Datum arg)
{
	char	   *names = pstrdup(albert_preload_models);
	char	   *rest;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	for (char *name = strtok_r(names, ", \t\n", &rest); name != NULL; name = strtok_r(NULL, ", \t\n", &rest))
		preload(name);
}

static void
register_worker(void)
{
	BackgroundWorker worker = {
		.bgw_name = "albert preload",
		.bgw_type = "albert preload",
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_ConsistentState,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_library_name = "albert",
		.bgw_function_name = "AlbertPreloadWorker"
	};

	RegisterBackgroundWorker(&worker);
}

void
AlbertStoreInit(void)
{
	AlbertSettingsInit();
	AlbertBindingsInit();
	AlbertObjectsInit();
	AlbertUnloadInit();

	/*
	 * The setting exists in any case, so that a server which has it but not the
	 * preloaded library does not warn every session of an unknown setting.
	 */
	DefineCustomStringVariable("albert.preload_models",
							   "Lists models to load into shared memory at server start.",
							   "Needs albert in shared_preload_libraries.",
							   &albert_preload_models,
							   "",
							   process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP,
							   0,
							   NULL, NULL, NULL);
	if (process_shared_preload_libraries_in_progress && albert_preload_models[0] != '\0')
		register_worker();
}
