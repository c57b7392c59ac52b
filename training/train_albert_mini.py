"""Pretrain albert-mini: masked n-grams, sentence order, facts, and distilled sentence embeddings together.

A step is one pass over running text (masked words; two segments in or out of order), fact sentences with the asked word
masked, unmasked sentences whose pooled embedding is held to the teacher's, and now and then terms beside their glosses.
All random choices of a step come from (seed, step), so a stopped run goes on exactly as it would have, and other processes can
make the steps ahead of an accelerator.  SIGINT and SIGTERM save a checkpoint first.   train_albert_mini.py [--stop-at N]"""
import argparse
import collections
import concurrent.futures
import multiprocessing
import os
import random
import re
import signal
import time

import numpy as np
import sentencepiece as spm
import torch
from torch.nn import functional as F
from transformers import AlbertConfig, AlbertForPreTraining

from common import CLS, MASK, PAD, SEP, encode, load_facts, normalise, settings, work_path
from corpus import wordnet_synsets
from everyday import EVERYDAY
from facts import ASKED, COMBINED, PHRASINGS, PREFIXES, SUFFIXES, render, vary

RELATION_SHARE = {"capital": .16, "kind": .26, "continent": .07, "currency": .04, "language": .04, "demonym": .03, "city": .03, "antonym": .09, "part": .07, "combined": .03, "everyday": .18}
EVERYDAY_SHARE = {"day": 1, "month": 1, "season": .4, "number": 1, "rank": .6, "colour": 1.5, "property": 1.2, "sound": .7, "tool": 1.3, "trade": 1.3, "place": 1.3, "meal": .3, "liked": 2.4, "disliked": 2.4}
SOURCE_SHARE = np.array([4.0, 1.0, 2.5, 1.2])    # wikipedia, wordnet, manual, software


def new_model(setting, size, start=None):
    torch.manual_seed(setting["seed"])
    model = AlbertForPreTraining(AlbertConfig(
        vocab_size=size, hidden_act="gelu_new", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, classifier_dropout_prob=0.1,
        type_vocab_size=2, pad_token_id=PAD, bos_token_id=CLS, eos_token_id=SEP,
        **{k: setting[k] for k in ("hidden_size", "embedding_size", "num_hidden_layers", "num_hidden_groups", "num_attention_heads", "intermediate_size", "max_position_embeddings")}))
    if start is not None:
        scale = 0.05
        with torch.no_grad():
            embeddings = model.albert.embeddings
            embeddings.word_embeddings.weight.copy_(torch.from_numpy(start["embeddings"]) * scale * (setting["embedding_size"] / 2) ** 0.5)
            # The teacher's half of an embedding goes to where the teacher's own vector has it, so that a mean of untrained rows already resembles its mean of words.
            teacher_half = torch.from_numpy(start["projection"])
            words_half = torch.linalg.qr(torch.randn(setting["hidden_size"], setting["ppmi_dimensions"]))[0]
            model.albert.encoder.embedding_hidden_mapping_in.weight.copy_(torch.cat([0.5 * words_half, teacher_half], 1))
            model.predictions.bias.copy_(torch.from_numpy(start["log_frequency"]))
        look_at_neighbours(model)
        look_at_segments(model)
    return model


