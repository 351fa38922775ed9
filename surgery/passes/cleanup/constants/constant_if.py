"""`If` whose condition is the same at every run.

What it does: replaces the If by the nodes of the branch that is taken and drops the other branch.
Why: TensorRT builds both branches, and refuses them when their ranks or types differ.
Before → After: `y = If(true) <then_branch = { a = Relu(x) }, else_branch = { b = NonZero(x) }>` → `y = Relu(x)`
Leaves alone: conditions that are not constant.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.edit import disconnect
from surgery.graph.nodes import Node
from surgery.graph.walk import nodes_inside
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding
from surgery.values.propagate import content_of, contents, numbers


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "If"):
        taken = _condition(graph, node, context)
        branches = [node.attrs.get(name) for name in ("else_branch", "then_branch")]
        if taken is None or not all(isinstance(branch, gs.Graph) for branch in branches):
            continue
        if len(branches[taken].outputs) != len(node.outputs):
            continue
        message = f"always takes its {('else', 'then')[taken]} branch"
        # Nodes inside the branches move or disappear with this one, so they wait for the next round.
        fix = partial(_inline, graph, node, ("else_branch", "then_branch")[taken])
        yield finding(message, node, fix, *nodes_inside(node))


def _condition(graph: gs.Graph, node: gs.Node, context: Context) -> bool | None:
    value = context.constant(node.inputs[0])
    if value is not None and value.size == 1:
        return bool(value.reshape(-1)[0])
    known = numbers(content_of(node.inputs[0], contents(graph, context))) if context.opset_of(graph) >= 7 else None
    return bool(known[0]) if known is not None and len(known) == 1 else None


def _inline(graph: gs.Graph, node: gs.Node, branch: str) -> None:
    body: gs.Graph = node.attrs.pop(branch)
    results = list(zip(body.outputs, list(node.outputs), strict=True))
    disconnect(graph, node)
    graph.nodes += body.nodes
    if "stored" in vars(body):
        vars(graph).setdefault("stored", []).extend(body.stored)
    for inner, outer in results:
        if outer.name:
            graph.nodes.append(Node("Identity", f"{node.name}/{outer.name}", {}, [inner], [outer]))


PASS = Pass(code="SG012", name="constant-if", find=find, exact=True)
