#!/usr/bin/env python3
"""Write fast_tables.h: what Hugging Face's fast tokenizers (tokenizers 0.22) believe of characters.

Their crates carry Unicode tables of several ages, so the library itself is asked, character by character.

usage: make_fast_tables.py > fast_tables.h
"""
import tokenizers
from tokenizers import normalizers, pre_tokenizers

assert tokenizers.__version__.startswith("0.22."), "needs tokenizers 0.22"

CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
strip = normalizers.StripAccents()
nfd = normalizers.NFD()
nfkd = normalizers.NFKD()
lower = normalizers.Lowercase()
clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
accents = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
bert = pre_tokenizers.BertPreTokenizer()


def ranges(test):
    out = []
    for code in CODES:
        if test(code):
            if out and out[-1][1] == code - 1:
                out[-1][1] = code
            else:
                out.append([code, code])
    return out


def table(name, comment, test):
    print(f"\n/* {comment} */\nstatic const CodeRange {name}[] = {{")
    line = "\t"
    for first, last in ranges(test):
        item = f"{{0x{first:X}, 0x{last:X}}},"
        if len(line) + len(item) > 100:
            print(line.rstrip())
            line = "\t"
        line += item + " "
    print(line.rstrip() + "\n};")


print(f"""/*
 * fast_tables.h
 *	  Written by make_fast_tables.py from tokenizers {tokenizers.__version__}.
 */""")
table("fast_mark_ranges", "StripAccents drops it", lambda c: strip.normalize_str(chr(c)) == "")
table("fast_nonspacing_ranges", "BertNormalizer drops it as an accent",
      lambda c: nfd.normalize_str(chr(c)) == chr(c) and accents.normalize_str(chr(c)) == "")
table("fast_control_ranges", "BertNormalizer drops it when it cleans text", lambda c: clean.normalize_str(chr(c)) == "")
table("fast_punctuation_ranges", "BertPreTokenizer makes it a word",
      lambda c: len(bert.pre_tokenize_str("a" + chr(c) + "b")) == 3)
table("fast_nfkd_ranges", "NFKD changes it, Hangul syllables aside",
      lambda c: not 0xAC00 <= c < 0xD7A4 and nfkd.normalize_str(chr(c)) != chr(c))

print("\n/* Lower-case mappings that Python does not know */\nstatic const CodePair fast_lower_pairs[] = {")
line = "\t"
for code in CODES:
    mapped = lower.normalize_str(chr(code))
    if mapped != chr(code).lower():
        assert len(mapped) == 1
        item = f"{{0x{code:X}, 0x{ord(mapped):X}}},"
        if len(line) + len(item) > 100:
            print(line.rstrip())
            line = "\t"
        line += item + " "
print(line.rstrip() + "\n};")
