/*
 * match.c
 *	  Added tokens that are found in normal text.
 */
#include "tokenizer/encode/encoder.h"

/* The longest token at a letter: its letters, 0 when there is none; SIZE_MAX: more letters have to tell. */
static size_t
longest_token(Trie trie, const Letters *in, size_t at, bool last, int32_t *index)
{
	const TrieUnit *unit = trie.units;
	size_t		longest = 0;

	for (size_t i = at; i < in->count; i++)
	{
		unsigned char bytes[4];
		size_t		size = tok_utf8_encode(in->items[i].code, bytes);

		for (size_t j = 0; j < size; j++)
		{
			unit = tok_trie_step(trie, unit, bytes[j]);
			if (unit == NULL)
				return longest;
		}
		if (unit->id >= 0)
		{
			longest = i + 1 - at;
			*index = unit->id;
		}
	}
	return last ? longest : SIZE_MAX;
}

/* Held white space is a word's, since no token wants it. */
static bool
release(Encoder *encoder, Stage *stage)
{
	for (size_t i = 0; i < stage->held.count; i++)
		if (!tok_take_letter(encoder, stage->held.items[i]))
			return false;
	stage->held.count = 0;
	return true;
}

/* White space that a token may want is held back until something else follows. */
static bool
take_letter(Encoder *encoder, Stage *stage, Letter letter)
{
	if (tok_is_space(letter.code))
		return tok_letters_push(encoder, &stage->held, letter);
	return release(encoder, stage) && tok_take_letter(encoder, letter);
}

static bool
take_token(Encoder *encoder, Stage *stage, const AddedToken *token, int32_t start, int32_t stop)
{
	if ((token->flags & ADDED_LSTRIP) != 0 && stage->held.count > 0)
	{
		start = stage->held.items[0].place;
		stage->held.count = 0;
	}
	stage->pending = (token->flags & ADDED_RSTRIP) != 0;
	return release(encoder, stage) && tok_take_token(encoder, token->id, start, stop);
}

/* Does the token in the letters [from, behind) stand alone, where it has to? */
static bool
stands_alone(const Stage *stage, const AddedToken *token, size_t behind)
{
	const Letters *in = &stage->in;

	return (token->flags & ADDED_SINGLE_WORD) == 0 ||
		!((stage->started && tok_is(stage->before, IS_WORD)) ||
		  (behind < in->count && tok_is(in->items[behind].code, IS_WORD)));
}

bool
tok_match_stage(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	const Letters *in = &stage->in;
	Trie		trie = TRIE(encoder->tokenizer, SECTION_ADDED_NORMALIZED);
	size_t		behind;

	for (size_t i = 0; i < in->count; i = behind)
	{
		Letter		letter = in->items[i];
		int32_t		index = 0;
		size_t		length = longest_token(trie, in, i, last, &index);
		const AddedToken *token = TABLE(encoder->tokenizer, SECTION_ADDED, AddedToken) + index;
		bool		good = true;

		if (length == SIZE_MAX ||
			(length > 0 && (token->flags & ADDED_SINGLE_WORD) != 0 && i + length == in->count && !last))
		{
			*consumed = i;
			return true;
		}
		behind = i + (length > 0 ? length : 1);
		if (stage->pending && tok_is_space(letter.code))
		{
			/* the last token takes it along */
			encoder->tokens[encoder->token_count - 1].stop = letter.place + 1;
			behind = i + 1;
		}
		else if (length > 0 && stands_alone(stage, token, behind))
			good = take_token(encoder, stage, token, letter.place, in->items[behind - 1].place + 1);
		else
		{
			stage->pending = false;
			for (size_t j = i; good && j < behind; j++)
				good = take_letter(encoder, stage, in->items[j]);
		}
		if (!good)
			return false;
		stage->before = in->items[behind - 1].code;
		stage->started = true;
	}
	return !last || (release(encoder, stage) && tok_finish_word(encoder));
}
