"""Compress whose result has a declared static size.

What it does: ranks the kept rows with a running sum and gathers them.
Why: the number of rows kept depends on the data, so its parser has no Compress.
Before → After: `y = Compress<axis = 0>(x, keep)` with y declared [2, 4] → `y = Gather(x, <place of the k-th kept row>)`
Leaves alone: results whose size is not declared static.
Numerics: exact as long as as many rows are kept as declared, which is why it runs only with --trust-declared-shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Compress"):
        out, keep = context.static_shape(node.outputs[0]), context.static_shape(node.inputs[1])
        if out is not None and keep is not None and out and 0 not in out:
            yield finding("how much is kept is declared", node, partial(rewrite, graph, node, context, out, keep[0]))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, out: tuple[int, ...], length: int) -> None:
    """Gather at the places of the kept rows; `length` is that of the condition."""
    build = Build(graph, node, context, PASS.code)
    data, keep = node.inputs
    axis = node.attrs.get("axis")
    if axis is None:
        data, axis = build.reshape(data, [-1]), 0
    count = out[int(axis) % len(out)]
    number = build.cast(keep, np.int64)
    before = np.triu(np.ones((length, length), np.int64), 1)  # [i, j]: i comes before j
    rank = build.axes("ReduceSum", build("Mul", build.unsqueeze(number, 1), before), [0], keepdims=0)
    chosen = build("Equal", rank, np.arange(count, dtype=np.int64).reshape(count, 1))
    places = build("Mul", build.cast(chosen, np.int64), build("Mul", number, np.arange(length, dtype=np.int64)))
    build.replace(build("Gather", data, build.axes("ReduceSum", places, [1], keepdims=0), axis=int(axis)))


PASS = Pass(code="SG151", name="compressed-rows", find=find, exact=False, kind="trusted")
