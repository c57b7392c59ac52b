"""The engines that are compared: each runs batches of token ids through the
same model directory on one thread and returns the last hidden state.

A batch is a list of equal or unequal lengths; engines that need rectangles
get the batch padded to its longest text, with an attention mask.
"""
import contextlib
import logging
import os
import subprocess
import time
import warnings

import numpy as np


def rectangle(lengths, vocab_size, seed=7):
    """Ids, mask and types of a padded batch."""
    rng = np.random.default_rng(seed)
    longest = max(lengths)
    ids = np.zeros((len(lengths), longest), np.int64)
    mask = np.zeros((len(lengths), longest), np.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = rng.integers(5, vocab_size, length)
        mask[row, :length] = 1
    return ids, mask, np.zeros_like(ids)


class Peer:
    """One engine in one precision, in this process."""

    name = ""

    def prepare(self, batches, vocab_size):
        self.inputs = [self.convert(*rectangle(lengths, vocab_size)) for lengths in batches]

    def close(self):
        """Frees the model, which may be large."""
        self.__dict__ = {"name": self.name}

    def convert(self, ids, mask, types):
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}

    def seconds(self):
        """One pass over all batches."""
        start = time.perf_counter()
        for inputs in self.inputs:
            self.forward(inputs)
        return time.perf_counter() - start


def load_torch(directory, head, **options):
    """The model in transformers: the bare encoder, or with the masked language model's head."""
    from transformers import AutoModel, AutoModelForMaskedLM

    if head == "mlm":
        return AutoModelForMaskedLM.from_pretrained(directory, **options).eval()
    return AutoModel.from_pretrained(directory, add_pooling_layer=False, **options).eval()


class Torch(Peer):
    name = "torch"

    def __init__(self, directory, precision, threads=1, head=None):
        import torch

        self.torch = torch
        self.threads = threads
        self.model = load_torch(directory, head, attn_implementation="sdpa")
        if precision == "bf16":
            self.model = self.model.to(torch.bfloat16)
        elif precision == "int8":
            self.model = torch.ao.quantization.quantize_dynamic(self.model, {torch.nn.Linear}, dtype=torch.qint8)

    def convert(self, ids, mask, types):
        tensor = self.torch.from_numpy
        # a batch without padding needs no mask, and is faster without
        return {"input_ids": tensor(ids), "attention_mask": None if mask.all() else tensor(mask),
                "token_type_ids": tensor(types)}

    def forward(self, inputs):
        with self.torch.inference_mode():
            return self.model(**inputs)[0]

    def seconds(self):
        self.torch.set_num_threads(self.threads)
        return super().seconds()


def export_onnx(directory, work, head=None):
    """The model as an ONNX graph with free batch and length, with float32 weights; the file's path."""
    import torch

    path = os.path.join(work, "model.onnx" if head is None else f"model.{head}.onnx")
    if os.path.exists(path):
        return path
    model = load_torch(directory, head, attn_implementation="eager")
    ids = torch.full((2, 16), 7)

    class First(torch.nn.Module):
        """Its first output alone."""

        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(input_ids, attention_mask, token_type_ids)[0]

    axes = {0: "batch", 1: "length"}
    names = ["input_ids", "attention_mask", "token_type_ids"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(First().eval(), (ids, torch.ones_like(ids), torch.zeros_like(ids)), path + ".part", dynamo=False,
                          input_names=names, output_names=["output"],
                          dynamic_axes={name: axes for name in names + ["output"]}, opset_version=17)
    os.rename(path + ".part", path)
    return path


class OnnxRuntime(Peer):
    name = "onnxruntime"

    def __init__(self, directory, precision, work, threads=1, head=None):
        import onnxruntime

        if precision == "bf16":
            raise NotImplementedError("onnxruntime has no bf16 on x86 processors")
        path = export_onnx(directory, work, head)
        if precision == "int8":
            path = self.derived(path, "int8", self.quantize)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    @staticmethod
    def derived(path, what, make):
        target = path[:-len("onnx")] + what + ".onnx"
        if not os.path.exists(target):
            make(path, target + ".part")
            os.rename(target + ".part", target)
        return target

    @staticmethod
    def quantize(path, target):
        """Weights by output channel, activations as they come.  Only a weight that is a constant is quantised: transposes are carried out first."""
        import onnxruntime
        from onnxruntime.quantization import QuantType, quantize_dynamic
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = target + ".folded"
        options.log_severity_level = 3
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.ERROR)    # it advises a preprocessing that changes nothing here
        try:
            quantize_dynamic(target + ".folded", target, weight_type=QuantType.QInt8, per_channel=True)
        finally:
            root.setLevel(level)
            os.unlink(target + ".folded")

    def forward(self, inputs):
        return self.session.run(None, inputs)[0]


