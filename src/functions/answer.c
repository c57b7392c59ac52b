/*
 * answer.c
 *	  Extractive question answering with the rules of the reference's
 *	  pipeline (transformers, QuestionAnsweringPipeline): overlapping windows
 *	  of the context, spans of whole words, equal answers added up.
 */
#include "postgres.h"

#include <math.h>
#include <utf8proc.h>

#include "miscadmin.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/distinct.h"
#include "functions/functions.h"

typedef struct AnswerOptions
{
	int			top_k;
	int			max_answer_len; /* tokens */
	int			max_seq_len;	/* tokens of a window, question and special tokens included */
	int			doc_stride;		/* tokens that windows share; -1: half a window, at most 128 */
	bool		handle_impossible;
	bool		align_to_words;
} AnswerOptions;

static void
init_answer(AlbertJob *job)
{
	AlbertOptionsOf(job, AnswerOptions)->top_k = 1;
}

static const AlbertOption answer_options[] = {
	ALBERT_INT_OPTION("top_k", AnswerOptions, top_k, 1, 10000),
	ALBERT_INT_OPTION("max_answer_len", AnswerOptions, max_answer_len, 1, INT_MAX),
	ALBERT_INT_OPTION("max_seq_len", AnswerOptions, max_seq_len, 8, INT_MAX),
	ALBERT_INT_OPTION("doc_stride", AnswerOptions, doc_stride, -1, INT_MAX),
	ALBERT_BOOL_OPTION("handle_impossible", AnswerOptions, handle_impossible),
	ALBERT_BOOL_OPTION("align_to_words", AnswerOptions, align_to_words),
	ALBERT_NO_OPTION
};

/* ---------- answers ---------- */

/* So many different answers of one context are kept at most, and so many tokens of all its windows. */
#define MAX_ANSWERS			4000000
#define MAX_WINDOW_TOKENS	(16 * 1024 * 1024)

typedef struct Answer
{
	AlbertRanked rank;			/* of equal scores the one that came first */
	int			start;			/* code points of the context */
	int			stop;
} Answer;

/* What is known of one item. */
typedef struct Answers
{
	int		   *bytes;			/* context: code point -> byte, one more at the end */
	char	   *folded;			/* context in lower case, by which equal answers are told */
	int		   *folded_bytes;	/* the same of it */
	int			n;
	int			room;
	Answer	   *answers;
	distinct_hash *distinct;	/* their texts in lower case */
	double		null_score;		/* the least over the windows of the score of no answer */
} Answers;

static AlbertText
answer_text(const AlbertItem *item, const Answers *answers, int start, int stop)
{
	int			at = answers->bytes[start];

	return (AlbertText) {.data = item->pair.data + at, .size = stop <= start ? 0 : answers->bytes[stop] - at};
}

/* Lower case character by character, so that a part's is a part of the whole's. */
static void
fold_context(Answers *answers, const AlbertText *text)
{
	char	   *folded = palloc_extended(text->size * 2 + 5, MCXT_ALLOC_HUGE);
	size_t		in = 0;
	size_t		out = 0;

	while (in < text->size)
	{
		utf8proc_int32_t c;
		utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *) text->data + in,
												 text->size - in, &c);

		if (size <= 0)
			break;
		in += size;
		out += utf8proc_encode_char(utf8proc_tolower(c), (utf8proc_uint8_t *) folded + out);
	}
	answers->folded = folded;
	answers->folded_bytes = AlbertCodePointBytes(&(AlbertText) {.data = folded, .size = out});
}

static void
new_answer(Answers *answers, int number, double score, int start, int stop)
{
	if (number == MAX_ANSWERS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("context has more than %d possible answers", MAX_ANSWERS),
				 errhint("Ask for fewer with top_k, or for shorter ones with max_answer_len.")));
	answers->answers = AlbertMakeRoom(answers->answers, number, &answers->room, sizeof(Answer));
	answers->answers[number] = (Answer) {.rank = {.score = score, .first = number}, .start = start, .stop = stop};
}

/* Equal texts, but for case, are one answer with the sum of their scores. */
static void
add_answer(Answers *answers, double score, int start, int stop)
{
	int			at = answers->folded_bytes[start];
	AlbertText	text = {.data = answers->folded + at, .size = answers->folded_bytes[stop] - at};
	bool		found;
	int			number = AlbertDistinctPut(answers->distinct, text, &answers->n, &found)->number;

	if (found)
		answers->answers[number].rank.score += score;
	else
		new_answer(answers, number, score, start, stop);
}

