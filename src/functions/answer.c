/*
 * answer.c
 *	  Extractive question answering with the rules of the reference's
 *	  pipeline (transformers, QuestionAnsweringPipeline): overlapping windows
 *	  of the context, spans of whole words, equal answers added up.
 */
#include "postgres.h"

#include <math.h>
#include <utf8proc.h>

#include "common/hashfn.h"
#include "miscadmin.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"
#include "functions/scores.h"

typedef struct AnswerOptions
{
	int			top_k;
	int			max_answer_len; /* tokens */
	int			max_seq_len;	/* tokens of a window, question and special tokens included */
	int			doc_stride;		/* tokens that windows share; -1: half a window, at most 128 */
	bool		handle_impossible;
	bool		align_to_words;
} AnswerOptions;

StaticAssertDecl(sizeof(AnswerOptions) <= ALBERT_MAX_OPTIONS, "options too large");

static void
init_answer(AlbertJob *job)
{
	AnswerOptions *options = (AnswerOptions *) &job->options;

	options->top_k = 1;
	options->max_answer_len = 15;
	options->max_seq_len = 384;
	options->doc_stride = -1;
	options->align_to_words = true;
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
	uint32		hash;			/* of its text in lower case */
} Answer;

/* What is known of one item. */
typedef struct Answers
{
	int		   *bytes;			/* context: code point -> byte, one more at the end */
	char	   *folded;			/* context in lower case, by which equal answers are told */
	int		   *folded_bytes;	/* the same of it */
	int			n;
	int			max;			/* room at answers */
	Answer	   *answers;
	uint32		table_size;		/* a power of two, more than n */
	int		   *table;			/* open addressing: answer number + 1 */
	double		null_score;		/* the least over the windows of the score of no answer */
} Answers;

static AlbertText
answer_text(const AlbertItem *item, const Answers *answers, int start, int stop)
{
	AlbertText	text;

	text.data = item->pair.data + answers->bytes[start];
	text.size = stop <= start ? 0 : answers->bytes[stop] - answers->bytes[start];
	return text;
}

/* Lower case character by character, so that a part's is a part of the whole's. */
static void
fold_context(Answers *answers, const AlbertText *text)
{
	char	   *folded = palloc_extended(text->size * 2 + 5, MCXT_ALLOC_HUGE);
	int		   *bytes = palloc_extended((text->size + 1) * sizeof(int), MCXT_ALLOC_HUGE);
	size_t		in = 0;
	int			out = 0;
	int			n = 0;

	while (in < text->size)
	{
		utf8proc_int32_t c;
		utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *) text->data + in,
												 text->size - in, &c);

		if (size <= 0)
			break;
		in += size;
		bytes[n++] = out;
		out += utf8proc_encode_char(utf8proc_tolower(c), (utf8proc_uint8_t *) folded + out);
	}
	bytes[n] = out;
	answers->folded = folded;
	answers->folded_bytes = bytes;
}

static Answer *
new_answer(Answers *answers)
{
	Answer	   *answer;

	if (answers->n == MAX_ANSWERS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("context has more than %d possible answers", MAX_ANSWERS),
				 errhint("Ask for fewer with top_k, or for shorter ones with max_answer_len.")));
	if (answers->n == answers->max)
	{
		answers->max = Max(answers->max * 2, 16);
		answers->answers = answers->answers == NULL
			? palloc(answers->max * sizeof(Answer))
			: repalloc(answers->answers, answers->max * sizeof(Answer));
	}
	answer = &answers->answers[answers->n];
	answer->rank.first = answers->n++;
	answer->rank.second = 0;
	return answer;
}

/* Where in the table the text of a hash is, or is to be. */
static int *
table_place(const Answers *answers, uint32 hash, const char *folded, int size)
{
	uint32		place = hash & (answers->table_size - 1);

	for (; answers->table[place] != 0; place = (place + 1) & (answers->table_size - 1))
	{
		const Answer *answer = &answers->answers[answers->table[place] - 1];
		int			at = answers->folded_bytes[answer->start];

		if (folded != NULL && answer->hash == hash &&
			answers->folded_bytes[answer->stop] - at == size &&
			memcmp(answers->folded + at, folded, size) == 0)
			break;
	}
	return &answers->table[place];
}

