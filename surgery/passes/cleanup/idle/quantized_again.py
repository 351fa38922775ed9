"""QuantizeLinear and DequantizeLinear of numbers that were dequantized with the same scale and zero point before.

What it does: removes the second pair. What lies between the two may only move and choose elements. A QuantizeLinear
right behind such a DequantizeLinear is removed whatever reads it.
Why: onnxruntime's quantizer writes a pair before and behind every operator, also those that move elements.
Before → After: `b = Transpose(DequantizeLinear(q, s, z)); y = DequantizeLinear(QuantizeLinear(b, s, z), s, z)` → `y =
Transpose(DequantizeLinear(q, s, z))`
Leaves alone: other scales, zero points or types, scales for each channel, scales that are not normal float32 numbers
or whose multiples are infinite; operators between that compute elements; a pair in front of a product, if the
DequantizeLinear before would no longer stand next to it: TensorRT multiplies in INT8 only what a pair next to the
product quantizes (onnxruntime finds the DequantizeLinear in front of Transpose, Reshape, Squeeze, Unsqueeze, Slice and
MaxPool as well); a DequantizeLinear that makes an output of the graph. A QuantizeLinear that other nodes read stays.
Numerics: exact: `k * s / s` is rounded by less than a half while `k` has less than 22 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_uses
from surgery.graph.walk import producer
from surgery.passes.ops.quantize import RANGES, optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 1 << 16  # steps: more than any eight-bit number is from its zero point
# Operators whose first result holds nothing but elements of the first input, or zeros. onnxruntime moves a
# DequantizeLinear from in front of the first ones to behind them, so that a product that reads the result still gets
# eight bits; a target that takes no zero point needs the pair right in front of the product.
PASSED = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Slice", "MaxPool", "Identity")
OTHERS = ("Flatten", "Split", "Gather", "Expand", "Tile", "DepthToSpace", "SpaceToDepth", "Relu", "Concat")
MAKERS = ("DequantizeLinear", *PASSED, *OTHERS)
MESSAGE = "'{}' holds multiples of this scale already"
PRODUCTS = {"MatMul", "Gemm", "Conv", "ConvTranspose"}


@dataclass(frozen=True)
class Steps:
    """Scale and zero point of eight-bit numbers in one type."""

    kind: str
    scale: bytes
    zero: int


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    passed = set() if context.target.refuses("quantize-zero-point") else {*PASSED}
    gone: dict[int, gs.Tensor] = {}  # what is read instead of the result of a DequantizeLinear, by the node's id
    for node in context.nodes(graph, "DequantizeLinear"):
        result, steps = node.outputs[0], _steps(node, node.inputs[0], node.outputs[0], context)
        first = None if steps is None else producer(node.inputs[0], "QuantizeLinear")
        if first is None or not result.outputs or context.is_output(graph, result):
            continue
        source = first.inputs[0]
        if _steps(first, first.outputs[0], source, context) != steps:
            continue
        between = _between(source, steps, gone, context)
        if between is None or (between - passed and any(reader.op in PRODUCTS for reader in result.outputs)):
            continue
        gone[id(node)] = source
        yield finding(MESSAGE.format(source.name), node, partial(replace_uses, result, source), first)
    yield from _rounded_back(graph, context)


def _rounded_back(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    """A QuantizeLinear right behind the DequantizeLinear with the same steps makes the same eight-bit numbers."""
    for node in context.nodes(graph, "QuantizeLinear"):
        result, source = node.outputs[0], node.inputs[0]
        before, steps = producer(source, "DequantizeLinear"), _steps(node, node.outputs[0], source, context)
        if before is None or steps is None or not result.outputs or context.is_output(graph, result):
            continue
        if _steps(before, before.inputs[0], source, context) == steps:
            fix = partial(replace_uses, result, before.inputs[0])
            yield finding(MESSAGE.format(source.name), node, fix, before)


def _steps(node: gs.Node, narrow: gs.Tensor, wide: gs.Tensor, context: Context) -> Steps | None:
    """What a QuantizeLinear or DequantizeLinear of one constant scale for all numbers does."""
    zero, scale = optional_input(node, 2), context.constant(node.inputs[1])
    kind = None if narrow.dtype is None else np.dtype(narrow.dtype).name
    shift = np.zeros(()) if zero is None else context.constant(zero)
    if kind not in RANGES or wide.dtype is None or np.dtype(wide.dtype) != np.float32 or node.attrs.get("block_size"):
        return None
    if scale is None or shift is None or scale.dtype != np.float32 or scale.size != 1 or shift.size != 1:
        return None
    step = scale.reshape(())
    normal = np.finfo(np.float32).tiny <= step and float(step) * LARGEST < float(np.finfo(np.float32).max)
    return Steps(kind, step.tobytes(), int(shift.reshape(()))) if normal else None


def _between(tensor: gs.Tensor, steps: Steps | None, gone: dict[int, gs.Tensor], context: Context) -> set[str] | None:
    """Operators between the tensor and the DequantizeLinear nodes that make all its elements with these steps.

    None where an element may come from elsewhere.
    """
    waiting, seen, operators = [tensor], set(), set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        maker = producer(each, *MAKERS)
        if maker is None or maker.attrs.get("ceil_mode") or (maker.op == "MaxPool" and each is not maker.outputs[0]):
            return None
        if maker.op != "DequantizeLinear":
            operators.add(maker.op)
            waiting += maker.inputs if maker.op == "Concat" else maker.inputs[:1]
        elif id(maker) in gone:
            waiting.append(gone[id(maker)])
        elif _steps(maker, maker.inputs[0], each, context) != steps:
            return None
    return operators


PASS = Pass(code="SG031", name="quantized-again", find=find, exact=True)
