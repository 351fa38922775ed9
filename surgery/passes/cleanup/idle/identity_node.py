"""Identity nodes that only rename a tensor.

What it does: connects the readers of the Identity to its input and drops the node. If the Identity makes a graph
output, the node before it makes that output instead.
Why: the graph has fewer nodes, and every later pass finds its patterns without Identity nodes in between.
Before → After: `y = Identity(x); z = Relu(y)` → `z = Relu(x)`
Leaves alone: an Identity that makes a graph output from a graph input, a constant, another output or a tensor of an
outer graph (the output would lose its name).
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.edit import bypass, can_bypass
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Identity"):
        if can_bypass(graph, node):
            message = f"'{node.outputs[0].name}' only renames '{node.inputs[0].name}'"
            yield finding(message, node, partial(bypass, graph, node))


PASS = Pass(code="SG001", name="identity-node", find=find, exact=True)
