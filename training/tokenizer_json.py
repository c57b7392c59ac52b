"""Write the tokenizer.json that goes with a spiece.model, laid out as those of the published ALBERT checkpoints.

    tokenizer_json.py DIRECTORY

transformers would convert spiece.model otherwise (symbols become added tokens, matched before normalisation), so that
AutoTokenizer and the training would not cut texts alike.  Pieces that end in a digit and a comma are made unlikely, as
the published files do, so that a number is never one piece with the comma behind it."""
import base64
import json
import os
import sys

from common import SPECIALS
from spiece_file import read_varint, split_model


def bytes_fields(message, number):
    """The values of a protocol buffer's fields of bytes with a number."""
    found, at = [], 0
    while at < len(message):
        tag, at = read_varint(message, at)
        if tag & 7 == 0:
            at = read_varint(message, at)[1]
        elif tag & 7 == 2:
            size, at = read_varint(message, at)
            if tag >> 3 == number:
                found.append(message[at:at + size])
            at += size
        else:
            at += {1: 8, 5: 4}[tag & 7]
    return found


def likelihood(piece, score):
    return score - 100.0 if len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit() else score


def special(token, type_id):
    return {"SpecialToken": {"id": token, "type_id": type_id}}


def sequence(name, type_id):
    return {"Sequence": {"id": name, "type_id": type_id}}


def replace(old, new):
    return {"type": "Replace", "pattern": {"String": old}, "content": new}


def tokenizer_json(spiece):
    """The file's content as an object, for the bytes of a spiece.model."""
    pieces, rest = split_model(spiece)
    ids = {piece: i for i, (piece, _, _) in enumerate(pieces)}
    maps = [m for normalizer in bytes_fields(rest, 3) for m in bytes_fields(normalizer, 2)]
    normalizers = [replace("``", "\""), replace("''", "\""), {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]
    normalizers += [{"type": "Precompiled", "precompiled_charsmap": base64.b64encode(m).decode()} for m in maps]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": ids[t], "content": t, "single_word": False, "lstrip": t == "[MASK]", "rstrip": False,
                          "normalized": False, "special": True} for t in SPECIALS],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)],
            "pair": [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0), sequence("B", 1), special("[SEP]", 1)],
            "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")}},
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "model": {"type": "Unigram", "unk_id": ids["<unk>"], "vocab": [[p, likelihood(p, s)] for p, s, _ in pieces],
                  "byte_fallback": False}}


def write_tokenizer_json(directory):
    with open(os.path.join(directory, "spiece.model"), "rb") as f:
        content = tokenizer_json(f.read())
    with open(os.path.join(directory, "tokenizer.json"), "w", encoding="utf-8") as f:
        json.dump(content, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    write_tokenizer_json(sys.argv[1])
