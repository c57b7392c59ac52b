/*
 * encoder.h
 *	  What the encoder's own files share.
 *
 * A text without anything to surprise goes word by word from its bytes to the
 * model.  Any other becomes letters, which pass through one stage for each of
 * the image's steps in blocks: a stage takes what it can of its input, keeps
 * the rest until more comes, and appends to the next one's input; the last one
 * makes words of them.  So the memory for letters does not grow with the text,
 * runs and words that have to be seen whole aside.
 */
#ifndef ALBERT_TOKENIZER_ENCODER_H
#define ALBERT_TOKENIZER_ENCODER_H

#include <signal.h>

#include "tokenizer/characters.h"
#include "tokenizer/image.h"

/*
 * A character on its way to the model, and the code point of the text that it
 * is aligned with.  Whatever steps do, the places of letters stay in order.
 */
typedef struct Letter
{
	uint32_t	code;
	int32_t		place;
} Letter;

typedef struct Letters
{
	Letter	   *items;
	size_t		count;
	size_t		room;
} Letters;

struct Encoder;
struct Stage;

/*
 * Append to out what becomes of the letters of stage->in.  All of them are
 * consumed, unless *consumed is set to fewer, which may be when they are not
 * the last.
 */
typedef bool (*StageFunction) (struct Encoder *encoder, struct Stage *stage, Letters *out, bool last,
							   size_t *consumed);

typedef struct Stage
{
	StageFunction run;
	const Step *step;
	size_t		step_count;		/* consecutive steps that one stage takes */
	Letters		in;

	/* how far the fragment got, zeroed at its start */
	bool		started;		/* something was let through */
	bool		pending;		/* a long grapheme goes on; white space still belongs to a token */
	int32_t		grapheme;		/* utf8proc's state */
	uint32_t	before;			/* the letter before, in code */
	Letter		letter;			/* the last one taken into account */
	size_t		head;			/* in held */
	Letters		held;
	struct Cache *cache;		/* what became of characters lately */
	uint32_t   *unmapped;		/* characters + 1 that the character map left as they are lately */
} Stage;

/* A word in bytes, and the place of each of them. */
typedef struct Word
{
	unsigned char *text;
	int32_t    *places;
	size_t		size;
	size_t		room;
} Word;

/* The best way to a position in a word: where its last piece begins, -1 when there is no way yet, and that piece. */
typedef struct Way
{
	int32_t		start;
	int32_t		id;
} Way;

typedef struct Encoder
{
	const AlbertTokenizer *tokenizer;
	const TokenizerHeader *header;
	AlbertArena *arena;
	AlbertStatus *status;
	const volatile sig_atomic_t *interrupt;
	AlbertToken *tokens;		/* of the text, and its pair's behind them */
	size_t		token_count;
	size_t		token_room;
	Stage	   *stages;			/* NULL: not needed so far */
	size_t		stage_count;
	Word		word;			/* as far as it is known */
	Way		   *ways;			/* unigram: to each position of a word */
	size_t		way_room;
	double	   *scores;			/* of the latest ones, a ring; NULL: not needed so far */
	size_t		total;			/* bytes of the text and its pair */
	size_t		done;			/* bytes of them that were read */
} Encoder;

/* memory.c; expected: how many there will be at the texts' end of what there are count now, if it goes on like that */
extern bool tok_interrupted(const Encoder *encoder);
extern size_t tok_expected(const Encoder *encoder, size_t count);
extern bool tok_grow_tokens(Encoder *encoder, size_t more);
extern bool tok_letters_reserve(Encoder *encoder, Letters *letters, size_t more);
extern bool tok_letters_append(Encoder *encoder, Letters *letters, const Letter *more, size_t count);

static inline bool
tok_letters_push(Encoder *encoder, Letters *letters, Letter letter)
{
	if (letters->count == letters->room && !tok_letters_reserve(encoder, letters, 1))
		return false;
	letters->items[letters->count++] = letter;
	return true;
}

/* Make room for more tokens. */
static inline bool
tok_reserve(Encoder *encoder, size_t more)
{
	return encoder->token_room - encoder->token_count >= more || tok_grow_tokens(encoder, more);
}

/* The bytes [from, to) of a word as a token, for which there is room. */
static inline void
tok_put_piece(Encoder *encoder, const Word *word, int32_t id, size_t from, size_t to)
{
	encoder->tokens[encoder->token_count++] = (AlbertToken) {
		.id = id,
		.start = word->places[from],
		.stop = word->places[to - 1] + 1
	};
}

/* text.c */
extern bool tok_encode_text(Encoder *encoder, const AlbertText *text);

/* stages.c: stages for the steps, with one behind them that takes what comes out; a fragment through all of them */
extern bool tok_make_stages(Encoder *encoder, StageFunction sink);
extern bool tok_run_stages(Encoder *encoder, const char *text, size_t size, int32_t base);

/*
 * Normalize a text by the steps of a tokenizer that need not be complete:
 * UTF-8 in the arena.
 */
extern bool tok_normalize(const AlbertTokenizer *tokenizer, const char *text, size_t size, AlbertArena *arena,
						  AlbertText *result, AlbertStatus *status);

/*
 * normalize.c, charsmap.c: what a stage for the first of these steps, with so
 * many behind it as it takes along, is run by
 */
extern StageFunction tok_normalizer(const Step *steps, size_t count, size_t *taken);
extern bool tok_charsmap_stage(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed);

/* match.c: a last stage that finds added tokens in normal text */
extern bool tok_match_stage(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed);

/* words.c: words of letters, with tokens between them; a last stage that does no more; a plain text's words */
extern bool tok_take_letter(Encoder *encoder, Letter letter);
extern bool tok_finish_word(Encoder *encoder);
extern bool tok_take_token(Encoder *encoder, int32_t id, int32_t start, int32_t stop);
extern bool tok_words_stage(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed);
extern bool tok_is_plain(const TokenizerHeader *header, const char *text, size_t size);
extern bool tok_plain_words(Encoder *encoder, const char *text, size_t size, int32_t base);

/* unigram.c, wordpiece.c: a word to tokens */
extern bool tok_unigram(Encoder *encoder, const Word *word);
extern bool tok_wordpiece(Encoder *encoder, const Word *word);

#endif							/* ALBERT_TOKENIZER_ENCODER_H */
