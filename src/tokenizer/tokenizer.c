/*
 * tokenizer.c
 *	  Binding to an image, and the encoding of texts and pairs: truncation and
 *	  special tokens.  How a text becomes tokens is up to the tokenizer's kind.
 */
#include "tokenizer/internal.h"

#include <string.h>

bool
tok_reserve(EncodeContext *context, size_t more)
{
	TokenList  *list = &context->tokens;
	Token	   *items;
	size_t		room;

	if (list->room - list->count >= more)
		return true;
	room = list->room * 2 + more + 64;
	items = AlbertArenaArray(context->arena, room, sizeof(Token));
	if (items == NULL)
		return tok_no_memory(context->status);
	if (list->count > 0)
		memcpy(items, list->items, list->count * sizeof(Token));
	list->items = items;
	list->room = room;
	return true;
}

/* ---- binding ---- */

static bool
bad_image(AlbertStatus *status, const char *detail)
{
	AlbertFail(status, ALBERT_FORMAT, "the tokenizer's image is damaged");
	return AlbertDetail(status, "%s", detail);
}

static bool
check_ids(const ImageHeader *header)
{
	int32_t		n = header->vocab_size;

	return header->pad_id < n && header->unk_id < n && header->mask_id < n && header->model_unk_id < n &&
		header->cls_id < n && header->sep_id < n && header->cls_id >= 0 && header->sep_id >= 0;
}

/* Do the sections lie in the image, and have those whose items are counted elsewhere as many? */
static bool
check_sections(const ImageHeader *header)
{
	size_t		n = header->vocab_size;

	for (int i = 0; i < SECTION_COUNT; i++)
	{
		const SectionPlace *place = &header->sections[i];

		if (place->offset > header->image_size || place->size > header->image_size - place->offset ||
			place->offset % IMAGE_ALIGN != 0)
			return false;
	}
	return header->sections[SECTION_PIECE_OFFSETS].size == (n + 1) * sizeof(uint32_t) &&
		header->sections[SECTION_PIECE_FLAGS].size == n &&
		(header->model != MODEL_UNIGRAM || header->sections[SECTION_SCORES].size == n * sizeof(double)) &&
		header->sections[SECTION_HASH].size == header->hash_size * sizeof(int32_t) &&
		header->sections[SECTION_ADDED].size == header->added_count * sizeof(AddedToken) &&
		header->template_single <= SECTION_ITEMS(header, SECTION_TEMPLATE, TemplateItem) &&
		header->normalizer_count <= SECTION_ITEMS(header, SECTION_STEPS, PipelineStep);
}

static bool
check_strings(const ImageHeader *header, const char *strings)
{
	size_t		size = header->sections[SECTION_STRINGS].size;

	return size > 0 && strings[size - 1] == '\0' && header->mask_string < size &&
		header->unk_string < size && header->continuing_string < size;
}

bool
AlbertTokenizerBind(const void *image, size_t size, AlbertTokenizer *tokenizer, AlbertStatus *status)
{
	const ImageHeader *header = image;
	const char *base = image;

	memset(tokenizer, 0, sizeof(*tokenizer));
	if (image == NULL || size < sizeof(ImageHeader) || (uintptr_t) image % sizeof(uint64_t) != 0)
		return bad_image(status, "It is too short or not aligned.");
	if (memcmp(header->magic, IMAGE_MAGIC, sizeof(header->magic)) != 0 || header->version != IMAGE_VERSION ||
		header->header_size != sizeof(ImageHeader))
		return bad_image(status, "It was not made by this version.");
	if (header->image_size > size || header->vocab_size <= 0 || header->vocab_size > MAX_PIECES ||
		header->hash_size <= header->vocab_size || (header->hash_size & (header->hash_size - 1)) != 0 ||
		header->added_count < 0 || header->max_length <= 0 || header->template_single < 0 ||
		header->normalizer_count < 0)
		return bad_image(status, "Its counts make no sense.");
	if (!check_sections(header) || !check_ids(header) ||
		!check_strings(header, base + header->sections[SECTION_STRINGS].offset))
		return bad_image(status, "Its sections do not fit.");

	tokenizer->image = image;
	tokenizer->image_size = header->image_size;
	tokenizer->vocab_size = header->vocab_size;
	tokenizer->max_length = header->max_length;
	tokenizer->pad_id = header->pad_id;
	tokenizer->unk_id = header->unk_id;
	tokenizer->cls_id = header->cls_id;
	tokenizer->sep_id = header->sep_id;
	tokenizer->mask_id = header->mask_id;
	tokenizer->clean_up_spaces = (header->flags & TOKENIZER_CLEAN_UP) != 0;
	for (int i = 0; i < SECTION_COUNT; i++)
		tokenizer->tables[i] = base + header->sections[i].offset;
	tokenizer->mask_token = tok_string(tokenizer, header->mask_string);
	return true;
}

/* ---- encoding ---- */

