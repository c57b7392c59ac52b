/*
 * image.h
 *	  The image that the compilers write and the encoder reads.
 *
 * An image is a header and a list of sections, each an array at an offset from
 * the image's start; nothing in it is an address, so it may be mapped
 * anywhere.  It describes a tokenizer as a list of steps (normalizers, then
 * pre-tokenizers), a model that cuts words into pieces, added tokens that are
 * taken out of the text before, and a template of special tokens around texts.
 *
 * In the texts and tries of a unigram model the word mark U+2581 is the single
 * byte WORD_MARK (never found in UTF-8), to keep the tries shallow.
 */
#ifndef ALBERT_TOKENIZER_IMAGE_H
#define ALBERT_TOKENIZER_IMAGE_H

#include "base/image.h"
#include "tokenizer/tokenizer.h"

#define MAX_PIECES			(1 << 21)
#define MAX_TEXT			(256 << 20) /* bytes of one text */

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
	SECTION_PIECE_BYTES,
	SECTION_PIECE_FLAGS,		/* uint8_t[vocab_size] */
	SECTION_SCORES,				/* double[vocab_size] */
	SECTION_TRIE,				/* TrieUnit[]: the pieces that text is cut into */
	SECTION_TRIE2,				/* TrieUnit[]: WordPiece's continuing pieces */
	SECTION_HASH,				/* int32_t[hash_size]: piece to id */
	SECTION_CHARSMAP,			/* uint32_t[]: Darts units */
	SECTION_CHARSMAP_TEXT,		/* NUL-terminated strings */
	SECTION_ADDED,				/* AddedToken[] */
	SECTION_ADDED_RAW,			/* TrieUnit[]: index in ADDED of those matched in the text as it is */
	SECTION_ADDED_NORMALIZED,	/* TrieUnit[]: likewise, matched behind the normalizers */
	SECTION_STEPS,				/* Step[]: normalizers, then pre-tokenizers */
	SECTION_STEP_CODES,			/* uint32_t[]: the steps' strings */
	SECTION_TEMPLATE,			/* TemplateItem[]: for a text, then for a pair */
	SECTION_STRINGS,			/* NUL-terminated: the mask token and others */
	SECTION_COUNT
} Section;

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
	int32_t		hash_size;		/* a power of two */
	int32_t		normalizer_count;	/* of the steps */
	int32_t		template_single;	/* how many items are for a text; the others are for a pair */
	int32_t		decoder;		/* Decoder */
	int32_t		max_length;
	int32_t		pad_id;
	int32_t		unk_id;			/* what the tokenizer calls unknown; -1: none */
	int32_t		cls_id;
	int32_t		sep_id;
	int32_t		mask_id;
	int32_t		model_unk_id;	/* what the model calls unknown */
	int32_t		longest_piece;	/* bytes, in the unigram model's trie */
	int32_t		max_word;		/* WordPiece: code points of a word */
	uint32_t	mask_string;	/* offset in SECTION_STRINGS */
	uint32_t	continuing_string;	/* likewise: WordPiece's "##" */
	uint32_t	flags;			/* TOKENIZER_* */
	double		unk_score;
	uint8_t		ascii[128];		/* what a plain character becomes */
	uint8_t		ascii_class[256];	/* ASCII_*, by the byte as written */
	uint8_t		added_first[256];	/* may the byte, in the text, start an added token? */
} TokenizerHeader;

#define TOKENIZER_TRUNCATE_LEFT		0x01
#define TOKENIZER_CLEAN_UP			0x02	/* decode() cleans up unless told otherwise */

#define ASCII_PLAIN			0x01	/* ascii[] tells all of it */
#define ASCII_PAIRED		0x02	/* unless another of these follows */
#define ASCII_SPACE			0x04	/* between words */
#define ASCII_ALONE			0x08	/* a word by itself */

/* SECTION_PIECE_FLAGS: 0: no piece has this id */
#define PIECE_MODEL			0x01	/* in the model's vocabulary */
#define PIECE_ADDED			0x02	/* an added token */
#define PIECE_SPECIAL		0x04	/* skipped by decode(skip_special_tokens) */
#define PIECE_ODD			0x08	/* while compiling: of a spiece.model, but no plain piece */

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

/* The longest key that the text starts with: its bytes, 0 when there is none. */
static inline size_t
tok_trie_longest(Trie trie, const unsigned char *text, size_t size, int32_t *id)
{
	const TrieUnit *unit = trie.units;
	size_t		longest = 0;

	for (size_t i = 0; i < size && trie.count > 0; i++)
	{
		unit = tok_trie_step(trie, unit, text[i]);
		if (unit == NULL)
			break;
		if (unit->id >= 0)
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
	STEP_REPLACE = 1,			/* first: the pattern, second: the content */
	STEP_REPLACE_SPACES,		/* two or more spaces by second */
	STEP_PREPEND,				/* first */
	STEP_NFD,
	STEP_NFKD,
	STEP_STRIP_MARKS,
	STEP_STRIP_NONSPACING,
	STEP_LOWER,
	STEP_STRIP_LEFT,
	STEP_STRIP_RIGHT,
	STEP_CHARSMAP,
	STEP_CLEAN,
	STEP_IDEOGRAPHS,			/* the last of the normalizers */
	STEP_SPLIT_SPACES,
	STEP_SPLIT_PUNCTUATION,
	STEP_METASPACE_ALWAYS,
	STEP_METASPACE_FIRST,
	STEP_METASPACE_NEVER,
	STEP_SPLIT_MARKS			/* before every word mark */
} Operation;

typedef struct Step
{
	int32_t		operation;
	uint32_t	first;			/* in SECTION_STEP_CODES */
	uint32_t	first_count;
	uint32_t	second;
	uint32_t	second_count;
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

static inline const char *
tok_string(const AlbertTokenizer *tokenizer, uint32_t offset)
{
	return TABLE(tokenizer, SECTION_STRINGS, char) + offset;
}

/* FNV-1a of a piece, with the high bits folded in since tables take the low ones. */
static inline uint32_t
tok_hash(const char *piece, size_t size)
{
	uint32_t	hash = 2166136261u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char) piece[i]) * 16777619u;
	return hash ^ hash >> 15;
}

#endif							/* ALBERT_TOKENIZER_IMAGE_H */
