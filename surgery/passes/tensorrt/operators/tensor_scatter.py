"""TensorScatter on a target without it, or with a cache that does not have four dims or is written circularly.

What it does: gathers the update for each position of the cache, and keeps the old value at all other positions.
Why: TensorRT has TensorScatter since 10.15, for 4-D caches in linear mode only.
Before → After: `y = TensorScatter(cache, update, at)` → `n = [0, 1, ..] - at; y = Where(And(n >= 0, n < 2),
GatherElements(update, Clip(n)), cache)`
Leaves alone: caches the target takes; shapes that are not known.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

TAKEN = 4  # dims of a cache


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "TensorScatter"):
        cache, update = (context.static_shape(tensor) for tensor in node.inputs[:2])
        circular = node.attrs.get("mode", "linear") == "circular"
        if cache is None or update is None or len(cache) != len(update) or len(cache) < 2 or 0 in (*cache, *update):
            continue
        axis = int(node.attrs.get("axis", -2)) % len(cache)
        if axis == 0 or any(a != b for place, (a, b) in enumerate(zip(cache, update, strict=True)) if place != axis):
            continue
        missing = context.target.refuses("op:TensorScatter") is not None
        if missing or circular or len(cache) != TAKEN:
            what = "circularly" if circular else f"into a cache of {len(cache)} dims"
            message = f"{context.target.name} has no TensorScatter" if missing else f"TensorScatter writes {what}"
            yield finding(message, node, partial(rewrite, graph, node, context, axis))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, axis: int) -> None:
    """Where and GatherElements."""
    build = Build(graph, node, context, PASS.code)
    cache, update = node.inputs[:2]
    length, count = cache.shape[axis], update.shape[axis]
    places = np.arange(length, dtype=np.int64)
    if len(node.inputs) > 2 and not node.inputs[2].is_empty():
        start = build.reshape(build.cast(node.inputs[2], np.int64), [-1, 1])
    else:
        start = build.constant(np.zeros((cache.shape[0], 1), np.int64))
    number = build("Sub", places.reshape(1, length), start)
    if node.attrs.get("mode", "linear") == "circular":
        number = build("Mod", number, build.ints(length))
    inside = build("And", build("GreaterOrEqual", number, build.ints(0)), build("Less", number, build.ints(count)))
    shape = [cache.shape[0] if place == 0 else length if place == axis else 1 for place in range(len(cache.shape))]
    at = build("Min", build("Max", number, build.ints(0)), build.ints(count - 1))
    whole = build("Expand", build.reshape(at, shape), build.ints(list(cache.shape)))
    found = build("GatherElements", update, whole, axis=axis)
    build.replace(build("Where", build.reshape(inside, shape), found, cache))


PASS = Pass(code="SG145", name="tensor-scatter", find=find, exact=True, kind="replace", feature="tensor-scatter")
