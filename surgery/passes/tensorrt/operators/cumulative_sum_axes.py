"""Cumulative sums over several axes or in both directions.

What it does: makes every CumSum run forward over the first axis: brings its axis to the front and back, and turns the
order of a reversed one around before and after.
Why: from version 10.8 on, TensorRT gives all cumulative sums of a network the axis and direction of one of them.
Before → After: `a = CumSum(x, 1); b = CumSum<reverse = 1>(x, 0)` → `a = Transpose(CumSum(Transpose(x), 0)); b =
Slice<step -1>(CumSum(Slice<step -1>(x), 0))`
Leaves alone: a graph whose cumulative sums all have the same axis and direction; an axis that is not constant; an
unknown rank.
Numerics: exact, the numbers are added in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LOWEST = -(2**63)


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    nodes = list(context.nodes(graph, "CumSum"))
    kinds = [(_axis(node, context), bool(node.attrs.get("reverse", 0))) for node in nodes]
    if len(set(kinds)) < 2:
        return
    for node, (axis, reverse) in zip(nodes, kinds, strict=True):
        if axis is not None and (axis or reverse):
            message = f"cumulative sum over axis {axis}{', reversed' if reverse else ''}, beside others"
            yield finding(message, node, partial(rewrite, graph, node, axis, context))


def _axis(node: gs.Node, context: Context) -> int | None:
    """The axis from the front, None where it is not known."""
    axis, shape = context.constant(node.inputs[1]), node.inputs[0].shape
    if axis is None or axis.size != 1 or not shape:
        return None
    return int(axis.ravel()[0]) % len(shape)


def rewrite(graph: gs.Graph, node: gs.Node, axis: int, context: Context) -> None:
    """Bring the axis to the front and the order to forward, sum, and bring both back."""
    build = Build(graph, node, context, PASS.code)
    value = node.inputs[0]
    order = [axis, *(place for place in range(len(value.shape)) if place != axis)]
    reverse = node.attrs.get("reverse", 0)
    if axis:
        value = build("Transpose", value, perm=order)
    if reverse:
        value = build.slice(value, [0], [-1], [LOWEST], [-1])
    value = build("CumSum", value, build.ints(0), exclusive=node.attrs.get("exclusive", 0))
    if reverse:
        value = build.slice(value, [0], [-1], [LOWEST], [-1])
    if axis:
        value = build("Transpose", value, perm=[order.index(place) for place in range(len(order))])
    build.replace(value)


PASS = Pass(
    code="SG180",
    name="cumulative-sum-axes",
    find=find,
    exact=True,
    kind="replace",
    feature="cumulative-sum-axes",
)
