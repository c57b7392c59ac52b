/*
 * words.c
 *	  Handing words over to the model: those that come out of the last stage,
 *	  and those of a plain text, straight from its bytes.
 */
#include "tokenizer/encode/encoder.h"

#include <string.h>

#define SMALL_TEXT		1024	/* bytes; larger texts take the memory for a word from the arena */
#define POLL_BYTES		65536

/* Room for more bytes of a word, and for their places; all arrays grow alike. */
static bool
reserve(Encoder *encoder, size_t more)
{
	AlbertArena *arena = encoder->arena;
	Word	   *word = &encoder->word;
	size_t		start_room = word->room;
	size_t		stop_room = word->room;

	if (word->size + more <= word->room)
		return true;
	if (2 * word->room > LONG_WORD && 2 * word->room < encoder->total)
		more = encoder->total - word->size; /* it does not end soon */
	return (AlbertArenaReserve(arena, &word->text, word->size, more, 1, &word->room) &&
			(encoder->out.start == NULL ||
			 (AlbertArenaReserve(arena, &word->start, word->size, more, sizeof(int32_t), &start_room) &&
			  AlbertArenaReserve(arena, &word->stop, word->size, more, sizeof(int32_t), &stop_room)))) ||
		AlbertNoMemory(encoder->status);
}

static inline bool
encode_word(Encoder *encoder, Word *word)
{
	size_t		done;

	if (!tok_reserve(encoder, word->size))
		return false;
	if (encoder->header->model == MODEL_UNIGRAM)
		return tok_unigram(encoder, word, true, &done);
	tok_wordpiece(encoder, word);
	return true;
}

static bool
finish_word(Encoder *encoder)
{
	Word	   *word = &encoder->word;
	bool		good = word->size == 0 || encode_word(encoder, word);

	word->size = 0;
	word->limit = LONG_WORD;
	word->score = 0;
	word->unknown = false;
	return good;
}

/* Put the beginning of a long word, so that memory does not grow with it. */
static bool
shorten_word(Encoder *encoder)
{
	Word	   *word = &encoder->word;
	size_t		done;

	if (!tok_reserve(encoder, word->size) || !tok_unigram(encoder, word, false, &done))
		return false;
	word->size -= done;
	memmove(word->text, word->text + done, word->size);
	if (word->start != NULL)
	{
		memmove(word->start, word->start + done, word->size * sizeof(int32_t));
		memmove(word->stop, word->stop + done, word->size * sizeof(int32_t));
	}
	if (word->size > word->limit / 2)
		word->limit *= 2;
	return true;
}

/* A word too long for WordPiece is one unknown token: no more is needed of it than where it ends. */
static inline bool
is_too_long(const Encoder *encoder)
{
	return encoder->header->model == MODEL_WORDPIECE &&
		encoder->word.size > 4 * ((size_t) encoder->header->max_word + 1);
}

static void
append(Encoder *encoder, const Letter *letter)
{
	Word	   *word = &encoder->word;
	uint32_t	code = letter->code & LETTER_CODE;
	size_t		size = word->size;

	if (is_too_long(encoder))
	{
		if (word->start != NULL && letter->start < word->start[size - 1])
			word->start[size - 1] = letter->start;
		if (word->start != NULL && letter->stop > word->stop[size - 1])
			word->stop[size - 1] = letter->stop;
		return;
	}
	if (code == WORD_MARK_CODE && encoder->header->model == MODEL_UNIGRAM)
		word->text[word->size++] = WORD_MARK;
	else
		word->size += tok_utf8_encode(code, word->text + size);
	for (; word->start != NULL && size < word->size; size++)
	{
		word->start[size] = letter->start;
		word->stop[size] = letter->stop;
	}
}

/* What comes out of the last stage. */
bool
tok_take_letters(Encoder *encoder, const Letters *letters, bool last)
{
	for (size_t i = 0; i < letters->count; i++)
	{
		const Letter *letter = &letters->items[i];

		if ((letter->code & (LETTER_BEGINS | LETTER_TOKEN)) != 0 && !finish_word(encoder))
			return false;
		if ((letter->code & LETTER_TOKEN) != 0)
		{
			if (!tok_reserve(encoder, 1))
				return false;
			tok_put(encoder, (int32_t) (letter->code & LETTER_CODE), letter->start, letter->stop);
			continue;
		}
		if (!reserve(encoder, 4))
			return false;
		append(encoder, letter);
		if (encoder->word.size >= encoder->word.limit && encoder->header->model == MODEL_UNIGRAM &&
			!shorten_word(encoder))
			return false;
	}
	return !last || finish_word(encoder);
}

/* Does ascii[] tell all of the text? */
static bool
is_plain(const TokenizerHeader *header, const unsigned char *text, size_t size)
{
	uint8_t		before = 0;

	for (size_t i = 0; i < size; i++)
	{
		uint8_t		class = header->ascii_class[text[i]];

		if ((class & ASCII_PLAIN) == 0 || (class & before & ASCII_PAIRED) != 0)
			return false;
		before = class;
	}
	return true;
}

/*
 * Encode a fragment of nothing but simple ASCII characters; *plain is false,
 * and nothing done, if it is another.  Its first code point is base.
 */
bool
tok_plain_words(Encoder *encoder, const char *text, size_t size, int32_t base, bool *plain)
{
	const TokenizerHeader *header = encoder->header;
	const unsigned char *in = (const unsigned char *) text;
	bool		unigram = header->model == MODEL_UNIGRAM;
	unsigned char small[SMALL_TEXT];
	Word		word = {.text = small};
	AlbertArenaMark mark;
	size_t		poll = POLL_BYTES;
	bool		good = true;

	*plain = is_plain(header, in, size);
	if (!*plain)
		return true;
	if (!tok_reserve(encoder, size + 1))
		return false;
	mark = AlbertArenaGetMark(encoder->arena);
	if (size + 1 > sizeof(small))
		word.text = AlbertArenaAlloc(encoder->arena, size + 1);
	if (word.text == NULL)
		return AlbertNoMemory(encoder->status);
	for (size_t i = 0; i < size && good;)
	{
		uint8_t		class = header->ascii_class[in[i]];

		if (class & ASCII_SPACE)
		{
			i++;
			continue;
		}
		word.base = base + (int32_t) i;
		word.size = 0;
		if (unigram)
			word.text[word.size++] = WORD_MARK;
		do
			word.text[word.size++] = header->ascii[in[i++]];
		while ((class & ASCII_ALONE) == 0 && i < size &&
			   (header->ascii_class[in[i]] & (ASCII_SPACE | ASCII_ALONE)) == 0);
		word.score = 0;
		word.unknown = false;
		good = encode_word(encoder, &word) && (i < poll || !tok_interrupted(encoder));
		poll = i < poll ? poll : i + POLL_BYTES;
	}
	AlbertArenaRewind(encoder->arena, mark);
	return good;
}
