"""Tensors that have the name of another tensor in the same scope.

What it does: renames the later tensor, also where a tensor of a subgraph hides a name of the graph around it.
Why: TensorRT sorts nodes by tensor names and stops with "Failed to sort", or connects the wrong tensor.
Before → After: `a = Relu(x); a = Neg(a); y = Abs(a)` → `a = Relu(x); a_1 = Neg(a); y = Abs(a_1)`
Leaves alone: names of graph inputs and outputs, and equal names in the two branches of an If.
Numerics: exact: each node reads the last definition before it.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_graphsurgeon as gs

from surgery.graph.names import Names
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass
from verify.report import Finding as Found


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if graph is not context.root and not isinstance(graph, gs.Function):
        return  # graphs inside nodes are handled together with the graph around them
    names = Names(graph)
    clashes = [
        (tensor, names.of(tensor))
        for inner, _ in names.parents.values()
        for tensor in names.tensors_of(inner)
        if tensor.name and names.of(tensor) != tensor.name
    ]
    if not clashes:
        return

    def rename() -> None:
        for tensor, name in clashes:
            tensor.name = name

    listed = ", ".join(f"'{tensor.name}'" for tensor, _ in clashes[:3])
    yield Found(code="", message=f"tensors with the name of another tensor: {len(clashes)} ({listed})", fix=rename)


PASS = Pass(code="SG015", name="duplicate-tensor-name", find=find, exact=True)
