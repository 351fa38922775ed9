"""A scale or an offset for each channel behind a convolution: BatchNormalization, Mul and Add.

What it does: multiplies the weights by the scale and adds the offset to the bias, computed in float64.
Why: for tools that do not do this themselves, or to see the weights that are really used. TensorRT does it when it
builds an engine and onnxruntime when it loads a model, so this pass runs only if selected (`--select SG210`).
Before → After: `y = BatchNormalization(Conv(x, w), s, b, m, v)` → `y = Conv(x, w * f, b - m * f)` with
`f = s / Sqrt(v + epsilon)`
Leaves alone: weights, scales and offsets that are computed or are not float32; weights that other nodes read; a
convolution whose own result is read elsewhere; BatchNormalization in training mode or before opset 9.
Numerics: within rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG210"
Affine = tuple["np.ndarray | None", np.ndarray]  # factor (None for one) and offset, float64[channels]


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "BatchNormalization", "Mul", "Add"):
        for place in (0,) if node.op == "BatchNormalization" else (0, 1):
            conv = _convolution(graph, node, place, context)
            affine = None if conv is None else _affine(graph, node, 1 - place, conv, context)
            if conv is not None and affine is not None:
                message = f"its constants can be part of the weights and bias of '{conv.name}'"
                yield finding(message, node, partial(_merge, graph, node, conv, affine, context), conv)
                break


def _convolution(graph: gs.Graph, node: gs.Node, place: int, context: Context) -> gs.Node | None:
    """The Conv with constant weights of its own that makes this input for this node alone."""
    tensor = node.inputs[place]
    conv = producer(tensor)
    if conv is None or conv.op != "Conv" or conv.domain or len(tensor.outputs) != 1 or context.is_output(graph, tensor):
        return None
    weights, bias = conv.inputs[1], optional_input(conv, 2)
    constants = [weights] if bias is None else [weights, bias]
    if not all(isinstance(tensor, gs.Constant) and tensor.dtype == np.float32 for tensor in constants):
        return None
    whole = len(weights.shape) > 2 and (bias is None or tuple(bias.shape) == tuple(weights.shape[:1]))
    return conv if whole and len(weights.outputs) == 1 else None


def _affine(graph: gs.Graph, node: gs.Node, other: int, conv: gs.Node, context: Context) -> Affine | None:
    channels, rank = int(conv.inputs[1].shape[0]), len(conv.inputs[1].shape)
    operands = node.inputs[1:] if node.op == "BatchNormalization" else [node.inputs[other]]
    if any(tensor.dtype != np.float32 for tensor in operands):
        return None
    values = [context.constant(tensor) for tensor in operands]
    known = [value.astype(np.float64) for value in values if value is not None]
    if len(known) != len(values):
        return None
    if node.op != "BatchNormalization":
        row = _each_channel(known[0], channels, rank)
        if row is None or not np.isfinite(row).all():
            return None
        return (row, np.zeros(channels)) if node.op == "Mul" else (None, row)
    plain = context.opset_of(graph) >= 9 and len(node.outputs) == 1 and not node.attrs.get("training_mode")
    if not plain or any(value.shape != (channels,) for value in known):
        return None
    scale, shift, mean, variance = known
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + np.float32(node.attrs.get("epsilon", 1e-5)))
        offset = shift - mean * factor
    return (factor, offset) if np.isfinite(factor).all() and np.isfinite(offset).all() else None


def _each_channel(value: np.ndarray, channels: int, rank: int) -> np.ndarray | None:
    """One number for each channel from what broadcasts over everything else; None where it does not."""
    if value.ndim > rank:
        return None
    dims = [1] * (rank - value.ndim) + list(value.shape)
    if any(dim != 1 for axis, dim in enumerate(dims) if axis != 1) or dims[1] not in (1, channels):
        return None
    return np.broadcast_to(value.reshape(-1), (channels,))


def _merge(graph: gs.Graph, node: gs.Node, conv: gs.Node, affine: Affine, context: Context) -> None:
    build = Build(graph, node, context, CODE)
    factor, offset = affine
    weights, bias = conv.inputs[1], optional_input(conv, 2)
    old = np.zeros(len(offset)) if bias is None else np.asarray(bias.values, np.float64)
    if factor is not None:
        values = np.asarray(weights.values)
        weights = build.constant(values * factor.reshape(-1, *[1] * (values.ndim - 1)), np.float32)
        old = old * factor
    build.replace(build("Conv", conv.inputs[0], weights, build.constant(old + offset, np.float32), **dict(conv.attrs)))


PASS = Pass(code=CODE, name="affine-after-convolution", find=find, exact=False, kind="chosen")
