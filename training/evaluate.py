"""Measure a model directory on held-out phrasings, held-out text and sentence pairs.

    evaluate.py DIRECTORY [--quick] [--fixed FILE]

Prints the figures and stores them in DIRECTORY/eval.json.  --fixed also writes the fixed evaluation set that the SQL
tests run (it depends on the data only, never on the model's answers)."""
import argparse
import collections
import json
import math
import os
import random
import time

import numpy as np
import torch
from transformers import AlbertForPreTraining, AlbertTokenizer

from common import CLS, MASK, PACKAGES, PAD, SEGMENT, SEP, WORD, encode, load_facts, normalise, read_docs, segments, settings, work_path
from everyday import HELD_OUT_PROMPTS
from facts import ASKED, HELD_OUT, PHRASINGS, render
from train_albert_mini import Words

SHOWN = {"capital": "The capital of {A} is {b}.", "continent": "{A} is a country in {b}.", "kind": "{A} is a kind of {b}.", "antonym": "The opposite of {a} is {b}."}


def spearman(x, y):
    def ranks(values):
        order = np.argsort(values, kind="stable")
        rank = np.empty(len(values))
        rank[order] = np.arange(len(values))
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        return (np.bincount(inverse, rank) / counts)[inverse]
    return float(np.corrcoef(ranks(np.asarray(x, float)), ranks(np.asarray(y, float)))[0, 1])


