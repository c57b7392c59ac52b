/*
 * characters.c
 *	  Characters as Hugging Face's tokenizers library knows them, and UTF-8.
 *
 * Its answers come from crates with Unicode data of different ages (marks of
 * Unicode 9, lower case of Unicode 17), which unicode_tables.h records.  What
 * is stable for a character once it is assigned is asked of utf8proc.
 */
#include "tokenizer/characters.h"

#include <string.h>

typedef struct CodePair
{
	uint32_t	from;
	uint32_t	to;
} CodePair;

#include "tokenizer/unicode_tables.h"

#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))

/* Of marks that the library knows. */
int
tok_combining_class(uint32_t code)
{
	return tok_is(code, IS_MARK) ? utf8proc_get_property(code)->combining_class : 0;
}

/* Has its grapheme no other characters, whatever is beside it, unless they ask for that? */
static inline bool
is_alone(uint32_t code)
{
	return tok_is_printable_ascii(code) || utf8proc_get_property(code)->boundclass == UTF8PROC_BOUNDCLASS_OTHER;
}

/* Does a grapheme end between two letters?  The state is utf8proc's. */
bool
tok_grapheme_break(uint32_t before, uint32_t code, int32_t *state)
{
	if (is_alone(before) && is_alone(code))
		return true;
	return utf8proc_grapheme_break_stateful(before, code, state);
}

int
tok_lower(uint32_t code, uint32_t out[2])
{
	size_t		low = 0;
	size_t		high = LENGTH(lower_pairs);

	if (code == 0x130)
	{
		out[0] = 'i';
		out[1] = 0x307;
		return 2;
	}
	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		if (code > lower_pairs[middle].from)
			low = middle + 1;
		else
			high = middle;
	}
	out[0] = lower_pairs[low].to;
	return 1;
}

int
tok_decompose(uint32_t code, bool compatible, uint32_t out[MOST_PARTS])
{
	utf8proc_option_t options = UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
	utf8proc_ssize_t n = 0;
	int			boundclass = 0;

	if (tok_is(code, IS_DECOMPOSED))
		n = utf8proc_decompose_char(code, (utf8proc_int32_t *) out, MOST_PARTS, options, &boundclass);
	if (n >= 1 && n <= MOST_PARTS)
		return (int) n;
	out[0] = code;
	return 1;
}

size_t
tok_utf8_valid(const char *text, size_t size)
{
	size_t		at = 0;

	while (at < size)
	{
		uint64_t	word = ~UINT64_C(0);
		utf8proc_ssize_t length = sizeof(word);
		utf8proc_int32_t code;

		if (size - at >= sizeof(word))
			memcpy(&word, text + at, sizeof(word));
		if ((word & UINT64_C(0x8080808080808080)) != 0)
			length = utf8proc_iterate((const utf8proc_uint8_t *) text + at, (utf8proc_ssize_t) (size - at), &code);
		if (length <= 0)
			break;
		at += length;
	}
	return at;
}

size_t
tok_utf8_count(const char *text, size_t size)
{
	size_t		count = 0;

	for (size_t i = 0; i < size; i++)
		count += tok_utf8_begins((unsigned char) text[i]);
	return count;
}
