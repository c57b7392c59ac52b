/*
 * encoder.h
 *	  What the encoder's own files share.
 *
 * A text without anything to surprise goes word by word from its bytes to the
 * model.  Any other becomes letters, which pass through one stage for each of
 * the image's steps in blocks: a stage takes what it can of its input, keeps
 * the rest until more comes, and appends to the next one's input.  So the
 * memory for letters does not grow with the text, runs that have to be seen
 * whole aside.
 */
#ifndef ALBERT_TOKENIZER_ENCODER_H
#define ALBERT_TOKENIZER_ENCODER_H

#include <signal.h>

#include "tokenizer/characters.h"
#include "tokenizer/image.h"

/* A character on its way to the model; a token in its place has LETTER_TOKEN and its id as code. */
typedef struct Letter
{
	uint32_t	code;
	int32_t		start;			/* code points of the text it is aligned with */
	int32_t		stop;
} Letter;

#define LETTER_BEGINS	0x80000000u /* a word: between the pre-tokenizers */
#define LETTER_TOKEN	0x40000000u
#define LETTER_CODE		0x3FFFFFFFu

typedef struct Letters
{
	Letter	   *items;
	size_t		count;
	size_t		room;
} Letters;

struct Encoder;
struct Stage;

/* Consume letters of stage->in, all of them if they are the last, and append to out; how many were consumed. */
typedef bool (*StageFunction) (struct Encoder *encoder, struct Stage *stage, Letters *out, bool last,
							   size_t *consumed);

typedef struct Stage
{
	StageFunction run;
	const Step *step;
	size_t		step_count;		/* consecutive steps that one stage takes */
	Letters		in;
	bool		more;			/* run has to be called again before there is more input */

	/* how far the fragment got, zeroed at its start */
	bool		started;		/* something was let through */
	bool		pending;		/* the next letter begins a word; a long grapheme goes on */
	int32_t		grapheme;		/* utf8proc's state */
	uint32_t	before;			/* the letter before, in code */
	Letter		letter;			/* the last one taken in account */
	size_t		head;			/* in held */
	Letters		held;
	uint32_t   *run_codes;		/* a run of marks in order, on its way out */
	size_t		run_at;
	size_t		run_count;
	struct Cache *cache;		/* what became of characters lately */
	uint32_t   *unmapped;		/* characters + 1 found not to be in the character map lately */
} Stage;

/*
 * A word in bytes, with the places of each when offsets are wanted.  Of a very
 * long one, the tokens of its beginning may have been put already.
 */
typedef struct Word
{
	unsigned char *text;
	int32_t    *start;			/* NULL: nobody asked, or the places follow from base */
	int32_t    *stop;
	int32_t		base;			/* of a plain word: the place of its first letter */
	size_t		size;
	size_t		room;
	size_t		limit;			/* bytes at which its beginning is to be put */
	double		score;			/* unigram: of the tokens put already */
	bool		unknown;		/* unigram: the last of those is the unknown one */
} Word;

#define LONG_WORD		16384	/* bytes at which a word's beginning is put first */

/* Tokens behind one another. */
typedef struct Output
{
	int32_t    *ids;
	int32_t    *start;			/* NULL: nobody asked */
	int32_t    *stop;
	size_t		count;
	size_t		room;
} Output;

typedef struct Encoder
{
	const AlbertTokenizer *tokenizer;
	const TokenizerHeader *header;
	AlbertArena *arena;
	AlbertStatus *status;
	const volatile sig_atomic_t *interrupt;
	Output		out;
	Stage	   *stages;			/* NULL: not needed so far */
	size_t		stage_count;
	Letters		letters;		/* what comes out of the last stage */
	Word		word;
	size_t		total;			/* bytes of the text and its pair */
	size_t		done;			/* bytes of them that were read */
} Encoder;

/* memory.c */
extern bool tok_interrupted(const Encoder *encoder);

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

extern size_t tok_output_bytes(bool offsets, size_t n);
extern bool tok_allocate_output(Encoder *encoder, Output *out, size_t room, bool offsets);
extern bool tok_grow_output(Encoder *encoder, size_t more);

/* Make room for more tokens; memory must not be given back between that and putting them. */
static inline bool
tok_reserve(Encoder *encoder, size_t more)
{
	return encoder->out.room - encoder->out.count >= more || tok_grow_output(encoder, more);
}

static inline void
tok_put(Encoder *encoder, int32_t id, int32_t start, int32_t stop)
{
	Output	   *out = &encoder->out;

	out->ids[out->count] = id;
	if (out->start != NULL)
	{
		out->start[out->count] = start;
		out->stop[out->count] = stop;
	}
	out->count++;
}

/* text.c */
extern bool tok_encode_text(Encoder *encoder, const AlbertText *text);

/* stages.c */
extern bool tok_run_stages(Encoder *encoder, const char *text, size_t size, int32_t base,
						   bool (*take) (Encoder *encoder, const Letters *letters, bool last));
extern bool tok_make_stages(Encoder *encoder, size_t step_count, bool match_added);

/*
 * Normalize a text by the steps of a tokenizer that need not be complete:
 * UTF-8 in the arena.
 */
extern bool tok_normalize(const AlbertTokenizer *tokenizer, const char *text, size_t size, AlbertArena *arena,
						  AlbertText *result, AlbertStatus *status);

/*
 * normalize.c, charsmap.c, split.c, match.c: what a stage for the first of these
 * steps, with so many behind it as it takes along, is run by
 */
extern StageFunction tok_normalizer(const Step *steps, size_t count, size_t *taken);
extern StageFunction tok_pre_tokenizer(const Step *steps, size_t count, size_t *taken);
extern bool tok_charsmap_stage(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed);
extern bool tok_match_stage(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed);
extern const AddedToken *tok_next_added(const Encoder *encoder, const char *text, size_t size, size_t from,
										size_t *start, size_t *stop);

/* words.c */
extern bool tok_take_letters(Encoder *encoder, const Letters *letters, bool last);
extern bool tok_plain_words(Encoder *encoder, const char *text, size_t size, int32_t base, bool *plain);

/*
 * unigram.c, wordpiece.c: a word to tokens.  Of a word that goes on (last is
 * false), only a beginning whose tokens cannot change any more is put: *done
 * bytes.
 */
extern bool tok_unigram(Encoder *encoder, Word *word, bool last, size_t *done);
extern void tok_wordpiece(Encoder *encoder, const Word *word);

/* Where the bytes [from, to) of a word stand in the text. */
static inline void
tok_put_piece(Encoder *encoder, const Word *word, int32_t id, size_t from, size_t to)
{
	bool		marked = word->start == NULL && word->text[0] == WORD_MARK;

	if (word->start != NULL)
		tok_put(encoder, id, word->start[from], word->stop[to - 1]);
	else if (marked)			/* the mark shares the first letter's place */
		tok_put(encoder, id, word->base + (int32_t) (from == 0 ? 0 : from - 1),
				word->base + (int32_t) (to == 1 ? 1 : to - 1));
	else
		tok_put(encoder, id, word->base + (int32_t) from, word->base + (int32_t) to);
}

#endif							/* ALBERT_TOKENIZER_ENCODER_H */
