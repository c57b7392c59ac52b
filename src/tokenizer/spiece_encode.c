/*
 * spiece_encode.c
 *	  A text to tokens as AlbertTokenizer does it with a spiece.model.
 *
 * Ids are those of the slow tokenizer: lower-case character by character, take
 * out the added tokens, and in each fragment between them collapse white
 * space, turn `` and '' into ", decompose, drop combining marks, lower-case
 * again, and hand it to sentencepiece (its character map, then the unigram
 * model).  Offsets are those of the fast tokenizer, whose steps differ a
 * little, so every character carries along where the fast one would have
 * found it:
 *
 *	- a mark of combining class 0 stays a character here but is dropped there;
 *	  it lends no place to the piece it is in (such letters are "ghosts");
 *	- a word's mark takes the place of the word's first character;
 *	- it misplaces whole fragments in some cases, see fast_places.c.
 *
 * A text that is all ASCII without control characters, the usual case, needs
 * none of this and takes a short way.
 */
#include "tokenizer/internal.h"

#include <string.h>

/* A character on its way from the text to sentencepiece. */
typedef struct Letter
{
	uint32_t	code;
	int32_t		source;			/* code point of the text it came from */
	bool		ghost;
} Letter;

typedef struct Letters
{
	Letter	   *items;
	size_t		count;
	size_t		room;
} Letters;

/*
 * Text ready for the model; start and stop tell each byte's code points.  No
 * stop means one code point each, no start that nobody asked.
 */
typedef struct Normalized
{
	unsigned char *text;
	int32_t    *start;			/* negative, ~start: a ghost's */
	int32_t    *stop;
	size_t		size;
	size_t		room;
} Normalized;

static bool
letters_reserve(EncodeContext *context, Letters *letters, size_t more)
{
	Letter	   *items;
	size_t		room;

	if (letters->room - letters->count >= more)
		return true;
	room = letters->room * 2 + more + 64;
	items = AlbertArenaArray(context->arena, room, sizeof(Letter));
	if (items == NULL)
		return tok_no_memory(context->status);
	if (letters->count > 0)
		memcpy(items, letters->items, letters->count * sizeof(Letter));
	letters->items = items;
	letters->room = room;
	return true;
}

static bool
normalized_reserve(EncodeContext *context, Normalized *normalized, size_t more)
{
	Normalized	fresh = *normalized;

	if (normalized->room - normalized->size >= more)
		return true;
	fresh.room = normalized->room * 2 + more + 64;
	fresh.text = AlbertArenaAlloc(context->arena, fresh.room);
	fresh.start = AlbertArenaArray(context->arena, fresh.room, sizeof(int32_t));
	fresh.stop = AlbertArenaArray(context->arena, fresh.room, sizeof(int32_t));
	if (fresh.text == NULL || fresh.start == NULL || fresh.stop == NULL)
		return tok_no_memory(context->status);
	if (normalized->size > 0)
	{
		memcpy(fresh.text, normalized->text, normalized->size);
		memcpy(fresh.start, normalized->start, normalized->size * sizeof(int32_t));
		memcpy(fresh.stop, normalized->stop, normalized->size * sizeof(int32_t));
	}
	*normalized = fresh;
	return true;
}

static inline void
normalized_add(Normalized *normalized, unsigned char byte, int32_t start, int32_t stop)
{
	normalized->text[normalized->size] = byte;
	normalized->start[normalized->size] = start;
	normalized->stop[normalized->size++] = stop;
}

/* ---- sentencepiece's normalizer ---- */

/*
 * What the next characters become: a user-defined symbol stays as it is, else
 * the longest key of the character map is replaced, else one character stays.
 */
