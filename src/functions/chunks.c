/*
 * chunks.c
 *	  Long texts cut into pieces that fit a model, where the text itself ends
 *	  something: a word, a sentence, a paragraph, a section.
 */
#include "postgres.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/borders.h"
#include "functions/functions.h"

/* A chunk by itself differs by less than so many tokens from what it was in the text. */
#define SLACK	16

typedef struct ChunkOptions
{
	int			max_tokens;		/* of a chunk, special tokens and prefix included; 0: the model's length */
	int			overlap;		/* most tokens of a chunk's end that the next one repeats; no more than half a chunk */
	int			split_by;		/* in splits: a chunk ends with one of these where one fits */
	AlbertText	prefix;			/* what will be put before each chunk */
} ChunkOptions;

static const char *const splits[] = {"token", "sentence", "paragraph", "markdown", NULL};

static void
take_max_tokens(AlbertJob *job, Datum value)
{
	if (DatumGetInt32(value) != 0)
		AlbertOptionsOf(job, ChunkOptions)->max_tokens = AlbertIntOption("max_tokens", value, 3, INT_MAX);
}

static void
take_prefix(AlbertJob *job, Datum value)
{
	AlbertOptionsOf(job, ChunkOptions)->prefix = AlbertTextFromDatum(value);
}

static const AlbertOption chunk_options[] = {
	ALBERT_TAKEN_OPTION("max_tokens", take_max_tokens),
	ALBERT_INT_OPTION("overlap", ChunkOptions, overlap, 0, INT_MAX),
	ALBERT_CHOICE_OPTION("split_by", ChunkOptions, split_by, splits,
						 "A text is split by token, sentence, paragraph or markdown."),
	ALBERT_TAKEN_OPTION("prefix", take_prefix),
	ALBERT_NO_OPTION
};

/* A text that is being cut, and what its chunks must keep to. */
typedef struct Chunking
{
	AlbertJob  *job;
	CutText		cut;
	AlbertText	prefix;
	int			max_tokens;
	int			room;			/* tokens of text in a chunk, as far as can be said before it is made */
	Border		split_by;
} Chunking;

/* ---------- chunks: from one cut to another ---------- */

static AlbertText
chunk_text(const Chunking *chunking, int from, int to)
{
	const CutText *cut = &chunking->cut;
	int			start = cut->bytes[cut->begin[from]];

	return (AlbertText) {.data = cut->text.data + start, .size = cut->bytes[cut->end[to]] - start};
}

static const AlbertText no_text = {.data = "", .size = 0};

/* Tokens that a text has by itself, behind the prefix. */
static int
length_with_prefix(const Chunking *chunking, AlbertText text)
{
	AlbertArenaMark mark = AlbertArenaGetMark(chunking->job->arena);
	AlbertItem	item = {.text = text};
	int			n;

	if (chunking->prefix.size > 0)
		AlbertPrependPrompt(chunking->job, &chunking->prefix, &item, 1);
	n = AlbertTokensOf(chunking->job, item.text, true).n;
	AlbertArenaRewind(chunking->job->arena, mark);
	return n;
}

/* By how many tokens a chunk exceeds what is allowed; at most 0 when it fits. */
static int
excess_of(const Chunking *chunking, int from, int to)
{
	return length_with_prefix(chunking, chunk_text(chunking, from, to)) - chunking->max_tokens;
}

/* The last cut in (from, at] that is such a border or a better one; from: there is none. */
static int
last_border(const Chunking *chunking, int from, int at, Border border)
{
	while (at > from && chunking->cut.borders[at] < border)
		at--;
	return at;
}

/* The first border of that kind in [at, end); end: there is none. */
static int
first_border(const Chunking *chunking, int at, int end, Border border)
{
	while (at < end && chunking->cut.borders[at] < border)
		at++;
	return at;
}

/*
 * Where the longest chunk ends that fits and ends with such a border; from:
 * there is none.  Looked for where the text's own tokens say that it is: back
 * from there until it fits, then on as long as it fits.
 */
static int
end_at_border(const Chunking *chunking, int from, Border border)
{
	int			rest = chunking->cut.tokens.n - from;
	int			end = from + (chunking->room < rest - SLACK ? chunking->room + SLACK : rest);
	int			at = last_border(chunking, from, from + Min(chunking->room, rest), border);
	int			excess;

	while (at > from && (excess = excess_of(chunking, from, at)) > 0)
		at = last_border(chunking, from, Max(at - excess, from), border);
	for (;;)
	{
		int			next = first_border(chunking, at + 1, end + 1, border);

		if (next > end || excess_of(chunking, from, next) > 0)
			return at;
		at = next;
	}
}

