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

/* Make an array of the builder's hold more elements. */
static bool
reserve(Builder *builder, void *items, size_t used, size_t more, size_t size, size_t *room)
{
	return AlbertArenaReserve(builder->arena, items, used, more, size, room) || AlbertNoMemory(builder->status);
}

/* Append a piece; its text is not copied and must outlive the builder. */
bool
tok_builder_piece(Builder *builder, const char *text, size_t size, double score, uint32_t flags)
{
	if (builder->piece_count >= MAX_PIECES)
		return AlbertFail(builder->status, ALBERT_UNSUPPORTED, "the vocabulary has more than %d pieces", MAX_PIECES);
	if (!reserve(builder, &builder->pieces, builder->piece_count, 1, sizeof(Piece), &builder->piece_room))
		return false;
	builder->pieces[builder->piece_count++] = (Piece) {text, (uint32_t) size, flags, score};
	return true;
}

/* Let an id, which may lie behind the vocabulary's end, stand for a text. */
bool
tok_builder_place(Builder *builder, int32_t id, const char *text, size_t size, uint32_t flags)
{
	Piece	   *piece;

	while (builder->piece_count <= id)
		if (!tok_builder_piece(builder, NULL, 0, 0, 0))
			return false;
	piece = &builder->pieces[id];
	piece->text = text;
	piece->size = (uint32_t) size;
	piece->flags |= flags;
	return true;
}

/* Append a NUL-terminated string to the strings' section. */
bool
tok_builder_string(Builder *builder, const char *text, size_t size, uint32_t *offset)
{
	if (!reserve(builder, &builder->strings, builder->strings_size, size + 1, 1, &builder->strings_room))
		return false;
	*offset = (uint32_t) builder->strings_size;
	if (size > 0)
		memcpy(builder->strings + builder->strings_size, text, size);
	builder->strings_size += size;
	builder->strings[builder->strings_size++] = '\0';
	return true;
}

/* Append a string to the steps' codes. */
static bool
add_codes(Builder *builder, const char *text, uint32_t *first, uint32_t *count)
{
	size_t		size = text == NULL ? 0 : strlen(text);

	if (!reserve(builder, &builder->codes, builder->code_count, size, sizeof(uint32_t), &builder->code_room))
		return false;
	*first = (uint32_t) builder->code_count;
	for (size_t at = 0; at < size;)
		at += tok_utf8_decode(text + at, &builder->codes[builder->code_count++]);
	*count = (uint32_t) builder->code_count - *first;
	return true;
}

/* Add a step; its strings may be NULL. */
bool
tok_builder_step(Builder *builder, Operation operation, const char *first, const char *second)
{
	Step	   *step = &builder->steps[builder->step_count];

	if (builder->step_count == MOST_STEPS)
		return AlbertFail(builder->status, ALBERT_UNSUPPORTED,
						  "the tokenizer has more than %d steps, which is not supported", MOST_STEPS);
	builder->step_count++;
	step->operation = operation;
	return add_codes(builder, first, &step->first, &step->first_count) &&
		add_codes(builder, second, &step->second, &step->second_count);
}

/* Add an item to the template; those for a text come first, then header.template_single is to be set. */
bool
tok_builder_item(Builder *builder, TemplateWhat what, int32_t id, int32_t type)
{
	if (builder->item_count == MOST_ITEMS)
		return AlbertFail(builder->status, ALBERT_UNSUPPORTED,
						  "the tokenizer's template has more than %d items, which is not supported", MOST_ITEMS);
	builder->items[builder->item_count++] = (TemplateItem) {what, id, type};
	return true;
}

static bool
add_special(Builder *builder, int32_t id, int32_t type)
{
	return id < 0 || tok_builder_item(builder, TEMPLATE_SPECIAL, id, type);
}

/* ALBERT's and BERT's way to put special tokens around a text or a pair; -1: none. */
bool
tok_builder_template(Builder *builder, int32_t cls, int32_t sep)
{
	for (int pair = 0; pair < 2; pair++)
	{
		if (!add_special(builder, cls, 0) || !tok_builder_item(builder, TEMPLATE_FIRST, -1, 0) ||
			!add_special(builder, sep, 0))
			return false;
		if (!pair)
			builder->header.template_single = builder->item_count;
	}
	return tok_builder_item(builder, TEMPLATE_SECOND, -1, 1) && add_special(builder, sep, 1);
}

int32_t
tok_builder_find(const Builder *builder, const char *text, size_t size)
{
	const int32_t *slots = builder->sections[SECTION_HASH].data;
	uint32_t	mask = (uint32_t) builder->header.hash_size - 1;

	if (slots == NULL)
		return -1;
	for (uint32_t at = tok_hash(text, size) & mask; slots[at] >= 0; at = (at + 1) & mask)
	{
		const Piece *piece = &builder->pieces[slots[at]];

		if (piece->size == size && (size == 0 || memcmp(piece->text, text, size) == 0))
			return slots[at];
	}
	return -1;
}

