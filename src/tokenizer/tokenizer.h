/*
 * tokenizer.h
 *	  Text to token ids and back, as the reference's fast tokenizers do it.
 *
 * A tokenizer is compiled once, by the loader, from the files of a model
 * directory into a flat position-independent image; a process binds to the
 * image and encodes straight from it.  All text is UTF-8.  Offsets count code
 * points of the caller's text from 0, stop exclusive, as the hub's fast
 * tokenizer counts them.
 *
 * A tokenizer.json is what it says.  A spiece.model alone is read as the
 * tokenizer.json of the published ALBERT checkpoints has it, a vocab.txt alone
 * as BertTokenizerFast reads it.
 */
#ifndef ALBERT_TOKENIZER_H
#define ALBERT_TOKENIZER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

typedef struct AlbertBytes
{
	const void *data;			/* NULL: there is no such file */
	size_t		size;
} AlbertBytes;

/* The files a tokenizer is made of, as read from the directory (untrusted); together they have less than 4 GB. */
typedef struct AlbertTokenizerFiles
{
	AlbertBytes spiece_model;
	AlbertBytes vocab_txt;
	AlbertBytes tokenizer_json;
	AlbertBytes tokenizer_config_json;
	AlbertBytes special_tokens_map_json;
	AlbertBytes added_tokens_json;
	AlbertBytes albert_json;	/* corrections of tokenizer_config.json */
	AlbertBytes options;		/* likewise, by whoever made the model; go before albert.json's */
	const char *tokenizer_class;	/* config.json's, where tokenizer_config.json says none; NULL: neither does */
	const char *sentencepiece;	/* path of the module that reads a spiece.model; NULL: beside this code's file */
} AlbertTokenizerFiles;

/*
 * Compile to an image in the arena.  tokenizer.json is taken when there is one,
 * else spiece.model, else vocab.txt.  model_max_positions (config.json's
 * max_position_embeddings) caps the length when the tokenizer says none or
 * more.
 */
extern bool AlbertTokenizerCompile(const AlbertTokenizerFiles *files,
								   int model_max_positions,
								   AlbertArena *arena, AlbertBytes *image,
								   AlbertStatus *status);

typedef struct AlbertTokenizer
{
	const void *image;
	int			vocab_size;
	int			max_length;		/* tokens a text may have, special tokens included */
	int			pad_id;
	int			unk_id;
	int			mask_id;
	bool		marks_continuation; /* pieces that go on with a word are marked ("##ing"), not those that begin one */
	bool		clean_up_spaces;	/* what decoding does in the reference unless told otherwise */
	const char *mask_token;		/* "[MASK]" usually; NUL-terminated, in the image */
	const void *tables[16];		/* the image's sections */
} AlbertTokenizer;

/* Check an image's header and tables' bounds and point into it; no memory, microseconds. */
extern bool AlbertTokenizerBind(const void *image, size_t size,
								AlbertTokenizer *tokenizer, AlbertStatus *status);

typedef struct AlbertText
{
	const char *data;			/* UTF-8, need not be NUL-terminated; NULL: no text */
	size_t		size;
} AlbertText;

typedef enum AlbertTruncation
{
	ALBERT_TRUNCATE_NONE,		/* keep everything, whatever the length */
	/*
	 * The reference's longest_first, only_first, only_second.  As there, a text
	 * that cannot be cut so far is refused with ALBERT_TOO_LONG, and nothing is
	 * cut when max_length leaves no room for the special tokens.
	 */
	ALBERT_TRUNCATE_LONGEST,
	ALBERT_TRUNCATE_FIRST,
	ALBERT_TRUNCATE_SECOND,
	ALBERT_TRUNCATE_ERROR		/* ALBERT_TOO_LONG, its message with both lengths */
} AlbertTruncation;

typedef struct AlbertEncodeOptions
{
	AlbertTruncation truncation;
	int			max_length;		/* 0: the tokenizer's max_length */
	bool		special_tokens; /* add [CLS] and [SEP] */
	const volatile sig_atomic_t *interrupt; /* polled while a text is encoded; may be NULL */
} AlbertEncodeOptions;

typedef struct AlbertToken
{
	int32_t		id;
	int32_t		start;			/* 0, 0 for added special tokens */
	int32_t		stop;
	uint8_t		type;			/* 0 for the first text, 1 for its pair */
	bool		special;		/* one of the [CLS] and [SEP] added here */
} AlbertToken;

typedef struct AlbertTokens
{
	int			n;
	AlbertToken *items;
	int			ncut;			/* tokens lost to truncation */
} AlbertTokens;

/*
 * Encode a text, or a pair when pair is not NULL and pair->data is not NULL; an
 * empty pair is one (transformers takes it for none where it encodes one text
 * at a time).  Result in the arena, which is left as it was otherwise.
 * Malformed UTF-8 is ALBERT_INPUT, a raised interrupt flag ALBERT_CANCELLED.
 * Time and memory grow linearly with the text, whatever it holds.
 */
extern bool AlbertTokenizerEncode(const AlbertTokenizer *tokenizer,
								  const AlbertText *text, const AlbertText *pair,
								  const AlbertEncodeOptions *options,
								  AlbertArena *arena, AlbertTokens *tokens,
								  AlbertStatus *status);

/* The piece as the vocabulary writes it ("▁the", "[CLS]"), not NUL-terminated; ALBERT_INPUT: there is no such id. */
extern bool AlbertTokenizerPiece(const AlbertTokenizer *tokenizer, int32_t id,
								 AlbertText *piece, AlbertStatus *status);

/* -1 when the vocabulary has no such piece. */
extern int32_t AlbertTokenizerPieceId(const AlbertTokenizer *tokenizer,
									  const char *piece, size_t size);

/* Is this id one of the special tokens ([CLS], [SEP], <pad>, [MASK], <unk>, additional ones)? */
extern bool AlbertTokenizerIsSpecial(const AlbertTokenizer *tokenizer, int32_t id);

/* As the reference's decode(ids, skip_special_tokens); NUL-terminated text in the arena. */
extern bool AlbertTokenizerDecode(const AlbertTokenizer *tokenizer,
								  const int32_t *ids, int n,
								  bool skip_special_tokens, bool clean_up_spaces,
								  AlbertArena *arena, AlbertText *text,
								  AlbertStatus *status);

#endif							/* ALBERT_TOKENIZER_H */
