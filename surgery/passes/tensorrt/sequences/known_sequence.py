"""Sequences whose elements are known tensors.

What it does: replaces SequenceAt, SequenceLength and ConcatFromSequence by the tensors that the sequence was built
from, and SplitToSequence by Split.
Why: TensorRT has tensors only, no sequences.
Before → After: `s = SequenceConstruct(a, b); y = ConcatFromSequence<axis = 0>(s)` → `y = Concat<axis = 0>(a, b)`
Leaves alone: sequences that are graph inputs or made by a loop, positions known only at run time, splits into an
unknown number of tensors, and `keepdims = 0` together with split sizes, which ONNX ignores and onnxruntime obeys.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

READERS = ("SequenceAt", "SequenceLength", "ConcatFromSequence")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, *READERS):
        if node.op == "SequenceLength" and (count := parts_named(node.inputs[0], context)):
            yield finding("the length of the sequence is known", node, partial(number, graph, node, context, count))
            continue
        elements = resolve(node.inputs[0], context)
        if elements is None or (node.op == "ConcatFromSequence" and not elements):
            continue
        if node.op == "SequenceAt" and position(node.inputs[1], len(elements), context) is None:
            continue
        yield finding("the elements of the sequence are known", node, partial(answer, graph, node, context, elements))
    for node in context.nodes(graph, "SplitToSequence"):
        sizes = parts(node, context)
        if sizes is not None:
            yield finding("the sizes of the split are known", node, partial(split, graph, node, context, sizes))


def resolve(sequence: gs.Tensor, context: Context) -> list[gs.Tensor] | None:
    """The tensors in a sequence, or None where they are not known."""
    if not sequence.inputs:
        return None
    maker = sequence.inputs[0]
    if maker.op == "SequenceEmpty":
        return []
    if maker.op == "SequenceConstruct":
        return list(maker.inputs)
    if maker.op not in ("Identity", "SequenceInsert", "SequenceErase"):
        return None
    elements = resolve(maker.inputs[0], context)
    if elements is None or maker.op == "Identity":
        return elements
    count, room = len(elements), 1 if maker.op == "SequenceInsert" else 0
    place = maker.inputs[1 + room] if len(maker.inputs) > 1 + room else None
    at = position(place, count, context, room) if place is not None else (count if room else count - 1)
    if at is None:
        return None
    return [*elements[:at], maker.inputs[1], *elements[at:]] if room else [*elements[:at], *elements[at + 1 :]]


def position(tensor: gs.Tensor, count: int, context: Context, room: int = 0) -> int | None:
    """A constant position among `count` elements (and `room` for a new one), from the front, or None."""
    value = context.constant(tensor)
    if value is None:
        return None
    at = int(np.ravel(value)[0])
    at = at + count if at < 0 else at
    return at if 0 <= at < count + room else None


def answer(graph: gs.Graph, node: gs.Node, context: Context, elements: list[gs.Tensor]) -> None:
    """The element, the number of them, or all of them as one tensor."""
    build = Build(graph, node, context, PASS.code)
    if node.op == "SequenceAt":
        build.replace(elements[position(node.inputs[1], len(elements), context) or 0])
    elif node.op == "SequenceLength":
        build.replace(build.ints(len(elements)))
    else:
        axis = int(node.attrs["axis"])
        if node.attrs.get("new_axis", 0):
            elements = [build.unsqueeze(element, axis) for element in elements]
        build.replace(build("Concat", *elements, axis=axis))


def parts_named(sequence: gs.Tensor, context: Context) -> int:
    """How many parts a SplitToSequence makes whose sizes are known only at run time; 0 where that is not known."""
    maker = producer(sequence, "SplitToSequence")
    if maker is None or len(maker.inputs) < 2:
        return 0
    sizes = context.static_shape(maker.inputs[1])
    return sizes[0] if sizes is not None and len(sizes) == 1 else 0


def number(graph: gs.Graph, node: gs.Node, context: Context, count: int) -> None:
    """The length as a constant."""
    build = Build(graph, node, context, PASS.code)
    build.replace(build.ints(count))


def parts(node: gs.Node, context: Context) -> list[int] | None:
    """Sizes of the parts along the axis, or None."""
    shape = node.inputs[0].shape
    if not shape:
        return None
    length = shape[int(node.attrs.get("axis", 0)) % len(shape)]
    given = len(node.inputs) > 1 and not node.inputs[1].is_empty()
    value = context.constant(node.inputs[1]) if given else None
    if given and not node.attrs.get("keepdims", 1):
        return None
    if value is not None and value.ndim:
        return [int(size) for size in value]
    if not isinstance(length, int) or (given and value is None):
        return None
    step = 1 if value is None else int(value)
    return [min(step, length - start) for start in range(0, length, step)] if step > 0 else None


def split(graph: gs.Graph, node: gs.Node, context: Context, sizes: list[int]) -> None:
    """Split, and a sequence of its outputs for the readers that are not replaced yet."""
    build = Build(graph, node, context, PASS.code)
    data, axis = node.inputs[0], int(node.attrs.get("axis", 0))
    if build.opset < 13:
        found = build("Split", data, outputs=len(sizes), axis=axis, split=sizes)
    else:
        found = build("Split", data, build.ints(sizes), outputs=len(sizes), axis=axis)
    elements = [found] if len(sizes) == 1 else list(found)
    if not node.attrs.get("keepdims", 1):
        elements = [build.squeeze(element, axis) for element in elements]
    build.replace(build("SequenceConstruct", *elements))


PASS = Pass(code="SG130", name="known-sequence", find=find, exact=True, kind="replace", feature="sequence")
