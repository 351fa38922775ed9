"""Operators of com.microsoft.nchwc, whose tensors store channels in blocks.

What it does: replaces all operators of this domain in a graph by operators of ONNX, puts the weights back in order,
removes nodes that only reorder channels, and pads or slices channels where their number is not a multiple of the block
size.
Why: onnxruntime's optimizer writes these operators at its highest level; TensorRT's parser does not know them.
Before → After: `a = com.microsoft.nchwc.Conv<activation = "Relu">(x, blocked); y =
com.microsoft.nchwc.ReorderOutput<channels = 8>(a)` → `y = Relu(Conv(x, w))`
Leaves alone: the whole graph if one of these operators has an unknown attribute or activation, or computed weights;
every file on a processor for which onnxruntime has no such operators.
Numerics: within rounding. The file does not record the block size, which depends on the processor that wrote the file.
Like onnxruntime, this pass assumes the block size of the processor it runs on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import text
from surgery.passes.ops.quantize import optional_input
from surgery.passes.tensorrt.contrib.fused_convolution import (
    FUSED,
    WINDOW,
    channels_first,
    channels_last,
    fused_activation,
    known_activation,
)
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

DOMAIN = "com.microsoft.nchwc"
POOL = ("auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "storage_order", "strides")
WIDEST = 16  # channels of a block
BROADCAST = {"Add", "Sub", "Mul", "Div", "Sum", "Max", "Min"}


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    nodes = [node for node in graph.nodes if node.domain == DOMAIN]
    refused = {node.op for node in nodes if context.target.refuses(f"op:{DOMAIN}::{node.op}") is not None}
    known = all(_known(node, context) for node in nodes) and _split_tensors(graph)[1]
    if not refused or not known or block_size() is None:
        return
    message = f"{context.target.name} has no {nodes[0].op} on blocks of channels, which onnxruntime writes"
    yield finding(message, nodes[0], partial(_rewrite, graph, context), *nodes)


def _known(node: gs.Node, context: Context) -> bool:
    form = FORMS.get(node.op)
    if form is None or set(node.attrs) - set(form[1]):
        return False
    stored = node.op != "Conv" or (context.constant(node.inputs[1]) is not None and known_activation(node, context))
    return stored and node.inputs[0].dtype is not None


@cache
def block_size() -> int | None:
    """Channels in a block on this processor; None where onnxruntime has no blocked operators."""
    import onnxruntime

    words = f"""<ir_version: 8, opset_import: ["" : 17, "{DOMAIN}" : 1]>
        g (float[1, {WIDEST}, 1, 2] x) => (float[1, {WIDEST}, 1, 2] y) {{ y = {DOMAIN}.ReorderInput(x) }}"""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    picture = np.arange(2 * WIDEST, dtype=np.float32).reshape(1, WIDEST, 1, 2)
    try:
        session = onnxruntime.InferenceSession(onnx.parser.parse_model(words).SerializeToString(), options)
        laid_out = session.run(None, {"x": picture})[0].reshape(-1)
    except Exception:  # onnxruntime has many classes of errors
        return None
    return int(np.argmax(laid_out == 1))  # the second place of the first channel comes behind the first block


def _rewrite(graph: gs.Graph, context: Context) -> None:
    split, _ = _split_tensors(graph)
    for node in list(graph.nodes):
        if node.domain == DOMAIN:
            build = Build(graph, node, context, PASS.code)
            build.replace(FORMS[node.op][0](build, node))
        elif node.op == "Reshape" and {node.inputs[0].name, node.outputs[0].name} & split:
            Build(graph, node, context, PASS.code).replace(node.inputs[0])


def _split_tensors(graph: gs.Graph) -> tuple[set[str], bool]:
    """Names of the tensors whose blocks are a dim of their own, and whether they are used in sums and products only.

    onnxruntime puts a Reshape to [batch, blocks, height, width, block] and one back around operators that broadcast.
    """
    blocked: set[str] = set()
    split: set[str] = set()
    plain = True
    for node in graph.nodes:
        inputs, outputs = ({tensor.name for tensor in tensors} for tensors in (node.inputs, node.outputs))
        if node.domain == DOMAIN:
            blocked |= outputs if node.op != "ReorderOutput" else set()
            plain = plain and not inputs & split
        elif node.op == "Reshape" and inputs & (blocked | split):
            target = split if inputs & blocked else blocked
            target |= outputs
        elif inputs & split:
            split |= outputs
            plain = plain and node.op in BROADCAST and inputs <= split
        elif inputs & blocked:
            blocked |= outputs
    return split, plain and not any(tensor.name in split for tensor in graph.outputs)


def _convolution(build: Build, node: gs.Node) -> gs.Tensor:
    attributes = {name: node.attrs[name] for name in WINDOW if name in node.attrs}
    stored = np.asarray(build.context.constant(node.inputs[1]))
    weights = build.constant(in_order(stored, int(node.attrs.get("group", 1)), block_size() or 1))
    made = build("Conv", node.inputs[0], weights, optional_input(node, 2), **attributes)
    added = optional_input(node, 3)
    return fused_activation(build, node, made if added is None else build("Add", made, added))


def in_order(stored: np.ndarray, groups: int, size: int) -> np.ndarray:
    """Weights [outputs, inputs, height, width] in ONNX's order, from values stored in blocks.

    Outputs are stored in blocks. Inputs are too if they fill at least one block; otherwise they are in ONNX's order.
    """
    outputs, inputs, *window = stored.shape
    one_each = groups > 1 and inputs == 1
    if one_each or (groups == 1 and inputs < size):
        blocks = stored.reshape(outputs // size, inputs, *window, size)
        return np.ascontiguousarray(blocks.transpose(0, 4, 1, 2, 3)).reshape(stored.shape)
    blocks = stored.reshape(outputs // size, inputs // size, *window, size, size)
    return np.ascontiguousarray(blocks.transpose(0, 5, 1, 4, 2, 3)).reshape(stored.shape)


def _reorder_input(build: Build, node: gs.Node) -> gs.Tensor:
    data, size = node.inputs[0], block_size() or 1
    data = channels_first(build, data) if node.attrs.get("channels_last") else data
    missing = -int(data.shape[1]) % size
    return build("Pad", data, build.ints([0, 0, 0, 0, 0, missing, 0, 0])) if missing else data


def _reorder_output(build: Build, node: gs.Node) -> gs.Tensor:
    data, channels = node.inputs[0], int(node.attrs["channels"])
    if channels % (block_size() or 1):
        data = build.slice(data, [1], [0], [channels])
    return channels_last(build, data, 4) if node.attrs.get("channels_last") else data


def _pool(build: Build, node: gs.Node) -> gs.Tensor:
    return build(node.op, node.inputs[0], **node.attrs)


def _resized(build: Build, node: gs.Node) -> gs.Tensor:
    scales = build.constant(node.attrs["scales"], np.float32)
    mode = text(node.attrs.get("mode", "nearest"))
    way = text(node.attrs.get("coordinate_transformation_mode", "asymmetric"))
    nearest: dict[str, Any] = {"nearest_mode": "floor"} if mode == "nearest" else {}
    return build("Resize", node.inputs[0], None, scales, mode=mode, coordinate_transformation_mode=way, **nearest)


FORMS: dict[str, tuple[Callable[[Build, gs.Node], Any], tuple[str, ...]]] = {  # how to write it, and known attributes
    "Conv": (_convolution, (*WINDOW, *FUSED)),
    "ReorderInput": (_reorder_input, ("channels_last",)),
    "ReorderOutput": (_reorder_output, ("channels", "channels_last")),
    **dict.fromkeys(("MaxPool", "AveragePool"), (_pool, POOL)),
    **dict.fromkeys(("GlobalMaxPool", "GlobalAveragePool"), (_pool, ())),
    "Upsample": (_resized, ("scales", "mode", "coordinate_transformation_mode")),
}
PASS = Pass(code="SG174", name="blocked-channels", find=find, exact=False, kind="replace")
