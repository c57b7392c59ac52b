/*
 * bytes.c
 *	  Protocol buffers: the fields of a message.
 */
#include "base/bytes.h"

bool
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

bool
AlbertMessageRead(AlbertSpan message, const AlbertFieldPlace *places, size_t n, void *dest)
{
	uint64_t	seen = 0;
	AlbertField field;

	while (message.at < message.end)
	{
		if (!AlbertFieldNext(&message, &field))
			return false;
		for (size_t i = 0; i < n; i++)
		{
			char	   *place = (char *) dest + places[i].offset;

			if (field.number != places[i].number || field.wire != places[i].wire)
				continue;
			if (field.wire == ALBERT_WIRE_VARINT)
				*(uint64_t *) place = field.value;
			else if (seen & (uint64_t) 1 << i)
				return false;
			else
				*(AlbertSpan *) place = field.bytes;
			seen |= (uint64_t) 1 << i;
		}
	}
	return true;
}
