/*
 * spiece.c
 *	  Compiling a spiece.model, a protocol buffer that the sentencepiece library
 *	  reads, to the steps of the published ALBERT checkpoints' tokenizer.json.
 *
 * Read here is only what the library does not tell: the kind of model, the
 * character map, and which pieces are user-defined.  The file is untrusted:
 * every length is checked against what is left of its message, and the map,
 * which the library follows without looking, before the library sees it.
 */
#include "base/bytes.h"
#include "tokenizer/compile/compile.h"
#include "tokenizer/compile/library.h"

#include <math.h>
#include <string.h>

#define MODEL_TYPE_UNIGRAM	1
#define TYPE_USER_DEFINED	4
#define COMMA_PENALTY	100.0	/* of pieces that end in a digit and a comma */

typedef struct Model
{
	Builder    *builder;
	uint64_t	model_type;
	bool		whitespace_suffix;
	bool		byte_fallback;
	bool		denormalizer;
	bool		add_dummy_prefix;
	bool		remove_extra_whitespaces;
	bool		escape_whitespaces;
	bool		has_normalizer;
	AlbertSpan	charsmap;
} Model;

static bool
malformed(Builder *builder, const char *detail)
{
	AlbertFail(builder->status, ALBERT_FORMAT, "spiece.model is malformed");
	return AlbertDetail(builder->status, "%s", detail);
}

static bool
unsupported(Builder *builder, const char *what)
{
	return AlbertFail(builder->status, ALBERT_UNSUPPORTED, "spiece.model %s, which is not supported", what);
}

/* ---- the protocol buffer ---- */

static bool
read_field(Builder *builder, AlbertSpan *message, AlbertField *field)
{
	return AlbertFieldNext(message, field) ||
		malformed(builder, "A field is malformed, or longer than its message.");
}

static bool
read_trainer(Model *model, AlbertSpan message)
{
	AlbertField field;

	while (message.at < message.end)
	{
		if (!read_field(model->builder, &message, &field))
			return false;
		if (field.number == 3 && field.wire == ALBERT_WIRE_VARINT)
			model->model_type = field.value;
		else if (field.number == 24 && field.wire == ALBERT_WIRE_VARINT)
			model->whitespace_suffix = field.value != 0;
		else if (field.number == 35 && field.wire == ALBERT_WIRE_VARINT)
			model->byte_fallback = field.value != 0;
	}
	return true;
}

static bool
read_normalizer(Model *model, AlbertSpan message)
{
	AlbertField field;

	if (model->has_normalizer)
		return malformed(model->builder, "It has two normalizers.");
	model->has_normalizer = true;
	while (message.at < message.end)
	{
		if (!read_field(model->builder, &message, &field))
			return false;
		if (field.number == 2 && field.wire == ALBERT_WIRE_BYTES && model->charsmap.at != NULL)
			return malformed(model->builder, "It has two character maps.");
		if (field.number == 2 && field.wire == ALBERT_WIRE_BYTES)
			model->charsmap = field.bytes;
		else if (field.number == 3 && field.wire == ALBERT_WIRE_VARINT)
			model->add_dummy_prefix = field.value != 0;
		else if (field.number == 4 && field.wire == ALBERT_WIRE_VARINT)
			model->remove_extra_whitespaces = field.value != 0;
		else if (field.number == 5 && field.wire == ALBERT_WIRE_VARINT)
			model->escape_whitespaces = field.value != 0;
	}
	return true;
}

/* Has the denormalizer a character map? */
static bool
read_denormalizer(Model *model, AlbertSpan message)
{
	AlbertField field;

	while (message.at < message.end)
	{
		if (!read_field(model->builder, &message, &field))
			return false;
		model->denormalizer |= field.number == 2 && AlbertSpanSize(field.bytes) > 0;
	}
	return true;
}

