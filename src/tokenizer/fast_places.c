/*
 * fast_places.c
 *	  Where the fast tokenizer believes a text's letters to be.
 *
 * Its normalizer keeps account of where each letter came from, with one flaw:
 * when the character map deletes the first n letters of a fragment (a control
 * character or a zero-width one, at the start of a text or behind a special
 * token), all letters of that fragment are held to be where the letter n before
 * them is.  Offsets are to be the fast tokenizer's, so its letters are counted
 * here as it counts them; in nearly all texts there is nothing to do.
 */
#include "tokenizer/internal.h"

#include <string.h>

/* The letters that a character becomes on its way to the character map. */
static int
get_letters(uint32_t code, bool strip, uint32_t letters[18])
{
	int			count = 0;
	int			n = 1;

	letters[0] = code;
	if (strip)
		n = tok_fast_decompose(code, true, letters);
	for (int i = 0; i < n; i++)
		if (!strip || !tok_fast_is_mark(letters[i]))
			letters[count++] = letters[i];
	return count;
}

/* How many letters at a fragment's start the character map deletes. */
static int32_t
deleted_at_start(const AlbertTokenizer *tokenizer, const uint32_t *codes, size_t count, bool strip)
{
	int32_t		deleted = 0;

	for (size_t i = 0; i < count; i++)
	{
		uint32_t	letters[18];
		int			n = get_letters(codes[i], strip, letters);

		for (int j = 0; j < n; j++)
		{
			unsigned char text[4];
			const char *replacement;
			size_t		size = tok_utf8_encode(letters[j], text);

			if (!tok_charsmap_shortest(tokenizer, text, size, &replacement) || *replacement != '\0')
				return deleted;
			deleted++;
		}
	}
	return deleted;
}

static bool
append_place(EncodeContext *context, FastPlaces *places, int32_t *room, int32_t place)
{
	if (places->count == *room)
	{
		int32_t		wanted = *room * 2 + 256;
		int32_t    *fresh = AlbertArenaArray(context->arena, wanted, sizeof(int32_t));

		if (fresh == NULL)
			return tok_no_memory(context->status);
		if (places->count > 0)
			memcpy(fresh, places->places, places->count * sizeof(int32_t));
		places->places = fresh;
		*room = wanted;
	}
	places->places[places->count++] = place;
	return true;
}

/*
 * The end of the fragment that starts at from: where the next added token, as
 * written, begins, with the white space that is its own.  *stop is behind it.
 */
static size_t
fragment_end(const AlbertTokenizer *tokenizer, const uint32_t *codes, size_t count, size_t from, size_t *stop)
{
	for (size_t at = from; at < count; at++)
	{
		const AddedToken *token = tok_added_longest(tokenizer, codes, count, at, 0, 0);

		if (token == NULL)
			continue;
		*stop = at + token->code_count;
		while ((token->flags & ADDED_LSTRIP) && at > from && tok_fast_is_space(codes[at - 1]))
			at--;
		while ((token->flags & ADDED_RSTRIP) && *stop < count && tok_fast_is_space(codes[*stop]))
			(*stop)++;
		return at;
	}
	*stop = count;
	return count;
}

bool
tok_fast_places(EncodeContext *context, const uint32_t *codes, size_t count, FastPlaces *places)
{
	bool		strip = (context->header->flags & TOKENIZER_KEEP_ACCENTS) == 0;
	bool		pass_two = false;
	int32_t		room = 0;

	memset(places, 0, sizeof(*places));
	/* is there any such fragment? only then count */
	for (int pass = 1; pass == 1 || (pass == 2 && pass_two); pass++)
	{
		size_t		at = 0;

		if (pass == 2)
			places->base = AlbertArenaArray(context->arena, count, sizeof(int32_t));
		if (pass == 2 && places->base == NULL)
			return tok_no_memory(context->status);
		while (at < count)
		{
			size_t		stop;
			size_t		end = fragment_end(context->tokenizer, codes, count, at, &stop);
			int32_t		deleted = deleted_at_start(context->tokenizer, codes + at, end - at, strip);

			pass_two |= deleted > 0;
			for (; pass == 2 && at < end; at++)
			{
				uint32_t	code = codes[at];
				uint32_t	letters[18];
				int			letter_count = get_letters(code, strip, letters);

				places->base[at] = places->count - deleted;
				if ((code == '`' || code == '\'') && at + 1 < end && codes[at + 1] == code)
				{
					at++;
					places->base[at] = places->count - deleted;
				}
				for (int i = 0; i < letter_count; i++)
					if (!append_place(context, places, &room, (int32_t) at))
						return false;
			}
			for (at = end; at < stop; at++)
			{
				if (pass == 2)
					places->base[at] = places->count;
				if (pass == 2 && !append_place(context, places, &room, (int32_t) at))
					return false;
			}
		}
	}
	return true;
}