class Model:
    def __init__(self, directory):
        self.model = AlbertForPreTraining.from_pretrained(directory).eval()
        self.tokenizer = AlbertTokenizer.from_pretrained(directory)
        self.sp = self.tokenizer.sp_model

    @torch.inference_mode()
    def batches(self, rows, types=None, size=64):
        """(chosen row numbers, output of the encoder) over rows of ids, like lengths together"""
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for at in range(0, len(order), size):
            chosen = order[at:at + size]
            width = max(len(rows[i]) for i in chosen)
            ids = torch.full((len(chosen), width), PAD)
            kinds = torch.zeros_like(ids)
            for k, i in enumerate(chosen):
                ids[k, :len(rows[i])] = torch.tensor(rows[i])
                if types is not None:
                    kinds[k, types[i]:len(rows[i])] = 1
            mask = ids != PAD
            yield chosen, mask, self.model.albert(input_ids=ids, attention_mask=mask.long(), token_type_ids=kinds)

    def masked(self, rows, keep=5):
        """For each row, the top ids at each of its masks."""
        found = [None] * len(rows)
        for chosen, _, out in self.batches(rows):
            for k, i in enumerate(chosen):
                at = [p for p, t in enumerate(rows[i]) if t == MASK]
                with torch.inference_mode():
                    found[i] = self.model.predictions(out[0][k, at]).topk(keep).indices.tolist()
        return found

    def embed(self, texts):
        rows = [[CLS, *encode(self.sp, t)[:200], SEP] for t in texts]
        vectors = np.zeros((len(rows), self.model.config.hidden_size), np.float32)
        for chosen, mask, out in self.batches(rows):
            mean = (out[0] * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            vectors[chosen] = torch.nn.functional.normalize(mean, dim=1).numpy()
        return vectors


def cloze(sp, phrasing, relation, a, b, asked):
    """(text with one [MASK] a piece, ids of the answer)"""
    answer = normalise(a if asked == "a" else b)
    ids = encode(sp, answer)
    parts = render(phrasing, relation, a, b)
    text = "".join(" ".join(["[MASK]"] * len(ids)) if slot == asked else part for part, slot in parts)
    return text[:1].upper() + text[1:], ids


def cloze_row(sp, text):
    row = [CLS]
    for number, part in enumerate(text.split("[MASK]")):
        if number:
            row.append(MASK)
        if part.strip():
            row += encode(sp, part)
    return row + [SEP]


def relation_cases(sp, facts, relation, phrasing, asked):
    """One case for each fact: text, answers accepted (as id lists)."""
    accepted = collections.defaultdict(set)
    for a, b in facts[relation]:
        given, answer = (b, a) if asked == "a" else (a, b)
        accepted[given].add(tuple(encode(sp, normalise(answer))))
        if relation == "antonym":
            accepted[answer].add(tuple(encode(sp, normalise(given))))
    for a, b in facts[relation]:
        text, ids = cloze(sp, phrasing, relation, a, b, asked)
        yield text, ids, accepted[b if asked == "a" else a]


def relations(model, facts, unseen, quick):
    result = {}
    groups = [(r, p, "held-out phrasing") for r in HELD_OUT for p in HELD_OUT[r]] + [(r, p, "training phrasing") for r, p in SHOWN.items()]
    groups += [("unseen", p, "held-out noun, training phrasing") for p in [SHOWN["kind"]]]
    for relation, phrasing, label in groups:
        source = {"kind": unseen} if relation == "unseen" else facts
        real = "kind" if relation == "unseen" else relation
        for asked in ASKED[real]:
            cases = list(relation_cases(model.sp, source, real, phrasing, asked))
            if len(cases) > 600:
                cases = random.Random(5).sample(cases, 600)
            if quick:
                cases = cases[:300]
            found = model.masked([cloze_row(model.sp, text) for text, _, _ in cases])
            one, one_right, one_five, right = 0, 0, 0, 0
            for (text, ids, accepted), tops in zip(cases, found):
                guess = tuple(t[0] for t in tops)
                right += guess in accepted
                if len(ids) == 1:
                    one += 1
                    one_right += guess in accepted
                    one_five += any((i,) in accepted for i in tops[0])
            blank = phrasing.replace("{A}", "{a}").replace("{B}", "{b}").replace("{" + asked + "}", "[MASK]")
            result[f"{relation}: {blank}"] = {"set": label, "cases": len(cases), "top1": round(right / len(cases), 4), "one_piece_cases": one,
                                              "one_piece_top1": round(one_right / max(1, one), 4), "one_piece_top5": round(one_five / max(1, one), 4)}
    return result


def everyday(model):
    result = {"prompts": len(HELD_OUT_PROMPTS), "right": 0, "answers": {}}
    for prompt, answers in HELD_OUT_PROMPTS:
        tops = [model.sp.decode([i]) for i in model.masked([cloze_row(model.sp, prompt)])[0][0]]
        result["answers"][prompt] = tops
        result["right"] += tops[0] in answers.split()
    return result


def running_text(model, quick):
    """One whole word masked at a time in held-out documents."""
    words, result = Words(model.sp), {}
    rng = random.Random(11)
    docs = collections.defaultdict(list)
    for doc in read_docs(held=True):
        docs[doc["source"]].append(doc)
    for source, group in docs.items():
        rows, answers = [], []
        rng.shuffle(group)
        for doc in group[:150 if quick else 800]:
            ids = np.array([i for s in doc["sentences"] for i in encode(model.sp, s)][:124])
            spans = [s for s in words.spans(ids) if not words.mark[ids[s[0]]] and any(c.isalpha() for c in "".join(model.sp.id_to_piece(int(i)) for i in ids[s[0]:s[1]]))]
            for start, end in rng.sample(spans, min(len(spans), 4 if source != "wordnet" else 1)):
                row = ids.copy()
                row[start:end] = MASK
                rows.append([CLS, *row.tolist(), SEP])
                answers.append(ids[start:end].tolist())
        found = model.masked(rows)
        top1 = [all(t[0] == i for t, i in zip(tops, ids)) for tops, ids in zip(found, answers)]
        top5 = [all(i in t for t, i in zip(tops, ids)) for tops, ids in zip(found, answers)]
        single = [len(ids) == 1 for ids in answers]
        result[source] = {"words": len(rows), "top1": round(float(np.mean(top1)), 4), "top5": round(float(np.mean(top5)), 4), "one_piece_share": round(float(np.mean(single)), 3),
                          "one_piece_top1": round(float(np.mean(np.array(top1)[single])), 4), "one_piece_top5": round(float(np.mean(np.array(top5)[single])), 4)}
    total = sum(r["words"] for r in result.values())
    result["all"] = {"words": total, **{k: round(sum(r[k] * r["words"] for r in result.values()) / total, 4) for k in ("top1", "top5")}}
    return result


def order_pairs(model, source, whole):
    """Neighbouring sentences of held-out documents; or, as in pretraining, neighbouring segments: as many whole sentences on each side as fit, or one."""
    for doc in read_docs(held=True):
        if doc["source"] != source:
            continue
        rows = [encode(model.sp, s)[:SEGMENT] for s in doc["sentences"]]
        for cut in range(1, len(rows)):
            yield segments(rows, cut, whole)


def sentence_order(model):
    result = {}
    for source in ("wikipedia", "wordnet", "manual"):
        for whole in (False, True):
            rng = random.Random(12)
            rows, types, labels = [], [], []
            for a, b in order_pairs(model, source, whole):
                swapped = rng.random() < 0.5
                if swapped:
                    a, b = b, a
                rows.append([CLS, *a, SEP, *b, SEP])
                types.append(len(a) + 2)
                labels.append(int(swapped))
            right = 0
            for chosen, _, out in model.batches(rows, types):
                with torch.inference_mode():
                    guess = model.model.sop_classifier(out[1]).argmax(1).tolist()
                right += sum(g == labels[i] for g, i in zip(guess, chosen))
            result[source + (", segments" if whole else "")] = {"pairs": len(rows), "accuracy": round(right / max(1, len(rows)), 4)}
    for kind in ("", ", segments"):
        some = [result[source + kind] for source in ("wikipedia", "wordnet", "manual")]
        total = sum(r["pairs"] for r in some)
        result["all" + kind] = {"pairs": total, "accuracy": round(sum(r["pairs"] * r["accuracy"] for r in some) / total, 4)}
    return result


def bag_of_words(texts, weight):
    """Unit vectors of inverse-document-frequency weighted word counts, as dictionaries."""
    out = []
    for text in texts:
        counts = collections.Counter(WORD.findall(normalise(text)))
        vector = {w: c * weight.get(w, weight[""]) for w, c in counts.items()}
        length = math.sqrt(sum(v * v for v in vector.values())) or 1.0
        out.append({w: v / length for w, v in vector.items()})
    return out


def held_out_sentences(quick):
    sentences = []
    for doc in read_docs(held=True):
        sentences += doc["sentences"] if doc["source"] != "wordnet" else doc["sentences"][:1]
    sentences = [s for s in dict.fromkeys(sentences) if 5 <= len(s.split()) <= 40]
    random.Random(13).shuffle(sentences)
    return sentences[:600 if quick else 1500]


def sentence_pairs(quick, teacher):
    """Half random pairs, half a sentence with one of the teacher's ten nearest."""
    sentences = held_out_sentences(quick)
    vectors = teacher.encode(sentences)
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -1)
    rng = random.Random(14)
    pairs = []
    for i in range(len(sentences)):
        near = np.argsort(-scores[i])[:10]
        pairs.append((i, int(rng.choice(list(near))), "near"))
        j = rng.randrange(len(sentences))
        if j != i:
            pairs.append((i, j, "random"))
    return sentences, pairs, [float(scores[i, j]) for i, j, _ in pairs]


