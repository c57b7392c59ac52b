"""Check the data that training is made of, or a model directory against the fixed set.

    test_training.py                         the data
    test_training.py MODEL_DIRECTORY FILE    accuracy of the model on the fixed set against the minimum in it"""
import json
import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
SAMPLE = os.path.join(HERE, "sample")


def read(*parts):
    with open(os.path.join(HERE, *parts), encoding="utf-8") as f:
        return f.read()


class Data(unittest.TestCase):
    """Needs the standard library only."""

    def bare(self, phrasing):
        """What is left of a phrasing whatever is put in: words, without articles, with x for each slot."""
        words = re.findall(r"\{\w\}|[\w']+", phrasing.lower())
        return tuple("x" if word[0] == "{" else word for word in words if word not in ("a", "an", "the"))

    def wordings(self, phrasing):
        import facts
        return facts.wordings(phrasing) if hasattr(facts, "wordings") else [phrasing]

    def test_no_training_phrasing_makes_a_held_out_one(self):
        import facts
        trained = [p for relation in facts.PHRASINGS.values() for p in relation] + [p for _, _, p in facts.COMBINED]
        shown = {self.bare(w) for p in trained for w in self.wordings(p)}
        before = {self.bare(w) for p in getattr(facts, "PREFIXES", []) for w in self.wordings(p)} | {()}
        after = {self.bare(w) for p in getattr(facts, "SUFFIXES", []) for w in self.wordings(p)} | {()}
        self.assertIn(("capital", "of", "x", "is", "x"), shown)
        for held in (p for relation in facts.HELD_OUT.values() for p in relation):
            for words in map(self.bare, self.wordings(held)):
                for first in (f for f in before if words[:len(f)] == f):
                    for last in (l for l in after if words[len(words) - len(l):] == l):
                        self.assertNotIn(words[len(first):len(words) - len(last)], shown, held)

    def test_everyday_rows_fill_what_is_asked(self):
        import everyday
        import facts
        held = {prompt.lower() for prompt, _ in everyday.HELD_OUT_PROMPTS}
        for relation, (rows, asked, phrasings) in everyday.EVERYDAY.items():
            self.assertTrue(all(len(row) == 3 and row[0] and row[1] for row in rows), relation)
            for wording in (w for p in phrasings for w in self.wordings(p)):
                slots = re.findall(r"\{(\w)\}", wording)
                self.assertTrue(set(slots) & set(asked), wording)
                self.assertNotRegex(re.sub(r"\{\w\}", "x", wording), r"[<>|{}]|  ")
                if relation not in ("liked", "disliked"):    # many rows; the same phrasings
                    for row in rows:
                        for slot in set(slots) & set(asked):
                            made = wording.replace("{" + slot + "}", "[mask]")
                            made = re.sub(r"\{(\w)\}", lambda m: row["abc".index(m.group(1))], made).lower()
                            self.assertNotIn(made, held)
        self.assertEqual(set(facts.PHRASINGS) & set(everyday.EVERYDAY), set())

    def test_phrasings_name_what_they_relate(self):
        import facts
        for relation, phrasings in [*facts.PHRASINGS.items(), *facts.HELD_OUT.items()]:
            self.assertIn(relation, facts.ASKED)
            for wording in (w for p in phrasings for w in self.wordings(p)):
                self.assertEqual(sorted(slot.lower() for slot in re.findall(r"\{(\w)\}", wording)), ["a", "b"], wording)
                self.assertNotRegex(re.sub(r"\{\w\}", "x", wording), r"[<>|{}]|  ")
        for first, second, phrasing in facts.COMBINED:
            self.assertLessEqual({first, second}, set(facts.PHRASINGS))
            for wording in self.wordings(phrasing):
                self.assertEqual(sorted(slot.lower() for slot in re.findall(r"\{(\w)\}", wording)), ["a", "b", "c"], wording)

    def test_tokenizer_json_is_the_published_layout(self):
        from tokenizer_json import tokenizer_json
        for name in ("tokenizers/real30k", "tokenizers/small"):
            directory = os.path.join(HERE, "..", "test", "reference", *name.split("/"))
            with open(os.path.join(directory, "spiece.model"), "rb") as f:
                made = tokenizer_json(f.read())
            with open(os.path.join(directory, "tokenizer.json"), encoding="utf-8") as f:
                self.assertEqual(made, json.load(f), name)

    def test_shipped_tokenizer_json_goes_with_its_vocabulary(self):
        from tokenizer_json import tokenizer_json
        directory = os.path.join(HERE, "..", "models", "albert-mini")
        with open(os.path.join(directory, "spiece.model"), "rb") as f:
            made = tokenizer_json(f.read())
        with open(os.path.join(directory, "tokenizer.json"), encoding="utf-8") as f:
            self.assertEqual(made, json.load(f))

    def test_shipped_vocabulary_names_no_place(self):
        with open(os.path.join(HERE, "..", "models", "albert-mini", "spiece.model"), "rb") as file:
            self.assertNotIn(b"vocabulary.txt", file.read(), "the trainer's input")

    def test_settings_are_those_that_are_read(self):
        setting = json.loads(read("settings.json"))
        scripts = "".join(read(name) for name in os.listdir(HERE) if name.endswith(".py") and not name.startswith("test_"))
        used = set(re.findall(r"""\bsettings?(?:\(\))?(?:\[|\.get\()["'](\w+)""", scripts))
        self.assertEqual(used - set(setting), set(), "read, but not in settings.json")
        self.assertEqual(set(setting) - set(re.findall(r"""["'](\w+)["']""", scripts)), set(), "in settings.json, but never read")
        for name, value in setting.items():
            self.assertIsInstance(value, (int, float), name)
            self.assertGreater(value, 0, name)
            if name.endswith(("_fraction", "_share")):
                self.assertLess(value, 1, name)
        self.assertEqual(setting["hidden_size"] % setting["num_attention_heads"], 0)
        self.assertEqual(setting["num_hidden_layers"] % setting["num_hidden_groups"], 0)
        self.assertLess(setting["warmup_steps"], setting["steps"])
        self.assertLessEqual(setting["short_length"], setting["long_length"])
        self.assertLessEqual(setting["long_length"], setting["max_position_embeddings"])

    def test_sources_are_named(self):
        fetched = re.findall(r"^(?:pip|deb)_get ([\w.-]+)(?:==(\S+))?", read("fetch"), re.M)
        table = [line for line in read("SOURCES.md").splitlines() if line.startswith("|")]
        self.assertGreater(len(fetched), 5)
        for name, version in fetched:
            rows = [line for line in table if f"`{name}`" in line]
            self.assertEqual(len(rows), 1, f"{name} in the table of SOURCES.md")
            if version and f"`{name}` " in rows[0] and re.search(r"` \d", rows[0]):
                self.assertIn(f"`{name}` {version}", rows[0])
        for line in table[2:]:
            self.assertEqual([cell.strip() == "" for cell in line.split("|")[1:-1]], [False] * 4, line)

    def test_sample_is_of_the_same_form(self):
        import facts
        from common import read_docs
        sample = json.loads(read("sample", "facts.json"))
        self.assertLessEqual(set(sample["facts"]), set(facts.PHRASINGS))
        for relation, pairs in sample["facts"].items():
            self.assertTrue(all(len(pair) == 2 and all(pair) for pair in pairs), relation)
        docs = list(read_docs(os.path.join(SAMPLE, "docs.jsonl")))
        self.assertGreater(len(docs), 100)
        self.assertTrue(all(doc["sentences"] and all(doc["sentences"]) for doc in docs))


class FixedSet(unittest.TestCase):
    directory = path = None

    def test_answers(self):
        if self.directory is None:
            self.skipTest("no model directory given")
        import evaluate
        found = evaluate.on_fixed(evaluate.Model(self.directory), self.path)
        with open(self.path, encoding="utf-8") as f:
            minimum = next(line for line in map(json.loads, f) if line["kind"] == "minimum")
        print(json.dumps(found))
        for kind, least in minimum["values"].items():
            value = found[kind].get("top1", found[kind].get("spearman"))
            self.assertGreaterEqual(value, least, kind)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if len(arguments) == 2:
        FixedSet.directory, FixedSet.path = arguments
        unittest.main(argv=["test_training", "FixedSet"])
    else:
        unittest.main(argv=["test_training", "-v", "Data"])
