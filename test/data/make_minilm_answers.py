#!/usr/bin/env python3
"""What sentence-transformers answers for all-MiniLM-L6-v2, in double precision.

    make_minilm_answers.py MODEL_DIRECTORY

MODEL_DIRECTORY is what tools/minilm.sh prints.  Needs sentence-transformers
(5.7 made what is here) and PyTorch.  Writes beside itself

    minilm_answers.jsonl   a line a text: text, and its token ids and offsets by
                           AutoTokenizer, special tokens included, not truncated
    minilm_answers.f32     their vectors by SentenceTransformer.encode in
                           float64, rounded to little-endian float32: 384 a text
"""
import csv
import json
import os
import sys

import numpy
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../reference/gen"))
import texts as reference  # noqa: E402


def all_texts():
    """Sentences, texts that are hard for a tokenizer, and one around and beyond the model's 256 tokens."""
    with open(os.path.join(HERE, "demo_sentences.tsv"), newline="") as file:
        sentences = [row["sentence"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    hard = [text for category, text in reference.T if category != "tenk" and len(text) < 600 and "\0" not in text]
    longer = " ".join(sentences[:40])
    chosen = sentences[::4] + hard[::3] + [text for _, text in reference.fuzz(5, 20)] + [longer, longer[:1200], "word " * 254, "word " * 255]
    return list(dict.fromkeys(chosen))


def main(directory):
    texts = all_texts()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = SentenceTransformer(directory, device="cpu").double()
    vectors = model.encode(texts, batch_size=1)
    assert vectors.dtype == numpy.float64 and vectors.shape == (len(texts), 384)
    with open(os.path.join(HERE, "minilm_answers.jsonl"), "w") as out:
        for text in texts:
            encoded = tokenizer(text, return_offsets_mapping=True, truncation=False, padding=False)
            out.write(json.dumps({"text": text, "ids": encoded["input_ids"], "offsets": encoded["offset_mapping"]},
                                 separators=(",", ":")) + "\n")
    vectors.astype("<f4").tofile(os.path.join(HERE, "minilm_answers.f32"))
    print(len(texts), "texts")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
