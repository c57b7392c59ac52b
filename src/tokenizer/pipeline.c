/*
 * pipeline.c
 *	  Compiling a tokenizer.json: the steps of its pipeline as the hub's ALBERT
 *	  and BERT files have them.  Anything else is refused by name.
 */
#include "tokenizer/compile.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define UNK_PENALTY		10.0
#define MOST_STEPS		64
#define MOST_ITEMS		64
#define DEEPEST			16		/* sequences within sequences */

typedef struct Pipeline
{
	Builder    *builder;
	AlbertBytes file;
	PipelineStep steps[MOST_STEPS];
	int32_t		step_count;
	uint32_t   *codes;			/* the steps' strings */
	size_t		code_count;
	size_t		code_room;
	TemplateItem items[MOST_ITEMS];
	int32_t		item_count;
} Pipeline;

static bool
malformed(Pipeline *pipeline, const char *what)
{
	AlbertFail(pipeline->builder->status, ALBERT_FORMAT, "tokenizer.json is malformed");
	return AlbertDetail(pipeline->builder->status, "Its %s is not as it should be.", what);
}

static bool
unsupported(Pipeline *pipeline, const char *what, const char *name)
{
	return AlbertFail(pipeline->builder->status, ALBERT_UNSUPPORTED,
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
copy(Pipeline *pipeline, const char *text, size_t size)
{
	char	   *out = AlbertArenaAlloc(pipeline->builder->arena, size + 1);

	if (out == NULL)
	{
		tok_no_memory(pipeline->builder->status);
		return NULL;
	}
	memcpy(out, text, size);
	out[size] = '\0';
	return out;
}

/* ---- steps ---- */

static bool
add_codes(Pipeline *pipeline, const json_t *string, uint32_t *first, uint32_t *count)
{
	const char *text = json_string_value(string);
	size_t		size = json_string_length(string);

	if (pipeline->code_room - pipeline->code_count < size)
	{
		size_t		room = pipeline->code_room * 2 + size + 64;
		uint32_t   *codes = AlbertArenaArray(pipeline->builder->arena, room, sizeof(uint32_t));

		if (codes == NULL)
			return tok_no_memory(pipeline->builder->status);
		if (pipeline->code_count > 0)
			memcpy(codes, pipeline->codes, pipeline->code_count * sizeof(uint32_t));
		pipeline->codes = codes;
		pipeline->code_room = room;
	}
	*first = (uint32_t) pipeline->code_count;
	for (size_t at = 0; at < size;)
		at += tok_utf8_decode(text + at, &pipeline->codes[pipeline->code_count++]);
	*count = (uint32_t) pipeline->code_count - *first;
	return true;
}

/* Add a step; its strings may be NULL. */
static bool
add_step(Pipeline *pipeline, PipelineOperation operation, const json_t *first, const json_t *second)
{
	PipelineStep *step = &pipeline->steps[pipeline->step_count];

	if (pipeline->step_count == MOST_STEPS)
		return unsupported(pipeline, "number of steps", "more than 64");
	memset(step, 0, sizeof(*step));
	step->operation = operation;
	pipeline->step_count++;
	return (first == NULL || add_codes(pipeline, first, &step->first, &step->first_count)) &&
		(second == NULL || add_codes(pipeline, second, &step->second, &step->second_count));
}

static bool
read_replace(Pipeline *pipeline, const json_t *object)
{
	const json_t *pattern = json_object_get(object, "pattern");
	const json_t *content = json_object_get(object, "content");
	const json_t *string = json_object_get(pattern, "String");
	const json_t *regex = json_object_get(pattern, "Regex");

	if (!json_is_string(content) || (!json_is_string(string) && !json_is_string(regex)))
		return malformed(pipeline, "normalizer \"Replace\"");
	if (string != NULL && json_string_length(string) > 0)
		return add_step(pipeline, STEP_REPLACE, string, content);
	if (regex != NULL && strcmp(json_string_value(regex), " {2,}") == 0)
		return add_step(pipeline, STEP_REPLACE_SPACES, NULL, content);
	return unsupported(pipeline, "pattern", regex == NULL ? "" : json_string_value(regex));
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
read_precompiled(Pipeline *pipeline, const json_t *object)
{
	Builder    *builder = pipeline->builder;
	const json_t *map = json_object_get(object, "precompiled_charsmap");
	const char *problem;
	unsigned char *bytes;
	size_t		size;

	if (!json_is_string(map))
		return malformed(pipeline, "normalizer \"Precompiled\"");
	if (builder->sections[SECTION_CHARSMAP].size > 0)
		return unsupported(pipeline, "normalizer", "Precompiled, twice");
	bytes = AlbertArenaAlloc(builder->arena, json_string_length(map));
	if (bytes == NULL)
		return tok_no_memory(builder->status);
	if (!decode_base64(json_string_value(map), json_string_length(map), bytes, &size))
		return malformed(pipeline, "character map");
	if (!tok_builder_charsmap(builder, bytes, size, &problem))
		return problem == NULL ? false : malformed(pipeline, "character map");
	return add_step(pipeline, STEP_CHARSMAP, NULL, NULL);
}

static bool
read_bert_normalizer(Pipeline *pipeline, const json_t *object)
{
	bool		lower = is_true(object, "lowercase", true);

	return (!is_true(object, "clean_text", true) || add_step(pipeline, STEP_BERT_CLEAN, NULL, NULL)) &&
		(!is_true(object, "handle_chinese_chars", true) || add_step(pipeline, STEP_BERT_IDEOGRAPHS, NULL, NULL)) &&
		(!is_true(object, "strip_accents", lower) || add_step(pipeline, STEP_BERT_ACCENTS, NULL, NULL)) &&
		(!lower || add_step(pipeline, STEP_LOWER, NULL, NULL));
}

static bool
read_normalizer(Pipeline *pipeline, const json_t *object, int depth)
{
	static const struct
	{
		const char *type;
		PipelineOperation operation;
	}			plain[] = {{"NFD", STEP_NFD}, {"NFKD", STEP_NFKD}, {"StripAccents", STEP_STRIP_MARKS},
	{"Lowercase", STEP_LOWER}};
	const char *type = type_of(object);
	const json_t *item;
	size_t		index;

	if (object == NULL || json_is_null(object))
		return true;
	if (type == NULL || depth > DEEPEST)
		return malformed(pipeline, "normalizer");
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (strcmp(type, plain[i].type) == 0)
			return add_step(pipeline, plain[i].operation, NULL, NULL);
	if (strcmp(type, "Replace") == 0)
		return read_replace(pipeline, object);
	if (strcmp(type, "Precompiled") == 0)
		return read_precompiled(pipeline, object);
	if (strcmp(type, "BertNormalizer") == 0)
		return read_bert_normalizer(pipeline, object);
	if (strcmp(type, "Prepend") == 0 && json_is_string(json_object_get(object, "prepend")))
		return add_step(pipeline, STEP_PREPEND, json_object_get(object, "prepend"), NULL);
	if (strcmp(type, "Strip") == 0)
		return (!is_true(object, "strip_right", false) || add_step(pipeline, STEP_STRIP_RIGHT, NULL, NULL)) &&
			(!is_true(object, "strip_left", false) || add_step(pipeline, STEP_STRIP_LEFT, NULL, NULL));
	if (strcmp(type, "Sequence") != 0)
		return unsupported(pipeline, "normalizer", type);
	if (!json_is_array(json_object_get(object, "normalizers")))
		return malformed(pipeline, "normalizer");
	json_array_foreach(json_object_get(object, "normalizers"), index, item)
	{
		if (!read_normalizer(pipeline, item, depth + 1))
			return false;
	}
	return true;
}

/* A Metaspace's or its decoder's scheme: always, first or never to put a mark before a text. */
static bool
read_metaspace(Pipeline *pipeline, const json_t *object, const char *what, PipelineOperation *operation)
{
	const json_t *mark = json_object_get(object, "replacement");
	const json_t *scheme = json_object_get(object, "prepend_scheme");
	const char *name = json_is_string(scheme) ? json_string_value(scheme) : "always";

	if (!json_is_string(mark))
		return malformed(pipeline, what);
	if (strcmp(json_string_value(mark), WORD_MARK_UTF8) != 0)
		return unsupported(pipeline, "word mark", json_string_value(mark));
	if (!is_true(object, "add_prefix_space", true))
	{
		if (scheme != NULL && strcmp(name, "never") != 0)
			return malformed(pipeline, what);
		name = "never";
	}
	if (strcmp(name, "always") == 0)
		*operation = STEP_METASPACE_ALWAYS;
	else if (strcmp(name, "first") == 0)
		*operation = STEP_METASPACE_FIRST;
	else if (strcmp(name, "never") == 0)
		*operation = STEP_METASPACE_NEVER;
	else
		return unsupported(pipeline, "prepend scheme", name);
	return true;
}

static bool
read_pre_tokenizer(Pipeline *pipeline, const json_t *object, int depth)
{
	const char *type = type_of(object);
	PipelineOperation operation;
	const json_t *item;
	size_t		index;

	if (object == NULL || json_is_null(object))
		return true;
	if (type == NULL || depth > DEEPEST)
		return malformed(pipeline, "pre-tokenizer");
	if (strcmp(type, "WhitespaceSplit") == 0)
		return add_step(pipeline, STEP_SPLIT_SPACES, NULL, NULL);
	if (strcmp(type, "BertPreTokenizer") == 0)
		return add_step(pipeline, STEP_SPLIT_SPACES, NULL, NULL) &&
			add_step(pipeline, STEP_SPLIT_PUNCTUATION, NULL, NULL);
	if (strcmp(type, "Metaspace") == 0)
		return read_metaspace(pipeline, object, "pre-tokenizer", &operation) &&
			add_step(pipeline, operation, NULL, NULL) &&
			(!is_true(object, "split", true) || add_step(pipeline, STEP_SPLIT_MARKS, NULL, NULL));
	if (strcmp(type, "Sequence") != 0)
		return unsupported(pipeline, "pre-tokenizer", type);
	if (!json_is_array(json_object_get(object, "pretokenizers")))
		return malformed(pipeline, "pre-tokenizer");
	json_array_foreach(json_object_get(object, "pretokenizers"), index, item)
	{
		if (!read_pre_tokenizer(pipeline, item, depth + 1))
			return false;
	}
	return true;
}

/* ---- post-processor ---- */

static bool
add_item(Pipeline *pipeline, int32_t what, int32_t id, int32_t type)
{
	if (pipeline->item_count == MOST_ITEMS)
		return unsupported(pipeline, "number of template items", "more than 64");
	pipeline->items[pipeline->item_count++] = (TemplateItem) {what, id, type};
	return true;
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

static bool
read_template(Pipeline *pipeline, const json_t *list, const json_t *specials)
{
	const json_t *item;
	size_t		index;

	if (!json_is_array(list))
		return malformed(pipeline, "template");
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
			return malformed(pipeline, "template");
		if (sequence != NULL)
		{
			bool		first = strcmp(json_string_value(name), "A") == 0;

			if (!add_item(pipeline, first ? TEMPLATE_FIRST : TEMPLATE_SECOND, -1, type))
				return false;
			continue;
		}
		ids = json_object_get(json_object_get(specials, json_string_value(name)), "ids");
		if (!json_is_array(ids))
			return malformed(pipeline, "template");
		for (size_t i = 0; i < json_array_size(ids); i++)
			if (!get_id(json_array_get(ids, i), &id))
				return malformed(pipeline, "template");
			else if (!add_item(pipeline, TEMPLATE_SPECIAL, id, type))
				return false;
	}
	return true;
}

static bool
read_bert_processing(Pipeline *pipeline, const json_t *object)
{
	int32_t		cls;
	int32_t		sep;

	if (!get_id(json_array_get(json_object_get(object, "cls"), 1), &cls) ||
		!get_id(json_array_get(json_object_get(object, "sep"), 1), &sep))
		return malformed(pipeline, "post-processor");
	for (int pair = 0; pair < 2; pair++)
	{
		if (!add_item(pipeline, TEMPLATE_SPECIAL, cls, 0) || !add_item(pipeline, TEMPLATE_FIRST, -1, 0) ||
			!add_item(pipeline, TEMPLATE_SPECIAL, sep, 0))
			return false;
		if (!pair)
			pipeline->builder->header.template_single = pipeline->item_count;
	}
	return add_item(pipeline, TEMPLATE_SECOND, -1, 1) && add_item(pipeline, TEMPLATE_SPECIAL, sep, 1);
}

/* Do the items name the first text once, and the second as often as wanted? */
static bool
check_template(const TemplateItem *items, int32_t count, int seconds)
{
	int			found[2] = {0, 0};

	for (int32_t i = 0; i < count; i++)
		if (items[i].what != TEMPLATE_SPECIAL)
			found[items[i].what == TEMPLATE_SECOND]++;
	return found[0] == 1 && found[1] == seconds;
}

static bool
read_post_processor(Pipeline *pipeline, const json_t *object)
{
	ImageHeader *header = &pipeline->builder->header;
	const char *type = type_of(object);
	bool		good;

	if (object == NULL || json_is_null(object))
	{
		header->template_single = 1;
		good = add_item(pipeline, TEMPLATE_FIRST, -1, 0) && add_item(pipeline, TEMPLATE_FIRST, -1, 0) &&
			add_item(pipeline, TEMPLATE_SECOND, -1, 1);
	}
	else if (type == NULL)
		return malformed(pipeline, "post-processor");
	else if (strcmp(type, "BertProcessing") == 0)
		good = read_bert_processing(pipeline, object);
	else if (strcmp(type, "TemplateProcessing") == 0)
	{
		const json_t *specials = json_object_get(object, "special_tokens");

		good = read_template(pipeline, json_object_get(object, "single"), specials);
		header->template_single = pipeline->item_count;
		good = good && read_template(pipeline, json_object_get(object, "pair"), specials);
	}
	else
		return unsupported(pipeline, "post-processor", type);
	if (!good)
		return false;
	if (!check_template(pipeline->items, header->template_single, 0) ||
		!check_template(pipeline->items + header->template_single, pipeline->item_count - header->template_single, 1))
		return unsupported(pipeline, "post-processor", "with texts missing or repeated");
	return true;
}

static bool
read_decoder(Pipeline *pipeline, const json_t *object)
{
	ImageHeader *header = &pipeline->builder->header;
	const char *type = type_of(object);
	const json_t *prefix = json_object_get(object, "prefix");
	PipelineOperation operation;

	header->decoder = DECODER_JOIN;
	if (object == NULL || json_is_null(object))
		return true;
	if (type == NULL)
		return malformed(pipeline, "decoder");
	if (strcmp(type, "WordPiece") == 0)
	{
		header->decoder = is_true(object, "cleanup", true) ? DECODER_WORDPIECE_CLEAN : DECODER_WORDPIECE;
		if (!json_is_string(prefix))
			return malformed(pipeline, "decoder");
		return tok_builder_string(pipeline->builder, json_string_value(prefix), json_string_length(prefix),
								  &header->continuing_string);
	}
	if (strcmp(type, "Metaspace") != 0)
		return unsupported(pipeline, "decoder", type);
	if (!read_metaspace(pipeline, object, "decoder", &operation))
		return false;
	header->decoder = operation == STEP_METASPACE_NEVER ? DECODER_METASPACE : DECODER_METASPACE_PREFIX;
	return true;
}

/* ---- model ---- */

static bool
read_unigram(Pipeline *pipeline, const json_t *model)
{
	Builder    *builder = pipeline->builder;
	const json_t *vocab = json_object_get(model, "vocab");
	const json_t *entry;
	double		smallest = INFINITY;
	TrieKey    *keys;
	size_t		index;

	if (is_true(model, "byte_fallback", false))
		return unsupported(pipeline, "model option", "byte_fallback");
	if (!json_is_array(vocab) || json_array_size(vocab) == 0)
		return malformed(pipeline, "vocabulary");
	json_array_foreach(vocab, index, entry)
	{
		const json_t *text = json_array_get(entry, 0);
		const json_t *score = json_array_get(entry, 1);
		const char *piece;

		if (!json_is_string(text) || !json_is_number(score) || !isfinite(json_number_value(score)))
			return malformed(pipeline, "vocabulary");
		piece = copy(pipeline, json_string_value(text), json_string_length(text));
		if (piece == NULL ||
			!tok_builder_piece(builder, piece, json_string_length(text), json_number_value(score), PIECE_NORMAL))
			return false;
	}
	tok_pipeline_scores(builder, pipeline->file);
	for (int32_t id = 0; id < builder->piece_count; id++)
		smallest = fmin(smallest, builder->pieces[id].score);
	if (!get_id(json_object_get(model, "unk_id"), &builder->header.model_unk_id) ||
		builder->header.model_unk_id >= builder->piece_count)
		return unsupported(pipeline, "model", "Unigram, without an unknown piece");
	builder->header.unk_score = smallest - UNK_PENALTY;
	keys = AlbertArenaArray(builder->arena, builder->piece_count, sizeof(TrieKey));
	if (keys == NULL)
		return tok_no_memory(builder->status);
	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		if (!tok_with_word_marks(builder->arena, builder->pieces[id].text, builder->pieces[id].size, &keys[id],
								 builder->status))
			return false;
		keys[id].id = id;
	}
	return tok_build_trie(keys, builder->piece_count, builder->arena, &builder->sections[SECTION_TRIE],
						  builder->status);
}

static bool
read_wordpiece(Pipeline *pipeline, json_t *model)
{
	Builder    *builder = pipeline->builder;
	json_t	   *vocab = json_object_get(model, "vocab");
	const json_t *unknown = json_object_get(model, "unk_token");
	const json_t *prefix = json_object_get(model, "continuing_subword_prefix");
	const char *key;
	json_t	   *value;
	const char *marks = "##";

	if (!json_is_object(vocab) || json_object_size(vocab) == 0)
		return malformed(pipeline, "vocabulary");
	builder->header.max_word = 100;
	if (json_object_get(model, "max_input_chars_per_word") != NULL &&
		!get_id(json_object_get(model, "max_input_chars_per_word"), &builder->header.max_word))
		return malformed(pipeline, "\"max_input_chars_per_word\"");
	json_object_foreach(vocab, key, value)
	{
		Piece	   *piece;
		int32_t		id;

		if (!get_id(value, &id))
			return malformed(pipeline, "vocabulary");
		while (builder->piece_count <= id)
			if (!tok_builder_piece(builder, NULL, 0, 0, 0))
				return false;
		piece = &builder->pieces[id];
		piece->size = (uint32_t) strlen(key);
		piece->flags = PIECE_NORMAL;
		piece->text = copy(pipeline, key, piece->size);
		if (piece->text == NULL)
			return false;
	}
	if (json_is_string(prefix))
		marks = copy(pipeline, json_string_value(prefix), json_string_length(prefix));
	if (marks == NULL || !tok_builder_hash(builder, true) ||
		!tok_build_wordpiece_tries(builder, marks, strlen(marks)))
		return false;
	if (unknown == NULL)
		builder->header.model_unk_id = tok_builder_find(builder, "[UNK]", 5);
	else if (json_is_string(unknown))
		builder->header.model_unk_id = tok_builder_find(builder, json_string_value(unknown),
														json_string_length(unknown));
	return builder->header.model_unk_id >= 0 || malformed(pipeline, "piece for unknown words");
}

static bool
read_model(Pipeline *pipeline, json_t *model)
{
	const char *type = type_of(model);

	if (!json_is_object(model))
		return malformed(pipeline, "model");
	/* older files leave the type out; the vocabulary tells */
	if (type == NULL)
		type = json_is_array(json_object_get(model, "vocab")) ? "Unigram" : "WordPiece";
	if (strcmp(type, "Unigram") == 0)
	{
		pipeline->builder->header.model = MODEL_UNIGRAM;
		return read_unigram(pipeline, model);
	}
	pipeline->builder->header.model = MODEL_WORDPIECE;
	return strcmp(type, "WordPiece") == 0 ? read_wordpiece(pipeline, model) : unsupported(pipeline, "model", type);
}

/* ---- the whole ---- */

static bool
read_json(Pipeline *pipeline, json_t *root)
{
	ImageHeader *header = &pipeline->builder->header;

	if (!json_is_object(root))
		return malformed(pipeline, "content");
	if (!read_model(pipeline, json_object_get(root, "model")) ||
		!read_normalizer(pipeline, json_object_get(root, "normalizer"), 0))
		return false;
	header->normalizer_count = pipeline->step_count;
	return read_pre_tokenizer(pipeline, json_object_get(root, "pre_tokenizer"), 0) &&
		read_post_processor(pipeline, json_object_get(root, "post_processor")) &&
		read_decoder(pipeline, json_object_get(root, "decoder"));
}

/* Added tokens that are matched after normalization are looked for in their normalized form. */
static bool
normalize_added(Builder *builder)
{
	AddedToken *tokens = (AddedToken *) builder->sections[SECTION_ADDED].data;
	const uint32_t *codes = builder->sections[SECTION_ADDED_CODES].data;
	AlbertTokenizer probe;
	FastText	all = {NULL, 0, 0, 0};
	uint32_t   *fresh;

	tok_builder_probe(builder, &probe);
	for (int32_t i = 0; i < builder->header.added_count; i++)
	{
		FastText	text = {NULL, 0, 0, 0};

		for (uint32_t j = 0; j < tokens[i].code_count; j++)
			if (!tok_fast_append(&text, (FastLetter) {codes[tokens[i].code_offset + j], 0, 0}, builder->arena, builder->status))
				return false;
		if ((tokens[i].flags & ADDED_NORMALIZED) && !tok_fast_normalize(&probe, &text, builder->arena, builder->status))
			return false;
		tokens[i].code_offset = (uint32_t) all.count;
		tokens[i].code_count = (uint32_t) text.count;
		for (size_t j = 0; j < text.count; j++)
			if (!tok_fast_append(&all, text.items[j], builder->arena, builder->status))
				return false;
		if (text.count == 0)
			tokens[i].code_count = UINT32_MAX;	/* nothing to find */
	}
	fresh = AlbertArenaArray(builder->arena, all.count + 1, sizeof(uint32_t));
	if (fresh == NULL)
		return tok_no_memory(builder->status);
	for (size_t i = 0; i < all.count; i++)
		fresh[i] = all.items[i].code;
	fresh[all.count] = 0;
	builder->sections[SECTION_ADDED_CODES] = (AlbertBytes) {fresh, (all.count + 1) * sizeof(uint32_t)};
	return true;
}

/* To the fast tokenizers, special is what its added token says. */
static void
mark_special(Builder *builder, const Settings *settings)
{
	for (size_t i = 0; i < settings->added.count; i++)
	{
		const SettingsToken *token = &settings->added.items[i];

		if (token->size > 0 && (token->flags & ADDED_SPECIAL))
			builder->pieces[token->id].flags |= PIECE_SPECIAL;
	}
}

/*
 * The library does not take added tokens' ids from the file: a token in the
 * vocabulary has the id it has there, others get the ids behind it, in order,
 * first the file's own.
 */
static void
number_added(Builder *builder, Settings *settings)
{
	size_t		count = settings->added.count;
	int32_t		next = 0;

	for (int32_t id = 0; id < builder->piece_count; id++)
		next += builder->pieces[id].text != NULL;
	for (size_t n = 0; n < count; n++)
	{
		size_t		i = (settings->own_added + n) % count;
		SettingsToken *token = &settings->added.items[i];

		if (token->size == 0)
			continue;
		token->id = tok_builder_find(builder, token->text, token->size);
		for (size_t m = 0; m < n && token->id < 0; m++)
		{
			const SettingsToken *other = &settings->added.items[(settings->own_added + m) % count];

			if (other->size == token->size && memcmp(other->text, token->text, token->size) == 0)
				token->id = other->id;
		}
		if (token->id < 0)
			token->id = next++;
	}
}

static bool
check_items(Pipeline *pipeline)
{
	for (int32_t i = 0; i < pipeline->item_count; i++)
		if (pipeline->items[i].what == TEMPLATE_SPECIAL && pipeline->items[i].id >= pipeline->builder->piece_count)
			return malformed(pipeline, "template");
	return true;
}

static bool
finish(Pipeline *pipeline, const AlbertTokenizerFiles *files)
{
	Builder    *builder = pipeline->builder;
	Settings	defaults;
	Settings	settings;

	if (builder->header.model == MODEL_UNIGRAM)
		tok_albert_defaults(&defaults);
	else
		tok_bert_defaults(&defaults);
	defaults.clean_up_spaces = false;
	builder->sections[SECTION_STEPS] = (AlbertBytes) {pipeline->steps, pipeline->step_count * sizeof(PipelineStep)};
	builder->sections[SECTION_STEP_CODES] = (AlbertBytes) {pipeline->codes, pipeline->code_count * sizeof(uint32_t)};
	builder->sections[SECTION_TEMPLATE] = (AlbertBytes) {pipeline->items, pipeline->item_count * sizeof(TemplateItem)};
	if (!tok_settings_read(files, &defaults, true, builder->arena, &settings, builder->status) ||
		!tok_builder_hash(builder, true))
		return false;
	number_added(builder, &settings);
	if (!tok_builder_added(builder, &settings) ||
		!tok_builder_hash(builder, true) || !normalize_added(builder) || !check_items(pipeline))
		return false;
	mark_special(builder, &settings);
	builder->header.flags = (settings.clean_up_spaces ? TOKENIZER_CLEAN_UP : 0) |
		(settings.truncate_left ? TOKENIZER_TRUNCATE_LEFT : 0);
	builder->model_max_length = settings.model_max_length;
	return true;
}

bool
tok_compile_pipeline(Builder *builder, const AlbertTokenizerFiles *files)
{
	Pipeline   *pipeline = AlbertArenaAllocZero(builder->arena, sizeof(Pipeline));
	json_error_t error;
	json_t	   *root;
	bool		good;

	if (pipeline == NULL)
		return tok_no_memory(builder->status);
	pipeline->builder = builder;
	pipeline->file = files->tokenizer_json;
	builder->header.kind = KIND_PIPELINE;
	root = json_loadb(files->tokenizer_json.data, files->tokenizer_json.size, JSON_DECODE_INT_AS_REAL, &error);
	if (root == NULL)
	{
		AlbertFail(builder->status, ALBERT_FORMAT, "tokenizer.json is not valid JSON");
		return AlbertDetail(builder->status, "Line %d, column %d: %s.", error.line, error.column, error.text);
	}
	good = read_json(pipeline, root);
	json_decref(root);
	return good && finish(pipeline, files);
}
