/*
 * encode.c
 *	  Encoding texts and pairs: the template of special tokens, and truncation.
 *
 * Tokens are written where they are to stay, with room left for the special
 * tokens before them.  There is room for as many tokens as the text has bytes;
 * should it have more (a character that stands for a whole phrase), room is
 * made for as many as it will have if it goes on like that.
 */
#include "tokenizer/encode/encoder.h"

#include <string.h>

static bool
check_text(const AlbertText *text, AlbertStatus *status)
{
	size_t		valid;

	if (text->size > MAX_TEXT)
		return AlbertFail(status, ALBERT_TOO_LONG, "text of %zu bytes is too long to be tokenized, the limit is %d",
						  text->size, MAX_TEXT);
	valid = tok_utf8_valid(text->data, text->size);
	if (valid < text->size)
	{
		AlbertFail(status, ALBERT_INPUT, "text is not valid UTF-8");
		return AlbertDetail(status, "The byte 0x%02x at position %zu cannot stand there.",
							(unsigned char) text->data[valid], valid);
	}
	return true;
}

/* A text or its pair in the template: where its tokens are, and how many of them are too many. */
typedef struct Part
{
	const AlbertText *text;
	size_t		at;
	size_t		count;
	size_t		cut;
} Part;

typedef struct Layout
{
	const TemplateItem *items;
	size_t		item_count;
	size_t		special;		/* special tokens in all */
	Part		parts[2];
	bool		pair;
	bool		special_tokens; /* wanted */
} Layout;

/* ---- truncation, as in Hugging Face's tokenizers ---- */

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The shorter one keeps up to half. */
static void
truncate_longest(Part *first, Part *second, size_t limit)
{
	bool		swap = first->count > second->count;
	size_t		shorter = swap ? second->count : first->count;
	size_t		longer = shorter;

	if (shorter <= limit && limit - shorter > shorter)
		longer = limit - shorter;
	if (shorter + longer > limit)
	{
		shorter = limit / 2;
		longer = shorter + limit % 2;
	}
	first->cut = first->count - smaller(first->count, swap ? longer : shorter);
	second->cut = second->count - smaller(second->count, swap ? shorter : longer);
}

/* Settle what to cut so that limit tokens of texts are left. */
static bool
truncate_texts(Layout *layout, AlbertTruncation how, size_t limit, AlbertStatus *status)
{
	Part	   *first = &layout->parts[0];
	Part	   *second = &layout->parts[1];
	Part	   *victim = how == ALBERT_TRUNCATE_SECOND ? second : first;
	size_t		remove = first->count + second->count - limit;

	if (how == ALBERT_TRUNCATE_LONGEST && layout->pair)
		truncate_longest(first, second, limit);
	else if (limit == 0)
	{
		first->cut = first->count;
		second->cut = second->count;
	}
	else if (victim->count > remove || how == ALBERT_TRUNCATE_LONGEST)
		victim->cut = remove;
	else
		return AlbertFail(status, ALBERT_TOO_LONG, "the %s text has %zu tokens, cutting %zu of them is not possible",
						  victim == second ? "second" : "first", victim->count, remove);
	return true;
}

static bool
settle_lengths(const Encoder *encoder, const AlbertEncodeOptions *options, Layout *layout)
{
	size_t		total = layout->parts[0].count + layout->parts[1].count + layout->special;
	size_t		limit = options->max_length > 0 ? options->max_length : encoder->tokenizer->max_length;

	if (total <= limit || options->truncation == ALBERT_TRUNCATE_NONE)
		return true;
	if (options->truncation == ALBERT_TRUNCATE_ERROR)
	{
		AlbertFail(encoder->status, ALBERT_TOO_LONG, "text has %zu tokens, the limit is %zu", total, limit);
		return AlbertHint(encoder->status, "Shorten the text, split it into chunks, or allow truncation.");
	}
	if (limit < layout->special)
		return true;			/* the reference's subtraction wraps round, and nothing is cut */
	return truncate_texts(layout, options->truncation, limit - layout->special, encoder->status);
}

/* ---- layout ---- */

static bool
is_special(const Layout *layout, size_t item)
{
	return layout->items[item].what == TEMPLATE_SPECIAL;
}

/* The template's items for a text or a pair. */
static void
choose_template(const Encoder *encoder, Layout *layout)
{
	size_t		single = encoder->header->template_single;

	layout->items = TABLE(encoder->tokenizer, SECTION_TEMPLATE, TemplateItem);
	layout->item_count = single;
	if (layout->pair)
	{
		layout->items += single;
		layout->item_count = SECTION_ITEMS(encoder->header, SECTION_TEMPLATE, TemplateItem) - single;
	}
	for (size_t i = 0; i < layout->item_count; i++)
		layout->special += layout->special_tokens && is_special(layout, i);
}

