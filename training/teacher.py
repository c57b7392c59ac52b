"""Sentence embeddings of the teacher (all-MiniLM-L6-v2), reduced from 384 to hidden_size dimensions by PCA.

WORK/sentences.txt holds the texts, WORK/teacher.npy their unit vectors (fp16), WORK/pieces.npy one vector for each
vocabulary piece.  Finished blocks are kept, so that the step can be stopped and started again."""
import concurrent.futures
import os
import random
import time

import numpy as np
import sentencepiece as spm
import torch
from transformers import AutoModel, AutoTokenizer

from common import TEACHER_DIR, load_facts, read_docs, settings, work_path
from facts import PHRASINGS, render, vary

BLOCK = 8192


class Teacher:
    def __init__(self, max_tokens):
        self.tokenizer = AutoTokenizer.from_pretrained(TEACHER_DIR)
        self.model = AutoModel.from_pretrained(TEACHER_DIR).eval()
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model.to(self.device)
        self.max_tokens = max_tokens

    @torch.inference_mode()
    def rows(self, ids, rows, out):
        width = max(len(ids[i]) for i in rows)
        batch = torch.tensor([ids[i] + [0] * (width - len(ids[i])) for i in rows], device=self.device)
        mask = (torch.arange(width)[None] < torch.tensor([[len(ids[i])] for i in rows])).to(self.device)
        with torch.autocast(self.device, torch.bfloat16):
            hidden = self.model(input_ids=batch, attention_mask=mask.long()).last_hidden_state
        mean = (hidden.float() * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        out[rows] = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()

    def encode(self, texts):
        """Unit vectors; batches of like length, one thread each."""
        batch_tokens = 3000 if self.device == "cpu" else 24000
        out = np.zeros((len(texts), 384), np.float32)
        ids = self.tokenizer(texts, truncation=True, max_length=self.max_tokens)["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: -len(ids[i]))
        batches, at = [], 0
        while at < len(order):
            count = max(1, batch_tokens // len(ids[order[at]]))
            batches.append(order[at:at + count])
            at += count
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        with concurrent.futures.ThreadPoolExecutor(settings()["threads"] if self.device == "cpu" else 1) as workers:
            list(workers.map(lambda rows: self.rows(ids, rows, out), batches))
        torch.set_num_threads(threads)
        return out


def choose_sentences(setting):
    """Texts by source, running text first, then glosses, terms and fact sentences; no held-out document."""
    rng = random.Random(setting["seed"] + 1)
    running, glosses, terms = [], [], []
    for doc in read_docs(held=False):
        if doc["source"] == "wordnet":
            glosses.append(doc["sentences"][0])
            running += doc["sentences"][1:]
            if doc["term"] and len(doc["term"].partition(":")[0]) > 2:
                terms.append(doc["term"].partition(":")[0])
        else:
            running += doc["sentences"]
            if doc["source"] == "wikipedia":
                terms.append(doc["title"])
                if doc["term"]:
                    running.append(doc["term"])
    facts = load_facts()["facts"]
    made = []
    for relation, pairs in facts.items():
        for a, b in pairs:
            made.append("".join(text for text, _ in render(vary(rng.choice(PHRASINGS[relation]), rng), relation, a, b)))
    rng.shuffle(glosses)
    rng.shuffle(terms)
    terms = list(dict.fromkeys(terms))[:30000]
    chosen = running + terms + made
    chosen += glosses[:max(0, setting["teacher_sentences"] - len(chosen))]
    return [" ".join(s.split()) for s in dict.fromkeys(chosen)]


def main():
    setting = settings()
    torch.set_num_threads(setting["threads"])
    sentences = choose_sentences(setting)
    order = sorted(range(len(sentences)), key=lambda i: (len(sentences[i]) // 16, i))    # blocks of like length
    sentences = [sentences[i] for i in order]
    teacher = Teacher(setting["teacher_max_tokens"])
    sp = spm.SentencePieceProcessor(model_file=work_path("tokenizer", "spiece.model"))
    pieces = [sp.id_to_piece(i).replace("▁", "") or " " for i in range(sp.get_piece_size())]
    work_path("teacher", "x")
    raw = []
    started, cpu = time.time(), time.process_time()
    blocks = range(0, len(sentences), BLOCK)
    for number, start in enumerate(blocks):
        path = work_path("teacher", f"{number:03d}.npy")
        if not os.path.exists(path):
            np.save(path + ".part.npy", teacher.encode(sentences[start:start + BLOCK]).astype(np.float16))
            os.replace(path + ".part.npy", path)
            done = start + BLOCK
            print(f"teacher: {min(done, len(sentences))}/{len(sentences)} sentences, {time.time() - started:.0f} s wall, {time.process_time() - cpu:.0f} s CPU", flush=True)
        raw.append(np.load(path))
    raw = np.concatenate(raw).astype(np.float32)
    assert len(raw) == len(sentences), "the sentences changed: remove the teacher folder"
    piece_vectors = teacher.encode(pieces)
    size = setting["hidden_size"]
    # No centring: cosines between reduced vectors stay those of the full ones as nearly as they can.
    moment = raw.T @ raw / len(raw)
    values, vectors = np.linalg.eigh(moment)
    basis = vectors[:, ::-1][:, :size].astype(np.float32)
    print(f"PCA keeps {values[::-1][:size].sum() / values.sum():.4f} of the squared length")
    reduced = raw @ basis
    reduced /= np.linalg.norm(reduced, axis=1, keepdims=True)
    np.save(work_path("teacher.npy"), reduced.astype(np.float16))
    np.save(work_path("pieces.npy"), (piece_vectors @ basis).astype(np.float16))
    np.save(work_path("basis.npy"), basis)
    with open(work_path("sentences.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(sentences))


if __name__ == "__main__":
    main()
