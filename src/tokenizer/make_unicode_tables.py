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
ideographs = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
bert = pre_tokenizers.BertPreTokenizer()
words = Tokenizer(models.WordLevel({"x": 0}, unk_token="x"))
words.add_tokens([AddedToken("ab", single_word=True)])


def write(items, end="\n};"):
    line = "\t"
    for item in items:
        if len(line) + len(item) > 100:
            print(line.rstrip())
            line = "\t"
        line += item + " "
    print(line.rstrip() + end)


# What tells whether a character has a property, in the order of characters.h.
PROPERTIES = [
    lambda c: strip.normalize_str(chr(c)) == "",
    lambda c: nfd.normalize_str(chr(c)) == chr(c) and accents.normalize_str(chr(c)) == "",
    lambda c: clean.normalize_str(chr(c)) == "",
    lambda c: len(bert.pre_tokenize_str("a" + chr(c) + "b")) == 3,
    lambda c: nfkd.normalize_str(chr(c)) != chr(c),
    lambda c: lower.normalize_str(chr(c)) != chr(c),
    lambda c: chr(c).isdigit(),
    lambda c: words.token_to_id("ab") not in words.encode("ab" + chr(c)).ids,
    lambda c: len(bert.pre_tokenize_str("a" + chr(c) + "b")) == 2,
    lambda c: ideographs.normalize_str(chr(c)) != chr(c),
]

print(f"""/*
 * unicode_tables.h
 *	  Written by make_unicode_tables.py from tokenizers {tokenizers.__version__}.
 */
""")
bits = [0] * 0x110000
for bit, test in enumerate(PROPERTIES):
    for code in CODES:
        bits[code] |= test(code) << bit
pages = []
numbers = []
for start in range(0, 0x110000, 256):
    page = bits[start:start + 256]
    if page not in pages:
        pages.append(page)
    numbers.append(pages.index(page))
assert len(pages) < 256
print("/* Which page of properties a block of 256 characters has. */")
print(f"const uint8_t tok_property_pages[{len(numbers)}] = {{")
write(f"{number}," for number in numbers)
print(f"\nconst uint16_t tok_properties[{len(pages)}][256] = {{")
for page in pages:
    print("\t{")
    write((f"{value}," for value in page), "\n\t},")
print("};")

print("\n/* Lowercase maps it to one other character */\nstatic const CodePair lower_pairs[] = {")
lowered = [(c, lower.normalize_str(chr(c))) for c in CODES if bits[c] & 0x20]
assert [c for c, mapped in lowered if len(mapped) != 1] == [0x130]
write(f"{{0x{c:X}, 0x{ord(mapped):X}}}," for c, mapped in lowered if c != 0x130)
