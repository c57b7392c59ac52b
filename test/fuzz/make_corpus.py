"""Write the seeds of the fuzzers of src/formats (standard library only).   usage: make_corpus.py test/fuzz/corpus
One directory a fuzzer; the result is committed."""
import io, json, os, pickle, struct, sys, types, zipfile

out = sys.argv[1]
L = "albert.encoder.albert_layer_groups.0.albert_layers.0."
T = [("albert.embeddings.word_embeddings.weight", (8, 2)), ("albert.embeddings.position_embeddings.weight", (4, 2)), ("albert.embeddings.token_type_embeddings.weight", (2, 2)),
     ("albert.embeddings.LayerNorm.weight", (2,)), ("albert.embeddings.LayerNorm.bias", (2,)), ("albert.encoder.embedding_hidden_mapping_in.weight", (4, 2)),
     ("albert.encoder.embedding_hidden_mapping_in.bias", (4,))]
for n, s in (("attention.query", (4, 4)), ("attention.key", (4, 4)), ("attention.value", (4, 4)), ("attention.dense", (4, 4)), ("attention.LayerNorm", (4,)),
             ("ffn", (3, 4)), ("ffn_output", (4, 3)), ("full_layer_layer_norm", (4,))):
    T += [(L + n + ".weight", s), (L + n + ".bias", s[:1])]
T += [("albert.pooler.weight", (4, 4)), ("albert.pooler.bias", (4,)), ("classifier.weight", (2, 4)), ("classifier.bias", (2,))]
count = lambda s: s[0] * (s[1] if len(s) > 1 else 1)


def write(folder, name, data):
    os.makedirs(os.path.join(out, folder), exist_ok=True)
    with open(os.path.join(out, folder, name), "wb") as f:
        f.write(data)


def safetensors(code, size):
    header, data = {}, b""
    for n, s in T:
        header[n] = {"dtype": code, "shape": list(s), "data_offsets": [len(data), len(data) + count(s) * size]}
        data += bytes(count(s) * size)
    h = json.dumps(header).encode()
    return struct.pack("<Q", len(h)) + h + data


for code, size in (("F32", 4), ("F16", 2), ("BF16", 2), ("F64", 8), ("I8", 1)):
    write("safetensors", code, safetensors(code, size))

# --- pickles as torch.save writes them, from stand-ins for torch's names
torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
sys.modules.update({"torch": torch, "torch._utils": utils})


def _rebuild_tensor_v2():
    pass


_rebuild_tensor_v2.__module__ = "torch._utils"
utils._rebuild_tensor_v2 = _rebuild_tensor_v2
for n in ("FloatStorage", "HalfStorage", "LongStorage"):
    setattr(torch, n, type(n, (), {"__module__": "torch"}))


class Storage:
    def __init__(self, kind, key, n):
        self.id = ("storage", kind, key, "cpu", n)