/* Note which pieces are user-defined: the library has its own way with them. */
static bool
read_piece(Model *model, AlbertSpan message)
{
	Builder    *builder = model->builder;
	uint64_t	type = 0;
	AlbertField field;

	while (message.at < message.end)
	{
		if (!read_field(builder, &message, &field))
			return false;
		if (field.number == 3 && field.wire == ALBERT_WIRE_VARINT)
			type = field.value;
	}
	return tok_builder_piece(builder, NULL, 0, 0, type == TYPE_USER_DEFINED ? PIECE_ODD : 0);
}

static bool
read_model(Model *model, AlbertSpan message)
{
	AlbertField field;

	while (message.at < message.end)
	{
		bool		good = true;

		if (!read_field(model->builder, &message, &field))
			return false;
		if (field.wire != ALBERT_WIRE_BYTES)
			continue;
		if (field.number == 1)
			good = read_piece(model, field.bytes);
		else if (field.number == 2)
			good = read_trainer(model, field.bytes);
		else if (field.number == 3)
			good = read_normalizer(model, field.bytes);
		else if (field.number == 5)
			good = read_denormalizer(model, field.bytes);
		if (!good)
			return false;
	}
	return model->builder->piece_count > 0 || malformed(model->builder, "It has no pieces.");
}

static bool
check_supported(Model *model)
{
	static const char *const names[] = {"", "unigram", "BPE", "word", "character"};
	Builder    *builder = model->builder;

	if (model->model_type != MODEL_TYPE_UNIGRAM)
	{
		AlbertFail(builder->status, ALBERT_UNSUPPORTED,
				   "spiece.model holds a %s model, only unigram models are supported",
				   model->model_type <= 4 ? names[model->model_type] : "strange");
		return AlbertHint(builder->status, "ALBERT's own vocabularies are unigram models.");
	}
	if (model->whitespace_suffix)
		return unsupported(builder, "treats white space as a suffix");
	if (model->byte_fallback)
		return unsupported(builder, "falls back to bytes");
	if (model->denormalizer)
		return unsupported(builder, "has a denormalizer");
	if (!model->add_dummy_prefix || !model->remove_extra_whitespaces || !model->escape_whitespaces)
		return unsupported(builder, "keeps white space as it is");
	return true;
}

/*
 * Does every step of a walk through the map stay inside it?  Children lie in
 * the block of 256 units that their node's offset points into.
 */
static bool
check_charsmap(const AlbertBytes *units, size_t text_size)
{
	const uint32_t *unit = units->data;
	size_t		count = units->size / sizeof(uint32_t);

	for (size_t i = 0; i < count; i++)
	{
		size_t		child = i ^ ((size_t) (unit[i] >> 10) << ((unit[i] & 0x200u) >> 6));
		bool		leaf = unit[i] >> 31 != 0;

		if (leaf ? (unit[i] & 0x7FFFFFFFu) >= text_size : (child | 0xFF) >= count)
			return false;
	}
	return true;
}

static bool
read_charsmap(Model *model)
{
	Builder    *builder = model->builder;
	size_t		size = AlbertSpanSize(model->charsmap);
	const char *problem;

	if (size == 0)
		return true;
	if (!tok_builder_charsmap(builder, model->charsmap.at, size, &problem))
		return problem == NULL ? false : malformed(builder, problem);
	return check_charsmap(&builder->sections[SECTION_CHARSMAP], builder->sections[SECTION_CHARSMAP_TEXT].size) ||
		malformed(builder, "The character map points outside itself.");
}

/* ---- the pieces ---- */

/* The published files lower such pieces' scores, so that a number is not one piece with the comma behind it. */
static bool
ends_in_digit_comma(const char *text, size_t size)
{
	uint32_t	code = 0;

	if (size < 2 || text[size - 1] != ',')
		return false;
	for (size_t at = 0; at < size - 1;)
		at += tok_utf8_decode(text + at, &code);
	return tok_is_digit(code);
}

