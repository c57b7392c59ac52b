/*
 * json.c
 *	  Compiling a tokenizer.json: the steps as the hub's ALBERT and BERT files
 *	  have them.  Anything else is refused by name.
 */
#include "tokenizer/compile/compile.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define DEEPEST			16		/* sequences within sequences */

static bool
malformed(Builder *builder, const char *what)
{
	AlbertFail(builder->status, ALBERT_FORMAT, "tokenizer.json is malformed");
	return AlbertDetail(builder->status, "Its %s is not as it should be.", what);
}

static bool
unsupported(Builder *builder, const char *what, const char *name)
{
	return AlbertFail(builder->status, ALBERT_UNSUPPORTED,
					  "tokenizer.json has the %s \"%s\", which is not supported", what, name);
}

/* "type" of a step; NULL when it has none. */
static const char *
type_of(const json_t *object)
{
	const json_t *type = json_object_get(object, "type");

	return json_is_string(type) ? json_string_value(type) : NULL;
}

static bool
is_true(const json_t *object, const char *key, bool otherwise)
{
	const json_t *value = json_object_get(object, key);

	return value == NULL || json_is_null(value) ? otherwise : json_is_true(value);
}

static const char *
copy_string(Builder *builder, const char *text, size_t size)
{
	char	   *out = AlbertArenaAlloc(builder->arena, size + 1);

	if (out == NULL)
	{
		AlbertNoMemory(builder->status);
		return NULL;
	}
	memcpy(out, text, size);
	out[size] = '\0';
	return out;
}

/* ---- steps ---- */

