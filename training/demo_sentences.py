"""Choose the demo's sentences: first sentences of Wikipedia leads, on varied topics, each with a few neighbours in meaning.

    demo_sentences.py FILE      writes id, article, topic, sentence (tab-separated, with a header line)"""
import random
import re
import sys

import numpy as np

from common import read_docs, settings, work_path

SEEDS, NEIGHBOURS = 100, 3


def main():
    rng = random.Random(settings()["seed"] + 7)
    with open(work_path("sentences.txt"), encoding="utf-8") as f:
        row = {text: i for i, text in enumerate(f.read().split("\n"))}
    vectors = np.load(work_path("teacher.npy"))
    articles = []
    for doc in read_docs(held=False):
        first = " ".join(doc["sentences"][0].split())
        if doc["source"] == "wikipedia" and first in row and 8 <= len(first.split()) <= 20 and re.fullmatch(r"[A-Z][\x20-\x7e]+\.", first) and "(" not in first and not doc["topic"] in (None, "Uncategorized"):
            articles.append((doc["title"], doc["topic"], first))
    topics = sorted({topic for _, topic, _ in articles})
    matrix = np.stack([vectors[row[s]] for _, _, s in articles]).astype(np.float32)
    chosen = set()
    for number in range(SEEDS):
        topic = topics[number % len(topics)]
        seed = rng.choice([i for i, a in enumerate(articles) if a[1] == topic])
        near = np.argsort(-(matrix @ matrix[seed]))[:NEIGHBOURS + 1]
        chosen |= {seed, *map(int, near)}
    order = sorted(chosen)
    rng.shuffle(order)
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        f.write("id\tarticle\ttopic\tsentence\n")
        for number, index in enumerate(order, 1):
            title, topic, sentence = articles[index]
            f.write(f"{number}\t{title}\t{topic}\t{sentence}\n")
    print(f"{len(order)} sentences of {len(articles)}, topics: {', '.join(topics)}")


if __name__ == "__main__":
    main()
