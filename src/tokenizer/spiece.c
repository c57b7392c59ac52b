/*
 * spiece.c
 *	  Reading a spiece.model: sentencepiece's ModelProto, a protocol buffer.
 *
 * Only the fields that segmentation needs are read; others are skipped as the
 * wire format allows.  The file is untrusted: every length is checked against
 * what is left of its message.
 */
#include "tokenizer/compile.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Wire types of protocol buffers. */
#define WIRE_VARINT		0
#define WIRE_FIXED64	1
#define WIRE_BYTES		2
#define WIRE_FIXED32	5

#define MODEL_TYPE_UNIGRAM	1
#define MOST_PIECE_BYTES	7999
#define UNK_PENALTY			10.0f

typedef struct Message
{
	const unsigned char *at;
	const unsigned char *end;
} Message;

typedef struct Field
{
	uint32_t	number;
	uint32_t	wire;
	uint64_t	value;			/* varint or fixed */
	Message		bytes;
} Field;

typedef struct Model
{
	Builder    *builder;
	uint64_t	model_type;
	bool		whitespace_suffix;
	bool		byte_fallback;
	bool		denormalizer;
	Message		unk_surface;
	bool		has_unk_surface;
	Message		charsmap;
	bool		add_dummy_prefix;
	bool		remove_extra_whitespaces;
	bool		escape_whitespaces;
} Model;

static bool
malformed(Model *model, const char *detail)
{
	AlbertFail(model->builder->status, ALBERT_FORMAT, "spiece.model is malformed");
	return AlbertDetail(model->builder->status, "%s", detail);
}

