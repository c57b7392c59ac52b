/*
 * image.h
 *	  The image that the compilers write and the encoder reads.
 *
 * An image is a header and a list of sections, each an array at an offset from
 * the image's start; nothing in it is an address, so it may be mapped
 * anywhere.  It describes a tokenizer as a list of normalizing steps, what
 * splits normal text into words, a model that cuts words into pieces, added
 * tokens that are taken out of the text before, and a template of special
 * tokens around texts.
 *
 * In the texts and tries of a unigram model the word mark U+2581 is the single
 * byte WORD_MARK (never found in UTF-8), to keep the tries shallow.
 */
#ifndef ALBERT_TOKENIZER_IMAGE_H
#define ALBERT_TOKENIZER_IMAGE_H

#include <string.h>

#include "base/image.h"
#include "tokenizer/tokenizer.h"

#define MAX_PIECES			(1 << 21)
#define MAX_TEXT			(256 << 20) /* bytes of one text */

#define MOST_REPLACEMENT	100		/* code points that the character map replaces something with */

#define WORD_MARK			0xFF
#define WORD_MARK_CODE		0x2581
#define WORD_MARK_UTF8		"\xe2\x96\x81"

/* How ids become text; all of them as the decoders of a tokenizer.json. */
typedef enum Decoder
{
	DECODER_JOIN = 1,			/* tokens and spaces */
	DECODER_WORDPIECE,
	DECODER_WORDPIECE_CLEAN,
	DECODER_METASPACE,
	DECODER_METASPACE_PREFIX	/* a word mark before the first token is dropped */
} Decoder;

typedef enum ModelKind
{
	MODEL_UNIGRAM = 1,
	MODEL_WORDPIECE
} ModelKind;

/* Also the indexes of AlbertTokenizer.tables. */
typedef enum Section
{
	SECTION_PIECE_OFFSETS,		/* uint32_t[vocab_size + 1] into PIECE_BYTES */
	SECTION_PIECE_BYTES,		/* each piece with a NUL behind it */
	SECTION_PIECE_FLAGS,		/* uint8_t[vocab_size] */
	SECTION_SCORES,				/* double[vocab_size] */
	SECTION_TRIE,				/* TrieUnit[]: the pieces that text is cut into */
	SECTION_CHARSMAP,			/* uint32_t[]: Darts units */
	SECTION_CHARSMAP_TEXT,		/* NUL-terminated strings */
	SECTION_ADDED,				/* AddedToken[] */
	SECTION_ADDED_RAW,			/* TrieUnit[]: index in ADDED of those matched in the text as it is */
	SECTION_ADDED_NORMALIZED,	/* TrieUnit[]: likewise, matched behind the normalizers */
	SECTION_STEPS,				/* Step[] */
	SECTION_TEMPLATE,			/* TemplateItem[]: for a text, then for a pair */
	SECTION_COUNT
} Section;

typedef enum SpecialRole
{
	ROLE_BOS,					/* in the order in which the reference lists them */
	ROLE_EOS,
	ROLE_UNK,
	ROLE_SEP,
	ROLE_PAD,
	ROLE_CLS,
	ROLE_MASK,
	ROLE_COUNT
} SpecialRole;

typedef struct SectionPlace
{
	uint64_t	offset;
	uint64_t	size;			/* bytes */
} SectionPlace;

typedef struct TokenizerHeader
{
	AlbertImageHeader base;
	SectionPlace sections[SECTION_COUNT];

	int32_t		model;			/* ModelKind */
	int32_t		vocab_size;		/* added tokens included */
	int32_t		template_single;	/* how many items are for a text; the others are for a pair */
	int32_t		decoder;		/* Decoder */
	int32_t		max_length;
	int32_t		special[ROLE_COUNT];	/* ids; -1: there is no such token */
	int32_t		model_unk_id;	/* what the model calls unknown */
	int32_t		score_ring;		/* unigram: a power of two, more than a piece has bytes */
	int32_t		max_word;		/* WordPiece: code points of a word */
	int32_t		continuing_unit;	/* WordPiece: where in TRIE pieces that go on with a word begin; -1: nowhere */
	int32_t		truncate_left;
	int32_t		clean_up_spaces;	/* decode() does unless told otherwise */
	uint32_t	split;			/* SPLIT_*, MARK_* */
	double		unk_score;
	char		prefix[16];		/* WordPiece's decoder: "##", NUL-terminated */
	uint8_t		ascii[128];		/* what a plain character becomes */
	uint8_t		ascii_class[256];	/* ASCII_*, by the byte as written */
	uint8_t		added_first[256];	/* may the byte, in the text, start an added token? */
} TokenizerHeader;

/*
 * What splits normal text into words, in this order.  A word mark says that
 * white space was before what follows it.
 */
#define SPLIT_SPACES		0x01	/* white space goes */
#define SPLIT_PUNCTUATION	0x02	/* punctuation stands alone */
#define MARK_SPACES			0x04	/* spaces become word marks */
#define MARK_WORDS			0x08	/* words begin with one */
#define MARK_FIRST			0x10	/* the text's first word does */
#define SPLIT_MARKS			0x20	/* word marks begin words */
#define MARKED_WORDS		(SPLIT_SPACES | MARK_SPACES | MARK_WORDS | SPLIT_MARKS)	/* as ALBERT's files say */

#define ASCII_PLAIN			0x01	/* ascii[] tells all of it */
#define ASCII_PAIRED		0x02	/* unless another of these follows */
#define ASCII_SPACE			0x04	/* between words */
#define ASCII_ALONE			0x08	/* a word by itself */

