/*
 * functions.h
 *	  The tasks of the SQL functions, for the table in tasks.c, and the few
 *	  things the function files share.
 */
#ifndef ALBERT_FUNCTIONS_H
#define ALBERT_FUNCTIONS_H

#include "postgres.h"

#include "fmgr.h"

#include "executor/task.h"

/* tokenize.c */
extern const AlbertTask albert_tokenize_task;
extern const AlbertTask albert_encode_task;
extern const AlbertTask albert_tokens_task;
extern const AlbertTask albert_token_count_task;

/* chunks.c */
extern const AlbertTask albert_chunks_task;

/* fill_mask.c */
extern const AlbertTask albert_fill_mask_task;
extern const AlbertTask albert_fill_mask_candidates_task;

/* embedding.c */
extern const AlbertTask albert_embedding_task;
extern const AlbertTask albert_similarity_task;
extern const AlbertTask albert_token_embeddings_task;

/* A SQL function's C symbol: NAME runs NAME_task, returning a value or rows. */
#define ALBERT_SCALAR_FUNCTION(name) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return AlbertCallScalar(fcinfo, &name##_task); \
	} \
	extern const AlbertTask name##_task

#define ALBERT_ROWS_FUNCTION(name) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return AlbertCallRows(fcinfo, &name##_task); \
	} \
	extern const AlbertTask name##_task

/* values.c: SQL values and options */

extern Datum AlbertFloatArray(const float *values, int n);
extern Datum AlbertIntArray(const int32_t *values, int n);

/* decode(ids) as text */
extern Datum AlbertDecodeToDatum(AlbertJob *job, const int32_t *ids, int n, bool skip_special_tokens);

/* An integer option within bounds, else an error that names it. */
extern int	AlbertIntOption(const char *name, Datum value, int least, int most);

/* A row for a set-returning task; nulls may be NULL. */
extern void AlbertPutRow(AlbertItem *item, Datum *values, bool *nulls);

#endif							/* ALBERT_FUNCTIONS_H */