static bool
read_replace(Builder *builder, const json_t *object)
{
	const json_t *pattern = json_object_get(object, "pattern");
	const json_t *content = json_object_get(object, "content");
	const json_t *string = json_object_get(pattern, "String");
	const json_t *regex = json_object_get(pattern, "Regex");

	if (!json_is_string(content) || (!json_is_string(string) && !json_is_string(regex)))
		return malformed(builder, "normalizer \"Replace\"");
	if (string != NULL && json_string_length(string) > 0)
		return tok_builder_step(builder, STEP_REPLACE, json_string_value(string), json_string_value(content));
	if (regex != NULL && strcmp(json_string_value(regex), " {2,}") == 0)
		return tok_builder_step(builder, STEP_REPLACE_SPACES, NULL, json_string_value(content));
	return unsupported(builder, "pattern", regex == NULL ? "" : json_string_value(regex));
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool
decode_base64(const char *text, size_t size, unsigned char *out, size_t *out_size)
{
	uint32_t	bits = 0;
	size_t		n = 0;
	size_t		i;

	*out_size = 0;
	for (i = 0; i < size && text[i] != '='; i++)
	{
		int			value = base64_value(text[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t) value;
		n++;
		if (n % 4 != 1)			/* bits left over for the next byte: 4, 2, 0 */
			out[(*out_size)++] = (unsigned char) (bits >> (4 - n % 4) % 4 * 2);
	}
	return size % 4 == 0 && size - i <= 2 && n % 4 != 1;
}

static bool
read_precompiled(Builder *builder, const json_t *object)
{
	const json_t *map = json_object_get(object, "precompiled_charsmap");
	const char *problem;
	unsigned char *bytes;
	size_t		size;

	if (!json_is_string(map))
		return malformed(builder, "normalizer \"Precompiled\"");
	if (builder->sections[SECTION_CHARSMAP].size > 0)
		return unsupported(builder, "normalizer", "Precompiled, twice");
	bytes = AlbertArenaAlloc(builder->arena, json_string_length(map));
	if (bytes == NULL)
		return AlbertNoMemory(builder->status);
	if (!decode_base64(json_string_value(map), json_string_length(map), bytes, &size))
		return malformed(builder, "character map");
	if (!tok_builder_charsmap(builder, bytes, size, &problem))
		return problem == NULL ? false : malformed(builder, "character map");
	return tok_builder_step(builder, STEP_CHARSMAP, NULL, NULL);
}

/* BertTokenizerFast overrides what its file says of these, when that is the whole normalizer. */
static bool
read_bert_normalizer(Builder *builder, const json_t *object, int depth)
{
	const Settings *settings = &builder->settings;
	bool		override = settings->bert_class && depth == 0;
	bool		lower = override ? settings->do_lower_case : is_true(object, "lowercase", true);
	bool		strip = is_true(object, "strip_accents", lower);
	bool		ideographs = is_true(object, "handle_chinese_chars", true);

	if (override)
	{
		strip = settings->strip_accents >= 0 ? settings->strip_accents : lower;
		ideographs = settings->tokenize_chinese_chars;
	}
	return tok_builder_bert_steps(builder, is_true(object, "clean_text", true), ideographs, strip, lower);
}

static bool
read_normalizer(Builder *builder, const json_t *object, int depth)
{
	static const struct
	{
		const char *type;
		Operation operation;
	}			plain[] = {{"NFD", STEP_NFD}, {"NFKD", STEP_NFKD}, {"StripAccents", STEP_STRIP_MARKS},
	{"Lowercase", STEP_LOWER}};
	const char *type = type_of(object);
	const json_t *item;
	size_t		index;

	if (object == NULL || json_is_null(object))
		return true;
	if (type == NULL || depth > DEEPEST)
		return malformed(builder, "normalizer");
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (strcmp(type, plain[i].type) == 0)
			return tok_builder_step(builder, plain[i].operation, NULL, NULL);
	if (strcmp(type, "Replace") == 0)
		return read_replace(builder, object);
	if (strcmp(type, "Precompiled") == 0)
		return read_precompiled(builder, object);
	if (strcmp(type, "BertNormalizer") == 0)
		return read_bert_normalizer(builder, object, depth);
	if (strcmp(type, "Prepend") == 0 && json_is_string(json_object_get(object, "prepend")))
		return tok_builder_step(builder, STEP_PREPEND, json_string_value(json_object_get(object, "prepend")), NULL);
	if (strcmp(type, "Strip") == 0)
		return (!is_true(object, "strip_right", false) || tok_builder_step(builder, STEP_STRIP_RIGHT, NULL, NULL)) &&
			(!is_true(object, "strip_left", false) || tok_builder_step(builder, STEP_STRIP_LEFT, NULL, NULL));
	if (strcmp(type, "Sequence") != 0)
		return unsupported(builder, "normalizer", type);
	if (!json_is_array(json_object_get(object, "normalizers")))
		return malformed(builder, "normalizer");
	json_array_foreach(json_object_get(object, "normalizers"), index, item)
	{
		if (!read_normalizer(builder, item, depth + 1))
			return false;
	}
	return true;
}

/* A Metaspace's or its decoder's scheme: always, first or never to put a mark before a text. */
static bool
read_metaspace(Builder *builder, const json_t *object, const char *what, Operation *operation)
{
	const json_t *mark = json_object_get(object, "replacement");
	const json_t *scheme = json_object_get(object, "prepend_scheme");
	const char *name = json_is_string(scheme) ? json_string_value(scheme) : "always";

	if (!json_is_string(mark))
		return malformed(builder, what);
	if (strcmp(json_string_value(mark), WORD_MARK_UTF8) != 0)
		return unsupported(builder, "word mark", json_string_value(mark));
	if (!is_true(object, "add_prefix_space", true))
	{
		if (scheme != NULL && strcmp(name, "never") != 0)
			return malformed(builder, what);
		name = "never";
	}
	if (strcmp(name, "always") == 0)
		*operation = STEP_METASPACE_ALWAYS;
	else if (strcmp(name, "first") == 0)
		*operation = STEP_METASPACE_FIRST;
	else if (strcmp(name, "never") == 0)
		*operation = STEP_METASPACE_NEVER;
	else
		return unsupported(builder, "prepend scheme", name);
	return true;
}

static bool
read_pre_tokenizer(Builder *builder, const json_t *object, int depth)
{
	const char *type = type_of(object);
	Operation operation;
	const json_t *item;
	size_t		index;

	if (object == NULL || json_is_null(object))
		return true;
	if (type == NULL || depth > DEEPEST)
		return malformed(builder, "pre-tokenizer");
	if (strcmp(type, "WhitespaceSplit") == 0)
		return tok_builder_step(builder, STEP_SPLIT_SPACES, NULL, NULL);
	if (strcmp(type, "BertPreTokenizer") == 0)
		return tok_builder_step(builder, STEP_SPLIT_SPACES, NULL, NULL) &&
			tok_builder_step(builder, STEP_SPLIT_PUNCTUATION, NULL, NULL);
	if (strcmp(type, "Metaspace") == 0)
		return read_metaspace(builder, object, "pre-tokenizer", &operation) &&
			tok_builder_step(builder, operation, NULL, NULL) &&
			(!is_true(object, "split", true) || tok_builder_step(builder, STEP_SPLIT_MARKS, NULL, NULL));
	if (strcmp(type, "Sequence") != 0)
		return unsupported(builder, "pre-tokenizer", type);
	if (!json_is_array(json_object_get(object, "pretokenizers")))
		return malformed(builder, "pre-tokenizer");
	json_array_foreach(json_object_get(object, "pretokenizers"), index, item)
	{
		if (!read_pre_tokenizer(builder, item, depth + 1))
			return false;
	}
	return true;
}

/* ---- post-processor ---- */

static bool
get_id(const json_t *value, int32_t *id)
{
	double		number = json_is_number(value) ? json_number_value(value) : -1;

	if (!(number >= 0 && number < MAX_PIECES))
		return false;
	*id = (int32_t) number;
	return true;
}

static bool
read_template(Builder *builder, const json_t *list, const json_t *specials)
{
	const json_t *item;
	size_t		index;

	if (!json_is_array(list))
		return malformed(builder, "template");
	json_array_foreach(list, index, item)
	{
		const json_t *sequence = json_object_get(item, "Sequence");
		const json_t *special = json_object_get(item, "SpecialToken");
		const json_t *name = json_object_get(sequence != NULL ? sequence : special, "id");
		const json_t *ids;
		int32_t		type;
		int32_t		id;

		if (!json_is_string(name) ||
			!get_id(json_object_get(sequence != NULL ? sequence : special, "type_id"), &type) || type > 1)
			return malformed(builder, "template");
		if (sequence != NULL)
		{
			bool		first = strcmp(json_string_value(name), "A") == 0;

			if (!tok_builder_item(builder, first ? TEMPLATE_FIRST : TEMPLATE_SECOND, -1, type))
				return false;
			continue;
		}
		ids = json_object_get(json_object_get(specials, json_string_value(name)), "ids");
		if (!json_is_array(ids))
			return malformed(builder, "template");
		for (size_t i = 0; i < json_array_size(ids); i++)
			if (!get_id(json_array_get(ids, i), &id))
				return malformed(builder, "template");
			else if (!tok_builder_item(builder, TEMPLATE_SPECIAL, id, type))
				return false;
	}
	return true;
}

static bool
read_bert_processing(Builder *builder, const json_t *object)
{
	int32_t		cls;
	int32_t		sep;

	if (!get_id(json_array_get(json_object_get(object, "cls"), 1), &cls) ||
		!get_id(json_array_get(json_object_get(object, "sep"), 1), &sep))
		return malformed(builder, "post-processor");
	for (int pair = 0; pair < 2; pair++)
	{
		if (!tok_builder_item(builder, TEMPLATE_SPECIAL, cls, 0) || !tok_builder_item(builder, TEMPLATE_FIRST, -1, 0) ||
			!tok_builder_item(builder, TEMPLATE_SPECIAL, sep, 0))
			return false;
		if (!pair)
			builder->header.template_single = builder->item_count;
	}
	return tok_builder_item(builder, TEMPLATE_SECOND, -1, 1) && tok_builder_item(builder, TEMPLATE_SPECIAL, sep, 1);
}

/* Do the items name the first text once, and behind it the second as often as wanted? */
static bool
check_template(const TemplateItem *items, int32_t count, int seconds)
{
	int			found[2] = {0, 0};
	bool		first = true;

	for (int32_t i = 0; i < count; i++)
		if (items[i].what != TEMPLATE_SPECIAL)
		{
			first = first && (items[i].what == TEMPLATE_FIRST || found[0] > 0);
			found[items[i].what == TEMPLATE_SECOND]++;
		}
	return found[0] == 1 && found[1] == seconds && first;
}

static bool
read_post_processor(Builder *builder, const json_t *object)
{
	TokenizerHeader *header = &builder->header;
	const char *type = type_of(object);
	bool		good;

	if (object == NULL || json_is_null(object))
	{
		header->template_single = 1;
		good = tok_builder_item(builder, TEMPLATE_FIRST, -1, 0) && tok_builder_item(builder, TEMPLATE_FIRST, -1, 0) &&
			tok_builder_item(builder, TEMPLATE_SECOND, -1, 1);
	}
	else if (type == NULL)
		return malformed(builder, "post-processor");
	else if (strcmp(type, "BertProcessing") == 0)
		good = read_bert_processing(builder, object);
	else if (strcmp(type, "TemplateProcessing") == 0)
	{
		const json_t *specials = json_object_get(object, "special_tokens");

		good = read_template(builder, json_object_get(object, "single"), specials);
		header->template_single = builder->item_count;
		good = good && read_template(builder, json_object_get(object, "pair"), specials);
	}
	else
		return unsupported(builder, "post-processor", type);
	if (!good)
		return false;
	if (!check_template(builder->items, header->template_single, 0) ||
		!check_template(builder->items + header->template_single, builder->item_count - header->template_single, 1))
		return unsupported(builder, "post-processor", "with texts missing or repeated");
	return true;
}

static bool
read_decoder(Builder *builder, const json_t *object)
{
	TokenizerHeader *header = &builder->header;
	const char *type = type_of(object);
	const json_t *prefix = json_object_get(object, "prefix");
	Operation operation;

	header->decoder = DECODER_JOIN;
	if (object == NULL || json_is_null(object))
		return true;
	if (type == NULL)
		return malformed(builder, "decoder");
	if (strcmp(type, "WordPiece") == 0)
	{
		header->decoder = is_true(object, "cleanup", true) ? DECODER_WORDPIECE_CLEAN : DECODER_WORDPIECE;
		if (!json_is_string(prefix))
			return malformed(builder, "decoder");
		return tok_builder_string(builder, json_string_value(prefix), json_string_length(prefix),
								  &header->continuing_string);
	}
	if (strcmp(type, "Metaspace") != 0)
		return unsupported(builder, "decoder", type);
	if (!read_metaspace(builder, object, "decoder", &operation))
		return false;
	header->decoder = operation == STEP_METASPACE_NEVER ? DECODER_METASPACE : DECODER_METASPACE_PREFIX;
	return true;
}

/* ---- model ---- */

static bool
read_unigram(Builder *builder, const json_t *model, AlbertBytes file)
{
	const json_t *vocab = json_object_get(model, "vocab");
	const json_t *entry;
	size_t		index;

	if (is_true(model, "byte_fallback", false))
		return unsupported(builder, "model option", "byte_fallback");
	if (!json_is_array(vocab) || json_array_size(vocab) == 0)
		return malformed(builder, "vocabulary");
	json_array_foreach(vocab, index, entry)
	{
		const json_t *text = json_array_get(entry, 0);
		const json_t *score = json_array_get(entry, 1);
		const char *piece;

		if (!json_is_string(text) || !json_is_number(score) || !isfinite(json_number_value(score)))
			return malformed(builder, "vocabulary");
		piece = copy_string(builder, json_string_value(text), json_string_length(text));
		if (piece == NULL ||
			!tok_builder_piece(builder, piece, json_string_length(text), json_number_value(score), PIECE_MODEL))
			return false;
	}
	tok_scores_as_read(builder, file);
	if (!get_id(json_object_get(model, "unk_id"), &builder->header.model_unk_id) ||
		builder->header.model_unk_id >= builder->piece_count)
		return unsupported(builder, "model", "Unigram, without an unknown piece");
	return tok_builder_unigram(builder);
}

static bool
read_wordpiece(Builder *builder, json_t *model)
{
	json_t	   *vocab = json_object_get(model, "vocab");
	const json_t *unknown = json_object_get(model, "unk_token");
	const json_t *prefix = json_object_get(model, "continuing_subword_prefix");
	const char *key;
	json_t	   *value;
	const char *marks = "##";

	if (!json_is_object(vocab) || json_object_size(vocab) == 0)
		return malformed(builder, "vocabulary");
	builder->header.max_word = 100;
	if (json_object_get(model, "max_input_chars_per_word") != NULL &&
		!get_id(json_object_get(model, "max_input_chars_per_word"), &builder->header.max_word))
		return malformed(builder, "\"max_input_chars_per_word\"");
	json_object_foreach(vocab, key, value)
	{
		Piece	   *piece;
		int32_t		id;

		if (!get_id(value, &id))
			return malformed(builder, "vocabulary");
		while (builder->piece_count <= id)
			if (!tok_builder_piece(builder, NULL, 0, 0, 0))
				return false;
		piece = &builder->pieces[id];
		piece->size = (uint32_t) strlen(key);
		piece->flags = PIECE_MODEL;
		piece->text = copy_string(builder, key, piece->size);
		if (piece->text == NULL)
			return false;
	}
	if (json_is_string(prefix))
		marks = copy_string(builder, json_string_value(prefix), json_string_length(prefix));
	if (marks == NULL || !tok_builder_hash(builder) || !tok_builder_wordpiece(builder, marks, strlen(marks)))
		return false;
	if (unknown == NULL)
		builder->header.model_unk_id = tok_builder_find(builder, "[UNK]", 5);
	else if (json_is_string(unknown))
		builder->header.model_unk_id = tok_builder_find(builder, json_string_value(unknown),
														json_string_length(unknown));
	return builder->header.model_unk_id >= 0 || malformed(builder, "piece for unknown words");
}

static bool
read_model(Builder *builder, json_t *model, AlbertBytes file)
{
	const char *type = type_of(model);

	if (!json_is_object(model))
		return malformed(builder, "model");
	/* older files leave the type out; the vocabulary tells */
	if (type == NULL)
		type = json_is_array(json_object_get(model, "vocab")) ? "Unigram" : "WordPiece";
	if (strcmp(type, "Unigram") == 0)
		return read_unigram(builder, model, file);
	return strcmp(type, "WordPiece") == 0 ? read_wordpiece(builder, model) : unsupported(builder, "model", type);
}

/* Does the model decide what the settings are when nothing is said? */
static bool
is_unigram(const json_t *root)
{
	const json_t *model = json_object_get(root, "model");
	const char *type = type_of(model);

	return type == NULL ? json_is_array(json_object_get(model, "vocab")) : strcmp(type, "Unigram") == 0;
}

/* ---- the whole ---- */

static bool
read_json(Builder *builder, json_t *root, const AlbertTokenizerFiles *files)
{
	if (!json_is_object(root))
		return malformed(builder, "content");
	if (is_unigram(root))
		tok_albert_defaults(&builder->settings);
	else
		tok_bert_defaults(&builder->settings);
	builder->settings.clean_up_spaces = false;
	if (!tok_settings_read(files, builder->arena, &builder->settings, builder->status) ||
		!read_model(builder, json_object_get(root, "model"), files->tokenizer_json) ||
		!read_normalizer(builder, json_object_get(root, "normalizer"), 0))
		return false;
	builder->header.normalizer_count = builder->step_count;
	return read_pre_tokenizer(builder, json_object_get(root, "pre_tokenizer"), 0) &&
		read_post_processor(builder, json_object_get(root, "post_processor")) &&
		read_decoder(builder, json_object_get(root, "decoder"));
}

bool
tok_compile_json(Builder *builder, const AlbertTokenizerFiles *files)
{
	json_error_t error;
	json_t	   *root;
	bool		good;

	root = json_loadb(files->tokenizer_json.data, files->tokenizer_json.size, JSON_DECODE_INT_AS_REAL, &error);
	if (root == NULL)
	{
		AlbertFail(builder->status, ALBERT_FORMAT, "tokenizer.json is not valid JSON");
		return AlbertDetail(builder->status, "Line %d, column %d: %s.", error.line, error.column, error.text);
	}
	good = read_json(builder, root, files);
	json_decref(root);
	return good;
}
