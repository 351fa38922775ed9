"""Transpose, Reshape and Transpose in a row where one or two of them are enough.

What it does: writes one Reshape and one Transpose, or one of the two alone, when the first two permutations can be
undone.
Why: each Transpose moves the whole tensor through memory.
Before → After: `Transpose<0,2,1,3>(Reshape(Transpose<0,2,3,1>(x: [n, hc, y, x]), [n, yx, h, c]))` →
`Transpose<0,1,3,2>(Reshape(x, [n, h, c, yx]))`
Leaves alone: shapes with free dims, results in between that other nodes read, and permutations that need all three.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG020"
Plan = tuple[list[int], list[int], bool]  # shape, order, and whether the Reshape comes first


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for last in context.nodes(graph, "Transpose"):
        reshape = _before(graph, last, "Reshape", context)
        first = None if reshape is None else _before(graph, reshape, "Transpose", context)
        if reshape is None or first is None:
            continue
        shapes = [context.static_shape(t) for t in (first.inputs[0], reshape.inputs[0], last.inputs[0])]
        orders = first.attrs.get("perm"), last.attrs.get("perm")
        if None in shapes or None in orders or 0 in (shapes[0] or ()):
            continue
        plan = shorter(shapes[0] or (), orders[0], shapes[1] or (), shapes[2] or (), orders[1])
        if plan is not None:
            yield finding(
                "Transpose, Reshape and Transpose in a row, where fewer are enough",
                last,
                partial(_write, graph, last, first, plan, context),
                reshape,
                first,
            )


def _before(graph: gs.Graph, node: gs.Node, op: str, context: Context) -> gs.Node | None:
    """The `op` that makes the first input for this node alone."""
    tensor = node.inputs[0]
    return producer(tensor, op) if len(tensor.outputs) == 1 and not context.is_output(graph, tensor) else None


def shorter(
    source: Sequence[int], first: Sequence[int], between: Sequence[int], after: Sequence[int], last: Sequence[int]
) -> Plan | None:
    """One Reshape and one Transpose that do the same, or None where there are none."""
    pieces = refine(between, after)
    if pieces is None:
        return None
    before, behind = pieces
    inside = [before[list(first).index(axis)] for axis in range(len(source))]  # pieces of each dim of the source
    outside = [behind[axis] for axis in last]  # and of the result
    wanted = [after[axis] for axis in last]
    order = arranged(outside, [piece for dim in inside for piece in dim])
    if order is not None:
        return [wanted[axis] for axis in order], [order.index(axis) for axis in range(len(wanted))], True
    order = arranged(inside, [piece for dim in outside for piece in dim])
    return None if order is None else (wanted, order, False)


def arranged(groups: Sequence[list[int]], row: list[int]) -> list[int] | None:
    """The order in which the groups make up the row, or None where one is split; empty groups come first."""
    place = {piece: index for index, piece in enumerate(row)}
    order = sorted(range(len(groups)), key=lambda index: place[groups[index][0]] if groups[index] else -1)
    return order if [piece for index in order for piece in groups[index]] == row else None


def refine(one: Sequence[int], other: Sequence[int]) -> tuple[list[list[int]], list[list[int]]] | None:
    """Numbers of the common factors that the dims of both shapes are made of, or None where there are none."""
    left: list[list[int]] = [[] for _ in one]
    right: list[list[int]] = [[] for _ in other]
    i = j = piece = 0
    a, b = 1, 1
    while True:
        while a == 1 and i < len(one):
            a, i = one[i], i + 1
        while b == 1 and j < len(other):
            b, j = other[j], j + 1
        if a == 1 or b == 1:
            return (left, right) if a == b else None
        small, large = min(a, b), max(a, b)
        if large % small:
            return None
        left[i - 1].append(piece)
        right[j - 1].append(piece)
        a, b, piece = a // small, b // small, piece + 1


def _write(graph: gs.Graph, last: gs.Node, first: gs.Node, plan: Plan, context: Context) -> None:
    shape, order, reshape_first = plan
    build = Build(graph, last, context, CODE)
    value = first.inputs[0]
    if reshape_first:
        value = build.reshape(value, shape)
    if order != sorted(order):
        value = build("Transpose", value, perm=order)
    build.replace(value if reshape_first else build.reshape(value, shape))


PASS = Pass(code=CODE, name="stacked-shuffle", find=find, exact=True)