static bool
take_piece(Builder *builder, int32_t id, const AlbertSpiecePiece *from)
{
	Piece	   *piece = &builder->pieces[id];
	char	   *text = AlbertArenaAlloc(builder->arena, from->size + 1);
	bool		comma;

	if (text == NULL)
		return AlbertNoMemory(builder->status);
	if (from->size == 0)
		return malformed(builder, "A piece is empty.");
	if (tok_utf8_valid(from->text, from->size) < from->size || memchr(from->text, 0, from->size) != NULL)
		return malformed(builder, "A piece is not valid UTF-8, or has a NUL in it.");
	if (!isfinite(from->score))
		return malformed(builder, "A piece's score is not a finite number.");
	if (from->type == ALBERT_SPIECE_BYTE)
		return unsupported(builder, "has byte pieces");
	if (from->type == ALBERT_SPIECE_UNKNOWN)
		builder->header.model_unk_id = id;
	memcpy(text, from->text, from->size);
	comma = ends_in_digit_comma(text, from->size);
	piece->text = text;
	piece->size = (uint32_t) from->size;
	piece->score = tok_score_as_read(from->score - (comma ? COMMA_PENALTY : 0));
	piece->flags |= PIECE_MODEL | (comma || from->type != ALBERT_SPIECE_NORMAL ? PIECE_ODD : 0);
	return true;
}

static bool
take_pieces(Builder *builder, const SpieceLibrary *library)
{
	AlbertSpiecePiece piece;

	if (library->table->piece_count(library->model) != builder->piece_count)
		return malformed(builder, "The sentencepiece library sees another number of pieces.");
	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		if (!library->table->get_piece(library->model, id, &piece))
			return malformed(builder, "The sentencepiece library does not tell a piece.");
		if (!take_piece(builder, id, &piece))
			return false;
	}
	return builder->header.model_unk_id >= 0 || malformed(builder, "It has no unknown piece.");
}

/* ---- the steps ---- */

static bool
add_steps(Builder *builder)
{
	const Settings *settings = &builder->settings;
	bool		strip = !settings->keep_accents;
	bool		map = builder->sections[SECTION_CHARSMAP].size > 0;

	if (!tok_builder_step(builder, STEP_REPLACE, "``", "\"") ||
		!tok_builder_step(builder, STEP_REPLACE, "''", "\"") ||
		(strip && !tok_builder_step(builder, STEP_NFKD, NULL, NULL)) ||
		(strip && !tok_builder_step(builder, STEP_STRIP_MARKS, NULL, NULL)) ||
		(settings->do_lower_case && !tok_builder_step(builder, STEP_LOWER, NULL, NULL)) ||
		(map && !tok_builder_step(builder, STEP_CHARSMAP, NULL, NULL)))
		return false;
	builder->header.normalizer_count = builder->step_count;
	builder->header.decoder = DECODER_METASPACE_PREFIX;
	return tok_builder_step(builder, STEP_SPLIT_SPACES, NULL, NULL) &&
		tok_builder_step(builder, STEP_METASPACE_ALWAYS, NULL, NULL) &&
		tok_builder_step(builder, STEP_SPLIT_MARKS, NULL, NULL);
}

static bool
compile_with(Builder *builder, const SpieceLibrary *library)
{
	return take_pieces(builder, library) && tok_builder_unigram(builder) && add_steps(builder) &&
		tok_spiece_compare(builder, library);
}

bool
tok_compile_spiece(Builder *builder, const AlbertTokenizerFiles *files)
{
	Model		model = {
		.builder = builder,
		.model_type = MODEL_TYPE_UNIGRAM,
		.add_dummy_prefix = true,
		.remove_extra_whitespaces = true,
		.escape_whitespaces = true,
	};
	AlbertSpan	message = {files->spiece_model.data, NULL};
	SpieceLibrary library;
	bool		good;

	message.end = message.at + files->spiece_model.size;
	tok_albert_defaults(&builder->settings);
	if (!tok_settings_read(files, builder->arena, &builder->settings, builder->status) ||
		!read_model(&model, message) || !check_supported(&model) || !read_charsmap(&model) ||
		!tok_spiece_open(files, &library, builder->status))
		return false;
	good = compile_with(builder, &library);
	library.table->close(library.model);
	return good;
}
