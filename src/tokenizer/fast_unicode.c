/*
 * fast_unicode.c
 *	  Characters as Hugging Face's tokenizers library knows them.
 *
 * Its answers come from crates with Unicode data of different ages (marks of
 * Unicode 9, lower case of Unicode 17), which fast_tables.h records.
 */
#include "tokenizer/internal.h"

#include "tokenizer/fast_tables.h"

#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))

/* The White_Space property. */
bool
tok_fast_is_space(uint32_t code)
{
	return tok_python_is_space(code) && !(code >= 0x1C && code <= 0x1F);
}

bool
tok_fast_is_mark(uint32_t code)
{
	return code >= 0x300 && tok_in_ranges(fast_mark_ranges, LENGTH(fast_mark_ranges), code);
}

bool
tok_fast_is_nonspacing(uint32_t code)
{
	return code >= 0x300 && tok_in_ranges(fast_nonspacing_ranges, LENGTH(fast_nonspacing_ranges), code);
}

bool
tok_fast_is_control(uint32_t code)
{
	return tok_in_ranges(fast_control_ranges, LENGTH(fast_control_ranges), code);
}

bool
tok_fast_is_punctuation(uint32_t code)
{
	return tok_in_ranges(fast_punctuation_ranges, LENGTH(fast_punctuation_ranges), code);
}

int
tok_fast_lower(uint32_t code, uint32_t out[2])
{
	if (code >= fast_lower_pairs[0].from)
		for (size_t i = 0; i < LENGTH(fast_lower_pairs); i++)
			if (fast_lower_pairs[i].from == code)
			{
				out[0] = fast_lower_pairs[i].to;
				return 1;
			}
	return tok_python_lower(code, out);
}

int
tok_fast_decompose(uint32_t code, bool compatible, uint32_t out[18])
{
	bool		syllable = code >= 0xAC00 && code < 0xD7A4;

	if (code < 0xA0 ||
		(!syllable && !tok_in_ranges(fast_nfkd_ranges, LENGTH(fast_nfkd_ranges), code)))
	{
		out[0] = code;
		return 1;
	}
	return tok_python_decompose(code, compatible, out);
}