def similarity(model, quick):
    from teacher import Teacher
    teacher = Teacher(128)
    sentences, pairs, truth = sentence_pairs(quick, teacher)
    frequency = collections.Counter()
    number = 0
    for doc in read_docs(held=False):
        for s in doc["sentences"]:
            frequency.update(set(WORD.findall(normalise(s))))
            number += 1
    weight = {w: math.log(number / c) for w, c in frequency.items()}
    weight[""] = math.log(number)
    vectors = model.embed(sentences)
    ours = [float(vectors[i] @ vectors[j]) for i, j, _ in pairs]
    bags = bag_of_words(sentences, weight)
    words = [sum(v * bags[j].get(w, 0.0) for w, v in bags[i].items()) for i, j, _ in pairs]
    result = {"pairs": len(pairs)}
    for name, chosen in (("all", ("near", "random")), ("near", ("near",)), ("random", ("random",))):
        keep = [k for k, p in enumerate(pairs) if p[2] in chosen]
        pick = lambda values: [values[k] for k in keep]
        result[name] = {"spearman": round(spearman(pick(ours), pick(truth)), 4), "bag_of_words": round(spearman(pick(words), pick(truth)), 4)}
    # Does the nearest held-out sentence agree with the teacher's?
    target = teacher.encode(sentences)
    a, b = vectors @ vectors.T, target @ target.T
    np.fill_diagonal(a, -1)
    np.fill_diagonal(b, -1)
    top = np.argsort(-b, 1)[:, :10]
    result["nearest_in_teacher_top10"] = round(float(np.mean([a[i].argmax() in top[i] for i in range(len(a))])), 4)
    for name, file, columns in (("wordsim353", "wordsim353.tsv", 3), ("simlex999", "simlex999.txt", 3)):
        path = os.path.join(PACKAGES, "gensim", "gensim", "test", "test_data", file)
        lines = [line.split("\t") for line in open(path, encoding="utf-8").read().splitlines() if line and not line.startswith("#")]
        lines = [l for l in lines if len(l) >= columns and l[2].replace(".", "").isdigit()]
        human = [float(l[2]) for l in lines]
        mine = [model.embed([l[k] for l in lines]) for k in (0, 1)]
        theirs = [teacher.encode([l[k] for l in lines]) for k in (0, 1)]
        result[name] = {"pairs": len(lines), "spearman": round(spearman((mine[0] * mine[1]).sum(1), human), 4), "teacher": round(spearman((theirs[0] * theirs[1]).sum(1), human), 4),
                        "bag_of_words": round(spearman([float(l[0].lower() == l[1].lower()) for l in lines], human), 4) if len({l[0].lower() == l[1].lower() for l in lines}) > 1 else 0.0}
    return result


