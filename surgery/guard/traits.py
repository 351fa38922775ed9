"""What decides how a model is run and compared: how long it may take, and whether its results are random or rounded."""

from __future__ import annotations

import math
import os

import onnx

from verify.model.walk import every_node, reads, tensors, walk_nodes

RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
SECONDS = 12.0  # for all runs of the original, and more for each MB of weights and each node
PER_MEGABYTE = 2.0
PER_NODE = 0.002
SHARED = 512 << 20  # bytes of weights up to which both models take working memory from one arena


def allowed_seconds(model: onnx.ModelProto) -> float:
    """Seconds that running the original may take: a small model that takes long hangs, a large one just takes long."""
    weights = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    return SECONDS + PER_MEGABYTE * float(weights) * 4 / 1e6 + PER_NODE * len(model.graph.node)


def is_light(model: onnx.ModelProto) -> bool:
    """Whether both models may take working memory from one arena, which keeps it."""
    return bool(sum(4 * math.prod(tensor.dims) for tensor in model.graph.initializer) <= SHARED)


def threads_for(model: onnx.ModelProto) -> int:
    """Threads of onnxruntime: one where each quantizes its share of the batch by the range of that share."""
    shares = any(node.op_type == "DynamicQuantizeLSTM" for node in every_node(model))
    return 1 if shares else os.cpu_count() or 1


def random_outputs(model: onnx.ModelProto) -> tuple[str, ...]:
    """Graph outputs that depend on a random operator, also one inside a graph of a node or a function."""
    functions = {(f.domain, f.name) for f in model.functions if any(_is_random(node) for node in f.node)}
    tainted: set[str] = set()
    for node in model.graph.node:
        if _is_random(node) or (node.domain, node.op_type) in functions or tainted.intersection(reads(node)):
            tainted.update(node.output)
    return tuple(info.name for info in model.graph.output if info.name in tainted)


def uses_half(model: onnx.ModelProto) -> bool:
    """Whether some tensor is in half precision.

    onnxruntime computes runs of such nodes in float32 and rounds where they end, so that taking out one node moves the
    rounding: bits then differ though each node computes the same.
    """
    halves = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    infos = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    if any(info.type.tensor_type.elem_type in halves for info in infos):
        return True
    return any(tensor.data_type in halves for tensor in tensors(model)) or any(
        attribute.name == "to" and attribute.i in halves for node in model.graph.node for attribute in node.attribute
    )


def _is_random(node: onnx.NodeProto) -> bool:
    return any(
        inner.op_type in RANDOM or (inner.op_type == "Dropout" and len(inner.input) > 2 and inner.input[2])
        for inner in walk_nodes([node])
    )
