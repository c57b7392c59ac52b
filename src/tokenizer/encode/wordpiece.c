/*
 * wordpiece.c
 *	  The WordPiece model: a word is cut, from its start on, into the longest
 *	  pieces there are; when nothing fits, the whole word is unknown.
 */
#include "tokenizer/encode/encoder.h"

bool
tok_wordpiece(Encoder *encoder, const Word *word)
{
	const TokenizerHeader *header = encoder->header;
	Trie		trie = TRIE(encoder->tokenizer, SECTION_TRIE);
	const TrieUnit *continuing = header->continuing_unit < 0 ? NULL : trie.units + header->continuing_unit;
	size_t		before = encoder->token_count;
	size_t		letter = 0;
	bool		unknown = word->letters > (size_t) header->max_word;

	if (!tok_reserve(encoder, unknown ? 1 : word->letters))
		return false;
	for (size_t at = 0; at < word->size && !unknown;)
	{
		int32_t		id = -1;
		size_t		length = tok_trie_longest(trie, at == 0 ? trie.units : continuing,
											  word->text + at, word->size - at, &id);

		size_t		letters = word->letters == word->size ? length :
			tok_utf8_count((const char *) word->text + at, length);

		unknown = length == 0;
		if (length > 0)
			encoder->tokens[encoder->token_count++] = tok_piece(word, id, letter, letter + letters);
		at += length;
		letter += letters;
	}
	if (unknown)
	{
		encoder->tokens[before] = tok_piece(word, header->model_unk_id, 0, word->letters);
		encoder->token_count = before + 1;
	}
	return true;
}
