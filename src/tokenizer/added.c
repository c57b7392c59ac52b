/*
 * added.c
 *	  Added tokens: the special tokens and whatever else is taken out of a text
 *	  before the model sees it.  Settling their ids, and finding them.
 */
#include "tokenizer/compile.h"

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

/* Put a token into the vocabulary at its id, which may lie behind its end. */
static bool
place_token(Builder *builder, const SettingsToken *token)
{
	Piece	   *piece;

	while (builder->piece_count <= token->id)
		if (!tok_builder_piece(builder, NULL, 0, 0, 0))
			return false;
	piece = &builder->pieces[token->id];
	if (piece->text == NULL)
		piece->flags = PIECE_ADDED_ONLY;
	piece->text = token->text;
	piece->size = token->size;
	piece->flags |= PIECE_ADDED;
	return true;
}

/* The id a token has, or gets: the vocabulary's, or the next behind it. */
static void
settle_id(const Builder *builder, SettingsToken *token)
{
	int32_t		count = 0;

	token->id = tok_builder_find(builder, token->text, token->size);
	if (token->id >= 0)
		return;
	for (int32_t i = 0; i < builder->piece_count; i++)
		count += builder->pieces[i].text != NULL;
	token->id = count;
}

/* Add a special token of the settings unless it is there already. */
static bool
add_special(Builder *builder, SettingsTokens *added, const SettingsToken *special)
{
	SettingsToken token = *special;

	if (token.text == NULL || token.size == 0 || find_token(added, &token) != NULL)
		return true;
	token.flags |= ADDED_SPECIAL;
	settle_id(builder, &token);
	return place_token(builder, &token) &&
		tok_settings_push(added, &token, builder->arena, builder->status);
}

static void
mark_special(Builder *builder, SettingsTokens *added, const SettingsToken *special, uint32_t flags,
			 int32_t *order, int32_t *protect)
{
	SettingsToken *token;

	if (special->text == NULL || special->size == 0)
		return;
	token = find_token(added, special);
	builder->pieces[token->id].flags |= flags;
	if (protect[token - added->items] < 0)
		protect[token - added->items] = (*order)++;
}

static bool
write_added(Builder *builder, const SettingsTokens *added, const int32_t *protect)
{
	AddedToken *tokens = AlbertArenaArray(builder->arena, added->count, sizeof(AddedToken));
	uint32_t   *codes;
	size_t		count = 0;
	uint8_t    *first = builder->header.added_first;

	for (size_t i = 0; i < added->count; i++)
		count += added->items[i].size;
	codes = AlbertArenaArray(builder->arena, count, sizeof(uint32_t));
	if (tokens == NULL || codes == NULL)
		return tok_no_memory(builder->status);
	count = 0;
	for (size_t i = 0; i < added->count; i++)
	{
		const SettingsToken *token = &added->items[i];
		unsigned char lead = (unsigned char) token->text[0];

		tokens[i].id = token->id;
		tokens[i].flags = token->flags;
		tokens[i].protect = protect[i];
		tokens[i].code_offset = (uint32_t) count;
		for (size_t at = 0; at < token->size;)
			at += tok_utf8_decode(token->text + at, &codes[count++]);
		tokens[i].code_count = (uint32_t) count - tokens[i].code_offset;
		first[lead] = 1;
		if (lead >= 'a' && lead <= 'z')
			first[lead - 32] = 1;
	}
	builder->header.added_count = (int32_t) added->count;
	builder->sections[SECTION_ADDED] = (AlbertBytes) {tokens, added->count * sizeof(AddedToken)};
	builder->sections[SECTION_ADDED_CODES] = (AlbertBytes) {codes, count * sizeof(uint32_t)};
	return true;
}

static int32_t
role_id(SettingsTokens *added, const SettingsToken *special)
{
	return special->text == NULL || special->size == 0 ? -1 : find_token(added, special)->id;
}

/*
 * Settle the added tokens, in the reference's order: those that come with an
 * id, then the special tokens that are not among them.  The hash table of the
 * model's own pieces is needed before, and is to be made again afterwards.
 */
