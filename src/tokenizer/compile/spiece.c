/*
 * spiece.c
 *	  Compiling a spiece.model, a protocol buffer that the sentencepiece library
 *	  reads, to the steps of the published ALBERT checkpoints' tokenizer.json.
 *
 * Read here is only what the library does not tell: the kind of model, the
 * character map, and which pieces are user-defined.  The file is untrusted:
 * every length is checked against what is left of its message, and the map,
 * which the library follows without looking, is taken before the library sees it.
 */
#include "base/bytes.h"
#include "tokenizer/compile/compile.h"

#include <math.h>
#include <string.h>

#define MODEL_TYPE_UNIGRAM	1
#define TYPE_USER_DEFINED	4
#define COMMA_PENALTY	100.0	/* of pieces that end in a digit and a comma */

/* ---- the protocol buffer ---- */

typedef struct Model
{
	AlbertSpan	trainer;
	AlbertSpan	normalizer;
	uint64_t	model_type;
	uint64_t	whitespace_suffix;
	uint64_t	byte_fallback;
	AlbertSpan	charsmap;
	uint64_t	add_dummy_prefix;
	uint64_t	remove_extra_whitespaces;
	uint64_t	escape_whitespaces;
} Model;

#define PLACE(field)	offsetof(Model, field)

static const AlbertFieldPlace model_fields[] = {
	{2, ALBERT_WIRE_BYTES, PLACE(trainer)},
	{3, ALBERT_WIRE_BYTES, PLACE(normalizer)}
};

static const AlbertFieldPlace trainer_fields[] = {
	{3, ALBERT_WIRE_VARINT, PLACE(model_type)},
	{24, ALBERT_WIRE_VARINT, PLACE(whitespace_suffix)},
	{35, ALBERT_WIRE_VARINT, PLACE(byte_fallback)}
};

static const AlbertFieldPlace normalizer_fields[] = {
	{2, ALBERT_WIRE_BYTES, PLACE(charsmap)},
	{3, ALBERT_WIRE_VARINT, PLACE(add_dummy_prefix)},
	{4, ALBERT_WIRE_VARINT, PLACE(remove_extra_whitespaces)},
	{5, ALBERT_WIRE_VARINT, PLACE(escape_whitespaces)}
};

static const AlbertFieldPlace piece_fields[] = {
	{3, ALBERT_WIRE_VARINT, 0}
};

#define READ(message, fields, dest)	AlbertMessageRead(message, fields, LENGTH(fields), dest)

/* The settings, and which pieces are user-defined: the library has its own way with them. */
static bool
read_model(Builder *builder, AlbertSpan message, Model *model)
{
	static const char damaged[] = "A field is malformed, there twice, or longer than its message.";
	AlbertSpan	rest = message;
	AlbertField field;

	if (!READ(message, model_fields, model) || !READ(model->trainer, trainer_fields, model) ||
		!READ(model->normalizer, normalizer_fields, model))
		return tok_malformed(builder, damaged);
	while (rest.at < rest.end && AlbertFieldNext(&rest, &field))
	{
		uint64_t	type = 0;

		if (field.number != 1 || field.wire != ALBERT_WIRE_BYTES)
			continue;
		if (!READ(field.bytes, piece_fields, &type))
			return tok_malformed(builder, damaged);
		if (!tok_builder_piece(builder, NULL, 0, 0))
			return false;
		builder->pieces[builder->piece_count - 1].flags = type == TYPE_USER_DEFINED ? PIECE_ODD : 0;
	}
	return builder->piece_count > 0 || tok_malformed(builder, "It has no pieces.");
}

static bool
check_supported(Builder *builder, const Model *model)
{
	static const char *const names[] = {"", "unigram", "BPE", "word", "character"};

	if (model->model_type != MODEL_TYPE_UNIGRAM)
	{
		AlbertFail(builder->status, ALBERT_UNSUPPORTED,
				   "spiece.model holds a %s model, only unigram models are supported",
				   model->model_type <= 4 ? names[model->model_type] : "strange");
		return AlbertHint(builder->status, "ALBERT's own vocabularies are unigram models.");
	}
	if (model->whitespace_suffix)
		return tok_unsupported(builder, "treats white space as a suffix", NULL);
	if (model->byte_fallback)
		return tok_unsupported(builder, "falls back to bytes", NULL);
	if (!model->add_dummy_prefix || !model->remove_extra_whitespaces || !model->escape_whitespaces)
		return tok_unsupported(builder, "keeps white space as it is", NULL);
	return true;
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
	return tok_is(code, IS_DIGIT);
}

