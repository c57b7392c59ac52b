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

#include <jansson.h>
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

typedef struct Reader
{
	const char *file;			/* for messages */
	AlbertArena *arena;
	AlbertStatus *status;
	bool		has_json;		/* there is a tokenizer.json */
	uint32_t	role_flags[ROLE_COUNT]; /* of a role's token that is given as a plain string */
	Settings   *settings;
} Reader;

static bool
malformed(Reader *reader, const char *key, const char *expected)
{
	return AlbertFail(reader->status, ALBERT_FORMAT, "\"%s\" in %s is not %s", key, reader->file, expected);
}

bool
tok_settings_push(SettingsTokens *tokens, const SettingsToken *token, AlbertArena *arena, AlbertStatus *status)
{
	if (tokens->count == tokens->room)
	{
		SettingsToken *items = AlbertArenaGrow(arena, tokens->items, tokens->count, tokens->count + 1,
											   sizeof(SettingsToken), &tokens->room);

		if (items == NULL)
			return AlbertNoMemory(status);
		tokens->items = items;
	}
	tokens->items[tokens->count++] = *token;
	return true;
}

static bool
copy_string(Reader *reader, const json_t *value, SettingsToken *token)
{
	size_t		size = json_string_length(value);
	char	   *text = AlbertArenaAlloc(reader->arena, size + 1);

	if (text == NULL)
		return AlbertNoMemory(reader->status);
	memcpy(text, json_string_value(value), size);
	text[size] = '\0';
	token->text = text;
	token->size = (uint32_t) size;
	return true;
}

static uint32_t
flag(const json_t *object, const char *key, uint32_t bit, bool otherwise)
{
	const json_t *value = json_object_get(object, key);

	return (value == NULL ? otherwise : json_is_true(value)) ? bit : 0;
}

/* A token is a string, an object with a content, or null. */
static bool
read_token(Reader *reader, const char *key, const json_t *value, uint32_t plain_flags, SettingsToken *token)
{
	const json_t *content = value;

	memset(token, 0, sizeof(*token));
	token->id = -1;
	if (value == NULL || json_is_null(value))
		return true;
	token->flags = plain_flags;
	if (json_is_object(value))
	{
		bool		special = json_is_true(json_object_get(value, "special"));

		content = json_object_get(value, "content");
		token->flags = flag(value, "lstrip", ADDED_LSTRIP, false) |
			flag(value, "rstrip", ADDED_RSTRIP, false) |
			flag(value, "single_word", ADDED_SINGLE_WORD, false) |
			flag(value, "normalized", ADDED_NORMALIZED, !special) |
			(special ? ADDED_SPECIAL : 0);
	}
	if (!json_is_string(content))
		return malformed(reader, key, "a token");
	return copy_string(reader, content, token);
}

static bool
read_id(Reader *reader, const char *key, double number, int32_t *id)
{
	if (!(number >= 0 && number < MAX_PIECES))
		return malformed(reader, key, "a valid token id");
	*id = (int32_t) number;
	return true;
}

static bool
read_roles(Reader *reader, const json_t *root, bool force_special)
{
	for (int role = 0; role < ROLE_COUNT; role++)
	{
		const json_t *value = json_object_get(root, role_keys[role]);
		SettingsToken *token = &reader->settings->roles[role];

		if (value == NULL)
			continue;
		if (!read_token(reader, role_keys[role], value, reader->role_flags[role], token))
			return false;
		if (force_special && token->text != NULL)
			token->flags |= ADDED_SPECIAL;
	}
	return true;
}

static bool
read_additional(Reader *reader, const json_t *root)
{
	const json_t *list = json_object_get(root, "additional_special_tokens");
	const json_t *value;
	size_t		index;

	if (list == NULL || json_is_null(list))
		return true;
	if (!json_is_array(list))
		return malformed(reader, "additional_special_tokens", "a list");
	json_array_foreach(list, index, value)
	{
		SettingsToken token;

		if (!read_token(reader, "additional_special_tokens", value, ADDED_SPECIAL, &token))
			return false;
		token.flags |= ADDED_SPECIAL;
		if (token.text != NULL &&
			!tok_settings_push(&reader->settings->additional, &token, reader->arena, reader->status))
			return false;
	}
	return true;
}

static bool
read_bool(Reader *reader, const json_t *root, const char *key, bool *setting)
{
	const json_t *value = json_object_get(root, key);

	if (value == NULL || json_is_null(value))
		return true;
	if (!json_is_boolean(value))
		return malformed(reader, key, "true or false");
	*setting = json_is_true(value);
	return true;
}

