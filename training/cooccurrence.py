"""Tokenize the corpus and factorise its co-occurrences: the start of the embedding matrix.

WORK/tokens.npz: the training documents as ids, with the starts of sentences and documents.  WORK/start.npz: word
embeddings whose first half is a truncated SVD of the positive pointwise mutual information of pieces and whose second
half is a projection of the teacher's vector of each piece; the projection; the log frequencies of the pieces."""
import numpy as np
import sentencepiece as spm

from common import encode, read_docs, settings, work_path

SOURCES = ["wikipedia", "wordnet", "manual", "software"]


def tokenize(sp):
    ids, sentence_starts, doc_starts, sources = [], [0], [0], []
    for doc in read_docs(held=False):
        for sentence in doc["sentences"]:
            ids += encode(sp, sentence)
            sentence_starts.append(len(ids))
        doc_starts.append(len(sentence_starts) - 1)
        sources.append(SOURCES.index(doc["source"]))
    return np.array(ids, np.int32), np.array(sentence_starts, np.int64), np.array(doc_starts, np.int64), np.array(sources, np.int8)


def ppmi_svd(ids, size, window, dimensions, seed):
    counts = np.zeros(size * size, np.float32)
    flat = ids.astype(np.int64)
    for distance in range(1, window + 1):
        weight = np.float32(1.0 / distance)
        np.add.at(counts, flat[:-distance] * size + flat[distance:], weight)
        np.add.at(counts, flat[distance:] * size + flat[:-distance], weight)
    counts = counts.reshape(size, size)
    row = counts.sum(1)
    context = row ** 0.75
    context /= context.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        counts /= row[:, None]
        counts /= context[None]
        np.log(counts, out=counts)
    counts[~np.isfinite(counts)] = 0
    np.maximum(counts, 0, out=counts)
    # Randomised SVD: a few power iterations on a slightly wider random basis.
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((size, dimensions + 32), np.float32)
    for _ in range(4):
        basis, _ = np.linalg.qr(counts @ (counts.T @ basis))
    left, values, _ = np.linalg.svd(basis.T @ counts, full_matrices=False)
    return (basis @ left)[:, :dimensions] * np.sqrt(values[:dimensions])


def unit_rows(matrix):
    matrix = matrix - matrix.mean(0)
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-6)


def main():
    setting = settings()
    sp = spm.SentencePieceProcessor(model_file=work_path("tokenizer", "spiece.model"))
    size = sp.get_piece_size()
    ids, sentence_starts, doc_starts, sources = tokenize(sp)
    np.savez(work_path("tokens.npz"), ids=ids, sentence_starts=sentence_starts, doc_starts=doc_starts, sources=sources)
    print(f"{len(ids)} tokens, {len(sentence_starts) - 1} sentences, {len(doc_starts) - 1} documents")
    words = unit_rows(ppmi_svd(ids, size, setting["ppmi_window"], setting["ppmi_dimensions"], setting["seed"]))
    pieces = np.load(work_path("pieces.npy")).astype(np.float32)
    pieces = pieces - pieces.mean(0)
    _, _, directions = np.linalg.svd(pieces, full_matrices=False)
    projection = directions[:setting["teacher_piece_dimensions"]].T
    start = np.concatenate([words, unit_rows(pieces @ projection)], 1)
    frequency = np.bincount(ids, minlength=size) + 0.5
    np.savez(work_path("start.npz"), embeddings=start.astype(np.float32), projection=projection.astype(np.float32),
             log_frequency=np.log(frequency / frequency.sum()).astype(np.float32))
    for word in ("dog", "france", "computer", "red"):
        index = sp.piece_to_id("▁" + word)
        near = np.argsort(-(start @ start[index]))[1:7]
        print(word, "->", ", ".join(sp.id_to_piece(int(i)).strip("▁") for i in near))


if __name__ == "__main__":
    main()