/* ---------- spans of a window: a score, and the first and the last token ---------- */

/* exp(x - max) / sum over [CLS] and the context; then [CLS] itself cannot begin or end an answer. */
static double
span_probabilities(const AlbertRows *logits, int row, int column, int from, int to, double *probs)
{
	const float *x = logits->data + (size_t) row * logits->ld + column;
	double		max = x[0];
	double		sum;
	double		cls;

	for (int t = from; t < to; t++)
		max = Max(max, x[(size_t) t * logits->ld]);
	sum = cls = exp(x[0] - max);
	for (int t = from; t < to; t++)
		sum += probs[t] = exp(x[(size_t) t * logits->ld] - max);
	for (int t = from; t < to; t++)
		probs[t] /= sum;
	return cls / sum;
}

/* The best spans within context tokens [from, to), best first and equal ones as they stand in the text. */
static void
find_spans(const double *start, const double *end, int from, int to, int max_len, AlbertBest *best)
{
	for (int s = from; s < to; s++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int e = s; e < to && e - s < max_len; e++)
		{
			double		score = start[s] * end[e];

			if (score > 0)
				AlbertBestAdd(best, (AlbertRanked) {.score = score, .first = s, .second = e});
		}
	}
	qsort(best->ranked, best->n, sizeof(AlbertRanked), AlbertCompareRanked);
}

static void
add_span(const AlbertTokenizer *tokenizer, Answers *answers,
		 const AlbertTokens *tokens, int from, int to, const AlbertRanked *span, bool align)
{
	int			first = span->first;
	int			last = span->second;

	if (align)
	{
		while (first > from && !AlbertStartsWord(tokenizer, tokens->items[first].id))
			first--;
		while (last + 1 < to && !AlbertStartsWord(tokenizer, tokens->items[last + 1].id))
			last++;
	}
	add_answer(answers, span->score, tokens->items[first].start, tokens->items[last].stop);
}

/* The answers of one window, whose first row of logits is given. */
static void
take_window(AlbertJob *job, Answers *answers, const AlbertTokens *tokens, const AlbertRows *logits, int row)
{
	const AnswerOptions *options = AlbertOptionsOf(job, AnswerOptions);
	int			k = options->align_to_words ? options->top_k * 2 + 10 : options->top_k;
	double	   *start = AlbertJobAlloc(job, tokens->n, sizeof(double));
	double	   *end = AlbertJobAlloc(job, tokens->n, sizeof(double));
	AlbertBest	best = {.ranked = AlbertJobAlloc(job, k, sizeof(AlbertRanked)), .k = k};
	int			to = tokens->n - 1;
	int			from = to;
	double		null_score;

	while (tokens->items[from - 1].type == 1)
		from--;
	null_score = span_probabilities(logits, row, 0, from, to, start) *
		span_probabilities(logits, row, 1, from, to, end);
	answers->null_score = Min(answers->null_score, null_score);
	find_spans(start, end, from, to, options->max_answer_len, &best);
	for (int i = 0; i < best.n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_span(&job->binding->tokenizer, answers, tokens, from, to, &best.ranked[i], options->align_to_words);
	}
}

static void
consume_spans(AlbertForward *forward, const AlbertSequence *sequences, int n, const AlbertRows *hidden)
{
	AlbertRows	logits = AlbertRunHead(forward->job, AlbertHeadQuestionAnswering, hidden);
	Answers    *all = forward->job->state;

	for (int s = 0; s < n; s++)
		take_window(forward->job, &all[sequences[s].item], &sequences[s].tokens, &logits, sequences[s].row);
}

/* ---------- windows ---------- */

/*
 * Windows over the context as the reference's tokenizer makes them with
 * truncation only_second and a stride: how many tokens of it each has, and how
 * many of them are not in the one before.  False when the question leaves no
 * room; the item has a status then.
 */
