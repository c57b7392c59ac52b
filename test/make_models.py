#!/usr/bin/env python3
"""Write small random ALBERT models in Hugging Face form, for tests.

    make_models.py DIRECTORY NAME[:KEY=VALUE,...] ...

Nothing but the standard library is needed.  The same name and settings give
the same bytes.  KEY is a number of config.json (hidden_size, num_hidden_layers
...), or

    seed=N           other weights
    dtype=F32|BF16   how weights are stored (BF16)
    tokenizer=FILE   a spiece.model to copy instead of the one made here; "wordpiece": a vocab.txt made here
    head=NAME        instead of the heads of pretraining: classifier, multilabel,
                     nli, score, tokens, answers or choice; score is a cross-encoder whose score is the bare logit
    dense=N          also what sentence-transformers adds: the maximum and the mean of the tokens, a Dense module
                     that makes N values of them, normalisation, prompts, and a length of 24 tokens

The vocabulary made here has the special tokens in ALBERT's order, a few
hundred frequent English words and the characters of ASCII, so every text of
ASCII has pieces; there is no normalisation table.
"""
import array
import json
import math
import os
import random
import shutil
import struct
import sys

DEFAULTS = {
    "embedding_size": 16,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_hidden_groups": 1,
    "inner_group_num": 1,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}

WORDS = """the of and to in a is that it was for on as with be at by i this had not are but from or have an they
which one you were all her she there would their we him been has when who will no more if out so up said what its
about than into them can only other time new some could these two may first then do any like my now over such our
man me even most made after also well many before must through back years where much your way down should because
long each just state those people mr how too little world good very make year still see own work men day get here
between both life being under three never know same last another while us off might great go come since against
right came take used himself few house use place during high without again home around small however found part
school once say general upon war left until always something fact water less public put thing almost hand enough
far took head yet government system better set told nothing night end why called eyes find going look asked later
point knew city next program business give group toward days young let room word capital india france river""".split()


# ---- SentencePiece's model file: a protocol buffer, written by hand ----

def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, kind, payload):
    key = varint(number << 3 | kind)
    if kind == 2:
        return key + varint(len(payload)) + payload
    return key + payload


NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4


def vocabulary():
    pieces = [("<pad>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN), ("[CLS]", 0.0, CONTROL),
              ("[SEP]", 0.0, CONTROL), ("[MASK]", 0.0, CONTROL)]
    pieces += [(symbol, 0.0, USER_DEFINED) for symbol in '()"-.']
    seen = {piece[0] for piece in pieces}
    score = -2.0
    for text in ["\u2581"] + ["\u2581" + word for word in WORDS] + [chr(c) for c in range(33, 127)]:
        if text not in seen:
            seen.add(text)
            score -= 0.02
            pieces.append((text, score, NORMAL))
    return pieces


def sentencepiece_model():
    out = b""
    for text, score, kind in vocabulary():
        body = field(1, 2, text.encode()) + field(2, 5, struct.pack("<f", score))
        if kind != NORMAL:
            body += field(3, 0, varint(kind))
        out += field(1, 2, body)
    trainer = field(3, 0, varint(1)) + field(4, 0, varint(len(vocabulary())))
    trainer += field(40, 0, varint(1)) + field(41, 0, varint(2)) + field(42, 0, varint(3)) + field(43, 0, varint(0))
    normalizer = field(1, 2, b"identity") + field(3, 0, varint(1)) + field(4, 0, varint(1)) + field(5, 0, varint(1))
    return out + field(2, 2, trainer) + field(3, 2, normalizer)


# ---- WordPiece's vocabulary ----

def wordpiece_vocabulary():
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "run", "cat", "un", "##aff", "##able", "##ning", "##s"]
    pieces += [prefix + chr(c) for prefix in ("", "##") for c in range(33, 127) if not chr(c).isupper()]
    return list(dict.fromkeys(pieces))


# ---- heads ----

