"""Reshape, Transpose and Reshape in a row where one of the Reshapes is enough.

What it does: writes one Transpose and one Reshape, in the order in which the dims allow it.
Why: TensorRT joins some of them itself; fewer nodes are left for it and for the later passes.
Before → After: `Reshape(Transpose<1,0>(Reshape(x: [8, 2, c], [16, c])), [1, c, 4, 4])` →
`Reshape(Transpose<2,0,1>(x), [1, c, 4, 4])`
Leaves alone: shapes with free dims, results in between that other nodes read or that are graph outputs, tensors of
more than eight dims, and permutations that need all three.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.cleanup.stacked.stacked_shuffle import arranged, refine
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG027"
RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
MOST_DIMS = 8  # TensorRT's limit
Plan = tuple[list[int], list[int], bool]  # shape, order, and whether the Reshape comes first


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for last in context.nodes(graph, "Reshape"):
        transpose = _before(graph, last, ("Transpose",), context)
        first = None if transpose is None else _before(graph, transpose, RESHAPES, context)
        if transpose is None or first is None:
            continue
        tensors = first.inputs[0], transpose.inputs[0], last.outputs[0]
        source, between, after = (context.static_shape(tensor) for tensor in tensors)
        if source is None or between is None or after is None or 0 in source:
            continue
        order = transpose.attrs.get("perm", list(range(len(between)))[::-1])
        plan = shorter(source, between, order, after)
        if plan is not None:
            fix = partial(_write, graph, last, first, plan, context)
            yield finding("Reshape, Transpose and Reshape in a row, where two are enough", last, fix, transpose, first)


def _before(graph: gs.Graph, node: gs.Node, ops: Sequence[str], context: Context) -> gs.Node | None:
    """The node among `ops` that makes the first input for this node alone."""
    tensor = node.inputs[0]
    return producer(tensor, *ops) if len(tensor.outputs) == 1 and not context.is_output(graph, tensor) else None


def shorter(source: Sequence[int], between: Sequence[int], order: Sequence[int], after: Sequence[int]) -> Plan | None:
    """One Reshape and one Transpose that do the same, or None where there are none."""
    moved = [between[axis] for axis in order]
    pieces = refine(moved, after)
    if pieces is not None and len(after) <= MOST_DIMS:
        inside, outside = pieces
        row = [piece for axis in range(len(between)) for piece in inside[list(order).index(axis)]]
        places = arranged(outside, row)
        if places is not None:
            return [after[place] for place in places], [places.index(axis) for axis in range(len(after))], True
    pieces = refine(source, between)
    if pieces is None or len(source) > MOST_DIMS:
        return None
    places = arranged(pieces[0], [piece for axis in order for piece in pieces[1][axis]])
    return None if places is None else (list(after), places, False)


def _write(graph: gs.Graph, last: gs.Node, first: gs.Node, plan: Plan, context: Context) -> None:
    shape, order, reshape_first = plan
    build = Build(graph, last, context, CODE)
    value = first.inputs[0]
    if reshape_first and shape != list(context.static_shape(value) or ()):
        value = build.reshape(value, shape)
    if order != sorted(order):
        value = build("Transpose", value, perm=order)
    build.replace(value if reshape_first else build.reshape(value, shape))


PASS = Pass(code=CODE, name="reshape-around-transpose", find=find, exact=True)
