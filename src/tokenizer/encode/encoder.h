/*
 * encoder.h
 *	  What the encoder's own files share.
 *
 * A text without anything to surprise goes word by word from its bytes to the
 * model.  Any other goes letter by letter through one stage for each of the
 * image's steps: a stage takes a letter, holds it back as long as letters behind
 * it have a say, and gives to the next stage what becomes of it; the last one
 * makes words.  So the memory for letters does not grow with the text, runs and
 * words that have to be seen whole aside.
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

typedef struct Stage
{
	bool		(*take) (struct Encoder *encoder, struct Stage *stage, Letter letter);
	bool		(*finish) (struct Encoder *encoder, struct Stage *stage);	/* at the fragment's end; may be NULL */
	uint32_t	looks_at;		/* properties of letters that it takes while none are held; 0: of all letters */
	const Step *step;
	Letters		held;			/* taken, and not let through yet */

	/* how far the fragment got, zeroed at its start */
	bool		started;		/* something was let through */
	bool		pending;		/* white space still belongs to a token */
	int32_t		grapheme;		/* utf8proc's state */
	uint32_t	before;			/* the letter before, in code */
	size_t		size;			/* of the grapheme so far, in bytes */
	int32_t		place;			/* of the letter that new marks belong to */
	size_t		head;			/* in held */
	Letters		ahead;			/* taken, and not decided on yet */
} Stage;

/* A word in bytes, and the place of each of its letters. */
typedef struct Word
{
	unsigned char *text;
	size_t		size;
	size_t		room;
	int32_t    *places;
	size_t		letters;
	size_t		place_room;
} Word;

/* The best way to a letter of a word: where its last piece begins, -1 when there is no way yet, and that piece. */
typedef struct Way
{
	int32_t		start;
	int32_t		id;
} Way;

#define UNMAPPED		256		/* characters that are remembered as such */

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
	uint32_t   *unmapped;		/* characters + 1 that the character map has lately left as they are */
	Word		word;			/* as far as it is known */
	Way		   *ways;			/* unigram: to each letter of a word, and to its end */
	size_t		way_room;
	double	   *scores;			/* of the latest ones, a ring; NULL: not needed so far */
	size_t		total;			/* bytes of the text and its pair */
	size_t		done;			/* bytes of them that were read */
} Encoder;

/* memory.c */
extern bool tok_interrupted(const Encoder *encoder);

/* Of something there are count so far: how many will there be at the texts' end, if it goes on like that? */
extern size_t tok_expected(const Encoder *encoder, size_t count);

/*
 * Make an array, the address of whose pointer is given, hold more elements than
 * the count of used ones; if it has to grow, at once as many as are expected.
 */
extern bool tok_grow(const Encoder *encoder, void *items, size_t count, size_t more, size_t expected, size_t size,
					 size_t *room);
extern bool tok_grow_tokens(Encoder *encoder, size_t more);
extern bool tok_letters_reserve(Encoder *encoder, Letters *letters, size_t more);

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

/* The letters [from, to) of a word as a token. */
static inline AlbertToken
tok_piece(const Word *word, int32_t id, size_t from, size_t to)
{
	return (AlbertToken) {.id = id, .start = word->places[from], .stop = word->places[to - 1] + 1};
}

/* Give a letter to a stage, or to the first one behind it that does not leave it as it is. */
static inline bool
tok_give(Encoder *encoder, Stage *stage, Letter letter)
{
	uint32_t	properties = tok_properties_of(letter.code);

	while (stage->looks_at != 0 && stage->held.count == 0 && (properties & stage->looks_at) == 0)
		stage++;
	return stage->take(encoder, stage, letter);
}

/* text.c */
extern bool tok_encode_text(Encoder *encoder, const AlbertText *text);

/* stages.c: a fragment through stages for the steps, to words */
extern bool tok_run_stages(Encoder *encoder, const char *text, size_t size, int32_t base);

/*
 * Normalize a text by the steps of a tokenizer that need not be complete:
 * UTF-8 in the arena.
 */
extern bool tok_normalize(const AlbertTokenizer *tokenizer, const char *text, size_t size, AlbertArena *arena,
						  AlbertText *result, AlbertStatus *status);

/* normalize.c: the stage for the first of these steps; what a stage holds goes to the next; white space is held */
extern Stage tok_step_stage(const Step *steps, size_t count);
extern bool tok_give_held(Encoder *encoder, Stage *stage);
extern bool tok_hold_space(Encoder *encoder, Stage *stage, Letter letter);

/* charsmap.c; match.c: added tokens in normal text, which go to the words at once */
extern bool tok_take_mapped(Encoder *encoder, Stage *stage, Letter letter);
extern bool tok_finish_mapped(Encoder *encoder, Stage *stage);
extern bool tok_take_matched(Encoder *encoder, Stage *stage, Letter letter);
extern bool tok_finish_matched(Encoder *encoder, Stage *stage);

/* words.c: words of letters, with tokens between them; a plain text's words */
extern bool tok_take_word(Encoder *encoder, Stage *stage, Letter letter);
extern bool tok_finish_word(Encoder *encoder, Stage *stage);
extern bool tok_take_token(Encoder *encoder, int32_t id, int32_t start, int32_t stop);
extern bool tok_is_plain(const TokenizerHeader *header, const char *text, size_t size);
extern bool tok_plain_words(Encoder *encoder, const char *text, size_t size, int32_t base);

/* unigram.c, wordpiece.c: a word to tokens */
extern bool tok_unigram(Encoder *encoder, const Word *word);
extern bool tok_wordpiece(Encoder *encoder, const Word *word);

#endif							/* ALBERT_TOKENIZER_ENCODER_H */