# NAME: (architecture, tensors, has a pooler, labels, problem type)
HEADS = {
    "pretraining": ("AlbertForPreTraining", None, True, None, None),
    "classifier": ("AlbertForSequenceClassification", "classifier", True, ["negative", "neutral", "positive"], None),
    "multilabel": ("AlbertForSequenceClassification", "classifier", True, ["sport", "politics", "science"], "multi_label_classification"),
    "nli": ("AlbertForSequenceClassification", "classifier", True, ["contradiction", "neutral", "entailment"], None),
    "score": ("AlbertForSequenceClassification", "classifier", True, ["LABEL_0"], None),
    "wide": ("AlbertForSequenceClassification", "classifier", True, ["label %d" % i for i in range(12000)], None),
    "tokens": ("AlbertForTokenClassification", "classifier", False, ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"], None),
    "answers": ("AlbertForQuestionAnswering", "qa_outputs", False, ["LABEL_0", "LABEL_1"], None),
    "choice": ("AlbertForMultipleChoice", "classifier", True, ["LABEL_0"], None),
}


# ---- weights ----

def tensors(config, head):
    """(name, shape, what) in the order of the file."""
    h, e, i = config["hidden_size"], config["embedding_size"], config["intermediate_size"]
    base = "albert.embeddings."
    out = [(base + "word_embeddings.weight", [config["vocab_size"], e]),
           (base + "position_embeddings.weight", [config["max_position_embeddings"], e]),
           (base + "token_type_embeddings.weight", [config["type_vocab_size"], e])]
    norms = [(base + "LayerNorm", e)]
    linears = [("albert.encoder.embedding_hidden_mapping_in", h, e)]
    for group in range(config["num_hidden_groups"]):
        for inner in range(config["inner_group_num"]):
            layer = "albert.encoder.albert_layer_groups.%d.albert_layers.%d." % (group, inner)
            linears += [(layer + "attention." + part, h, h) for part in ("query", "key", "value", "dense")]
            linears += [(layer + "ffn", i, h), (layer + "ffn_output", h, i)]
            norms += [(layer + "attention.LayerNorm", h), (layer + "full_layer_layer_norm", h)]
    _, classifier, pooler, labels, _ = HEADS[head]
    if pooler:
        linears.append(("albert.pooler", h, h))
    if classifier is None:
        linears += [("predictions.dense", e, h), ("sop_classifier.classifier", 2, h)]
        norms += [("predictions.LayerNorm", e)]
    else:
        linears.append((classifier, 1 if head == "choice" else len(labels), h))
    for name, rows, cols in linears:
        out += [(name + ".weight", [rows, cols]), (name + ".bias", [rows])]
    for name, size in norms:
        out += [(name + ".weight", [size]), (name + ".bias", [size])]
    if classifier is None:
        out.append(("predictions.bias", [config["vocab_size"]]))
    return out


def bfloat16(rng, n, one):
    """n random values of both signs between 2^-7 and 2^-5, or about 1; quick, for models of many megabytes."""
    high = bytes([0x3f] * 256) if one else bytes([0x3c, 0x3d, 0xbc, 0xbd][b & 3] for b in range(256))
    low = bytes(0x80 | b & 0x1f for b in range(256)) if one else bytes(range(256))
    out = bytearray(2 * n)
    out[0::2] = rng.randbytes(n).translate(low)
    out[1::2] = rng.randbytes(n).translate(high)
    return bytes(out)


def widen(data):
    values = array.array("H", data)
    wide = array.array("I", (value << 16 for value in values))
    return wide.tobytes()


def write_tensors(path, names, seed, dtype):
    width = {"F32": 4, "BF16": 2}[dtype]
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in names:
        size = width * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = random.Random(seed)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name, shape in names:
            count = math.prod(shape)
            norm = "orm" in name and name.endswith(".weight")
            while count > 0:
                step = min(count, 1 << 22)
                data = bfloat16(rng, step, norm)
                out.write(widen(data) if dtype == "F32" else data)
                count -= step


# ---- files ----

def write_json(value, *path):
    os.makedirs(os.path.join(*path[:-1]), exist_ok=True)
    with open(os.path.join(*path), "w") as out:
        json.dump(value, out, indent=1, sort_keys=True)


def write_tokenizer(path, tokenizer, max_length):
    if tokenizer == "wordpiece":
        with open(os.path.join(path, "vocab.txt"), "w") as out:
            out.write("".join(piece + "\n" for piece in wordpiece_vocabulary()))
        write_json({"do_lower_case": True, "model_max_length": max_length, "tokenizer_class": "BertTokenizer"},
                   path, "tokenizer_config.json")
        return
    if tokenizer is not None:
        shutil.copyfile(tokenizer, os.path.join(path, "spiece.model"))
    else:
        with open(os.path.join(path, "spiece.model"), "wb") as out:
            out.write(sentencepiece_model())
    write_json({"do_lower_case": True, "keep_accents": False, "remove_space": True, "model_max_length": max_length,
                "tokenizer_class": "AlbertTokenizer"}, path, "tokenizer_config.json")


def write_sentence_transformers(path, hidden_size, outputs, seed, dtype):
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"), ("3_Normalize", "Normalize")]
    write_json([{"idx": i, "name": str(i), "path": name, "type": "sentence_transformers.models." + kind}
                for i, (name, kind) in enumerate(modules)], path, "modules.json")
    write_json({"word_embedding_dimension": hidden_size, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True},
               path, "1_Pooling", "config.json")
    write_json({"in_features": 2 * hidden_size, "out_features": outputs, "bias": True,
                "activation_function": "torch.nn.modules.activation.Tanh"}, path, "2_Dense", "config.json")
    write_tensors(os.path.join(path, "2_Dense", "model.safetensors"),
                  [("linear.weight", [outputs, 2 * hidden_size]), ("linear.bias", [outputs])], seed + 1, dtype)
    write_json({"max_seq_length": 24, "do_lower_case": False}, path, "sentence_bert_config.json")
    write_json({"prompts": {"query": "what is ", "document": "this text: "}, "default_prompt_name": "document"},
               path, "config_sentence_transformers.json")


def write_model(directory, name, settings):
    path = os.path.join(directory, name)
    os.makedirs(path, exist_ok=True)
    seed = int(settings.pop("seed", 0))
    dtype = settings.pop("dtype", "BF16")
    tokenizer = settings.pop("tokenizer", None)
    head = settings.pop("head", "pretraining")
    dense = int(settings.pop("dense", 0))
    architecture, _, _, labels, problem_type = HEADS[head]
    config = dict(DEFAULTS, vocab_size=len(wordpiece_vocabulary() if tokenizer == "wordpiece" else vocabulary()))
    config.update((key, int(value)) for key, value in settings.items())
    write_tokenizer(path, tokenizer, config["max_position_embeddings"])
    config.update(architectures=[architecture], model_type="albert", hidden_act="gelu_new",
                  layer_norm_eps=1e-12, pad_token_id=0, bos_token_id=2, eos_token_id=3)
    if labels is not None:
        config.update(id2label={str(i): label for i, label in enumerate(labels)},
                      label2id={label: i for i, label in enumerate(labels)})
    if problem_type is not None:
        config.update(problem_type=problem_type)
    if head == "score":
        config.update(sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity", "version": "4.0.1"})
    write_json(config, path, "config.json")
    write_tensors(os.path.join(path, "model.safetensors"), tensors(config, head), seed, dtype)
    if dense > 0:
        write_sentence_transformers(path, config["hidden_size"], dense, seed, dtype)


def main(arguments):
    if len(arguments) < 2:
        sys.exit(__doc__)
    for what in arguments[1:]:
        name, _, settings = what.partition(":")
        pairs = [setting.partition("=") for setting in settings.split(",") if setting]
        write_model(arguments[0], name, {key: value for key, _, value in pairs})


if __name__ == "__main__":
    main(sys.argv[1:])