class Tensor:
    def __init__(self, storage, shape, transposed=False):
        self.args = (storage, 0, shape, ((1, shape[0]) if transposed else (shape[1], 1)) if len(shape) > 1 else (1,), False, __import__("collections").OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.args


class Pickler(pickle.Pickler):
    legacy = False

    def persistent_id(self, o):
        return (o.id + (None,) if self.legacy else o.id) if isinstance(o, Storage) else None


def dump(o, protocol=2, legacy=False):
    b = io.BytesIO()
    p = Pickler(b, protocol)
    p.legacy = legacy
    p.dump(o)
    return b.getvalue()


def state(transposed=False):
    return {n: Tensor(Storage(torch.FloatStorage, str(i), count(s)), s, transposed) for i, (n, s) in enumerate(T)}


def archive(pkl, compression=zipfile.ZIP_STORED):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w") as z:
        # ZipInfo's time is the same every day
        add = lambda name, data: z.writestr(zipfile.ZipInfo(name), data, compression)
        add("archive/data.pkl", pkl)
        add("archive/byteorder", "little")
        for i, (n, s) in enumerate(T):
            add("archive/data/%d" % i, bytes(count(s) * 4))
        add("archive/version", "3\n")
    return b.getvalue()


write("torch", "zip", archive(dump(state())))
write("torch", "zip4", archive(dump(state(True), 4)))
write("torch", "deflated", archive(dump(state()), zipfile.ZIP_DEFLATED))
head = dump(0x1950a86a20f9469cfc6c) + dump(1001) + dump({"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}})
write("torch", "legacy", head + dump(state(), 2, True) + dump([str(i) for i in range(len(T))]) + b"".join(struct.pack("<Q", count(s)) + bytes(count(s) * 4) for n, s in T))

# --- the index of a TensorFlow checkpoint; its checksums are zero, for the fuzzer's build does not look at them
ORIGINAL = [("albert.", "bert/"), ("embeddings.word_embeddings.weight", "embeddings/word_embeddings"), ("embeddings.position_embeddings.weight", "embeddings/position_embeddings"),
            ("embeddings.token_type_embeddings.weight", "embeddings/token_type_embeddings"), ("encoder.albert_layer_groups.0.albert_layers.0.", "encoder/transformer/group_0/inner_group_0/"),
            ("attention.LayerNorm", "LayerNorm"), ("full_layer_layer_norm", "LayerNorm_1"), ("attention.dense", "attention_1/output/dense"), ("attention.", "attention_1/self/"),
            ("ffn_output", "ffn_1/intermediate/output/dense"), ("/ffn.", "/ffn_1/intermediate/dense."), ("pooler", "pooler/dense"), ("encoder.embedding", "encoder/embedding"),
            ("embeddings.Layer", "embeddings/Layer"), ("classifier.weight", "output_weights"), ("classifier.bias", "output_bias")]


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def field(n, value):
    return varint(n << 3 | 2) + varint(len(value)) + value if isinstance(value, bytes) else varint(n << 3) + varint(value)


def index():
    entries, offset = [(b"", field(1, 1) + field(3, field(1, 1)))], 0
    for n, s in T:
        for a, b in ORIGINAL:
            n = n.replace(a, b)
        if "LayerNorm" in n:
            n = n.replace(".weight", "/gamma").replace(".bias", "/beta")
        elif n.endswith(".weight"):
            n, s = n.replace(".weight", "/kernel"), s[::-1]
        n = n.replace(".bias", "/bias")
        entries.append((n.encode(), field(1, 1) + field(2, b"".join(field(2, field(1, x)) for x in s)) + field(4, offset) + field(5, count(s) * 4)))
        offset += count(s) * 4
    out, blocks = b"", []

    def block(pairs):
        nonlocal out
        b, last = b"", b""
        for k, v in pairs:
            shared = len(os.path.commonprefix([last, k]))
            b += varint(shared) + varint(len(k) - shared) + varint(len(v)) + k[shared:] + v
            last = k
        b += struct.pack("<II", 0, 1)
        handle = varint(len(out)) + varint(len(b))
        out += b + bytes(5)
        return handle

    entries.sort()
    for i in range(0, len(entries), 12):
        blocks.append((entries[i:i + 12][-1][0], block(entries[i:i + 12])))
    footer = block([]) + block(blocks)
    return out + footer + bytes(40 - len(footer)) + struct.pack("<Q", 0xdb4775248b80fb57)


write("checkpoint", "index", index())

config = {"model_type": "albert", "architectures": ["AlbertForSequenceClassification"], "vocab_size": 8, "embedding_size": 2, "hidden_size": 4, "num_hidden_layers": 2,
          "num_hidden_groups": 1, "inner_group_num": 1, "num_attention_heads": 2, "intermediate_size": 3, "max_position_embeddings": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
          "id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": "1"}, "num_labels": 2, "problem_type": None, "tie_word_embeddings": True}
write("config", "tiny", json.dumps(config).encode())
config.update(architectures=["AlbertForMaskedLM"], id2label={"0": "LABEL_0"}, hidden_act="gelu_new", num_hidden_groups=2, inner_group_num=2, classifier_dropout_prob=0.1)
write("config", "mlm", json.dumps(config, indent=2).encode())
write("config", "original", json.dumps({k: config[k] for k in ("vocab_size", "embedding_size", "hidden_size", "num_attention_heads", "intermediate_size", "hidden_act")}).encode())
write("config", "head", json.dumps({"problem_type": "single_label_classification", "base": "b", "base_sha256": "00", "pairs": False, "labels": ["no", "yes"]}).encode())

# --- the parts of an archive by themselves
for name in ("zip", "zip4", "deflated"):
    write("zip", name, open(os.path.join(out, "torch", name), "rb").read())
write("pickle", "state", dump(state()))
write("pickle", "state4", dump(state(True), 4))
write("pickle", "legacy", dump(state(), 2, True))
write("pickle", "values", dump({"a": [1, -1, 2 ** 40, 2 ** 70, 1.5, None, True, "\u00e9", b"b", (1, 2), (1, 2, 3), ()], "b": {"c": {}}}))

# --- sentence-transformers' files, in the order of fuzz_modules.c
module = lambda i, name, kind: {"idx": i, "name": str(i), "path": name, "type": "sentence_transformers.models." + kind}
modules = [module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling"), module(2, "2_Dense", "Dense"), module(3, "3_Normalize", "Normalize")]
pooling = {"word_embedding_dimension": 4, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True, "pooling_mode_mean_sqrt_len_tokens": False}
h = json.dumps({"linear.weight": {"dtype": "F32", "shape": [3, 8], "data_offsets": [0, 96]}, "linear.bias": {"dtype": "F32", "shape": [3], "data_offsets": [96, 108]}}).encode()
dense = struct.pack("<Q", len(h)) + h + bytes(108)
for name, parts in (
    ("dense", (modules, pooling, {"in_features": 8, "out_features": 3, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"},
               {"prompts": {"query": "q: ", "passage": ""}, "default_prompt_name": "query", "similarity_fn_name": "cosine"}, {"max_seq_length": 4, "do_lower_case": False})),
    ("mean", (modules[:2], {"word_embedding_dimension": 4, "pooling_mode": "mean"}, {}, {"prompts": {}, "default_prompt_name": None}, {"max_seq_length": None})),
):
    write("modules", name, b"\x1e".join([json.dumps(p).encode() for p in parts] + [dense]))

# --- tokenizers: a small vocabulary as each of the three files
pieces = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
words = ["\u2581", "\u2581the", "\u2581cafe", "\u2581un", "aff", "able", "s", "'", "a", "b", "c", "e", "t", "h", "3", ".", "14", "\u2581ab", "\u2581abc", "\u4e2d"] + list("dfgijklmnopqruvwxyz0")


def piece(text, score, kind):
    return field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + field(3, kind))


def spiece(normalizer=b""):
    b = b"".join(piece(p, 0.0, {"<unk>": 2}.get(p, 3)) for p in pieces)
    b += b"".join(piece(w, -1.0 - i / 4, 1) for i, w in enumerate(words))
    trainer = field(3, 1) + field(4, len(pieces) + len(words)) + field(40, 1) + field(41, 2) + field(42, 3) + field(43, 0)
    return b + field(2, trainer) + field(3, field(1, b"identity") + normalizer + field(3, 1) + field(4, 1) + field(5, 1))


write("spiece", "small", spiece())
# a map of characters: a double array that knows nothing but its root, and no replacement
write("spiece", "charsmap", spiece(field(2, struct.pack("<I", 1024) + bytes(1024) + b"\0")))
write("spiece", "empty", field(2, field(3, 1)))

RS = b"\x1e"
tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cafe", "un", "##aff", "##able", "'", "s", "a", "##b", "##c", "3", ".", "14", "\u4e2d", "[unused1]"]
bert_config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True, "model_max_length": 512,
               "added_tokens_decoder": {"4": {"content": "[MASK]", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False, "special": True}}}
special = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": {"content": "[MASK]", "lstrip": True, "normalized": False}}
text = "The caf\u00e9's abc, [MASK] \u4e2d 3.14".encode()
write("vocab", "bert", RS.join(["\n".join(tokens).encode(), json.dumps(bert_config).encode(), json.dumps(special).encode(), json.dumps({"new": len(tokens)}).encode(), b"{\"strip_accents\": false}", text]))
write("vocab", "plain", RS.join(["\n".join(tokens).encode() + b"\n", b"{}", b"", b"", b"", text]))


def added(names, texts):
    return [{"id": texts.index(n), "content": n, "single_word": False, "lstrip": n == "[MASK]", "rstrip": False, "normalized": False, "special": True} for n in names]


def template(texts):
    part = lambda i: {"SpecialToken": {"id": i, "type_id": 0}}
    return {"type": "TemplateProcessing", "single": [part("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, part("[SEP]")],
            "pair": [part("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, part("[SEP]"), {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {t: {"id": t, "ids": [texts.index(t)], "tokens": [t]} for t in ("[CLS]", "[SEP]")}}


everything = pieces + words
unigram = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added(pieces, everything),
           "normalizer": {"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": "``"}, "content": '"'}, {"type": "Replace", "pattern": {"String": "''"}, "content": '"'},
                                                             {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
           "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}]},
           "post_processor": template(everything), "decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
           "model": {"type": "Unigram", "unk_id": 1, "vocab": [[p, 0.0] for p in pieces] + [[w, -1.0 - i / 4] for i, w in enumerate(words)], "byte_fallback": False}}
wordpiece = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added(tokens[:5], tokens),
             "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}, "pre_tokenizer": {"type": "BertPreTokenizer"},
             "post_processor": template(tokens), "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
             "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {t: i for i, t in enumerate(tokens)}}}
albert_config = {"tokenizer_class": "AlbertTokenizer", "do_lower_case": True, "keep_accents": False, "remove_space": True, "model_max_length": 512, "mask_token": "[MASK]"}
for name, root, settings in (("unigram", unigram, albert_config), ("wordpiece", wordpiece, bert_config)):
    write("tokenizer_json", name, RS.join([json.dumps(root, ensure_ascii=False).encode(), json.dumps(settings).encode(), json.dumps(special).encode(), b"", text]))

for i, line in enumerate((text, "  a\u0301b \u00a0 ``x'' [MASK][MASK] <pad> \u200b\ufffd", "ab" * 300, "\U0001f600\u0130\u01c5\ufb01 \u1e9b\u0323", "The [mask]\x00\t\r\n", "")):
    line = line if isinstance(line, bytes) else line.encode()
    write("text", str(i), line + RS + text)
write("text", "malformed", b"a\xc3\xed\xa0\x80\xf8b" + RS + b"\xff")
