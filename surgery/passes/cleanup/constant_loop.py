"""`Loop` that runs a fixed, small number of times.

What it does: writes the body once for each iteration, and concatenates what the iterations collect.
Why: TensorRT cannot fuse a loop, and refuses a loop whose carried tensors change their shape.
Before → After: `y = Loop(2, true, x) <body: out = Relu(in)>` → `y = Relu(Relu(x))`
Leaves alone: trip counts that are above `--loop-limit` or not constant, bodies that may stop early, results of more
than 5,000 nodes, and a body that runs zero times and collects something.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import copy_nodes, disconnect
from surgery.graph.nodes import Constant, Node, Variable
from surgery.graph.walk import nodes_inside
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

MOST_NODES = 5000


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Loop"):
        body = node.attrs.get("body")
        trips = context.constant(node.inputs[0])
        if not isinstance(body, gs.Graph) or trips is None or trips.size != 1:
            continue
        count = int(trips.reshape(-1)[0])
        states = len(node.inputs) - 2
        if not 0 <= count <= context.options.loop_limit or count * len(body.nodes) > MOST_NODES:
            continue
        if count == 0 and len(node.outputs) > states:
            continue
        if len(body.inputs) != states + 2 or len(body.outputs) - 1 < len(node.outputs):
            continue
        if _starts(node, context) and _goes_on(body, context):
            # Nodes further inside are copied as they are now: they wait for the next round.
            fix = partial(_unroll, graph, node, count, context)
            yield finding(f"always runs {count} times", node, fix, *nodes_inside(node))


def _starts(node: gs.Node, context: Context) -> bool:
    if len(node.inputs) < 2 or node.inputs[1].is_empty():
        return True
    value = context.constant(node.inputs[1])
    return value is not None and bool(value.all())


def _goes_on(body: gs.Graph, context: Context) -> bool:
    """Whether the body's condition for the next iteration is true, or the one it was given."""
    condition = body.outputs[0]
    while condition.inputs and condition.inputs[0].op == "Identity" and condition.inputs[0].inputs:
        condition = condition.inputs[0].inputs[0]
    if condition is body.inputs[1]:
        return True
    value = context.constant(condition)
    return value is not None and bool(value.all())


def _unroll(graph: gs.Graph, node: gs.Node, count: int, context: Context) -> None:
    body: gs.Graph = node.attrs["body"]
    carried = list(node.inputs[2:])
    outputs = list(node.outputs)
    collected: list[list[gs.Tensor]] = [[] for _ in outputs[len(carried) :]]
    nodes: list[gs.Node] = []
    for step in range(count):
        tensors: dict[int, gs.Tensor] = {id(f): a for f, a in zip(body.inputs[2:], carried, strict=True)}
        for formal, name, value in zip(
            body.inputs, ("iteration", "condition"), (np.int64(step), np.True_), strict=False
        ):
            # A body may declare these two as vectors of one element instead of scalars.
            array = np.full(context.static_shape(formal) or (), value)
            tensors[id(formal)] = Constant(context.fresh(name), array)
        nodes += copy_nodes(body.nodes, tensors)
        results = [tensors.get(id(tensor), tensor) for tensor in body.outputs[1:]]
        carried = results[: len(carried)]
        for place, value in zip(collected, results[len(carried) :], strict=False):
            place.append(value)
    disconnect(graph, node)
    for made in nodes:
        made.name = context.fresh(f"{node.name}/{made.name or made.op}")
    for result, output in zip(carried, outputs, strict=False):
        if output.name:
            nodes.append(Node("Identity", context.fresh(f"{node.name}/{output.name}"), {}, [result], [output]))
    for values, output in zip(collected, outputs[len(carried) :], strict=True):
        if output.name:
            nodes += _stack(values, output, context)
    graph.nodes += nodes


def _stack(values: list[gs.Tensor], output: gs.Tensor, context: Context) -> list[gs.Node]:
    """Nodes that put the values of all iterations one behind the other along a new first axis."""
    nodes, parts = [], []
    for value in values:
        part = Variable(context.fresh(f"{output.name}/part"), value.dtype)
        if context.opset >= 13:
            axes = Constant(context.fresh("axes"), np.asarray([0], dtype=np.int64))
            nodes.append(Node("Unsqueeze", context.fresh(f"Unsqueeze/{part.name}"), {}, [value, axes], [part]))
        else:
            nodes.append(Node("Unsqueeze", context.fresh(f"Unsqueeze/{part.name}"), {"axes": [0]}, [value], [part]))
        parts.append(part)
    return [*nodes, Node("Concat", context.fresh(f"Concat/{output.name}"), {"axis": 0}, parts, [output])]


PASS = Pass(code="SG013", name="constant-loop", find=find, exact=True)
