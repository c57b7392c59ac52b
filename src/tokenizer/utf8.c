/*
 * utf8.c
 *	  Checking and counting UTF-8.
 */
#include "tokenizer/characters.h"

#include <string.h>

#define HIGH_BITS	UINT64_C(0x8080808080808080)

static inline bool
is_tail(unsigned char byte)
{
	return (byte & 0xC0) == 0x80;
}

/* Length of the well-formed character at p (Unicode's table 3-7), or 0. */
static size_t
character_length(const unsigned char *p, size_t room)
{
	unsigned char low = 0x80;
	unsigned char high = 0xBF;
	size_t		length;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	length = tok_utf8_length(p[0]);
	if (length > room)
		return 0;
	if (p[0] == 0xE0)
		low = 0xA0;
	else if (p[0] == 0xED)
		high = 0x9F;
	else if (p[0] == 0xF0)
		low = 0x90;
	else if (p[0] == 0xF4)
		high = 0x8F;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (!is_tail(p[i]))
			return 0;
	return length;
}

size_t
tok_utf8_valid(const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *) text;
	size_t		at = 0;

	while (at < size)
	{
		size_t		length;

		while (size - at >= 8)
		{
			uint64_t	word;

			memcpy(&word, p + at, 8);
			if (word & HIGH_BITS)
				break;
			at += 8;
		}
		if (at == size)
			break;
		length = character_length(p + at, size - at);
		if (length == 0)
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
		count += !is_tail((unsigned char) text[i]);
	return count;
}