/* Encode the texts, leaving room for the special tokens around them. */
static bool
encode_parts(Encoder *encoder, Layout *layout)
{
	for (size_t i = 0; i < layout->item_count; i++)
	{
		Part	   *part = &layout->parts[layout->items[i].what == TEMPLATE_SECOND];

		if (is_special(layout, i))
		{
			if (!tok_reserve(encoder, 1))
				return false;
			encoder->out.count += layout->special_tokens;
			continue;
		}
		part->at = encoder->out.count;
		if (!tok_encode_text(encoder, part->text))
			return false;
		part->count = encoder->out.count - part->at;
	}
	if (encoder->out.count > INT32_MAX / 2)
		return AlbertFail(encoder->status, ALBERT_TOO_LONG, "text has too many tokens");
	return true;
}

static void
move_tokens(Output *out, size_t to, size_t from, size_t count)
{
	size_t		size = count * sizeof(int32_t);

	if (to == from)
		return;
	memmove(out->ids + to, out->ids + from, size);
	if (out->start != NULL)
	{
		memmove(out->start + to, out->start + from, size);
		memmove(out->stop + to, out->stop + from, size);
	}
}

/* Close the gaps that cutting leaves, and put the special tokens in; how many tokens there are in all. */
static size_t
put_template(Encoder *encoder, Layout *layout)
{
	bool		left = (encoder->header->flags & TOKENIZER_TRUNCATE_LEFT) != 0;
	Output	   *out = &encoder->out;
	size_t		n = 0;

	for (size_t i = 0; i < layout->item_count; i++)
	{
		const Part *part = &layout->parts[layout->items[i].what == TEMPLATE_SECOND];

		if (!is_special(layout, i))
		{
			move_tokens(out, n, part->at + (left ? part->cut : 0), part->count - part->cut);
			n += part->count - part->cut;
			continue;
		}
		if (!layout->special_tokens)
			continue;
		out->ids[n] = layout->items[i].id;
		if (out->start != NULL)
			out->start[n] = out->stop[n] = 0;
		n++;
	}
	return n;
}

static void
fill_types(const Layout *layout, AlbertTokens *tokens)
{
	size_t		n = 0;

	for (size_t i = 0; i < layout->item_count; i++)
	{
		const Part *part = &layout->parts[layout->items[i].what == TEMPLATE_SECOND];
		size_t		count = is_special(layout, i) ? layout->special_tokens : part->count - part->cut;

		memset(tokens->types + n, layout->items[i].type, count);
		memset(tokens->special + n, is_special(layout, i), count);
		n += count;
	}
}

/*
 * Give back all memory since mark but for the tokens, which move together to
 * where it began: what was given back can be read until it is written to.
 */
static bool
pack(Encoder *encoder, const Layout *layout, AlbertArenaMark mark, size_t n, AlbertTokens *tokens)
{
	Output	   *out = &encoder->out;
	bool		offsets = out->start != NULL;
	int32_t    *ids;

	if (offsets)
	{
		memmove(out->ids + n, out->start, n * sizeof(int32_t));
		memmove(out->ids + 2 * n, out->stop, n * sizeof(int32_t));
	}
	AlbertArenaRewind(encoder->arena, mark);
	ids = AlbertArenaAlloc(encoder->arena, tok_output_bytes(offsets, n));
	if (ids == NULL)
		return AlbertNoMemory(encoder->status);
	memmove(ids, out->ids, (offsets ? 3 : 1) * n * sizeof(int32_t));
	tokens->n = (int) n;
	tokens->ids = ids;
	tokens->start = offsets ? ids + n : NULL;
	tokens->stop = offsets ? ids + 2 * n : NULL;
	tokens->types = (uint8_t *) (ids + (offsets ? 3 : 1) * n);
	tokens->special = tokens->types + n;
	tokens->ncut = (int) (layout->parts[0].cut + layout->parts[1].cut);
	fill_types(layout, tokens);
	return true;
}

bool
AlbertTokenizerEncode(const AlbertTokenizer *tokenizer, const AlbertText *text, const AlbertText *pair,
					  const AlbertEncodeOptions *options, AlbertArena *arena, AlbertTokens *tokens,
					  AlbertStatus *status)
{
	Encoder		encoder = {
		.tokenizer = tokenizer,
		.header = HEADER(tokenizer),
		.arena = arena,
		.status = status,
		.interrupt = options->interrupt,
		.word = {.limit = LONG_WORD},
	};
	Layout		layout = {
		.parts = {{.text = text}, {.text = pair}},
		.pair = pair != NULL && pair->data != NULL,
		.special_tokens = options->special_tokens,
	};
	AlbertArenaMark mark = AlbertArenaGetMark(arena);

	memset(tokens, 0, sizeof(*tokens));
	if (!check_text(text, status) || (layout.pair && !check_text(pair, status)))
		return false;
	encoder.total = text->size + (layout.pair ? pair->size : 0);
	choose_template(&encoder, &layout);
	return tok_allocate_output(&encoder, &encoder.out, encoder.total + 2 + layout.item_count, options->offsets) &&
		encode_parts(&encoder, &layout) && settle_lengths(&encoder, options, &layout) &&
		pack(&encoder, &layout, mark, put_template(&encoder, &layout), tokens);
}
