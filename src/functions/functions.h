/*
 * functions.h
 *	  The tasks of the SQL functions, for the table in tasks.c, and the few
 *	  things the function files share.
 */
#ifndef ALBERT_FUNCTIONS_H
#define ALBERT_FUNCTIONS_H

#include "postgres.h"

#include "fmgr.h"

#include "executor/call.h"
#include "executor/task.h"

/* tasks.c: called once by _PG_init */
extern void AlbertTasksInit(void);

/*
 * The SQL functions over a text: NAME is the C function of one, which runs
 * NAME_task.  Those that return a value, and those that return rows.
 */
#define ALBERT_SCALAR_TASKS(each) \
	each(albert_tokenize) \
	each(albert_encode) \
	each(albert_token_count) \
	each(albert_fill_mask) \
	each(albert_embedding) \
	each(albert_similarity) \
	each(albert_sentence_order) \
	each(albert_classify) \
	each(albert_score) \
	each(albert_entailment) \
	each(albert_class_probability) \
	each(albert_labels) \
	each(albert_zero_shot) \
	each(albert_answer) \
	each(albert_choose)

#define ALBERT_ROWS_TASKS(each) \
	each(albert_tokens) \
	each(albert_chunks) \
	each(albert_fill_mask_candidates) \
	each(albert_token_embeddings) \
	each(albert_classify_scores) \
	each(albert_zero_shot_scores) \
	each(albert_answers) \
	each(albert_entities) \
	each(albert_choose_scores) \
	each(albert_layers) \
	each(albert_attention)

#define ALBERT_DECLARE_TASK(name) extern const AlbertTask name##_task;
ALBERT_SCALAR_TASKS(ALBERT_DECLARE_TASK)
ALBERT_ROWS_TASKS(ALBERT_DECLARE_TASK)

/* embed_table.c */

/*
 * albert_TASK(content text, model text, ...) in a schema; an error when no such
 * function makes one value of one text.
 */
extern Oid	AlbertColumnFunction(Oid schema, const char *task);

/* values.c: SQL values and options */

extern Datum AlbertFloatArray(const float *values, int n);
extern Datum AlbertIntArray(const int32_t *values, int n);

/* The tokens' ids, one behind the other; palloc'd. */
extern int32_t *AlbertTokenIds(const AlbertTokens *tokens);

/* The name that the model gives a label. */
extern Datum AlbertLabelToDatum(const AlbertJob *job, int label);

/* Where each code point of a text starts: code point -> byte, and the size behind the last. */
extern int *AlbertCodePointBytes(const AlbertText *text);

/* decode(ids) as text */
extern Datum AlbertDecodeToDatum(AlbertJob *job, const int32_t *ids, int n, bool skip_special_tokens);

/*
 * The texts of an array argument, which has one dimension and no NULLs, else
 * an error that names it.
 */
extern Datum *AlbertTextsOption(const char *name, Datum array, int *n);

/* For work below that asks whether to stop: handles the interrupts there are, and raises an error if it has to. */
extern bool AlbertStopped(void);

/* A row for a set-returning task; nulls may be NULL. */
extern void AlbertPutRow(AlbertItem *item, Datum *values, bool *nulls);

#endif							/* ALBERT_FUNCTIONS_H */
