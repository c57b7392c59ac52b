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
#include "utils/builtins.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"
#include "functions/words.h"

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

static bool
option_answer(AlbertJob *job, const char *name, Datum value, Oid type)
{
	AnswerOptions *options = (AnswerOptions *) &job->options;

	if (strcmp(name, "top_k") == 0)
		options->top_k = AlbertIntOption(name, value, 1, 10000);
	else if (strcmp(name, "max_answer_len") == 0)
		options->max_answer_len = AlbertIntOption(name, value, 1, INT_MAX);
	else if (strcmp(name, "max_seq_len") == 0)
		options->max_seq_len = AlbertIntOption(name, value, 8, INT_MAX);
	else if (strcmp(name, "doc_stride") == 0)
		options->doc_stride = AlbertIntOption(name, value, -1, INT_MAX);
	else if (strcmp(name, "handle_impossible") == 0)
		options->handle_impossible = DatumGetBool(value);
	else if (strcmp(name, "align_to_words") == 0)
		options->align_to_words = DatumGetBool(value);
	else
		return false;
	return true;
}

/* ---------- answers ---------- */

/* So many different answers of one context are kept at most, and so many tokens of all its windows. */
#define MAX_ANSWERS			4000000
#define MAX_WINDOW_TOKENS	(16 * 1024 * 1024)

typedef struct Answer
{
	double		score;
	int			start;			/* code points of the context */
	int			stop;
	uint32		hash;			/* of its text in lower case */
	int			number;			/* in the order of coming */
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
	answer->number = answers->n++;
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
		answers->answers[*place - 1].score += score;
		return;
	}
	answer = new_answer(answers);
	answer->score = score;
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

	answer->score = answers->null_score;
	answer->start = answer->stop = 0;
}

/* Best first, equal ones as they came. */
static int
compare_answers(const void *a, const void *b)
{
	const Answer *x = a;
	const Answer *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x->number - y->number;
}

/* ---------- spans of a window ---------- */

typedef struct Span
{
	double		score;
	int			first;			/* tokens of the sequence */
	int			last;
} Span;

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

/* Best first, equal ones as they stand in the text. */
static int
compare_spans(const void *a, const void *b)
{
	const Span *x = a;
	const Span *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	if (x->first != y->first)
		return x->first - y->first;
	return x->last - y->last;
}

/* The heap's root is its worst span; it has sunk from `at` to its place. */
static void
sink_span(Span *heap, int n, int at)
{
	for (;;)
	{
		int			worst = at;

		for (int child = 2 * at + 1; child < n && child <= 2 * at + 2; child++)
		{
			if (compare_spans(&heap[child], &heap[worst]) > 0)
				worst = child;
		}
		if (worst == at)
			return;
		else
		{
			Span		span = heap[at];

			heap[at] = heap[worst];
			heap[worst] = span;
			at = worst;
		}
	}
}

/* The k best spans within context tokens [from, to), best first; returns how many there are. */
static int
best_spans(const double *start, const double *end, int from, int to, int max_len,
		   Span *spans, int k)
{
	int			n = 0;

	for (int s = from; s < to; s++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int e = s; e < to && e - s < max_len; e++)
		{
			Span		span = {.score = start[s] * end[e], .first = s, .last = e};

			if (span.score <= 0)
				continue;
			if (n < k)
			{
				spans[n++] = span;
				for (int i = n / 2 - 1; n == k && i >= 0; i--)
					sink_span(spans, n, i);
			}
			else if (compare_spans(&span, &spans[0]) < 0)
			{
				spans[0] = span;
				sink_span(spans, n, 0);
			}
		}
	}
	qsort(spans, n, sizeof(Span), compare_spans);
	return n;
}

static void
add_span(const AlbertTokenizer *tokenizer, Answers *answers,
		 const AlbertTokens *tokens, int from, int to, const Span *span, bool align)
{
	int			first = span->first;
	int			last = span->last;

	if (align)
	{
		while (first > from && !AlbertStartsWord(tokenizer, tokens->ids[first]))
			first--;
		while (last + 1 < to && !AlbertStartsWord(tokenizer, tokens->ids[last + 1]))
			last++;
	}
	add_answer(answers, span->score, tokens->start[first], tokens->stop[last]);
}

static void
consume_spans(AlbertForward *forward, const AlbertSequence *sequences, int n,
			  const AlbertBatch *batch, const AlbertRows *hidden)
{
	AlbertJob  *job = forward->job;
	const AnswerOptions *options = (const AnswerOptions *) &job->options;
	Answers    *all = forward->state;
	AlbertRows	logits = AlbertRunHead(job, AlbertHeadQuestionAnswering, hidden);
	int			k = options->align_to_words ? options->top_k * 2 + 10 : options->top_k;

	for (int s = 0; s < n; s++)
	{
		const AlbertSequence *sequence = &sequences[s];
		const AlbertTokens *tokens = &sequence->tokens;
		Answers    *answers = &all[sequence->item];
		double	   *start = AlbertJobAlloc(job, tokens->n, sizeof(double));
		double	   *end = AlbertJobAlloc(job, tokens->n, sizeof(double));
		Span	   *spans = AlbertJobAlloc(job, k, sizeof(Span));
		int			to = tokens->n - 1;
		int			from = to;
		double		null_score;
		int			nspans;

		while (tokens->types[from - 1] == 1)
			from--;
		null_score = span_probabilities(&logits, sequence->row, 0, from, to, start) *
			span_probabilities(&logits, sequence->row, 1, from, to, end);
		answers->null_score = Min(answers->null_score, null_score);
		nspans = best_spans(start, end, from, to, options->max_answer_len, spans, k);
		for (int i = 0; i < nspans; i++)
		{
			CHECK_FOR_INTERRUPTS();
			add_span(&job->binding->tokenizer, answers, tokens, from, to, &spans[i], options->align_to_words);
		}
	}
}

