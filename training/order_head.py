"""Fit the pooler and the sentence-order head once more, the encoder as it is: WORK/order_head.pt.

In a step of training the order of two segments is asked of words of which a fifth are masked, in rows that are mostly
short.  Users ask it of whole sentences.  What tells the order is in the last hidden state of [CLS]; here the two layers
behind it are fitted to that of unmasked pairs, single sentences and segments, each in both orders."""
import random

import torch
from torch.nn import functional as F

from common import CLS, PAD, SEGMENT, SEP, encode, read_docs, segments, settings, work_path
from train_albert_mini import averaged_model

SHARE = {"wikipedia": 0.45, "manual": 0.35, "software": 0.12, "wordnet": 0.08}
BATCH = 512


def choose_pairs(sp, setting):
    rng = random.Random(setting["seed"] + 3)
    cuts = {source: [] for source in SHARE}
    for doc in read_docs(held=False):
        cuts[doc["source"]] += [(doc["sentences"], cut) for cut in range(1, len(doc["sentences"]))]
    for source, share in SHARE.items():
        count = min(len(cuts[source]), int(share * setting["order_head_pairs"]))
        for sentences, cut in rng.sample(cuts[source], count):
            first = max(0, cut - 6)
            rows = [encode(sp, s)[:SEGMENT] for s in sentences[first:cut + 6]]
            yield segments(rows, cut - first, rng.random() < 0.6)


@torch.inference_mode()
def cls_states(model, pairs, device):
    """The last hidden states [2 pairs, hidden_size] of [CLS], and which of them are swapped."""
    rows = [(x, y) for a, b in pairs for x, y in ((a, b), (b, a))]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]) + len(rows[i][1]))
    hidden = torch.zeros(len(rows), model.config.hidden_size)
    for at in range(0, len(order), 64):
        chosen = order[at:at + 64]
        width = len(rows[chosen[-1]][0]) + len(rows[chosen[-1]][1]) + 3
        ids = torch.full((len(chosen), width), PAD)
        types = torch.zeros_like(ids)
        for i, row in enumerate(chosen):
            a, b = rows[row]
            ids[i, :len(a) + len(b) + 3] = torch.tensor([CLS, *a, SEP, *b, SEP])
            types[i, len(a) + 2:len(a) + len(b) + 3] = 1
        ids, types = ids.to(device), types.to(device)
        out = model.albert(input_ids=ids, attention_mask=(ids != PAD).long(), token_type_ids=types)[0]
        hidden[chosen] = out[:, 0].float().cpu()
    return hidden, torch.arange(len(rows)) % 2


def fit(pooler, classifier, hidden, labels, setting):
    """AdamW with its rate falling to 0; dropout before both layers, for the pairs are few."""
    torch.manual_seed(setting["seed"])
    parameters = [*pooler.parameters(), *classifier.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=setting["order_head_rate"], weight_decay=setting["order_head_decay"])
    steps = setting["order_head_epochs"] * (len(hidden) // BATCH)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    for _ in range(setting["order_head_epochs"]):
        total = 0.0
        for chosen in torch.randperm(len(hidden)).split(BATCH)[:len(hidden) // BATCH]:
            pooled = torch.tanh(pooler(F.dropout(hidden[chosen], 0.25)))
            loss = F.cross_entropy(classifier(F.dropout(pooled, 0.5)), labels[chosen])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            total += loss.item()
        print(f"order head: loss {total / (len(hidden) // BATCH):.4f}", flush=True)


def main():
    setting = settings()
    torch.set_num_threads(setting["threads"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sp, model = averaged_model(setting)
    pairs = list(choose_pairs(sp, setting))
    hidden, labels = cls_states(model.to(device).eval(), pairs, device)
    pooler, classifier = model.albert.pooler.cpu(), model.sop_classifier.classifier.cpu()
    fit(pooler, classifier, hidden, labels, setting)
    torch.save({"pooler": pooler.state_dict(), "classifier": classifier.state_dict()}, work_path("order_head.pt"))
    print(f"{len(pairs)} pairs in both orders")


if __name__ == "__main__":
    main()
