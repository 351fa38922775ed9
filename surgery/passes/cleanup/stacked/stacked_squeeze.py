"""Two consecutive nodes that add or remove dims of size one.

What it does: joins Unsqueeze after Unsqueeze and Squeeze after Squeeze, and removes a Squeeze and an Unsqueeze that
undo each other.
Why: TensorRT imports each of them as a layer.
Before → After: `Unsqueeze<axes: 2>(Unsqueeze<axes: 0>(x))` → `Unsqueeze<axes: 0, 2>(x)`
Leaves alone: a first node whose result is a graph output or read by nodes of other operators, unknown ranks, axes that
are computed or left out, and a pair that undoes itself in front of a graph output.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.edit import bypass, replace_input
from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG023"


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Squeeze", "Unsqueeze"):
        first = producer(node.inputs[0], "Squeeze", "Unsqueeze")
        readers = node.inputs[0].outputs
        alike = first is not None and all(other.op == first.op == node.op and not other.domain for other in readers)
        alone = (len(readers) == 1 or alike) and not context.is_output(graph, node.inputs[0])
        rank = None if first is None else context.rank(first.inputs[0])
        if first is None or rank is None or not alone:
            continue
        before = _axes(first, rank, context)
        after = None if before is None else _axes(node, len(_rest(first, before, rank)), context)
        if before is None or after is None:
            continue
        if first.op != node.op:
            if before == after and not context.is_output(graph, node.outputs[0]):
                fix = partial(_skip, graph, node, first.inputs[0])
                yield finding(f"undoes {first.op} '{first.name}'", node, fix, first)
            continue
        axes = _joined(node.op, before, after, rank)
        fix = partial(_join, graph, node, first, axes, context)
        yield finding(f"follows {first.op} '{first.name}', and one of them is enough", node, fix, first)


def _axes(node: gs.Node, rank: int, context: Context) -> list[int] | None:
    """The constant axes, counted from the front and in order; None where they are not known or are not valid."""
    given = context.constant(node.inputs[1]) if len(node.inputs) == 2 else node.attrs.get("axes")
    if given is None:
        return None
    axes = [int(axis) for axis in given]
    whole = rank + len(axes) if node.op == "Unsqueeze" else rank
    found = sorted({axis % whole for axis in axes if -whole <= axis < whole})
    return found if len(found) == len(axes) and found else None


def _rest(node: gs.Node, axes: Sequence[int], rank: int) -> list[int]:
    """Positions of the dims that are kept, or of the old dims after new ones were added."""
    return list(range(rank + len(axes))) if node.op == "Unsqueeze" else [p for p in range(rank) if p not in axes]


def _joined(op: str, before: Sequence[int], after: Sequence[int], rank: int) -> list[int]:
    """The axes of one node that does the work of two of the same operator."""
    if op == "Squeeze":
        kept = [place for place in range(rank) if place not in before]
        return sorted([*before, *(kept[axis] for axis in after)])
    old = [place for place in range(rank + len(before) + len(after)) if place not in after]
    return sorted([*after, *(old[axis] for axis in before)])


def _skip(graph: gs.Graph, node: gs.Node, source: gs.Tensor) -> None:
    replace_input(node, 0, source)
    bypass(graph, node)


def _join(graph: gs.Graph, node: gs.Node, first: gs.Node, axes: list[int], context: Context) -> None:
    build = Build(graph, node, context, CODE)
    build.replace(build.axes(node.op, first.inputs[0], axes))


PASS = Pass(code=CODE, name="stacked-squeeze", find=find, exact=True)
