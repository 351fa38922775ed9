"""INT8 constants that are read by other operators than DequantizeLinear.

What it does: reads them through a DequantizeLinear with a scale of one, which gives the integers as float32; a Gather
in between (a table of embeddings) gathers from that result.
Why: TensorRT takes INT8 as quantized floating point, and an INT8 constant only in front of DequantizeLinear.
Before → After: `w = Cast<float>(stored)` → `w = DequantizeLinear(stored, 1.0)`
Leaves alone: readers other than Cast and DequantizeLinear; after a Gather, scales and zero points of more than one
value or computed at run time; models before opset 10.
Numerics: exact: float32 represents every eight-bit number.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import optional_input, without_zero_point
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 10:  # DequantizeLinear
        return
    for node in context.nodes(graph, "Cast", "DequantizeLinear"):
        gather = _gather(node.inputs[0])
        stored = node.inputs[0] if gather is None else gather.inputs[0]
        if not isinstance(stored, gs.Constant) or stored.dtype != np.int8:
            continue
        if node.op == "Cast" or (gather is not None and _plain(node)):
            message = f"'{stored.name}' is a constant of INT8 that {(gather or node).op} reads"
            yield finding(message, node, partial(rewrite, graph, node, gather, context))


def _gather(tensor: gs.Tensor) -> gs.Node | None:
    maker = producer(tensor, "Gather")
    return maker if maker is not None and len(maker.inputs) == 2 else None


def _plain(node: gs.Node) -> bool:
    """Whether it dequantizes with one constant float32 scale and one constant zero point or none."""
    parameters = [tensor for tensor in (optional_input(node, 1), optional_input(node, 2)) if tensor is not None]
    constant = all(isinstance(tensor, gs.Constant) and np.size(tensor.values) == 1 for tensor in parameters)
    return constant and parameters[0].dtype == np.float32


def rewrite(graph: gs.Graph, node: gs.Node, gather: gs.Node | None, context: Context) -> None:
    """The integers as float32, gathered, then what the reader does with them."""
    build = Build(graph, node, context, PASS.code)
    stored = node.inputs[0] if gather is None else gather.inputs[0]
    value = build("DequantizeLinear", stored, np.float32(1))
    if gather is not None:
        value = build("Gather", value, gather.inputs[1], **dict(gather.attrs))
    if node.op == "Cast":
        build.replace(build("Cast", value, **dict(node.attrs)))
        return
    value = without_zero_point(build, value, optional_input(node, 2), 0, 0, np.float32)
    build.replace(build("Mul", value, build.reshape(node.inputs[1], [])))


PASS = Pass(code="SG162", name="eight-bit-constant", find=find, exact=True, kind="replace", feature="int8-constant")
