/*
 * unigram.c
 *	  The unigram model: the cheapest way to cut a text into pieces.
 *
 * The search is the one of sentencepiece and of Hugging Face's tokenizers:
 * from every character on, each piece that the text continues with is a way to
 * the position behind it, and only the best way to a position is kept, the
 * first found among equals.  The two differ in their arithmetic, which
 * decides between nearly equal ways: sentencepiece sums in float32 (and counts
 * anew when sums become large), the other in float64.
 */
#include "tokenizer/internal.h"

#include <string.h>

#define LARGE_SUM	100000.0

typedef struct Best
{
	double		score;			/* of the best way to this position */
	int32_t		start;			/* where its last piece begins; -1: no way yet */
	int32_t		id;
} Best;

/* Bytes of the character at the text's start, as far as there are. */
static inline size_t
character_length(const unsigned char *text, size_t size)
{
	size_t		length = text[0] == WORD_MARK ? 1 : tok_utf8_length(text[0]);

	return length < size ? length : size;
}

static inline void
offer(Best *best, double candidate, size_t start, int32_t id)
{
	if (best->start < 0 || candidate > best->score)
	{
		best->score = candidate;
		best->start = (int32_t) start;
		best->id = id;
	}
}

static inline double
sum(double score, double so_far, bool single)
{
	return single ? (float) score + (float) so_far : score + so_far;
}

/* Subtract the score at start from it and from those of all positions reached behind it. */
static void
count_anew(Best *best, size_t start, size_t reached)
{
	float		offset = (float) best[start].score;

	for (size_t i = start; i <= reached; i++)
		if (i == start || best[i].start >= 0)
			best[i].score = (float) best[i].score - offset;
}

static inline void
find_best(const AlbertTokenizer *tokenizer, const unsigned char *text, size_t size,
		  Best *best, bool single)
{
	const ImageHeader *header = HEADER(tokenizer);
	const TrieUnit *units = TABLE(tokenizer, SECTION_TRIE, TrieUnit);
	const size_t unit_count = SECTION_ITEMS(header, SECTION_TRIE, TrieUnit);
	const double *scores = TABLE(tokenizer, SECTION_SCORES, double);
	size_t		reached = 0;

	for (size_t start = 0; start < size;)
	{
		size_t		length = character_length(text + start, size - start);
		const TrieUnit *unit = units;
		bool		has_single = false;
		double		so_far;

		if (single && (best[start].score < -LARGE_SUM || best[start].score > LARGE_SUM))
			count_anew(best, start, reached);
		so_far = best[start].score;
		for (size_t at = start; at < size && unit_count > 0;)
		{
			unsigned char byte = text[at];
			size_t		child = UNIT_CHILD(unit, byte);

			if (child >= unit_count || !UNIT_IS(&units[child], byte))
				break;
			unit = &units[child];
			at++;
			if (unit->id >= 0)
			{
				offer(&best[at], sum(scores[unit->id], so_far, single), start, unit->id);
				if (at - start == length)
					has_single = true;
				if (at > reached)
					reached = at;
			}
		}
		if (!has_single)
		{
			offer(&best[start + length], sum(header->unk_score, so_far, single), start, header->model_unk_id);
			if (start + length > reached)
				reached = start + length;
		}
		start += length;
	}
}

bool
tok_unigram(const AlbertTokenizer *tokenizer, const unsigned char *text, size_t size,
			AlbertArena *arena, Segment **segments, size_t *count, AlbertStatus *status)
{
	Best	   *best;
	size_t		n = 0;

	*segments = NULL;
	*count = 0;
	if (size == 0)
		return true;
	best = AlbertArenaArray(arena, size + 1, sizeof(Best));
	if (best == NULL)
		return tok_no_memory(status);
	for (size_t i = 0; i <= size; i++)
		best[i].start = -1;
	best[0].score = 0;
	if (HEADER(tokenizer)->kind == KIND_SPIECE)
		find_best(tokenizer, text, size, best, true);
	else
		find_best(tokenizer, text, size, best, false);

	for (size_t at = size; at > 0; at = best[at].start)
		n++;
	*segments = AlbertArenaArray(arena, n, sizeof(Segment));
	if (*segments == NULL)
		return tok_no_memory(status);
	*count = n;
	for (size_t at = size; at > 0; at = best[at].start)
	{
		Segment    *segment = &(*segments)[--n];

		segment->stop = (int32_t) at;
		segment->id = best[at].id;
	}
	return true;
}
