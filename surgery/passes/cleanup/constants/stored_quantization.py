"""QuantizeLinear of stored numbers, which gives the same eight-bit numbers at every run.

What it does: stores the eight-bit numbers.
Why: onnxruntime's quantizer quantizes stored operands at every run, often after it has quantized them for storage.
Before → After: `y = DequantizeLinear(QuantizeLinear([0.5, 1], 0.25, 0), 0.25, 0)` → `y = DequantizeLinear([2, 4], 0.25,
0)`
Leaves alone: types other than int8 and uint8; blocked quantization; scales that are not constant; an output of the
graph. DequantizeLinear of stored numbers stays, since engines take its place in the graph as a hint.
Numerics: exact: onnxruntime's own kernel computes the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_by_constant
from surgery.graph.nodes import Constant
from surgery.graph.walk import producer
from surgery.passes.ops.evaluate import evaluate
from surgery.passes.ops.quantize import RANGES
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 64 << 20  # elements that are computed


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    found = {id(node.outputs[0]): _behind(node, context) for node in context.nodes(graph, "QuantizeLinear")}
    nodes = [node for node in context.nodes(graph, "QuantizeLinear") if found[id(node.outputs[0])]]
    needed = {id(each): each for node in nodes for each in found[id(node.outputs[0])]}
    values = evaluate([*needed.values()], [node.outputs[0] for node in nodes], context.opsets) if nodes else {}
    for node in nodes:
        result = node.outputs[0]
        value = values.get(id(result))
        if value is not None and value.dtype == result.dtype:
            constant = Constant(result.name, np.ascontiguousarray(value).reshape(value.shape))
            fix = partial(replace_by_constant, graph, node, 0, constant)
            yield finding(f"'{result.name}' holds the same eight-bit numbers at every run", node, fix)


def _behind(node: gs.Node, context: Context) -> list[gs.Node]:
    """The nodes that compute stored eight-bit numbers, in order; an empty list where they are not stored."""
    result, source = node.outputs[0], node.inputs[0]
    if result.dtype is None or np.dtype(result.dtype).name not in RANGES or not result.outputs:
        return []
    before = producer(source, "DequantizeLinear")
    nodes = [node] if before is None else [before, node]
    stored = context.static_shape(source)
    constant = all(
        tensor.is_empty() or context.constant(tensor) is not None
        for each in nodes
        for tensor in each.inputs
        if each is not node or before is None or tensor is not source
    )
    small = stored is not None and int(np.prod(stored)) <= LARGEST
    return nodes if constant and small and not any(each.attrs.get("block_size") for each in nodes) else []


PASS = Pass(code="SG032", name="stored-quantization", find=find, exact=True)
