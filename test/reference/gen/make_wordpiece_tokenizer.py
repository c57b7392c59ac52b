"""Train a small WordPiece vocabulary on the texts of texts.py and words of the specs; writes vocab.txt and what BERT's directories have beside it.
usage: make_wordpiece_tokenizer.py OUTDIR VOCAB_SIZE"""
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
from tokenizers import BertWordPieceTokenizer
import specs, texts

out, size = sys.argv[1], int(sys.argv[2])
os.makedirs(out, exist_ok=True)
lines = [t for category, t in texts.T if category not in ("tenk", "long")] * 3
lines += [a + " " + (b or "") for a, b in specs.EMBED + specs.CLS + specs.SOP] + specs.MASKS + specs.NER
lines += [q["question"] + " " + q["context"] for q in specs.QA] + [p + " " + " ".join(c) for p, c in specs.CHOICE]
tok = BertWordPieceTokenizer(lowercase=True)
tok.train_from_iterator(lines, vocab_size=size, min_frequency=2, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], limit_alphabet=100)
vocab = sorted(tok.get_vocab().items(), key=lambda item: item[1])
words = [w for w, _ in vocab][:size]
words += ["[unused%d]" % i for i in range(size - len(words))]
with open(os.path.join(out, "vocab.txt"), "w", encoding="utf-8") as file:
    file.write("".join(w + "\n" for w in words))
with open(os.path.join(out, "tokenizer_config.json"), "w") as file:
    json.dump(dict(do_lower_case=True, strip_accents=None, tokenize_chinese_chars=True, model_max_length=512, tokenizer_class="BertTokenizer",
                   unk_token="[UNK]", sep_token="[SEP]", pad_token="[PAD]", cls_token="[CLS]", mask_token="[MASK]"), file, indent=1)