/* The last word's end in (from, at], else the last cut, else the first cut after. */
static int
cut_at(const Chunking *chunking, int from, int at)
{
	int			cut = last_border(chunking, from, at, BORDER_WORD);

	if (cut == from)
		cut = last_border(chunking, from, at, BORDER_TOKEN);
	return cut > from ? cut : first_border(chunking, at + 1, chunking->cut.tokens.n, BORDER_TOKEN);
}

/*
 * Where a chunk ends that goes as far as it fits, to a word's end when there is
 * one.  By itself it can need more tokens than it had in the text.
 */
static int
end_at_word(const Chunking *chunking, int from)
{
	const CutText *cut = &chunking->cut;
	int			room = Min(chunking->room, cut->tokens.n - from);

	for (;;)
	{
		int			to = cut_at(chunking, from, from + Max(room, 1));
		int			excess = excess_of(chunking, from, to);

		if (excess <= 0)
			return to;
		if (room <= 1 || to - from > room)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("max_tokens must be at least %d for this text, not %d",
							chunking->max_tokens + excess, chunking->max_tokens),
					 errdetail_plural("The %d character from %d on cannot be cut into less.",
									  "The %d characters from %d on cannot be cut into less.",
									  cut->end[to] - cut->begin[from], cut->end[to] - cut->begin[from],
									  cut->begin[from])));
		room = Max(Min(room, to - from) - excess, 1);
	}
}

/* Where the chunk from a cut on ends: with the kind of border that was asked for, else with the next lesser kind. */
static int
next_end(const Chunking *chunking, int from)
{
	for (Border border = chunking->split_by; border > BORDER_WORD; border--)
	{
		int			to = end_at_border(chunking, from, border);

		if (to > from)
			return to;
	}
	return end_at_word(chunking, from);
}

/* Where the chunk after one begins: as far back as the overlap goes, at the best kind of border that there is. */
static int
overlapping_cut(const Chunking *chunking, int from, int to, int overlap)
{
	int			least = Max(to - overlap, from + 1);

	for (Border border = chunking->split_by; border > BORDER_WORD; border--)
	{
		int			cut = first_border(chunking, least, to, border);

		if (cut < to)
			return cut;
	}
	return first_border(chunking, least, to, BORDER_WORD);
}

static void
put_chunk(AlbertItem *item, const Chunking *chunking, int number, int from, int to)
{
	AlbertText	text = chunk_text(chunking, from, to);
	Datum		value = AlbertTextToDatum(text.data, text.size);

	AlbertPutRow(item->rows, (Datum[]) {
		Int32GetDatum(number), value, Int32GetDatum(chunking->cut.begin[from]), Int32GetDatum(chunking->cut.end[to])
	}, NULL);
	pfree(DatumGetPointer(value));
}

/* Chunks can only be made where there is room for text in them. */
static void
check_room(const Chunking *chunking, int overlap)
{
	int			most = chunking->room / 2;

	if (chunking->room < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("prefix leaves no room in a chunk of %d tokens", chunking->max_tokens),
				 errdetail("It has %d tokens, special tokens included.", length_with_prefix(chunking, no_text))));
	if (overlap > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("overlap must be at most %d, half of the tokens of text in a chunk, not %d",
						most, overlap)));
}

static void
put_chunks(AlbertJob *job, AlbertItem *item, int number)
{
	const ChunkOptions *options = AlbertOptionsOf(job, ChunkOptions);
	Chunking	chunking = {
		.job = job,
		.prefix = options->prefix,
		.split_by = BORDER_WORD + options->split_by,
		.max_tokens = options->max_tokens > 0 ? options->max_tokens : job->binding->tokenizer.max_length
	};
	int			from = 0;
	int			reached = 0;

	chunking.room = chunking.max_tokens - length_with_prefix(&chunking, no_text);
	check_room(&chunking, options->overlap);
	AlbertCutText(&chunking.cut, job, item->text, chunking.split_by);
	job->counts.tokens += chunking.cut.tokens.n;
	for (int n = 1; reached < chunking.cut.tokens.n; n++)
	{
		int			to = next_end(&chunking, from);

		/* an overlap that keeps the chunk from going on is none */
		if (to <= reached)
		{
			from = reached;
			to = next_end(&chunking, from);
		}
		put_chunk(item, &chunking, n, from, to);
		reached = to;
		from = overlapping_cut(&chunking, from, to, options->overlap);
	}
}

const AlbertTask albert_chunks_task = {
	.text_arg = "content",
	.text_only = true,
	.options = chunk_options,
	.rows = put_chunks
};
