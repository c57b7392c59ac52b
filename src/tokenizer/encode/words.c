/*
 * words.c
 *	  Words for the model: of the letters that come out of the last step, and
 *	  of a plain text, straight from its bytes.
 */
#include "tokenizer/encode/encoder.h"

#define LONG_WORD		65536	/* bytes of a word that does not end soon */
#define POLL_BYTES		65536

/* Room for more bytes of the word, and for their places. */
static bool
grow_word(Encoder *encoder, size_t more)
{
	Word	   *word = &encoder->word;
	size_t		place_room = word->room;
	size_t		expected = word->size < LONG_WORD ? 0 : tok_expected(encoder, word->size);

	if (word->size + more < expected)
		more = expected - word->size;
	return (AlbertArenaReserve(encoder->arena, &word->text, word->size, more, 1, &word->room) &&
			AlbertArenaReserve(encoder->arena, &word->places, word->size, more, sizeof(int32_t), &place_room)) ||
		AlbertNoMemory(encoder->status);
}

/* The word is over. */
bool
tok_finish_word(Encoder *encoder)
{
	Word	   *word = &encoder->word;
	bool		good = word->size == 0 ||
		(encoder->header->model == MODEL_UNIGRAM ? tok_unigram(encoder, word) : tok_wordpiece(encoder, word));

	word->size = 0;
	return good;
}

static inline bool
append(Encoder *encoder, Letter letter)
{
	Word	   *word = &encoder->word;
	size_t		size = word->size;

	if (word->room - size < 4 && !grow_word(encoder, 4))
		return false;
	if (letter.code == WORD_MARK_CODE && encoder->header->model == MODEL_UNIGRAM)
		word->text[word->size++] = WORD_MARK;
	else
		word->size += tok_utf8_encode(letter.code, word->text + size);
	for (; size < word->size; size++)
		word->places[size] = letter.place;
	return true;
}

/* The next letter of normal text: does a word end before it, or with it? */
bool
tok_take_letter(Encoder *encoder, Letter letter)
{
	uint32_t	split = encoder->header->split;
	bool		alone = (split & SPLIT_PUNCTUATION) != 0 && tok_is(letter.code, IS_PUNCTUATION);

	if ((split & SPLIT_SPACES) != 0 && tok_is_space(letter.code))
		return tok_finish_word(encoder);
	if ((split & MARK_SPACES) != 0 && letter.code == ' ')
		letter.code = WORD_MARK_CODE;
	if ((alone || ((split & SPLIT_MARKS) != 0 && letter.code == WORD_MARK_CODE)) && !tok_finish_word(encoder))
		return false;
	if (encoder->word.size == 0 && letter.code != WORD_MARK_CODE &&
		((split & MARK_WORDS) != 0 || ((split & MARK_FIRST) != 0 && letter.place == 0)) &&
		!append(encoder, (Letter) {WORD_MARK_CODE, letter.place}))
		return false;
	return append(encoder, letter) && (!alone || tok_finish_word(encoder));
}

bool
tok_words_stage(Encoder *encoder, Stage *stage, Letters *out, bool last, size_t *consumed)
{
	for (size_t i = 0; i < stage->in.count; i++)
		if (!tok_take_letter(encoder, stage->in.items[i]))
			return false;
	return !last || tok_finish_word(encoder);
}

bool
tok_take_token(Encoder *encoder, int32_t id, int32_t start, int32_t stop)
{
	if (!tok_finish_word(encoder) || !tok_reserve(encoder, 1))
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

	if (encoder->word.room < size + 1 && !grow_word(encoder, size + 1))
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
		encoder->word.size = n;
		encoder->done += i - from;
		if (!tok_finish_word(encoder) || (i >= poll && tok_interrupted(encoder)))
			return false;
		poll = i < poll ? poll : i + POLL_BYTES;
	}
	return true;
}