static bool
encode_text(EncodeContext *context, const AlbertText *text)
{
	if (text->size == 0)
		return true;
	switch (context->header->kind)
	{
		case KIND_SPIECE:
		case KIND_BERT:
			return tok_slow_encode(context, text);
		case KIND_PIPELINE:
			return tok_pipeline_encode(context, text);
		default:
			return AlbertFail(context->status, ALBERT_INTERNAL, "unknown kind of tokenizer");
	}
}

/* Tokens of the two texts, and how many of each to leave out. */
typedef struct Lengths
{
	size_t		first;
	size_t		second;
	size_t		first_cut;
	size_t		second_cut;
	size_t		added;			/* special tokens */
	bool		pair;
} Lengths;

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * The slow tokenizers' longest_first: the longer one loses what it has more,
 * then both lose alike.  But of an odd rest the longer keeps one more, the
 * second when both are equal, as in the fast tokenizers; in the slow ones it
 * is always the first.
 */
static void
truncate_longest_slow(Lengths *lengths, size_t remove)
{
	bool		first_longer = lengths->first > lengths->second;
	size_t		difference = first_longer ? lengths->first - lengths->second : lengths->second - lengths->first;
	size_t		longer = smaller(difference, remove);
	size_t		rest = remove - longer;
	size_t		first_cut = first_longer ? longer + rest / 2 : (rest + 1) / 2;

	lengths->first_cut = smaller(first_cut, lengths->first);
	lengths->second_cut = smaller(remove - first_cut, lengths->second);
}

/* The fast tokenizers': the shorter one keeps up to half. */
static void
truncate_longest_fast(Lengths *lengths, size_t limit)
{
	bool		swap = lengths->first > lengths->second;
	size_t		shorter = swap ? lengths->second : lengths->first;
	size_t		longer = shorter;

	if (shorter <= limit && limit - shorter > shorter)
		longer = limit - shorter;
	if (shorter + longer > limit)
	{
		shorter = limit / 2;
		longer = shorter + limit % 2;
	}
	lengths->first_cut = lengths->first - smaller(lengths->first, swap ? longer : shorter);
	lengths->second_cut = lengths->second - smaller(lengths->second, swap ? shorter : longer);
}

/*
 * Settle what to cut so that limit tokens of texts are left.  When a text
 * cannot be cut short enough, the slow tokenizers leave it as it is, and the
 * fast ones refuse.
 */
static bool
truncate_texts(EncodeContext *context, Lengths *lengths, AlbertTruncation how, size_t limit)
{
	bool		fast = context->header->kind == KIND_PIPELINE;
	size_t		remove = lengths->first + lengths->second - limit;
	bool		second = how == ALBERT_TRUNCATE_SECOND;
	size_t		length = second ? lengths->second : lengths->first;

	if (how == ALBERT_TRUNCATE_LONGEST && lengths->pair)
	{
		if (fast)
			truncate_longest_fast(lengths, limit);
		else
			truncate_longest_slow(lengths, remove);
	}
	else if (length > remove || (fast && (limit == 0 || how == ALBERT_TRUNCATE_LONGEST)))
	{
		lengths->first_cut = second ? 0 : remove;
		lengths->second_cut = second ? remove : 0;
		if (fast && limit == 0)
		{
			lengths->first_cut = lengths->first;
			lengths->second_cut = lengths->second;
		}
	}
	else if (fast)
		return AlbertFail(context->status, ALBERT_TOO_LONG,
						  "the %s text has %zu tokens, cutting %zu of them is not possible",
						  second ? "second" : "first", length, remove);
	return true;
}

static bool
settle_lengths(EncodeContext *context, const AlbertEncodeOptions *options, Lengths *lengths)
{
	size_t		total = lengths->first + lengths->second + lengths->added;
	size_t		limit = options->max_length > 0 ? options->max_length : context->tokenizer->max_length;

	if (total <= limit || options->truncation == ALBERT_TRUNCATE_NONE)
		return true;
	if (options->truncation == ALBERT_TRUNCATE_ERROR)
	{
		AlbertFail(context->status, ALBERT_TOO_LONG, "text has %zu tokens, the limit is %zu", total, limit);
		return AlbertHint(context->status, "Shorten the text, split it into chunks, or allow truncation.");
	}
	if (limit >= lengths->added)
		return truncate_texts(context, lengths, options->truncation, limit - lengths->added);
	if (context->header->kind == KIND_PIPELINE)
		return true;			/* the fast tokenizers' subtraction wraps round, and nothing is cut */
	if (options->truncation == ALBERT_TRUNCATE_LONGEST && lengths->pair)
		truncate_longest_slow(lengths, total - limit);
	return true;
}

typedef struct Output
{
	AlbertTokens *tokens;
	int			n;
} Output;

static void
put(Output *output, Token token, int type, bool special)
{
	AlbertTokens *tokens = output->tokens;
	int			i = output->n++;

	tokens->ids[i] = token.id;
	tokens->types[i] = type;
	tokens->special[i] = special;
	if (tokens->start != NULL)
	{
		tokens->start[i] = token.start;
		tokens->stop[i] = token.stop;
	}
}