@torch.no_grad()
def look_at_neighbours(model, keep_positions=False):
    """Start two heads of the first layer group at the words before and after.

    Attention that finds a word's neighbours is what masked words need first, and a small run spends much of its time
    before it appears.  Positions get sines and cosines along the directions in which word embeddings vary least; query
    and key of a head read those back, turned by one position, so that q(t).k(s) is greatest at s = t - 1 or t + 1."""
    embeddings, encoder = model.albert.embeddings, model.albert.encoder
    words = embeddings.word_embeddings.weight
    table = embeddings.position_embeddings.weight
    frequencies = torch.logspace(-1.0, 0.4, 8)
    variance = torch.linalg.eigh(torch.cov(words.T.float()))[1]
    directions = variance[:, :2 * len(frequencies)]    # columns: least variance first
    angle = torch.arange(len(table))[:, None] * frequencies[None]
    waves = torch.cat([angle.cos(), angle.sin()], 1) / len(frequencies) ** 0.5
    waves = waves @ directions.T * (0.55 * words.norm(dim=1).mean())
    table.copy_(table + waves if keep_positions else waves)

    mapping = encoder.embedding_hidden_mapping_in
    read = directions.T @ torch.diag(1 / embeddings.LayerNorm.weight) @ torch.linalg.pinv(mapping.weight)
    attention = encoder.albert_layer_groups[0].albert_layers[0].attention
    size, count = attention.attention_head_size, len(frequencies)
    for head, offset in ((0, -1.0), (1, 1.0)):
        turn = frequencies * offset
        cos, sin = torch.diag(turn.cos()), torch.diag(turn.sin())
        # (cos a, sin a) turned to (cos(a + turn), sin(a + turn))
        rotation = torch.cat([torch.cat([cos, -sin], 1), torch.cat([sin, cos], 1)], 0)
        for linear, matrix in ((attention.query, rotation @ read), (attention.key, read)):
            rows = slice(head * size, head * size + 2 * count)
            linear.weight[rows] = 1.6 * matrix
            linear.bias[rows] = -1.6 * matrix @ mapping.bias


@torch.no_grad()
def look_at_segments(model, read=None, middle=None, far=None):
    """Start two heads of the last layer group at the first and at the second segment.

    Left to itself the first row averages all words alike, and the mean of two segments says nothing about their order.
    The second token type gets its own direction; keys read it (read . hidden - middle, of which far is the usual size),
    and the query's bias asks for one side or the other.  Without arguments: for a model that is not trained yet."""
    embeddings, encoder = model.albert.embeddings, model.albert.encoder
    words = embeddings.word_embeddings.weight
    if read is None:
        direction = torch.linalg.eigh(torch.cov(words.T.float()))[1][:, 16]    # the first that positions leave free
        apart = 0.6 * words.norm(dim=1).mean()
        table = embeddings.token_type_embeddings.weight
        table[1] = table[0] + apart * direction
        mapping = encoder.embedding_hidden_mapping_in
        read = torch.diag(1 / embeddings.LayerNorm.weight) @ torch.linalg.pinv(mapping.weight)
        read = direction @ read
        far = float(apart / words.square().mean().sqrt()) / 2
        middle = far
    attention = encoder.albert_layer_groups[-1].albert_layers[0].attention
    size = attention.attention_head_size
    for head, side in ((0, -1.0), (1, 1.0)):
        row = head * size
        attention.key.weight[row] = read / far
        attention.key.bias[row] = -middle / far
        attention.query.weight[row] = 0
        attention.query.bias[row] = side * 2.5 * size ** 0.5


def bucket(length):
    """The width a batch is padded to: few widths, since a matrix library prepares each new shape anew."""
    return next(width for width in (8, 16, 24, 32, 40, 48, 64, 96, 128, 192, 256) if width >= length)


class Words:
    """Where words start in a row of ids, and which words are worth asking for."""

    def __init__(self, sp):
        pieces = [sp.id_to_piece(i) for i in range(sp.get_piece_size())]
        self.lone = np.array([p == "▁" for p in pieces])
        self.open = np.array([p.startswith("▁") for p in pieces])
        self.mark = np.array([not re.search(r"\w", p.replace("▁", "")) and p != "▁" for p in pieces])
        self.normal = np.array([i for i in range(13, len(pieces)) if pieces[i].startswith("▁")])

    def spans(self, ids):
        ids = np.asarray(ids)
        start = self.open[ids] | self.mark[ids]
        start[1:] |= self.mark[ids[:-1]]
        start[1:] &= ~self.lone[ids[:-1]]
        start[0] = True
        at = np.flatnonzero(start)
        return np.stack([at, np.append(at[1:], len(ids))], 1)


