/*
 * added.c
 *	  Added tokens: the special tokens and whatever else is taken out of a text
 *	  before the model sees it.  Settling their ids, and the tries they are
 *	  found by.
 */
#include "tokenizer/compile/compile.h"
#include "tokenizer/encode/encoder.h"

#include <string.h>

static SettingsToken *
find_token(SettingsTokens *tokens, const SettingsToken *wanted)
{
	for (size_t i = 0; i < tokens->count; i++)
		if (tokens->items[i].size == wanted->size &&
			memcmp(tokens->items[i].text, wanted->text, wanted->size) == 0)
			return &tokens->items[i];
	return NULL;
}

/*
 * The library does not take ids from the files: a token in the vocabulary has
 * the id it has there, others get the ids behind it, in order.  listed: it is of
 * a list of added tokens; the other special tokens need not be.
 */
static bool
take_token(Builder *builder, SettingsTokens *added, SettingsToken token, bool listed, int32_t *next)
{
	SettingsToken *known;

	if (token.text == NULL || token.size == 0)
		return true;
	known = find_token(added, &token);
	if (known != NULL)
	{
		if (listed)
			known->flags = token.flags; /* the later file's */
		builder->pieces[known->id].flags |= token.flags & ADDED_SPECIAL ? PIECE_SPECIAL : 0;
		return true;
	}
	if (!listed)
		token.flags |= ADDED_SPECIAL;
	token.id = tok_builder_find(builder, token.text, token.size);
	if (token.id < 0)
		token.id = (*next)++;
	return tok_builder_place(builder, token.id, token.text, token.size,
							 PIECE_ADDED | (token.flags & ADDED_SPECIAL ? PIECE_SPECIAL : 0)) &&
		tok_settings_push(builder, added, &token);
}

/*
 * The tokens in the reference's order: tokenizer.json's own, then those of the
 * other files, then the special tokens that are not among them.
 */
static bool
collect(Builder *builder, SettingsTokens *added)
{
	const Settings *settings = &builder->settings;
	const SettingsTokens *listed = &settings->added;
	const SettingsTokens *additional = &settings->additional;
	bool		good = true;
	int32_t		next = 0;

	for (int32_t id = 0; id < builder->piece_count; id++)
		next += builder->pieces[id].text != NULL;
	for (size_t i = 0; good && i < listed->count; i++)
		good = take_token(builder, added, listed->items[(settings->own_added + i) % listed->count], true, &next);
	for (int role = 0; good && role < ROLE_COUNT; role++)
		good = take_token(builder, added, settings->roles[role], false, &next);
	for (size_t i = 0; good && i < additional->count; i++)
		good = take_token(builder, added, additional->items[i], false, &next);
	return good;
}

/* The role's or additional token is special even where its own entry does not say so. */
static int32_t
mark_special(Builder *builder, SettingsTokens *added, const SettingsToken *special)
{
	int32_t		id;

	if (special->text == NULL || special->size == 0)
		return -1;
	id = find_token(added, special)->id;
	builder->pieces[id].flags |= PIECE_SPECIAL;
	return id;
}

/*
 * A trie of the tokens that are matched as written, or of those that are
 * matched in normalized text, in their own normalized form.  Of tokens with
 * one text the first is found, so it goes in last.
 */
static bool
build_trie(Builder *builder, const SettingsTokens *added, bool normalized, Section section)
{
	TrieKey    *keys = AlbertArenaArray(builder->arena, added->count, sizeof(TrieKey));
	size_t		count = 0;
	AlbertTokenizer probe;

	if (keys == NULL)
		return AlbertNoMemory(builder->status);
	tok_builder_probe(builder, &probe);
	for (size_t i = added->count; i-- > 0;)
	{
		const SettingsToken *token = &added->items[i];
		AlbertText	text = {token->text, token->size};

		if (((token->flags & ADDED_NORMALIZED) != 0) != normalized)
			continue;
		if (normalized && !tok_normalize(&probe, token->text, token->size, builder->arena, &text, builder->status))
			return false;
		if (text.size > 0)
			keys[count++] = (TrieKey) {text.data, (uint32_t) text.size, (int32_t) i};
		if (text.size > 0 && !normalized)
			builder->header.added_first[(unsigned char) text.data[0]] = 1;
	}
	return tok_build_trie(keys, count, builder->arena, &builder->sections[section], builder->status);
}

static bool
write_added(Builder *builder, const SettingsTokens *added)
{
	AddedToken *tokens = AlbertArenaArray(builder->arena, added->count, sizeof(AddedToken));

	if (tokens == NULL)
		return AlbertNoMemory(builder->status);
	for (size_t i = 0; i < added->count; i++)
		tokens[i] = (AddedToken) {added->items[i].id, added->items[i].flags};
	builder->sections[SECTION_ADDED] = (AlbertBytes) {tokens, added->count * sizeof(AddedToken)};
	return build_trie(builder, added, false, SECTION_ADDED_RAW) &&
		build_trie(builder, added, true, SECTION_ADDED_NORMALIZED);
}

/* Settle the added tokens; the model's pieces and the steps are there before. */
bool
tok_builder_added(Builder *builder)
{
	const Settings *settings = &builder->settings;
	const SettingsToken *mask = &settings->roles[ROLE_MASK];
	SettingsTokens added = {NULL, 0, 0};
	int32_t		ids[ROLE_COUNT];

	if (!tok_builder_hash(builder) || !collect(builder, &added))
		return false;
	for (int role = 0; role < ROLE_COUNT; role++)
		ids[role] = mark_special(builder, &added, &settings->roles[role]);
	for (size_t i = 0; i < settings->additional.count; i++)
		mark_special(builder, &added, &settings->additional.items[i]);
	builder->header.unk_id = ids[ROLE_UNK];
	builder->header.pad_id = ids[ROLE_PAD];
	builder->header.cls_id = ids[ROLE_CLS];
	builder->header.sep_id = ids[ROLE_SEP];
	builder->header.mask_id = ids[ROLE_MASK];
	return tok_builder_string(builder, mask->text, mask->size, &builder->header.mask_string) &&
		write_added(builder, &added) && tok_builder_hash(builder);
}