/* The library's texts live as long as its model, which is closed when the image is there. */
static bool
take_piece(Builder *builder, int32_t id, const AlbertSpiecePiece *from)
{
	Piece	   *piece = &builder->pieces[id];
	bool		comma;

	if (tok_utf8_valid(from->text, from->size) < from->size || memchr(from->text, 0, from->size) != NULL)
		return tok_malformed(builder, "A piece is not valid UTF-8, or has a NUL in it.");
	if (!isfinite(from->score))
		return tok_malformed(builder, "A piece's score is not a finite number.");
	if (from->type == ALBERT_SPIECE_BYTE)
		return tok_unsupported(builder, "has byte pieces", NULL);
	if (from->type == ALBERT_SPIECE_UNKNOWN)
		builder->header.model_unk_id = id;
	comma = ends_in_digit_comma(from->text, from->size);
	piece->text = from->text;
	piece->size = (uint32_t) from->size;
	piece->score = tok_score_as_read(from->score - (comma ? COMMA_PENALTY : 0));
	piece->flags |= comma || from->type != ALBERT_SPIECE_NORMAL ? PIECE_ODD : 0;
	return true;
}

static bool
take_pieces(Builder *builder)
{
	const AlbertSpiece *model = builder->spiece;

	if (model->piece_count != builder->piece_count)
		return tok_malformed(builder, "The sentencepiece library sees another number of pieces.");
	for (int32_t id = 0; id < builder->piece_count; id++)
		if (!take_piece(builder, id, &model->pieces[id]))
			return false;
	return builder->header.model_unk_id >= 0 || tok_malformed(builder, "It has no unknown piece.");
}

/* ---- the steps ---- */

static bool
add_steps(Builder *builder)
{
	const Settings *settings = &builder->settings;
	bool		strip = !settings->keep_accents;
	bool		map = builder->header.sections[SECTION_CHARSMAP].size > 0;

	if (!tok_builder_step(builder, STEP_REPLACE, "``", "\"") ||
		!tok_builder_step(builder, STEP_REPLACE, "''", "\"") ||
		(strip && !tok_builder_step(builder, STEP_NFKD, NULL, NULL)) ||
		(strip && !tok_builder_step(builder, STEP_STRIP_MARKS, NULL, NULL)) ||
		(settings->do_lower_case && !tok_builder_step(builder, STEP_LOWER, NULL, NULL)) ||
		(map && !tok_builder_step(builder, STEP_CHARSMAP, NULL, NULL)))
		return false;
	builder->header.split = MARKED_WORDS;
	builder->header.decoder = DECODER_METASPACE_PREFIX;
	return true;
}

bool
tok_compile_spiece(Builder *builder, const AlbertTokenizerFiles *files)
{
	Model		model = {
		.model_type = MODEL_TYPE_UNIGRAM,
		.add_dummy_prefix = true,
		.remove_extra_whitespaces = true,
		.escape_whitespaces = true,
	};
	const unsigned char *data = files->spiece_model.data;
	AlbertSpan	message = {data, data + files->spiece_model.size};

	if (!tok_settings_defaults(builder, MODEL_UNIGRAM) || !tok_settings_read(builder, files, NULL))
		return false;
	builder->file = "spiece.model";
	return read_model(builder, message, &model) && check_supported(builder, &model) &&
		(AlbertSpanSize(model.charsmap) == 0 ||
		 tok_builder_charsmap(builder, model.charsmap.at, AlbertSpanSize(model.charsmap))) &&
		tok_spiece_open(builder, files) && take_pieces(builder) && tok_builder_unigram(builder) && add_steps(builder);
}
