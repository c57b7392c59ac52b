/*
 * added.c
 *	  Added tokens: the special tokens and whatever else is taken out of a text
 *	  before the model sees it.  Settling their ids, and the tries they are
 *	  found by.
 */
#include "tokenizer/compile/compile.h"
#include "tokenizer/encode/encoder.h"

/*
 * The library does not take ids from the files: a token in the vocabulary has
 * the id it has there, others get the ids behind it, in order.  listed: it is of
 * a list of added tokens; the other special tokens need not be.  *id is -1 when
 * there is no token.
 */
static bool
take_token(Builder *builder, SettingsTokens *added, SettingsToken token, bool listed, int32_t *next, int32_t *id)
{
	SettingsToken *known;

	*id = -1;
	if (token.text == NULL || token.size == 0)
		return true;
	if (!listed)
		token.flags |= ADDED_SPECIAL;
	known = tok_settings_find(added, &token);
	if (known == NULL)
	{
		token.id = tok_builder_find(builder, token.text, token.size);
		if (token.id < 0)
			token.id = (*next)++;
		if (!tok_settings_push(builder, added, &token))
			return false;
		known = &added->items[added->count - 1];
	}
	else if (listed)
		known->flags = token.flags; /* the later file's */
	*id = known->id;
	return tok_builder_place(builder, *id, token.text, token.size,
							 PIECE_KNOWN | PIECE_ODD | (token.flags & ADDED_SPECIAL ? PIECE_SPECIAL : 0));
}

/*
 * The tokens in the reference's order: tokenizer.json's own, then those of the
 * other files, then the special tokens that are not among them.
 */
static bool
collect(Builder *builder, SettingsTokens *added)
{
	const Settings *settings = &builder->settings;
	int32_t    *roles = builder->header.special;
	bool		good = true;
	int32_t		next = 0;
	int32_t		id;

	for (id = 0; id < builder->piece_count; id++)
		next += builder->pieces[id].text != NULL;
	for (size_t i = 0; good && i < settings->added.count; i++)
		good = take_token(builder, added, settings->added.items[i], true, &next, &id);
	for (size_t i = 0; good && i < settings->special.count; i++)
		good = take_token(builder, added, settings->special.items[i], false, &next, i < ROLE_COUNT ? &roles[i] : &id);
	return good;
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
	return tok_build_trie(builder, keys, count, false, section);
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
	SettingsTokens added = {NULL, 0, 0};

	return collect(builder, &added) && write_added(builder, &added);
}
