/*
 * builder.c
 *	  Collecting the parts of an image and laying them out; what is wrong with
 *	  the file that they come from.
 */
#include "tokenizer/compile/compile.h"

#include <string.h>

bool
tok_malformed(Builder *builder, const char *detail)
{
	AlbertFail(builder->status, ALBERT_FORMAT, "%s is malformed", builder->file);
	return AlbertDetail(builder->status, "%s", detail);
}

bool
tok_unsupported(Builder *builder, const char *what, const char *name)
{
	if (name == NULL)
		return AlbertFail(builder->status, ALBERT_UNSUPPORTED, "%s %s, which is not supported", builder->file, what);
	return AlbertFail(builder->status, ALBERT_UNSUPPORTED, "%s has the %s \"%s\", which is not supported",
					  builder->file, what, name);
}

/* Integers may be larger than any integer type: a length of 1e30 stands for none. */
json_t *
tok_parse(Builder *builder, AlbertBytes file)
{
	return AlbertJsonParse(builder->documents, file.data, file.size, JSON_DECODE_INT_AS_REAL, JSON_OBJECT,
						   "file", builder->file, builder->status);
}

void
tok_builder_section(Builder *builder, Section section, const void *data, size_t size)
{
	builder->tokenizer.tables[section] = data;
	builder->header.sections[section].size = size;
}

/* Append a piece; its text is not copied and must outlive the builder. */
bool
tok_builder_piece(Builder *builder, const char *text, size_t size, double score)
{
	if (builder->piece_count >= MAX_PIECES)
		return AlbertFail(builder->status, ALBERT_UNSUPPORTED, "the vocabulary has more than %d pieces", MAX_PIECES);
	if (!AlbertArenaReserve(builder->arena, &builder->pieces, builder->piece_count, 1, sizeof(Piece),
							&builder->piece_room))
		return AlbertNoMemory(builder->status);
	builder->pieces[builder->piece_count++] = (Piece) {.text = text, .size = (uint32_t) size, .score = score};
	return true;
}

/* Let an id, which may lie behind the vocabulary's end, stand for a text. */
bool
tok_builder_place(Builder *builder, int32_t id, const char *text, size_t size, uint32_t flags)
{
	Piece	   *piece;

	while (builder->piece_count <= id)
		if (!tok_builder_piece(builder, NULL, 0, 0))
			return false;
	piece = &builder->pieces[id];
	piece->text = text;
	piece->size = (uint32_t) size;
	piece->flags |= flags;
	return true;
}

static bool
set_string(Builder *builder, const char *text, StepString *string)
{
	size_t		size = text == NULL ? 0 : strlen(text);

	if (tok_utf8_count(text, size) > MOST_CODES)
		return tok_unsupported(builder, "long string", text);
	for (size_t at = 0; at < size;)
		at += tok_utf8_decode(text + at, &string->codes[string->count++]);
	return true;
}

/* Add a step; its strings may be NULL. */
bool
tok_builder_step(Builder *builder, Operation operation, const char *pattern, const char *content)
{
	size_t		count = SECTION_ITEMS(&builder->header, SECTION_STEPS, Step);
	Step	   *step = &builder->steps[count];

	if (count == MOST_STEPS)
		return tok_unsupported(builder, "has too many steps", NULL);
	tok_builder_section(builder, SECTION_STEPS, builder->steps, (count + 1) * sizeof(Step));
	step->operation = operation;
	return set_string(builder, pattern, &step->pattern) && set_string(builder, content, &step->content);
}

/* Add an item to the template; those for a text come first, then header.template_single is to be set. */
bool
tok_builder_item(Builder *builder, TemplateWhat what, int32_t id, int32_t type)
{
	if (builder->item_count == MOST_ITEMS)
		return tok_unsupported(builder, "has a very long template", NULL);
	builder->items[builder->item_count++] = (TemplateItem) {what, id, type};
	return true;
}

