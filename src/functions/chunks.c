/*
 * chunks.c
 *	  Long texts cut into pieces that fit a model, at word borders.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"

typedef struct ChunkOptions
{
	int			max_tokens;		/* of a chunk, special tokens included; 0: the model's length */
	int			overlap;		/* tokens of a chunk's end that the next one repeats, at most */
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

/* The text being cut: its tokens, and the byte at which each code point starts. */
typedef struct Source
{
	AlbertJob  *job;
	AlbertText	text;
	AlbertTokens tokens;		/* no special tokens; offsets */
	int		   *bytes;			/* code point -> byte, one more at the end */
} Source;

/* Does a word begin at this token: is there anything but text between it and the one before? */
static bool
begins_word(const Source *source, int token)
{
	return token == 0 || token == source->tokens.n ||
		source->tokens.start[token] > source->tokens.stop[token - 1];
}

static AlbertText
chunk_text(const Source *source, int from, int to)
{
	AlbertText	text;

	text.data = source->text.data + source->bytes[source->tokens.start[from]];
	text.size = source->text.data + source->bytes[source->tokens.stop[to - 1]] - text.data;
	return text;
}

/* Tokens that a chunk has when it is tokenized by itself. */
static int
chunk_length(const Source *source, int from, int to)
{
	AlbertArenaMark mark = AlbertArenaGetMark(source->job->arena);
	AlbertItem	item = {.text = chunk_text(source, from, to)};
	AlbertEncodeOptions encode = {.truncation = ALBERT_TRUNCATE_NONE, .special_tokens = true};
	AlbertTokens tokens;

	AlbertTokenizeText(source->job, &item, &encode, &tokens);
	AlbertArenaRewind(source->job->arena, mark);
	return tokens.n;
}

/* Where a chunk from `from` ends: as far as it fits, back to a word border when there is one. */
static int
chunk_end(const Source *source, int from, int max_tokens)
{
	int			to = Min(from + max_tokens - 2, source->tokens.n);
	int			border = to;

	while (border > from && !begins_word(source, border))
		border--;
	if (border > from)
		to = border;

	/* a word that begins anew at the cut can need more pieces than it had inside */
	while (to > from + 1 && chunk_length(source, from, to) > max_tokens)
		to--;
	return to;
}

static int
next_chunk(const Source *source, int from, int to, int overlap)
{
	int			next = Max(to - overlap, from + 1);

	while (next < to && !begins_word(source, next))
		next++;
	return next;
}

static void
put_chunk(AlbertItem *item, const Source *source, int number, int from, int to)
{
	AlbertText	text = chunk_text(source, from, to);
	Datum		values[4];

	values[0] = Int32GetDatum(number);
	values[1] = AlbertTextToDatum(text.data, text.size);
	values[2] = Int32GetDatum(source->tokens.start[from]);
	values[3] = Int32GetDatum(source->tokens.stop[to - 1]);
	AlbertPutRow(item, values, NULL);
	pfree(DatumGetPointer(values[1]));
}

static void
cut_text(AlbertJob *job, AlbertItem *item)
{
	const ChunkOptions *options = (const ChunkOptions *) &job->options;
	int			max_tokens = options->max_tokens;
	AlbertEncodeOptions encode = {.truncation = ALBERT_TRUNCATE_NONE, .offsets = true};
	Source		source = {.job = job, .text = item->text};
	int			from = 0;

	if (max_tokens == 0)
		max_tokens = job->binding->tokenizer.max_length;
	if (options->overlap >= max_tokens - 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("overlap must be less than the %d tokens of text in a chunk, not %d",
						max_tokens - 2, options->overlap)));
	AlbertTokenizeText(job, item, &encode, &source.tokens);
	job->counts.tokens += source.tokens.n;
	source.bytes = AlbertCodePointBytes(&item->text);

	for (int number = 1; from < source.tokens.n; number++)
	{
		int			to = chunk_end(&source, from, max_tokens);

		put_chunk(item, &source, number, from, to);
		if (to == source.tokens.n)
			break;
		from = next_chunk(&source, from, to, options->overlap);
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