/* "added_tokens_decoder": tokens by their ids. */
static bool
read_decoder(Reader *reader, json_t *decoder)
{
	const char *key;
	json_t	   *value;

	if (!json_is_object(decoder))
		return malformed(reader, "added_tokens_decoder", "an object");
	reader->settings->settled = true;
	json_object_foreach(decoder, key, value)
	{
		SettingsToken token;
		char	   *end;
		double		number = strtod(key, &end);

		if (*key == '\0' || *end != '\0' || !json_is_object(value))
			return malformed(reader, "added_tokens_decoder", "an object of tokens by their ids");
		if (!read_token(reader, "added_tokens_decoder", value, 0, &token) ||
			!read_id(reader, "added_tokens_decoder", number, &token.id) ||
			!tok_settings_push(&reader->settings->added, &token, reader->arena, reader->status))
			return false;
	}
	return true;
}

/* How a text is made ready and how long it may be. */
static bool
read_switches(Reader *reader, const json_t *root)
{
	Settings   *settings = reader->settings;
	const json_t *value;
	bool		strip_accents = false;

	if (!read_bool(reader, root, "do_lower_case", &settings->do_lower_case) ||
		!read_bool(reader, root, "keep_accents", &settings->keep_accents) ||
		!read_bool(reader, root, "tokenize_chinese_chars", &settings->tokenize_chinese_chars) ||
		!read_bool(reader, root, "clean_up_tokenization_spaces", &settings->clean_up_spaces))
		return false;
	value = json_object_get(root, "strip_accents");
	if (value != NULL && !json_is_null(value))
	{
		if (!read_bool(reader, root, "strip_accents", &strip_accents))
			return false;
		settings->strip_accents = strip_accents;
	}
	value = json_object_get(root, "model_max_length");
	if (value != NULL && !json_is_null(value))
	{
		if (!json_is_number(value) || !(json_number_value(value) >= 1))
			return malformed(reader, "model_max_length", "a positive number");
		settings->model_max_length = json_number_value(value);
	}
	value = json_object_get(root, "truncation_side");
	if (value != NULL && !json_is_null(value))
	{
		const char *side = json_is_string(value) ? json_string_value(value) : "";

		if (strcmp(side, "left") != 0 && strcmp(side, "right") != 0)
			return malformed(reader, "truncation_side", "left or right");
		settings->truncate_left = strcmp(side, "left") == 0;
	}
	return true;
}

static bool
read_config(Reader *reader, const json_t *root)
{
	Settings   *settings = reader->settings;
	const json_t *value;

	if (!read_roles(reader, root, false) || !read_additional(reader, root) || !read_switches(reader, root))
		return false;
	value = json_object_get(root, "tokenizer_class");
	if (json_is_string(value) && !copy_string(reader, value, &settings->class_name))
		return false;
	value = json_object_get(root, "sp_model_kwargs");
	if (json_is_true(json_object_get(value, "enable_sampling")))
		return AlbertFail(reader->status, ALBERT_UNSUPPORTED,
						  "\"sp_model_kwargs\" in %s asks for random segmentation", reader->file);
	if (json_is_true(json_object_get(root, "split_special_tokens")))
		return AlbertFail(reader->status, ALBERT_UNSUPPORTED, "\"split_special_tokens\" in %s is not supported",
						  reader->file);
	return true;
}

/*
 * Classes of transformers whose tokenizers are made here, without "Fast".  A
 * tokenizer.json says all of the later ones.  Others may have files that look
 * like BERT's and cut words by a dictionary, or by code of their own.
 */
static bool
is_known_class(const char *name, bool has_json)
{
	static const char *const by_any_file[] = {"AlbertTokenizer", "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer"};
	static const char *const by_json[] = {
		"PreTrainedTokenizer", "TokenizersBackend", "XLMRobertaTokenizer", "MPNetTokenizer", "CamembertTokenizer",
		"DebertaV2Tokenizer", "XLNetTokenizer", "T5Tokenizer"
	};
	size_t		size = strlen(name);

	if (size > 4 && strcmp(name + size - 4, "Fast") == 0)
		size -= 4;
	for (size_t i = 0; i < sizeof(by_any_file) / sizeof(by_any_file[0]); i++)
		if (strlen(by_any_file[i]) == size && memcmp(by_any_file[i], name, size) == 0)
			return true;
	for (size_t i = 0; has_json && i < sizeof(by_json) / sizeof(by_json[0]); i++)
		if (strlen(by_json[i]) == size && memcmp(by_json[i], name, size) == 0)
			return true;
	return false;
}