bool
tok_builder_added(Builder *builder, const Settings *settings)
{
	SettingsTokens added = {NULL, 0, 0};
	const SettingsToken *roles = settings->roles;
	int32_t    *protect;
	int32_t		order = 0;

	for (size_t i = 0; i < settings->added.count; i++)
	{
		const SettingsToken *token = &settings->added.items[i];

		if (token->size == 0 || find_token(&added, token) != NULL)
			continue;
		if (!place_token(builder, token) ||
			!tok_settings_push(&added, token, builder->arena, builder->status))
			return false;
	}
	for (int role = 0; role < ROLE_COUNT; role++)
		if (!add_special(builder, &added, &roles[role]))
			return false;
	for (size_t i = 0; i < settings->additional.count; i++)
		if (!add_special(builder, &added, &settings->additional.items[i]))
			return false;

	protect = AlbertArenaArray(builder->arena, added.count, sizeof(int32_t));
	if (protect == NULL)
		return tok_no_memory(builder->status);
	for (size_t i = 0; i < added.count; i++)
		protect[i] = -1;
	for (int role = 0; role < ROLE_COUNT; role++)
		mark_special(builder, &added, &roles[role], PIECE_SPECIAL, &order, protect);
	for (size_t i = 0; i < settings->additional.count; i++)
		mark_special(builder, &added, &settings->additional.items[i], PIECE_SPECIAL | PIECE_ADDITIONAL,
					 &order, protect);
	for (size_t i = 0; i < added.count; i++)
		if (protect[i] < 0 && (added.items[i].flags & (ADDED_SPECIAL | ADDED_NORMALIZED)) == ADDED_NORMALIZED)
			protect[i] = order++;

	builder->header.unk_id = role_id(&added, &roles[ROLE_UNK]);
	builder->header.pad_id = role_id(&added, &roles[ROLE_PAD]);
	builder->header.cls_id = role_id(&added, &roles[ROLE_CLS]);
	builder->header.sep_id = role_id(&added, &roles[ROLE_SEP]);
	builder->header.mask_id = role_id(&added, &roles[ROLE_MASK]);
	if (!tok_builder_string(builder, roles[ROLE_MASK].text, roles[ROLE_MASK].size, &builder->header.mask_string))
		return false;
	return write_added(builder, &added, protect);
}

static bool
matches(const AlbertTokenizer *tokenizer, const AddedToken *token, const uint32_t *codes, size_t count, size_t at)
{
	const uint32_t *content = TABLE(tokenizer, SECTION_ADDED_CODES, uint32_t) + token->code_offset;

	return content[0] == codes[at] && token->code_count <= count - at &&
		memcmp(content, codes + at, token->code_count * sizeof(uint32_t)) == 0;
}

/* How many codes from here on keep their case: a token's, the first in order that fits. */
size_t
tok_added_protected(const AlbertTokenizer *tokenizer, const uint32_t *codes, size_t count, size_t at)
{
	const AddedToken *tokens = TABLE(tokenizer, SECTION_ADDED, AddedToken);
	const AddedToken *found = NULL;

	for (int32_t i = 0; i < HEADER(tokenizer)->added_count; i++)
		if (tokens[i].protect >= 0 && (found == NULL || tokens[i].protect < found->protect) &&
			matches(tokenizer, &tokens[i], codes, count, at))
			found = &tokens[i];
	return found == NULL ? 0 : found->code_count;
}

/* The longest added token that stands here, without any of the flags refuse and with all of need; NULL: none does. */
const AddedToken *
tok_added_longest(const AlbertTokenizer *tokenizer, const uint32_t *codes, size_t count, size_t at,
				  uint32_t refuse, uint32_t need)
{
	const AddedToken *tokens = TABLE(tokenizer, SECTION_ADDED, AddedToken);
	const AddedToken *found = NULL;

	for (int32_t i = 0; i < HEADER(tokenizer)->added_count; i++)
		if ((found == NULL || tokens[i].code_count > found->code_count) &&
			(tokens[i].flags & refuse) == 0 && (tokens[i].flags & need) == need &&
			matches(tokenizer, &tokens[i], codes, count, at))
			found = &tokens[i];
	return found;
}
