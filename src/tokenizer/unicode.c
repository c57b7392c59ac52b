/*
 * unicode.c
 *	  Characters as Hugging Face's tokenizers library knows them.
 *
 * Its answers come from crates with Unicode data of different ages (marks of
 * Unicode 9, lower case of Unicode 17), which unicode_tables.h records.  What
 * is stable for a character once it is assigned is asked of utf8proc.
 */
#include "tokenizer/characters.h"

#include <utf8proc.h>

typedef struct CodeRange
{
	uint32_t	first;
	uint32_t	last;
} CodeRange;

typedef struct CodePair
{
	uint32_t	from;
	uint32_t	to;
} CodePair;

#include "tokenizer/unicode_tables.h"

#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))
#define IN(ranges, code)	in_ranges(ranges, LENGTH(ranges), code)

static bool
in_ranges(const CodeRange *ranges, size_t count, uint32_t code)
{
	size_t		low = 0;
	size_t		high = count;

	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		if (code > ranges[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && code >= ranges[low].first;
}

/*
 * What is asked of every letter that is not ASCII is laid out by character,
 * for those below PLANE, when it is first asked.
 */
#define PLANE			0x10000
#define IS_MARK			0x01
#define IS_NONSPACING	0x02
#define IS_CONTROL		0x04
#define IS_PUNCTUATION	0x08
#define IS_DECOMPOSED	0x10
#define IS_UPPER		0x20	/* has a lower case */
#define IS_JOINED		0x40	/* its grapheme may have other characters */

static uint8_t properties[PLANE];
static bool properties_known = false;

static void
mark_ranges_with(const CodeRange *ranges, size_t count, uint8_t property)
{
	for (size_t i = 0; i < count; i++)
		for (uint32_t code = ranges[i].first; code <= ranges[i].last && code < PLANE; code++)
			properties[code] |= property;
}

static void
lay_out_properties(void)
{
	mark_ranges_with(mark_ranges, LENGTH(mark_ranges), IS_MARK);
	mark_ranges_with(nonspacing_ranges, LENGTH(nonspacing_ranges), IS_NONSPACING);
	mark_ranges_with(control_ranges, LENGTH(control_ranges), IS_CONTROL);
	mark_ranges_with(punctuation_ranges, LENGTH(punctuation_ranges), IS_PUNCTUATION);
	mark_ranges_with(decomposed_ranges, LENGTH(decomposed_ranges), IS_DECOMPOSED);
	for (size_t i = 0; i < LENGTH(lower_pairs); i++)
		if (lower_pairs[i].from < PLANE)
			properties[lower_pairs[i].from] |= IS_UPPER;
	for (uint32_t code = 0; code < PLANE; code++)
	{
		if (utf8proc_get_property(code)->boundclass != UTF8PROC_BOUNDCLASS_OTHER)
			properties[code] |= IS_JOINED;
		if (code >= 0xAC00 && code < 0xD7A4)
			properties[code] |= IS_DECOMPOSED;
	}
	properties_known = true;
}

static inline bool
has_property(uint32_t code, uint8_t property)
{
	if (!properties_known)
		lay_out_properties();
	return (properties[code] & property) != 0;
}

#define TEST(property, ranges, code) \
	((code) < PLANE ? has_property(code, property) : IN(ranges, code))

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
	return code >= 0x300 && TEST(IS_MARK, mark_ranges, code);
}

bool
tok_is_nonspacing(uint32_t code)
{
	return code >= 0x300 && TEST(IS_NONSPACING, nonspacing_ranges, code);
}

bool
tok_is_control(uint32_t code)
{
	return !(code >= ' ' && code < 0x7F) && TEST(IS_CONTROL, control_ranges, code);
}

bool
tok_is_punctuation(uint32_t code)
{
	if (code < 0x80)
		return (code >= 33 && code <= 47) || (code >= 58 && code <= 64) ||
			(code >= 91 && code <= 96) || (code >= 123 && code <= 126);
	return TEST(IS_PUNCTUATION, punctuation_ranges, code);
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
	return IN(digit_ranges, code);
}

bool
tok_is_word_character(uint32_t code)
{
	return IN(word_ranges, code);
}

/* Of marks that the library knows. */
int
tok_combining_class(uint32_t code)
{
	return tok_is_mark(code) ? utf8proc_get_property(code)->combining_class : 0;
}

/* Does a grapheme end between two letters?  The state is utf8proc's. */
bool
tok_grapheme_break(uint32_t before, uint32_t code, int32_t *state)
{
	if (before < PLANE && code < PLANE && !has_property(before, IS_JOINED) && !has_property(code, IS_JOINED))
		return true;
	return utf8proc_grapheme_break_stateful(before, code, state);
}

int
tok_lower(uint32_t code, uint32_t out[2])
{
	size_t		low = 0;
	size_t		high = LENGTH(lower_pairs);

	out[0] = code;
	if (code < 0x80)
	{
		if (code >= 'A' && code <= 'Z')
			out[0] = code + 32;
		return 1;
	}
	if (code == 0x130)
	{
		out[0] = 'i';
		out[1] = 0x307;
		return 2;
	}
	if (code < PLANE && !has_property(code, IS_UPPER))
		return 1;
	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		if (code > lower_pairs[middle].from)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < LENGTH(lower_pairs) && lower_pairs[low].from == code)
		out[0] = lower_pairs[low].to;
	return 1;
}

int
tok_decompose(uint32_t code, bool compatible, uint32_t out[MOST_PARTS])
{
	utf8proc_option_t options = UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
	utf8proc_ssize_t n = 0;
	int			boundclass = 0;

	if (code >= 0xA0 && TEST(IS_DECOMPOSED, decomposed_ranges, code))
		n = utf8proc_decompose_char(code, (utf8proc_int32_t *) out, MOST_PARTS, options, &boundclass);
	if (n >= 1 && n <= MOST_PARTS)
		return (int) n;
	out[0] = code;
	return 1;
}
