"""`Loop` that runs a fixed, small number of times.

What it does: writes the body once for each iteration, and concatenates what the iterations collect.
Why: TensorRT cannot fuse a loop, and refuses a loop whose carried tensors change their shape.
Before → After: `y = Loop(2, true, x) <body: out = Relu(in)>` → `y = Relu(Relu(x))`
Leaves alone: trip counts that are above `--loop-limit` or not constant, bodies that may stop early, a body that runs
zero times and collects something, and models that would come to more than 10,000 nodes, or 64 MB of them (loops inside
loops multiply).
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import copy_nodes, disconnect
from surgery.graph.nodes import Constant, Node, Variable
from surgery.graph.protos import nbytes
from surgery.graph.walk import nodes_inside
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Declined, Finding, Pass, finding

MOST_NODES = 10_000  # of the whole model
MOST_BYTES = 64 << 20  # of tensors in the attributes of all its nodes


@dataclass(frozen=True)
class Size:
    """Nodes, and bytes of the tensors that their attributes hold."""

    nodes: int = 0
    bytes: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.nodes + other.nodes, self.bytes + other.bytes)

    def __mul__(self, times: int) -> Size:
        return Size(self.nodes * times, self.bytes * times)


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Loop"):
        count = _turns(node, context)
        if count is None or (count == 0 and len(node.outputs) > len(node.inputs) - 2):
            continue
        present = context.memo("nodes of the model", lambda: _present(graph, context))
        if _starts(node, context) and _goes_on(node.attrs["body"], context) and _fits(present, node, context):
            # Nodes inside the body are copied as they are now, so their findings wait for the next round.
            fix = partial(_unroll, graph, node, count, context)
            yield finding(f"always runs {count} times", node, fix, *nodes_inside(node))


def _turns(node: gs.Node, context: Context) -> int | None:
    """The trip count of a Loop, or None where it is not known or too large."""
    body, trips = node.attrs.get("body"), context.constant(node.inputs[0])
    if not isinstance(body, gs.Graph) or trips is None or trips.size != 1:
        return None
    count, states = int(trips.reshape(-1)[0]), len(node.inputs) - 2
    whole = len(body.inputs) == states + 2 and len(body.outputs) - 1 >= len(node.outputs)
    return count if whole and 0 <= count <= context.options.loop_limit else None


def _present(graph: gs.Graph, context: Context) -> Size:
    """The present size of the whole model."""
    root = context.root if context.root is not None else graph
    return sum((_size(each) for each in (root, *getattr(root, "functions", ()))), Size())


def _fits(present: Size, node: gs.Node, context: Context) -> bool:
    """Whether the model stays small enough with this Loop, and every Loop of known length inside it, unrolled."""
    whole = present + _unrolled(node, context)
    return whole.nodes <= MOST_NODES and whole.bytes <= MOST_BYTES


def _unrolled(node: gs.Node, context: Context) -> Size:
    return _size(node.attrs["body"], context) * (_turns(node, context) or 0)


def _size(graph: gs.Graph, unroll: Context | None = None) -> Size:
    """The size of a graph and those inside it; with `unroll` that after unrolling each Loop of known length."""
    total = Size()
    for node in graph.nodes:
        if getattr(node, "dead", False):
            continue
        values = node.attrs.values()
        total += Size(1, sum(nbytes(value) for value in values if isinstance(value, gs.Constant)))
        if unroll is not None and node.op == "Loop" and not node.domain and _turns(node, unroll) is not None:
            total += _unrolled(node, unroll)
        else:
            total = sum((_size(value, unroll) for value in values if isinstance(value, gs.Graph)), total)
    return total


def _starts(node: gs.Node, context: Context) -> bool:
    if len(node.inputs) < 2 or node.inputs[1].is_empty():
        return True
    value = context.constant(node.inputs[1])
    return value is not None and bool(value.all())


def _goes_on(body: gs.Graph, context: Context) -> bool:
    """Whether the body never stops early: its condition output is constant true or its own condition input."""
    condition = body.outputs[0]
    while condition.inputs and condition.inputs[0].op == "Identity" and condition.inputs[0].inputs:
        condition = condition.inputs[0].inputs[0]
    if condition is body.inputs[1]:
        return True
    value = context.constant(condition)
    return value is not None and bool(value.all())


def _unroll(graph: gs.Graph, node: gs.Node, count: int, context: Context) -> None:
    body: gs.Graph = node.attrs["body"]
    if not _fits(_present(graph, context), node, context):  # other loops of this round have used up the size limit
        raise Declined(
            f"unrolled, the model would have more than {MOST_NODES:,} nodes or {MOST_BYTES >> 20} MB of them"
        )
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
    """Nodes that stack the values of all iterations along a new first axis."""
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
