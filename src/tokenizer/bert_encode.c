/*
 * bert_encode.c
 *	  A fragment of text to tokens as BertTokenizer does it: the basic tokenizer
 *	  (control characters, white space, ideographs, composition, accents,
 *	  punctuation), then WordPiece.
 *
 * Characters keep their code points' places in the text, which are the ones the
 * fast tokenizer tells.
 */
#include "tokenizer/internal.h"

#include <string.h>

typedef struct Letter
{
	uint32_t	code;
	int32_t		start;
	int32_t		stop;
} Letter;

typedef struct Letters
{
	Letter	   *items;
	size_t		count;
	size_t		room;
} Letters;

static bool
add_letter(EncodeContext *context, Letters *letters, uint32_t code, int32_t start, int32_t stop)
{
	if (letters->count == letters->room)
	{
		size_t		room = letters->room * 2 + 256;
		Letter	   *items = AlbertArenaArray(context->arena, room, sizeof(Letter));

		if (items == NULL)
			return tok_no_memory(context->status);
		if (letters->count > 0)
			memcpy(items, letters->items, letters->count * sizeof(Letter));
		letters->items = items;
		letters->room = room;
	}
	letters->items[letters->count++] = (Letter) {code, start, stop};
	return true;
}

static bool
is_ideograph(uint32_t code)
{
	return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
		(code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B73F) ||
		(code >= 0x2B740 && code <= 0x2B81F) || (code >= 0x2B820 && code <= 0x2CEAF) ||
		(code >= 0xF900 && code <= 0xFAFF) || (code >= 0x2F800 && code <= 0x2FA1F);
}

static bool
is_punctuation(uint32_t code)
{
	if (code < 0x80)
		return (code >= 33 && code <= 47) || (code >= 58 && code <= 64) ||
			(code >= 91 && code <= 96) || (code >= 123 && code <= 126);
	return tok_python_is_punctuation(code);
}

/* Drop control characters, make white space plain, set ideographs apart. */
static bool
clean(EncodeContext *context, const Fragment *fragment, Letters *letters)
{
	bool		ideographs = (context->header->flags & TOKENIZER_CHINESE) != 0;

	for (size_t i = 0; i < fragment->count; i++)
	{
		uint32_t	code = fragment->codes[i];
		int32_t		start = fragment->sources[i];
		bool		apart = ideographs && is_ideograph(code);

		if (code == '\t' || code == '\n' || code == '\r' || tok_python_is_separator(code))
			code = ' ';
		else if (code == 0 || code == 0xFFFD || tok_python_is_control(code))
			continue;
		if ((apart && !add_letter(context, letters, ' ', start, start + 1)) ||
			!add_letter(context, letters, code, start, start + 1) ||
			(apart && !add_letter(context, letters, ' ', start, start + 1)))
			return false;
	}
	return true;
}

/* ---- composition ---- */

static bool
decompose(EncodeContext *context, const Letters *letters, Letters *out)
{
	for (size_t i = 0; i < letters->count; i++)
	{
		const Letter *letter = &letters->items[i];
		uint32_t	parts[18];
		int			n = tok_python_decompose(letter->code, false, parts);

		for (int j = 0; j < n; j++)
			if (!add_letter(context, out, parts[j], letter->start, letter->stop))
				return false;
	}
	return true;
}

/* Put runs of combining marks into canonical order; equal classes keep theirs. */
static void
reorder(Letters *letters)
{
	for (size_t i = 1; i < letters->count; i++)
	{
		Letter		letter = letters->items[i];
		int			class = tok_python_combining(letter.code);
		size_t		at = i;

		while (class != 0 && at > 0 && tok_python_combining(letters->items[at - 1].code) > class)
		{
			letters->items[at] = letters->items[at - 1];
			at--;
		}
		letters->items[at] = letter;
	}
}

/* Canonical composition: a mark joins its starter unless a mark of the same class or higher is between. */
static void
compose(Letters *letters)
{
	size_t		n = 0;
	size_t		starter = SIZE_MAX;
	int			last_class = -1;	/* of what stands behind the starter; -1: nothing does */

	for (size_t i = 0; i < letters->count; i++)
	{
		Letter		letter = letters->items[i];
		int			class = tok_python_combining(letter.code);
		uint32_t	both = 0;

		if (starter != SIZE_MAX && (last_class < class || last_class == -1))
			both = tok_python_compose(letters->items[starter].code, letter.code);
		if (both != 0)
		{
			letters->items[starter].code = both;
			if (letter.stop > letters->items[starter].stop)
				letters->items[starter].stop = letter.stop;
			continue;
		}
		if (class == 0)
		{
			starter = n;
			last_class = -1;
		}
		else
			last_class = class;
		letters->items[n++] = letter;
	}
	letters->count = n;
}

/* Unicode's form C. */
static bool
normalize(EncodeContext *context, Letters *letters)
{
	Letters		out = {NULL, 0, 0};
	bool		needed = false;

	for (size_t i = 0; i < letters->count && !needed; i++)
		needed = letters->items[i].code >= 0x300;
	if (!needed)
		return true;
	if (!decompose(context, letters, &out))
		return false;
	reorder(&out);
	compose(&out);
	*letters = out;
	return true;
}

/* ---- words ---- */

/* A word on its way to WordPiece: UTF-8 with each byte's place. */
typedef struct Word
{
	unsigned char *text;
	int32_t    *start;
	int32_t    *stop;
	size_t		size;
} Word;

static void
add_to_word(Word *word, uint32_t code, const Letter *letter)
{
	size_t		length = tok_utf8_encode(code, word->text + word->size);

	for (size_t i = 0; i < length; i++)
	{
		word->start[word->size] = letter->start;
		word->stop[word->size++] = letter->stop;
	}
}

