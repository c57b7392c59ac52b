/*
 * characters.h
 *	  UTF-8, and characters as Hugging Face's fast tokenizers know them.
 */
#ifndef ALBERT_TOKENIZER_CHARACTERS_H
#define ALBERT_TOKENIZER_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <utf8proc.h>

#define MOST_PARTS		18		/* of a decomposition */

extern size_t tok_utf8_valid(const char *text, size_t size);	/* how many bytes are; size if all */
extern size_t tok_utf8_count(const char *text, size_t size);	/* code points */

/* Bytes of a character. */
static inline size_t
tok_utf8_size(uint32_t code)
{
	return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/* Bytes written, up to 4. */
static inline size_t
tok_utf8_encode(uint32_t code, unsigned char *text)
{
	if (code < 0x80)
	{
		text[0] = (unsigned char) code;
		return 1;
	}
	return (size_t) utf8proc_encode_char((utf8proc_int32_t) code, text);
}

/* Bytes of the character that starts with this one; the text is valid. */
static inline size_t
tok_utf8_length(unsigned char lead)
{
	return lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* Is it the first byte of a character? */
static inline bool
tok_utf8_begins(unsigned char byte)
{
	return (byte & 0xC0) != 0x80;
}

/* Decode one character of valid UTF-8; returns the bytes taken. */
static inline size_t
tok_utf8_decode(const char *text, uint32_t *code)
{
	const unsigned char *p = (const unsigned char *) text;

	if (p[0] < 0x80)
	{
		*code = p[0];
		return 1;
	}
	if (p[0] < 0xE0)
	{
		*code = (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
		return 2;
	}
	if (p[0] < 0xF0)
	{
		*code = (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
		return 3;
	}
	*code = (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
	return 4;
}

/* What the library does with a character, in the bits of unicode_tables.h. */
typedef enum CharacterProperty
{
	IS_MARK = 0x01,				/* StripAccents drops it */
	IS_NONSPACING = 0x02,		/* BertNormalizer drops it as an accent */
	IS_CONTROL = 0x04,			/* BertNormalizer drops it when it cleans text */
	IS_PUNCTUATION = 0x08,		/* BertPreTokenizer makes it a word */
	IS_DECOMPOSED = 0x10,		/* NFKD changes it */
	IS_UPPER = 0x20,			/* Lowercase changes it */
	IS_DIGIT = 0x40,			/* Python's str.isdigit() */
	IS_WORD = 0x80,				/* an added token that is to be a single word is none beside it */
	IS_SPACE = 0x100,			/* BertPreTokenizer drops it between words: the White_Space property */
	IS_IDEOGRAPH = 0x200		/* BertNormalizer makes it a word */
} CharacterProperty;

extern const uint8_t tok_property_pages[];	/* by block of 256 characters */
extern const uint16_t tok_properties[][256];

static inline uint32_t
tok_properties_of(uint32_t code)
{
	return tok_properties[tok_property_pages[code >> 8]][code & 0xFF];
}

/* Has the character one of the properties? */
static inline bool
tok_is(uint32_t code, uint32_t properties)
{
	return (tok_properties_of(code) & properties) != 0;
}

extern bool tok_grapheme_break(uint32_t before, uint32_t code, int32_t *state);
extern int	tok_combining_class(uint32_t code);
extern int	tok_lower(uint32_t code, uint32_t out[2]);	/* of one that IS_UPPER; codes written */
extern int	tok_decompose(uint32_t code, bool compatible, uint32_t out[MOST_PARTS]);	/* codes written */

static inline bool
tok_is_printable_ascii(uint32_t code)
{
	return code >= ' ' && code < 0x7F;
}

#endif							/* ALBERT_TOKENIZER_CHARACTERS_H */
