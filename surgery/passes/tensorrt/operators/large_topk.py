"""TopK of more than 3840 elements.

What it does: takes 3840 elements at a time. The elements that a TopK has taken are marked, the others move together in
their order, and the next TopK takes from those.
Why: TensorRT takes at most 3840.
Before → After: `v, i = TopK(x, 5000)` → `v1, i1 = TopK(x, 3840); rest = places not in i1; v2, i2 = TopK(x[rest], 1160);
v = Concat(v1, v2); i = Concat(i1, rest[i2])`
Leaves alone: a number that is computed; results without order (`sorted` 0); more than 16 times 3840.
Numerics: exact: of equal elements the first ones are taken first.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import dim
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 3840
MOST_BLOCKS = 16


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "TopK"):
        count = context.constant(node.inputs[1]) if len(node.inputs) > 1 else None
        if count is None or count.size != 1 or not node.attrs.get("sorted", 1):
            continue
        number, rank = int(count.reshape(-1)[0]), context.rank(node.inputs[0])
        if LARGEST < number <= MOST_BLOCKS * LARGEST and rank and node.inputs[0].dtype is not None:
            message = f"TopK takes {number:,} elements, {context.target.name} at most {LARGEST:,}"
            yield finding(message, node, partial(rewrite, graph, node, context, number))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, number: int) -> None:
    """One TopK for each block; what is left of the data, and where it was, goes on to the next."""
    build, data = Build(graph, node, context, PASS.code), node.inputs[0]
    axis = int(node.attrs.get("axis", -1)) % len(data.shape)
    values, indices = [], []
    places: gs.Tensor | None = None
    for start in range(0, number, LARGEST):
        size = min(LARGEST, number - start)
        largest = int(node.attrs.get("largest", 1))
        value, index = build("TopK", data, build.ints([size]), outputs=2, axis=axis, largest=largest)
        values.append(value)
        indices.append(index if places is None else build("GatherElements", places, index, axis=axis))
        if start + size < number:
            rest = _rest(build, data, index, axis)
            data = build("GatherElements", data, rest, axis=axis)
            places = rest if places is None else build("GatherElements", places, rest, axis=axis)
    build.replace(build("Concat", *values, axis=axis), build("Concat", *indices, axis=axis))


def _rest(build: Build, data: gs.Tensor, taken: gs.Tensor, axis: int) -> gs.Tensor:
    """The places of `data` along the axis that are not among `taken`, in order: each moves to its own rank."""
    shape, one = build.shape(data), np.int32(1)
    ones = build("Expand", build.constant(one), shape)
    kept = build("ScatterElements", ones, taken, build("Expand", np.int32(0), build.shape(taken)), axis=axis)
    last = build("Sub", build.reshape(dim(build, data, axis), [1] * len(data.shape)), 1)
    rank = build.cast(build("Sub", build("CumSum", kept, np.int64(axis)), one), np.int64)
    spots = build("Where", build("Equal", kept, one), rank, last)
    every = build.cast(build("Sub", build("CumSum", ones, np.int64(axis)), one), np.int64)
    zeros = build("Expand", build.constant(0, np.int64), shape)
    return build.slice(build("ScatterElements", zeros, spots, every, axis=axis), [axis], [0], [-LARGEST])


PASS = Pass(code="SG148", name="large-topk", find=find, exact=True, kind="replace", feature="topk-3840")