static bool
settle_class(Reader *reader, const AlbertTokenizerFiles *files)
{
	const char *name = reader->settings->class_name.text;
	const char *file = "tokenizer_config.json";

	if (name == NULL)
	{
		name = files->tokenizer_class;
		file = "config.json";
	}
	if (name == NULL)
		return true;
	reader->settings->bert_class = strcmp(name, "BertTokenizer") == 0 || strcmp(name, "BertTokenizerFast") == 0;
	if (is_known_class(name, files->tokenizer_json.data != NULL))
		return true;
	AlbertFail(reader->status, ALBERT_UNSUPPORTED, "unsupported \"tokenizer_class\" in file \"%s\": \"%.100s\"", file, name);
	return AlbertDetail(reader->status, files->tokenizer_json.data != NULL
						? "Its words are not made as tokenizer.json says, or are not known to be."
						: "Without a tokenizer.json, the tokenizers of ALBERT and BERT are supported.");
}

/* added_tokens.json: ids by tokens. */
static bool
read_added_file(Reader *reader, json_t *root)
{
	const char *key;
	json_t	   *value;

	json_object_foreach(root, key, value)
	{
		SettingsToken token = {.id = -1};
		json_t	   *name = json_string(key);
		bool		good = name != NULL && copy_string(reader, name, &token);

		json_decref(name);
		if (!good)
			return name == NULL ? AlbertNoMemory(reader->status) : false;
		if (!json_is_number(value))
			return malformed(reader, key, "a token id");
		if (!read_id(reader, key, json_number_value(value), &token.id))
			return false;
		token.flags = ADDED_NORMALIZED;
		for (int role = 0; role < ROLE_COUNT; role++)
			if (reader->settings->roles[role].text != NULL &&
				strcmp(reader->settings->roles[role].text, token.text) == 0)
				token.flags = ADDED_SPECIAL;
		for (size_t i = 0; i < reader->settings->additional.count; i++)
			if (strcmp(reader->settings->additional.items[i].text, token.text) == 0)
				token.flags = ADDED_SPECIAL;
		if (!tok_settings_push(&reader->settings->added, &token, reader->arena, reader->status))
			return false;
	}
	return true;
}

/* The list "added_tokens" of a tokenizer.json. */
static bool
read_added_list(Reader *reader, const json_t *list)
{
	const json_t *value;
	size_t		index;

	if (!json_is_array(list))
		return malformed(reader, "added_tokens", "a list");
	json_array_foreach(list, index, value)
	{
		SettingsToken token;
		const json_t *id = json_object_get(value, "id");

		if (!json_is_object(value) || !json_is_number(id))
			return malformed(reader, "added_tokens", "a list of tokens with ids");
		if (!read_token(reader, "added_tokens", value, 0, &token) ||
			!read_id(reader, "added_tokens", json_number_value(id), &token.id) ||
			!tok_settings_push(&reader->settings->added, &token, reader->arena, reader->status))
			return false;
	}
	return true;
}

static json_t *
parse(const char *file, AlbertBytes bytes, AlbertStatus *status)
{
	json_error_t error;
	json_t	   *root = json_loadb(bytes.data, bytes.size, JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY, &error);

	if (root == NULL)
	{
		AlbertFail(status, ALBERT_FORMAT, "%s is not valid JSON", file);
		AlbertDetail(status, "Line %d, column %d: %s.", error.line, error.column, error.text);
	}
	return root;
}

/* Parse a file and have it read; a missing one is nothing to read. */
static bool
read_file(Reader *reader, const char *file, AlbertBytes bytes, bool (*read) (Reader *, json_t *))
{
	json_t	   *root;
	bool		good;

	if (bytes.data == NULL)
		return true;
	reader->file = file;
	root = parse(file, bytes, reader->status);
	if (root == NULL)
		return false;
	if (json_is_object(root) || json_is_array(root))
		good = read(reader, root);
	else
		good = AlbertFail(reader->status, ALBERT_FORMAT, "%s is not a JSON object", file);
	json_decref(root);
	return good;
}

static bool
read_config_file(Reader *reader, json_t *root)
{
	json_t	   *decoder = json_object_get(root, "added_tokens_decoder");

	return read_config(reader, root) && (decoder == NULL || read_decoder(reader, decoder));
}

static bool
read_special_file(Reader *reader, json_t *root)
{
	return read_roles(reader, root, true) && read_additional(reader, root);
}

static bool
read_list_file(Reader *reader, json_t *root)
{
	return read_added_list(reader, root);
}

/*
 * albert.json: what the directory's files should have said of the switches.  A
 * key that has no effect would be taken for one that has, so it is refused.
 */
