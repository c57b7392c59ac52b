"""Retrain a few steps on the packaged sample and check that every loss falls, and that resuming changes nothing.

Needs torch, transformers and sentencepiece (requirements.txt)."""
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
SAMPLE = os.path.join(HERE, "sample")


class Retraining(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
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


if __name__ == "__main__":
    unittest.main(argv=["test_retraining_long", "-v"])
