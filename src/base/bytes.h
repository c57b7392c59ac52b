/*
 * bytes.h
 *	  Integers in the bytes of untrusted files, which all store them little-endian,
 *	  and the fields of protocol buffers.
 */
#ifndef ALBERT_BYTES_H
#define ALBERT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number that size bytes (at most 8) make; they need no alignment. */
static inline uint64_t
AlbertLittleEndian(const void *bytes, int size)
{
	const unsigned char *at = (const unsigned char *) bytes;
	uint64_t	value = 0;

	for (int i = size - 1; i >= 0; i--)
		value = value << 8 | at[i];
	return value;
}

/* Bytes that are still to be read. */
typedef struct AlbertSpan
{
	const unsigned char *at;
	const unsigned char *end;
} AlbertSpan;

static inline size_t
AlbertSpanSize(AlbertSpan span)
{
	return span.end - span.at;
}

/* A number in groups of seven bits, the lowest first; false when the span ends before it does. */
static inline bool
AlbertVarint(AlbertSpan *span, uint64_t *value)
{
	*value = 0;
	for (int shift = 0; shift < 64 && span->at < span->end; shift += 7)
	{
		unsigned char byte = *span->at++;

		*value |= (uint64_t) (byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return true;
	}
	return false;
}

/* A field of a protocol buffer. */
typedef enum AlbertWire
{
	ALBERT_WIRE_VARINT = 0,
	ALBERT_WIRE_FIXED64 = 1,
	ALBERT_WIRE_BYTES = 2,
	ALBERT_WIRE_FIXED32 = 5
} AlbertWire;

typedef struct AlbertField
{
	uint32_t	number;
	AlbertWire	wire;
	uint64_t	value;			/* of a varint; else 0 */
	AlbertSpan	bytes;			/* of any other; else empty */
} AlbertField;

/* The next field of a message that has not ended; false when it is malformed. */
extern bool AlbertFieldNext(AlbertSpan *message, AlbertField *field);

/* Where a field of a message goes: a varint to a uint64_t, bytes to an AlbertSpan. */
typedef struct AlbertFieldPlace
{
	uint32_t	number;
	AlbertWire	wire;
	size_t		offset;			/* in what is read into */
} AlbertFieldPlace;

/*
 * Read some of a message's fields into a structure; those that are missing
 * leave their places as they are.  Of numbers the last counts.  false: the
 * message is malformed, or has bytes of one number twice.
 */
extern bool AlbertMessageRead(AlbertSpan message, const AlbertFieldPlace *places, size_t n, void *dest);

#endif							/* ALBERT_BYTES_H */
