#!/usr/bin/env python3
"""Write unicode_tables.h: what Python 3.11's str and unicodedata (Unicode 14) say and utf8proc cannot.

usage: make_unicode_tables.py > unicode_tables.h
"""
import sys
import unicodedata

assert unicodedata.unidata_version == "14.0.0", "needs Python 3.11"


def ranges(test):
    out = []
    for code in range(0x110000):
        if test(code):
            if out and out[-1][1] == code - 1:
                out[-1][1] = code
            else:
                out.append([code, code])
    return out


def surrogate(code):
    return 0xD800 <= code < 0xE000


def cased(code):
    """"<c>A<sigma>" and "<c><sigma>": the sigma is final behind a cased character only."""
    return not surrogate(code) and (chr(code) + "\u03a3").lower().endswith("\u03c2")


def case_ignorable(code):
    """Between a cased letter and a sigma, only a case-ignorable character is looked through."""
    if surrogate(code):
        return False
    return ("A" + chr(code) + "\u03a3").lower().endswith("\u03c2") and not cased(code)


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


print("""/*
 * unicode_tables.h
 *	  Written by make_unicode_tables.py from Python 3.11 (Unicode 14.0).
 */""")
table("assigned_ranges", "Assigned in Unicode 14.0, surrogates and private use included",
      lambda c: unicodedata.category(chr(c)) != "Cn")
table("digit_ranges", "str.isdigit()", lambda c: chr(c).isdigit())
table("cased_ranges", "Cased and not case-ignorable, as str.lower() looks for them around a sigma", cased)
table("case_ignorable_ranges", "Case-ignorable, likewise", case_ignorable)
