#!/usr/bin/env python3
"""Write unicode_tables.h: what Hugging Face's fast tokenizers (tokenizers 0.22) believe of characters, and
which characters Python calls digits.

The library's crates carry Unicode tables of several ages, so it is asked itself, character by character.

usage: make_unicode_tables.py > unicode_tables.h
"""
import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

assert tokenizers.__version__.startswith("0.22."), "needs tokenizers 0.22"

CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
strip = normalizers.StripAccents()
nfd = normalizers.NFD()
nfkd = normalizers.NFKD()
lower = normalizers.Lowercase()
clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
accents = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
bert = pre_tokenizers.BertPreTokenizer()
words = Tokenizer(models.WordLevel({"x": 0}, unk_token="x"))
words.add_tokens([AddedToken("ab", single_word=True)])


def write(items):
    line = "\t"
    for item in items:
        if len(line) + len(item) > 100:
            print(line.rstrip())
            line = "\t"
        line += item + " "
    print(line.rstrip() + "\n};")


def table(name, comment, test):
    ranges = []
    for code in CODES:
        if test(code):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    print(f"\n/* {comment} */\nstatic const CodeRange {name}[] = {{")
    write(f"{{0x{first:X}, 0x{last:X}}}," for first, last in ranges)


print(f"""/*
 * unicode_tables.h
 *	  Written by make_unicode_tables.py from tokenizers {tokenizers.__version__}.
 */""")
table("mark_ranges", "StripAccents drops it", lambda c: strip.normalize_str(chr(c)) == "")
table("nonspacing_ranges", "BertNormalizer drops it as an accent",
      lambda c: nfd.normalize_str(chr(c)) == chr(c) and accents.normalize_str(chr(c)) == "")
table("control_ranges", "BertNormalizer drops it when it cleans text", lambda c: clean.normalize_str(chr(c)) == "")
table("punctuation_ranges", "BertPreTokenizer makes it a word",
      lambda c: len(bert.pre_tokenize_str("a" + chr(c) + "b")) == 3)
table("decomposed_ranges", "NFKD changes it, Hangul syllables aside",
      lambda c: not 0xAC00 <= c < 0xD7A4 and nfkd.normalize_str(chr(c)) != chr(c))
table("word_ranges", "An added token that is to be a single word is none beside it",
      lambda c: words.token_to_id("ab") not in words.encode("ab" + chr(c)).ids)
table("digit_ranges", "str.isdigit()", lambda c: chr(c).isdigit())

print("\n/* Lowercase maps it to one other character */\nstatic const CodePair lower_pairs[] = {")
lowered = [(c, lower.normalize_str(chr(c))) for c in CODES if lower.normalize_str(chr(c)) != chr(c)]
assert [c for c, mapped in lowered if len(mapped) != 1] == [0x130]
write(f"{{0x{c:X}, 0x{ord(mapped):X}}}," for c, mapped in lowered if c != 0x130)
