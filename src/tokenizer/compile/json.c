/*
 * json.c
 *	  Compiling a tokenizer.json: the steps as the hub's ALBERT and BERT files
 *	  have them.  Anything else is refused by name.
 */
#include "tokenizer/compile/compile.h"

#include <math.h>
#include <string.h>

#define DEEPEST			16		/* sequences within sequences */

/* "type" of a step; NULL when it has none. */
static const char *
type_of(const json_t *object)
{
	return json_string_value(json_object_get(object, "type"));
}

static bool
is_true(const json_t *object, const char *key, bool otherwise)
{
	const json_t *value = json_object_get(object, key);

	return value == NULL || json_is_null(value) ? otherwise : json_is_true(value);
}

static bool
get_id(const json_t *value, int32_t *id)
{
	double		number = json_is_number(value) ? json_number_value(value) : -1;

	if (!(number >= 0 && number < MAX_PIECES))
		return false;
	*id = (int32_t) number;
	return true;
}

/* ---- normalizers and pre-tokenizers ---- */

typedef struct StepKind
{
	const char *type;
	Operation	operation;		/* all there is to it; or else ... */
	uint32_t	split;			/* ... likewise: SPLIT_*; or else ... */
	bool		(*read) (Builder *builder, const json_t *object, bool whole);	/* is it all of the steps? */
} StepKind;

static bool
read_replace(Builder *builder, const json_t *object, bool whole)
{
	const json_t *pattern = json_object_get(object, "pattern");
	const char *content = json_string_value(json_object_get(object, "content"));
	const char *string = json_string_value(json_object_get(pattern, "String"));
	const char *regex = json_string_value(json_object_get(pattern, "Regex"));

	if (content == NULL || (string == NULL && regex == NULL))
		return tok_malformed(builder, "Its normalizer \"Replace\" is not as it should be.");
	if (string != NULL && *string != '\0')
		return tok_builder_step(builder, STEP_REPLACE, string, content);
	if (regex != NULL && strcmp(regex, " {2,}") == 0)
		return tok_builder_step(builder, STEP_REPLACE_SPACES, NULL, content);
	return tok_unsupported(builder, "pattern", regex == NULL ? "" : regex);
}

static bool
read_prepend(Builder *builder, const json_t *object, bool whole)
{
	const char *text = json_string_value(json_object_get(object, "prepend"));

	return text == NULL ? tok_malformed(builder, "Its normalizer \"Prepend\" is not as it should be.")
		: tok_builder_step(builder, STEP_PREPEND, NULL, text);
}

static bool
read_strip(Builder *builder, const json_t *object, bool whole)
{
	return (!is_true(object, "strip_right", false) || tok_builder_step(builder, STEP_STRIP_RIGHT, NULL, NULL)) &&
		(!is_true(object, "strip_left", false) || tok_builder_step(builder, STEP_STRIP_LEFT, NULL, NULL));
}

static bool
decode_base64(const char *text, size_t size, unsigned char *out, size_t *out_size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t	bits = 0;
	size_t		n;

	*out_size = 0;
	for (n = 0; n < size && text[n] != '='; n++)
	{
		const char *digit = memchr(digits, text[n], 64);

		if (digit == NULL)
			return false;
		bits = bits << 6 | (uint32_t) (digit - digits);
		if (n % 4 != 0)			/* bits left over for the next byte: 4, 2, 0 */
			out[(*out_size)++] = (unsigned char) (bits >> (3 - n % 4) * 2);
	}
	return size % 4 == 0 && size - n <= 2 && n % 4 != 1;
}

static bool
read_precompiled(Builder *builder, const json_t *object, bool whole)
{
	const json_t *map = json_object_get(object, "precompiled_charsmap");
	unsigned char *bytes;
	size_t		size;

	if (builder->header.sections[SECTION_CHARSMAP].size > 0)
		return tok_unsupported(builder, "normalizer", "Precompiled, twice");
	bytes = AlbertArenaAlloc(builder->arena, json_string_length(map));
	if (bytes == NULL)
		return AlbertNoMemory(builder->status);
	if (!json_is_string(map) || !decode_base64(json_string_value(map), json_string_length(map), bytes, &size))
		return tok_malformed(builder, "Its character map is not as it should be.");
	return tok_builder_charsmap(builder, bytes, size) && tok_builder_step(builder, STEP_CHARSMAP, NULL, NULL);
}