/* ALBERT's and BERT's way to put special tokens around a text or a pair; -1: none. */
bool
tok_builder_template(Builder *builder, int32_t cls, int32_t sep)
{
	const TemplateItem items[] = {
		{TEMPLATE_SPECIAL, cls, 0}, {TEMPLATE_FIRST, -1, 0}, {TEMPLATE_SPECIAL, sep, 0},
		{TEMPLATE_SPECIAL, cls, 0}, {TEMPLATE_FIRST, -1, 0}, {TEMPLATE_SPECIAL, sep, 0},
		{TEMPLATE_SECOND, -1, 1}, {TEMPLATE_SPECIAL, sep, 1}
	};

	for (size_t i = 0; i < LENGTH(items); i++)
	{
		if (i == 3)
			builder->header.template_single = builder->item_count;
		if ((items[i].what != TEMPLATE_SPECIAL || items[i].id >= 0) &&
			!tok_builder_item(builder, items[i].what, items[i].id, items[i].type))
			return false;
	}
	return true;
}

/* The sections that tell a piece's text, flags and score by its id. */
static bool
lay_out_pieces(Builder *builder)
{
	size_t		n = builder->piece_count;
	size_t		bytes = 0;
	uint32_t   *offsets = AlbertArenaArray(builder->arena, n + 1, sizeof(uint32_t));
	uint8_t    *flags = AlbertArenaArray(builder->arena, n, 1);
	double	   *scores = AlbertArenaArray(builder->arena, n, sizeof(double));
	char	   *text;

	for (size_t i = 0; i < n; i++)
		bytes += builder->pieces[i].size + 1;
	text = AlbertArenaAllocZero(builder->arena, bytes);
	if (offsets == NULL || flags == NULL || scores == NULL || text == NULL)
		return AlbertNoMemory(builder->status);
	bytes = 0;
	for (size_t i = 0; i < n; i++)
	{
		const Piece *piece = &builder->pieces[i];

		offsets[i] = (uint32_t) bytes;
		flags[i] = piece->text == NULL ? 0 : (uint8_t) (PIECE_KNOWN | piece->flags);
		scores[i] = piece->score;
		if (piece->size > 0)
			memcpy(text + bytes, piece->text, piece->size);
		bytes += piece->size + 1;
	}
	offsets[n] = (uint32_t) bytes;
	tok_builder_section(builder, SECTION_PIECE_OFFSETS, offsets, (n + 1) * sizeof(uint32_t));
	tok_builder_section(builder, SECTION_PIECE_BYTES, text, bytes);
	tok_builder_section(builder, SECTION_PIECE_FLAGS, flags, n);
	if (builder->header.model == MODEL_UNIGRAM)
		tok_builder_section(builder, SECTION_SCORES, scores, n * sizeof(double));
	return true;
}

bool
tok_builder_layout(Builder *builder, AlbertBytes *image)
{
	TokenizerHeader *header = &builder->header;
	size_t		size = AlbertAlign(sizeof(TokenizerHeader));
	char	   *out;

	tok_builder_section(builder, SECTION_TEMPLATE, builder->items, builder->item_count * sizeof(TemplateItem));
	if (!lay_out_pieces(builder))
		return false;
	header->vocab_size = builder->piece_count;
	for (int i = 0; i < SECTION_COUNT; i++)
	{
		header->sections[i].offset = size;
		size = AlbertAlign(size + header->sections[i].size);
	}
	AlbertImageHeaderFill(&header->base, ALBERT_IMAGE_TOKENIZER, size);

	out = AlbertArenaAllocZero(builder->arena, size);
	if (out == NULL)
		return AlbertNoMemory(builder->status);
	memcpy(out, header, sizeof(TokenizerHeader));
	for (int i = 0; i < SECTION_COUNT; i++)
		if (header->sections[i].size > 0)
			memcpy(out + header->sections[i].offset, builder->tokenizer.tables[i], header->sections[i].size);
	image->data = out;
	image->size = size;
	return true;
}
