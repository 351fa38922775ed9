"""Sequences of tensors of one shape that are read, filled or emptied at positions known only at run time.

What it does: stacks the tensors, keeps the order of the sequence as a vector of numbers that inserting and erasing
change, and gathers the element that is read.
Why: TensorRT has tensors only, no sequences.
Before → After: `s = SequenceConstruct(a, b); y = SequenceAt(s, i)` →
`y = Gather(Concat(Unsqueeze(a), Unsqueeze(b)), i)`
Leaves alone: constant positions (see known-sequence); sequences that are graph inputs or made by a loop; elements of
different or unknown shapes.
Numerics: exact for positions within the sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.tensorrt.sequences.known_sequence import position, resolve
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

MAKERS = ("SequenceEmpty", "SequenceConstruct")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "SequenceAt"):
        known = resolve(node.inputs[0], context)
        if known is not None and position(node.inputs[1], len(known), context) is not None:
            continue
        steps = history(node.inputs[0])
        if steps is None or node.inputs[1].dtype is None:
            continue
        elements = put_in(steps)
        shapes = {context.static_shape(tensor) for tensor in elements}
        if elements and len(shapes) == 1 and None not in shapes and len({tensor.dtype for tensor in elements}) == 1:
            message = "the position in the sequence is known only at run time"
            yield finding(message, node, partial(rewrite, graph, node, context, steps))


def history(sequence: gs.Tensor) -> list[gs.Node] | None:
    """The nodes that made the sequence, first to last, or None where they are not all known."""
    steps: list[gs.Node] = []
    while sequence.inputs:
        maker = sequence.inputs[0]
        if maker.op in MAKERS:
            return [maker, *reversed(steps)]
        if maker.op not in ("Identity", "SequenceInsert", "SequenceErase"):
            return None
        steps.append(maker)
        sequence = maker.inputs[0]
    return None


def put_in(steps: list[gs.Node]) -> list[gs.Tensor]:
    """All inserted tensors, in the order of insertion."""
    found = []
    for step in steps:
        if step.op == "SequenceConstruct":
            found += list(step.inputs)
        elif step.op == "SequenceInsert":
            found.append(step.inputs[1])
    return found


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, steps: list[gs.Node]) -> None:
    """The order after each step, then one Gather."""
    build = Build(graph, node, context, PASS.code)
    count = seen = len(steps[0].inputs)
    order: gs.Tensor = build.ints(list(range(count)))
    for step in steps[1:]:
        places = np.arange(count + 1 if step.op == "SequenceInsert" else max(count - 1, 0), dtype=np.int64)
        if step.op == "SequenceInsert":
            at = place_of(build, step, 2, count, count)
            shifted = build("Where", build("Greater", places, at), places - 1, places)
            shifted = build("Where", build("Equal", build.constant(places), at), np.int64(count), shifted)
            order = build("Gather", build("Concat", order, build.ints([seen]), axis=0), shifted, axis=0)
            count, seen = count + 1, seen + 1
        elif step.op == "SequenceErase":
            at = place_of(build, step, 1, count, count - 1)
            order = build("Gather", order, build("Where", build("Less", places, at), places, places + 1), axis=0)
            count -= 1
    chosen = build("Gather", order, place_of(build, node, 1, count, 0), axis=0)
    stacked = build("Concat", *(build.unsqueeze(tensor, 0) for tensor in put_in(steps)), axis=0)
    build.replace(build("Gather", stacked, chosen, axis=0))


def place_of(build: Build, step: gs.Node, index: int, count: int, otherwise: int) -> gs.Tensor:
    """The position that a step gives, from the front, as an int64 scalar; `otherwise` where it gives none."""
    if len(step.inputs) <= index or step.inputs[index].is_empty():
        return build.ints(otherwise)
    at = build.cast(build.reshape(step.inputs[index], []), np.int64)
    return build("Where", build("Less", at, build.ints(0)), build("Add", at, build.ints(count)), at)


PASS = Pass(code="SG134", name="runtime-sequence-position", find=find, exact=True, kind="replace", feature="sequence")