/* BertTokenizerFast overrides what its file says of these, when that is the whole normalizer. */
static bool
read_bert_normalizer(Builder *builder, const json_t *object, bool whole)
{
	const Settings *settings = &builder->settings;
	bool		override = settings->bert_class && whole;
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

/* A Metaspace's or its decoder's scheme: always, first or never to put a mark before a text. */
static bool
read_scheme(Builder *builder, const json_t *object, int32_t *marks)
{
	static const AlbertJsonChoice schemes[] = {{"always", MARK_SPACES | MARK_WORDS},
	{"first", MARK_SPACES | MARK_FIRST}, {"never", MARK_SPACES}, {NULL, 0}};
	const char *mark = json_string_value(json_object_get(object, "replacement"));
	const json_t *scheme = json_object_get(object, "prepend_scheme");
	const char *name = json_is_string(scheme) ? json_string_value(scheme) : "always";

	if (mark == NULL || (!is_true(object, "add_prefix_space", true) && scheme != NULL && strcmp(name, "never") != 0))
		return tok_malformed(builder, "Its \"Metaspace\" is not as it should be.");
	if (strcmp(mark, WORD_MARK_UTF8) != 0)
		return tok_unsupported(builder, "word mark", mark);
	if (!is_true(object, "add_prefix_space", true))
		name = "never";
	return AlbertJsonChoose(schemes, name, marks) || tok_unsupported(builder, "prepend scheme", name);
}

/* Splits are made in one order, whatever the list's: white space and punctuation do not mind, but marks come last. */
static bool
add_split(Builder *builder, uint32_t split)
{
	if ((builder->header.split & MARK_SPACES) != 0)
		return tok_unsupported(builder, "has a pre-tokenizer behind a \"Metaspace\"", NULL);
	builder->header.split |= split;
	return true;
}

static bool
read_metaspace(Builder *builder, const json_t *object, bool whole)
{
	int32_t		marks;

	return read_scheme(builder, object, &marks) &&
		add_split(builder, marks | (is_true(object, "split", true) ? SPLIT_MARKS : 0));
}

static const StepKind normalizers[] = {
	{"NFD", .operation = STEP_NFD},
	{"NFKD", .operation = STEP_NFKD},
	{"StripAccents", .operation = STEP_STRIP_MARKS},
	{"Lowercase", .operation = STEP_LOWER},
	{"Replace", .read = read_replace},
	{"Prepend", .read = read_prepend},
	{"Strip", .read = read_strip},
	{"Precompiled", .read = read_precompiled},
	{"BertNormalizer", .read = read_bert_normalizer},
	{.type = NULL}
};

static const StepKind pre_tokenizers[] = {
	{"WhitespaceSplit", .split = SPLIT_SPACES},
	{"BertPreTokenizer", .split = SPLIT_SPACES | SPLIT_PUNCTUATION},
	{"Metaspace", .read = read_metaspace},
	{.type = NULL}
};

/* A step of one of the kinds, or a sequence of them, which are in the member list; what: their name. */
static bool
read_steps(Builder *builder, const json_t *object, const StepKind *kinds, const char *what, const char *list, int depth)
{
	const char *type = type_of(object);
	const json_t *sequence = json_object_get(object, list);
	const json_t *item;
	size_t		index;

	if (object == NULL || json_is_null(object))
		return true;
	for (const StepKind *kind = kinds; type != NULL && kind->type != NULL; kind++)
	{
		if (strcmp(type, kind->type) != 0)
			continue;
		if (kind->read != NULL)
			return kind->read(builder, object, depth == 0);
		return kind->split != 0 ? add_split(builder, kind->split)
			: tok_builder_step(builder, kind->operation, NULL, NULL);
	}
	if (type != NULL && strcmp(type, "Sequence") != 0)
		return tok_unsupported(builder, what, type);
	if (type == NULL || depth > DEEPEST || !json_is_array(sequence))
		return tok_malformed(builder, "Its list of steps is not as it should be.");
	json_array_foreach(sequence, index, item)
	{
		if (!read_steps(builder, item, kinds, what, list, depth + 1))
			return false;
	}
	return true;
}

/* ---- post-processor ---- */

static const char bad_template[] = "Its template is not as it should be.";
static const char wrong_texts[] = "with texts missing or repeated";

/* A template of so many texts, each of which it names once, in their order. */
static bool
read_template(Builder *builder, const json_t *list, const json_t *specials, int texts)
{
	const json_t *item;
	size_t		index;
	int			found = 0;

	if (!json_is_array(list))
		return tok_malformed(builder, bad_template);
	json_array_foreach(list, index, item)
	{
		const json_t *sequence = json_object_get(item, "Sequence");
		const json_t *what = sequence != NULL ? sequence : json_object_get(item, "SpecialToken");
		const char *name = json_string_value(json_object_get(what, "id"));
		const json_t *ids;
		int32_t		type;
		int32_t		id;

		if (name == NULL || !get_id(json_object_get(what, "type_id"), &type) || type > 1)
			return tok_malformed(builder, bad_template);
		if (sequence != NULL)
		{
			if (strcmp(name, found == 0 ? "A" : "B") != 0)
				return tok_unsupported(builder, "post-processor", wrong_texts);
			if (!tok_builder_item(builder, found == 0 ? TEMPLATE_FIRST : TEMPLATE_SECOND, -1, type))
				return false;
			found++;
			continue;
		}
		ids = json_object_get(json_object_get(specials, name), "ids");
		if (!json_is_array(ids))
			return tok_malformed(builder, bad_template);
		for (size_t i = 0; i < json_array_size(ids); i++)
			if (!get_id(json_array_get(ids, i), &id))
				return tok_malformed(builder, bad_template);
			else if (!tok_builder_item(builder, TEMPLATE_SPECIAL, id, type))
				return false;
	}
	return found == texts || tok_unsupported(builder, "post-processor", wrong_texts);
}

static bool
read_post_processor(Builder *builder, const json_t *object)
{
	const char *type = type_of(object);
	const json_t *specials = json_object_get(object, "special_tokens");
	int32_t		cls;
	int32_t		sep;

	if (object == NULL || json_is_null(object))
		return tok_builder_template(builder, -1, -1);
	if (type == NULL)
		return tok_malformed(builder, "Its post-processor has no type.");
	if (strcmp(type, "BertProcessing") == 0)
	{
		if (!get_id(json_array_get(json_object_get(object, "cls"), 1), &cls) ||
			!get_id(json_array_get(json_object_get(object, "sep"), 1), &sep))
			return tok_malformed(builder, "Its post-processor is not as it should be.");
		return tok_builder_template(builder, cls, sep);
	}
	if (strcmp(type, "TemplateProcessing") != 0)
		return tok_unsupported(builder, "post-processor", type);
	if (!read_template(builder, json_object_get(object, "single"), specials, 1))
		return false;
	builder->header.template_single = builder->item_count;
	return read_template(builder, json_object_get(object, "pair"), specials, 2);
}

static bool
read_decoder(Builder *builder, const json_t *object)
{
	TokenizerHeader *header = &builder->header;
	const char *type = type_of(object);
	const char *prefix = json_string_value(json_object_get(object, "prefix"));
	int32_t		marks;

	header->decoder = DECODER_JOIN;
	if (object == NULL || json_is_null(object))
		return true;
	if (type != NULL && strcmp(type, "WordPiece") == 0 && prefix != NULL)
	{
		if (strlen(prefix) >= sizeof(header->prefix))
			return tok_unsupported(builder, "prefix", prefix);
		strcpy(header->prefix, prefix);
		header->decoder = is_true(object, "cleanup", true) ? DECODER_WORDPIECE_CLEAN : DECODER_WORDPIECE;
		return true;
	}
	if (type == NULL || strcmp(type, "WordPiece") == 0)
		return tok_malformed(builder, "Its decoder is not as it should be.");
	if (strcmp(type, "Metaspace") != 0)
		return tok_unsupported(builder, "decoder", type);
	if (!read_scheme(builder, object, &marks))
		return false;
	header->decoder = marks == MARK_SPACES ? DECODER_METASPACE : DECODER_METASPACE_PREFIX;
	return true;
}

/* ---- model ---- */

static const char bad_vocabulary[] = "Its vocabulary is not as it should be.";

static bool
read_unigram(Builder *builder, const json_t *model)
{
	const json_t *vocab = json_object_get(model, "vocab");
	int32_t    *unknown = &builder->header.model_unk_id;
	const json_t *entry;
	size_t		index;

	if (is_true(model, "byte_fallback", false))
		return tok_unsupported(builder, "model option", "byte_fallback");
	if (!json_is_array(vocab) || json_array_size(vocab) == 0)
		return tok_malformed(builder, bad_vocabulary);
	json_array_foreach(vocab, index, entry)
	{
		const json_t *text = json_array_get(entry, 0);
		const json_t *score = json_array_get(entry, 1);

		if (!json_is_string(text) || !json_is_number(score) || !isfinite(json_number_value(score)))
			return tok_malformed(builder, bad_vocabulary);
		if (!tok_builder_piece(builder, json_string_value(text), json_string_length(text),
							   tok_score_as_read(json_number_value(score))))
			return false;
	}
	if (!get_id(json_object_get(model, "unk_id"), unknown) || *unknown >= builder->piece_count)
		return tok_unsupported(builder, "model", "Unigram, without an unknown piece");
	return tok_builder_unigram(builder);
}

static bool
read_wordpiece(Builder *builder, const json_t *model)
{
	json_t	   *vocab = json_object_get(model, "vocab");
	const json_t *unknown = json_object_get(model, "unk_token");
	const char *prefix = json_string_value(json_object_get(model, "continuing_subword_prefix"));
	const json_t *longest = json_object_get(model, "max_input_chars_per_word");
	const char *name = unknown == NULL ? "[UNK]" : json_string_value(unknown);
	const char *key;
	json_t	   *value;

	builder->header.max_word = 100;
	if (!json_is_object(vocab) || json_object_size(vocab) == 0)
		return tok_malformed(builder, bad_vocabulary);
	if (longest != NULL && !get_id(longest, &builder->header.max_word))
		return tok_malformed(builder, "Its \"max_input_chars_per_word\" is not as it should be.");
	json_object_foreach(vocab, key, value)
	{
		int32_t		id;

		if (!get_id(value, &id))
			return tok_malformed(builder, bad_vocabulary);
		if (!tok_builder_place(builder, id, key, strlen(key), 0))
			return false;
	}
	return tok_builder_wordpiece(builder, prefix != NULL ? prefix : "##", name);
}

bool
tok_compile_json(Builder *builder, const AlbertTokenizerFiles *files)
{
	const json_t *root;
	const json_t *model;
	const char *type;
	bool		unigram;

	builder->file = "tokenizer.json";
	root = tok_parse(builder, files->tokenizer_json);
	if (root == NULL)
		return false;
	model = json_object_get(root, "model");
	if (!json_is_object(model))
		return tok_malformed(builder, "Its model is not as it should be.");
	type = type_of(model);
	/* older files leave the type out; the vocabulary tells */
	unigram = type != NULL ? strcmp(type, "Unigram") == 0 : json_is_array(json_object_get(model, "vocab"));
	if (!tok_settings_defaults(builder, unigram ? MODEL_UNIGRAM : MODEL_WORDPIECE) ||
		!tok_settings_read(builder, files, root))
		return false;
	if (!unigram && type != NULL && strcmp(type, "WordPiece") != 0)
		return tok_unsupported(builder, "model", type);
	return (unigram ? read_unigram(builder, model) : read_wordpiece(builder, model)) &&
		read_steps(builder, json_object_get(root, "normalizer"), normalizers, "normalizer", "normalizers", 0) &&
		read_steps(builder, json_object_get(root, "pre_tokenizer"), pre_tokenizers, "pre-tokenizer", "pretokenizers",
				   0) &&
		read_post_processor(builder, json_object_get(root, "post_processor")) &&
		read_decoder(builder, json_object_get(root, "decoder"));
}
