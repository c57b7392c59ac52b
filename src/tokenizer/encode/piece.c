/*
 * piece.c
 *	  Pieces by id and by text.
 */
#include "tokenizer/image.h"

#include <string.h>

static void
piece_text(const AlbertTokenizer *tokenizer, int32_t id, AlbertText *piece)
{
	const uint32_t *offsets = TABLE(tokenizer, SECTION_PIECE_OFFSETS, uint32_t);

	piece->data = TABLE(tokenizer, SECTION_PIECE_BYTES, char) + offsets[id];
	piece->size = offsets[id + 1] - offsets[id];
}

bool
AlbertTokenizerPiece(const AlbertTokenizer *tokenizer, int32_t id, AlbertText *piece, AlbertStatus *status)
{
	if (id < 0 || id >= tokenizer->vocab_size || TABLE(tokenizer, SECTION_PIECE_FLAGS, uint8_t)[id] == 0)
	{
		AlbertFail(status, ALBERT_INPUT, "token id %d is not in the vocabulary", id);
		return AlbertDetail(status, "Its ids are 0 to %d.", tokenizer->vocab_size - 1);
	}
	piece_text(tokenizer, id, piece);
	return true;
}

int32_t
AlbertTokenizerPieceId(const AlbertTokenizer *tokenizer, const char *piece, size_t size)
{
	const int32_t *slots = TABLE(tokenizer, SECTION_HASH, int32_t);
	uint32_t	mask = (uint32_t) HEADER(tokenizer)->hash_size - 1;

	for (uint32_t at = tok_hash(piece, size) & mask; slots[at] >= 0; at = (at + 1) & mask)
	{
		AlbertText	other;

		piece_text(tokenizer, slots[at], &other);
		if (other.size == size && (size == 0 || memcmp(other.data, piece, size) == 0))
			return slots[at];
	}
	return -1;
}

bool
AlbertTokenizerIsSpecial(const AlbertTokenizer *tokenizer, int32_t id)
{
	return id >= 0 && id < tokenizer->vocab_size &&
		(TABLE(tokenizer, SECTION_PIECE_FLAGS, uint8_t)[id] & PIECE_SPECIAL) != 0;
}
