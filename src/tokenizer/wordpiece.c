/*
 * wordpiece.c
 *	  The WordPiece model: a word is cut, from its start on, into the longest
 *	  pieces there are; when nothing fits, the whole word is unknown.
 */
#include "tokenizer/internal.h"

/* The longest piece of a trie that the text starts with: its bytes, 0 when there is none. */
static size_t
longest_piece(const TrieUnit *units, size_t unit_count, const unsigned char *text, size_t size, int32_t *id)
{
	const TrieUnit *unit = units;
	size_t		longest = 0;

	for (size_t i = 0; i < size && unit_count > 0; i++)
	{
		size_t		child = UNIT_CHILD(unit, text[i]);

		if (child >= unit_count || !UNIT_IS(&units[child], text[i]))
			break;
		unit = &units[child];
		if (unit->id >= 0)
		{
			longest = i + 1;
			*id = unit->id;
		}
	}
	return longest;
}

/* Add a piece of bytes [first, last]; composition may have moved marks, so their order is not that of places. */
static void
add_piece(EncodeContext *context, int32_t id, size_t first, size_t last, const int32_t *start, const int32_t *stop)
{
	int32_t		low = start == NULL ? 0 : start[first];
	int32_t		high = start == NULL ? 0 : start[last] + 1;

	for (size_t i = first; i <= last && stop != NULL; i++)
	{
		low = start[i] < low ? start[i] : low;
		high = stop[i] > high ? stop[i] : high;
	}
	tok_add(context, id, low, high);
}

/*
 * Add the pieces of a word of size bytes.  start and stop tell each byte's
 * place: no stop means one code point each, no start that nobody asked.
 */
bool
tok_wordpiece(EncodeContext *context, const unsigned char *text, size_t size, const int32_t *start, const int32_t *stop)
{
	const ImageHeader *header = context->header;
	const TrieUnit *first_units = TABLE(context->tokenizer, SECTION_TRIE, TrieUnit);
	const TrieUnit *next_units = TABLE(context->tokenizer, SECTION_TRIE2, TrieUnit);
	size_t		first_count = SECTION_ITEMS(header, SECTION_TRIE, TrieUnit);
	size_t		next_count = SECTION_ITEMS(header, SECTION_TRIE2, TrieUnit);
	size_t		before = context->tokens.count;
	size_t		at = 0;
	bool		unknown = size > (size_t) header->max_word &&
		tok_utf8_count((const char *) text, size) > (size_t) header->max_word;

	if (!tok_reserve(context, size))
		return false;
	while (at < size && !unknown)
	{
		int32_t		id = -1;
		size_t		length;

		if (at == 0)
			length = longest_piece(first_units, first_count, text, size, &id);
		else
			length = longest_piece(next_units, next_count, text + at, size - at, &id);
		unknown = length == 0;
		if (length > 0)
			add_piece(context, id, at, at + length - 1, start, stop);
		at += length;
	}
	if (unknown)
	{
		context->tokens.count = before;
		add_piece(context, header->model_unk_id, 0, size - 1, start, stop);
	}
	return true;
}