static size_t
normalize_prefix(const AlbertTokenizer *tokenizer, const unsigned char *text, size_t size,
				 const char **out, size_t *out_size)
{
	size_t		length = tok_symbol_longest(tokenizer, text, size);

	if (length == 0)
	{
		length = tok_charsmap_longest(tokenizer, text, size, out);
		if (length > 0)
		{
			*out_size = strlen(*out);
			return length;
		}
		length = tok_utf8_length(text[0]);
		if (length > size)
			length = size;
	}
	*out = (const char *) text;
	*out_size = length;
	return length;
}

/* The place of bytes [first, last] of the text: of its first and last letters that are no ghosts. */
static void
source_range(const Letter *letters, const int32_t *owner, size_t first, size_t last,
			 int32_t *start, int32_t *stop)
{
	int32_t		low = owner[first];
	int32_t		high = owner[last];

	while (low < high && letters[low].ghost)
		low++;
	while (high > low && letters[high].ghost)
		high--;
	*start = letters[low].ghost ? ~letters[low].source : letters[low].source;
	*stop = letters[high].source + 1;
}

/* Word marks take the place of the first letter behind them. */
static void
place_word_marks(Normalized *normalized, unsigned char mark)
{
	int32_t		start = -1;

	for (size_t i = normalized->size; i-- > 0;)
	{
		if (normalized->text[i] != mark)
		{
			if (normalized->start[i] >= 0)
				start = normalized->start[i];
		}
		else if (start >= 0)
		{
			normalized->start[i] = start;
			normalized->stop[i] = start + 1;
		}
	}
}

/*
 * Normalize size bytes, whose letters are told by owner.  The mark of a word
 * is WORD_MARK, or a space when the model does not escape spaces.
 */
static bool
normalize(EncodeContext *context, const unsigned char *text, size_t size, const Letter *letters,
		  const int32_t *owner, Normalized *normalized)
{
	const AlbertTokenizer *tokenizer = context->tokenizer;
	uint32_t	flags = context->header->flags;
	bool		collapse = (flags & TOKENIZER_EXTRA_SPACES) != 0;
	unsigned char mark = (flags & TOKENIZER_ESCAPE_SPACES) != 0 ? WORD_MARK : ' ';
	bool		after_space = collapse;
	const char *out;
	size_t		out_size;
	size_t		at = 0;

	normalized->size = 0;
	while (collapse && at < size)
	{
		size_t		length = normalize_prefix(tokenizer, text + at, size - at, &out, &out_size);

		if (out_size != 1 || out[0] != ' ')
			break;
		at += length;
	}
	if (at == size)
		return true;
	if (!normalized_reserve(context, normalized, size - at + 64))
		return false;
	if (flags & TOKENIZER_DUMMY_PREFIX)
		normalized_add(normalized, mark, letters[owner[at]].source, letters[owner[at]].source + 1);
	while (at < size)
	{
		size_t		length = normalize_prefix(tokenizer, text + at, size - at, &out, &out_size);
		int32_t		start;
		int32_t		stop;

		while (after_space && out_size > 0 && *out == ' ')
		{
			out++;
			out_size--;
		}
		if (!normalized_reserve(context, normalized, out_size))
			return false;
		source_range(letters, owner, at, at + length - 1, &start, &stop);
		if (out_size > 0)
			after_space = out[out_size - 1] == ' ';
		for (size_t i = 0; i < out_size;)
		{
			if (out[i] == ' ')
			{
				normalized_add(normalized, mark, start, stop);
				i++;
			}
			else if (out_size - i >= 3 && memcmp(out + i, WORD_MARK_UTF8, 3) == 0)
			{
				normalized_add(normalized, WORD_MARK, start, stop);
				i += 3;
			}
			else
				normalized_add(normalized, (unsigned char) out[i++], start, stop);
		}
		at += length;
		after_space = after_space && collapse;
	}
	while (collapse && normalized->size > 0 && normalized->text[normalized->size - 1] == mark)
		normalized->size--;
	place_word_marks(normalized, mark);
	return true;
}

/* ---- pieces ---- */

