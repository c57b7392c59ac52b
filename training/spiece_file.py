"""Taking a spiece.model apart and putting one together, without the sentencepiece library."""
import struct


# spiece.model is a protocol buffer; field 1 of the top message repeats {1: piece, 2: score, 3: type}.
def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def split_model(data):
    """([(piece, score, type)], the other fields as bytes)"""
    pieces, rest, at = [], bytearray(), 0
    while at < len(data):
        start = at
        tag, at = read_varint(data, at)
        assert tag & 7 == 2, "spiece.model's top level holds messages only"
        size, at = read_varint(data, at)
        body, at = data[at:at + size], at + size
        if tag >> 3 != 1:
            rest += data[start:at]
            continue
        piece, score, kind, inner = "", 0.0, 1, 0
        while inner < len(body):
            tag, inner = read_varint(body, inner)
            if tag == 10:
                size, inner = read_varint(body, inner)
                piece, inner = body[inner:inner + size].decode(), inner + size
            elif tag == 21:
                score, inner = struct.unpack_from("<f", body, inner)[0], inner + 4
            else:
                kind, inner = read_varint(body, inner)
        pieces.append((piece, score, kind))
    return pieces, bytes(rest)


def join_model(pieces, rest):
    out = bytearray()
    for piece, score, kind in pieces:
        text = piece.encode()
        body = b"\x0a" + varint(len(text)) + text + b"\x15" + struct.pack("<f", score) + (b"" if kind == 1 else b"\x18" + varint(kind))
        out += b"\x0a" + varint(len(body)) + body
    return bytes(out) + rest


def without_paths(rest):
    """The other fields without the trainer's input and prefix (fields 1 and 2 of message 2), which name places on this machine."""
    out, at = bytearray(), 0
    while at < len(rest):
        start = at
        tag, at = read_varint(rest, at)
        size, at = read_varint(rest, at)
        body, at = rest[at:at + size], at + size
        if tag >> 3 != 2:
            out += rest[start:at]
            continue
        kept, inner = bytearray(), 0
        while inner < len(body):
            begin = inner
            field, inner = read_varint(body, inner)
            if field & 7 == 0:
                inner = read_varint(body, inner)[1]
            elif field & 7 == 2:
                size, inner = read_varint(body, inner)
                inner += size
            else:
                inner += {1: 8, 5: 4}[field & 7]
            if field >> 3 not in (1, 2):
                kept += body[begin:inner]
        out += b"\x12" + varint(len(kept)) + kept
    return bytes(out)
