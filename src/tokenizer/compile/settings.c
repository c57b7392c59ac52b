/*
 * settings.c
 *	  Reading a tokenizer's settings: tokenizer_config.json,
 *	  special_tokens_map.json, added_tokens.json, and the added tokens of a
 *	  tokenizer.json, which the reference merges in this way: a list of added
 *	  tokens in the first settles them; else the second overrides the first, and
 *	  the last two add to it.  (A fast tokenizer has those of its own file in any
 *	  case.)  albert.json, which is ours, corrects what they say.
 */
#include "tokenizer/compile/compile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const role_keys[ROLE_COUNT] = {
	[ROLE_BOS] = "bos_token",
	[ROLE_EOS] = "eos_token",
	[ROLE_UNK] = "unk_token",
	[ROLE_SEP] = "sep_token",
	[ROLE_PAD] = "pad_token",
	[ROLE_CLS] = "cls_token",
	[ROLE_MASK] = "mask_token",
};

static const AlbertJsonChoice sides[] = {{"left", true}, {"right", false}, {NULL, 0}};

#define SETTING(field)	offsetof(Settings, field)

/* What albert.json may correct. */
static const AlbertJsonMember switches[] = {
	/* what a text is made of: beside a tokenizer.json, which says it itself, these have no effect */
	{"do_lower_case", ALBERT_JSON_BOOL, SETTING(do_lower_case), .or_null = true},
	{"keep_accents", ALBERT_JSON_BOOL, SETTING(keep_accents), .or_null = true},
	{"strip_accents", ALBERT_JSON_BOOL, SETTING(strip_accents), .or_null = true},
	{"tokenize_chinese_chars", ALBERT_JSON_BOOL, SETTING(tokenize_chinese_chars), .or_null = true},
	/* the others */
	{"clean_up_tokenization_spaces", ALBERT_JSON_BOOL, SETTING(clean_up_spaces), .or_null = true},
	{"model_max_length", ALBERT_JSON_NUMBER, SETTING(model_max_length), 1, INFINITY, .or_null = true},
	{"truncation_side", ALBERT_JSON_CHOICE, SETTING(truncate_left), .choices = sides, .or_null = true,
	.unknown = ALBERT_FORMAT}
};

#define NORMALIZING_SWITCHES	4

static const AlbertJsonMember others[] = {
	{"tokenizer_class", ALBERT_JSON_STRING, SETTING(class_name), .or_null = true},
	{"split_special_tokens", ALBERT_JSON_UNSUPPORTED, ALBERT_JSON_NOWHERE, .or_null = true}
};

#define READ(builder, root, members) \
	AlbertJsonRead(root, members, LENGTH(members), &(builder)->settings, (builder)->file, (builder)->status)

static bool
malformed(Builder *builder, const char *key, const json_t *value)
{
	return AlbertJsonWrong(value, ALBERT_FORMAT, key, builder->file, builder->status);
}

bool
tok_settings_push(Builder *builder, SettingsTokens *tokens, const SettingsToken *token)
{
	if (!AlbertArenaReserve(builder->arena, &tokens->items, tokens->count, 1, sizeof(*token), &tokens->room))
		return AlbertNoMemory(builder->status);
	tokens->items[tokens->count++] = *token;
	return true;
}

SettingsToken *
tok_settings_find(const SettingsTokens *tokens, const SettingsToken *wanted)
{
	for (size_t i = 0; i < tokens->count; i++)
		if (tokens->items[i].text != NULL && wanted->text != NULL && tokens->items[i].size == wanted->size &&
			memcmp(tokens->items[i].text, wanted->text, wanted->size) == 0)
			return &tokens->items[i];
	return NULL;
}

static uint32_t
flag(const json_t *object, const char *key, uint32_t bit, bool otherwise)
{
	const json_t *value = json_object_get(object, key);

	return (value == NULL ? otherwise : json_is_true(value)) ? bit : 0;
}

/* A token is a string, an object with a content, or null. */
static bool
read_token(Builder *builder, const char *key, const json_t *value, uint32_t plain_flags, SettingsToken *token)
{
	const json_t *content = json_is_object(value) ? json_object_get(value, "content") : value;
	bool		special = json_is_true(json_object_get(value, "special"));

	*token = (SettingsToken) {.text = NULL};
	if (value == NULL || json_is_null(value))
		return true;
	if (!json_is_string(content))
		return malformed(builder, key, value);
	token->text = json_string_value(content);
	token->size = (uint32_t) json_string_length(content);
	token->flags = plain_flags;
	if (json_is_object(value))
		token->flags = flag(value, "lstrip", ADDED_LSTRIP, false) |
			flag(value, "rstrip", ADDED_RSTRIP, false) |
			flag(value, "single_word", ADDED_SINGLE_WORD, false) |
			flag(value, "normalized", ADDED_NORMALIZED, !special) |
			(special ? ADDED_SPECIAL : 0);
	return true;
}