/* Make the hash table of the pieces there are now; of pieces that share their text the last is found. */
bool
tok_builder_hash(Builder *builder)
{
	uint32_t	size = 16;
	uint32_t	mask;
	int32_t    *slots;

	while (size < (uint32_t) builder->piece_count * 2 + 64)
		size *= 2;
	mask = size - 1;
	slots = AlbertArenaArray(builder->arena, size, sizeof(int32_t));
	if (slots == NULL)
		return AlbertNoMemory(builder->status);
	memset(slots, 0xFF, size * sizeof(int32_t));
	builder->header.hash_size = (int32_t) size;
	builder->sections[SECTION_HASH] = (AlbertBytes) {slots, size * sizeof(int32_t)};
	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		const Piece *piece = &builder->pieces[id];
		uint32_t	at;

		if (piece->text == NULL)
			continue;
		for (at = tok_hash(piece->text, piece->size) & mask; slots[at] >= 0; at = (at + 1) & mask)
		{
			const Piece *other = &builder->pieces[slots[at]];

			if (other->size == piece->size &&
				(piece->size == 0 || memcmp(other->text, piece->text, piece->size) == 0))
				break;
		}
		slots[at] = id;
	}
	return true;
}

/* A tokenizer bound to the builder's sections so far. */
void
tok_builder_probe(Builder *builder, AlbertTokenizer *probe)
{
	builder->sections[SECTION_STEPS] = (AlbertBytes) {builder->steps, builder->step_count * sizeof(Step)};
	builder->sections[SECTION_STEP_CODES] = (AlbertBytes) {builder->codes, builder->code_count * sizeof(uint32_t)};
	memset(probe, 0, sizeof(*probe));
	probe->image = &builder->header;
	for (int i = 0; i < SECTION_COUNT; i++)
	{
		builder->header.sections[i].size = builder->sections[i].size;
		probe->tables[i] = builder->sections[i].data;
	}
}

/* The sections that tell a piece's text and kind by its id. */
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
		bytes += builder->pieces[i].text == NULL ? 0 : builder->pieces[i].size;
	if (bytes > UINT32_MAX)
		return AlbertFail(builder->status, ALBERT_UNSUPPORTED, "the vocabulary is too large");
	text = AlbertArenaAlloc(builder->arena, bytes);
	if (offsets == NULL || flags == NULL || scores == NULL || text == NULL)
		return AlbertNoMemory(builder->status);
	bytes = 0;
	for (size_t i = 0; i < n; i++)
	{
		const Piece *piece = &builder->pieces[i];

		offsets[i] = (uint32_t) bytes;
		flags[i] = piece->text == NULL ? 0 : (uint8_t) piece->flags;
		scores[i] = piece->score;
		if (piece->text != NULL && piece->size > 0)
		{
			memcpy(text + bytes, piece->text, piece->size);
			bytes += piece->size;
		}
	}
	offsets[n] = (uint32_t) bytes;
	builder->sections[SECTION_PIECE_OFFSETS] = (AlbertBytes) {offsets, (n + 1) * sizeof(uint32_t)};
	builder->sections[SECTION_PIECE_BYTES] = (AlbertBytes) {text, bytes};
	builder->sections[SECTION_PIECE_FLAGS] = (AlbertBytes) {flags, n};
	if (builder->header.model == MODEL_UNIGRAM)
		builder->sections[SECTION_SCORES] = (AlbertBytes) {scores, n * sizeof(double)};
	return true;
}

static size_t
round_up(size_t size)
{
	return (size + ALBERT_ALIGN - 1) & ~(size_t) (ALBERT_ALIGN - 1);
}

bool
tok_builder_layout(Builder *builder, AlbertBytes *image)
{
	TokenizerHeader *header = &builder->header;
	size_t		size = round_up(sizeof(TokenizerHeader));
	char	   *out;

	builder->sections[SECTION_STRINGS] = (AlbertBytes) {builder->strings, builder->strings_size};
	builder->sections[SECTION_STEPS] = (AlbertBytes) {builder->steps, builder->step_count * sizeof(Step)};
	builder->sections[SECTION_STEP_CODES] = (AlbertBytes) {builder->codes, builder->code_count * sizeof(uint32_t)};
	builder->sections[SECTION_TEMPLATE] = (AlbertBytes) {builder->items, builder->item_count * sizeof(TemplateItem)};
	if (!lay_out_pieces(builder))
		return false;
	header->vocab_size = builder->piece_count;
	for (int i = 0; i < SECTION_COUNT; i++)
	{
		header->sections[i].offset = size;
		header->sections[i].size = builder->sections[i].size;
		size = round_up(size + builder->sections[i].size);
	}
	AlbertImageHeaderFill(&header->base, ALBERT_IMAGE_TOKENIZER, size);

	out = AlbertArenaAllocZero(builder->arena, size);
	if (out == NULL)
		return AlbertNoMemory(builder->status);
	memcpy(out, header, sizeof(TokenizerHeader));
	for (int i = 0; i < SECTION_COUNT; i++)
		if (builder->sections[i].size > 0)
			memcpy(out + header->sections[i].offset, builder->sections[i].data, builder->sections[i].size);
	image->data = out;
	image->size = size;
	return true;
}
