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
	int			window;			/* 0, 1, ... among the item's sequences */
	int			first;			/* of the item's tokens, special ones counted, that of the first content token here */
	bool		last;			/* of the item's windows */
	AlbertTokens tokens;
	const AlbertTokens *whole;	/* the item's, of all its windows */

	/*
	 * Where windows overlap, each token belongs to one of them, the leading
	 * special token to the first, the trailing one to the last: the positions
	 * [own_from, own_to) are this sequence's.
	 */
	int			own_from;
	int			own_to;

	/* set by the task before AlbertForwardRun: positions whose hidden state it needs, ascending */
	int			nwanted;
	const int32_t *wanted;		/* NULL: all */

	/* set for consume */
	int			row;			/* the sequence's first row in hidden */
	int			nrows;
} AlbertSequence;

typedef struct AlbertForward AlbertForward;

/* A batch is done: sequences[0 .. n) with their rows in hidden.  The arena is rewound after each call. */
typedef void (*AlbertForwardConsume) (AlbertForward *forward, const AlbertSequence *sequences, int n,
									  const AlbertRows *hidden);

struct AlbertForward
{
	AlbertJob  *job;
	AlbertItem *items;
	int			nitems;
	int			nsequences;
	size_t		room;			/* at sequences */
	AlbertSequence *sequences;	/* by item, then window */
	const AlbertTrace *trace;	/* NULL usually */
};

typedef struct AlbertForwardOptions
{
	int			max_length;		/* 0: the model's */
	enum
	{
		ALBERT_ROWS_ALL,
		ALBERT_ROWS_FIRST,		/* of every sequence: the heads on the pooler */
		ALBERT_ROWS_OWN			/* a sequence's own: of a text in windows every token counts once */
	}			rows;			/* whose hidden state is needed */
} AlbertForwardOptions;

/* A run without sequences yet; for tasks that make their own by AlbertForwardAdd. */
extern void AlbertForwardInit(AlbertForward *forward, AlbertJob *job, AlbertItem *items, int nitems);

/* One more sequence, of the item added last or a later one; the other fields are zeroed. */
extern AlbertSequence *AlbertForwardAdd(AlbertForward *forward, int item, const AlbertTokens *tokens);

/* A sequence of its own: the head first tokens of a whole one, its tokens [from, to), and its last. */
extern AlbertTokens AlbertCutTokens(AlbertJob *job, const AlbertTokens *whole, int head, int from, int to);

/*
 * Run every item's text with each of the pairs, for heads on the first row
 * alone: a sequence's window is the number of its pair.  Memory does not grow
 * with the number of pairs.
 */
extern void AlbertForwardPairs(AlbertJob *job, AlbertItem *items, int nitems,
							   const AlbertText *pairs, int npairs, AlbertTruncation truncation,
							   AlbertForwardConsume consume);

/* Tokenize the items under the job's overflow; sequences come from job->arena.  Items that get a status have none. */
extern void AlbertForwardTokenize(AlbertForward *forward, AlbertJob *job,
								  AlbertItem *items, int nitems,
								  const AlbertForwardOptions *options);

/* Run the encoder over the sequences, batch by batch. */
extern void AlbertForwardRun(AlbertForward *forward, AlbertForwardConsume consume);

/* Both, for tasks that have nothing to do in between. */
extern void AlbertForwardTexts(AlbertJob *job, AlbertItem *items, int nitems,
							   const AlbertForwardOptions *options, AlbertForwardConsume consume);

/* Of one sequence only the rows [from, to), and first, where that is before them. */
extern void AlbertForwardWant(AlbertForward *forward, AlbertSequence *sequence, int first, int from, int to);

/*
 * From consume, for such a run: the task's head (sentence order or
 * classifier) on the pooled first rows, one row of logits a sequence.
 */
extern AlbertRows AlbertPooledLogits(AlbertJob *job, const AlbertRows *hidden);

/*
 * Run a head from consume: one of the AlbertHead functions on rows, its
 * logits in the arena.
 */
extern AlbertRows AlbertRunHead(AlbertJob *job, AlbertHeadFunction *head, const AlbertRows *rows);

/* Likewise AlbertPool. */
extern AlbertRows AlbertRunPool(AlbertJob *job, const AlbertBatch *rows, const int32_t *skip, const AlbertRows *hidden,
								uint32 pooling);

/*
 * One text's tokens outside a forward run; under ALBERT_TRUNCATE_NONE nothing
 * is cut.  False when the text is at fault: then the item has a status.
 */
extern bool AlbertTokenizeText(AlbertJob *job, AlbertItem *item,
							   const AlbertEncodeOptions *options, AlbertTokens *tokens)
			__attribute__((warn_unused_result));

/* Arena allocation that raises instead of returning NULL. */
extern void *AlbertJobAlloc(AlbertJob *job, size_t count, size_t size);

#endif							/* ALBERT_FORWARD_H */
