/*
 * forward.h
 *	  The middle of every task that runs the encoder: texts become sequences
 *	  of tokens, sequences are packed into batches, and each batch's hidden
 *	  rows are handed to the task.
 */
#ifndef ALBERT_FORWARD_H
#define ALBERT_FORWARD_H

#include "executor/task.h"

/* A run of tokens that fits the model: a whole text or pair, or a window of a long text. */
typedef struct AlbertSequence
{
	int			item;			/* which of the run's items */
	int			window;			/* 0, 1, ... within the item */
	int			first;			/* the item's token number at this sequence's first content token, the leading special token counted */
	AlbertTokens tokens;

	/* set by the task before AlbertForwardRun: positions whose hidden state it needs, ascending */
	int			nwanted;
	const int32_t *wanted;		/* NULL: all */

	/* set for consume */
	int			row;			/* the sequence's first row in hidden */
	int			nrows;
} AlbertSequence;

typedef struct AlbertForward AlbertForward;

struct AlbertForward
{
	AlbertJob  *job;
	AlbertItem *items;
	int			nitems;
	int			nsequences;
	AlbertSequence *sequences;	/* by item, then window */
	const AlbertTrace *trace;	/* NULL usually */
	void	   *state;			/* the task's own */

	/* A batch is done: sequences[0 .. n) with their rows in hidden.  The arena is rewound after each call. */
	void		(*consume) (AlbertForward *forward, const AlbertSequence *sequences, int n,
							const AlbertBatch *batch, const AlbertRows *hidden);
};

typedef struct AlbertForwardOptions
{
	int			max_length;		/* 0: the model's */
	bool		offsets;		/* tokens.start and stop are needed */
	int			window_overlap; /* tokens that windows share, under albert.overflow = window; -1: half */
} AlbertForwardOptions;

/* Tokenize the items under albert.overflow; sequences come from job->arena. */
extern void AlbertForwardTokenize(AlbertForward *forward, AlbertJob *job,
								  AlbertItem *items, int nitems,
								  const AlbertForwardOptions *options);

/* Run the encoder over the sequences, batch by batch. */
extern void AlbertForwardRun(AlbertForward *forward);

/* One text's tokens outside a forward run; under ALBERT_TRUNCATE_NONE nothing is cut. */
extern void AlbertTokenizeText(AlbertJob *job, const AlbertItem *item,
							   const AlbertEncodeOptions *options, AlbertTokens *tokens);

/* The AlbertRun for calling a head from consume. */
extern AlbertRun AlbertJobRun(const AlbertJob *job);

/*
 * Was the failed call only interrupted?  Handles the interrupt (which usually
 * raises an error) and says true for "call again"; raises any other status.
 */
extern bool AlbertRetry(AlbertRun *run, const AlbertStatus *status);

/* Arena allocation that raises instead of returning NULL. */
extern void *AlbertJobAlloc(AlbertJob *job, size_t count, size_t size);

#endif							/* ALBERT_FORWARD_H */