static bool
read_varint(Message *message, uint64_t *value)
{
	*value = 0;
	for (int shift = 0; shift < 70; shift += 7)
	{
		unsigned char byte;

		if (message->at == message->end)
			return false;
		byte = *message->at++;
		if (shift < 64)
			*value |= (uint64_t) (byte & 0x7F) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

static bool
read_fixed(Message *message, int size, uint64_t *value)
{
	*value = 0;
	if (message->end - message->at < size)
		return false;
	for (int i = 0; i < size; i++)
		*value |= (uint64_t) message->at[i] << (8 * i);
	message->at += size;
	return true;
}

static bool
read_field(Model *model, Message *message, Field *field)
{
	uint64_t	tag;
	bool		good = read_varint(message, &tag);

	if (!good || tag > UINT32_MAX || tag >> 3 == 0)
		return malformed(model, "A field's tag cannot be read.");
	field->number = (uint32_t) (tag >> 3);
	field->wire = tag & 7;
	field->value = 0;
	field->bytes = (Message) {NULL, NULL};
	switch (field->wire)
	{
		case WIRE_VARINT:
			good = read_varint(message, &field->value);
			break;
		case WIRE_FIXED64:
			good = read_fixed(message, 8, &field->value);
			break;
		case WIRE_FIXED32:
			good = read_fixed(message, 4, &field->value);
			break;
		case WIRE_BYTES:
			good = read_varint(message, &field->value) &&
				field->value <= (uint64_t) (message->end - message->at);
			if (good)
			{
				field->bytes.at = message->at;
				message->at += field->value;
				field->bytes.end = message->at;
			}
			break;
		default:
			return malformed(model, "A field has a wire type that is not in use.");
	}
	return good || malformed(model, "A field is longer than its message.");
}

static size_t
message_size(Message message)
{
	return message.end - message.at;
}

static bool
read_piece(Model *model, Message message)
{
	Message		text = {NULL, NULL};
	float		score = 0;
	uint32_t	type = PIECE_NORMAL;
	Field		field;

	while (message.at < message.end)
	{
		if (!read_field(model, &message, &field))
			return false;
		if (field.number == 1 && field.wire == WIRE_BYTES)
			text = field.bytes;
		else if (field.number == 2 && field.wire == WIRE_FIXED32)
		{
			uint32_t	bits = (uint32_t) field.value;

			memcpy(&score, &bits, sizeof(score));
		}
		else if (field.number == 3 && field.wire == WIRE_VARINT && field.value >= 1 && field.value <= 6)
			type = (uint32_t) field.value;
	}
	if (message_size(text) == 0)
		return malformed(model, "A piece is empty.");
	if (message_size(text) > MOST_PIECE_BYTES)
		return malformed(model, "A piece is too long.");
	if (tok_utf8_valid((const char *) text.at, message_size(text)) < message_size(text) ||
		memchr(text.at, 0, message_size(text)) != NULL)
		return malformed(model, "A piece is not valid UTF-8, or has a NUL in it.");
	if (!isfinite(score))
		return malformed(model, "A piece's score is not a finite number.");
	if (type == 6)
		return AlbertFail(model->builder->status, ALBERT_UNSUPPORTED,
						  "spiece.model has byte pieces, which are not supported");
	return tok_builder_piece(model->builder, (const char *) text.at, message_size(text), score, type);
}

static bool
read_trainer(Model *model, Message message)
{
	Field		field;

	while (message.at < message.end)
	{
		if (!read_field(model, &message, &field))
			return false;
		if (field.number == 3 && field.wire == WIRE_VARINT)
			model->model_type = field.value;
		else if (field.number == 24 && field.wire == WIRE_VARINT)
			model->whitespace_suffix = field.value != 0;
		else if (field.number == 35 && field.wire == WIRE_VARINT)
			model->byte_fallback = field.value != 0;
		else if (field.number == 44 && field.wire == WIRE_BYTES)
		{
			model->has_unk_surface = true;
			model->unk_surface = field.bytes;
		}
	}
	return true;
}

static bool
read_normalizer(Model *model, Message message)
{
	Field		field;

	while (message.at < message.end)
	{
		if (!read_field(model, &message, &field))
			return false;
		if (field.number == 2 && field.wire == WIRE_BYTES)
			model->charsmap = field.bytes;
		else if (field.number == 3 && field.wire == WIRE_VARINT)
			model->add_dummy_prefix = field.value != 0;
		else if (field.number == 4 && field.wire == WIRE_VARINT)
			model->remove_extra_whitespaces = field.value != 0;
		else if (field.number == 5 && field.wire == WIRE_VARINT)
			model->escape_whitespaces = field.value != 0;
	}
	return true;
}

static bool
read_denormalizer(Model *model, Message message)
{
	Field		field;

	while (message.at < message.end)
	{
		if (!read_field(model, &message, &field))
			return false;
		if (field.number == 2 && field.wire == WIRE_BYTES && message_size(field.bytes) > 0)
			model->denormalizer = true;
	}
	return true;
}

static bool
read_model(Model *model, Message message)
{
	Field		field;

	while (message.at < message.end)
	{
		bool		good = true;

		if (!read_field(model, &message, &field))
			return false;
		if (field.wire != WIRE_BYTES)
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
	return true;
}

static bool
check_supported(Model *model)
{
	static const char *const names[] = {"", "unigram", "BPE", "word", "character"};
	AlbertStatus *status = model->builder->status;

	if (model->model_type != MODEL_TYPE_UNIGRAM)
	{
		AlbertFail(status, ALBERT_UNSUPPORTED, "spiece.model holds a %s model, only unigram models are supported",
				   model->model_type <= 4 ? names[model->model_type] : "strange");
		return AlbertHint(status, "ALBERT's own vocabularies are unigram models.");
	}
	if (model->whitespace_suffix)
		return AlbertFail(status, ALBERT_UNSUPPORTED, "spiece.model treats white space as a suffix, which is not supported");
	if (model->byte_fallback)
		return AlbertFail(status, ALBERT_UNSUPPORTED, "spiece.model falls back to bytes, which is not supported");
	if (model->denormalizer)
		return AlbertFail(status, ALBERT_UNSUPPORTED, "spiece.model has a denormalizer, which is not supported");
	return true;
}

/* Does any key of the character map but a single ASCII character consist of ASCII only? */
static bool
charsmap_is_simple(const AlbertTokenizer *probe)
{
	for (int first = 1; first < 0x80; first++)
		for (int second = 1; second < 0x80; second++)
		{
			unsigned char pair[2] = {(unsigned char) first, (unsigned char) second};
			const char *replacement;

			if (tok_charsmap_longest(probe, pair, 2, &replacement) > 1)
				return false;
		}
	return true;
}

/*
 * Fill in ascii[]: what becomes of an ASCII character in a text of nothing
 * else.  Only plain cases are told there, others leave it to the general way.
 */
static void
make_ascii_table(Model *model, const Settings *settings)
{
	Builder    *builder = model->builder;
	ImageHeader *header = &builder->header;
	AlbertTokenizer probe;

	tok_builder_probe(builder, &probe);
	if (!model->add_dummy_prefix || !model->remove_extra_whitespaces || !model->escape_whitespaces ||
		!settings->remove_space || !charsmap_is_simple(&probe))
		return;
	for (int code = ' '; code < 0x7F; code++)
	{
		unsigned char lower = settings->do_lower_case && code >= 'A' && code <= 'Z' ? code + 32 : code;
		const char *replacement;

		if (tok_charsmap_longest(&probe, &lower, 1, &replacement) == 0 ||
			(replacement[0] == (char) lower && replacement[1] == '\0'))
			header->ascii[code] = lower;
	}
	if (header->ascii[' '] == 0 || header->ascii['"'] == 0)
		return;
	for (int32_t id = 0; id < builder->piece_count; id++)
		if ((builder->pieces[id].flags & PIECE_TYPE) == PIECE_USER_DEFINED &&
			memchr(builder->pieces[id].text, ' ', builder->pieces[id].size) != NULL)
			return;
	header->ascii['\t'] = header->ascii['\n'] = header->ascii['\r'] = ' ';
	header->flags |= TOKENIZER_ASCII;
}

static bool
read_charsmap(Model *model)
{
	const char *problem;

	if (message_size(model->charsmap) == 0)
		return true;
	if (tok_builder_charsmap(model->builder, model->charsmap.at, message_size(model->charsmap), &problem))
		return true;
	return problem == NULL ? false : malformed(model, problem);
}

/*
 * Scores: a user-defined symbol's depends on its length only, such that it is
 * taken before any other piece; an unknown character costs 10 more than the
 * least likely normal piece.
 */
static void
settle_scores(Builder *builder)
{
	float		smallest = FLT_MAX;

	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		Piece	   *piece = &builder->pieces[id];

		if ((piece->flags & PIECE_TYPE) == PIECE_NORMAL && piece->score < smallest)
			smallest = (float) piece->score;
		if ((piece->flags & PIECE_TYPE) == PIECE_USER_DEFINED)
			piece->score = (float) (0.1 * (piece->size - 1));
	}
	builder->header.unk_score = smallest - UNK_PENALTY;
}

/* Does the piece end in a digit and a comma (the reference cuts such pieces again)? */
static bool
ends_in_digit_comma(const Piece *piece)
{
	uint32_t	code = 0;

	if (piece->size < 2 || piece->text[piece->size - 1] != ',')
		return false;
	for (size_t at = 0; at < piece->size - 1;)
		at += tok_utf8_decode(piece->text + at, &code);
	return tok_python_is_digit(code);
}

static bool
build_tries(Model *model)
{
	Builder    *builder = model->builder;
	TrieKey    *pieces = AlbertArenaArray(builder->arena, builder->piece_count, sizeof(TrieKey));
	TrieKey    *symbols = AlbertArenaArray(builder->arena, builder->piece_count, sizeof(TrieKey));
	size_t		piece_count = 0;
	size_t		symbol_count = 0;

	if (pieces == NULL || symbols == NULL)
		return tok_no_memory(builder->status);
	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		Piece	   *piece = &builder->pieces[id];
		uint32_t	type = piece->flags & PIECE_TYPE;

		if (type == PIECE_USER_DEFINED)
			symbols[symbol_count++] = (TrieKey) {piece->text, piece->size, id};
		if (type == PIECE_NORMAL || type == PIECE_USER_DEFINED)
		{
			if (!tok_with_word_marks(builder->arena, piece->text, piece->size, &pieces[piece_count], builder->status))
				return false;
			pieces[piece_count++].id = id;
		}
		if (ends_in_digit_comma(piece))
			piece->flags |= PIECE_DIGIT_COMMA;
	}
	return tok_build_trie(pieces, piece_count, builder->arena, &builder->sections[SECTION_TRIE], builder->status) &&
		tok_build_trie(symbols, symbol_count, builder->arena, &builder->sections[SECTION_SYMBOLS], builder->status);
}

static bool
check_pieces(Model *model)
{
	Builder    *builder = model->builder;

	builder->header.model_unk_id = -1;
	for (int32_t id = 0; id < builder->piece_count; id++)
		if ((builder->pieces[id].flags & PIECE_TYPE) == PIECE_UNKNOWN)
		{
			if (builder->header.model_unk_id >= 0)
				return malformed(model, "It has two unknown pieces.");
			builder->header.model_unk_id = id;
		}
	if (builder->header.model_unk_id < 0)
		return malformed(model, "It has no unknown piece.");
	if (!tok_builder_hash(builder, false))
		return false;
	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		const Piece *piece = &builder->pieces[id];
		int32_t		other = tok_builder_find(builder, piece->text, piece->size);
		bool		reserved = (piece->flags & PIECE_TYPE) == PIECE_CONTROL || (piece->flags & PIECE_TYPE) == PIECE_UNKNOWN;
		bool		other_reserved = (builder->pieces[other].flags & PIECE_TYPE) == PIECE_CONTROL ||
			(builder->pieces[other].flags & PIECE_TYPE) == PIECE_UNKNOWN;

		if (other != id && reserved == other_reserved)
			return malformed(model, "Two pieces have the same text.");
	}
	return true;
}

