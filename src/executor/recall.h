/*
 * recall.h
 *	  Results are remembered within a statement: a text that has been computed
 *	  for one row, by whatever way of calling, is not computed again for another.
 *
 * What is remembered is a scalar task's result for texts, a model (as it was
 * loaded: one that is replaced meanwhile is another one) and options.  The
 * memory belongs to the statement that the session runs, functions called by it
 * and their statements included, is bounded as a hash table of the server is
 * (work_mem * hash_mem_multiplier), and forgets first what has not been asked
 * for longest.  A parallel worker has one of its own.
 */
#ifndef ALBERT_RECALL_H
#define ALBERT_RECALL_H

#include "executor/task.h"

typedef struct AlbertRecallCounts
{
	uint64		texts;			/* asked for */
	uint64		hits;			/* remembered, or computed with this batch anyway */
	uint64		misses;
	uint64		evictions;		/* forgotten for want of memory */
} AlbertRecallCounts;

/* The texts of some rows for one job: first all are asked, then those not remembered are computed together. */
typedef struct AlbertRecall
{
	AlbertJob  *job;
	const AlbertSignature *signature;
	MemoryContext context;		/* of all it points to, and of results */
	struct AlbertRecallMemory *memory;
	uint64		number;			/* of this recall among the session's */
	char	   *prefix;			/* what the keys of all its texts have in common */
	Size		prefix_size;

	struct AlbertAnswer *answers;	/* distinct */
	int			nanswers;
	int			max_answers;
	int			nmissing;		/* to be computed */
	double		tokens;			/* an estimate of theirs */
	AlbertRecallCounts counts;
} AlbertRecall;

/* Begin, in CurrentMemoryContext; the job has been started with the same arguments. */
extern void AlbertRecallBegin(AlbertRecall *recall, AlbertJob *job, const AlbertSignature *signature,
							  const NullableDatum *args);

/* A row's answers, the same for rows of the same texts. */
typedef struct AlbertAsked
{
	int			text;			/* -1: nothing was asked */
	int			pair;			/* with a task that combines; else -1 */
} AlbertAsked;

/* Ask for a row's texts, which are copied. */
extern AlbertAsked AlbertRecallAsk(AlbertRecall *recall, const AlbertItem *item);

/* Compute what is missing. */
extern void AlbertRecallRun(AlbertRecall *recall);

/* A row's result or status; NULL when nothing was asked. */
extern void AlbertRecallResult(const AlbertRecall *recall, AlbertAsked asked, AlbertItem *item);

#endif							/* ALBERT_RECALL_H */
