/*
 * match.c
 *	  Added tokens that are found in normal text.
 */
#include "tokenizer/encode/encoder.h"

#include <string.h>

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

static bool
give_token(Encoder *encoder, Stage *stage, const AddedToken *token, int32_t start, int32_t stop)
{
	if ((token->flags & ADDED_LSTRIP) != 0 && stage->held.count > 0)
	{
		start = stage->held.items[0].place;
		stage->held.count = 0;
	}
	stage->pending = (token->flags & ADDED_RSTRIP) != 0;
	return tok_give_held(encoder, stage) && tok_take_token(encoder, token->id, start, stop);
}

/* Does the token in the letters [from, behind) stand alone, where it has to? */
static bool
stands_alone(const Stage *stage, const AddedToken *token, size_t behind)
{
	const Letters *in = &stage->ahead;

	return (token->flags & ADDED_SINGLE_WORD) == 0 ||
		!((stage->started && tok_is(stage->before, IS_WORD)) ||
		  (behind < in->count && tok_is(in->items[behind].code, IS_WORD)));
}

/* Find tokens in the letters that are ahead, as far as these tell; last: no more will come. */
static bool
match(Encoder *encoder, Stage *stage, bool last)
{
	Letters    *in = &stage->ahead;
	Trie		trie = TRIE(encoder->tokenizer, SECTION_ADDED_NORMALIZED);
	bool		good = true;
	size_t		i = 0;

	while (good && i < in->count)
	{
		Letter		letter = in->items[i];
		int32_t		index = 0;
		size_t		length = longest_token(trie, in, i, last, &index);
		size_t		behind = i + (length > 0 ? length : 1);
		const AddedToken *token = TABLE(encoder->tokenizer, SECTION_ADDED, AddedToken) + index;

		if (length == SIZE_MAX ||
			(length > 0 && (token->flags & ADDED_SINGLE_WORD) != 0 && i + length == in->count && !last))
			break;
		if (stage->pending && tok_is(letter.code, IS_SPACE))
		{
			/* the last token takes it along */
			encoder->tokens[encoder->token_count - 1].stop = letter.place + 1;
			behind = i + 1;
		}
		else if (length > 0 && stands_alone(stage, token, behind))
			good = give_token(encoder, stage, token, letter.place, in->items[behind - 1].place + 1);
		else
		{
			stage->pending = false;
			/* a token behind white space may want it */
			for (size_t j = i; good && j < behind; j++)
				good = tok_hold_space(encoder, stage, in->items[j]);
		}
		stage->before = in->items[behind - 1].code;
		stage->started = true;
		i = behind;
	}
	in->count -= i;
	memmove(in->items, in->items + i, in->count * sizeof(Letter));
	return good;
}

bool
tok_take_matched(Encoder *encoder, Stage *stage, Letter letter)
{
	return tok_letters_push(encoder, &stage->ahead, letter) && match(encoder, stage, false);
}

bool
tok_finish_matched(Encoder *encoder, Stage *stage)
{
	return match(encoder, stage, true) && tok_give_held(encoder, stage);
}