static bool
in_never_split(const EncodeContext *context, const Word *word)
{
	const char *p = TABLE(context->tokenizer, SECTION_NEVER_SPLIT, char);
	const char *end = p + context->header->sections[SECTION_NEVER_SPLIT].size;

	for (; p < end; p += strlen(p) + 1)
		if (strlen(p) == word->size && memcmp(p, word->text, word->size) == 0)
			return true;
	return false;
}

/* A special token that came together only now, as a control character was dropped from its middle. */
static bool
is_special(const EncodeContext *context, const Word *word)
{
	int32_t		id;

	if (!context->header->added_first[word->text[0]])
		return false;
	id = AlbertTokenizerPieceId(context->tokenizer, (const char *) word->text, word->size);
	return AlbertTokenizerIsSpecial(context->tokenizer, id);
}

/* Hand a word over, as one token when it is never to be split. */
static bool
finish_word(EncodeContext *context, Word *word)
{
	size_t		size = word->size;
	bool		whole = size > 0 && in_never_split(context, word);
	int32_t		id;

	word->size = 0;
	if (size == 0)
		return true;
	if (!whole)
		return tok_wordpiece(context, word->text, size, word->start, word->stop);
	id = AlbertTokenizerPieceId(context->tokenizer, (const char *) word->text, size);
	if (!tok_reserve(context, 1))
		return false;
	tok_add(context, id >= 0 ? id : context->header->model_unk_id, word->start[0], word->stop[size - 1]);
	return true;
}

/* Accents off, and cut at punctuation. */
static bool
split_word(EncodeContext *context, const Letter *letters, size_t count, Word *word)
{
	bool		strip = (context->header->flags & TOKENIZER_STRIP_ACCENTS) != 0;
	bool		split = (context->header->flags & TOKENIZER_BASIC) != 0;

	word->size = 0;
	for (size_t i = 0; i < count; i++)
		add_to_word(word, letters[i].code, &letters[i]);
	if (in_never_split(context, word) || (split && is_special(context, word)))
		return finish_word(context, word);
	word->size = 0;
	for (size_t i = 0; i < count; i++)
	{
		uint32_t	parts[18];
		int			n = 1;

		parts[0] = letters[i].code;
		if (strip && parts[0] >= 0x80)
			n = tok_python_decompose(parts[0], false, parts);
		for (int j = 0; j < n; j++)
		{
			bool		alone = split && is_punctuation(parts[j]);

			if (strip && tok_python_is_nonspacing(parts[j]))
				continue;
			if (alone && !finish_word(context, word))
				return false;
			add_to_word(word, parts[j], &letters[i]);
			if (alone && !finish_word(context, word))
				return false;
		}
	}
	return finish_word(context, word);
}

static bool
split_words(EncodeContext *context, const Letters *letters)
{
	size_t		room = letters->count * 16;
	Word		word = {AlbertArenaAlloc(context->arena, room), AlbertArenaArray(context->arena, room, sizeof(int32_t)),
	AlbertArenaArray(context->arena, room, sizeof(int32_t)), 0};

	if (word.text == NULL || word.start == NULL || word.stop == NULL)
		return tok_no_memory(context->status);
	for (size_t i = 0; i < letters->count;)
	{
		size_t		start = i;

		while (i < letters->count && !tok_python_is_space(letters->items[i].code))
			i++;
		if (i > start && !split_word(context, letters->items + start, i - start, &word))
			return false;
		i++;
	}
	return true;
}

static bool
encode_any(EncodeContext *context, const Fragment *fragment)
{
	uint32_t	flags = context->header->flags;
	Letters		letters = {NULL, 0, 0};

	if (flags & TOKENIZER_BASIC)
	{
		/* taking accents off undoes composition, so it need not be done then */
		if (!clean(context, fragment, &letters) ||
			((flags & TOKENIZER_STRIP_ACCENTS) == 0 && !normalize(context, &letters)))
			return false;
		return split_words(context, &letters);
	}
	for (size_t i = 0; i < fragment->count; i++)
		if (!add_letter(context, &letters, fragment->codes[i], fragment->sources[i], fragment->sources[i] + 1))
			return false;
	return split_words(context, &letters);
}

/* ---- fragments of plain ASCII ---- */

static bool
encode_ascii(EncodeContext *context, const char *text, size_t size, size_t base)
{
	const uint8_t *ascii = context->header->ascii;
	unsigned char *out = AlbertArenaAlloc(context->arena, size);
	int32_t    *start = NULL;

	if (context->offsets)
		start = AlbertArenaArray(context->arena, size, sizeof(int32_t));
	if (out == NULL || (context->offsets && start == NULL))
		return tok_no_memory(context->status);
	for (size_t i = 0; i < size; i++)
	{
		out[i] = ascii[(unsigned char) text[i]];
		if (start != NULL)
			start[i] = (int32_t) (base + i);
	}
	for (size_t i = 0; i < size;)
	{
		size_t		first = i;

		if (out[i] == ' ')
		{
			i++;
			continue;
		}
		if (is_punctuation(out[i]))
			i++;
		else
			while (i < size && out[i] != ' ' && !is_punctuation(out[i]))
				i++;
		if (!tok_wordpiece(context, out + first, i - first, start == NULL ? NULL : start + first, NULL))
			return false;
	}
	return true;
}

bool
tok_bert_fragment(EncodeContext *context, const Fragment *fragment)
{
	if (fragment->bytes != NULL)
		return encode_ascii(context, fragment->bytes, fragment->count, fragment->base);
	return encode_any(context, fragment);
}
