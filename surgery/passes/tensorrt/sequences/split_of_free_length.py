"""SplitToSequence of free length or into computed sizes, of which single pieces, their number or all pieces are read.

What it does: slices the piece out of the tensor (gathers it, if the pieces lose their dim), computes the number of
pieces from the shape, and reads the tensor itself where all pieces are put together again.
Why: TensorRT has tensors only, no sequences. `unbind`, `chunk` and `split` along a dim of free size are written
this way.
Before → After: `s = SplitToSequence<axis = 0>(x: [n, 4], 2); y = SequenceAt(s, i)` → `y = Slice<axis = 0>(x, 2 * i, 2 *
i + 2)`
Leaves alone: splits whose sizes are known (see known-sequence), computed sizes of unknown rank, sequences that are
changed before they are read or put together along another axis, and `keepdims = 0` together with split sizes, which
ONNX ignores and onnxruntime obeys.
Numerics: exact for positions within the sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import optional_input
from surgery.passes.tensorrt.sequences.known_sequence import parts
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG135"


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "SequenceAt", "SequenceLength", "ConcatFromSequence"):
        split = producer(node.inputs[0], "SplitToSequence")
        if split is None or parts(split, context) is not None or not _sized(split, context):
            continue
        if node.op == "ConcatFromSequence" and not _joined(node, split, context):
            continue
        fix = partial({"SequenceAt": _read, "SequenceLength": _count}.get(node.op, _whole), graph, node, split, context)
        yield finding(f"reads what '{split.name}' splits along an axis of free length", node, fix, split)


def _sized(split: gs.Node, context: Context) -> bool:
    """Whether it is known if one size or a size for each piece is given, and pieces keep their dim if any is."""
    given, axis = optional_input(split, 1), int(split.attrs.get("axis", 0))
    rank = context.rank(split.inputs[0])
    if rank is not None and not -rank <= axis < rank:
        return False
    if given is None:
        return True
    return _rank(given, context) in (0, 1) and bool(split.attrs.get("keepdims", 1))


def _rank(tensor: gs.Tensor, context: Context) -> int | None:
    """The number of dims; inside a function only the value of a constant tells it."""
    value = context.constant(tensor)
    return context.rank(tensor) if value is None else value.ndim


def _joined(node: gs.Node, split: gs.Node, context: Context) -> bool:
    """Whether the pieces are stacked, or put together along the axis that they were cut from."""
    rank = context.rank(split.inputs[0])
    if rank is None or bool(node.attrs.get("new_axis", 0)) != _drops(split):
        return False
    return _drops(split) or bool(int(node.attrs["axis"]) % rank == int(split.attrs.get("axis", 0)) % rank)


def _drops(split: gs.Node) -> bool:
    """Whether the pieces lose the dim."""
    return optional_input(split, 1) is None and not split.attrs.get("keepdims", 1)


def _read(graph: gs.Graph, node: gs.Node, split: gs.Node, context: Context) -> None:
    build = Build(graph, node, context, CODE)
    data, axis, given = split.inputs[0], int(split.attrs.get("axis", 0)), optional_input(split, 1)
    if given is None or context.number(given, 1) == 1:
        build.replace(build("Gather", data, build.reshape(node.inputs[1], [] if _drops(split) else [1]), axis=axis))
        return
    at = _position(build, node.inputs[1], split)
    if _rank(given, context) == 1:
        sizes = build.cast(given, np.int64)
        before = build("Slice", sizes, build.ints([0]), at, build.ints([0]))
        start = build.axes("ReduceSum", before, [0], keepdims=1)
        end = build("Add", start, build("Gather", sizes, at, axis=0))
    else:
        size = build.reshape(build.cast(given, np.int64), [1])
        start = build("Mul", at, size)
        end = build("Add", start, size)
    build.replace(build("Slice", data, start, end, build.ints([axis])))


def _position(build: Build, position: gs.Tensor, split: gs.Node) -> gs.Tensor:
    """The position counted from the front, int64[1]."""
    value = build.context.constant(position)
    if value is not None and value.size == 1 and int(value.reshape(-1)[0]) >= 0:
        return build.ints([int(value.reshape(-1)[0])])
    at = build.reshape(build.cast(position, np.int64), [1])
    return build("Where", build("Less", at, 0), build("Add", at, _number(build, split)), at)


def _number(build: Build, split: gs.Node) -> gs.Tensor:
    """The number of pieces, an int64 scalar."""
    given, axis = optional_input(split, 1), int(split.attrs.get("axis", 0))
    if given is not None and _rank(given, build.context) == 1:
        return build("Size", given)
    length = build("Gather", build("Shape", split.inputs[0]), np.array(axis, np.int64), axis=0)
    if given is None:
        return length
    size = build.reshape(build.cast(given, np.int64), [])
    return build("Div", build("Sub", build("Add", length, size), 1), size)


def _count(graph: gs.Graph, node: gs.Node, split: gs.Node, context: Context) -> None:
    build = Build(graph, node, context, CODE)
    build.replace(_number(build, split))


def _whole(graph: gs.Graph, node: gs.Node, split: gs.Node, context: Context) -> None:
    build, data = Build(graph, node, context, CODE), split.inputs[0]
    rank, axis = len(data.shape), int(split.attrs.get("axis", 0))
    order = [place for place in range(rank) if place != axis % rank]
    order.insert(int(node.attrs["axis"]) % rank, axis % rank)
    build.replace(data if order == sorted(order) else build("Transpose", data, perm=order))


PASS = Pass(code=CODE, name="split-of-free-length", find=find, exact=True, kind="replace", feature="sequence")
