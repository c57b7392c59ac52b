/*
 * wordpiece.c
 *	  The WordPiece model: a word is cut, from its start on, into the longest
 *	  pieces there are; when nothing fits, the whole word is unknown.
 */
#include "tokenizer/encode/encoder.h"

/* The places of a piece's letters, which need not be in order: marks may have changed theirs. */
static void
put_piece(Encoder *encoder, const Word *word, int32_t id, size_t from, size_t to)
{
	int32_t		start;
	int32_t		stop;

	if (word->start == NULL)
	{
		tok_put_piece(encoder, word, id, from, to);
		return;
	}
	start = word->start[from];
	stop = word->stop[from];
	for (size_t i = from + 1; i < to; i++)
	{
		start = word->start[i] < start ? word->start[i] : start;
		stop = word->stop[i] > stop ? word->stop[i] : stop;
	}
	tok_put(encoder, id, start, stop);
}

void
tok_wordpiece(Encoder *encoder, const Word *word)
{
	const TokenizerHeader *header = encoder->header;
	size_t		before = encoder->out.count;
	bool		unknown = word->size > (size_t) header->max_word &&
		tok_utf8_count((const char *) word->text, word->size) > (size_t) header->max_word;

	for (size_t at = 0; at < word->size && !unknown;)
	{
		int32_t		id = -1;
		size_t		length = tok_trie_longest(TRIE(encoder->tokenizer, at == 0 ? SECTION_TRIE : SECTION_TRIE2),
											  word->text + at, word->size - at, &id);

		unknown = length == 0;
		if (length > 0)
			put_piece(encoder, word, id, at, at + length);
		at += length;
	}
	if (unknown)
	{
		encoder->out.count = before;
		put_piece(encoder, word, header->model_unk_id, 0, word->size);
	}
}
