/*
 * chunks.c
 *	  Long texts cut into pieces that fit a model, at word borders.
 */
#include "postgres.h"

#include <utf8proc.h>

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"

typedef struct ChunkOptions
{
	int			max_tokens;		/* of a chunk, special tokens included; 0: the model's length */
	int			overlap;		/* tokens of a chunk's end that the next one repeats, at most; no more than half a chunk */
} ChunkOptions;

StaticAssertDecl(sizeof(ChunkOptions) <= ALBERT_MAX_OPTIONS, "options too large");

static bool
take_option(AlbertJob *job, const char *name, Datum value, Oid type)
{
	ChunkOptions *options = (ChunkOptions *) &job->options;

	if (strcmp(name, "max_tokens") == 0)
	{
		/* 0: as many as the model takes */
		options->max_tokens = DatumGetInt32(value) == 0 ? 0
			: AlbertIntOption(name, value, 3, INT_MAX);
	}
	else if (strcmp(name, "overlap") == 0)
		options->overlap = AlbertIntOption(name, value, 0, INT_MAX);
	else
		return false;
	return true;
}

/*
 * The text being cut.  A cut is in front of a token.  Tokens that share a
 * character (of U+FB03 come three letters) cannot be cut apart.
 */
typedef struct Source
{
	AlbertJob  *job;
	AlbertText	text;
	AlbertTokens tokens;		/* no special tokens; offsets */
	int		   *bytes;			/* code point -> byte, one more at the end */
	int			length;			/* code points */
	int		   *stop_before;	/* by cut: where the last token before it stops */
	int		   *start_after;	/* by cut: where the first token after it starts */
} Source;

static void
find_cuts(Source *source)
{
	const AlbertTokens *tokens = &source->tokens;
	int			n = tokens->n;

	source->stop_before = AlbertJobAlloc(source->job, n + 1, sizeof(int));
	source->start_after = AlbertJobAlloc(source->job, n + 1, sizeof(int));
	source->stop_before[0] = 0;
	for (int t = 0; t < n; t++)
		source->stop_before[t + 1] = Max(source->stop_before[t], tokens->stop[t]);
	source->start_after[n] = source->length;
	for (int t = n - 1; t >= 0; t--)
		source->start_after[t] = Min(source->start_after[t + 1], tokens->start[t]);
}

static bool
is_cut(const Source *source, int at)
{
	return at == 0 || at == source->tokens.n || source->stop_before[at] <= source->start_after[at];
}

/* ---------- characters between tokens ---------- */

static bool
is_blank(const Source *source, int place)
{
	utf8proc_int32_t c;
	int			byte = source->bytes[place];

	if (utf8proc_iterate((const utf8proc_uint8_t *) source->text.data + byte,
						 source->bytes[place + 1] - byte, &c) <= 0)
		return false;
	if (c < 0x80)
		return c == ' ' || (c >= '\t' && c <= '\r');
	switch (utf8proc_category(c))
	{
		case UTF8PROC_CATEGORY_ZS:
		case UTF8PROC_CATEGORY_ZL:
		case UTF8PROC_CATEGORY_ZP:
			return true;
		default:
			return c == 0x85;
	}
}

/*
 * Where the text before a cut ends.  What stands between two tokens without
 * being part of either, such as an accent that the tokenizer drops, belongs
 * to the first as far as no blank is between, else to the second.
 */
static int
end_before(const Source *source, int at)
{
	int			place = source->stop_before[at];

	while (place < source->start_after[at] && !is_blank(source, place))
		place++;
	return place;
}

/* Where the text after a cut begins. */
static int
begin_after(const Source *source, int at)
{
	int			place = at == 0 ? 0 : end_before(source, at);

	/* also those that a token has at its front, as [MASK] does */
	while (place < source->length && is_blank(source, place))
		place++;
	return place;
}

/* Is there a blank at the cut? */
static bool
is_border(const Source *source, int at)
{
	return at == 0 || at == source->tokens.n ||
		(is_cut(source, at) && begin_after(source, at) > end_before(source, at));
}

/* ---------- chunks ---------- */

typedef struct Chunk
{
	int			from;			/* cuts */
	int			to;
	int			start;			/* code points */
	int			stop;
} Chunk;

static Chunk
make_chunk(const Source *source, int from, int to)
{
	return (Chunk) {
		.from = from,
		.to = to,
		.start = begin_after(source, from),
		.stop = to == source->tokens.n ? source->length : end_before(source, to)
	};
}

static AlbertText
chunk_text(const Source *source, const Chunk *chunk)
{
	int			byte = source->bytes[chunk->start];

	return (AlbertText) {.data = source->text.data + byte, .size = source->bytes[chunk->stop] - byte};
}