/* SECTION_PIECE_FLAGS: 0: no piece has this id */
#define PIECE_KNOWN			0x01	/* in the model's vocabulary, or an added token */
#define PIECE_SPECIAL		0x02	/* skipped by decode(skip_special_tokens) */
#define PIECE_ODD			0x04	/* while compiling: not cut out of texts by its score alone */

/*
 * A node of a trie.  A child's index is base ^ byte, and it is one when its
 * label is that byte and it is in use; bases are unique, so this suffices.
 */
typedef struct TrieUnit
{
	uint32_t	link;			/* base << 9 | used << 8 | label */
	int32_t		id;				/* of what ends here; -1: nothing does */
} TrieUnit;

#define UNIT_USED			0x100u
#define UNIT_CHILD(unit, byte)	(((unit)->link >> 9) ^ (uint32_t) (byte))
#define UNIT_IS(unit, byte)		(((unit)->link & 0x1FFu) == (UNIT_USED | (uint32_t) (byte)))

typedef struct Trie
{
	const TrieUnit *units;
	size_t		count;
} Trie;

/* The node behind this one for a byte; NULL: there is none. */
static inline const TrieUnit *
tok_trie_step(Trie trie, const TrieUnit *unit, unsigned char byte)
{
	size_t		child = UNIT_CHILD(unit, byte);

	return child < trie.count && UNIT_IS(&trie.units[child], byte) ? &trie.units[child] : NULL;
}

/* The next byte of a key; in a unigram model's, word marks are single ones. */
static inline unsigned char
tok_trie_byte(const char *text, size_t size, bool unigram, size_t *at)
{
	bool		mark = unigram && size - *at >= 3 && memcmp(text + *at, WORD_MARK_UTF8, 3) == 0;
	unsigned char byte = mark ? WORD_MARK : (unsigned char) text[*at];

	*at += mark ? 3 : 1;
	return byte;
}

/* The node that a text leads to; NULL: there is none. */
static inline const TrieUnit *
tok_trie_walk(Trie trie, const char *text, size_t size, bool unigram)
{
	const TrieUnit *unit = trie.units;

	for (size_t i = 0; i < size && unit != NULL;)
		unit = tok_trie_step(trie, unit, tok_trie_byte(text, size, unigram, &i));
	return unit;
}

/* The longest key, from a node on if there is one, that the text starts with: its bytes, 0 when there is none. */
static inline size_t
tok_trie_longest(Trie trie, const TrieUnit *unit, const unsigned char *text, size_t size, int32_t *id)
{
	size_t		longest = 0;

	for (size_t i = 0; i < size && unit != NULL; i++)
	{
		unit = tok_trie_step(trie, unit, text[i]);
		if (unit != NULL && unit->id >= 0)
		{
			longest = i + 1;
			*id = unit->id;
		}
	}
	return longest;
}

/*
 * A Darts unit of the character map is 32 bits: a leaf has the highest bit set
 * and holds a value; any other holds the label of the edge that led to it in
 * bits 0-7, whether it has a leaf in bit 8, and the offset to its children in
 * bits 10-30, to be shifted by 8 more when bit 9 is set.
 */
#define DARTS_IS_LEAF(unit)	((unit) >> 31 != 0)
#define DARTS_LABEL(unit)	((unit) & 0x800000FFu)
#define DARTS_HAS_LEAF(unit)	(((unit) >> 8 & 1) != 0)
#define DARTS_OFFSET(unit)	((size_t) ((unit) >> 10) << (((unit) & 0x200u) >> 6))
#define DARTS_VALUE(unit)	((unit) & 0x7FFFFFFFu)

typedef struct AddedToken
{
	int32_t		id;
	uint32_t	flags;			/* ADDED_* */
} AddedToken;

#define ADDED_LSTRIP		0x01
#define ADDED_RSTRIP		0x02
#define ADDED_SINGLE_WORD	0x04
#define ADDED_NORMALIZED	0x08
#define ADDED_SPECIAL		0x10

typedef enum Operation
{
	STEP_REPLACE = 1,
	STEP_REPLACE_SPACES,		/* two or more of them */
	STEP_PREPEND,
	STEP_NFD,
	STEP_NFKD,
	STEP_STRIP_MARKS,
	STEP_STRIP_NONSPACING,
	STEP_LOWER,
	STEP_STRIP_LEFT,
	STEP_STRIP_RIGHT,
	STEP_CHARSMAP,
	STEP_CLEAN,
	STEP_IDEOGRAPHS
} Operation;

#define MOST_CODES			16	/* of a step's string */

typedef struct StepString
{
	uint32_t	count;
	uint32_t	codes[MOST_CODES];
} StepString;

typedef struct Step
{
	int32_t		operation;
	StepString	pattern;		/* what is replaced; else empty */
	StepString	content;		/* what is put there, or first; else empty */
} Step;

typedef enum TemplateWhat
{
	TEMPLATE_FIRST,				/* the first text */
	TEMPLATE_SECOND,
	TEMPLATE_SPECIAL
} TemplateWhat;

typedef struct TemplateItem
{
	int32_t		what;			/* TemplateWhat */
	int32_t		id;				/* of a special token */
	int32_t		type;
} TemplateItem;

#define HEADER(tokenizer)	((const TokenizerHeader *) (tokenizer)->image)
#define TABLE(tokenizer, section, type) ((const type *) (tokenizer)->tables[section])
#define SECTION_ITEMS(header, section, type) ((size_t) ((header)->sections[section].size / sizeof(type)))
#define TRIE(tokenizer, section) \
	((Trie) {TABLE(tokenizer, section, TrieUnit), SECTION_ITEMS(HEADER(tokenizer), section, TrieUnit)})

#endif							/* ALBERT_TOKENIZER_IMAGE_H */