/* Add to the added tokens.  Where they have the token already, the later file says how it is matched. */
static bool
add(Builder *builder, const SettingsToken *token)
{
	SettingsToken *known = tok_settings_find(&builder->settings.added, token);

	if (token->text == NULL || token->size == 0)
		return true;
	if (known == NULL)
		return tok_settings_push(builder, &builder->settings.added, token);
	known->flags = token->flags | (known->flags & ADDED_SPECIAL);
	return true;
}

/* A token of a list that tells its id, to the added ones; ids are the vocabulary's whatever that says. */
static bool
read_added(Builder *builder, const char *key, const json_t *value, double id)
{
	SettingsToken token;

	if (!json_is_object(value) || !(id >= 0 && id < MAX_PIECES))
		return malformed(builder, key, value);
	return read_token(builder, key, value, 0, &token) && add(builder, &token);
}

static bool
read_roles(Builder *builder, const json_t *root)
{
	Settings   *settings = &builder->settings;

	for (int role = 0; role < ROLE_COUNT; role++)
	{
		const json_t *value = json_object_get(root, role_keys[role]);
		SettingsToken *token = &settings->special.items[role];

		if (value == NULL)
			continue;
		if (!read_token(builder, role_keys[role], value, role == ROLE_MASK ? settings->plain_mask : 0, token))
			return false;
	}
	return true;
}

/* A list of tokens: a tokenizer.json's own, each an object with its id, or additional special ones. */
static bool
read_list(Builder *builder, const json_t *root, const char *key, bool own)
{
	const json_t *list = json_object_get(root, key);
	const json_t *value;
	size_t		index;

	if (list != NULL && !json_is_array(list) && (own || !json_is_null(list)))
		return malformed(builder, key, list);
	json_array_foreach(list, index, value)
	{
		const json_t *id = json_object_get(value, "id");
		SettingsToken token;
		bool		good;

		if (own)
			good = read_added(builder, key, value, json_is_number(id) ? json_number_value(id) : -1);
		else
			good = read_token(builder, key, value, 0, &token) &&
				(token.text == NULL || tok_settings_push(builder, &builder->settings.special, &token));
		if (!good)
			return false;
	}
	return true;
}

/* "added_tokens_decoder": tokens by their ids. */
static bool
read_decoder(Builder *builder, json_t *decoder)
{
	static const char key[] = "added_tokens_decoder";
	const char *name;
	json_t	   *value;

	if (decoder != NULL && !json_is_object(decoder))
		return malformed(builder, key, decoder);
	builder->settings.settled = decoder != NULL;
	json_object_foreach(decoder, name, value)
	{
		char	   *end;
		double		id = strtod(name, &end);

		if (!read_added(builder, key, value, *name == '\0' || *end != '\0' ? -1 : id))
			return false;
	}
	return true;
}

static bool
read_special(Builder *builder, json_t *root)
{
	return read_roles(builder, root) && read_list(builder, root, "additional_special_tokens", false);
}

static bool
read_config(Builder *builder, json_t *root)
{
	const json_t *kwargs = json_object_get(root, "sp_model_kwargs");

	if (json_is_true(json_object_get(kwargs, "enable_sampling")))
		return AlbertFail(builder->status, ALBERT_UNSUPPORTED,
						  "\"sp_model_kwargs\" in file \"%s\" asks for random segmentation", builder->file);
	return read_special(builder, root) &&
		READ(builder, root, switches) && READ(builder, root, others) &&
		read_decoder(builder, json_object_get(root, "added_tokens_decoder"));
}

/* added_tokens.json: ids by tokens. */
static bool
read_added_ids(Builder *builder, json_t *root)
{
	Settings   *settings = &builder->settings;
	const char *key;
	json_t	   *value;

	json_object_foreach(root, key, value)
	{
		double		id = json_is_number(value) ? json_number_value(value) : -1;
		SettingsToken token = {key, (uint32_t) strlen(key), ADDED_NORMALIZED, 0};

		if (!(id >= 0 && id < MAX_PIECES))
			return malformed(builder, key, value);
		if (tok_settings_find(&settings->special, &token) != NULL)
			token.flags = ADDED_SPECIAL;
		if (!add(builder, &token))
			return false;
	}
	return true;
}

/*
 * Classes of transformers whose tokenizers are made here, without "Fast".  A
 * tokenizer.json says all of those that need one.  Others may have files that
 * look like BERT's and cut words by a dictionary, or by code of their own.
 */
static const struct
{
	const char *name;
	bool		needs_json;
}			classes[] =
{
	{"AlbertTokenizer", false},
	{"BertTokenizer", false},
	{"DistilBertTokenizer", false},
	{"ElectraTokenizer", false},
	{"MobileBertTokenizer", false},
	{"PreTrainedTokenizer", true},
	{"TokenizersBackend", true},
	{"XLMRobertaTokenizer", true},
	{"MPNetTokenizer", true},
	{"CamembertTokenizer", true},
	{"DebertaV2Tokenizer", true},
	{"XLNetTokenizer", true},
	{"T5Tokenizer", true}
};

