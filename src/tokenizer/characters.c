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

bool
tok_is(uint32_t code, CharacterProperty property)
{
	return (properties[property_pages[code >> 8]][code & 0xFF] & property) != 0;
}

bool
tok_is_space(uint32_t code)
{
	if (code < 0x80)
		return code == ' ' || (code >= 0x09 && code <= 0x0D);
	if (code < 0x1680)
		return code == 0x85 || code == 0xA0;
	return code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
		code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool
tok_is_ideograph(uint32_t code)
{
	return code >= 0x3400 &&
		((code >= 0x4E00 && code <= 0x9FFF) || code <= 0x4DBF ||
		 (code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B81F) ||
		 (code >= 0x2B920 && code <= 0x2CEAF) || (code >= 0xF900 && code <= 0xFAFF) ||
		 (code >= 0x2F800 && code <= 0x2FA1F));
}

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
	return (code >= ' ' && code < 0x7F) || utf8proc_get_property(code)->boundclass == UTF8PROC_BOUNDCLASS_OTHER;
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

	out[0] = code;
	if (!tok_is(code, IS_UPPER))
		return 1;
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

/* Bytes of the well-formed character at p, or 0. */
static inline size_t
character_length(const char *p, size_t room)
{
	unsigned char lead = (unsigned char) p[0];
	size_t		length = tok_utf8_length(lead);
	uint32_t	code;

	if (lead < 0x80)
		return 1;
	if (lead < 0xC2 || lead > 0xF4 || length > room)
		return 0;
	for (size_t i = 1; i < length; i++)
		if (((unsigned char) p[i] & 0xC0) != 0x80)
			return 0;
	tok_utf8_decode(p, &code);
	if (length == 3 && (code < 0x800 || (code >= 0xD800 && code <= 0xDFFF)))
		return 0;
	return length == 4 && (code < 0x10000 || code > 0x10FFFF) ? 0 : length;
}

size_t
tok_utf8_valid(const char *text, size_t size)
{
	size_t		length = 1;
	size_t		at = 0;

	for (; at < size && length > 0; at += length)
	{
		uint64_t	word = ~UINT64_C(0);

		if (size - at >= sizeof(word))
			memcpy(&word, text + at, sizeof(word));
		length = (word & UINT64_C(0x8080808080808080)) == 0 ? sizeof(word) : character_length(text + at, size - at);
	}
	return at;
}

size_t
tok_utf8_count(const char *text, size_t size)
{
	size_t		count = 0;

	for (size_t i = 0; i < size; i++)
		count += ((unsigned char) text[i] & 0xC0) != 0x80;
	return count;
}
