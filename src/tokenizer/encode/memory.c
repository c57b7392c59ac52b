/*
 * memory.c
 *	  Room for letters and for tokens, and the flag that all of the encoder
 *	  polls.
 */
#include "tokenizer/encode/encoder.h"

#include <string.h>

bool
tok_interrupted(const Encoder *encoder)
{
	if (encoder->interrupt == NULL || !*encoder->interrupt)
		return false;
	AlbertFail(encoder->status, ALBERT_CANCELLED, "tokenizing was interrupted");
	return true;
}

bool
tok_letters_reserve(Encoder *encoder, Letters *letters, size_t more)
{
	if (letters->room - letters->count >= more)
		return true;
	return AlbertArenaReserve(encoder->arena, &letters->items, letters->count, more, sizeof(Letter), &letters->room) ||
		AlbertNoMemory(encoder->status);
}

bool
tok_letters_append(Encoder *encoder, Letters *letters, const Letter *more, size_t count)
{
	if (!tok_letters_reserve(encoder, letters, count))
		return false;
	if (count > 0)
		memcpy(letters->items + letters->count, more, count * sizeof(Letter));
	letters->count += count;
	return true;
}

/* Bytes of all arrays of n tokens. */
size_t
tok_output_bytes(bool offsets, size_t n)
{
	return n * ((offsets ? 3 : 1) * sizeof(int32_t) + 2);
}

bool
tok_allocate_output(Encoder *encoder, Output *out, size_t room, bool offsets)
{
	out->ids = AlbertArenaAlloc(encoder->arena, tok_output_bytes(offsets, room));
	if (out->ids == NULL)
		return AlbertNoMemory(encoder->status);
	out->start = offsets ? out->ids + room : NULL;
	out->stop = offsets ? out->start + room : NULL;
	out->room = room;
	return true;
}

bool
tok_grow_output(Encoder *encoder, size_t more)
{
	Output	   *old = &encoder->out;
	Output		fresh = *old;
	double		a_byte = encoder->done == 0 ? 0 : (double) old->count / encoder->done;
	size_t		expected = (size_t) (1.06 * a_byte * encoder->total);

	if (expected < old->count + more)
		expected = old->count + more + old->room / 4;
	if (!tok_allocate_output(encoder, &fresh, expected, old->start != NULL))
		return false;
	memcpy(fresh.ids, old->ids, old->count * sizeof(int32_t));
	if (old->start != NULL)
	{
		memcpy(fresh.start, old->start, old->count * sizeof(int32_t));
		memcpy(fresh.stop, old->stop, old->count * sizeof(int32_t));
	}
	*old = fresh;
	return true;
}
