/*
 * bytes.h
 *	  Integers in the bytes of untrusted files, which all store them little-endian.
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
static inline bool
AlbertFieldNext(AlbertSpan *message, AlbertField *field)
{
	uint64_t	tag;
	uint64_t	size;

	if (!AlbertVarint(message, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
		return false;
	field->number = (uint32_t) (tag >> 3);
	field->wire = (AlbertWire) (tag & 7);
	field->value = 0;
	field->bytes.at = field->bytes.end = message->at;
	switch (field->wire)
	{
		case ALBERT_WIRE_VARINT:
			return AlbertVarint(message, &field->value);
		case ALBERT_WIRE_FIXED64:
			size = 8;
			break;
		case ALBERT_WIRE_FIXED32:
			size = 4;
			break;
		case ALBERT_WIRE_BYTES:
			if (!AlbertVarint(message, &size))
				return false;
			break;
		default:
			return false;
	}
	if (size > AlbertSpanSize(*message))
		return false;
	field->bytes.at = message->at;
	field->bytes.end = message->at += size;
	return true;
}

#endif							/* ALBERT_BYTES_H */
