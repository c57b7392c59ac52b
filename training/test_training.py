"""Check the data that training is made of; retrain a few steps on a tiny sample and check that every loss falls; check
a model directory against the fixed set.

    test_training.py                         the data, and training on the packaged sample (needs torch, transformers, sentencepiece)
    test_training.py MODEL_DIRECTORY FILE    accuracy of the model on the fixed set against the minimum in it"""
import json
import os
import re
import sys
import tempfile
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
        scripts = "".join(read(name) for name in os.listdir(HERE) if name.endswith(".py") and name != os.path.basename(__file__))
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


class Retraining(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            import numpy, sentencepiece, torch, transformers  # noqa: E401, F401
        except ImportError as error:
            raise unittest.SkipTest("PyTorch, transformers or sentencepiece is not installed") from error
        cls.folder = tempfile.TemporaryDirectory()
        os.environ["ALBERT_TRAINING_WORK"] = cls.folder.name
        import common
        common.WORK = cls.folder.name
        import numpy as np
        import torch
        import cooccurrence
        import train_albert_mini
        import vocabulary
        cls.np, cls.torch, cls.train, cls.common = np, torch, train_albert_mini, common
        torch.manual_seed(1)
        torch.set_num_threads(1)    # small operations: threads within them cost more than they give
        for name in ("docs.jsonl", "facts.json"):
            with open(os.path.join(SAMPLE, name), encoding="utf-8") as source, open(common.work_path(name), "w", encoding="utf-8") as target:
                target.write(source.read())
        setting = dict(common.settings(), vocab_size=700, hidden_size=64, embedding_size=32, num_hidden_layers=2, num_hidden_groups=1, num_attention_heads=2, intermediate_size=128,
                       ppmi_dimensions=16, teacher_piece_dimensions=16, text_tokens_per_step=800, fact_sentences_per_step=48, text_batches_per_step=2, distil_tokens_per_step=400,
                       contrast_pairs=48, contrast_every=16, steps=300, warmup_steps=10, peak_learning_rate=0.004, decay_fraction=0.2, long_every=6, checkpoint_every=1000)
        cls.setting = setting
        for module in (common, vocabulary, cooccurrence):
            module.settings = lambda path=None: setting
        vocabulary.main()
        # No teacher is packaged with the test: a fixed random projection of word counts stands for it.
        import sentencepiece as spm
        cls.sp = spm.SentencePieceProcessor(model_file=common.work_path("tokenizer", "spiece.model"))
        rng = np.random.default_rng(3)
        table = rng.standard_normal((cls.sp.get_piece_size(), 64)).astype(np.float32)
        texts = [s for doc in common.read_docs(held=False) for s in doc["sentences"]][:400]
        targets = np.stack([table[common.encode(cls.sp, t)].mean(0) for t in texts])
        targets /= np.linalg.norm(targets, axis=1, keepdims=True)
        np.save(common.work_path("teacher.npy"), targets.astype(np.float16))
        np.save(common.work_path("pieces.npy"), table.astype(np.float16))
        with open(common.work_path("sentences.txt"), "w", encoding="utf-8") as f:
            f.write("\n".join(texts))
        cooccurrence.main()
        train_albert_mini.wordnet_synsets = lambda: (("noun", "", [d["term"].partition(": ")[0].lower()], [], d["term"].partition(": ")[2], []) for d in common.read_docs() if d["term"])

    def new_trainer(self):
        start = dict(self.np.load(self.common.work_path("start.npz")))
        start["log_frequency"] *= 0    # so that even the frequencies of the pieces are yet to be learnt
        return self.train.Trainer(self.setting, self.sp.get_piece_size(), start, "cpu")

    def some_steps(self, trainer, batches, count):
        return [{name: float(value) for name, value in trainer.train_step(batches.of_step(step)).items()} for step in range(trainer.step, trainer.step + count)]

    def test_losses_fall_and_resuming_changes_nothing(self):
        batches = self.train.Batches(self.setting, self.sp)
        trainer = self.new_trainer()
        history = self.some_steps(trainer, batches, 150)
        path = self.common.work_path("checkpoint.pt")
        trainer.save(path)
        history += self.some_steps(trainer, batches, 150)
        for name, most in (("text", 0.9), ("fact", 0.8), ("distil", 0.8), ("relation", 0.8)):
            first = sum(h[name] for h in history[:15]) / 15
            last = sum(h[name] for h in history[-15:]) / 15
            print(f"{name}: {first:.3f} -> {last:.3f}")
            self.assertLess(last, most * first, name)
        again = self.new_trainer()
        again.load(path)
        self.assertEqual(again.step, 150)
        self.assertEqual(self.some_steps(again, batches, 3), history[150:153])

    def test_other_processes_make_the_same_batches(self):
        batches = self.train.Batches(self.setting, self.sp)
        here, there = map(batches.of_step, range(2, 6)), self.train.steps_ahead(batches, 2, 6)
        for mine, theirs in zip(here, there, strict=True):
            self.assertEqual(mine.groups, theirs.groups)
            for name in mine.ARRAYS:
                self.assertTrue(self.np.array_equal(getattr(mine, name), getattr(theirs, name)), name)

    def test_packed_pass_is_transformers(self):
        trainer = self.new_trainer()
        packed = self.train.Batches(self.setting, self.sp).of_step(3).to("cpu")
        self.assertGreater(len(packed.groups), 5)
        with self.torch.inference_mode():
            hidden = self.train.encode_packed(trainer.model.albert, packed)
            for name, rows, width, start in packed.groups:
                ids, mask, types = (x[start:start + rows * width].view(rows, width).long() for x in (packed.ids, packed.mask, packed.types))
                expected = trainer.model.albert(input_ids=ids, attention_mask=mask, token_type_ids=types)[0]
                difference = (hidden[start:start + rows * width].view(rows, width, -1) - expected)[mask.bool()]
                self.assertLess(float(difference.abs().max()), 1e-4, name)

    def test_order_head_is_fitted(self):
        import order_head
        order_head.BATCH = 32
        setting = dict(self.setting, order_head_pairs=700, order_head_epochs=4)
        order_head.settings = lambda: setting
        self.new_trainer().save(self.common.work_path("checkpoint.pt"))
        pairs = list(order_head.choose_pairs(self.sp, setting))
        self.assertGreater(len(pairs), 40)
        self.assertTrue(all(0 < len(part) <= self.common.SEGMENT for pair in pairs for part in pair))
        _, model = self.train.averaged_model(setting)
        hidden, labels = order_head.cls_states(model.eval(), pairs, "cpu")
        self.assertEqual(labels.float().mean(), 0.5)
        self.assertEqual(order_head.main(), None)
        fitted = self.torch.load(self.common.work_path("order_head.pt"), weights_only=True)
        loss = []
        for pooler, classifier in ((model.albert.pooler.state_dict(), model.sop_classifier.classifier.state_dict()), (fitted["pooler"], fitted["classifier"])):
            pooled = self.torch.tanh(hidden @ pooler["weight"].T + pooler["bias"])
            loss.append(self.torch.nn.functional.cross_entropy(pooled @ classifier["weight"].T + classifier["bias"], labels))
        self.assertLess(loss[1], loss[0])

    def test_vocabulary_is_alberts(self):
        self.assertEqual([self.sp.id_to_piece(i) for i in range(13)], self.common.SPECIALS + self.common.SYMBOLS)
        self.assertEqual(self.sp.encode("france", out_type=str), ["▁france"])


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
        unittest.main(argv=["test_training", "-v", "Data", "Retraining"])