static void
grow_table(Answers *answers)
{
	answers->table_size = Max(answers->table_size * 2, 64);
	if (answers->table != NULL)
		pfree(answers->table);
	answers->table = palloc0(answers->table_size * sizeof(int));
	for (int i = 0; i < answers->n; i++)
		*table_place(answers, answers->answers[i].hash, NULL, 0) = i + 1;
}

/* Equal texts, but for case, are one answer with the sum of their scores. */
static void
add_answer(Answers *answers, double score, int start, int stop)
{
	const char *folded = answers->folded + answers->folded_bytes[start];
	int			size = answers->folded_bytes[stop] - answers->folded_bytes[start];
	uint32		hash = hash_bytes((const unsigned char *) folded, size);
	int		   *place;
	Answer	   *answer;

	if ((uint32) answers->n * 2 >= answers->table_size)
		grow_table(answers);
	place = table_place(answers, hash, folded, size);
	if (*place != 0)
	{
		answers->answers[*place - 1].rank.score += score;
		return;
	}
	answer = new_answer(answers);
	answer->rank.score = score;
	answer->start = start;
	answer->stop = stop;
	answer->hash = hash;
	*place = answers->n;
}

/* That there is no answer: an empty one at 0. */
static void
add_null_answer(Answers *answers)
{
	Answer	   *answer = new_answer(answers);

	answer->rank.score = answers->null_score;
	answer->start = answer->stop = 0;
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

static void
consume_spans(AlbertForward *forward, const AlbertSequence *sequences, int n,
			  const AlbertBatch *batch, const AlbertRows *hidden)
{
	AlbertJob  *job = forward->job;
	const AnswerOptions *options = (const AnswerOptions *) &job->options;
	Answers    *all = job->state;
	AlbertRows	logits = AlbertRunHead(job, AlbertHeadQuestionAnswering, hidden);
	int			k = options->align_to_words ? options->top_k * 2 + 10 : options->top_k;

	for (int s = 0; s < n; s++)
	{
		const AlbertSequence *sequence = &sequences[s];
		const AlbertTokens *tokens = &sequence->tokens;
		Answers    *answers = &all[sequence->item];
		double	   *start = AlbertJobAlloc(job, tokens->n, sizeof(double));
		double	   *end = AlbertJobAlloc(job, tokens->n, sizeof(double));
		AlbertBest	best = {.ranked = AlbertJobAlloc(job, k, sizeof(AlbertRanked)), .k = k};
		int			to = tokens->n - 1;
		int			from = to;
		double		null_score;

		while (tokens->items[from - 1].type == 1)
			from--;
		null_score = span_probabilities(&logits, sequence->row, 0, from, to, start) *
			span_probabilities(&logits, sequence->row, 1, from, to, end);
		answers->null_score = Min(answers->null_score, null_score);
		find_spans(start, end, from, to, options->max_answer_len, &best);
		for (int i = 0; i < best.n; i++)
		{
			CHECK_FOR_INTERRUPTS();
			add_span(&job->binding->tokenizer, answers, tokens, from, to, &best.ranked[i], options->align_to_words);
		}
	}
}

/* ---------- windows ---------- */

typedef struct Lengths
{
	int			max_seq_len;
	int			doc_stride;
} Lengths;

/* False when the question leaves no room; the item has a status then. */
static bool
window_lengths(const AlbertJob *job, AlbertItem *item, int question, Lengths *lengths)
{
	const AnswerOptions *options = (const AnswerOptions *) &job->options;
	int			max_length = job->binding->tokenizer.max_length;
	int			capacity;
	AlbertStatus status;

	lengths->max_seq_len = Min(options->max_seq_len, max_length);
	lengths->doc_stride = options->doc_stride >= 0 ? options->doc_stride
		: Min(lengths->max_seq_len / 2, 128);
	capacity = lengths->max_seq_len - question - 3;
	if (capacity < 1)
	{
		AlbertFail(&status, ALBERT_INPUT, "question has %d tokens, which leaves no room for the context in %d",
				   question, lengths->max_seq_len);
		return AlbertItemFail(job, item, &status);
	}
	if (lengths->doc_stride >= capacity)
	{
		if (options->doc_stride >= 0)
		{
			AlbertFail(&status, ALBERT_INPUT,
					   "doc_stride must be less than the %d tokens of context in a window, not %d",
					   capacity, lengths->doc_stride);
			return AlbertItemFail(job, item, &status);
		}
		lengths->doc_stride = capacity / 2;
	}
	return true;
}

/* Windows that share much are many: their number is bounded. */
static void
check_windows(int context, int capacity, const Lengths *lengths)
{
	int64		step = capacity - lengths->doc_stride;
	int64		windows = 1 + Max((int64) context - capacity + step - 1, 0) / step;

	if (windows * lengths->max_seq_len > MAX_WINDOW_TOKENS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("context of %d tokens needs %lld windows of %d tokens",
						context, (long long) windows, lengths->max_seq_len),
				 errdetail("The limit is %d tokens in all.", MAX_WINDOW_TOKENS),
				 errhint("Lower doc_stride, so that windows share less, or cut the context with albert_chunks.")));
}

