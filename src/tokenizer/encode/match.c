/*
 * match.c
 *	  Added tokens: finding them in the text as it is written, and, for those
 *	  that ask for it, in its normalized letters.
 */
#include "tokenizer/encode/encoder.h"

static uint32_t
code_before(const char *text, size_t at)
{
	uint32_t	code;

	do
		at--;
	while (((unsigned char) text[at] & 0xC0) == 0x80);
	tok_utf8_decode(text + at, &code);
	return code;
}

static uint32_t
code_at(const char *text, size_t at)
{
	uint32_t	code;

	tok_utf8_decode(text + at, &code);
	return code;
}

/*
 * The next token that is matched as written, at from or behind: *start and
 * *stop enclose it with the white space that it takes along, of the text not
 * before from.  NULL: there is none.
 */
const AddedToken *
tok_next_added(const Encoder *encoder, const char *text, size_t size, size_t from, size_t *start, size_t *stop)
{
	const uint8_t *first = encoder->header->added_first;
	Trie		trie = TRIE(encoder->tokenizer, SECTION_ADDED_RAW);
	size_t		at = from;

	while (at < size)
	{
		const AddedToken *token;
		size_t		length = 0;
		int32_t		index;

		if (first[(unsigned char) text[at]])
			length = tok_trie_longest(trie, (const unsigned char *) text + at, size - at, &index);
		if (length == 0)
		{
			at++;
			continue;
		}
		token = TABLE(encoder->tokenizer, SECTION_ADDED, AddedToken) + index;
		*start = at;
		*stop = at += length;
		if ((token->flags & ADDED_SINGLE_WORD) != 0 &&
			((*start > 0 && tok_is_word_character(code_before(text, *start))) ||
			 (*stop < size && tok_is_word_character(code_at(text, *stop)))))
			continue;
		while ((token->flags & ADDED_LSTRIP) != 0 && *start > from && tok_is_space(code_before(text, *start)))
			do
				(*start)--;
			while (((unsigned char) text[*start] & 0xC0) == 0x80);
		while ((token->flags & ADDED_RSTRIP) != 0 && *stop < size && tok_is_space(code_at(text, *stop)))
			*stop += tok_utf8_length((unsigned char) text[*stop]);
		return token;
	}
	return NULL;
}

/* ---- behind the normalizers ---- */

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

/* White space that a token may want is held back; it is a word's as soon as something else follows. */
static bool
release(Encoder *encoder, Stage *stage, Letters *out)
{
	bool		good = tok_letters_append(encoder, out, stage->held.items, stage->held.count);

	stage->held.count = 0;
	return good;
}

/*
 * A token that was found is kept in letter, with pending set, until the white
 * space behind it that it takes along is over.
 */
static bool
finish_token(Encoder *encoder, Stage *stage, Letters *out)
{
	if (!stage->pending)
		return true;
	stage->pending = false;
	return tok_letters_push(encoder, out, stage->letter);
}

static bool
start_token(Encoder *encoder, Stage *stage, Letters *out, const AddedToken *token, int32_t start, int32_t stop)
{
	if ((token->flags & ADDED_LSTRIP) != 0 && stage->held.count > 0)
	{
		start = stage->held.items[0].start;
		stage->held.count = 0;
	}
	if (!release(encoder, stage, out))
		return false;
	stage->letter = (Letter) {LETTER_TOKEN | (uint32_t) token->id, start, stop};
	stage->pending = true;
	return (token->flags & ADDED_RSTRIP) != 0 || finish_token(encoder, stage, out);
}

bool
tok_match_stage(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	const Letters *in = &stage->in;
	Trie		trie = TRIE(encoder->tokenizer, SECTION_ADDED_NORMALIZED);
	size_t		i = 0;

	while (i < in->count)
	{
		Letter		letter = in->items[i];
		bool		space = tok_is_space(letter.code);
		int32_t		index = 0;
		size_t		length = longest_token(trie, in, i, last, &index);
		const AddedToken *token = TABLE(encoder->tokenizer, SECTION_ADDED, AddedToken) + index;
		size_t		behind = i + length;

		if (length == SIZE_MAX)
			break;
		if (stage->pending && space)
		{
			stage->letter.stop = letter.stop;
			stage->before = letter.code;
			stage->started = true;
			i++;
			continue;
		}
		if (!finish_token(encoder, stage, out))
			return false;
		if (length > 0 && (token->flags & ADDED_SINGLE_WORD) != 0)
		{
			if (behind == in->count && !last)
				break;
			if ((stage->started && tok_is_word_character(stage->before)) ||
				(behind < in->count && tok_is_word_character(in->items[behind].code)))
				length = 0;
		}
		else
			behind = i + 1;
		if (length > 0)
		{
			behind = i + length;
			if (!start_token(encoder, stage, out, token, letter.start, in->items[behind - 1].stop))
				return false;
		}
		else
			for (size_t j = i; j < behind; j++)
			{
				bool		held = tok_is_space(in->items[j].code);

				if ((!held && !release(encoder, stage, out)) ||
					!tok_letters_push(encoder, held ? &stage->held : out, in->items[j]))
					return false;
			}
		stage->before = in->items[behind - 1].code;
		stage->started = true;
		i = behind;
	}
	*consumed = i;
	return !last || i < in->count || (finish_token(encoder, stage, out) && release(encoder, stage, out));
}
