"""Unsigned eight-bit numbers with zero point 128, between QuantizeLinear and DequantizeLinear.

What it does: makes the numbers signed: the zero point becomes 0 of int8, and stored numbers are shifted by 128.
Why: TensorRT has INT8 products for symmetric int8 quantization only.
Before → After: `y = DequantizeLinear(QuantizeLinear(x, s, 128), s, 128)` → `y =
DequantizeLinear(QuantizeLinear(x, s, 0), s, 0)` in int8
Leaves alone: other zero points, numbers that something else reads, graph inputs and outputs.
Numerics: exact: the same 256 steps, numbered from -128 instead of 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_input
from surgery.graph.nodes import Constant
from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

MIDDLE = 128


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "QuantizeLinear"):
        narrow = node.outputs[0]
        readers = list(narrow.outputs)
        if (
            _around_the_middle(node, context)
            and readers
            and not context.is_output(graph, narrow)
            and all(_reads_around_the_middle(reader, context) for reader in readers)
        ):
            yield finding(MESSAGE, node, partial(_between, graph, node, context), *readers)
    for node in context.nodes(graph, "DequantizeLinear"):
        if isinstance(node.inputs[0], gs.Constant) and _around_the_middle(node, context):
            yield finding(MESSAGE, node, partial(_stored, graph, node, context))


MESSAGE = "eight-bit numbers are unsigned, with zero point 128"


def _around_the_middle(node: gs.Node, context: Context) -> bool:
    zero = optional_input(node, 2)
    if zero is None or zero.dtype is None or np.dtype(zero.dtype) != np.uint8 or node.attrs.get("block_size"):
        return False
    value = context.constant(zero)
    constant = context.constant(node.inputs[1]) is not None
    return constant and value is not None and bool(np.all(value == MIDDLE))


def _reads_around_the_middle(node: gs.Node, context: Context) -> bool:
    first = node.op == "DequantizeLinear" and not node.domain and producer(node.inputs[0]) is not None
    return first and _around_the_middle(node, context)


def _between(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    readers = list(node.outputs[0].outputs)
    narrow = node.outputs[0]
    narrow.dtype = np.dtype(np.int8)
    for each in (node, *readers):
        each.attrs.pop("output_dtype", None)
        replace_input(each, 2, _zero(each, context))


def _stored(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    build = Build(graph, node, context, PASS.code)
    shifted = (np.asarray(node.inputs[0].values).astype(np.int16) - MIDDLE).astype(np.int8)
    replace_input(node, 0, build.constant(shifted, np.int8))
    replace_input(node, 2, _zero(node, context))


def _zero(node: gs.Node, context: Context) -> gs.Tensor:
    shape = context.static_shape(node.inputs[2]) or ()
    return Constant(context.fresh(f"{node.outputs[0].name}/{PASS.code}/zero"), np.zeros(shape, np.int8))


PASS = Pass(
    code="SG196",
    name="unsigned-quantization",
    find=find,
    exact=True,
    kind="replace",
    feature="quantize-zero-point",
)