/* ---------- windows ---------- */

/* [CLS] question [SEP] context[from .. to) [SEP], out of the whole pair's tokens */
static AlbertTokens
window_tokens(AlbertJob *job, const AlbertTokens *whole, int question, int from, int to)
{
	int			head = question + 2;
	int			n = head + to - from + 1;
	AlbertTokens window = {.n = n};

	window.ids = AlbertJobAlloc(job, n, sizeof(int32_t));
	window.types = AlbertJobAlloc(job, n, sizeof(uint8_t));
	window.special = AlbertJobAlloc(job, n, sizeof(uint8_t));
	window.start = AlbertJobAlloc(job, n, sizeof(int32_t));
	window.stop = AlbertJobAlloc(job, n, sizeof(int32_t));
#define COPY(field, size) \
	do { \
		memcpy(window.field, whole->field, head * size); \
		memcpy(window.field + head, whole->field + head + from, (to - from) * size); \
		window.field[n - 1] = whole->field[whole->n - 1]; \
	} while (0)
	COPY(ids, sizeof(int32_t));
	COPY(types, sizeof(uint8_t));
	COPY(special, sizeof(uint8_t));
	COPY(start, sizeof(int32_t));
	COPY(stop, sizeof(int32_t));
#undef COPY
	return window;
}

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
			AlbertFail(&status, ALBERT_INPUT, "doc_stride must be less than the %d tokens of context in a window, not %d",
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
		.special_tokens = true,
		.offsets = true
	};
	AlbertTokens whole;
	Lengths		lengths;
	int			question = 0;
	int			context;
	int			capacity;

	if (!AlbertTokenizeText(job, &forward->items[i], &encode, &whole))
		return;
	while (!whole.special[1 + question])
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
		AlbertTokens window = window_tokens(job, &whole, question, from, to);

		AlbertForwardAdd(forward, i, &window);
		if (to == context)
			break;
	}
}

static Answers *
answer(AlbertJob *job, AlbertItem *items, int n)
{
	const AnswerOptions *options = (const AnswerOptions *) &job->options;
	Answers    *all = palloc0(n * sizeof(Answers));
	AlbertForward forward;

	AlbertForwardInit(&forward, job, items, n);
	for (int i = 0; i < n; i++)
	{
		all[i].bytes = AlbertCodePointBytes(&items[i].pair);
		fold_context(&all[i], &items[i].pair);
		all[i].null_score = 1000000;
		add_item(&forward, i);
	}
	forward.state = all;
	forward.consume = consume_spans;
	AlbertForwardRun(&forward);
	for (int i = 0; i < n; i++)
	{
		Answers    *answers = &all[i];

		if (options->handle_impossible && answers->null_score < 1000000)
			add_null_answer(answers);
		if (answers->n > 1)
			qsort(answers->answers, answers->n, sizeof(Answer), compare_answers);
		answers->n = Min(answers->n, options->top_k);
	}
	return all;
}

/* ---------- albert_answer(question, context) text ---------- */

/* NULL: no answer (only with handle_impossible, or for an empty context). */
static void
run_answer(AlbertJob *job, AlbertItem *items, int n)
{
	Answers    *all = answer(job, items, n);

	for (int i = 0; i < n; i++)
	{
		const Answer *best = all[i].answers;
		AlbertText	text;

		if (all[i].n == 0 || best->stop <= best->start)
			continue;
		text = answer_text(&items[i], &all[i], best->start, best->stop);
		items[i].result = AlbertTextToDatum(text.data, text.size);
		items[i].isnull = false;
	}
}

const AlbertTask albert_answer_task = {
	.symbol = "albert_answer",
	.text_arg = "question",
	.pair_arg = "context",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_QUESTION_ANSWERING,
	.init = init_answer,
	.option = option_answer,
	.run = run_answer
};

ALBERT_SCALAR_FUNCTION(albert_answer);

/* ---------- albert_answers(question, context) rows ---------- */

static void
run_answers(AlbertJob *job, AlbertItem *items, int n)
{
	Answers    *all = answer(job, items, n);

	for (int i = 0; i < n; i++)
	{
		for (int a = 0; a < all[i].n; a++)
		{
			const Answer *found = &all[i].answers[a];
			AlbertText	text = answer_text(&items[i], &all[i], found->start, found->stop);
			Datum		values[5];

			values[0] = Int32GetDatum(a + 1);
			values[1] = AlbertTextToDatum(text.data, text.size);
			values[2] = Float4GetDatum((float) found->score);
			values[3] = Int32GetDatum(found->start);
			values[4] = Int32GetDatum(found->stop);
			AlbertPutRow(&items[i], values, NULL);
		}
	}
}

const AlbertTask albert_answers_task = {
	.symbol = "albert_answers",
	.text_arg = "question",
	.pair_arg = "context",
	.part = ALBERT_PART_WEIGHTS,
	.heads = ALBERT_HEAD_QUESTION_ANSWERING,
	.init = init_answer,
	.option = option_answer,
	.run = run_answers
};

ALBERT_ROWS_FUNCTION(albert_answers);