/* The place of bytes [first, stop) of normalized text. */
static inline void
token_place(const Normalized *normalized, size_t first, size_t stop, int32_t *token_start, int32_t *token_stop)
{
	size_t		low = first;
	size_t		high = stop - 1;

	if (normalized->start == NULL)
	{
		*token_start = *token_stop = 0;
		return;
	}
	while (low < high && normalized->start[low] < 0)
		low++;
	while (high > low && normalized->start[high] < 0)
		high--;
	*token_start = normalized->start[low] < 0 ? ~normalized->start[low] : normalized->start[low];
	if (normalized->stop != NULL)
		*token_stop = normalized->stop[high];
	else
		*token_stop = normalized->start[high] + 1;
}

/* Copy normalized text with its word marks written out; out has room for three bytes each. */
static size_t
write_marks(const unsigned char *text, size_t size, char *out)
{
	size_t		n = 0;

	for (size_t i = 0; i < size; i++)
	{
		if (text[i] == WORD_MARK)
		{
			memcpy(out + n, WORD_MARK_UTF8, 3);
			n += 3;
		}
		else
			out[n++] = (char) text[i];
	}
	return n;
}

/*
 * The id of a stretch of text as a piece: the reference goes by the piece's
 * text, so that a stretch of unknown characters may turn out to be a piece
 * which the model itself never cuts (a control symbol).
 */
static bool
text_id(EncodeContext *context, const unsigned char *text, size_t size, int32_t *id)
{
	AlbertArenaMark mark = AlbertArenaGetMark(context->arena);
	char	   *piece = AlbertArenaArray(context->arena, size, 3);

	if (piece == NULL)
		return tok_no_memory(context->status);
	*id = AlbertTokenizerPieceId(context->tokenizer, piece, write_marks(text, size, piece));
	if (*id < 0)
		*id = context->header->model_unk_id;
	AlbertArenaRewind(context->arena, mark);
	return true;
}

static bool
ends_in_digit_comma(const unsigned char *text, size_t size)
{
	size_t		at = size - 1;
	uint32_t	code;

	if (size < 2 || text[at] != ',')
		return false;
	do
		at--;
	while (at > 0 && (text[at] & 0xC0) == 0x80);
	if (text[at] == WORD_MARK || tok_utf8_valid((const char *) text + at, size - 1 - at) < size - 1 - at)
		return false;
	tok_utf8_decode((const char *) text + at, &code);
	return tok_python_is_digit(code);
}

static bool add_segments(EncodeContext *context, const Normalized *normalized, bool cut_commas,
						 size_t *first_stop);

/*
 * "2010," is cut into what "2010" gives by itself, and the comma.  By itself a
 * text begins a word, so when the piece did not, the mark is taken off again
 * and the first piece goes by what is left of it.
 */
static bool
add_without_comma(EncodeContext *context, const Normalized *normalized, size_t first, size_t stop)
{
	size_t		size = stop - first - 1;
	unsigned char *text = AlbertArenaAlloc(context->arena, size);
	Letter	   *letters = AlbertArenaArray(context->arena, size, sizeof(Letter));
	int32_t    *owner = AlbertArenaArray(context->arena, size, sizeof(int32_t));
	Normalized	again = {NULL, NULL, NULL, 0, 0};
	size_t		added = context->tokens.count;
	size_t		first_stop = 0;
	size_t		n = 0;
	int32_t		start = 0;
	int32_t		place = 0;
	int32_t		id;

	if (text == NULL || letters == NULL || owner == NULL)
		return tok_no_memory(context->status);
	for (size_t i = first; i < stop - 1; i++)
	{
		if (normalized->text[i] == WORD_MARK)
			continue;
		if (context->offsets)
			start = normalized->start[i];
		text[n] = normalized->text[i];
		letters[n] = (Letter) {.source = start < 0 ? ~start : start, .ghost = start < 0};
		owner[n] = (int32_t) n;
		n++;
	}
	if (!normalize(context, text, n, letters, owner, &again) ||
		!add_segments(context, &again, false, &first_stop))
		return false;
	if (normalized->text[first] != WORD_MARK && first_stop > 0 && again.text[0] == WORD_MARK)
	{
		Token	   *token = &context->tokens.items[added];

		if (first_stop == 1)
		{
			context->tokens.count--;
			memmove(token, token + 1, (context->tokens.count - added) * sizeof(Token));
		}
		else if (!text_id(context, again.text + 1, first_stop - 1, &token->id))
			return false;
	}
	if (!tok_reserve(context, 1) || !text_id(context, (const unsigned char *) ",", 1, &id))
		return false;
	token_place(normalized, stop - 1, stop, &start, &place);
	tok_add(context, id, start, place);
	return true;
}