@torch.inference_mode()
def speed(model):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ids = torch.randint(13, 1000, (1, 24))
    best = 1e9
    for _ in range(30):
        begun = time.perf_counter()
        model.model.albert(ids)
        best = min(best, time.perf_counter() - begun)
    torch.set_num_threads(threads)
    parameters = sum(p.numel() for p in model.model.parameters())
    return {"parameters": parameters, "fp32_megabytes": round(parameters * 4 / 1e6, 2), "torch_24_tokens_one_thread_ms": round(best * 1e3, 2)}


def write_fixed(path, sp, facts):
    """The fixed set for the SQL tests: chosen by a seed from data, whatever the model answers."""
    rng = random.Random(99)
    lines = []
    for relation, asked, number in (("capital", "a", 40), ("capital", "b", 40), ("continent", "b", 20), ("kind", "b", 30), ("antonym", "b", 10), ("currency", "b", 10), ("language", "b", 10)):
        cases = []
        for phrasing in HELD_OUT[relation]:
            cases += [(t, i, acc) for t, i, acc in relation_cases(sp, facts, relation, phrasing, asked) if len(i) == 1]
        for text, ids, accepted in rng.sample(cases, number):
            name = {"a": {"capital": "country"}, "b": {"capital": "capital"}}[asked].get(relation, relation)
            lines.append({"kind": name, "text": text, "expect": sp.decode(ids), "accept": sorted(sp.decode(list(x)) for x in accepted if len(x) == 1)})
    lines += [{"kind": "everyday", "text": prompt, "expect": answers.split()[0], "accept": answers.split()} for prompt, answers in HELD_OUT_PROMPTS]
    docs = [d for d in read_docs(held=True) if d["source"] == "wordnet" and len(d["sentences"][0].split()) > 6]
    words = Words(sp)
    for doc in rng.sample(docs, 40):
        text = doc["sentences"][0]
        found = [m for m in WORD.finditer(text.lower()) if len(encode(sp, m.group())) == 1 and m.group() != "s"]
        if found:
            m = rng.choice(found)
            lines.append({"kind": "text", "text": text[:m.start()] + "[MASK]" + text[m.end():], "expect": m.group()})
    from teacher import Teacher
    glosses = [d["sentences"][0] for d in read_docs(held=True) if d["source"] == "wordnet"]
    glosses = [g for g in glosses if 6 <= len(g.split()) <= 20]
    rng.shuffle(glosses)
    glosses = glosses[:600]
    vectors = Teacher(64).encode(glosses)
    scores = vectors @ vectors.T
    for i in range(30):
        near = np.argsort(-scores[i])
        for j in (int(near[rng.randrange(1, 6)]), int(near[rng.randrange(50, 600)])):
            lines.append({"kind": "similarity", "a": glosses[i], "b": glosses[j], "teacher": round(float(scores[i, j]), 4)})
    with open(path, "w", encoding="utf-8") as f:
        for line in lines:
            f.write(json.dumps(line, ensure_ascii=False) + "\n")
    return len(lines)


