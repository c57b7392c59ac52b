/*
 * unigram.c
 *	  The unigram model: the likeliest way to cut a word into pieces.
 *
 * The search is the one of Hugging Face's tokenizers: from every character on,
 * each piece that the word continues with is a way to the letter behind it,
 * and only the best way to a letter is kept, the first found among equals;
 * scores are summed in float64.  Scores are needed as far ahead as the longest
 * piece reaches and lie in a ring; of a letter, two numbers are kept.
 */
#include "tokenizer/encode/encoder.h"

#define POLL_LETTERS	65536

typedef struct Ways
{
	Way		   *to;				/* by letter */
	double	   *score;			/* of the way; a ring */
	size_t		ring;			/* its size - 1, which is all ones */
} Ways;

static inline void
offer(const Ways *ways, size_t letter, double score, size_t start, int32_t id)
{
	double	   *best = &ways->score[letter & ways->ring];

	/* what the ring has before the first way is another letter's score */
	if (ways->to[letter].start < 0 || score > *best)
	{
		*best = score;
		ways->to[letter] = (Way) {(int32_t) start, id};
	}
}

/*
 * The ways from one letter on, whose first byte is at; how many bytes it has is
 * returned.  bytes: each letter of the word is one.
 */
static inline __attribute__((always_inline)) size_t
search(const TokenizerHeader *header, Trie trie, const double *scores, const Word *word, size_t at, size_t start,
	   bool bytes, const Ways *ways)
{
	const unsigned char *text = word->text;
	size_t		length = bytes || text[at] == WORD_MARK ? 1 : tok_utf8_length(text[at]);
	size_t		letter = start;
	double		so_far = ways->score[start & ways->ring];
	const TrieUnit *unit = trie.units;
	bool		single = false;

	for (; at < word->size; at++)
	{
		unit = tok_trie_step(trie, unit, text[at]);
		if (unit == NULL)
			break;
		letter += bytes || tok_utf8_begins(text[at]);
		if (unit->id >= 0)
		{
			offer(ways, letter, scores[unit->id] + so_far, start, unit->id);
			single |= letter == start + 1;
		}
	}
	if (!single)
		offer(ways, start + 1, header->unk_score + so_far, start, header->model_unk_id);
	return length;
}

static bool
search_word(Encoder *encoder, const Word *word, const Ways *ways)
{
	Trie		trie = TRIE(encoder->tokenizer, SECTION_TRIE);
	const double *scores = TABLE(encoder->tokenizer, SECTION_SCORES, double);
	size_t		at = 0;

	for (size_t i = 0; i <= word->letters; i++)
		ways->to[i].start = -1;
	ways->score[0] = 0;
	for (size_t letter = 0; letter < word->letters; letter++)
	{
		if (letter % POLL_LETTERS == POLL_LETTERS - 1 && tok_interrupted(encoder))
			return false;
		if (word->letters == word->size)
			search(encoder->header, trie, scores, word, letter, letter, true, ways);
		else
			at += search(encoder->header, trie, scores, word, at, letter, false, ways);
	}
	return true;
}

/* How many tokens the best way to the word's end makes: runs of unknown characters are one. */
static size_t
count_pieces(const Ways *ways, size_t letters, int32_t unknown)
{
	size_t		count = 0;
	bool		goes_on = false;	/* the piece behind is unknown */

	for (size_t end = letters; end > 0; end = ways->to[end].start)
	{
		bool		is_unknown = ways->to[end].id == unknown;

		count += !is_unknown || !goes_on;
		goes_on = is_unknown;
	}
	return count;
}

static bool
put_pieces(Encoder *encoder, const Word *word, const Ways *ways)
{
	int32_t		unknown = encoder->header->model_unk_id;
	size_t		count = count_pieces(ways, word->letters, unknown);
	size_t		end = word->letters;
	AlbertToken *token;

	if (!tok_reserve(encoder, count))
		return false;
	encoder->token_count += count;
	token = encoder->tokens + encoder->token_count;
	while (end > 0)
	{
		int32_t		id = ways->to[end].id;
		size_t		start = ways->to[end].start;

		while (id == unknown && start > 0 && ways->to[start].id == unknown)
			start = ways->to[start].start;
		*--token = tok_piece(word, id, start, end);
		end = start;
	}
	return true;
}

bool
tok_unigram(Encoder *encoder, const Word *word)
{
	size_t		ring = encoder->header->score_ring;
	Ways		ways;

	if (encoder->scores == NULL)
		encoder->scores = AlbertArenaArray(encoder->arena, ring, sizeof(double));
	if (encoder->scores == NULL ||
		!AlbertArenaReserve(encoder->arena, &encoder->ways, 0, word->letters + 1, sizeof(Way), &encoder->way_room))
		return AlbertNoMemory(encoder->status);
	ways = (Ways) {encoder->ways, encoder->scores, ring - 1};
	return search_word(encoder, word, &ways) && put_pieces(encoder, word, &ways);
}
