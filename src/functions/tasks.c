/*
 * tasks.c
 *	  The SQL functions over a text: each runs its task.  _PG_init hands the
 *	  tasks to the executor, which knows none of them by name.
 */
#include "functions/functions.h"

#define SCALAR_FUNCTION(name) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return AlbertCallScalar(fcinfo, &name##_task); \
	}

#define ROWS_FUNCTION(name) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return AlbertCallRows(fcinfo, &name##_task); \
	}

ALBERT_SCALAR_TASKS(SCALAR_FUNCTION)
ALBERT_ROWS_TASKS(ROWS_FUNCTION)

#define TASK(name) &name##_task,

void
AlbertTasksInit(void)
{
	static const AlbertTask *const tasks[] = {ALBERT_SCALAR_TASKS(TASK) ALBERT_ROWS_TASKS(TASK)};

	for (int i = 0; i < lengthof(tasks); i++)
		AlbertTaskRegister(tasks[i]);
}
