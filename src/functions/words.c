/*
 * words.c
 *	  Words of SentencePiece and WordPiece vocabularies.
 */
#include "postgres.h"

#include "executor/text.h"
#include "functions/functions.h"
#include "functions/words.h"

#define WORD_MARK		"\xe2\x96\x81"	/* U+2581 */
#define WORD_MARK_SIZE	3

static bool
has_prefix(const AlbertText *piece, const char *prefix, size_t size)
{
	return piece->size >= size && memcmp(piece->data, prefix, size) == 0;
}

void
AlbertAppendPiece(const AlbertTokenizer *tokenizer, StringInfo words,
				  const AlbertText *piece, bool first)
{
	if (tokenizer->marks_continuation)
	{
		if (has_prefix(piece, "##", 2))
			appendBinaryStringInfo(words, piece->data + 2, piece->size - 2);
		else
		{
			if (!first)
				appendStringInfoChar(words, ' ');
			appendBinaryStringInfo(words, piece->data, piece->size);
		}
		return;
	}
	for (size_t i = 0; i < piece->size;)
	{
		if (piece->size - i >= WORD_MARK_SIZE &&
			memcmp(piece->data + i, WORD_MARK, WORD_MARK_SIZE) == 0)
		{
			if (!first)
				appendStringInfoChar(words, ' ');
			i += WORD_MARK_SIZE;
		}
		else
			appendStringInfoChar(words, piece->data[i++]);
	}
}
