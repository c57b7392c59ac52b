/*
 * added.c
 *	  Added tokens: the special tokens and whatever else is taken out of a text
 *	  before the model sees it.  Settling their ids, and the tries they are
 *	  found by.
 */
#include "tokenizer/compile/compile.h"
#include "tokenizer/encode/encoder.h"

/*
 * The tokens in the reference's order: those of lists of added tokens, then the
 * special tokens that are not among them.
 */
static bool
add_special(Builder *builder)
{
	const SettingsTokens *special = &builder->settings.special;

	for (size_t i = 0; i < special->count; i++)
	{
		SettingsToken token = special->items[i];
		SettingsToken *known;

		if (token.text == NULL || token.size == 0)
			continue;
		token.flags |= ADDED_SPECIAL;
		known = tok_settings_find(&builder->settings.added, &token);
		if (known != NULL)
			known->flags |= ADDED_SPECIAL;
		else if (!tok_settings_push(builder, &builder->settings.added, &token))
			return false;
	}
	return true;
}

/*
 * The library does not take ids from the files: a token in the vocabulary has
 * the id it has there, others get the ids behind it, in order.
 */
static bool
settle_ids(Builder *builder)
{
	const SettingsTokens *added = &builder->settings.added;
	int32_t		next = 0;

	for (int32_t id = 0; id < builder->piece_count; id++)
		next += builder->pieces[id].text != NULL;
	for (size_t i = 0; i < added->count; i++)
	{
		SettingsToken *token = &added->items[i];

		token->id = AlbertTokenizerPieceId(&builder->tokenizer, token->text, token->size);
		if (token->id < 0)
			token->id = next++;
		if (!tok_builder_place(builder, token->id, token->text, token->size,
							   PIECE_ODD | (token->flags & ADDED_SPECIAL ? PIECE_SPECIAL : 0)))
			return false;
	}
	for (int role = 0; role < ROLE_COUNT; role++)
	{
		const SettingsToken *token = tok_settings_find(added, &builder->settings.special.items[role]);

		builder->header.special[role] = token == NULL ? -1 : token->id;
	}
	return true;
}

/*
 * A trie of the tokens that are matched as written, or of those that are
 * matched in normalized text, in their own normalized form.  Of tokens with
 * one text the first is found, so it goes in last.
 */
static bool
build_trie(Builder *builder, bool normalized, Section section)
{
	const SettingsTokens *added = &builder->settings.added;
	TrieKey    *keys = AlbertArenaArray(builder->arena, added->count, sizeof(TrieKey));
	size_t		count = 0;

	if (keys == NULL)
		return AlbertNoMemory(builder->status);
	for (size_t i = added->count; i-- > 0;)
	{
		const SettingsToken *token = &added->items[i];
		AlbertText	text = {token->text, token->size};

		if (((token->flags & ADDED_NORMALIZED) != 0) != normalized)
			continue;
		if (normalized &&
			!tok_normalize(&builder->tokenizer, token->text, token->size, builder->arena, &text, builder->status))
			return false;
		if (text.size > 0)
			keys[count++] = (TrieKey) {text.data, (uint32_t) text.size, (int32_t) i};
		if (text.size > 0 && !normalized)
			builder->header.added_first[(unsigned char) text.data[0]] = 1;
	}
	return tok_build_trie(builder, keys, count, false, section);
}

/* Settle the added tokens; the model's pieces and the steps are there before. */
bool
tok_builder_added(Builder *builder)
{
	const SettingsTokens *added = &builder->settings.added;
	AddedToken *tokens;

	if (!add_special(builder) || !settle_ids(builder))
		return false;
	tokens = AlbertArenaArray(builder->arena, added->count, sizeof(AddedToken));
	if (tokens == NULL)
		return AlbertNoMemory(builder->status);
	for (size_t i = 0; i < added->count; i++)
		tokens[i] = (AddedToken) {added->items[i].id, added->items[i].flags};
	tok_builder_section(builder, SECTION_ADDED, tokens, added->count * sizeof(AddedToken));
	return build_trie(builder, false, SECTION_ADDED_RAW) && build_trie(builder, true, SECTION_ADDED_NORMALIZED);
}
