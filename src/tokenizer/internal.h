/*
 * internal.h
 *	  What the tokenizer's own files share: the image, its sections, and the
 *	  functions by which compiling and encoding are put together.
 *
 * An image is a header and a list of sections, each an array at an offset from
 * the image's start; nothing in it is an address, so it may be mapped
 * anywhere.  Texts are worked on as UTF-8 in which the word mark U+2581 is the
 * single byte WORD_MARK (never found in UTF-8), to keep the tries shallow.
 */
#ifndef ALBERT_TOKENIZER_INTERNAL_H
#define ALBERT_TOKENIZER_INTERNAL_H

#include "tokenizer/tokenizer.h"

#define IMAGE_MAGIC			"ALBTOKIM"
#define IMAGE_VERSION		1
#define IMAGE_ALIGN			64

#define MAX_PIECES			(1 << 21)
#define MAX_TEXT			(256 << 20) /* bytes of one text */

#define WORD_MARK			0xFF	/* U+2581 inside normalised text and piece tries */
#define WORD_MARK_CODE		0x2581
#define WORD_MARK_UTF8		"\xe2\x96\x81"

typedef enum TokenizerKind
{
	KIND_SPIECE = 1,			/* spiece.model, as the slow AlbertTokenizer */
	KIND_BERT,					/* vocab.txt, as the slow BertTokenizer */
	KIND_PIPELINE				/* tokenizer.json, as the fast tokenizers */
} TokenizerKind;

