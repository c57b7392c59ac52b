/*
 * memory.c
 *	  Room for letters and for tokens, and the flag that all of the encoder
 *	  polls.
 */
#include "tokenizer/encode/encoder.h"

bool
tok_interrupted(const Encoder *encoder)
{
	if (encoder->interrupt == NULL || !*encoder->interrupt)
		return false;
	AlbertFail(encoder->status, ALBERT_CANCELLED, "tokenizing was interrupted");
	return true;
}

size_t
tok_expected(const Encoder *encoder, size_t count)
{
	return encoder->done == 0 ? 0 : (size_t) (1.06 * count / encoder->done * encoder->total);
}

bool
tok_grow(const Encoder *encoder, void *items, size_t count, size_t more, size_t expected, size_t size, size_t *room)
{
	if (*room - count >= more)
		return true;
	if (count + more < expected)
		more = expected - count;
	return AlbertArenaReserve(encoder->arena, items, count, more, size, room) || AlbertNoMemory(encoder->status);
}

bool
tok_grow_tokens(Encoder *encoder, size_t more)
{
	return tok_grow(encoder, &encoder->tokens, encoder->token_count, more, tok_expected(encoder, encoder->token_count),
					sizeof(AlbertToken), &encoder->token_room);
}

bool
tok_letters_reserve(Encoder *encoder, Letters *letters, size_t more)
{
	return tok_grow(encoder, &letters->items, letters->count, more, 0, sizeof(Letter), &letters->room);
}
