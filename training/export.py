"""Write the averaged weights of a checkpoint, with the order head fitted to them, as a model directory in Hugging Face form.   export.py DIRECTORY"""
import json
import os
import sys

import numpy as np
import torch
from transformers import AlbertForPreTraining, AlbertTokenizer

from common import MASK, settings, work_path
from tokenizer_json import write_tokenizer_json
from train_albert_mini import averaged_model


def write_json(directory, name, value):
    path = os.path.join(directory, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def main():
    directory = sys.argv[1]
    setting = settings()
    os.makedirs(directory, exist_ok=True)
    _, model = averaged_model(setting)
    order_head = torch.load(work_path("order_head.pt"), map_location="cpu", weights_only=True)
    model.albert.pooler.load_state_dict(order_head["pooler"])
    model.sop_classifier.classifier.load_state_dict(order_head["classifier"])
    tokenizer = AlbertTokenizer(vocab_file=work_path("tokenizer", "spiece.model"), do_lower_case=True, remove_space=True, keep_accents=False,
                                model_max_length=setting["max_position_embeddings"])
    model.eval().half().save_pretrained(directory, safe_serialization=True)
    os.chmod(os.path.join(directory, "model.safetensors"), 0o644)
    tokenizer.save_pretrained(directory)
    write_tokenizer_json(directory)
    length = setting["max_position_embeddings"]
    write_json(directory, "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])
    write_json(directory, "1_Pooling/config.json", {
        "word_embedding_dimension": setting["hidden_size"], "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False})
    os.makedirs(os.path.join(directory, "2_Normalize"), exist_ok=True)
    write_json(directory, "2_Normalize/config.json", {})
    write_json(directory, "sentence_bert_config.json", {"max_seq_length": length, "do_lower_case": False})
    write_json(directory, "config_sentence_transformers.json", {"similarity_fn_name": "cosine"})

    again, tokenizer = AlbertForPreTraining.from_pretrained(directory).eval(), AlbertTokenizer.from_pretrained(directory)
    ids = tokenizer("The capital of [MASK] is Delhi.", return_tensors="pt")
    logits = again(**ids).prediction_logits[0, ids["input_ids"][0] == MASK]
    best = [tokenizer.decode([i]) for i in logits[0].topk(5).indices.tolist()]
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, names in os.walk(directory) for f in names)
    print(f"{directory}: {size / 1e6:.1f} MB; The capital of [MASK] is Delhi. -> {', '.join(best)}")
    if not np.isfinite(logits.detach().numpy()).all():
        sys.exit("the exported model gives logits that are not finite")


if __name__ == "__main__":
    main()
