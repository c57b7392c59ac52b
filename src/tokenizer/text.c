/*
 * text.c
 *	  A text's way to its tokens as the slow tokenizers begin it: lower-case it
 *	  character by character, take out the added tokens, and have what is between
 *	  encoded in the way of the tokenizer's kind.
 *
 * In a text that is "plain", ASCII of which the image's table knows what
 * becomes of each character, code points are bytes, and a fragment's bytes can
 * be used as they are.
 */
#include "tokenizer/internal.h"

#include <string.h>

/*
 * The text in code points, lower-cased except where an added token is spelled
 * out.
 */
static bool
decode_text(EncodeContext *context, const AlbertText *text, bool plain, uint32_t **codes, int32_t **sources,
			size_t *count, FastPlaces *places)
{
	size_t		n = tok_utf8_count(text->data, text->size);
	bool		lower = (context->header->flags & TOKENIZER_LOWER_CASE) != 0;
	uint32_t   *raw = AlbertArenaArray(context->arena, n, sizeof(uint32_t));
	size_t		keep = 0;

	*codes = AlbertArenaArray(context->arena, n, 2 * sizeof(uint32_t));
	*sources = AlbertArenaArray(context->arena, n, 2 * sizeof(int32_t));
	if (raw == NULL || *codes == NULL || *sources == NULL)
		return tok_no_memory(context->status);
	for (size_t at = 0, i = 0; at < text->size; i++)
		at += tok_utf8_decode(text->data + at, &raw[i]);
	memset(places, 0, sizeof(*places));
	if (context->offsets && !plain && !tok_fast_places(context, raw, n, places))
		return false;
	*count = 0;
	for (size_t i = 0; i < n; i++)
	{
		int			length = 1;

		if (lower && keep <= i)
			keep = i + tok_added_protected(context->tokenizer, raw, n, i);
		(*codes)[*count] = raw[i];
		if (lower && keep <= i)
			length = tok_python_lower(raw[i], *codes + *count);
		for (int j = 0; j < length; j++)
			(*sources)[(*count)++] = (int32_t) i;
	}
	return true;
}

/* Encode codes [from, to). */
static bool
encode_fragment(EncodeContext *context, Fragment *whole, const AlbertText *text, size_t from, size_t to)
{
	Fragment	fragment = *whole;

	if (from == to)
		return true;
	fragment.codes += from;
	fragment.sources += from;
	fragment.count = to - from;
	fragment.base = from;
	fragment.bytes = whole->bytes == NULL ? NULL : text->data + from;
	if (context->header->kind == KIND_SPIECE)
		return tok_spiece_fragment(context, &fragment);
	return tok_bert_fragment(context, &fragment);
}

/* Take out the added tokens, encode what is between. */
static bool
encode_with_added(EncodeContext *context, const AlbertText *text, bool plain)
{
	uint32_t   *codes;
	int32_t    *sources;
	FastPlaces	places;
	Fragment	whole;
	size_t		count = 0;
	size_t		fragment = 0;
	size_t		at = 0;

	if (!decode_text(context, text, plain, &codes, &sources, &count, &places))
		return false;
	whole = (Fragment) {codes, sources, count, &places, plain ? text->data : NULL, 0};
	for (;;)
	{
		const AddedToken *token = NULL;
		size_t		left;
		size_t		start;
		size_t		stop;

		while (at < count && (token = tok_added_longest(context->tokenizer, codes, count, at, 0, 0)) == NULL)
			at++;
		left = start = at;
		if (token != NULL && (token->flags & ADDED_LSTRIP))
		{
			while (start > fragment && tok_fast_is_space(codes[start - 1]))
				start--;
			while (left > fragment && tok_python_is_space(codes[left - 1]))
				left--;
		}
		if (!encode_fragment(context, &whole, text, fragment, left))
			return false;
		if (token == NULL)
			return true;
		if (!tok_reserve(context, 1))
			return false;
		fragment = stop = at + token->code_count;
		if (token->flags & ADDED_RSTRIP)
		{
			while (stop < count && tok_fast_is_space(codes[stop]))
				stop++;
			while (fragment < count && tok_python_is_space(codes[fragment]))
				fragment++;
		}
		tok_add(context, token->id, tok_fast_place(&places, sources[start], 0),
				tok_fast_place(&places, sources[stop - 1], 0) + 1);
		at = fragment;
	}
}

bool
tok_slow_encode(EncodeContext *context, const AlbertText *text)
{
	const ImageHeader *header = context->header;
	bool		plain = (header->flags & TOKENIZER_ASCII) != 0;
	bool		added = false;
	Fragment	whole = {NULL, NULL, text->size, NULL, text->data, 0};

	for (size_t i = 0; i < text->size && plain; i++)
	{
		unsigned char byte = (unsigned char) text->data[i];

		plain = byte < 0x80 && header->ascii[byte] != 0;
		added |= header->added_first[byte] != 0;
	}
	if (plain && !added)
		return encode_fragment(context, &whole, text, 0, text->size);
	return (plain || tok_check_text(text, context->status)) && encode_with_added(context, text, plain);
}