static bool
window_sizes(const AlbertJob *job, AlbertItem *item, int question, int context, int *capacity, int *step)
{
	const AnswerOptions *options = AlbertOptionsOf(job, AnswerOptions);
	int			length = Min(options->max_seq_len, job->binding->tokenizer.max_length);
	int			stride = options->doc_stride >= 0 ? options->doc_stride : Min(length / 2, 128);
	int64		windows;
	AlbertStatus status;

	*capacity = length - question - 3;
	if (*capacity < 1)
	{
		AlbertFail(&status, ALBERT_INPUT, "question has %d tokens, which leaves no room for the context in %d",
				   question, length);
		return AlbertItemFail(job, item, &status);
	}
	if (stride >= *capacity && options->doc_stride >= 0)
	{
		AlbertFail(&status, ALBERT_INPUT, "doc_stride must be less than the %d tokens of context in a window, not %d",
				   *capacity, stride);
		return AlbertItemFail(job, item, &status);
	}
	*step = *capacity - (stride >= *capacity ? *capacity / 2 : stride);
	/* windows that share much are many */
	windows = 1 + Max((int64) context - *capacity + *step - 1, 0) / *step;
	if (windows * length > MAX_WINDOW_TOKENS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("context of %d tokens needs %lld windows of %d tokens", context, (long long) windows, length),
				 errdetail("The limit is %d tokens in all.", MAX_WINDOW_TOKENS),
				 errhint("Lower doc_stride, so that windows share less, or cut the context with albert_chunks.")));
	return true;
}

static void
add_item(AlbertForward *forward, int i)
{
	AlbertJob  *job = forward->job;
	AlbertEncodeOptions encode = {
		.truncation = ALBERT_TRUNCATE_NONE,
		.special_tokens = true
	};
	AlbertTokens whole;
	int			question = 0;
	int			context;
	int			capacity;
	int			step;

	if (!AlbertTokenizeText(job, &forward->items[i], &encode, &whole))
		return;
	while (!whole.items[1 + question].special)
		question++;
	context = whole.n - question - 3;
	if (context == 0 || !window_sizes(job, &forward->items[i], question, context, &capacity, &step))
		return;
	for (int from = 0;; from += step)
	{
		int			to = Min(from + capacity, context);
		AlbertTokens window = AlbertCutTokens(job, &whole, question + 2, question + 2 + from, question + 2 + to);

		AlbertForwardAdd(forward, i, &window);
		if (to == context)
			break;
	}
}

static void
run_answer(AlbertJob *job, AlbertItem *items, int n)
{
	Answers    *all = palloc0(n * sizeof(Answers));
	AlbertForward forward;

	job->state = all;
	AlbertForwardInit(&forward, job, items, n);
	for (int i = 0; i < n; i++)
	{
		all[i].bytes = AlbertCodePointBytes(&items[i].pair);
		fold_context(&all[i], &items[i].pair);
		all[i].answers = palloc(sizeof(Answer));
		all[i].distinct = distinct_create(CurrentMemoryContext, 16, NULL);
		all[i].null_score = 1000000;
		add_item(&forward, i);
	}
	AlbertForwardRun(&forward, consume_spans);
}

/* An item's answers, best first. */
static Answers *
best_answers(AlbertJob *job, int number)
{
	const AnswerOptions *options = AlbertOptionsOf(job, AnswerOptions);
	Answers    *answers = (Answers *) job->state + number;

	/* that there is none: an empty one at 0 */
	if (options->handle_impossible && answers->null_score < 1000000)
		new_answer(answers, answers->n++, answers->null_score, 0, 0);
	if (answers->n > 1)
		qsort(answers->answers, answers->n, sizeof(Answer), AlbertCompareRanked);
	answers->n = Min(answers->n, options->top_k);
	return answers;
}

/* albert_answer(question, context) text; NULL: no answer (only with handle_impossible, or for an empty context). */
static void
set_answer(AlbertJob *job, AlbertItem *item, int number)
{
	const Answers *answers = best_answers(job, number);
	const Answer *best = answers->answers;
	AlbertText	text;

	if (answers->n == 0 || best->stop <= best->start)
		return;
	text = answer_text(item, answers, best->start, best->stop);
	AlbertItemSet(item, AlbertTextToDatum(text.data, text.size));
}

/* albert_answers(question, context) rows */
static void
put_answers(AlbertJob *job, AlbertItem *item, int number)
{
	const Answers *answers = best_answers(job, number);

	for (int a = 0; a < answers->n; a++)
	{
		const Answer *found = &answers->answers[a];
		AlbertText	text = answer_text(item, answers, found->start, found->stop);

		AlbertPutRow(item->rows, (Datum[]) {
			Int32GetDatum(a + 1), AlbertTextToDatum(text.data, text.size), Float4GetDatum((float) found->rank.score),
			Int32GetDatum(found->start), Int32GetDatum(found->stop)
		}, NULL);
	}
}

const AlbertTask albert_answer_task = {
	.text_arg = "question",
	.pair_arg = "context",
	.pair_needed = true,
	.heads = ALBERT_HEAD_QUESTION_ANSWERING,
	.init = init_answer,
	.options = answer_options,
	.run = run_answer,
	.result = set_answer,
	.rows = put_answers
};
