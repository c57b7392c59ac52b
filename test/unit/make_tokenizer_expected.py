#!/usr/bin/env python3
"""Write tokenizer_expected_bert.h and tokenizer_expected_json.h: small vocab.txt and tokenizer.json files, and what the
fast tokenizers of transformers 4.57 and tokenizers 0.22 make of some texts with them.

usage: make_tokenizer_expected.py DIRECTORY
"""
import json
import os
import string
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import tokenizers
import transformers
from transformers import BertTokenizerFast

WORDS = ["the", "capital", "of", "delhi", "is", "cap", "##ital", "##ing", "##s", "un", "##able", "2010", "don", "cafe",
         "Paris", "café", "##é", "naive", "日", "本", "привет", "σ", "##ς", "##σ", "ο", "##δ", "##ο", "ß", "##ß", "US"]
TEXTS = ["The capital of [MASK] is Delhi.", "unable, caps capitals", "2010, 2010,2010", "don't DON'T", "Café CAFÉ café cafe\u0301",
         "naïve", "日本 の", "Привет, мир!", "ΟΔΟΣ οδος", "straße ẞ", "", "  \t\n ", "aaab" * 25 + " " + "aaab" * 25 + "a",
         "[CLS] hello [SEP]", "[mask] [Mask]", "x[MASK]y", "[MASK]'s", "\u200bthe\u200d capital", "\ufeffthe", "the\x00capital\x01of",
         "the\u00a0capital\u3000of\u2028delhi\x85is", "a-b_c (d) \"e\" …", "“q” — £5 €9", "\u0301the", "e\u0301\u0323", "क्षि हिन्दी", "ไทย",
         "한국어", "😀 the 👍🏽", "ﬁ ½ ²", "İstanbul ı", "P.S. U.S.A.", "the\u034fcapital", "[UNK] [PAD]", "\U0002f800 豈", "##ing ##"]
PAIRS = [("The capital", "of Delhi"), ("the", ""), ("", "the"), ("[MASK]", "[MASK] 日本")]


def vocabulary(lower):
    words = [w.lower() if lower else w for w in WORDS]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list(string.ascii_lowercase + string.digits)
    pieces += [] if lower else list(string.ascii_uppercase)
    pieces += ["##" + c for c in string.ascii_lowercase] + [c for c in ".,'\"-!()[]_#“”—£€…" ] + words
    return list(dict.fromkeys(pieces))


def cases(fast):
    out = []
    for text, pair in [(t, None) for t in TEXTS] + PAIRS:
        e = fast(text, pair, return_offsets_mapping=True)
        ids = e["input_ids"]
        case = {"text": text, "ids": ids}
        if pair is not None:
            case |= {"pair": pair, "types": e["token_type_ids"]}
        case["offsets"] = [i for o in e["offset_mapping"] for i in o]
        for key, skip, clean in (("whole", False, False), ("clean", True, True)):
            case[key] = fast.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=clean)
        out.append(case)
    return out


def bert(name, lower, **config):
    with tempfile.TemporaryDirectory() as directory:
        files = {"vocab.txt": "".join(p + "\n" for p in vocabulary(lower)),
                 "tokenizer_config.json": json.dumps({"do_lower_case": lower, "tokenizer_class": "BertTokenizer", **config})}
        for file, content in files.items():
            with open(os.path.join(directory, file), "w") as f:
                f.write(content)
        fast = BertTokenizerFast.from_pretrained(directory)
        pipeline = {"tokenizer.json": fast.backend_tokenizer.to_str()}
    return ({"name": name, "files": files, "cases": cases(fast)},
            {"name": name + ", tokenizer.json", "files": pipeline, "cases": cases(fast)})


def unigram(name, change):
    pieces = [["<pad>", 0.0], ["<unk>", 0.0], ["[CLS]", 0.0], ["[SEP]", 0.0], ["[MASK]", 0.0], ["▁", -2.0], ["▁the", -4.0],
              ["▁capital", -5.5], ["▁of", -4.5], ["▁delhi", -6.25], ["ing", -5.0], ["▁is", -4.75], ["▁2010", -7.0], ["e", -3.5]]
    pieces += [[c, -8.0 - i / 100] for i, c in enumerate("abcdfghijklmnopqrstuvwxyz0123456789.,'\"-!()[]")]
    special = [{"id": i, "content": pieces[i][0], "single_word": False, "lstrip": i == 4, "rstrip": False, "normalized": False,
                "special": True} for i in range(5)]
    d = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
         "normalizer": {"type": "Sequence", "normalizers": [
             {"type": "Replace", "pattern": {"String": "``"}, "content": "\""}, {"type": "NFKD"}, {"type": "StripAccents"},
             {"type": "Lowercase"}]},
         "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
             {"type": "WhitespaceSplit"},
             {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]},
         "post_processor": {"type": "TemplateProcessing",
                            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                       {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                            "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                     {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                                     {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
                            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                                               "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
         "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
         "model": {"type": "Unigram", "unk_id": 1, "vocab": pieces, "byte_fallback": False}}
    change(d)
    text = json.dumps(d, ensure_ascii=False, separators=(",", ":"))
    fast = transformers.AlbertTokenizerFast(tokenizer_object=tokenizers.Tokenizer.from_str(text))
    return {"name": name, "files": {"tokenizer.json": text}, "cases": cases(fast)}


def as_converted(d):
    """As transformers converts it from a spiece.model."""
    d["normalizer"]["normalizers"].append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
    d["pre_tokenizer"] = d["pre_tokenizer"]["pretokenizers"][1]
    added = dict(d["added_tokens"][0], special=False)
    d["added_tokens"] += [dict(added, id=53, content="\""), dict(added, id=60, content="<New>", normalized=True),
                          dict(added, id=61, content="café", single_word=True)]


def nothing(d):
    pass


def literal(text):
    """A C string: JSON has escaped what is below U+0020; question marks may make trigraphs."""
    out = "".join("\\" + c if c in "\\\"" else c for c in text)
    return "\"" + out.replace("??", "?\"\"?") + "\""


def write(directory, name, records):
    with open(os.path.join(directory, name + ".h"), "w") as f:
        f.write(f"""/*
 * {name}.h
 *	  Written by make_tokenizer_expected.py with transformers {transformers.__version__}, tokenizers {tokenizers.__version__}:
 *	  each record's files, then its cases, one JSON object each.
 */
static const char *const {name}[] = {{
""")
        for record in records:
            for part in [{"name": record["name"], "files": record["files"]}, *record["cases"]]:
                text = json.dumps(part, ensure_ascii=False, separators=(",", ":"))
                f.write("\t" + literal(text.replace("\x7f", "\\u007f")) + ",\n")
        f.write("};\n")


uncased, uncased_json = bert("uncased", True)
cased, cased_json = bert("cased, some words never split", False, never_split=["P.S.", "capital"], tokenize_chinese_chars=False)
accents, _ = bert("uncased with accents", True, strip_accents=False)
write(sys.argv[1], "tokenizer_expected_bert", [uncased, cased, accents])
write(sys.argv[1], "tokenizer_expected_json", [uncased_json, unigram("unigram", nothing),
                                               unigram("unigram, as converted", as_converted)])