class Batches:
    def __init__(self, setting, sp):
        self.setting, self.sp, self.words = setting, sp, Words(sp)
        data = np.load(work_path("tokens.npz"))
        self.ids, self.sentence_starts, self.doc_starts = data["ids"], data["sentence_starts"], data["doc_starts"]
        share = SOURCE_SHARE[data["sources"]] * np.minimum(6, np.diff(self.doc_starts)) ** 0.7
        self.doc_choice = np.cumsum(share / share.sum())
        self.facts = loaded = load_facts()["facts"]
        self.second = {r: dict(loaded[r]) for r in ("continent", "currency", "language", "demonym")}
        with open(work_path("sentences.txt"), encoding="utf-8") as f:
            texts = f.read().split("\n")
        self.sentences = [encode(sp, t)[:setting["short_length"] + 12] for t in texts]
        self.targets = np.load(work_path("teacher.npy"))
        lengths = np.array([len(s) for s in self.sentences])
        self.by_length = np.lexsort((np.random.default_rng(setting["seed"]).random(len(lengths)), lengths))
        self.by_length = self.by_length[lengths[self.by_length] > 0]
        self.lengths = lengths[self.by_length]
        self.pairs = []
        for part, _, lemmas, _, meaning, _ in wordnet_synsets():
            if part == "noun" and lemmas[0][0].islower() and 3 <= len(meaning.split()) <= 14:
                self.pairs.append((lemmas[0], meaning))

    def pad(self, rows, width, types=None):
        ids = np.full((len(rows), width), PAD, np.int64)
        kinds = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, :len(row)] = row
            if types is not None:
                kinds[i, types[i]:len(row)] = 1
        return ids, (ids != PAD).astype(np.int64), kinds

    # -- running text ----------------------------------------------------------
    def sentence(self, index):
        return self.ids[self.sentence_starts[index]:self.sentence_starts[index + 1]]

    def text_example(self, rng, limit):
        """(segment a, segment b or None, order label)"""
        doc = int(np.searchsorted(self.doc_choice, rng.random()))
        first, last = self.doc_starts[doc], self.doc_starts[doc + 1]
        room = limit - 3
        if limit > self.setting["long_length"]:    # several documents in a row
            row = self.ids[self.sentence_starts[first]:self.sentence_starts[first] + room]
            return row, None, -100
        if last - first > 1 and rng.random() < self.setting["pair_fraction"]:
            cut = int(rng.integers(first + 1, last))
            a, b = self.sentence(cut - 1), self.sentence(cut)
            before, after = cut - 2, cut + 1
            while True:
                if after < last and len(a) + len(b) + len(self.sentence(after)) <= room and rng.random() < 0.5:
                    b = np.concatenate([b, self.sentence(after)])
                    after += 1
                elif before >= first and len(a) + len(b) + len(self.sentence(before)) <= room:
                    a = np.concatenate([self.sentence(before), a])
                    before -= 1
                else:
                    break
            if len(a) + len(b) <= room + room // 3:
                half = room // 2
                if len(a) + len(b) > room:
                    a, b = (a[:room - min(len(b), half)], b[:max(half, room - len(a))])
                return (b, a, 1) if rng.random() < 0.5 else (a, b, 0)
        start = int(rng.integers(first, last))
        row = self.sentence(start)
        while start + 1 < last and len(row) + len(self.sentence(start + 1)) <= room:
            start += 1
            row = np.concatenate([row, self.sentence(start)])
        return row[:room], None, -100

    def mask_ngrams(self, rng, ids):
        """(masked ids, positions, originals): whole words in runs of up to ngram_max."""
        spans = self.words.spans(ids)
        budget = max(1, int(round(len(ids) * self.setting["mask_fraction"])))
        out, chosen = ids.copy(), np.zeros(len(ids), bool)
        longest = self.setting["ngram_max"]
        weight = 1.0 / np.arange(1, longest + 1)
        order = rng.permutation(len(spans))
        runs = rng.choice(longest, len(spans), p=weight / weight.sum())
        chances, fates = rng.random(len(spans)), rng.random(len(spans))
        total = 0
        for at, run, chance, fate in zip(order.tolist(), runs.tolist(), chances.tolist(), fates.tolist()):
            if total >= budget:
                break
            start = spans[at][0]
            if self.words.mark[ids[start]] and chance < 0.85:
                continue
            end = spans[min(len(spans) - 1, at + run)][1]
            if end - start > budget + 2 or chosen[max(0, start - 1):end + 1].any():
                end = spans[at][1]
                if end - start > budget + 3 or chosen[start:end].any():
                    continue
            chosen[start:end] = True
            total += end - start
            if fate < 0.88:
                out[start:end] = MASK
            elif fate < 0.94:
                out[start:end] = rng.choice(self.words.normal, end - start)
        where = np.flatnonzero(chosen)
        return out, where, ids[where]

    def text(self, rng, step):
        """Batches of like length, as many as the settings say."""
        setting = self.setting
        limit = setting["short_length"]
        if step % setting["long_every"] == setting["long_every"] - 1:
            limit = setting["max_position_embeddings"] if step % (4 * setting["long_every"]) == setting["long_every"] - 1 else setting["long_length"]
        length = lambda e: len(e[0]) + (len(e[1]) + 1 if e[1] is not None else 0) + 2
        examples, tokens = [], 0
        while tokens < setting["text_tokens_per_step"]:
            examples.append(self.text_example(rng, limit))
            tokens += length(examples[-1])
        examples.sort(key=length)
        parts = setting["text_batches_per_step"]
        for chosen in (examples[len(examples) * k // parts:len(examples) * (k + 1) // parts] for k in range(parts)):
            if chosen:
                yield self.text_batch(rng, chosen, bucket(length(chosen[-1])))

    def text_batch(self, rng, chosen, width):
        rows, types, labels, positions, originals = [], [], [], [], []
        for number, (a, b, label) in enumerate(chosen):
            masked, where, was = self.mask_ngrams(rng, a)
            row = [CLS, *masked, SEP]
            spots = [where + 1]
            types.append(len(row))
            if b is not None:
                masked, where_b, was_b = self.mask_ngrams(rng, b)
                spots.append(where_b + len(row))
                was = np.concatenate([was, was_b])
                row += [*masked, SEP]
            rows.append(row)
            labels.append(label)
            positions += [(number, int(p)) for p in np.concatenate(spots)]
            originals += was.tolist()
        return self.pad(rows, width, types) + (positions, originals, labels)

    # -- facts -----------------------------------------------------------------
    def fact_parts(self, rng, words):
        relations = list(RELATION_SHARE)
        relation = relations[int(rng.choice(len(relations), p=np.array(list(RELATION_SHARE.values())) / sum(RELATION_SHARE.values())))]
        if relation == "combined":
            while True:
                a, b = self.facts["capital"][int(rng.integers(len(self.facts["capital"])))]
                _, other, phrasing = COMBINED[int(rng.integers(len(COMBINED)))]
                if a in self.second[other]:
                    return render(vary(phrasing, words), "capital", a, b, self.second[other][a]), "abc"[int(rng.integers(3))]
        if relation == "everyday":
            relation = words.choices(list(EVERYDAY_SHARE), EVERYDAY_SHARE.values())[0]
            rows, asked, phrasings = EVERYDAY[relation]
            while True:
                phrasing, asks = vary(words.choice(phrasings), words), words.choice(asked)
                if "{" + asks + "}" in phrasing:
                    return render(phrasing, relation, *words.choice(rows)), asks
        pairs = self.facts[relation]
        a, b = pairs[int(rng.integers(len(pairs)))]
        if relation == "antonym" and rng.random() < 0.5:
            a, b = b, a
        phrasing = PHRASINGS[relation][int(rng.integers(len(PHRASINGS[relation])))]
        asked = ASKED[relation]
        return render(vary(phrasing, words), relation, a, b), asked[int(rng.integers(len(asked)))]

    def fact_example(self, rng):
        words = random.Random(int(rng.integers(1 << 62)))
        parts, asked = self.fact_parts(rng, words)
        chance = rng.random()
        if chance < 0.2:
            parts = [(vary(words.choice(PREFIXES), words), None)] + parts
        elif chance < 0.4 and parts[-1][0].endswith("."):
            parts[-1] = (parts[-1][0][:-1] + (vary(words.choice(SUFFIXES), words) if chance < 0.32 else ""), None)
        text, slots, others = "", [], []
        for part, slot in parts:
            lead = part[:len(part) - len(part.lstrip())]
            tail = part[len(part.rstrip()):] if part.strip() else ""
            part = (" " if lead else "") + normalise(part) + (" " if tail else "")
            if slot is not None:
                (slots if slot == asked else others).append((len(text), len(text) + len(part)))
            text += part
        pieces = self.sp.encode(text, out_type=str)
        ids = np.array([self.sp.piece_to_id(p) for p in pieces])
        # The text is normalised already, so the pieces spell " " + text.
        ends = np.cumsum([len(p) for p in pieces]) - 1
        begins = ends - [len(p) for p in pieces] + [p.startswith("▁") for p in pieces]
        within = lambda places: np.array([any(begin < e and end > s for s, e in places) for begin, end in zip(begins, ends)])
        chosen, given = within(slots), within(others)
        spans = self.words.spans(ids)
        if rng.random() < 0.2 and len(ids) > 5:
            start, end = spans[int(rng.integers(len(spans)))]
            if not self.words.mark[ids[start]]:
                chosen[start:end] = True
        where = np.flatnonzero(chosen)
        out = ids.copy()
        out[where] = MASK
        if rng.random() < self.setting["fact_noise_fraction"]:
            return self.disturbed(rng, ids, out, chosen, given, spans)
        return out, where, ids[where]

    def disturbed(self, rng, ids, out, chosen, given, spans):
        """Words that name neither what is given nor what is asked are now and then dropped, hidden or changed: the answer must not hang on the wording."""
        keep = np.ones(len(ids), bool)
        for start, end in spans:
            if chosen[start:end].any() or given[start:end].any() or rng.random() > self.setting["fact_noise"]:
                continue
            fate = rng.random()
            if fate < 0.35:
                keep[start:end] = False
            elif fate < 0.65:
                out[start:end] = MASK
            else:
                out[start:end] = rng.choice(self.words.normal, end - start)
        where = np.flatnonzero(chosen[keep])
        return out[keep], where, ids[keep][where]

    def fact(self, rng):
        """Two batches: the shorter two thirds of the sentences, and the others; their losses are parts of one mean."""
        examples = sorted((self.fact_example(rng) for _ in range(self.setting["fact_sentences_per_step"])), key=lambda e: len(e[0]))
        cut = len(examples) * 2 // 3
        for group in (examples[:cut], examples[cut:]):
            positions, originals = [], []
            for number, (_, where, was) in enumerate(group):
                positions += [(number, int(p) + 1) for p in where]
                originals += was.tolist()
            yield self.pad([[CLS, *masked, SEP] for masked, _, _ in group], bucket(len(group[-1][0]) + 2)) + (positions, originals)

    # -- sentence embeddings ---------------------------------------------------
    def distil(self, rng):
        start = int(rng.integers(len(self.by_length)))
        width = bucket(len(self.sentences[self.by_length[start]]) + 2)
        count = min(self.setting["distil_rows_most"], self.setting["distil_tokens_per_step"] // width)
        fitting = int(np.searchsorted(self.lengths, width - 2, "right"))
        start = max(0, min(start, fitting - count))
        chosen = self.by_length[start:min(start + count, fitting)]
        return self.pad([[CLS, *self.sentences[i], SEP] for i in chosen], width) + (self.targets[chosen].astype(np.float32),)

    def contrast(self, rng):
        chosen = [self.pairs[int(i)] for i in rng.choice(len(self.pairs), min(len(self.pairs), self.setting["contrast_pairs"]), replace=False)]
        return self.pad([[CLS, *encode(self.sp, t)[:6], SEP] for t, _ in chosen], 8), self.pad([[CLS, *encode(self.sp, m)[:22], SEP] for _, m in chosen], 24)

    def of_step(self, step):
        """The step as a Packed."""
        rng = np.random.default_rng([self.setting["seed"], step])
        packed = Packed()
        for *group, positions, originals, labels in self.text(rng, step):
            packed.ask(packed.add("text", *group), positions, originals, True)
            packed.order(labels)
        for *group, positions, originals in self.fact(rng):
            packed.ask(packed.add("fact", *group), positions, originals, False)
        *group, packed.target = self.distil(rng)
        packed.add("distil", *group)
        if step % self.setting["contrast_every"] == 3 % self.setting["contrast_every"]:
            for name, group in zip(("terms", "glosses"), self.contrast(rng)):
                packed.add(name, *group)
        keep = 1 - self.setting["order_dropout"]
        packed.kept = (rng.random((len(packed.labels), self.setting["hidden_size"])) < keep).astype(np.float32) / np.float32(keep)
        packed.finish()
        return packed


class Packed:
    """The rows of a step in one list: only attention needs to know which batch (of one width) a token is in."""

    def __init__(self):
        self.groups, self.tokens = [], 0    # (name, rows, width, first token)
        self.ids, self.types, self.places, self.mask = [], [], [], []
        self.asked, self.originals, self.of_text, self.first, self.labels = [], [], [], [], []

    def add(self, name, ids, mask, types):
        rows, width = ids.shape
        start, self.tokens = self.tokens, self.tokens + ids.size
        self.groups.append((name, rows, width, start))
        self.ids.append(ids.ravel())
        self.types.append(types.ravel())
        self.places.append(np.tile(np.arange(width), rows))
        self.mask.append(mask.ravel())
        return start

    def ask(self, start, positions, originals, of_text):
        width = self.groups[-1][2]
        self.asked += [start + row * width + at for row, at in positions]
        self.originals += originals
        self.of_text += [of_text] * len(originals)

    def order(self, labels):
        _, _, width, start = self.groups[-1]
        self.first += [start + row * width for row, label in enumerate(labels) if label >= 0]
        self.labels += [label for label in labels if label >= 0]

    def finish(self):
        for name in ("ids", "types", "places", "mask"):
            setattr(self, name, np.concatenate(getattr(self, name)).astype(np.int32))
        for name in ("asked", "originals", "first", "labels"):
            setattr(self, name, np.array(getattr(self, name), np.int64))
        self.mask, self.of_text = self.mask.astype(bool), np.array(self.of_text, np.float32)

    ARRAYS = ("ids", "types", "places", "mask", "asked", "originals", "of_text", "first", "labels", "kept", "target")

    def to(self, device):
        for name in self.ARRAYS:
            tensor = torch.from_numpy(getattr(self, name))
            setattr(self, name, tensor if device == "cpu" else tensor.pin_memory().to(device, non_blocking=True))
        return self

    def group(self, name, values):
        """Values of the tokens of the (only) group of that name, by rows; None without such a group."""
        for found, rows, width, start in self.groups:
            if found == name:
                return values[start:start + rows * width].view(rows, width, *values.shape[1:])


def encode_packed(albert, packed):
    """The hidden states [tokens, hidden_size] of transformers' AlbertModel in one pass over a Packed."""
    embeddings, encoder, config = albert.embeddings, albert.encoder, albert.config
    hidden = embeddings.word_embeddings(packed.ids) + embeddings.position_embeddings(packed.places) + embeddings.token_type_embeddings(packed.types)
    hidden = encoder.embedding_hidden_mapping_in(embeddings.LayerNorm(hidden))
    heads = config.num_attention_heads
    for number in range(config.num_hidden_layers):
        layer = encoder.albert_layer_groups[number * config.num_hidden_groups // config.num_hidden_layers].albert_layers[0]
        attention, context = layer.attention, []
        query, key, value = attention.query(hidden), attention.key(hidden), attention.value(hidden)
        for _, rows, width, start in packed.groups:
            q, k, v = (x[start:start + rows * width].view(rows, width, heads, -1).transpose(1, 2) for x in (query, key, value))
            mask = packed.mask[start:start + rows * width].view(rows, 1, 1, width).expand(-1, -1, width, -1)
            context.append(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(rows * width, -1))
        hidden = attention.LayerNorm(hidden + attention.dense(torch.cat(context)))
        hidden = layer.full_layer_layer_norm(hidden + layer.ffn_output(F.gelu(layer.ffn(hidden), approximate="tanh")))
    return hidden


def steps_ahead(batches, first, last):
    """The batches of each step in order, made by other processes, which leave the accelerator alone."""
    global BATCHES
    BATCHES = batches
    workers = concurrent.futures.ProcessPoolExecutor(max(1, (os.cpu_count() or 2) - 2), multiprocessing.get_context("fork"))
    waiting = collections.deque(workers.submit(make_step, step) for step in range(first, min(last, first + 64)))

    def results():
        for step in range(first, last):
            made = waiting.popleft().result()
            if step + 64 < last:
                waiting.append(workers.submit(make_step, step + 64))
            yield made
        workers.shutdown()
    return results()


def make_step(step):
    return BATCHES.of_step(step)


def pool(hidden, mask):
    hidden = hidden.float() * mask[..., None]
    return F.normalize(hidden.sum(1) / mask.sum(1, keepdim=True), dim=1)


class Trainer:
    def __init__(self, setting, size, start, device):
        self.setting, self.device = setting, device
        self.model = new_model(setting, size, start).to(device).train()
        self.parameters = list(self.model.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        decay = [p for p in self.parameters if p.ndim > 1]
        plain = [p for p in self.parameters if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": setting["weight_decay"]}, {"params": plain, "weight_decay": 0.0}],
                                           lr=setting["peak_learning_rate"], betas=(0.9, 0.98), eps=1e-6, fused=True)
        self.step = 0
        self.cpu_seconds = 0.0

    def rate(self, step):
        setting = self.setting
        if step < setting["warmup_steps"]:
            return setting["peak_learning_rate"] * (step + 1) / setting["warmup_steps"]
        start = setting["steps"] * (1 - setting["decay_fraction"])
        share = min(1.0, max(0.0, (step - start) / (setting["steps"] - start)))
        return setting["peak_learning_rate"] * (1 - share) + setting["final_learning_rate"] * share

    def losses(self, packed):
        """(what to minimise, its parts by name)"""
        setting, model, values = self.setting, self.model, {}
        hidden = encode_packed(model.albert, packed)
        each = F.cross_entropy(model.predictions(hidden[packed.asked]).float(), packed.originals, reduction="none")
        values["text"] = (each * packed.of_text).sum() / packed.of_text.sum()
        values["fact"] = (each * (1 - packed.of_text)).sum() / (1.3 * setting["fact_sentences_per_step"])
        total = setting["mlm_weight"] * values["text"] + setting["fact_weight"] * values["fact"]
        if len(packed.labels):
            pooled = torch.tanh(model.albert.pooler(hidden[packed.first]))
            values["order"] = F.cross_entropy(model.sop_classifier.classifier(pooled * packed.kept).float(), packed.labels)
            total = total + setting["order_weight"] * min(1.0, len(packed.labels) / 12) * values["order"]

        pooled_group = lambda name: pool(packed.group(name, hidden), packed.group(name, packed.mask))
        pooled, target = pooled_group("distil"), packed.target
        difference = (pooled @ pooled.T).float() - target @ target.T
        values["distil"] = (1 - (pooled * target).sum(1)).mean()
        values["relation"] = difference.square().mean() * len(target) / max(1, len(target) - 1)
        total = total + setting["distil_weight"] * values["distil"] + setting["relation_weight"] * values["relation"]
        if packed.group("terms", packed.mask) is not None:
            scores = (pooled_group("terms") @ pooled_group("glosses").T).float() / setting["contrast_temperature"]
            truth = torch.arange(len(scores), device=scores.device)
            values["contrast"] = (F.cross_entropy(scores, truth) + F.cross_entropy(scores.T, truth)) / 2
            total = total + setting["contrast_every"] * setting["contrast_weight"] * values["contrast"]
        return total, values

    def train_step(self, packed):
        """One step on what Batches.of_step made; the losses as tensors, for to ask an accelerator for a value is to wait for it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step)
        with torch.autocast(self.device, torch.bfloat16):
            total, values = self.losses(packed.to(self.device))
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.setting["gradient_clip"])
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        keep = min(self.setting["ema_decay"], (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - keep)
        self.step += 1
        return {name: value.detach() for name, value in values.items()}

    def save(self, path):
        torch.save({"model": self.model.state_dict(), "average": self.average, "optimizer": self.optimizer.state_dict(), "step": self.step, "cpu_seconds": self.cpu_seconds}, path + ".part")
        os.replace(path + ".part", path)

    def load(self, path):
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average = [t.to(self.device) for t in state["average"]]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.cpu_seconds = state["step"], state["cpu_seconds"]


def averaged_model(setting):
    """(tokenizer, model with the averaged weights of the checkpoint)"""
    sp = spm.SentencePieceProcessor(model_file=work_path("tokenizer", "spiece.model"))
    state = torch.load(work_path("checkpoint.pt"), map_location="cpu", weights_only=True)
    model = new_model(setting, sp.get_piece_size())
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), state["average"], strict=True):
            parameter.copy_(value)
    return sp, model


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", help="ignored: a mark to find the process by")
    parser.add_argument("--stop-at", type=int, help="save and stop after this many steps")
    arguments = parser.parse_args()
    setting = settings()
    torch.set_num_threads(setting["threads"])
    sp = spm.SentencePieceProcessor(model_file=work_path("tokenizer", "spiece.model"))
    batches = Batches(setting, sp)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trainer = Trainer(setting, sp.get_piece_size(), dict(np.load(work_path("start.npz"))), device)
    checkpoint = work_path("checkpoint.pt")
    if os.path.exists(checkpoint):
        trainer.load(checkpoint)
        print(f"going on from step {trainer.step}", flush=True)
    parameters = sum(p.numel() for p in trainer.model.parameters())
    print(f"{parameters} parameters, {setting['steps']} steps, device {device}", flush=True)

    stop = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.append(True))
    totals, counts = {}, {}
    cpu_before = trainer.cpu_seconds
    cpu_mark, wall_mark, begun = time.process_time(), time.time(), trainer.step
    last = min(setting["steps"], arguments.stop_at or setting["steps"])
    for made in map(batches.of_step, range(begun, last)) if device == "cpu" else steps_ahead(batches, begun, last):
        if stop:
            break
        for name, value in trainer.train_step(made).items():
            totals[name] = totals.get(name, 0.0) + value
            counts[name] = counts.get(name, 0) + 1
        if trainer.step % setting["report_every"] == 0:
            done = trainer.step - begun
            cpu = (time.process_time() - cpu_mark) / done    # pauses and other work on the machine do not count
            wall = (time.time() - wall_mark) / done
            left = setting["steps"] - trainer.step
            totals = {name: float(value) for name, value in totals.items()}
            print(f"step {trainer.step}/{setting['steps']} rate {trainer.rate(trainer.step):.5f} " + " ".join(f"{n} {totals[n] / counts[n]:.3f}" for n in totals) +
                  f" | {cpu:.2f} CPU s and {wall:.2f} s a step, ETA {left * wall / 60:.0f} min ({left * cpu / setting['threads'] / 60:.0f} undisturbed)", flush=True)
            totals, counts = {}, {}
        if trainer.step % setting["checkpoint_every"] == 0:
            trainer.cpu_seconds = cpu_before + time.process_time() - cpu_mark
            trainer.save(checkpoint)
    trainer.cpu_seconds = cpu_before + time.process_time() - cpu_mark
    trainer.save(checkpoint)
    print(f"saved step {trainer.step}", flush=True)


if __name__ == "__main__":
    main()
