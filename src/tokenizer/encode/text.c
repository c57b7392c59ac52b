/*
 * text.c
 *	  A text to tokens: the added tokens in it, and what is between them.
 */
#include "tokenizer/encode/encoder.h"

static bool
encode_fragment(Encoder *encoder, const char *text, size_t size, int32_t base)
{
	const TokenizerHeader *header = encoder->header;
	bool		match = header->sections[SECTION_ADDED_NORMALIZED].size > 0;
	bool		plain;

	if (size == 0)
		return true;
	if (!tok_plain_words(encoder, text, size, base, &plain))
		return false;
	if (plain)
	{
		encoder->done += size;
		return true;
	}
	if (encoder->stages == NULL && !tok_make_stages(encoder, SECTION_ITEMS(header, SECTION_STEPS, Step), match))
		return false;
	return tok_run_stages(encoder, text, size, base, tok_take_letters);
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
		const AddedToken *token = tok_next_added(encoder, text->data, text->size, fragment, &start, &stop);
		int32_t		before = base;

		if (token == NULL)
			start = text->size;
		if (tok_interrupted(encoder) || !encode_fragment(encoder, text->data + fragment, start - fragment, base))
			return false;
		if (token == NULL)
			break;
		before += (int32_t) tok_utf8_count(text->data + fragment, start - fragment);
		base = before + (int32_t) tok_utf8_count(text->data + start, stop - start);
		if (!tok_reserve(encoder, 1))
			return false;
		tok_put(encoder, token->id, before, base);
		encoder->done += stop - start;
		fragment = stop;
	}
	return true;
}
