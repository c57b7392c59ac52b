/*
 * text.c
 *	  A text to tokens: the added tokens in it, and what is between them.
 */
#include "tokenizer/encode/encoder.h"

static uint32_t
code_before(const char *text, size_t at)
{
	uint32_t	code;

	do
		at--;
	while (!tok_utf8_begins((unsigned char) text[at]));
	tok_utf8_decode(text + at, &code);
	return code;
}

static uint32_t
code_at(const char *text, size_t at)
{
	uint32_t	code;

	tok_utf8_decode(text + at, &code);
	return code;
}

/*
 * The next token that is matched as written, at from or behind: *start and
 * *stop enclose it with the white space that it takes along, of the text not
 * before from.  NULL: there is none.
 */
static const AddedToken *
next_added(const Encoder *encoder, const char *text, size_t size, size_t from, size_t *start, size_t *stop)
{
	const uint8_t *first = encoder->header->added_first;
	Trie		trie = TRIE(encoder->tokenizer, SECTION_ADDED_RAW);
	size_t		at = from;

	while (at < size)
	{
		const AddedToken *token;
		size_t		length = 0;
		int32_t		index;

		if (first[(unsigned char) text[at]])
			length = tok_trie_longest(trie, trie.units, (const unsigned char *) text + at, size - at, &index);
		if (length == 0)
		{
			at++;
			continue;
		}
		token = TABLE(encoder->tokenizer, SECTION_ADDED, AddedToken) + index;
		*start = at;
		*stop = at += length;
		if ((token->flags & ADDED_SINGLE_WORD) != 0 &&
			((*start > 0 && tok_is(code_before(text, *start), IS_WORD)) ||
			 (*stop < size && tok_is(code_at(text, *stop), IS_WORD))))
			continue;
		while ((token->flags & ADDED_LSTRIP) != 0 && *start > from && tok_is(code_before(text, *start), IS_SPACE))
			do
				(*start)--;
			while (!tok_utf8_begins((unsigned char) text[*start]));
		while ((token->flags & ADDED_RSTRIP) != 0 && *stop < size && tok_is(code_at(text, *stop), IS_SPACE))
			*stop += tok_utf8_length((unsigned char) text[*stop]);
		return token;
	}
	return NULL;
}

static bool
encode_fragment(Encoder *encoder, const char *text, size_t size, int32_t base)
{
	if (size == 0)
		return true;
	if (tok_is_plain(encoder->header, text, size))
		return tok_plain_words(encoder, text, size, base);
	return tok_run_stages(encoder, text, size, base);
}

bool
tok_encode_text(Encoder *encoder, const AlbertText *text)
{
	size_t		fragment = 0;
	int32_t		base = 0;		/* code points before it */

	while (fragment < text->size)
	{
		size_t		start;
		size_t		stop;
		const AddedToken *token = next_added(encoder, text->data, text->size, fragment, &start, &stop);
		int32_t		before = base;

		if (token == NULL)
			start = text->size;
		if (tok_interrupted(encoder) || !encode_fragment(encoder, text->data + fragment, start - fragment, base))
			return false;
		if (token == NULL)
			break;
		before += (int32_t) tok_utf8_count(text->data + fragment, start - fragment);
		base = before + (int32_t) tok_utf8_count(text->data + start, stop - start);
		encoder->done += stop - start;
		if (!tok_take_token(encoder, token->id, before, base))
			return false;
		fragment = stop;
	}
	return true;
}
