/*
 * compat.h
 *	  Differences between PostgreSQL's major versions, 14 to 19.  Every test
 *	  of PG_VERSION_NUM is in this file.
 */
#ifndef ALBERT_COMPAT_H
#define ALBERT_COMPAT_H

#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/tuplestore.h"
#include "utils/wait_event.h"

/* 16: the macros of variable-length values moved out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 140000
#error "albert needs PostgreSQL 14 or later"
#endif

/* 18: pg_noreturn, in front of the declaration, took its place. */
#ifndef pg_attribute_noreturn
#define pg_attribute_noreturn() __attribute__((noreturn))
#endif

/*
 * 16: what the server calls is marked as exported, so that all else may be
 * hidden (build.mk does that).  Before, nothing is marked.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
extern PGDLLEXPORT void _PG_init(void);

#undef PG_FUNCTION_INFO_V1
#define PG_FUNCTION_INFO_V1(name) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	extern PGDLLEXPORT const Pg_finfo_record *pg_finfo_##name(void); \
	const Pg_finfo_record * \
	pg_finfo_##name(void) \
	{ \
		static const Pg_finfo_record info = {1}; \
		return &info; \
	} \
	extern int	no_such_variable
#endif

#ifndef DSM_HANDLE_INVALID
#define DSM_HANDLE_INVALID 0
#endif

/* 18 lets a module tell its name and version. */
#if PG_VERSION_NUM >= 180000
#define ALBERT_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "albert", .version = "1.0")
#else
#define ALBERT_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/*
 * 18: what writes EXPLAIN's lines has a header of its own, the range table an
 * entry for GROUP BY that does not count as a table, and reverse() exists for
 * bytea too.
 */
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#define AlbertExplainTables(es) ((es)->rtable_size)
#ifndef F_REVERSE
#define F_REVERSE F_REVERSE_TEXT
#endif
#else
#define AlbertExplainTables(es) list_length((es)->rtable)
#endif

/* 15: settings nobody defined are refused, not just warned of. */
#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* 15: set-returning functions that fill a tuplestore have a helper. */
#if PG_VERSION_NUM < 150000
static inline void
InitMaterializedSRF(FunctionCallInfo fcinfo, bits32 flags)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;
	TupleDesc	desc;
	bool		random_access;

	(void) flags;
	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	if ((rsinfo->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("materialize mode required, but it is not allowed in this context")));
	old = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	random_access = (rsinfo->allowedModes & SFRM_Materialize_Random) != 0;
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = tuplestore_begin_heap(random_access, false, work_mem);
	rsinfo->setDesc = CreateTupleDescCopy(desc);
	MemoryContextSwitchTo(old);
}
#endif

/* 16: one check of privileges, and one of the owner, for all kinds of objects. */
#if PG_VERSION_NUM >= 160000
#define AlbertFunctionAclCheck(function, role, mode) object_aclcheck(ProcedureRelationId, function, role, mode)
#else
#define AlbertFunctionAclCheck(function, role, mode) pg_proc_aclcheck(function, role, mode)
#endif

#if PG_VERSION_NUM >= 160000
#define AlbertClassOwnerCheck(relation, role) object_ownercheck(RelationRelationId, relation, role)
#define AlbertMayCreateIn(schema, role) \
	(object_aclcheck(NamespaceRelationId, schema, role, ACL_CREATE) == ACLCHECK_OK)
#else
#define AlbertClassOwnerCheck(relation, role) pg_class_ownercheck(relation, role)
#define AlbertMayCreateIn(schema, role) (pg_namespace_aclcheck(schema, role, ACL_CREATE) == ACLCHECK_OK)
#endif

/* 18: whether a deferrable primary key will do is the caller's to say. */
#if PG_VERSION_NUM >= 180000
#define AlbertPrimaryKeyIndex(relation) RelationGetPrimaryKeyIndex(relation, false)
#else
#define AlbertPrimaryKeyIndex(relation) RelationGetPrimaryKeyIndex(relation)
#endif

/* 17: an extension's waits have names of their own in pg_stat_activity. */
#if PG_VERSION_NUM >= 170000
#define AlbertWaitEvent(name) WaitEventExtensionNew(name)
#else
#define AlbertWaitEvent(name) PG_WAIT_EXTENSION
#endif

/* 18: ExecutorRun lost its last argument. */
#if PG_VERSION_NUM >= 180000
#define ALBERT_EXECUTOR_RUN_ARGS QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define ALBERT_EXECUTOR_RUN_PASS queryDesc, direction, count
#else
#define ALBERT_EXECUTOR_RUN_ARGS QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define ALBERT_EXECUTOR_RUN_PASS queryDesc, direction, count, execute_once
#endif

/* 19: the planner's hook is given the EXPLAIN that asked for the plan. */
#if PG_VERSION_NUM >= 190000
#define ALBERT_PLANNER_ARGS \
	Query *parse, const char *query_string, int cursor_options, ParamListInfo bound_params, ExplainState *es
#define ALBERT_PLANNER_PASS parse, query_string, cursor_options, bound_params, es
#else
#define ALBERT_PLANNER_ARGS \
	Query *parse, const char *query_string, int cursor_options, ParamListInfo bound_params
#define ALBERT_PLANNER_PASS parse, query_string, cursor_options, bound_params
#endif

/*
 * 19: the hook that may change what is known of a table before paths are made
 * for it got another name, and is called for everything in FROM.
 */
#if PG_VERSION_NUM >= 190000
#define albert_base_rel_hook build_simple_rel_hook
#define AlbertBaseRelHookType build_simple_rel_hook_type
#define ALBERT_BASE_REL_ARGS PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte
#define ALBERT_BASE_REL_PASS root, rel, rte
#else
#define albert_base_rel_hook get_relation_info_hook
#define AlbertBaseRelHookType get_relation_info_hook_type
#define ALBERT_BASE_REL_ARGS PlannerInfo *root, Oid relation, bool inhparent, RelOptInfo *rel
#define ALBERT_BASE_REL_PASS root, relation, inhparent, rel
#endif

/* 19: a tranche of locks is named once in the cluster; before, in each process. */
#if PG_VERSION_NUM >= 190000
#define AlbertNewTranche(name) LWLockNewTrancheId(name)
#define AlbertNameTranche(id, name) ((void) 0)
#else
#define AlbertNewTranche(name) LWLockNewTrancheId()
#define AlbertNameTranche(id, name) LWLockRegisterTranche(id, name)
#endif

/* 19: the search for functions by name tells why it found none. */
#if PG_VERSION_NUM >= 190000
#define AlbertFunctionCandidates(names, nargs) \
	FuncnameGetCandidates(names, nargs, NIL, false, true, false, true, &(int) {0})
#else
#define AlbertFunctionCandidates(names, nargs) \
	FuncnameGetCandidates(names, nargs, NIL, false, true, false, true)
#endif

/* Does another module's node compute whatever its target list says?  Before 15 all have to. */
#if PG_VERSION_NUM >= 150000
#define ALBERT_CUSTOM_SCAN_PROJECTS(scan) (((scan)->flags & CUSTOMPATH_SUPPORT_PROJECTION) != 0)
#else
#define ALBERT_CUSTOM_SCAN_PROJECTS(scan) true
#endif

#endif							/* ALBERT_COMPAT_H */