/*
 * Lay the result out where the scratch memory was: everything since mark is
 * given back, and the tokens are moved behind the arrays they are to fill.
 */
static bool
allocate_result(EncodeContext *context, AlbertArenaMark mark, size_t n, AlbertTokens *tokens)
{
	size_t		ids = 0;
	size_t		start = ids + n * sizeof(int32_t);
	size_t		stop = start + (context->offsets ? n * sizeof(int32_t) : 0);
	size_t		types = stop + (context->offsets ? n * sizeof(int32_t) : 0);
	size_t		special = types + n;
	size_t		list = (special + n + sizeof(Token) - 1) / sizeof(Token) * sizeof(Token);
	char	   *memory;

	AlbertArenaRewind(context->arena, mark);
	memory = AlbertArenaAlloc(context->arena, list + context->tokens.count * sizeof(Token));
	if (memory == NULL)
		return tok_no_memory(context->status);
	if (context->tokens.count > 0)
		memmove(memory + list, context->tokens.items, context->tokens.count * sizeof(Token));
	context->tokens.items = (Token *) (memory + list);
	tokens->n = (int) n;
	tokens->ids = (int32_t *) (memory + ids);
	tokens->start = context->offsets ? (int32_t *) (memory + start) : NULL;
	tokens->stop = context->offsets ? (int32_t *) (memory + stop) : NULL;
	tokens->types = (uint8_t *) (memory + types);
	tokens->special = (uint8_t *) (memory + special);
	return true;
}

static size_t
count_special(const TemplateItem *items, size_t count)
{
	size_t		n = 0;

	for (size_t i = 0; i < count; i++)
		n += items[i].what == TEMPLATE_SPECIAL;
	return n;
}

/* The items of the template for a text or a pair. */
static const TemplateItem *
get_template(const EncodeContext *context, bool pair, size_t *count)
{
	const TemplateItem *items = TABLE(context->tokenizer, SECTION_TEMPLATE, TemplateItem);
	size_t		single = context->header->template_single;

	*count = pair ? SECTION_ITEMS(context->header, SECTION_TEMPLATE, TemplateItem) - single : single;
	return pair ? items + single : items;
}

static bool
lay_out(EncodeContext *context, const AlbertEncodeOptions *options, const Lengths *lengths,
		AlbertArenaMark mark, AlbertTokens *tokens)
{
	bool		left = (context->header->flags & TOKENIZER_TRUNCATE_LEFT) != 0;
	size_t		first = lengths->first - lengths->first_cut;
	size_t		second = lengths->second - lengths->second_cut;
	Output		output = {tokens, 0};
	size_t		count;
	const TemplateItem *items = get_template(context, lengths->pair, &count);

	if (!allocate_result(context, mark, first + second + lengths->added, tokens))
		return false;
	tokens->ncut = (int) (lengths->first_cut + lengths->second_cut);
	for (size_t i = 0; i < count; i++)
	{
		bool		is_first = items[i].what == TEMPLATE_FIRST;
		const Token *from = context->tokens.items;

		if (items[i].what == TEMPLATE_SPECIAL)
		{
			if (options->special_tokens)
				put(&output, (Token) {items[i].id, 0, 0}, items[i].type, true);
			continue;
		}
		from += is_first ? 0 : lengths->first;
		if (left)
			from += is_first ? lengths->first_cut : lengths->second_cut;
		for (size_t j = 0; j < (is_first ? first : second); j++)
			put(&output, from[j], items[i].type, false);
	}
	return true;
}

bool
AlbertTokenizerEncode(const AlbertTokenizer *tokenizer, const AlbertText *text, const AlbertText *pair,
					  const AlbertEncodeOptions *options, AlbertArena *arena, AlbertTokens *tokens,
					  AlbertStatus *status)
{
	EncodeContext context = {
		.tokenizer = tokenizer,
		.header = HEADER(tokenizer),
		.arena = arena,
		.status = status,
		.offsets = options->offsets,
	};
	Lengths		lengths = {.pair = pair != NULL && pair->data != NULL};
	AlbertArenaMark mark = AlbertArenaGetMark(arena);
	const TemplateItem *items;
	size_t		count;

	memset(tokens, 0, sizeof(*tokens));
	if (context.header->kind == KIND_PIPELINE && lengths.pair && pair->size == 0)
		lengths.pair = false;	/* to the fast tokenizers an empty pair is none */
	items = get_template(&context, lengths.pair, &count);
	lengths.added = options->special_tokens ? count_special(items, count) : 0;
	if (!encode_text(&context, text))
		return false;
	lengths.first = context.tokens.count;
	if (lengths.pair && !encode_text(&context, pair))
		return false;
	lengths.second = context.tokens.count - lengths.first;
	if (lengths.first + lengths.second > INT32_MAX / 2)
		return AlbertFail(status, ALBERT_TOO_LONG, "text has too many tokens");
	return settle_lengths(&context, options, &lengths) &&
		lay_out(&context, options, &lengths, mark, tokens);
}
