/*
 * encoder.h
 *	  From token ids to hidden states, and from hidden states to what the
 *	  heads answer.
 *
 * All storage comes from the arena in AlbertRun: results point into it and
 * live until the caller rewinds it.  A head may leave there what it made on the
 * way, too.  AlbertEncode and AlbertPool poll the interrupt flag so often
 * that a tenth of a second does not pass in between, whatever the model's and
 * the batch's size; so do the heads.
 *
 * A row's result does not depend on what it is computed with: not on the
 * batch, its place there, the wanted set or the blocks, bit for bit.
 */
#ifndef ALBERT_ENCODER_H
#define ALBERT_ENCODER_H

#include <signal.h>

#include "base/arena.h"
#include "base/status.h"
#include "encoder/model.h"

/* Texts to run together: concatenated without padding. */
typedef struct AlbertBatch
{
	int			ntexts;
	int			ntokens;		/* = text_start[ntexts] */
	const int32_t *ids;			/* ntokens */
	const uint8_t *types;		/* ntokens token type ids; NULL: all 0 */
	const int32_t *text_start;	/* ntexts + 1 */
	int			nwanted;		/* rows whose final hidden state is needed ... */
	const int32_t *wanted;		/* ... ascending token numbers; NULL: all (nwanted ignored) */
} AlbertBatch;

/*
 * For looking inside.  "layer" counts applications from 0: where
 * inner_group_num is 1 they are the layers, else each layer is
 * inner_group_num of them.  layer is called with the application's input and
 * output rows, before the next one starts; attention while it runs.  Either
 * may be NULL; without wants_attention, all are wanted.
 */
typedef struct AlbertTrace
{
	void	   *context;
	void		(*layer) (void *context, int layer, int ntokens, int hidden_size,
						  const float *input, int ld_input,
						  const float *output, int ld_output);
	/* softmax of one text, (heads, len, len); asked for only where wants_attention(layer) says so */
	bool		(*wants_attention) (void *context, int layer);
	void		(*attention) (void *context, int layer, int text, int heads, int len,
							  const float *probs);
} AlbertTrace;

typedef struct AlbertRun
{
	AlbertArena *arena;
	const volatile sig_atomic_t *interrupt; /* polled between layers and row blocks; may be NULL */
	const AlbertTrace *trace;	/* may be NULL; a traced run computes every row */
	int			block_rows;		/* rows (and queries) worked on together, which changes no result; 0: as suits */
} AlbertRun;

typedef struct AlbertRows
{
	int			n;
	int			width;
	int			ld;				/* floats from one row to the next, >= width */
	float	   *data;
} AlbertRows;

/*
 * The last hidden state of the wanted rows.  Takes, by token, about 6 hidden_size
 * floats (result, state, query, key, value, context), by row of a block (about
 * 100) hidden_size + intermediate_size floats, and the kernels' scratch; a trace
 * adds hidden_size floats a token and heads * length^2.  Fails with ALBERT_CANCELLED when
 * the interrupt flag is seen, ALBERT_NO_MEMORY, or ALBERT_INPUT when an id, a
 * type or a length is outside what the model has.
 */
extern bool AlbertEncode(const AlbertModel *model, const AlbertBatch *batch,
						 const AlbertRun *run, AlbertRows *hidden, AlbertStatus *status);

/*
 * Heads.  Each takes hidden rows (for text heads, the first row of each text)
 * and returns its result in the arena.  Asking for a head that the model does
 * not have is ALBERT_UNSUPPORTED.
 */
typedef bool AlbertHeadFunction(const AlbertModel *model, const AlbertRows *rows,
								const AlbertRun *run, AlbertRows *result, AlbertStatus *status);

/* tanh(first rows W' + b): (n, hidden) */
extern AlbertHeadFunction AlbertHeadPooler;

/* logits over the vocabulary: (n, vocab).  Bounded memory is the caller's: pass a few rows at a time. */
extern AlbertHeadFunction AlbertHeadMlm;

/* pooled rows -> (n, 2) logits; index 0 is "in order" */
extern AlbertHeadFunction AlbertHeadSentenceOrder;

/* rows -> (n, num_labels): pooled rows for sequence classification and choice, hidden rows for token classification */
extern AlbertHeadFunction AlbertHeadClassifier;

/* hidden rows -> (n, 2): start and end logits */
extern AlbertHeadFunction AlbertHeadQuestionAnswering;

/* The AlbertPooling bit that users call so; 0: there is none. */
extern uint32_t AlbertPoolingByName(const char *name);

/*
 * How many values such poolings give together, or the model's Dense modules of
 * them (with_dense); 0, with *status set, when the modules do not fit.
 */
extern int	AlbertPoolWidth(const AlbertModel *model, uint32_t pooling, bool with_dense, AlbertStatus *status);

/*
 * One vector a text.  hidden holds those rows of each text that are pooled, as
 * batch->text_start says.  pooling is a mask of AlbertPooling bits; several are
 * concatenated.  skip: how many of each text's rows only CLS and POOLER see;
 * NULL: none.
 */
extern bool AlbertPool(const AlbertModel *model, const AlbertBatch *batch, const int32_t *skip,
					   const AlbertRows *hidden, uint32_t pooling,
					   const AlbertRun *run, AlbertRows *vectors, AlbertStatus *status);

/*
 * A long text's vector from those of its windows: as of one text of all their
 * tokens.  CLS and POOLER, which every window has, are averaged by the windows'
 * tokens.  sums has room for a vector; before the first window all of it is 0
 * and *total, too.  Add every window with the number of its tokens that were
 * pooled, then end.
 */
extern void AlbertPoolAdd(uint32_t pooling, int hidden_size, const float *window, int tokens,
						  double *sums, int64_t *total);
extern void AlbertPoolEnd(uint32_t pooling, int hidden_size, const double *sums, int64_t total, float *vector);

/* The model's Dense modules on vectors of AlbertPool; the vectors themselves when it has none. */
extern AlbertHeadFunction AlbertPoolDense;

/* In place, as torch.nn.functional.normalize: divided by the norm, or by 1e-12 when that is larger. */
extern void AlbertNormalizeRow(float *row, int width);

#endif							/* ALBERT_ENCODER_H */
