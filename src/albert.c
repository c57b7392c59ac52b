/*
 * albert.c
 *	  The library's beginning: settings and hooks.
 */
#include "postgres.h"

#include "compat.h"
#include "executor/node.h"
#include "executor/task.h"
#include "functions/functions.h"
#include "store/store.h"

ALBERT_MODULE_MAGIC;

static const struct config_enum_entry overflow_options[] = {
	{"truncate", ALBERT_OVERFLOW_TRUNCATE, false},
	{"error", ALBERT_OVERFLOW_ERROR, false},
	{"window", ALBERT_OVERFLOW_WINDOW, false},
	{NULL, 0, false}
};

void
_PG_init(void)
{
	DefineCustomEnumVariable("albert.overflow",
							 "Sets what functions of the default model do with a text that is longer than it takes.",
							 NULL,
							 &albert_overflow,
							 ALBERT_OVERFLOW_TRUNCATE,
							 overflow_options,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("albert.batch_tokens",
							"Sets how many tokens are computed together.",
							NULL,
							&albert_batch_tokens,
							512, 16, 65536,
							PGC_USERSET, 0,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("albert.enable_batching",
							 "Computes the texts of many rows together.",
							 "Results are the same, only slower, when this is off.",
							 &albert_enable_batching,
							 true,
							 PGC_USERSET, GUC_EXPLAIN,
							 NULL, NULL, NULL);
	AlbertStoreInit();
	AlbertTasksInit();
	AlbertNodeInit();
	MarkGUCPrefixReserved("albert");
}