static bool
settle_class(Builder *builder, const AlbertTokenizerFiles *files)
{
	bool		own = builder->settings.class_name != NULL;
	const char *name = own ? builder->settings.class_name : files->tokenizer_class;
	size_t		size;

	if (name == NULL)
		return true;
	size = strlen(name);
	if (size > 4 && strcmp(name + size - 4, "Fast") == 0)
		size -= 4;
	builder->settings.bert_class = size == 13 && strncmp(name, "BertTokenizer", size) == 0;
	for (size_t i = 0; i < LENGTH(classes); i++)
		if (strlen(classes[i].name) == size && memcmp(classes[i].name, name, size) == 0 &&
			(builder->has_json || !classes[i].needs_json))
			return true;
	AlbertFail(builder->status, ALBERT_UNSUPPORTED, "unsupported \"tokenizer_class\" in file \"%s\": \"%.100s\"",
			   own ? "tokenizer_config.json" : "config.json", name);
	return AlbertDetail(builder->status, builder->has_json
						? "Its words are not made as tokenizer.json says, or are not known to be."
						: "Without a tokenizer.json, the tokenizers of ALBERT and BERT are supported.");
}

/*
 * Parse a file and have it read; a missing one is nothing to read.  Faults
 * found later are again the outer file's.
 */
static bool
read_file(Builder *builder, const char *file, AlbertBytes bytes, bool (*read) (Builder *, json_t *))
{
	const char *outer = builder->file;
	json_t	   *root;
	bool		good;

	if (bytes.data == NULL)
		return true;
	builder->file = file;
	root = tok_parse(builder, bytes);
	good = root != NULL && read(builder, root);
	builder->file = outer;
	return good;
}

/*
 * albert.json: what the directory's files should have said of the switches.  A
 * key that has no effect would be taken for one that has, so it is refused.
 */
static bool
read_corrections(Builder *builder, json_t *root)
{
	const char *key;
	json_t	   *value;

	json_object_foreach(root, key, value)
	{
		size_t		i = 0;

		while (i < LENGTH(switches) && strcmp(switches[i].key, key) != 0)
			i++;
		if (i == LENGTH(switches))
		{
			AlbertFail(builder->status, ALBERT_FORMAT, "unknown setting \"%.100s\" in file \"%s\"", key,
					   builder->file);
			return AlbertDetail(builder->status, "It corrects do_lower_case, keep_accents, strip_accents, "
								"tokenize_chinese_chars, clean_up_tokenization_spaces, model_max_length and "
								"truncation_side.");
		}
		if (i < NORMALIZING_SWITCHES && builder->has_json)
		{
			AlbertFail(builder->status, ALBERT_UNSUPPORTED,
					   "\"%s\" in file \"%s\" has no effect beside a tokenizer.json", key, builder->file);
			return AlbertDetail(builder->status, "How texts are made ready is said by that file alone.");
		}
	}
	return READ(builder, root, switches);
}

bool
tok_settings_read(Builder *builder, const AlbertTokenizerFiles *files, const json_t *tokenizer_json)
{
	builder->has_json = tokenizer_json != NULL;
	if (!read_list(builder, tokenizer_json, "added_tokens", true) ||
		!read_file(builder, "tokenizer_config.json", files->tokenizer_config_json, read_config) ||
		!settle_class(builder, files))
		return false;
	if (!builder->settings.settled &&
		(!read_file(builder, "special_tokens_map.json", files->special_tokens_map_json, read_special) ||
		 !read_file(builder, "added_tokens.json", files->added_tokens_json, read_added_ids)))
		return false;
	return read_file(builder, "albert.json", files->albert_json, read_corrections) &&
		read_file(builder, "albert.json", files->options, read_corrections);
}

/* What holds where nothing is said: ALBERT's (unigram) or BERT's (WordPiece) tokens. */
bool
tok_settings_defaults(Builder *builder, ModelKind model)
{
	static const char *const names[][ROLE_COUNT] = {
		[MODEL_UNIGRAM] = {"[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"},
		[MODEL_WORDPIECE] = {NULL, NULL, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"}
	};
	Settings   *settings = &builder->settings;

	*settings = (Settings) {
		.plain_mask = model == MODEL_UNIGRAM ? ADDED_LSTRIP : 0,
		.do_lower_case = true,
		.strip_accents = -1,
		.tokenize_chinese_chars = true
	};
	for (int role = 0; role < ROLE_COUNT; role++)
	{
		const char *name = names[model][role];
		SettingsToken token = {name, name == NULL ? 0 : (uint32_t) strlen(name), 0, 0};

		token.flags = role == ROLE_MASK ? settings->plain_mask : 0;
		if (!tok_settings_push(builder, &settings->special, &token))
			return false;
	}
	return true;
}
