"""The engines that are compared: each runs batches of token ids through the
same model directory on one thread and returns the last hidden state.

A batch is a list of equal or unequal lengths; engines that need rectangles
get the batch padded to its longest text, with an attention mask.
"""
import os
import subprocess
import time

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

    def convert(self, ids, mask, types):
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}

    def seconds(self):
        """One pass over all batches."""
        start = time.perf_counter()
        for inputs in self.inputs:
            self.forward(inputs)
        return time.perf_counter() - start


class Torch(Peer):
    def __init__(self, directory, precision, threads=1):
        import torch
        from transformers import AutoModel

        torch.set_num_threads(threads)
        self.torch = torch
        self.name = "torch"
        self.model = AutoModel.from_pretrained(directory, attn_implementation="sdpa").eval()
        self.autocast = precision == "bf16"
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
            return self.model(**inputs).last_hidden_state


def export_onnx(directory, path):
    """The encoder as an ONNX graph with free batch and length, with float32 weights."""
    import torch
    from transformers import AutoModel

    if os.path.exists(path):
        return path
    model = AutoModel.from_pretrained(directory, add_pooling_layer=False, attn_implementation="eager").eval()
    ids = torch.full((2, 16), 7)

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(input_ids, attention_mask, token_type_ids).last_hidden_state

    axes = {0: "batch", 1: "length"}
    torch.onnx.export(Hidden().eval(), (ids, torch.ones_like(ids), torch.zeros_like(ids)), path, dynamo=False,
                      input_names=["input_ids", "attention_mask", "token_type_ids"], output_names=["hidden"],
                      dynamic_axes={name: axes for name in ("input_ids", "attention_mask", "token_type_ids", "hidden")},
                      opset_version=17)
    return path


class OnnxRuntime(Peer):
    def __init__(self, directory, precision, work, threads=1, fused=False):
        import onnxruntime

        self.name = "onnxruntime fused" if fused else "onnxruntime"
        path = export_onnx(directory, os.path.join(work, "model.onnx"))
        if precision == "bf16":
            raise NotImplementedError("onnxruntime has no bf16 on x86 processors")
        if precision == "int8":
            from onnxruntime.quantization import QuantType, quantize_dynamic
            int8 = os.path.join(work, "model.int8.onnx")
            if not os.path.exists(int8):
                quantize_dynamic(path, int8, weight_type=QuantType.QInt8, per_channel=True)
            path = int8
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # the transformer optimiser fuses attention and GELU, but writes shared layers out one by one
        if fused:
            from onnxruntime.transformers import optimizer
            path = os.path.join(work, f"model.{precision}.fused.onnx")
            if not os.path.exists(path):
                optimizer.optimize_model(os.path.join(work, "model.onnx"), model_type="bert",
                                         opt_level=1).save_model_to_file(path)
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def forward(self, inputs):
        return self.session.run(None, inputs)[0]


class OpenVino(Peer):
    def __init__(self, directory, precision, work, threads=1):
        import openvino

        self.name = "openvino"
        if precision == "int8":
            raise NotImplementedError("openvino quantises with calibration data only (nncf)")
        core = openvino.Core()
        model = core.read_model(export_onnx(directory, os.path.join(work, "model.onnx")))
        self.model = core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision]})

    def forward(self, inputs):
        return self.model(inputs)[0]


class Albert:
    """bench_encoder of this directory: the bare encoder of the extension."""

    name = "albert"

    def __init__(self, program, directory, precision, work, kernels="auto"):
        self.command = [program, "--precision", precision, "--kernels", kernels, "--csv"]
        self.directory = directory
        self.work = work

    def prepare(self, batches, vocab_size):
        """batches: lists of lengths; the program packs them itself into batches of as many texts."""
        self.path = os.path.join(self.work, "lengths")
        with open(self.path, "w") as file:
            for lengths in batches:
                file.write(" ".join(map(str, lengths)) + "\n")

    def seconds(self):
        line = subprocess.run(self.command + ["--lengths", self.path, "--rounds", "1", "--seconds", "0.01", self.directory],
                              check=True, capture_output=True, text=True).stdout.split(",")
        return float(line[9])


def make_engines(program, directory, precision, work):
    """All that have the precision; and why the others have not."""
    engines, missing = [Albert(program, directory, precision, work)], []
    for build in (lambda: OnnxRuntime(directory, precision, work), lambda: OpenVino(directory, precision, work),
                  lambda: Torch(directory, precision),
                  *([lambda: OnnxRuntime(directory, precision, work, fused=True)] if precision == "fp32" else [])):
        try:
            engines.append(build())
        except NotImplementedError as error:
            missing.append(str(error))
    return engines, missing
