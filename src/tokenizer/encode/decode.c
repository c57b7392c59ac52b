/*
 * decode.c
 *	  Ids back to text, as the decoders of a tokenizer.json do it.
 */
#include "tokenizer/image.h"

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

/* Replace every "from" behind start by the shorter "to", from left to right. */
static void
replace(Text *text, size_t start, const char *from, const char *to)
{
	size_t		from_size = strlen(from);
	size_t		to_size = strlen(to);
	size_t		n = start;

	for (size_t i = start; i < text->size;)
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

static void
clean_up(Text *text, size_t start)
{
	static const char *const pairs[][2] = {
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"},
		{" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		replace(text, start, pairs[i][0], pairs[i][1]);
}

/* One token more; WordPiece's own cleaning is done token by token. */
static void
append_token(const AlbertTokenizer *tokenizer, AlbertText piece, bool first, Text *text)
{
	int32_t		decoder = HEADER(tokenizer)->decoder;
	const char *prefix = HEADER(tokenizer)->prefix;
	size_t		prefix_size = strlen(prefix);
	size_t		start = text->size;

	if (decoder == DECODER_METASPACE || decoder == DECODER_METASPACE_PREFIX)
	{
		append(text, piece.data, piece.size);
		replace(text, start, WORD_MARK_UTF8, first && decoder == DECODER_METASPACE_PREFIX ? "" : " ");
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
		clean_up(text, start);
		replace(text, start, " do not", " don't");
	}
}

bool
AlbertTokenizerDecode(const AlbertTokenizer *tokenizer, const int32_t *ids, int n,
					  bool skip_special_tokens, bool clean_up_spaces,
					  AlbertArena *arena, AlbertText *text, AlbertStatus *status)
{
	size_t		room = 1;
	Text		out = {NULL, 0};
	bool		first = true;
	AlbertText	piece;

	for (int i = 0; i < n; i++)
	{
		if (!AlbertTokenizerPiece(tokenizer, ids[i], &piece, status))
			return false;
		room += piece.size + 1;
	}
	out.data = AlbertArenaAlloc(arena, room);
	if (out.data == NULL)
		return AlbertNoMemory(status);
	for (int i = 0; i < n; i++)
	{
		if (skip_special_tokens && AlbertTokenizerIsSpecial(tokenizer, ids[i]))
			continue;
		AlbertTokenizerPiece(tokenizer, ids[i], &piece, status);
		append_token(tokenizer, piece, first, &out);
		first = false;
	}
	if (clean_up_spaces)
		clean_up(&out, 0);
	out.data[out.size] = '\0';
	text->data = out.data;
	text->size = out.size;
	return true;
}
