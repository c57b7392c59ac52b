/*
 * call.h
 *	  The bodies of the SQL functions: one row each.
 */
#ifndef ALBERT_CALL_H
#define ALBERT_CALL_H

#include "executor/task.h"

/* The signature of a call site for a task, kept as long as its FmgrInfo. */
extern const AlbertSignature *AlbertCallSignature(FunctionCallInfo fcinfo, const AlbertTask *task);

/* A value, remembered for the rest of the statement; or rows, put into the result's tuplestore. */
extern Datum AlbertTaskCall(FunctionCallInfo fcinfo, const AlbertTask *task);

#endif							/* ALBERT_CALL_H */
