"""`Where` that always chooses the same side.

What it does: connects the readers of the Where to that side.
Why: both sides are computed at every run, and TensorRT may refuse an operator of the side that is never used.
Before → After: `y = Where(true, a, b)` with equal shapes → `y = a`
Leaves alone: conditions that differ between elements or runs, and a side that broadcasting enlarges.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.edit import bypass, can_bypass
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding
from surgery.values.propagate import content_of, contents, numbers
from surgery.values.shapes import same_shape

MOST = 1 << 20


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Where"):
        if len(node.inputs) != 3:
            continue
        side = _side(graph, node, context)
        if side is None or not same_shape(node.inputs[side], node.outputs[0]) or not can_bypass(graph, node, side):
            continue
        yield finding(f"always chooses '{node.inputs[side].name}'", node, partial(bypass, graph, node, side))


def _side(graph: gs.Graph, node: gs.Node, context: Context) -> int | None:
    """Position of the input that is always chosen."""
    if isinstance(node.inputs[0], gs.Constant) and node.inputs[0].values.size <= MOST:
        chosen = {bool(item) for item in node.inputs[0].values.reshape(-1)[:1]}
        same = bool((node.inputs[0].values == next(iter(chosen), False)).all())
        return (1 if chosen == {True} else 2) if same and chosen else None
    values = numbers(content_of(node.inputs[0], contents(graph, context)))
    if not values or any(value != values[0] for value in values):
        return None
    return 1 if values[0] else 2


PASS = Pass(code="SG014", name="constant-where", find=find, exact=True)
