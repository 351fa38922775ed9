"""Constants that are stored as nodes.

What it does: turns the value of a Constant node into an initializer.
Why: the graph has fewer nodes, and every later pass finds all constants in one place.
Before → After: `c = Constant<value=...>(); y = Add(x, c)` → `y = Add(x, c)` with initializer `c`
Leaves alone: Constant nodes that make a graph output (a node has to make the output), sparse and string values,
references to a function's attributes, and function bodies, which have no initializers.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.edit import disconnect, replace_uses
from surgery.graph.nodes import Constant
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if isinstance(graph, gs.Function):
        return
    for node in context.nodes(graph, "Constant"):
        if context.is_output(graph, node.outputs[0]):
            continue
        value = node.attrs.get("value")
        if isinstance(value, gs.Constant) and value.dtype is None:
            continue
        if isinstance(value, gs.Constant) or context.constant(node.outputs[0]) is not None:
            yield finding("the constant is stored as a node", node, partial(_store, graph, node, context))


def _store(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    target, value = node.outputs[0], node.attrs.get("value")
    constant = Constant(target.name, value._values if isinstance(value, gs.Constant) else context.constant(target))
    constant.stored = getattr(value, "stored", None)
    disconnect(graph, node)
    replace_uses(target, constant)
    vars(graph).setdefault("stored", []).append(constant)


PASS = Pass(code="SG004", name="constant-node", find=find, exact=True)
