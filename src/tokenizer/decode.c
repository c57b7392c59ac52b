/*
 * decode.c
 *	  Ids back to text, as the reference's decode() does it.
 *
 * Added tokens that are not special stand between stretches of other tokens,
 * separated by spaces; within a stretch each kind of tokenizer joins pieces in
 * its own way; at the end spaces before punctuation may be cleaned up.
 */
#include "tokenizer/internal.h"

#include <string.h>

typedef struct Text
{
	char	   *data;
	size_t		size;
} Text;

static void
append(Text *text, const char *data, size_t size)
{
	if (size > 0)
		memcpy(text->data + text->size, data, size);
	text->size += size;
}

static uint8_t
piece_flags(const AlbertTokenizer *tokenizer, int32_t id)
{
	return TABLE(tokenizer, SECTION_PIECE_FLAGS, uint8_t)[id];
}

/* Does the token stand for itself between stretches? */
static bool
stands_alone(uint8_t flags)
{
	if (flags & PIECE_SPECIAL)
		return (flags & PIECE_ADDITIONAL) != 0 && (flags & PIECE_TYPE) == PIECE_ADDED_ONLY;
	return (flags & PIECE_ADDED) != 0;
}

/* Strip what Python's str.strip() would from text's end, and from start on at its front. */
static void
strip(Text *text, size_t start)
{
	size_t		front = start;

	while (text->size > start)
	{
		size_t		at = text->size - 1;
		uint32_t	code;

		while (at > start && ((unsigned char) text->data[at] & 0xC0) == 0x80)
			at--;
		tok_utf8_decode(text->data + at, &code);
		if (!tok_python_is_space(code))
			break;
		text->size = at;
	}
	while (front < text->size)
	{
		uint32_t	code;
		size_t		length = tok_utf8_decode(text->data + front, &code);

		if (!tok_python_is_space(code))
			break;
		front += length;
	}
	memmove(text->data + start, text->data + front, text->size - front);
	text->size -= front - start;
}

/* Replace every "from" by the shorter "to", from left to right. */
static void
replace(Text *text, const char *from, const char *to)
{
	size_t		from_size = strlen(from);
	size_t		to_size = strlen(to);
	size_t		n = 0;

	for (size_t i = 0; i < text->size;)
	{
		if (text->size - i >= from_size && memcmp(text->data + i, from, from_size) == 0)
		{
			memcpy(text->data + n, to, to_size);
			n += to_size;
			i += from_size;
		}
		else
			text->data[n++] = text->data[i++];
	}
	text->size = n;
}

/* ---- sentencepiece ---- */

/* Append a piece with its word marks as spaces; the text's first mark may have to go. */
static bool
append_piece(const AlbertTokenizer *tokenizer, Text *text, int32_t id, bool first)
{
	const ImageHeader *header = HEADER(tokenizer);
	bool		took_mark = false;
	AlbertText	piece;
	AlbertStatus status;
	size_t		at = 0;

	AlbertTokenizerPiece(tokenizer, id, &piece, &status);
	if (first && (header->flags & (TOKENIZER_DUMMY_PREFIX | TOKENIZER_EXTRA_SPACES)) != 0 &&
		piece.size >= 3 && memcmp(piece.data, WORD_MARK_UTF8, 3) == 0)
	{
		at = 3;
		took_mark = (header->flags & TOKENIZER_EXTRA_SPACES) == 0;
	}
	while (at < piece.size)
	{
		if (piece.size - at >= 3 && memcmp(piece.data + at, WORD_MARK_UTF8, 3) == 0)
		{
			append(text, " ", 1);
			at += 3;
		}
		else
			append(text, piece.data + at++, 1);
	}
	return took_mark;
}

/* What sentencepiece makes of a list of pieces. */
static void
decode_pieces(const AlbertTokenizer *tokenizer, const int32_t *ids, int n, Text *text)
{
	const char *unknown = tok_string(tokenizer, HEADER(tokenizer)->unk_string);
	size_t		start = text->size;
	bool		first = true;
	bool		took_mark = false;

	for (int i = 0; i < n; i++)
	{
		uint8_t		type = piece_flags(tokenizer, ids[i]) & PIECE_TYPE;

		if (took_mark || text->size > start)
			first = false;
		took_mark = false;
		if (type == PIECE_UNKNOWN)
			append(text, unknown, strlen(unknown));
		else if (type != PIECE_CONTROL)
			took_mark = append_piece(tokenizer, text, ids[i], first);
	}
}

/* AlbertTokenizer.convert_tokens_to_string() */
static void
join_spiece(const AlbertTokenizer *tokenizer, const int32_t *ids, int n, Text *text)
{
	size_t		start = text->size;
	bool		after_special = false;
	int			pending = 0;	/* the first token not yet decoded */

	for (int i = 0; i < n; i++)
	{
		AlbertText	piece;
		AlbertStatus status;

		if (!AlbertTokenizerIsSpecial(tokenizer, ids[i]))
		{
			after_special = false;
			continue;
		}
		if (!after_special)
			append(text, " ", 1);
		decode_pieces(tokenizer, ids + pending, i - pending, text);
		AlbertTokenizerPiece(tokenizer, ids[i], &piece, &status);
		append(text, piece.data, piece.size);
		after_special = true;
		pending = i + 1;
	}
	decode_pieces(tokenizer, ids + pending, n - pending, text);
	strip(text, start);
}

/* ---- WordPiece ---- */