/* Tokens that a chunk has when it is tokenized by itself. */
static int
chunk_length(const Source *source, const Chunk *chunk)
{
	AlbertArenaMark mark = AlbertArenaGetMark(source->job->arena);
	AlbertItem	item = {.text = chunk_text(source, chunk)};
	AlbertEncodeOptions encode = {.truncation = ALBERT_TRUNCATE_NONE, .special_tokens = true};
	AlbertTokens tokens;

	AlbertTokenizeText(source->job, &item, &encode, &tokens);
	AlbertArenaRewind(source->job->arena, mark);
	return tokens.n;
}

/* The last border in (from, at], else the last cut, else the first cut after. */
static int
cut_at(const Source *source, int from, int at)
{
	int			cut = at;

	while (cut > from && !is_border(source, cut))
		cut--;
	if (cut > from)
		return cut;
	for (cut = at; cut > from && !is_cut(source, cut);)
		cut--;
	if (cut > from)
		return cut;
	for (cut = at + 1; !is_cut(source, cut);)
		cut++;
	return cut;
}

/*
 * The chunk from a cut on: as far as it fits, to a word's end when there is
 * one.  By itself it can need more tokens than it had in the text.
 */
static Chunk
next_chunk(const Source *source, int from, int max_tokens)
{
	int			room = Min(max_tokens - 2, source->tokens.n - from);

	for (;;)
	{
		int			to = cut_at(source, from, from + Max(room, 1));
		Chunk		chunk = make_chunk(source, from, to);
		int			length = chunk_length(source, &chunk);

		if (length <= max_tokens)
			return chunk;
		if (room <= 1 || to - from > room)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("max_tokens must be at least %d for this text, not %d", length, max_tokens),
					 errdetail_plural("The %d character from %d on cannot be cut into less.",
									  "The %d characters from %d on cannot be cut into less.",
									  chunk.stop - chunk.start, chunk.stop - chunk.start, chunk.start)));
		room = Max(Min(room, to - from) - (length - max_tokens), 1);
	}
}

/* Where the chunk after one begins: words back, as far as the overlap goes. */
static int
overlapping_cut(const Source *source, const Chunk *chunk, int overlap)
{
	int			cut = Max(chunk->to - overlap, chunk->from + 1);

	while (cut < chunk->to && !is_border(source, cut))
		cut++;
	return cut;
}

static void
put_chunk(AlbertItem *item, const Source *source, int number, const Chunk *chunk)
{
	AlbertText	text = chunk_text(source, chunk);
	Datum		values[4];

	values[0] = Int32GetDatum(number);
	values[1] = AlbertTextToDatum(text.data, text.size);
	values[2] = Int32GetDatum(chunk->start);
	values[3] = Int32GetDatum(chunk->stop);
	AlbertPutRow(item, values, NULL);
	pfree(DatumGetPointer(values[1]));
}

static void
check_overlap(int overlap, int max_tokens)
{
	int			most = (max_tokens - 2) / 2;

	if (overlap > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("overlap must be at most %d, half of the tokens of text in a chunk, not %d",
						most, overlap)));
}

static void
cut_text(AlbertJob *job, AlbertItem *item)
{
	const ChunkOptions *options = (const ChunkOptions *) &job->options;
	int			max_tokens = options->max_tokens;
	AlbertEncodeOptions encode = {.truncation = ALBERT_TRUNCATE_NONE, .offsets = true};
	Source		source = {.job = job, .text = item->text};
	int			from = 0;
	int			reached = 0;

	if (max_tokens == 0)
		max_tokens = job->binding->tokenizer.max_length;
	check_overlap(options->overlap, max_tokens);
	AlbertTokenizeText(job, item, &encode, &source.tokens);
	job->counts.tokens += source.tokens.n;
	source.bytes = AlbertCodePointBytes(&item->text);
	while (source.bytes[source.length] < item->text.size)
		source.length++;
	/* what stands at the end without being a token's */
	while (source.length > 0 && is_blank(&source, source.length - 1))
		source.length--;
	find_cuts(&source);

	for (int number = 1; from < source.tokens.n; number++)
	{
		Chunk		chunk = next_chunk(&source, from, max_tokens);

		/* an overlap that keeps the chunk from going on is none */
		if (chunk.to <= reached)
			chunk = next_chunk(&source, reached, max_tokens);
		put_chunk(item, &source, number, &chunk);
		reached = chunk.to;
		if (reached == source.tokens.n)
			break;
		from = overlapping_cut(&source, &chunk, options->overlap);
	}
}

static void
run_chunks(AlbertJob *job, AlbertItem *items, int n)
{
	for (int i = 0; i < n; i++)
		cut_text(job, &items[i]);
}

const AlbertTask albert_chunks_task = {
	.symbol = "albert_chunks",
	.text_arg = "content",
	.part = ALBERT_PART_TEXT,
	.option = take_option,
	.run = run_chunks
};

ALBERT_ROWS_FUNCTION(albert_chunks);
