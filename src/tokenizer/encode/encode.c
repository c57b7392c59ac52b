/*
 * encode.c
 *	  Encoding texts and pairs: the template of special tokens, and truncation.
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

/* The shorter one keeps up to half. */
static void
truncate_longest(Part *first, Part *second, size_t limit)
{
	Part	   *shorter = first->count > second->count ? second : first;
	Part	   *longer = shorter == first ? second : first;
	size_t		keep = shorter->count;
	size_t		rest = keep <= limit && limit - keep > keep ? limit - keep : keep;

	if (keep + rest > limit)
	{
		keep = limit / 2;
		rest = keep + limit % 2;
	}
	shorter->cut = shorter->count > keep ? shorter->count - keep : 0;
	longer->cut = longer->count > rest ? longer->count - rest : 0;
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
		layout->special += layout->special_tokens && layout->items[i].what == TEMPLATE_SPECIAL;
}

/* Encode the texts, one behind the other, with room for the special tokens before them. */
static bool
encode_parts(Encoder *encoder, Layout *layout)
{
	/* prose has a token every four bytes, or less; there is an array in any case */
	if (!tok_reserve(encoder, layout->special + encoder->total / 4 + 1))
		return false;
	encoder->token_count = layout->special;
	for (int i = 0; i <= layout->pair; i++)
	{
		Part	   *part = &layout->parts[i];

		part->at = encoder->token_count;
		if (!tok_encode_text(encoder, part->text))
			return false;
		part->count = encoder->token_count - part->at;
	}
	if (encoder->token_count > INT32_MAX / 2)
		return AlbertFail(encoder->status, ALBERT_TOO_LONG, "text has too many tokens");
	return true;
}

/* What is left of the texts moves together, with the special tokens around it; how many tokens there are. */
static size_t
put_template(const Encoder *encoder, const Layout *layout)
{
	bool		left = encoder->header->truncate_left != 0;
	AlbertToken *tokens = encoder->tokens;
	size_t		n = 0;

	for (size_t i = 0; i < layout->item_count; i++)
	{
		const TemplateItem *item = &layout->items[i];
		const Part *part = &layout->parts[item->what == TEMPLATE_SECOND];
		size_t		behind = n + part->count - part->cut;

		if (item->what != TEMPLATE_SPECIAL)
		{
			memmove(tokens + n, tokens + part->at + (left ? part->cut : 0), (behind - n) * sizeof(AlbertToken));
			for (; n < behind; n++)
				tokens[n].type = (uint8_t) item->type;
		}
		else if (layout->special_tokens)
			tokens[n++] = (AlbertToken) {.id = item->id, .type = (uint8_t) item->type, .special = true};
	}
	return n;
}

/*
 * Give back all memory since mark but for the tokens, which move to where it
 * began: what was given back can be read until it is written to.
 */
static bool
give_tokens(const Encoder *encoder, AlbertArenaMark mark, size_t n, AlbertTokens *tokens)
{
	AlbertArenaRewind(encoder->arena, mark);
	tokens->items = AlbertArenaArray(encoder->arena, n, sizeof(AlbertToken));
	if (tokens->items == NULL)
		return AlbertNoMemory(encoder->status);
	memmove(tokens->items, encoder->tokens, n * sizeof(AlbertToken));
	tokens->n = (int) n;
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
	if (!encode_parts(&encoder, &layout) || !settle_lengths(&encoder, options, &layout))
		return false;
	tokens->ncut = (int) (layout.parts[0].cut + layout.parts[1].cut);
	return give_tokens(&encoder, mark, put_template(&encoder, &layout), tokens);
}