/* Add the pieces of normalized text, a run of unknown ones as one. */
static bool
add_segments(EncodeContext *context, const Normalized *normalized, bool cut_commas, size_t *first_stop)
{
	const uint8_t *flags = TABLE(context->tokenizer, SECTION_PIECE_FLAGS, uint8_t);
	int32_t		model_unk_id = context->header->model_unk_id;
	Segment    *segments;
	size_t		count;
	size_t		first = 0;

	if (!tok_unigram(context->tokenizer, normalized->text, normalized->size, context->arena, &segments, &count,
					 context->status) ||
		!tok_reserve(context, count))
		return false;
	for (size_t i = 0; i < count; i++)
	{
		int32_t		id = segments[i].id;
		int32_t		start;
		int32_t		place;
		size_t		stop;
		bool		unknown = id == model_unk_id;
		bool		comma;

		while (unknown && i + 1 < count && segments[i + 1].id == id)
			i++;
		stop = segments[i].stop;
		if (first == 0 && first_stop != NULL)
			*first_stop = stop;
		comma = unknown ? ends_in_digit_comma(normalized->text + first, stop - first) :
			(flags[id] & PIECE_DIGIT_COMMA) != 0;
		if (comma && cut_commas)
		{
			if (!add_without_comma(context, normalized, first, stop) || !tok_reserve(context, count - i))
				return false;
		}
		else
		{
			if (unknown && !text_id(context, normalized->text + first, stop - first, &id))
				return false;
			token_place(normalized, first, stop, &start, &place);
			tok_add(context, id, start, place);
		}
		first = stop;
	}
	return true;
}

/* ---- fragments of any text ---- */

/* The fragment's letters after white space, quotes, decomposition and marks. */
static bool
prepare_letters(EncodeContext *context, const Fragment *fragment, Letters *letters)
{
	const uint32_t *codes = fragment->codes;
	size_t		count = fragment->count;
	uint32_t	flags = context->header->flags;
	bool		collapse = (flags & TOKENIZER_REMOVE_SPACE) != 0;
	bool		strip = (flags & TOKENIZER_KEEP_ACCENTS) == 0;
	bool		leading = true;

	letters->count = 0;
	while (collapse && count > 0 && tok_python_is_space(codes[count - 1]))
		count--;
	for (size_t i = 0; i < count; i++)
	{
		uint32_t	code = codes[i];
		uint32_t	parts[18];
		int32_t		part = 0;
		int			n = 1;

		if (collapse && tok_python_is_space(code))
		{
			if (leading || tok_python_is_space(codes[i + 1]))
				continue;
			code = ' ';
		}
		else
			leading = false;
		if ((code == '`' || code == '\'') && i + 1 < count && codes[i + 1] == code)
		{
			code = '"';
			i++;
		}
		parts[0] = code;
		if (strip && code >= 0x80)
			n = tok_python_decompose(code, true, parts);
		if (!letters_reserve(context, letters, n))
			return false;
		for (int j = 0; j < n; j++)
		{
			bool		ghost = strip && tok_fast_is_mark(parts[j]);

			if (strip && tok_python_combining(parts[j]) != 0)
				continue;
			letters->items[letters->count].code = parts[j];
			letters->items[letters->count].source = tok_fast_place(fragment->places, fragment->sources[i], part);
			letters->items[letters->count++].ghost = ghost;
			part += !ghost;
		}
	}
	return true;
}

