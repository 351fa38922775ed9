"""Shifts of integers.

What it does: multiplies or floor-divides by a power of two from a constant table; amounts outside the type's width give
0, or -1 for a negative number shifted right.
Why: TensorRT's parser has no BitShift.
Before → After: `c = BitShift<direction = "LEFT">(a, b)` → `c = Where(inside, a * Gather([1, 2, 4, ...], b), 0)`
Leaves alone: unsigned types of 16, 32 and 64 bits and int16, which TensorRT cannot hold; inputs of unknown type.
Numerics: exact (products wrap around in two's complement, as shifts do).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.bits import floor_divide, width, work_type, wrapped
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

TYPES = ("int8", "uint8", "int32", "int64")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "BitShift"):
        if all(tensor.dtype is not None and np.dtype(tensor.dtype).name in TYPES for tensor in node.inputs):
            yield finding(f"{context.target.name} has no BitShift", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Compute in int32 or int64, and cast back."""
    build = Build(graph, node, context, PASS.code)
    kind = np.dtype(node.inputs[0].dtype)
    work, count = work_type(kind), width(kind)
    value, amount = (build.cast(tensor, work) for tensor in node.inputs)
    inside = build("And", build("GreaterOrEqual", amount, 0), build("Less", amount, count))
    index = build("Where", inside, amount, 0)
    if node.attrs["direction"] == "LEFT":
        table = np.array([1 << place for place in range(count)], np.uint64).astype(work)
        shifted = build("Where", inside, build("Mul", value, build("Gather", build.constant(table), index)), 0)
        build.replace(build.cast(wrapped(build, shifted, kind), kind))
        return
    # Two half shifts: 2^(count - 1) itself is a negative number in a signed type.
    half = build("Div", index, 2)
    table = build.constant([1 << place for place in range(count // 2 + 1)], work)
    first = floor_divide(build, value, build("Gather", table, half))
    shifted = floor_divide(build, first, build("Gather", table, build("Sub", index, half)))
    sign = build("Neg", build.cast(build("Less", value, 0), work))
    build.replace(build.cast(build("Where", inside, shifted, sign), kind))


PASS = Pass(code="SG112", name="bit-shift", find=find, exact=True, kind="replace", feature="bit-shift")
