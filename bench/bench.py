"""make bench: albert beside the engines people would call instead.

One run: the same model directory, the same texts, one thread, engines
interleaved round by round; medians and ratios.  Writes bench/results/.
"""
import argparse
import csv
import os
import platform
import re
import statistics
import subprocess
import sys
import sysconfig
import time

import database
import engines
import workloads

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = [(1, 8), (1, 16), (1, 32), (1, 64), (1, 128), (1, 256), (1, 512), (8, 8), (8, 32), (8, 128), (32, 8), (32, 32), (32, 128)]


def processor():
    with open("/proc/cpuinfo") as file:
        text = file.read()
    name = re.search(r"model name\s*: (.*)", text).group(1)
    flags = re.search(r"flags\s*: (.*)", text).group(1).split()
    return name + ", " + " ".join(f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile") if f in flags)


def versions():
    names = ["torch", "transformers", "onnxruntime", "openvino", "numpy"]
    from importlib.metadata import version
    return ", ".join(f"{name} {version(name)}" for name in names)


class Results:
    def __init__(self):
        self.rows = []

    def add(self, section, model, precision, workload, engine, value, unit, ratio=None):
        self.rows.append([section, model, precision, workload, engine, f"{value:.4g}", unit, "" if ratio is None else f"{ratio:.3f}"])
        print(f"  {section:8} {model:10} {precision:5} {workload:16} {engine:22} {value:12.4g} {unit:10}"
              + ("" if ratio is None else f"  albert is {ratio:.2f} times that"), flush=True)

    def write(self, path, header):
        with open(path, "w", newline="") as file:
            for line in header:
                file.write(f"# {line}\n")
            writer = csv.writer(file)
            writer.writerow(["section", "model", "precision", "workload", "engine", "value", "unit", "albert_ratio"])
            writer.writerows(self.rows)


def interleaved(competitors, rounds, least_seconds):
    """Medians of the seconds for one pass; engines take turns, each turn lasts at least so long."""
    for engine in competitors:
        engine.seconds()
    times = {engine.name: [] for engine in competitors}
    for _ in range(rounds):
        for engine in competitors:
            start = time.perf_counter()
            while True:
                times[engine.name].append(engine.seconds())
                if time.perf_counter() - start >= least_seconds:
                    break
    return {name: statistics.median(values) for name, values in times.items()}


def compare(results, section, model, precision, workload, competitors, batches, ragged, size, options):
    """One workload through all engines; albert takes texts as they come, the others padded ones."""
    for engine in competitors:
        engine.prepare(ragged if engine.name == "albert" else batches, size)
    tokens = sum(map(sum, ragged))
    medians = interleaved(competitors, options.rounds, options.seconds)
    ours = tokens / medians["albert"]
    for name, seconds in medians.items():
        results.add(section, model, precision, workload, name, tokens / seconds, "tokens/s",
                    None if name == "albert" else ours * seconds / tokens)
    return ours


def encoder_section(results, options, work):
    for shape in options.models:
        directory = workloads.make_model(shape, os.path.join(work, shape), options.vocabulary)
        size = workloads.vocab_size(directory)
        lengths = workloads.short_lengths(options.texts)
        for precision in options.precisions:
            # every shape on base only, which is what most people run
            competitors, missing = engines.make_engines(options.program, directory, precision, os.path.join(work, shape))
            for reason in missing:
                print(f"  left out: {reason}")
            short = lengths if shape == "base" else lengths[:max(len(lengths) // 8, 16)]
            compare(results, "encoder", shape, precision, "short texts", competitors,
                    workloads.batches_of(short, options.batch_tokens, True),
                    workloads.batches_of(short, options.batch_tokens, False), size, options)
            for batch, length in (options.shapes if shape == "base" else [(1, 32), (8, 128)]):
                one = [[length] * batch]
                compare(results, "encoder", shape, precision, f"{batch}x{length}", competitors, one, one, size, options)


def bert_section(results, options, work):
    """The paper's comparison: BERT's throughput and size in the same engines."""
    for shape in workloads.BERT:
        directory = workloads.make_model(shape, os.path.join(work, shape))
        one = [[128] * 8]
        competitors = [engines.OnnxRuntime(directory, "fp32", os.path.join(work, shape)), engines.Torch(directory, "fp32")]
        for engine in competitors:
            engine.prepare(one, 30522)
        medians = interleaved(competitors, options.rounds, options.seconds)
        for name, seconds in medians.items():
            results.add("paper", shape, "fp32", "8x128", name, 8 * 128 / seconds, "tokens/s")
        results.add("paper", shape, "fp32", "weights", "file", os.path.getsize(os.path.join(directory, "model.safetensors")), "bytes")
    for shape in options.models:
        results.add("paper", shape, "fp32", "weights", "file",
                    os.path.getsize(os.path.join(work, shape, "model.safetensors")), "bytes")


def sentences(vocabulary, lengths):
    """A text of each length in tokens, of whole words of the vocabulary."""
    import random
    import sentencepiece
    processor = sentencepiece.SentencePieceProcessor(os.path.join(vocabulary, "spiece.model"))
    words = [processor.id_to_piece(i)[1:] for i in range(processor.get_piece_size())]
    words = [w for i, w in enumerate(words) if processor.id_to_piece(i)[0] == "\u2581" and w.isascii() and w.isalpha()]
    rng = random.Random(3)
    return [" ".join(rng.choice(words) for _ in range(length - 2)) for length in lengths]


def database_section(results, options, work):
    directory = os.path.join(work, "base")
    os.chmod(work, 0o755)
    lengths = workloads.short_lengths(options.texts)
    cluster = database.Cluster(work)
    try:
        database.load_texts(cluster, "texts", sentences(options.vocabulary, lengths))
        tokens = int(cluster.psql("SELECT sum(albert_token_count(body, 'base')) FROM texts"))
        encoder = engines.Albert(options.program, directory, "fp32", work)
        encoder.prepare(workloads.batches_of(lengths, 512, False), 0)
        bare, with_node, off, two = [], [], [], []
        for _ in range(options.rounds):
            bare.append(sum(lengths) / encoder.seconds())
            with_node.append(tokens / database.select_seconds(cluster, "texts", "base"))
            off.append(tokens / database.select_seconds(cluster, "texts", "base", batching=False))
            two.append(tokens / database.select_seconds(cluster, "texts", "base", workers=1))
        bare, with_node, off, two = map(statistics.median, (bare, with_node, off, two))
        add = lambda what, value, ratio=None: results.add("database", "base", "fp32", "short texts", what, value, "tokens/s", ratio)
        add("bare encoder", bare)
        add("SELECT", with_node)
        add("SELECT, batching off", off, with_node / off)
        add("SELECT, two processes", two)
        print(f"  SELECT reaches {with_node / bare:.3f} of the bare encoder; two processes {two / with_node:.2f} times one")
        try:
            cluster.psql("CREATE TABLE few AS SELECT * FROM texts LIMIT 100")
            few = int(cluster.psql("SELECT sum(albert_token_count(body, 'base')) FROM few"))
            python = few / database.plpython_seconds(cluster, "few", directory, sysconfig.get_paths()["purelib"])
            add("PL/Python row by row", python, with_node / python)
        except RuntimeError as error:
            print(f"  left out: PL/Python: {str(error).splitlines()[0]}")
        first, later = database.first_answer(cluster, "base", "The capital of France is Paris.")
        results.add("database", "base", "fp32", "one short text", "first call", first, "ms")
        results.add("database", "base", "fp32", "one short text", "third call", later, "ms")
        usage, shared = database.memory_of_sessions(cluster, "base")
        results.add("database", "base", "fp32", "eight sessions", "model, shared", shared, "bytes")
        results.add("database", "base", "fp32", "eight sessions", "private, median", statistics.median(u[0] for u in usage), "bytes")
    finally:
        cluster.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="base,large")
    parser.add_argument("--precisions", default="fp32,bf16,int8")
    parser.add_argument("--sections", default="encoder,database,paper")
    parser.add_argument("--shapes", default=",".join(f"{b}x{l}" for b, l in SHAPES), help="BxL: texts, tokens of each")
    parser.add_argument("--texts", type=int, default=256, help="short texts")
    parser.add_argument("--batch-tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn, at least")
    parser.add_argument("--vocabulary", default=os.path.join(os.path.dirname(HERE), "models/albert-mini"))
    parser.add_argument("--work", default=os.path.join(os.path.dirname(HERE), "build/bench/models"))
    parser.add_argument("--out", default=os.path.join(HERE, "results"))
    options = parser.parse_args()
    options.models, options.precisions = options.models.split(","), options.precisions.split(",")
    options.shapes = [tuple(map(int, shape.split("x"))) for shape in options.shapes.split(",")]
    options.program = os.path.join(os.path.dirname(HERE), "build/bench/bench_encoder")
    work = os.path.abspath(options.work)
    os.makedirs(work, exist_ok=True)
    os.makedirs(options.out, exist_ok=True)
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    results = Results()
    header = [processor(), versions(), time.strftime("%Y-%m-%d")]
    print("\n".join(header))
    for name, section in (("encoder", encoder_section), ("database", database_section), ("paper", bert_section)):
        if name in options.sections.split(","):
            section(results, options, work)
            results.write(os.path.join(options.out, "results.csv"), header)
    import plot
    plot.draw(os.path.join(options.out, "results.csv"), os.path.join(options.out, "results.svg"))


if __name__ == "__main__":
    sys.exit(main())