static bool
read_corrections(Reader *reader, json_t *root)
{
	static const struct
	{
		const char *key;
		bool		in_json;	/* has an effect beside a tokenizer.json */
	}			switches[] =
	{
		{"do_lower_case", false},
		{"keep_accents", false},
		{"strip_accents", false},
		{"tokenize_chinese_chars", false},
		{"clean_up_tokenization_spaces", true},
		{"model_max_length", true},
		{"truncation_side", true}
	};
	const char *key;
	json_t	   *value;

	if (!json_is_object(root))
		return AlbertFail(reader->status, ALBERT_FORMAT, "%s is not a JSON object", reader->file);
	json_object_foreach(root, key, value)
	{
		size_t		i = 0;

		while (i < sizeof(switches) / sizeof(switches[0]) && strcmp(switches[i].key, key) != 0)
			i++;
		if (i == sizeof(switches) / sizeof(switches[0]))
		{
			AlbertFail(reader->status, ALBERT_FORMAT, "unknown setting \"%.100s\" in file \"%s\"", key, reader->file);
			return AlbertDetail(reader->status, "It corrects do_lower_case, keep_accents, strip_accents, tokenize_chinese_chars, "
								"clean_up_tokenization_spaces, model_max_length and truncation_side.");
		}
		if (reader->has_json && !switches[i].in_json)
		{
			AlbertFail(reader->status, ALBERT_UNSUPPORTED, "\"%s\" in file \"%s\" has no effect beside a tokenizer.json", key, reader->file);
			return AlbertDetail(reader->status, "How texts are made ready is said by that file alone.");
		}
	}
	return read_switches(reader, root);
}

/* End of the JSON string that starts at p (on its quote); NULL when there is none. */
static const char *
skip_string(const char *p, const char *end)
{
	for (p++; p < end; p++)
	{
		if (*p == '\\')
			p++;
		else if (*p == '"')
			return p + 1;
	}
	return NULL;
}

/*
 * The bytes of one list at the top level of a JSON object.  A tokenizer.json
 * holds the whole vocabulary, and of it only its added tokens are needed here:
 * finding them takes a hundredth of the time of parsing it all.
 */
static AlbertBytes
find_list(AlbertBytes bytes, const char *key)
{
	const char *p = bytes.data;
	const char *end = p + bytes.size;
	size_t		key_size = strlen(key);
	const char *list = NULL;
	AlbertBytes none = {NULL, 0};
	int			depth = 0;

	while (p != NULL && p < end)
	{
		if (*p == '"')
		{
			const char *start = p + 1;
			bool		wanted;

			p = skip_string(p, end);
			if (p == NULL)
				break;
			wanted = depth == 1 && list == NULL && (size_t) (p - 1 - start) == key_size &&
				memcmp(start, key, key_size) == 0;
			while (wanted && p < end && strchr(" \t\r\n:", *p) != NULL)
				p++;
			if (wanted && p < end && *p == '[')
				list = p;
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
		{
			depth--;
			if (list != NULL && depth == 1)
				return (AlbertBytes) {list, p + 1 - list};
		}
		p++;
	}
	return none;
}

/* The settings are the defaults before. */
bool
tok_settings_read(const AlbertTokenizerFiles *files, AlbertArena *arena, Settings *settings, AlbertStatus *status)
{
	Reader		reader = {.arena = arena, .status = status, .settings = settings, .has_json = files->tokenizer_json.data != NULL};

	for (int role = 0; role < ROLE_COUNT; role++)
		reader.role_flags[role] = settings->roles[role].flags;
	if (!read_file(&reader, "tokenizer_config.json", files->tokenizer_config_json, read_config_file) ||
		!settle_class(&reader, files) ||
		!read_file(&reader, "albert.json", files->albert_json, read_corrections))
		return false;
	if (!settings->settled &&
		(!read_file(&reader, "special_tokens_map.json", files->special_tokens_map_json, read_special_file) ||
		 !read_file(&reader, "added_tokens.json", files->added_tokens_json, read_added_file)))
		return false;
	settings->own_added = settings->added.count;
	if (files->tokenizer_json.data != NULL)
		return read_file(&reader, "tokenizer.json", find_list(files->tokenizer_json, "added_tokens"), read_list_file);
	return true;
}

/* ---- what holds where nothing is said ---- */

static void
set_defaults(Settings *settings, const char *const names[ROLE_COUNT])
{
	memset(settings, 0, sizeof(*settings));
	for (int role = 0; role < ROLE_COUNT; role++)
	{
		settings->roles[role].text = names[role];
		settings->roles[role].size = names[role] == NULL ? 0 : (uint32_t) strlen(names[role]);
		settings->roles[role].flags = ADDED_SPECIAL;
		settings->roles[role].id = -1;
	}
	settings->do_lower_case = true;
	settings->strip_accents = -1;
	settings->tokenize_chinese_chars = true;
}

void
tok_albert_defaults(Settings *settings)
{
	static const char *const names[ROLE_COUNT] = {"[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"};

	set_defaults(settings, names);
	settings->roles[ROLE_MASK].flags |= ADDED_LSTRIP;
}

void
tok_bert_defaults(Settings *settings)
{
	static const char *const names[ROLE_COUNT] = {NULL, NULL, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};

	set_defaults(settings, names);
	settings->clean_up_spaces = true;
}
