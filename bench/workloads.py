"""Model directories and texts that the benchmarks share."""
import json
import os

import numpy as np

SHAPES = {   # the published ALBERT v2 configurations, and albert-mini's, with as many positions
    "base": dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072, hidden_act="gelu_new"),
    "albert-mini": dict(hidden_size=256, num_hidden_layers=4, num_hidden_groups=2, num_attention_heads=4, intermediate_size=1024,
                        hidden_act="gelu_new"),
    "large": dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096, hidden_act="gelu_new"),
    "xlarge": dict(hidden_size=2048, num_hidden_layers=24, num_attention_heads=16, intermediate_size=8192, hidden_act="gelu_new"),
    "xxlarge": dict(hidden_size=4096, num_hidden_layers=12, num_attention_heads=64, intermediate_size=16384, hidden_act="gelu"),
}
BERT = {     # for the paper's comparison; the same engines run it
    "bert-base": dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072),
    "bert-large": dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096),
}


def make_model(shape, directory, vocabulary=None):
    """A model of that shape with seeded random weights; with a vocabulary (a directory), one that can tokenize."""
    import torch
    import transformers

    if os.path.exists(os.path.join(directory, "config.json")):
        return directory
    torch.manual_seed(1)
    if shape in BERT:
        model = transformers.BertModel(transformers.BertConfig(**BERT[shape]), add_pooling_layer=False)
    else:
        size = 30000
        if vocabulary is not None:
            import sentencepiece
            size = sentencepiece.SentencePieceProcessor(os.path.join(vocabulary, "spiece.model")).get_piece_size()
        config = transformers.AlbertConfig(vocab_size=size, embedding_size=128, **SHAPES[shape])
        model = transformers.AlbertForPreTraining(config)
    model.save_pretrained(directory + ".part", safe_serialization=True)
    if vocabulary is not None and shape not in BERT:
        for name in ("spiece.model", "tokenizer_config.json"):
            with open(os.path.join(vocabulary, name), "rb") as source, open(os.path.join(directory + ".part", name), "wb") as target:
                target.write(source.read())
    for name in os.listdir(directory + ".part"):
        os.chmod(os.path.join(directory + ".part", name), 0o644)    # the server's user reads them
    os.rename(directory + ".part", directory)
    return directory


def vocab_size(directory):
    with open(os.path.join(directory, "config.json")) as file:
        return json.load(file)["vocab_size"]


def short_lengths(n, seed=42):
    """Lengths of short texts: lognormal, median 24, sigma 0.6."""
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(24 * np.exp(0.6 * rng.standard_normal(n))), 3, 512).astype(int).tolist()


def batches_of(lengths, tokens, by_length):
    """
    Batches of about that many tokens.  by_length: sorted first, and counted
    with padding, as a careful user of an engine that pads would do it.
    """
    lengths = sorted(lengths) if by_length else lengths
    batches, batch = [], []
    for length in lengths:
        size = max(batch + [length]) * (len(batch) + 1) if by_length else sum(batch) + length
        if batch and size > tokens:
            batches.append(batch)
            batch = []
        batch.append(length)
    return batches + [batch]
