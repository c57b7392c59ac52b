/*
 * unicode.c
 *	  Characters as Python's str and unicodedata know them.
 *
 * The reference runs on Python, whose answers are part of the specification,
 * down to its version of Unicode.  utf8proc has the data; where it is newer, a
 * character that Unicode 14 had not assigned is given the properties of an
 * unassigned one, so that the answers do not change with the library.
 * (Normalisation and case mappings of assigned characters are stable.)
 */
#include "tokenizer/internal.h"

#include <utf8proc.h>

#include "tokenizer/unicode_tables.h"

#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))
#define MOST_PARTS		18		/* of a decomposition */

bool
tok_in_ranges(const CodeRange *ranges, size_t count, uint32_t code)
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

static bool
is_assigned(uint32_t code)
{
	return tok_in_ranges(assigned_ranges, LENGTH(assigned_ranges), code);
}

bool
tok_python_is_space(uint32_t code)
{
	if (code < 0x80)
		return code == ' ' || (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x1F);
	if (code < 0x1680)
		return code == 0x85 || code == 0xA0;
	return code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
		code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool
tok_python_is_digit(uint32_t code)
{
	if (code < 0x80)
		return code >= '0' && code <= '9';
	return tok_in_ranges(digit_ranges, LENGTH(digit_ranges), code);
}

int
tok_python_lower(uint32_t code, uint32_t out[2])
{
	uint32_t	lower;

	if (code < 0x80)
	{
		out[0] = code >= 'A' && code <= 'Z' ? code + 32 : code;
		return 1;
	}
	if (code == 0x130)
	{
		out[0] = 'i';
		out[1] = 0x307;
		return 2;
	}
	lower = utf8proc_tolower(code);
	out[0] = lower != code && is_assigned(code) ? lower : code;
	return 1;
}

static bool
is_case_ignorable(uint32_t code)
{
	return tok_in_ranges(case_ignorable_ranges, LENGTH(case_ignorable_ranges), code);
}

static bool
is_cased(uint32_t code)
{
	return tok_in_ranges(cased_ranges, LENGTH(cased_ranges), code);
}

/*
 * A capital sigma becomes the final form behind a cased letter when no cased
 * letter follows, case-ignorable characters looked through on both sides.
 */
uint32_t
tok_python_lower_sigma(const uint32_t *codes, size_t count, size_t stride, size_t at)
{
	size_t		i = at;

	while (i > 0 && is_case_ignorable(codes[(i - 1) * stride]))
		i--;
	if (i == 0 || !is_cased(codes[(i - 1) * stride]))
		return 0x3C3;
	for (i = at + 1; i < count && is_case_ignorable(codes[i * stride]); i++)
		;
	return i < count && is_cased(codes[i * stride]) ? 0x3C3 : 0x3C2;
}

int
tok_python_decompose(uint32_t code, bool compatible, uint32_t out[MOST_PARTS])
{
	int			boundclass = 0;
	utf8proc_int32_t *codes = (utf8proc_int32_t *) out;
	utf8proc_option_t options = UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
	utf8proc_ssize_t n = 1;

	if (code >= 0xA0)
		n = utf8proc_decompose_char(code, codes, MOST_PARTS, options, &boundclass);
	if (code < 0xA0 || n < 1 || n > MOST_PARTS || (out[0] != code && !is_assigned(code)))
	{
		out[0] = code;
		return 1;
	}
	return (int) n;
}

int
tok_python_combining(uint32_t code)
{
	int			class;

	if (code < 0x300)
		return 0;
	class = utf8proc_get_property(code)->combining_class;
	return class != 0 && is_assigned(code) ? class : 0;
}

static utf8proc_category_t
category(uint32_t code)
{
	return is_assigned(code) ? utf8proc_category(code) : UTF8PROC_CATEGORY_CN;
}

bool
tok_python_is_control(uint32_t code)
{
	utf8proc_category_t c;

	if (code < 0x80)
		return code < 0x20 || code == 0x7F;
	c = category(code);
	return c == UTF8PROC_CATEGORY_CN || c == UTF8PROC_CATEGORY_CC || c == UTF8PROC_CATEGORY_CF ||
		c == UTF8PROC_CATEGORY_CS || c == UTF8PROC_CATEGORY_CO;
}

bool
tok_python_is_separator(uint32_t code)
{
	return code < 0x80 ? code == ' ' : category(code) == UTF8PROC_CATEGORY_ZS;
}

bool
tok_python_is_nonspacing(uint32_t code)
{
	return code >= 0x300 && category(code) == UTF8PROC_CATEGORY_MN;
}

bool
tok_python_is_punctuation(uint32_t code)
{
	utf8proc_category_t c = category(code);

	return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}

/* What canonical composition makes of two characters that stand together. */
uint32_t
tok_python_compose(uint32_t first, uint32_t second)
{
	utf8proc_int32_t pair[2] = {(utf8proc_int32_t) first, (utf8proc_int32_t) second};

	if (!is_assigned(first) || !is_assigned(second))
		return 0;
	return utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE) == 1 ? (uint32_t) pair[0] : 0;
}
