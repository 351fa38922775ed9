"""Half-precision attention without a dim for heads, whose values come straight from a product.

What it does: gives query, key and value a dim of one head, as exporters of several heads write it.
Why: TensorRT merges the products that make query, key and value into one product. If the value is then a plain slice of
that product, TensorRT does not fuse the attention, and the scores (queries x keys) are written to memory; with a dim
for heads it fuses them. Seen in builds of TensorRT-RTX 1.7.1: SAM2 memory attention needs 197 MB instead of 657.
Before → After: `s = MatMul(q, Transpose(k)); y = MatMul(Softmax(s), v)` in three dims → the same in four
Leaves alone: float32 attention, which TensorRT never fuses; values that other operators make, because TensorRT fuses
those as they are; other targets.
Numerics: within rounding: a runtime may sum the products of four dims in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import disconnect
from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG201"
HALVES = ("float16", "bfloat16")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if not context.target.name.startswith("tensorrt"):
        return
    for softmax in context.nodes(graph, "Softmax"):
        nodes = _attention(softmax, context)
        if nodes is not None and not any(context.is_output(graph, node.outputs[0]) for node in nodes[:-1]):
            message = "half-precision attention has no dim for heads and its values come straight from a product"
            yield finding(message, softmax, partial(_lift, graph, nodes, context), *nodes)


def _attention(softmax: gs.Node, context: Context) -> tuple[gs.Node, gs.Node, gs.Node, gs.Node] | None:
    """Key transpose, scores, softmax and output product of a three-dim attention in half precision."""
    scores = producer(softmax.inputs[0], "MatMul")
    readers = softmax.outputs[0].outputs
    if scores is None or len(readers) != 1 or readers[0].op != "MatMul" or len(scores.outputs[0].outputs) != 1:
        return None
    output, transpose = readers[0], producer(scores.inputs[1], "Transpose")
    tensors = (*scores.inputs, *output.inputs)
    if (
        transpose is None
        or list(transpose.attrs.get("perm", ())) != [0, 2, 1]
        or output.inputs[1] is softmax.outputs[0]
    ):
        return None
    if any(context.rank(t) != 3 or t.dtype is None or np.dtype(t.dtype).name not in HALVES for t in tensors):
        return None
    if softmax.attrs.get("axis", -1) not in (-1, 2) or producer(output.inputs[1], "MatMul") is None:
        return None
    return transpose, scores, softmax, output


def _lift(graph: gs.Graph, nodes: tuple[gs.Node, gs.Node, gs.Node, gs.Node], context: Context) -> None:
    transpose, scores, softmax, output = nodes
    build = Build(graph, output, context, CODE)
    sources = (scores.inputs[0], transpose.inputs[0], output.inputs[1])
    query, key, value = (build.unsqueeze(tensor, 2) for tensor in sources)
    query, value = (build("Transpose", tensor, perm=[0, 2, 1, 3]) for tensor in (query, value))
    key = build("Transpose", key, perm=[0, 2, 3, 1])
    weights = build("Softmax", build("MatMul", query, key), axis=-1)
    result = build("Transpose", build("MatMul", weights, value), perm=[0, 2, 1, 3])
    build.replace(build.squeeze(result, 2))
    for node in (softmax, scores, transpose):
        if not node.outputs[0].outputs:
            disconnect(graph, node)


PASS = Pass(code=CODE, name="three-dim-attention", find=find, exact=False, kind="speed")