/* Lower-case the letters as one string, and write them as UTF-8 with their owners. */
static bool
write_letters(EncodeContext *context, const Letters *letters, unsigned char **text, int32_t **owner, size_t *size)
{
	bool		lower = (context->header->flags & TOKENIZER_LOWER_CASE) != 0;
	size_t		n = 0;

	*text = AlbertArenaArray(context->arena, letters->count, 8);
	*owner = AlbertArenaArray(context->arena, letters->count, 8 * sizeof(int32_t));
	if (*text == NULL || *owner == NULL)
		return tok_no_memory(context->status);
	for (size_t i = 0; i < letters->count; i++)
	{
		uint32_t	codes[2] = {letters->items[i].code, 0};
		int			count = 1;

		if (lower && codes[0] == 0x3A3)
			codes[0] = tok_python_lower_sigma(&letters->items[0].code, letters->count,
											  sizeof(Letter) / sizeof(uint32_t), i);
		else if (lower)
			count = tok_python_lower(codes[0], codes);
		for (int j = 0; j < count; j++)
		{
			size_t		length = tok_utf8_encode(codes[j], *text + n);

			for (size_t k = 0; k < length; k++)
				(*owner)[n++] = (int32_t) i;
		}
	}
	*size = n;
	return true;
}

static bool
encode_any(EncodeContext *context, const Fragment *fragment)
{
	Letters		letters = {NULL, 0, 0};
	Normalized	normalized = {NULL, NULL, NULL, 0, 0};
	unsigned char *text;
	int32_t    *owner;
	size_t		size = 0;

	return prepare_letters(context, fragment, &letters) &&
		write_letters(context, &letters, &text, &owner, &size) &&
		normalize(context, text, size, letters.items, owner, &normalized) &&
		add_segments(context, &normalized, true, NULL);
}

/* ---- fragments of plain ASCII ---- */

/* Bytes are code points here. */
static bool
encode_ascii(EncodeContext *context, const char *text, size_t size, size_t base)
{
	const uint8_t *ascii = context->header->ascii;
	unsigned char *out = AlbertArenaAlloc(context->arena, 2 * size + 1);
	int32_t    *start = NULL;
	Normalized	normalized = {NULL, NULL, NULL, 0, 0};
	size_t		n = 0;
	size_t		i = 0;

	if (context->offsets)
		start = AlbertArenaArray(context->arena, 2 * size + 1, sizeof(int32_t));
	if (out == NULL || (context->offsets && start == NULL))
		return tok_no_memory(context->status);
	for (;;)
	{
		size_t		mark = n++;

		while (i < size && ascii[(unsigned char) text[i]] == ' ')
			i++;
		if (i == size)
		{
			n = mark;
			break;
		}
		out[mark] = WORD_MARK;
		for (; i < size && ascii[(unsigned char) text[i]] != ' '; i++)
		{
			unsigned char byte = ascii[(unsigned char) text[i]];

			if ((byte == '`' || byte == '\'') && i + 1 < size && text[i + 1] == text[i])
			{
				byte = '"';
				i++;
			}
			out[n] = byte;
			if (start != NULL)
				start[n] = (int32_t) (base + i);
			n++;
		}
		if (start != NULL)
			start[mark] = start[mark + 1];
	}
	normalized.text = out;
	normalized.start = start;
	normalized.size = n;
	return add_segments(context, &normalized, true, NULL);
}

bool
tok_spiece_fragment(EncodeContext *context, const Fragment *fragment)
{
	if (fragment->bytes != NULL)
		return encode_ascii(context, fragment->bytes, fragment->count, fragment->base);
	return encode_any(context, fragment);
}
