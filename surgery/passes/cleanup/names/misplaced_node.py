"""Nodes that stand before the nodes whose outputs they read.

What it does: sorts the nodes so that each one follows the nodes it reads from, as ONNX demands.
Why: older parsers of TensorRT read the nodes in file order and do not find the tensor.
Before → After: `y = Relu(a); a = Neg(x)` → `a = Neg(x); y = Relu(a)`
Leaves alone: graphs that are sorted. Nodes that read from each other in a cycle are an error.
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

    yield finding("stands before a node whose output it reads", first, sort)


PASS = Pass(code="SG017", name="misplaced-node", find=find, exact=True)
