"""NonZero whose number of places is declared.

What it does: counts the elements that are not zero with a running sum, and finds the place of the first, the second and
so on by comparing the counts.
Why: how many places there are depends on the data, and TensorRT-RTX has no plugin for it.
Before → After: `y = NonZero(x)` with y declared [1, 3] → `y = ReduceSum(Where(Equal(<count>, [1, 2, 3]), <place>, 0))`
Leaves alone: results whose size is not declared static; comparisons of more than 4M elements.
Numerics: exact as long as as many elements are not zero as declared, which is why it runs only with
--trust-declared-shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 1 << 22
TAKEN = ("bool", "int32", "int64", "float32", "float16")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.target.refuses("op:NonZero") is None or context.opset_of(graph) < 11:
        return
    for node in context.nodes(graph, "NonZero"):
        shape, out = context.static_shape(node.inputs[0]), context.static_shape(node.outputs[0])
        kind = node.inputs[0].dtype
        if not shape or not out or 0 in (*shape, *out) or len(out) != 2 or out[0] != len(shape) or kind is None:
            continue
        if np.dtype(kind).name in TAKEN and prod(shape) * prod(out) <= LARGEST:
            message = f"it is declared to find {out[1]} places"
            yield finding(message, node, partial(rewrite, graph, node, context, out[1]))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, count: int) -> None:
    """Count, compare, and read the places off a table."""
    build = Build(graph, node, context, PASS.code)
    shape = node.inputs[0].shape
    flat = build.reshape(node.inputs[0], [-1])
    full = build.cast(build.cast(flat, bool), np.int64)
    number = build("Mul", build("CumSum", full, build.ints(0)), full)  # 1, 2, .. at those, 0 elsewhere
    here = build.cast(build("Equal", number, np.arange(1, count + 1, dtype=np.int64).reshape(count, 1)), np.int64)
    places = np.indices(shape).reshape(len(shape), 1, -1).astype(np.int64)
    build.replace(build.axes("ReduceSum", build("Mul", here, places), [2], keepdims=0))


PASS = Pass(code="SG155", name="declared-positions", find=find, exact=False, kind="trusted")
