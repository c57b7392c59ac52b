"""Build the tiny random ALBERT and BERT models described by a spec list (see specs.py)."""
import hashlib, json, os, shutil
import numpy as np
import torch
import transformers as tf

torch.set_num_threads(1)


def fill(model, seed):
    """Random, non-degenerate weights from numpy's PCG64 stream, in state-dict order."""
    rng = np.random.Generator(np.random.PCG64(seed))
    done = set()
    for name, p in model.named_parameters():
        if p.data_ptr() in done:
            continue
        done.add(p.data_ptr())
        x = rng.standard_normal(tuple(p.shape))
        if "LayerNorm" in name or "layer_norm" in name:
            x = 1 + 0.25 * x if name.endswith("weight") else 0.3 * x
        elif name.endswith("word_embeddings.weight") or name.endswith("decoder.weight"):
            x = 0.6 * x
        elif name.endswith("embeddings.weight"):
            x = 0.35 * x
        elif name.endswith("bias"):
            x = (0.5 if name.startswith(("predictions.", "cls.predictions.")) else 0.15) * x
        else:
            gain = 1.6 if (".query." in name or ".key." in name) else 1.1
            if name.startswith(("classifier", "qa_outputs", "sop_classifier", "cls.seq_relationship")):
                gain = 2.2
            x = gain * x / np.sqrt(p.shape[-1])
        p.data.copy_(torch.from_numpy(x))


def build(spec, root):
    d = os.path.join(root, "models", spec["name"])
    shutil.rmtree(d, ignore_errors=True)
    os.makedirs(d)
    cls = getattr(tf, spec["cls"])
    cfg = cls.config_class(**spec["config"])
    kw = {"add_pooling_layer": False} if spec.get("no_pooler") else {}
    m = cls(cfg, **kw).eval()
    fill(m, spec["seed"])
    m.to(getattr(torch, spec.get("dtype", "float32")))
    fmt = spec.get("format", "safetensors")
    if fmt == "safetensors":
        m.save_pretrained(d)
    elif fmt == "sharded":
        m.save_pretrained(d, max_shard_size=spec["shard"])
    else:
        m.config.architectures = [spec["cls"]]
        m.config.save_pretrained(d)
        sd = dict(m.state_dict())
        # older checkpoints carry this integer buffer; loaders must ignore it
        sd[m.base_model_prefix + ".embeddings.position_ids"] = torch.arange(cfg.max_position_embeddings).expand(1, -1).clone()
        if fmt == "bin_views":
            # tensors that are views: storage offset != 0, and a transposed (non row-major) stride
            k = "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight"
            sd[k] = sd[k].t().contiguous().t()
            k = "albert.embeddings.position_embeddings.weight"
            big = torch.zeros(sd[k].shape[0] + 3, sd[k].shape[1])
            big[3:] = sd[k]
            sd[k] = big[3:]
        torch.save(sd, os.path.join(d, "pytorch_model.bin"), _use_new_zipfile_serialization=(fmt != "bin_legacy"))
    for f in os.listdir(d):
        os.chmod(os.path.join(d, f), 0o644)      # safetensors writes 0600
    return d


def manifest(d):
    """Tensor names/dtypes/shapes as stored, and file hashes."""
    import struct
    r = {"files": {}, "tensors": {}}
    for f in sorted(os.listdir(d)):
        p = os.path.join(d, f)
        b = open(p, "rb").read()
        r["files"][f] = {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()}
        if f.endswith(".safetensors"):
            n = struct.unpack("<Q", b[:8])[0]
            for k, v in json.loads(b[8:8 + n]).items():
                if k != "__metadata__":
                    r["tensors"][k] = [v["dtype"], v["shape"]]
        elif f.endswith(".bin"):
            for k, v in torch.load(p, weights_only=True).items():
                r["tensors"][k] = [str(v.dtype), list(v.shape)]
    return r