/* Windows over the context as the reference's tokenizer makes them with truncation only_second and a stride. */
static void
add_item(AlbertForward *forward, int i)
{
	AlbertJob  *job = forward->job;
	AlbertEncodeOptions encode = {
		.truncation = ALBERT_TRUNCATE_NONE,
		.special_tokens = true
	};
	AlbertTokens whole;
	Lengths		lengths;
	int			question = 0;
	int			context;
	int			capacity;

	if (!AlbertTokenizeText(job, &forward->items[i], &encode, &whole))
		return;
	while (!whole.items[1 + question].special)
		question++;
	context = whole.n - question - 3;
	if (context == 0)
		return;
	if (!window_lengths(job, &forward->items[i], question, &lengths))
		return;
	capacity = lengths.max_seq_len - question - 3;
	check_windows(context, capacity, &lengths);
	for (int from = 0;; from += capacity - lengths.doc_stride)
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
		all[i].null_score = 1000000;
		add_item(&forward, i);
	}
	forward.consume = consume_spans;
	AlbertForwardRun(&forward);
}

/* An item's answers, best first. */
static Answers *
best_answers(AlbertJob *job, int number)
{
	const AnswerOptions *options = (const AnswerOptions *) &job->options;
	Answers    *answers = (Answers *) job->state + number;

	if (options->handle_impossible && answers->null_score < 1000000)
		add_null_answer(answers);
	if (answers->n > 1)
		qsort(answers->answers, answers->n, sizeof(Answer), AlbertCompareRanked);
	answers->n = Min(answers->n, options->top_k);
	return answers;
}

/* ---------- albert_answer(question, context) text ---------- */

/* NULL: no answer (only with handle_impossible, or for an empty context). */
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

const AlbertTask albert_answer_task = {
	.symbol = "albert_answer",
	.text_arg = "question",
	.pair_arg = "context",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_QUESTION_ANSWERING,
	.init = init_answer,
	.options = answer_options,
	.run = run_answer,
	.result = set_answer
};

/* ---------- albert_answers(question, context) rows ---------- */

static void
put_answers(AlbertJob *job, AlbertItem *item, int number)
{
	const Answers *answers = best_answers(job, number);

	for (int a = 0; a < answers->n; a++)
	{
		const Answer *found = &answers->answers[a];
		AlbertText	text = answer_text(item, answers, found->start, found->stop);
		Datum		values[5];

		values[0] = Int32GetDatum(a + 1);
		values[1] = AlbertTextToDatum(text.data, text.size);
		values[2] = Float4GetDatum((float) found->rank.score);
		values[3] = Int32GetDatum(found->start);
		values[4] = Int32GetDatum(found->stop);
		AlbertPutRow(item, values, NULL);
	}
}

const AlbertTask albert_answers_task = {
	.symbol = "albert_answers",
	.text_arg = "question",
	.pair_arg = "context",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_QUESTION_ANSWERING,
	.init = init_answer,
	.options = answer_options,
	.run = run_answer,
	.result = put_answers
};