/* BertTokenizer.convert_tokens_to_string() */
static void
join_bert(const AlbertTokenizer *tokenizer, const int32_t *ids, int n, Text *text)
{
	size_t		start = text->size;
	Text		joined;

	for (int i = 0; i < n; i++)
	{
		AlbertText	piece;
		AlbertStatus status;

		AlbertTokenizerPiece(tokenizer, ids[i], &piece, &status);
		if (i > 0)
			append(text, " ", 1);
		append(text, piece.data, piece.size);
	}
	joined = (Text) {text->data + start, text->size - start};
	replace(&joined, " ##", "");
	text->size = start + joined.size;
	strip(text, start);
}

/* ---- the decoders of a tokenizer.json ---- */

static void
clean_up(Text *text)
{
	static const char *const pairs[][2] = {
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"},
		{" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		replace(text, pairs[i][0], pairs[i][1]);
}

/* One token more; WordPiece's own cleaning is done token by token. */
static void
append_fast(const AlbertTokenizer *tokenizer, AlbertText piece, bool first, Text *text)
{
	int32_t		decoder = HEADER(tokenizer)->decoder;
	const char *prefix = tok_string(tokenizer, HEADER(tokenizer)->continuing_string);
	size_t		prefix_size = strlen(prefix);
	size_t		start = text->size;
	Text		token;

	if (decoder == DECODER_METASPACE || decoder == DECODER_METASPACE_PREFIX)
	{
		append(text, piece.data, piece.size);
		token = (Text) {text->data + start, piece.size};
		replace(&token, WORD_MARK_UTF8, first && decoder == DECODER_METASPACE_PREFIX ? "" : " ");
		text->size = start + token.size;
		return;
	}
	if (!first && decoder != DECODER_JOIN && piece.size >= prefix_size &&
		memcmp(piece.data, prefix, prefix_size) == 0)
		append(text, piece.data + prefix_size, piece.size - prefix_size);
	else
	{
		if (!first)
			append(text, " ", 1);
		append(text, piece.data, piece.size);
	}
	if (decoder == DECODER_WORDPIECE_CLEAN)
	{
		token = (Text) {text->data + start, text->size - start};
		clean_up(&token);
		replace(&token, " do not", " don't");
		text->size = start + token.size;
	}
}

static void
join_fast(const AlbertTokenizer *tokenizer, const int32_t *ids, int n, Text *text)
{
	for (int i = 0; i < n; i++)
	{
		AlbertText	piece;
		AlbertStatus status;

		AlbertTokenizerPiece(tokenizer, ids[i], &piece, &status);
		append_fast(tokenizer, piece, i == 0, text);
	}
}

/* ---- all kinds ---- */

static void
join_slow(const AlbertTokenizer *tokenizer, const int32_t *ids, int n, Text *text)
{
	if (HEADER(tokenizer)->decoder == DECODER_SPIECE)
		join_spiece(tokenizer, ids, n, text);
	else
		join_bert(tokenizer, ids, n, text);
}

/* The slow tokenizers' _decode(): stretches of tokens, and tokens that stand alone. */
static void
decode_slow(const AlbertTokenizer *tokenizer, const int32_t *ids, int n, Text *text)
{
	int			pending = 0;
	bool		first = true;

	for (int i = 0; i <= n; i++)
	{
		size_t		before = text->size;
		AlbertText	piece;
		AlbertStatus status;

		if (i < n && !stands_alone(piece_flags(tokenizer, ids[i])))
			continue;
		if (i > pending)
		{
			if (!first)
				append(text, " ", 1);
			join_slow(tokenizer, ids + pending, i - pending, text);
			if (i < n && text->size == before + !first)
				text->size = before;	/* an empty stretch leaves no space, but for the last */
			else
				first = false;
		}
		pending = i + 1;
		if (i < n)
		{
			AlbertTokenizerPiece(tokenizer, ids[i], &piece, &status);
			if (!first)
				append(text, " ", 1);
			append(text, piece.data, piece.size);
			first = false;
		}
	}
}

/* Room for the text before it is cleaned up: every token as a piece or as unknown, and spaces. */
static bool
measure(const AlbertTokenizer *tokenizer, const int32_t *ids, int n, size_t *size, AlbertStatus *status)
{
	size_t		unknown = strlen(tok_string(tokenizer, HEADER(tokenizer)->unk_string));

	*size = 1;
	for (int i = 0; i < n; i++)
	{
		AlbertText	piece;

		if (!AlbertTokenizerPiece(tokenizer, ids[i], &piece, status))
			return false;
		*size += piece.size + unknown + 2;
	}
	return true;
}

bool
AlbertTokenizerDecode(const AlbertTokenizer *tokenizer, const int32_t *ids, int n,
					  bool skip_special_tokens, bool clean_up_spaces,
					  AlbertArena *arena, AlbertText *text, AlbertStatus *status)
{
	int32_t    *kept;
	size_t		room;
	Text		out = {NULL, 0};
	int			count = 0;

	if (!measure(tokenizer, ids, n, &room, status))
		return false;
	out.data = AlbertArenaAlloc(arena, room);
	kept = AlbertArenaArray(arena, n, sizeof(int32_t));
	if (out.data == NULL || kept == NULL)
		return tok_no_memory(status);
	for (int i = 0; i < n; i++)
		if (!skip_special_tokens || !AlbertTokenizerIsSpecial(tokenizer, ids[i]))
			kept[count++] = ids[i];
	if (HEADER(tokenizer)->kind == KIND_PIPELINE)
		join_fast(tokenizer, kept, count, &out);
	else
		decode_slow(tokenizer, kept, count, &out);
	if (clean_up_spaces)
		clean_up(&out);
	out.data[out.size] = '\0';
	text->data = out.data;
	text->size = out.size;
	return true;
}
