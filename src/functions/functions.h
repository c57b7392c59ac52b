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

/* sentence_order.c */
extern const AlbertTask albert_sentence_order_task;

/* classify.c */
extern const AlbertTask albert_classify_task;
extern const AlbertTask albert_classify_scores_task;

/* score.c */
extern const AlbertTask albert_score_task;

/* probability.c */
extern const AlbertTask albert_entailment_task;
extern const AlbertTask albert_class_probability_task;
extern const AlbertTask albert_labels_task;

/* zero_shot.c */
extern const AlbertTask albert_zero_shot_task;
extern const AlbertTask albert_zero_shot_scores_task;

/* answer.c */
extern const AlbertTask albert_answer_task;
extern const AlbertTask albert_answers_task;

/* entities.c */
extern const AlbertTask albert_entities_task;

/* choose.c */
extern const AlbertTask albert_choose_task;
extern const AlbertTask albert_choose_scores_task;

/* inside.c */
extern const AlbertTask albert_layers_task;
extern const AlbertTask albert_attention_task;

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

/* embed_table.c */

/* albert_TASK(content text, model text, ...) in a schema; an error when no such function makes one value of one text. */
extern Oid	AlbertColumnFunction(Oid schema, const char *task);

/* values.c: SQL values and options */

extern Datum AlbertFloatArray(const float *values, int n);
extern Datum AlbertIntArray(const int32_t *values, int n);

/* The name that the model gives a label. */
extern Datum AlbertLabelToDatum(const AlbertJob *job, int label);

/* Where each code point of a text starts: code point -> byte, and the size behind the last. */
extern int *AlbertCodePointBytes(const AlbertText *text);

/* decode(ids) as text */
extern Datum AlbertDecodeToDatum(AlbertJob *job, const int32_t *ids, int n, bool skip_special_tokens);

/* Is a text option left at its default, ''? */
extern bool AlbertIsEmptyText(Datum value);

/*
 * The texts of an array argument, which has one dimension and no NULLs, else
 * an error that names it.
 */
extern Datum *AlbertTextsOption(const char *name, Datum array, int *n);

/* An integer option within bounds, else an error that names it. */
extern int	AlbertIntOption(const char *name, Datum value, int least, int most);

/* For work below that asks whether to stop: handles the interrupts there are, and raises an error if it has to. */
extern bool AlbertStopped(void);

/* A row for a set-returning task; nulls may be NULL. */
extern void AlbertPutRow(AlbertItem *item, Datum *values, bool *nulls);

#endif							/* ALBERT_FUNCTIONS_H */