def on_fixed(model, path):
    """Accuracy by kind on a fixed set, as the SQL tests count it."""
    right, total, ours, theirs = collections.Counter(), collections.Counter(), [], []
    for line in map(json.loads, open(path, encoding="utf-8")):
        if line["kind"] == "minimum":
            continue
        if line["kind"] == "similarity":
            a, b = model.embed([line["a"], line["b"]])
            ours.append(float(a @ b))
            theirs.append(line["teacher"])
            continue
        row = cloze_row(model.sp, line["text"])
        top = model.masked([row])[0][0]
        total[line["kind"]] += 1
        right[line["kind"]] += model.sp.decode([top[0]]) in line.get("accept", [line["expect"]])
    result = {k: {"cases": total[k], "top1": round(right[k] / total[k], 4)} for k in total}
    result["similarity"] = {"cases": len(ours), "spearman": round(spearman(ours, theirs), 4)}
    return result


def write_minimum(path, measured):
    """A first line with what later runs must reach: two cases less than this model's own count, 0.03 less for the correlation."""
    values = {kind: round(max(0.0, v["top1"] - 2 / v["cases"] if "top1" in v else v["spearman"] - 0.03), 4) for kind, v in measured.items()}
    with open(path, encoding="utf-8") as f:
        lines = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(json.dumps({"kind": "minimum", "values": values}) + "\n" + lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fixed")
    arguments = parser.parse_args()
    torch.set_num_threads(settings()["threads"])
    model = Model(arguments.directory)
    loaded = load_facts()
    result = {"examples": {}}
    for text in ("The capital of [MASK] is Delhi.", "The capital of France is [MASK].", "A dog is a kind of [MASK].", "The opposite of hot is [MASK].", "PostgreSQL is a relational [MASK] system.",
                 "Water boils when it gets very [MASK].", "She went to the [MASK] to buy some bread.", "He plays the [MASK] in an orchestra.", "The heart pumps [MASK] through the body.", "A [MASK] is a person who writes books."):
        result["examples"][text] = [model.sp.decode([i]) for i in model.masked([cloze_row(model.sp, text)])[0][0]]
    result["facts"] = relations(model, loaded["facts"], loaded["unseen"], arguments.quick)
    result["everyday"] = everyday(model)
    result["held_out_text"] = running_text(model, arguments.quick)
    result["sentence_order"] = sentence_order(model)
    result["similarity"] = similarity(model, arguments.quick)
    result["size_and_speed"] = speed(model)
    if arguments.fixed:
        write_fixed(arguments.fixed, model.sp, loaded["facts"])
        result["fixed_set"] = on_fixed(model, arguments.fixed)
        write_minimum(arguments.fixed, result["fixed_set"])
    with open(os.path.join(arguments.directory, "eval.json"), "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1, ensure_ascii=False)
        f.write("\n")
    for name, value in result["examples"].items():
        print(f"{name}  ->  {', '.join(value)}")
    for name, value in result["facts"].items():
        print(f"{value['one_piece_top1']:.3f} (of {value['one_piece_cases']} one-piece; top5 {value['one_piece_top5']:.3f}) {value['top1']:.3f} (of all {value['cases']})  {value['set']}: {name}")
    for name in ("held_out_text", "sentence_order", "similarity", "size_and_speed", "fixed_set"):
        print(name, json.dumps(result.get(name)))


if __name__ == "__main__":
    main()
