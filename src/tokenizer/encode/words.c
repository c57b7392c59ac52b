/*
 * words.c
 *	  Words for the model: of the letters that come out of the last step, and
 *	  of a plain text, straight from its bytes.
 */
#include "tokenizer/encode/encoder.h"

#define LONG_WORD		65536	/* bytes of a word that does not end soon */
#define POLL_BYTES		65536

/* Room for more bytes of the word, and for the places of as many letters. */
static bool
grow_word(Encoder *encoder, size_t more)
{
	Word	   *word = &encoder->word;
	bool		is_long = word->size >= LONG_WORD;
	size_t		bytes = is_long ? tok_expected(encoder, word->size) : 0;
	size_t		letters = is_long ? tok_expected(encoder, word->letters) : 0;

	return tok_grow(encoder, &word->text, word->size, more, bytes, 1, &word->room) &&
		tok_grow(encoder, &word->places, word->letters, more, letters, sizeof(int32_t), &word->place_room);
}

/* The word is over. */
static bool
end_word(Encoder *encoder)
{
	Word	   *word = &encoder->word;
	bool		good = word->size == 0 ||
		(encoder->header->model == MODEL_UNIGRAM ? tok_unigram(encoder, word) : tok_wordpiece(encoder, word));

	word->size = word->letters = 0;
	return good;
}

static inline bool
append(Encoder *encoder, Letter letter)
{
	Word	   *word = &encoder->word;

	if ((word->room - word->size < 4 || word->place_room == word->letters) && !grow_word(encoder, 4))
		return false;
	if (letter.code == WORD_MARK_CODE && encoder->header->model == MODEL_UNIGRAM)
		word->text[word->size++] = WORD_MARK;
	else
		word->size += tok_utf8_encode(letter.code, word->text + word->size);
	word->places[word->letters++] = letter.place;
	return true;
}

/* The next letter of normal text: does a word end before it, or with it? */
bool
tok_take_word(Encoder *encoder, Stage *stage, Letter letter)
{
	uint32_t	split = encoder->header->split;
	bool		alone = (split & SPLIT_PUNCTUATION) != 0 && tok_is(letter.code, IS_PUNCTUATION);

	if ((split & SPLIT_SPACES) != 0 && tok_is(letter.code, IS_SPACE))
		return end_word(encoder);
	if ((split & MARK_SPACES) != 0 && letter.code == ' ')
		letter.code = WORD_MARK_CODE;
	if ((alone || ((split & SPLIT_MARKS) != 0 && letter.code == WORD_MARK_CODE)) && !end_word(encoder))
		return false;
	if (encoder->word.size == 0 && letter.code != WORD_MARK_CODE &&
		((split & MARK_WORDS) != 0 || ((split & MARK_FIRST) != 0 && letter.place == 0)) &&
		!append(encoder, (Letter) {WORD_MARK_CODE, letter.place}))
		return false;
	return append(encoder, letter) && (!alone || end_word(encoder));
}

bool
tok_finish_word(Encoder *encoder, Stage *stage)
{
	return end_word(encoder);
}

bool
tok_take_token(Encoder *encoder, int32_t id, int32_t start, int32_t stop)
{
	if (!end_word(encoder) || !tok_reserve(encoder, 1))
		return false;
	encoder->tokens[encoder->token_count++] = (AlbertToken) {.id = id, .start = start, .stop = stop};
	return true;
}

/* ---- plain text ---- */

/* Does ascii[] tell all of the text? */
bool
tok_is_plain(const TokenizerHeader *header, const char *text, size_t size)
{
	uint8_t		before = 0;

	for (size_t i = 0; i < size; i++)
	{
		uint8_t		class = header->ascii_class[(unsigned char) text[i]];

		if ((class & ASCII_PLAIN) == 0 || (class & before & ASCII_PAIRED) != 0)
			return false;
		before = class;
	}
	return true;
}

/* Encode a plain fragment, whose first code point is base. */
bool
tok_plain_words(Encoder *encoder, const char *text, size_t size, int32_t base)
{
	const TokenizerHeader *header = encoder->header;
	const unsigned char *in = (const unsigned char *) text;
	bool		mark = (header->split & MARK_WORDS) != 0;
	size_t		poll = POLL_BYTES;
	unsigned char *word;
	int32_t    *places;

	if (!grow_word(encoder, size + 1))
		return false;
	word = encoder->word.text;
	places = encoder->word.places;
	for (size_t i = 0; i < size;)
	{
		uint8_t		class = header->ascii_class[in[i]];
		size_t		from = i;
		size_t		n = mark;

		if (class & ASCII_SPACE)
		{
			i++;
			encoder->done++;
			continue;
		}
		word[0] = WORD_MARK;
		places[0] = base + (int32_t) i;
		do
		{
			word[n] = header->ascii[in[i]];
			places[n++] = base + (int32_t) i++;
		} while ((class & ASCII_ALONE) == 0 && i < size &&
				 (header->ascii_class[in[i]] & (ASCII_SPACE | ASCII_ALONE)) == 0);
		encoder->word.size = encoder->word.letters = n;
		encoder->done += i - from;
		if (!end_word(encoder) || (i >= poll && tok_interrupted(encoder)))
			return false;
		poll = i < poll ? poll : i + POLL_BYTES;
	}
	return true;
}