typedef enum Decoder
{
	DECODER_SPIECE = 1,			/* the slow AlbertTokenizer's */
	DECODER_BERT,				/* the slow BertTokenizer's */
	DECODER_JOIN,				/* tokens and spaces */
	DECODER_WORDPIECE,			/* the rest are those of a tokenizer.json */
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
	SECTION_SYMBOLS,			/* TrieUnit[]: user-defined symbols */
	SECTION_ADDED,				/* AddedToken[] */
	SECTION_ADDED_CODES,		/* uint32_t[]: their contents in code points */
	SECTION_NEVER_SPLIT,		/* NUL-terminated strings: words the basic tokenizer leaves alone */
	SECTION_STEPS,				/* PipelineStep[]: normalizers, then pre-tokenizers */
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

typedef struct ImageHeader
{
	char		magic[8];
	uint32_t	version;
	uint32_t	header_size;
	uint64_t	image_size;
	SectionPlace sections[SECTION_COUNT];

	int32_t		kind;			/* TokenizerKind */
	int32_t		model;			/* ModelKind */
	int32_t		vocab_size;		/* added tokens included */
	int32_t		hash_size;		/* a power of two */
	int32_t		added_count;
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
	uint32_t	mask_string;	/* offset in SECTION_STRINGS */
	uint32_t	unk_string;		/* likewise: how an unknown piece is decoded */
	uint32_t	continuing_string;	/* likewise: WordPiece's "##" */
	uint32_t	flags;			/* TOKENIZER_* */
	int32_t		max_word;		/* WordPiece: code points of a word */
	double		unk_score;
	uint8_t		ascii[128];		/* what a character becomes; 0: not so simple */
	uint8_t		added_first[256];	/* may the byte, in the text, start an added token? */
} ImageHeader;

#define TOKENIZER_LOWER_CASE		0x0001
#define TOKENIZER_KEEP_ACCENTS		0x0002
#define TOKENIZER_REMOVE_SPACE		0x0004
#define TOKENIZER_DUMMY_PREFIX		0x0008
#define TOKENIZER_EXTRA_SPACES		0x0010	/* sentencepiece collapses white space */
#define TOKENIZER_ESCAPE_SPACES		0x0020
#define TOKENIZER_ASCII				0x0040	/* ascii[] tells all of an ASCII text */
#define TOKENIZER_TRUNCATE_LEFT		0x0080
#define TOKENIZER_STRIP_ACCENTS		0x0100	/* WordPiece */
#define TOKENIZER_CHINESE			0x0200	/* WordPiece: ideographs are words */
#define TOKENIZER_CLEAN_UP			0x0400	/* decode() cleans up unless told otherwise */
#define TOKENIZER_BASIC				0x0800	/* WordPiece: the basic tokenizer runs first */

/* SECTION_PIECE_FLAGS */
#define PIECE_NORMAL		1
#define PIECE_UNKNOWN		2
#define PIECE_CONTROL		3
#define PIECE_USER_DEFINED	4
#define PIECE_UNUSED		5
#define PIECE_ADDED_ONLY	7		/* not in the model's vocabulary */
#define PIECE_TYPE			0x07
#define PIECE_SPECIAL		0x08	/* skipped by decode(skip_special_tokens) */
#define PIECE_DIGIT_COMMA	0x10	/* two or more characters, ends in digit and comma */
#define PIECE_ADDED			0x20	/* content of an added token */
#define PIECE_ADDITIONAL	0x40	/* one of the additional special tokens */

/*
 * A node of a piece trie.  A child's index is base ^ byte, and it is one when
 * its label is that byte and it is in use; bases are unique, so this suffices.
 */
typedef struct TrieUnit
{
	uint32_t	link;			/* base << 9 | used << 8 | label */
	int32_t		id;				/* of the piece that ends here; -1: none */
} TrieUnit;

#define UNIT_USED			0x100u
#define UNIT_CHILD(unit, byte)	(((unit)->link >> 9) ^ (uint32_t) (byte))
#define UNIT_IS(unit, byte)		(((unit)->link & 0x1FFu) == (UNIT_USED | (uint32_t) (byte)))

typedef struct AddedToken
{
	int32_t		id;
	uint32_t	code_offset;	/* in SECTION_ADDED_CODES */
	uint32_t	code_count;
	uint32_t	flags;			/* ADDED_* */
	int32_t		protect;		/* order in the search that keeps the case; -1: not in it */
} AddedToken;

#define ADDED_LSTRIP		0x01
#define ADDED_RSTRIP		0x02
#define ADDED_SINGLE_WORD	0x04
#define ADDED_NORMALIZED	0x08
#define ADDED_SPECIAL		0x10

/* ---- tokenizer.json ---- */

typedef enum PipelineOperation
{
	STEP_REPLACE = 1,			/* first: the pattern, second: the content */
	STEP_REPLACE_SPACES,		/* two or more spaces by second */
	STEP_PREPEND,				/* first */
	STEP_NFD,
	STEP_NFKD,
	STEP_STRIP_MARKS,
	STEP_LOWER,
	STEP_STRIP_LEFT,
	STEP_STRIP_RIGHT,
	STEP_CHARSMAP,
	STEP_BERT_CLEAN,
	STEP_BERT_IDEOGRAPHS,
	STEP_BERT_ACCENTS,
	STEP_SPLIT_SPACES,			/* the first of the pre-tokenizers */
	STEP_SPLIT_PUNCTUATION,
	STEP_METASPACE_ALWAYS,
	STEP_METASPACE_FIRST,
	STEP_METASPACE_NEVER,
	STEP_SPLIT_MARKS			/* before every word mark */
} PipelineOperation;

typedef struct PipelineStep
{
	int32_t		operation;
	uint32_t	first;			/* in SECTION_STEP_CODES */
	uint32_t	first_count;
	uint32_t	second;
	uint32_t	second_count;
} PipelineStep;

#define TEMPLATE_FIRST		0
#define TEMPLATE_SECOND		1
#define TEMPLATE_SPECIAL	2

typedef struct TemplateItem
{
	int32_t		what;			/* TEMPLATE_* */
	int32_t		id;				/* of a special token */
	int32_t		type;
} TemplateItem;

/* One token before truncation: the common currency of all kinds. */
typedef struct Token
{
	int32_t		id;
	int32_t		start;			/* code points */
	int32_t		stop;
} Token;

typedef struct TokenList
{
	Token	   *items;
	size_t		count;
	size_t		room;
} TokenList;

/* All that the encoding functions hand to one another. */
typedef struct EncodeContext
{
	const AlbertTokenizer *tokenizer;
	const ImageHeader *header;
	AlbertArena *arena;
	AlbertStatus *status;
	bool		offsets;
	TokenList	tokens;
} EncodeContext;

#define HEADER(tokenizer)	((const ImageHeader *) (tokenizer)->image)
#define TABLE(tokenizer, section, type) ((const type *) (tokenizer)->tables[section])
#define SECTION_ITEMS(header, section, type) ((size_t) ((header)->sections[section].size / sizeof(type)))

/* tokenizer.c */
extern bool tok_no_memory(AlbertStatus *status);
extern bool tok_reserve(EncodeContext *context, size_t more);

static inline void
tok_add(EncodeContext *context, int32_t id, int32_t start, int32_t stop)
{
	Token	   *token = &context->tokens.items[context->tokens.count++];

	token->id = id;
	token->start = start;
	token->stop = stop;
}

static inline const char *
tok_string(const AlbertTokenizer *tokenizer, uint32_t offset)
{
	return TABLE(tokenizer, SECTION_STRINGS, char) + offset;
}

/* utf8.c */
extern size_t tok_utf8_valid(const char *text, size_t size);	/* how many bytes are; size if all */
extern size_t tok_utf8_count(const char *text, size_t size);	/* code points */
extern size_t tok_utf8_encode(uint32_t code, unsigned char *text);	/* bytes written, up to 4 */
extern bool tok_check_text(const AlbertText *text, AlbertStatus *status);

/* Bytes of the character that starts with this one; the text is valid. */
static inline size_t
tok_utf8_length(unsigned char lead)
{
	return lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
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

/* unicode.c: Unicode as Python's unicodedata and str know it */
extern bool tok_in_ranges(const CodeRange *ranges, size_t count, uint32_t code);
extern bool tok_python_is_space(uint32_t code);
extern bool tok_python_is_digit(uint32_t code);
extern int	tok_python_lower(uint32_t code, uint32_t out[2]);	/* codes written, the final sigma aside */
extern uint32_t tok_python_lower_sigma(const uint32_t *codes, size_t count, size_t stride, size_t at);
extern int	tok_python_decompose(uint32_t code, bool compatible, uint32_t out[18]);	/* codes written */
extern int	tok_python_combining(uint32_t code);	/* canonical combining class */
extern bool tok_python_is_control(uint32_t code);	/* general category C*, unassigned included */
extern bool tok_python_is_separator(uint32_t code);	/* general category Zs */
extern bool tok_python_is_nonspacing(uint32_t code);	/* general category Mn */
extern bool tok_python_is_punctuation(uint32_t code);	/* general category P* */
extern uint32_t tok_python_compose(uint32_t first, uint32_t second);	/* 0: they do not compose */

/* fast_unicode.c: Unicode as Hugging Face's tokenizers library knows it */
extern bool tok_fast_is_space(uint32_t code);
extern bool tok_fast_is_mark(uint32_t code);
extern bool tok_fast_is_nonspacing(uint32_t code);
extern bool tok_fast_is_control(uint32_t code);
extern bool tok_fast_is_punctuation(uint32_t code);
extern int	tok_fast_lower(uint32_t code, uint32_t out[2]);
extern int	tok_fast_decompose(uint32_t code, bool compatible, uint32_t out[18]);

/*
 * fast_places.c: where the fast tokenizer believes a text's letters to be
 */
typedef struct FastPlaces
{
	int32_t    *base;			/* by code point: its first letter's index in places; NULL: where they are */
	int32_t    *places;
	int32_t		count;
} FastPlaces;

extern bool tok_fast_places(EncodeContext *context, const uint32_t *codes, size_t count, FastPlaces *places);

/* The code point where the fast tokenizer sees a letter, the part-th of those that source became. */
static inline int32_t
tok_fast_place(const FastPlaces *places, int32_t source, int32_t part)
{
	int32_t		at;

	if (places->base == NULL)
		return source;
	at = places->base[source] + part;
	return at < 0 ? source : places->places[at < places->count ? at : places->count - 1];
}

/* piece.c */
extern uint32_t tok_hash(const char *piece, size_t size);

/* added.c: added tokens in a text of code points */
extern size_t tok_added_protected(const AlbertTokenizer *tokenizer, const uint32_t *codes,
								  size_t count, size_t at);
extern const AddedToken *tok_added_longest(const AlbertTokenizer *tokenizer, const uint32_t *codes,
										   size_t count, size_t at, uint32_t refuse, uint32_t need);

/* text.c */
typedef struct Fragment
{
	const uint32_t *codes;		/* lower-cased */
	const int32_t *sources;		/* the code point of the text each came from */
	size_t		count;
	const FastPlaces *places;
	const char *bytes;			/* of a plain text; else NULL */
	size_t		base;			/* bytes before it, in a plain text */
} Fragment;

extern bool tok_slow_encode(EncodeContext *context, const AlbertText *text);

/* spiece_encode.c, bert_encode.c */
extern bool tok_spiece_fragment(EncodeContext *context, const Fragment *fragment);
extern bool tok_bert_fragment(EncodeContext *context, const Fragment *fragment);

/* wordpiece.c */
extern bool tok_wordpiece(EncodeContext *context, const unsigned char *text, size_t size,
						  const int32_t *start, const int32_t *stop);

/* pipeline_normalize.c, pipeline_encode.c */
typedef struct FastLetter
{
	uint32_t	code;
	int32_t		start;			/* code points of the text it is aligned with */
	int32_t		stop;
} FastLetter;

typedef struct FastText
{
	FastLetter *items;
	size_t		count;
	size_t		room;
	int32_t		base;			/* where its fragment starts in the text */
} FastText;

extern bool tok_fast_append(FastText *text, FastLetter letter, AlbertArena *arena, AlbertStatus *status);
extern bool tok_fast_normalize(const AlbertTokenizer *tokenizer, FastText *text, AlbertArena *arena,
							   AlbertStatus *status);
extern bool tok_fast_replace(FastText *text, const PipelineStep *step, const uint32_t *strings,
							 AlbertArena *arena, AlbertStatus *status);
extern bool tok_pipeline_encode(EncodeContext *context, const AlbertText *text);

/* unigram.c */
typedef struct Segment
{
	int32_t		stop;			/* byte behind the piece */
	int32_t		id;
} Segment;

/* Cut size bytes of normalised text into pieces; the segments are in the arena. */
extern bool tok_unigram(const AlbertTokenizer *tokenizer, const unsigned char *text,
						size_t size, AlbertArena *arena, Segment **segments,
						size_t *count, AlbertStatus *status);

/* charsmap.c */
extern size_t tok_charsmap_longest(const AlbertTokenizer *tokenizer, const unsigned char *text,
								   size_t size, const char **replacement);
extern bool tok_charsmap_shortest(const AlbertTokenizer *tokenizer, const unsigned char *text,
								  size_t size, const char **replacement);
extern size_t tok_symbol_longest(const AlbertTokenizer *tokenizer, const unsigned char *text,
								 size_t size);

#endif							/* ALBERT_TOKENIZER_INTERNAL_H */
