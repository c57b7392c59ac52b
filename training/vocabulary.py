"""Train the SentencePiece vocabulary with ALBERT's settings, then make every wanted name one piece.

The unigram trainer keeps a name as one piece only where its text is frequent enough.  Names that facts ask for and
that it split are put in the place of the least likely pieces, with a score just above that of their own segmentation."""
import os
import random

import sentencepiece as spm

from common import SPECIALS, SYMBOLS, core_docs, load_facts, normalise, settings, work_path
from spiece_file import join_model, split_model, without_paths


def add_wanted(path, wanted):
    with open(path, "rb") as f:
        pieces, rest = split_model(f.read())
    sp = spm.SentencePieceProcessor(model_file=path)
    known = {piece for piece, _, _ in pieces}
    score = {piece: s for piece, s, _ in pieces}
    missing = [w for w in wanted if "▁" + w not in known and all("▁" + w != p for p in known)]
    keep = {"▁" + w for w in wanted}
    spare = [i for i, (piece, _, kind) in enumerate(pieces) if kind == 1 and len(piece) > 1 and piece not in keep][::-1]
    added = 0
    for word, index in zip(missing, spare):
        segments = sp.encode(word, out_type=str)
        total = sum(score.get(p, -20.0) for p in segments)
        pieces[index] = ("▁" + word, max(total + 1.0, -16.0) if total < -12 else total + 0.5, 1)
        added += 1
    normal = sorted((p for p in pieces if p[2] == 1), key=lambda p: -p[1])
    pieces = [p for p in pieces if p[2] != 1] + normal
    with open(path, "wb") as f:
        f.write(join_model(pieces, without_paths(rest)))
    return added


def main():
    setting = settings()
    facts = load_facts()
    lines = [normalise(s) for doc in core_docs() for s in doc["sentences"]]
    for relation in ("capital", "continent", "currency", "language", "demonym", "city"):
        for a, b in facts["facts"][relation]:
            lines += [normalise(f"{a} and {b}.")] * setting["fact_weight_in_vocabulary"]
    random.Random(setting["seed"]).shuffle(lines)
    text = work_path("vocabulary.txt")
    with open(text, "w", encoding="utf-8") as f:
        f.write("\n".join(lines))
    prefix = work_path("tokenizer", "spiece")
    spm.SentencePieceTrainer.train(
        input=text, model_prefix=prefix, vocab_size=setting["vocab_size"], model_type="unigram", character_coverage=0.9999,
        pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols=SPECIALS[2:], user_defined_symbols=SYMBOLS,
        normalization_rule_name="nmt_nfkc", split_by_number=True, max_sentencepiece_length=16, max_sentence_length=4192,
        num_threads=setting["threads"], minloglevel=1)
    os.remove(prefix + ".vocab")
    wanted = [w for w, _ in sorted(facts["wanted"].items(), key=lambda item: (-item[1], item[0])) if facts["wanted"][w] >= 15]
    added = add_wanted(prefix + ".model", wanted)
    sp = spm.SentencePieceProcessor(model_file=prefix + ".model")
    assert [sp.id_to_piece(i) for i in range(13)] == SPECIALS + SYMBOLS
    whole = sum(len(sp.encode(w)) == 1 for w in wanted)
    pieces = sum(len(sp.encode(line)) for line in lines[:20000])
    words = sum(len(line.split()) for line in lines[:20000])
    print(f"{sp.get_piece_size()} pieces; {added} names added, {whole} of {len(wanted)} wanted names are one piece; {pieces / words:.2f} pieces a word")


if __name__ == "__main__":
    main()
