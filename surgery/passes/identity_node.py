"""Identity nodes that only rename a tensor.

What it does: feeds the consumers of an Identity from its input and drops the node.
Why TensorRT minds: it does not; every later pass sees through fewer nodes.
Before → After: `y = Identity(x); z = Relu(y)` → `z = Relu(x)`
Leaves alone: an Identity that makes a graph output (the output would lose its name), and one that reads a tensor of an
outer graph while making an output of the inner one.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.context import Context
from surgery.edit import is_graph_output, replace_uses
from surgery.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Identity"):
        source, target = node.inputs[0], node.outputs[0]
        if is_graph_output(graph, target) or not target.outputs:
            continue
        yield finding(f"'{target.name}' only renames '{source.name}'", node, partial(replace_uses, target, source))


PASS = Pass(code="SG001", name="identity-node", find=find, exact=True)
