"""Squeeze and Unsqueeze with axes that are known only at run time, and Squeeze without axes.

What it does: computes the new shape from the axes and reshapes; adds the axes to a Squeeze without axes.
Why: TensorRT's parser needs the axes when it builds the engine.
Before → After: `y = Unsqueeze(x, axes)` → `y = Reshape(x, <shape computed from Shape(x) and axes>)`
Leaves alone: constant axes; data of unknown rank, axes of unknown number, and a Squeeze without axes of data of unknown
shape, because the rank of the result is not known.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.passes.ops.axes import squeeze, unsqueeze
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 13:
        return
    for node in context.nodes(graph, "Squeeze", "Unsqueeze"):
        rank = context.rank(node.inputs[0])
        if rank is None or len(node.inputs) < 2 or node.inputs[1].is_empty():
            continue
        count = context.static_shape(node.inputs[1])
        if count is None or len(count) != 1 or context.constant(node.inputs[1]) is not None:
            continue
        message = f"axes '{node.inputs[1].name}' are known only at run time"
        yield finding(message, node, partial(rewrite, graph, node, context, rank, count[0]))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, rank: int, count: int) -> None:
    """Reshape to what the axes (`count` of them) make of data of this rank."""
    build = Build(graph, node, context, PASS.code)
    data, axes = node.inputs
    if node.op == "Unsqueeze":
        build.replace(unsqueeze(build, data, axes, rank + count))
    elif rank == count:
        build.replace(build.reshape(data, []))
    else:
        build.replace(squeeze(build, data, axes, rank, rank - count))


PASS = Pass(code="SG108", name="runtime-squeeze-axes", find=find, exact=True, kind="replace", feature="squeeze-axes")
