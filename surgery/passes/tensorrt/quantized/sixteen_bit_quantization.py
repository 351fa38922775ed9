"""QuantizeLinear and DequantizeLinear of sixteen bits, of ONNX or of onnxruntime.

What it does: rounds, clips and scales in float32, which holds every number of sixteen bits; stored numbers become
floating point.
Why: TensorRT has no type of sixteen-bit integers.
Before → After: `y = DequantizeLinear(QuantizeLinear(x, s, z), s, z)` → `y = Clip(Round(x / s), -32768 - z, 32767 - z) *
s`
Leaves alone: graph inputs and outputs of sixteen bits, numbers that something other than DequantizeLinear reads,
computed parameters, blocked quantization, and floating point other than float32.
Numerics: exact: differences of sixteen-bit numbers fit float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import disconnect
from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

NARROW = ("int16", "uint16")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in _nodes(graph, "QuantizeLinear", context):
        narrow, readers = node.outputs[0], list(node.outputs[0].outputs)
        zero = _zero(node, context)
        if zero is None or not _plain(node, context) or context.is_output(graph, narrow) or not readers:
            continue
        here = {id(reader) for reader in _nodes(graph, "DequantizeLinear", context)}
        if all(id(reader) in here and _plain(reader, context) and _zero(reader, context) == zero for reader in readers):
            message = "numbers of sixteen bits are quantized and dequantized"
            yield finding(message, node, partial(rewrite, graph, node, readers, context), *readers)
    for node in _nodes(graph, "DequantizeLinear", context):
        stored = isinstance(node.inputs[0], gs.Constant) and np.dtype(node.inputs[0].dtype).name in NARROW
        parameters = [tensor for tensor in node.inputs[1:] if not tensor.is_empty()]
        known = all(context.constant(tensor) is not None for tensor in parameters)
        if stored and known and not node.attrs.get("block_size"):
            yield finding("stored numbers have sixteen bits", node, partial(_stored, graph, node, context))


def _nodes(graph: gs.Graph, op: str, context: Context) -> list[gs.Node]:
    return [*context.nodes(graph, op), *context.nodes(graph, f"com.microsoft::{op}")]


def _zero(node: gs.Node, context: Context) -> tuple[str, int] | None:
    """Type and value of the one zero point of sixteen bits."""
    given = optional_input(node, 2)
    value = None if given is None else context.constant(given)
    if value is None or value.size != 1 or value.dtype.name not in NARROW:
        return None
    return value.dtype.name, int(value.reshape(-1)[0])


def _plain(node: gs.Node, context: Context) -> bool:
    """Whether it has one constant float32 scale."""
    scale = context.constant(node.inputs[1])
    return scale is not None and scale.size == 1 and scale.dtype == np.float32 and not node.attrs.get("block_size")


def rewrite(graph: gs.Graph, node: gs.Node, readers: list[gs.Node], context: Context) -> None:
    """The rounded number without its zero point, limited to its type, for every reader."""
    build = Build(graph, node, context, PASS.code)
    kind, zero = _zero(node, context) or ("", 0)
    limits = np.iinfo(kind)
    whole = build("Round", build("Div", node.inputs[0], _scale(build, node)))
    low, high = np.float32(limits.min - zero), np.float32(limits.max - zero)
    above = build("Where", build("Greater", whole, low), whole, low)  # NaN becomes the lowest number
    within = build("Min", above, high)
    build.insert()
    for reader in readers:
        after = Build(graph, reader, context, PASS.code)
        after.replace(after("Mul", within, _scale(after, reader)))
    disconnect(graph, node)


def _scale(build: Build, node: gs.Node) -> np.ndarray:
    return np.asarray(build.context.constant(node.inputs[1]), np.float32).reshape(())


def _stored(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """The numbers as float32, which constant folding has done already where they are few."""
    build = Build(graph, node, context, PASS.code)
    numbers, given = np.asarray(node.inputs[0].values), optional_input(node, 2)
    axis = int(node.attrs.get("axis", 1))
    zero = np.zeros((), np.int32) if given is None else np.asarray(context.constant(given)).astype(np.int32)
    whole = numbers.astype(np.int32) - _along(zero, numbers.ndim, axis)
    scale = _along(np.asarray(context.constant(node.inputs[1])), numbers.ndim, axis)
    build.replace(build("Identity", build.constant(whole.astype(np.float32) * scale, scale.dtype)))


def _along(parameter: np.ndarray, rank: int, axis: int) -> np.ndarray:
    if parameter.size == 1:
        return parameter.reshape(())
    return parameter.reshape([-1 if place == axis % rank else 1 for place in range(rank)])


PASS = Pass(
    code="SG152",
    name="sixteen-bit-quantization",
    find=find,
    exact=True,
    kind="replace",
    feature="quantize-16-bit",
)
