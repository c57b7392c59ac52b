/*
 * functions.h
 *	  The list of the SQL functions over a text, each with its task, and the few
 *	  things the function files share.
 */
#ifndef ALBERT_FUNCTIONS_H
#define ALBERT_FUNCTIONS_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"

#include "executor/call.h"
#include "executor/task.h"

/* tasks.c: called once by _PG_init */
extern void AlbertTasksInit(void);

/* The C functions of the SQL functions over a text: NAME runs NAME_task. */
#define ALBERT_TASKS(each) \
	each(albert_tokenize) \
	each(albert_encode) \
	each(albert_token_count) \
	each(albert_chunks) \
	each(albert_fill_mask) \
	each(albert_embedding) \
	each(albert_token_embeddings) \
	each(albert_similarity) \
	each(albert_sentence_order) \
	each(albert_classify) \
	each(albert_score) \
	each(albert_entailment) \
	each(albert_class_probability) \
	each(albert_labels) \
	each(albert_zero_shot) \
	each(albert_choose) \
	each(albert_answer) \
	each(albert_entities) \
	each(albert_layers) \
	each(albert_attention)

#define ALBERT_DECLARE_TASK(name) extern const AlbertTask name##_task;
ALBERT_TASKS(ALBERT_DECLARE_TASK)

/* embed_table.c */

/*
 * albert_TASK(content text, model text, ...) in a schema; an error when no such
 * function makes one value of one text.
 */
extern Oid	AlbertColumnFunction(Oid schema, const char *task);

/* values.c: SQL values and options */

/* A palloc'd array that has room for an element behind n; it may move. */
extern void *AlbertMakeRoom(void *array, int n, int *room, Size size);

/* An array of values of a 4-byte type. */
extern Datum AlbertArrayOf(Oid element, const void *values, int n);

/* All tokens of a text, in the arena; raises what is wrong with it. */
extern AlbertTokens AlbertTokensOf(AlbertJob *job, AlbertText text, bool special_tokens);

/* The tokens' ids, and their pieces as texts, one behind the other; palloc'd. */
extern int32_t *AlbertTokenIds(const AlbertTokens *tokens);
extern Datum *AlbertTokenPieces(const AlbertJob *job, const AlbertTokens *tokens);

/* Where each code point of a text starts: code point -> byte, and the size behind the last. */
extern int *AlbertCodePointBytes(const AlbertText *text);

/* decode(ids) as text */
extern Datum AlbertDecodeToDatum(AlbertJob *job, const int32_t *ids, int n, bool skip_special_tokens);

/*
 * The texts, or the numbers of a 4-byte type, of an array argument, which has
 * one dimension and no NULLs, else an error that names it.
 */
extern Datum *AlbertTextsOption(const char *name, Datum array, int *n);
extern const void *AlbertNumbersOption(const char *name, Datum array, int *n);

/*
 * Run a query as the current user: look, which may be NULL, is told what its
 * columns are, then take is given each row, in a memory context that is emptied
 * now and then.
 */
extern void AlbertReadQuery(const char *query, void (*look) (void *context, TupleDesc desc),
							void (*take) (void *context, HeapTuple row, TupleDesc desc), void *context);

/* For work below: handles the interrupts there are, and raises an error if it has to. */
extern void AlbertPollInterrupts(void);

/*
 * Put a row of a set, a value for each of its columns.  NULLs are values by
 * reference that are (Datum) 0, and those that nulls, if it is not NULL itself,
 * says are.
 */
extern void AlbertPutRow(ReturnSetInfo *rows, const Datum *values, const bool *nulls);

/* ---------- scores.c ---------- */

/* In place, in double precision: exp(x - max) / sum. */
extern void AlbertSoftmax(double *x, int n);
extern double AlbertSigmoid(double x);

/* The first of the greatest. */
extern int	AlbertArgMax(const double *x, int n);

/* ---- the best of many ---- */

/* Something with a score; of equal scores the lesser first, then the lesser second, is the better. */
typedef struct AlbertRanked
{
	double		score;
	int			first;
	int			second;
} AlbertRanked;

/* For qsort: the best first. */
extern int	AlbertCompareRanked(const void *a, const void *b);

/* The best k of what is added: once there are k, a heap whose root is the worst. */
typedef struct AlbertBest
{
	AlbertRanked *ranked;		/* room for k */
	int			k;
	int			n;
} AlbertBest;

extern void AlbertBestPut(AlbertBest *best, AlbertRanked ranked);

/* Most are worse than what there is. */
static inline void
AlbertBestAdd(AlbertBest *best, AlbertRanked ranked)
{
	if (best->n < best->k || ranked.score >= best->ranked[0].score)
		AlbertBestPut(best, ranked);
}

/* ---- scores of a run, in job->state ---- */

/* width zeros for each of n items, in the arena */
extern void AlbertScoresBegin(AlbertJob *job, int n, int width);

/* An item's, by its number. */
extern double *AlbertScoresRow(const AlbertJob *job, int number);

/* Rows for an item: the best of its scores and what they are scores of, best first; most 0: all. */
extern void AlbertPutScores(AlbertJob *job, AlbertItem *item, const double *scores, int n, int most,
							Datum (*name) (const AlbertJob *job, int i));

/* Scores and their numbers, which are first, from the best to the worst; palloc'd. */
extern AlbertRanked *AlbertRank(const double *scores, int n);

/* ---------- logits.c, classify.c ---------- */

/*
 * The logits of the task's head on the pooler, width of them an item, as the
 * run's scores; of a long text in windows their mean, each window counting by
 * the tokens that are its own.  max_length 0: the model's.
 */
extern void AlbertRunLogits(AlbertJob *job, AlbertItem *items, int n, int width, int max_length);

/* What a head that was trained on pairs sees of two embeddings: ALBERT_PAIR_PARTS * width values. */
extern void AlbertPairValues(const float *a, const float *b, int width, float *values);

/* As a task's run: the run's scores are what TextClassificationPipeline makes of the classifier's logits. */
extern void AlbertRunClassifier(AlbertJob *job, AlbertItem *items, int n);

/* The label called entail..., in any case of letters; -1: none is. */
extern int	AlbertEntailmentLabel(const AlbertModel *model);

/* ---------- embedding.c ---------- */

/*
 * The results of n items as real[] values, as albert_embedding makes them
 * without options; for a job of another task, whose own are left alone.
 */
extern void AlbertEmbedPlainly(AlbertJob *job, AlbertItem *items, int n);

/* An embedding's values, and how many. */
extern float *AlbertFloatsOf(Datum embedding, int *n);

/* A prompt by the name that the model's files give it; "" is the default one.  False: there is none. */
extern bool AlbertFindPrompt(const AlbertModel *model, const char *name, AlbertText *prompt);

/* Put a prompt before each item's text. */
extern void AlbertPrependPrompt(AlbertJob *job, const AlbertText *prompt, AlbertItem *items, int n);

/* Dot product over the product of the norms, in double precision; 0 when a norm is 0. */
extern double AlbertCosine(const float *a, const float *b, int n);

#endif							/* ALBERT_FUNCTIONS_H */