class OpenVino(Peer):
    name = "openvino"

    def __init__(self, directory, precision, work, threads=1, head=None):
        import openvino

        core = openvino.Core()
        path = export_onnx(directory, work, head)
        if precision == "int8":
            path = self.quantized(core, path)
        hint = {"fp32": {"INFERENCE_PRECISION_HINT": "f32"}, "bf16": {"INFERENCE_PRECISION_HINT": "bf16"}, "int8": {}}[precision]
        self.model = core.compile_model(core.read_model(path), "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", **hint})

    @staticmethod
    def quantized(core, path):
        """By its companion nncf: ranges of activations are fixed from a few texts, which is less work than those of each text."""
        target = path[:-len("onnx")] + "nncf.xml"
        if not os.path.exists(target):
            try:
                import nncf
            except ImportError:
                raise NotImplementedError("openvino in int8: it quantises with nncf, which is not installed") from None
            import openvino
            nncf.set_log_level(logging.ERROR)
            texts = [dict(zip(("input_ids", "attention_mask", "token_type_ids"), rectangle([32], 10000, seed))) for seed in range(8)]
            openvino.save_model(nncf.quantize(core.read_model(path), nncf.Dataset(texts), model_type=nncf.ModelType.TRANSFORMER,
                                              subset_size=len(texts)), target)
        return target

    def forward(self, inputs):
        return self.model(inputs)[0]


class Albert:
    """bench_encoder of this directory: the bare encoder of the extension, in as many processes as threads."""

    name = "albert"

    def __init__(self, program, directory, precision, work, threads=1, head=None, kernels="auto"):
        command = [program, "--serve", "--precision", precision, "--kernels", kernels, directory]
        if head == "mlm":
            command[1:1] = ["--mlm", "--wanted", "first"]
        self.processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(threads)]
        self.work = work

    def ask(self, lines):
        """A line to each process, all at once, and the numbers that they answer."""
        for process, line in zip(self.processes, lines):
            process.stdin.write(line + "\n")
            process.stdin.flush()
        answers = [process.stdout.readline() for process in self.processes]
        if "" in answers:
            raise RuntimeError("bench_encoder has ended")
        return [float(answer) for answer in answers]

    def prepare(self, batches, vocab_size):
        """batches: lists of lengths; the program makes texts of them itself."""
        n = len(self.processes)
        paths = [os.path.join(self.work, f"lengths.{i}") for i in range(n)]
        for i, path in enumerate(paths):
            with open(path, "w") as file:
                for lengths in batches[i::n]:
                    file.write(" ".join(map(str, lengths)) + "\n")
        self.ask(paths)

    def seconds(self):
        return max(self.ask([""] * len(self.processes)))

    def close(self):
        for process in self.processes:
            with contextlib.suppress(BrokenPipeError):    # it has ended already
                process.stdin.close()
            process.wait()
            process.stdout.close()


def make_engines(program, directory, precision, work, threads=1, head=None, albert=True, kernels="auto"):
    """All that have the precision; and why the others have not."""
    engines, missing = [], []
    options = {"threads": threads, "head": head}
    builders = [("albert", lambda: Albert(program, directory, precision, work, kernels=kernels, **options))] if albert else []
    builders += [("onnxruntime", lambda: OnnxRuntime(directory, precision, work, **options)),
                 ("openvino", lambda: OpenVino(directory, precision, work, **options)),
                 ("torch", lambda: Torch(directory, precision, **options))]
    for name, build in builders:
        try:
            engines.append(build())
        except NotImplementedError as error:
            missing.append(str(error))
        except Exception as error:      # one engine that fails is no reason to lose the others
            missing.append(f"{name}, {precision}: {type(error).__name__}: {str(error).strip().splitlines()[:1]}")
    return engines, missing
