"""Nodes that stand before the nodes they read from.

What it does: puts the nodes in an order in which each follows what it reads, as ONNX asks.
Why: older parsers read the nodes in file order and miss the tensor.
Before → After: `y = Relu(a); a = Neg(x)` → `a = Neg(x); y = Relu(a)`
Leaves alone: graphs in order. Nodes that read from each other in a circle are an error.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_graphsurgeon as gs

from surgery.graph.edit import misplaced, sorted_nodes
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    first = misplaced(graph)
    if first is None:
        return

    def sort() -> None:
        graph.nodes = sorted_nodes(graph)

    yield finding("stands before a node it reads from", first, sort)


PASS = Pass(code="SG017", name="misplaced-node", find=find, exact=True)
