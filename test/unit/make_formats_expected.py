"""Write formats_expected.h: digests of the reference models' weights, taken with PyTorch and safetensors.
usage: make_formats_expected.py REFERENCE > formats_expected.h

A digest of several tensors is the sum of value * ((i * 7919 + t * 31) % 101 - 50) over the elements i (row-major)
of each tensor t, in the order below, in double precision; test_formats.c takes the same from a bound image."""
import glob, json, os, sys
import numpy as np
import torch
from safetensors.torch import load_file

EMBEDDINGS = ["embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight",
              "embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias", "encoder.embedding_hidden_mapping_in.weight", "encoder.embedding_hidden_mapping_in.bias"]
LAYER = ["attention.query", "attention.key", "attention.value", "attention.dense", "attention.LayerNorm", "ffn", "ffn_output", "full_layer_layer_norm"]
HEADS = ["pooler", "predictions.dense", "predictions.LayerNorm", "predictions.decoder", "sop_classifier.classifier", "classifier", "qa_outputs"]


def digest(tensors):
    total = 0.0
    for t, x in enumerate(tensors):
        x = x.double().contiguous().view(-1).numpy()
        i = np.arange(x.size, dtype=np.int64)
        total += float((x * ((i * 7919 + t * 31) % 101 - 50)).sum())
    return total


def weights(directory):
    out = {}
    for f in sorted(glob.glob(directory + "/*.safetensors")):
        out.update(load_file(f))
    return out or torch.load(directory + "/pytorch_model.bin", weights_only=True)


print("/* Made by make_formats_expected.py from the reference models: do not edit. */")
print("static const Expected expected[] = {")
for directory in sorted(glob.glob(sys.argv[1] + "/models/*/")):
    directory = directory.rstrip("/")
    config = json.load(open(directory + "/config.json"))
    w = weights(directory)
    p = "albert." if "albert.embeddings.word_embeddings.weight" in w else ""
    layers = []
    for g in range(config["num_hidden_groups"]):
        for i in range(config["inner_group_num"]):
            base = "%sencoder.albert_layer_groups.%d.albert_layers.%d." % (p, g, i)
            layers += [w[base + n + e] for n in LAYER for e in (".weight", ".bias")]
    if config.get("tie_word_embeddings", True) and "predictions.bias" in w:
        w["predictions.decoder.weight"] = w[p + "embeddings.word_embeddings.weight"]
    if "predictions.bias" in w:
        w["predictions.decoder.bias"] = w["predictions.bias"]
    heads = []
    for n in HEADS:
        name = (p if n == "pooler" else "") + n
        heads += [w[name + e] for e in (".weight", ".bias") if name + ".weight" in w]
    used = {k: v for k, v in w.items() if "position_ids" not in k and not k.startswith("predictions.decoder.")}
    if not config.get("tie_word_embeddings", True):
        used["predictions.decoder.weight"] = w["predictions.decoder.weight"]
    print('\t{"%s", "%s", %d, %.17g, %.17g, %.17g},' % (os.path.basename(directory), config["architectures"][0], sum(v.numel() for v in used.values()),
          digest([w[p + n] for n in EMBEDDINGS]), digest(layers), digest(heads)))
print("};")
