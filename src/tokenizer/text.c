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

/* A stretch of the text: an added token, or what is between two. */
typedef struct Stretch
{
	size_t		from;
	size_t		to;
	const AddedToken *token;	/* NULL: text */
	size_t		place_from;		/* of a token, with the white space that is its own */
	size_t		place_to;
} Stretch;

typedef struct Stretches
{
	Stretch    *items;
	size_t		count;
	size_t		room;
} Stretches;

static bool
add_stretch(EncodeContext *context, Stretches *stretches, Stretch stretch)
{
	if (stretches->count == stretches->room)
	{
		size_t		room = stretches->room * 2 + 16;
		Stretch    *items = AlbertArenaArray(context->arena, room, sizeof(Stretch));

		if (items == NULL)
			return tok_no_memory(context->status);
		if (stretches->count > 0)
			memcpy(items, stretches->items, stretches->count * sizeof(Stretch));
		stretches->items = items;
		stretches->room = room;
	}
	stretches->items[stretches->count++] = stretch;
	return true;
}

/* Cut the text at added tokens, the leftmost and longest first. */
static bool
split(EncodeContext *context, const uint32_t *codes, size_t count, Stretches *stretches)
{
	size_t		text = 0;		/* where the text since the last token starts */
	size_t		taken = 0;		/* the end of the last token's place */

	for (size_t at = 0; at < count;)
	{
		const AddedToken *token = tok_added_longest(context->tokenizer, codes, count, at, 0, 0);
		Stretch		stretch = {at, at, token, at, at};

		if (token == NULL)
		{
			at++;
			continue;
		}
		at = stretch.to = stretch.place_to = at + token->code_count;
		while ((token->flags & ADDED_LSTRIP) && stretch.place_from > taken &&
			   tok_fast_is_space(codes[stretch.place_from - 1]))
			stretch.place_from--;
		while ((token->flags & ADDED_RSTRIP) && stretch.place_to < count &&
			   tok_fast_is_space(codes[stretch.place_to]))
			stretch.place_to++;
		if ((text < stretch.from && !add_stretch(context, stretches, (Stretch) {text, stretch.from, NULL, 0, 0})) ||
			!add_stretch(context, stretches, stretch))
			return false;
		text = at;
		taken = stretch.place_to;
	}
	return text == count || add_stretch(context, stretches, (Stretch) {text, count, NULL, 0, 0});
}

/*
 * What the reference does around a token: white space beside it goes if the
 * token says so, and one that is to be a word of its own joins the text beside
 * it if it is not.
 */
static void
settle_token(const uint32_t *codes, Stretch *token, Stretch *left, Stretch *right)
{
	uint32_t	flags = token->token->flags;
	bool		word_left = left != NULL && left->from < left->to && codes[left->to - 1] != ' ';
	bool		word_right = right != NULL && right->from < right->to && codes[right->from] != ' ';

	while ((flags & ADDED_RSTRIP) && right != NULL && right->token == NULL && right->from < right->to &&
		   tok_python_is_space(codes[right->from]))
		right->from++;
	while ((flags & ADDED_LSTRIP) && left != NULL && left->token == NULL && left->from < left->to &&
		   tok_python_is_space(codes[left->to - 1]))
		left->to--;
	if ((flags & ADDED_SINGLE_WORD) == 0 || (!word_left && !word_right))
		return;
	if (word_left)
	{
		left->to = token->to;
		left->token = NULL;
	}
	else
	{
		right->from = token->from;
		right->token = NULL;
	}
	token->to = token->from;
	token->token = NULL;
}

/* Encode codes [from, to). */
static bool
encode_fragment(EncodeContext *context, const Fragment *whole, size_t from, size_t to)
{
	Fragment	fragment = *whole;

	if (from == to)
		return true;
	fragment.codes += from;
	fragment.sources += from;
	fragment.count = to - from;
	fragment.base = from;
	if (whole->bytes != NULL)
		fragment.bytes += from;
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
	Stretches	stretches = {NULL, 0, 0};
	size_t		count = 0;

	if (!decode_text(context, text, plain, &codes, &sources, &count, &places) ||
		!split(context, codes, count, &stretches))
		return false;
	for (size_t i = 0; i < stretches.count; i++)
		if (stretches.items[i].token != NULL)
			settle_token(codes, &stretches.items[i], i > 0 ? &stretches.items[i - 1] : NULL,
						 i + 1 < stretches.count ? &stretches.items[i + 1] : NULL);
	whole = (Fragment) {codes, sources, count, &places, plain ? text->data : NULL, 0};
	for (size_t i = 0; i < stretches.count; i++)
	{
		const Stretch *stretch = &stretches.items[i];

		if (stretch->token == NULL)
		{
			if (!encode_fragment(context, &whole, stretch->from, stretch->to))
				return false;
			continue;
		}
		if (!tok_reserve(context, 1))
			return false;
		tok_add(context, stretch->token->id, tok_fast_place(&places, sources[stretch->place_from], 0),
				tok_fast_place(&places, sources[stretch->place_to - 1], 0) + 1);
	}
	return true;
}

/* A plain text without added tokens needs no code points. */
static bool
encode_plain(EncodeContext *context, const AlbertText *text)
{
	Fragment	whole = {NULL, NULL, text->size, NULL, text->data, 0};

	if (context->header->kind == KIND_SPIECE)
		return tok_spiece_fragment(context, &whole);
	return tok_bert_fragment(context, &whole);
}

bool
tok_slow_encode(EncodeContext *context, const AlbertText *text)
{
	const ImageHeader *header = context->header;
	bool		plain = (header->flags & TOKENIZER_ASCII) != 0;
	bool		added = false;

	for (size_t i = 0; i < text->size && plain; i++)
	{
		unsigned char byte = (unsigned char) text->data[i];

		plain = byte < 0x80 && header->ascii[byte] != 0;
		added |= header->added_first[byte] != 0;
	}
	if (plain && !added)
		return encode_plain(context, text);
	return (plain || tok_check_text(text, context->status)) && encode_with_added(context, text, plain);
}
