/*
 * unigram.c
 *	  The unigram model: the likeliest way to cut a word into pieces.
 *
 * The search is the one of Hugging Face's tokenizers: from every character on,
 * each piece that the word continues with is a way to the position behind it,
 * and only the best way to a position is kept, the first found among equals;
 * scores are summed in float64.  Scores are needed as far ahead as the longest
 * piece reaches and lie in a ring; of a position, two numbers are kept.
 */
#include "tokenizer/encode/encoder.h"

#define SMALL_WORD		512		/* bytes; larger words take their memory from the arena */
#define SMALL_RING		64
#define POLL_BYTES		65536

/* The best way to a position: where its last piece begins, -1 when there is no way yet, and that piece. */
typedef struct Way
{
	int32_t		start;
	int32_t		id;
} Way;

typedef struct Ways
{
	Way		   *to;				/* by position */
	double	   *score;			/* of the way; a ring */
	size_t		ring;			/* its size - 1, which is all ones */
	size_t		settled;		/* a position that all ways go through */
	double		settled_score;
} Ways;

static inline void
offer(Ways *ways, size_t at, double score, size_t start, int32_t id)
{
	double	   *best = &ways->score[at & ways->ring];

	if (ways->to[at].start < 0 || score > *best)
	{
		*best = score;
		ways->to[at] = (Way) {(int32_t) start, id};
	}
}

/* The ways from one position on; the bytes of its character are returned. */
static inline size_t
search(const TokenizerHeader *header, Trie trie, const double *scores, const unsigned char *text, size_t size,
	   size_t start, Ways *ways, size_t *reached)
{
	size_t		length = text[start] == WORD_MARK ? 1 : tok_utf8_length(text[start]);
	double		so_far = ways->score[start & ways->ring];
	const TrieUnit *unit = trie.units;
	bool		single = false;

	for (size_t at = start; at < size && trie.count > 0;)
	{
		unit = tok_trie_step(trie, unit, text[at]);
		if (unit == NULL)
			break;
		at++;
		if (unit->id >= 0)
		{
			offer(ways, at, scores[unit->id] + so_far, start, unit->id);
			single |= at - start == length;
			*reached = at > *reached ? at : *reached;
		}
	}
	if (!single)
	{
		offer(ways, start + length, header->unk_score + so_far, start, header->model_unk_id);
		*reached = start + length > *reached ? start + length : *reached;
	}
	return length;
}

/* Search the word.  Its end is settled, or, if it goes on, the last position that no piece reaches across. */
static bool
search_word(Encoder *encoder, const Word *word, bool last, Ways *ways)
{
	Trie		trie = TRIE(encoder->tokenizer, SECTION_TRIE);
	const double *scores = TABLE(encoder->tokenizer, SECTION_SCORES, double);
	size_t		reach = last ? 0 : (size_t) encoder->header->longest_piece + 4;
	size_t		poll = POLL_BYTES;
	size_t		reached = 0;

	for (size_t i = 0; i <= word->size; i++)
		ways->to[i].start = -1;
	ways->score[0] = word->score;
	ways->settled = 0;
	for (size_t at = 0; at + reach < word->size;)
	{
		if (at == reached)
		{
			ways->settled = at;
			ways->settled_score = ways->score[at & ways->ring];
		}
		if (at >= poll && tok_interrupted(encoder))
			return false;
		poll = at >= poll ? at + POLL_BYTES : poll;
		at += search(encoder->header, trie, scores, word->text, word->size, at, ways, &reached);
	}
	if (last)
		ways->settled = word->size;
	return true;
}

/* Follow the ways from the word's end to its start, leaving in each position's start where the next piece ends. */
static size_t
turn_round(const Ways *ways, size_t size)
{
	size_t		next = 0;

	for (size_t at = size; at > 0;)
	{
		size_t		start = ways->to[at].start;

		ways->to[at].start = (int32_t) next;
		next = at;
		at = start;
	}
	return next;
}

/* Put the pieces up to a position; runs of unknown characters are one token. */
static void
put_pieces(Encoder *encoder, Word *word, const Ways *ways, size_t size)
{
	int32_t		unknown = encoder->header->model_unk_id;
	size_t		from = 0;
	size_t		to = turn_round(ways, size);

	while (from < size)
	{
		int32_t		id = ways->to[to].id;
		size_t		next = ways->to[to].start;

		while (id == unknown && to < size && ways->to[next].id == id)
		{
			to = next;
			next = ways->to[to].start;
		}
		if (word->unknown && id == unknown)
		{
			if (encoder->out.start != NULL)
				encoder->out.stop[encoder->out.count - 1] = word->stop[to - 1];
		}
		else
			tok_put_piece(encoder, word, id, from, to);
		word->unknown = false;
		if (to == size)
			word->unknown = id == unknown;
		from = to;
		to = next;
	}
}

bool
tok_unigram(Encoder *encoder, Word *word, bool last, size_t *done)
{
	Way			small[SMALL_WORD + 4];
	double		small_score[SMALL_RING];
	Ways		ways = {small, small_score, SMALL_RING - 1, 0, 0};
	AlbertArenaMark mark = AlbertArenaGetMark(encoder->arena);
	size_t		ring = SMALL_RING;
	bool		good;

	if (word->size > SMALL_WORD)
		ways.to = AlbertArenaArray(encoder->arena, word->size + 4, sizeof(Way));
	while (ring < (size_t) encoder->header->longest_piece + 8)
		ring *= 2;
	if (ring > SMALL_RING)
		ways.score = AlbertArenaArray(encoder->arena, ring, sizeof(double));
	ways.ring = ring - 1;
	if (ways.to == NULL || ways.score == NULL)
		return AlbertNoMemory(encoder->status);
	good = search_word(encoder, word, last, &ways);
	if (good)
		put_pieces(encoder, word, &ways, ways.settled);
	word->score = ways.settled_score;
	*done = ways.settled;
	if (word->size > SMALL_WORD || ring > SMALL_RING)
		AlbertArenaRewind(encoder->arena, mark);
	return good;
}