void
tok_albert_defaults(Settings *defaults)
{
	static const char *const names[ROLE_COUNT] = {"[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"};

	memset(defaults, 0, sizeof(*defaults));
	for (int role = 0; role < ROLE_COUNT; role++)
	{
		defaults->roles[role].text = names[role];
		defaults->roles[role].size = (uint32_t) strlen(names[role]);
		defaults->roles[role].flags = ADDED_SPECIAL | (role == ROLE_MASK ? ADDED_LSTRIP : 0);
		defaults->roles[role].plain = true;
		defaults->roles[role].id = -1;
	}
	defaults->do_lower_case = true;
	defaults->remove_space = true;
	defaults->strip_accents = -1;
}

bool
tok_compile_spiece(Builder *builder, const AlbertTokenizerFiles *files)
{
	static const char default_surface[] = " \xe2\x81\x87 ";
	Model		model = {
		.builder = builder,
		.model_type = MODEL_TYPE_UNIGRAM,
		.add_dummy_prefix = true,
		.remove_extra_whitespaces = true,
		.escape_whitespaces = true,
	};
	Message		message;
	Settings	defaults;
	Settings	settings;
	ImageHeader *header = &builder->header;
	const char *surface = default_surface;
	size_t		surface_size = sizeof(default_surface) - 1;

	message.at = files->spiece_model.data;
	message.end = message.at + files->spiece_model.size;
	header->kind = KIND_SPIECE;
	header->decoder = DECODER_SPIECE;
	header->model = MODEL_UNIGRAM;
	if (!read_model(&model, message) || !check_supported(&model))
		return false;
	if (builder->piece_count == 0)
		return malformed(&model, "It has no pieces.");
	tok_albert_defaults(&defaults);
	if (!tok_settings_read(files, &defaults, false, builder->arena, &settings, builder->status) ||
		!check_pieces(&model) || !read_charsmap(&model))
		return false;
	settle_scores(builder);
	if (!build_tries(&model))
		return false;
	make_ascii_table(&model, &settings);

	header->flags |= (settings.do_lower_case ? TOKENIZER_LOWER_CASE : 0) |
		(settings.keep_accents ? TOKENIZER_KEEP_ACCENTS : 0) |
		(settings.remove_space ? TOKENIZER_REMOVE_SPACE : 0) |
		(settings.clean_up_spaces ? TOKENIZER_CLEAN_UP : 0) |
		(settings.truncate_left ? TOKENIZER_TRUNCATE_LEFT : 0) |
		(model.add_dummy_prefix ? TOKENIZER_DUMMY_PREFIX : 0) |
		(model.remove_extra_whitespaces ? TOKENIZER_EXTRA_SPACES : 0) |
		(model.escape_whitespaces ? TOKENIZER_ESCAPE_SPACES : 0);
	if (model.has_unk_surface)
	{
		surface = (const char *) model.unk_surface.at;
		surface_size = message_size(model.unk_surface);
		if (tok_utf8_valid(surface, surface_size) < surface_size)
			return malformed(&model, "Its surface of unknown pieces is not valid UTF-8.");
	}
	if (!tok_builder_string(builder, surface, surface_size, &header->unk_string))
		return false;
	builder->model_max_length = settings.model_max_length;
	return tok_builder_added(builder, &settings) && tok_builder_hash(builder, false) && tok_builder_template(builder);
}
