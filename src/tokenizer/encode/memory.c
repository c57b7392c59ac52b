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
tok_grow_tokens(Encoder *encoder, size_t more)
{
	size_t		expected = tok_expected(encoder, encoder->token_count);

	if (encoder->token_count + more < expected)
		more = expected - encoder->token_count;
	return AlbertArenaReserve(encoder->arena, &encoder->tokens, encoder->token_count, more, sizeof(AlbertToken),
							  &encoder->token_room) || AlbertNoMemory(encoder->status);
}

bool
tok_letters_reserve(Encoder *encoder, Letters *letters, size_t more)
{
	if (letters->room - letters->count >= more)
		return true;
	return AlbertArenaReserve(encoder->arena, &letters->items, letters->count, more, sizeof(Letter), &letters->room) ||
		AlbertNoMemory(encoder->status);
}
