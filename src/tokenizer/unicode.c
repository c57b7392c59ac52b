/*
 * unicode.c
 *	  Characters as Hugging Face's tokenizers library knows them.
 *
 * Its answers come from crates with Unicode data of different ages (marks of
 * Unicode 9, lower case of Unicode 17), which unicode_tables.h records.  What
 * is stable for a character once it is assigned is asked of utf8proc.
 */
#include "tokenizer/characters.h"

typedef struct CodePair
{
	uint32_t	from;
	uint32_t	to;
} CodePair;

#include "tokenizer/unicode_tables.h"

#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))

static inline bool
has_property(uint32_t code, uint8_t property)
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
tok_is_mark(uint32_t code)
{
	return has_property(code, IS_MARK);
}

bool
tok_is_nonspacing(uint32_t code)
{
	return has_property(code, IS_NONSPACING);
}

bool
tok_is_control(uint32_t code)
{
	return has_property(code, IS_CONTROL);
}

bool
tok_is_punctuation(uint32_t code)
{
	return has_property(code, IS_PUNCTUATION);
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

bool
tok_is_digit(uint32_t code)
{
	return has_property(code, IS_DIGIT);
}

bool
tok_is_word_character(uint32_t code)
{
	return has_property(code, IS_WORD);
}

/* Of marks that the library knows. */
int
tok_combining_class(uint32_t code)
{
	return tok_is_mark(code) ? utf8proc_get_property(code)->combining_class : 0;
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
	if (!has_property(code, IS_UPPER))
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

	if (has_property(code, IS_DECOMPOSED))
		n = utf8proc_decompose_char(code, (utf8proc_int32_t *) out, MOST_PARTS, options, &boundclass);
	if (n >= 1 && n <= MOST_PARTS)
		return (int) n;
	out[0] = code;
	return 1;
}
