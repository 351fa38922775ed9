"""Nodes whose outputs nothing reads.

What it does: drops them.
Why TensorRT minds: the parser imports dead nodes too, and refuses a model for an operator that no output needs.
Before → After: `a = Relu(x); b = NonZero(x)` with output `a` → `a = Relu(x)`
Leaves alone: graph inputs, even unused ones (a spec may name them), and operators of unknown domains, which may have
effects.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.context import Context
from surgery.edit import disconnect, is_graph_output
from surgery.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in graph.nodes:
        if node.domain not in (None, "", "ai.onnx", "ai.onnx.ml"):
            continue
        if any(out.outputs or is_graph_output(graph, out) for out in node.outputs if out.name):
            continue
        yield finding("nothing reads its outputs", node, partial(disconnect, graph, node))


PASS = Pass(code="SG002", name="unused-node", find=find, exact=True)
