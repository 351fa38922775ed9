"""Remainders of integers that may be large.

What it does: computes the remainder by division and multiplication of integers, and adds the divisor where its sign
differs.
Why: TensorRT computes Mod through floating point, which is exact up to 2^24 only: 2147483647 mod 32 gives -1.
Before → After: `c = Mod(a, b)` → `r = a - (a / b) * b; c = Where(r != 0 and (r < 0) != (b < 0), r + b, r)`
Leaves alone: fmod=1; other types than int32 and int64.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.bits import remainder
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Mod"):
        kind = node.inputs[0].dtype
        if kind is not None and np.dtype(kind).name in ("int32", "int64") and not node.attrs.get("fmod", 0):
            yield finding("remainder of integers that may be large", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """The remainder of ONNX's Div, which rounds toward zero, moved to the divisor's side of zero."""
    build = Build(graph, node, context, PASS.code)
    left, right = node.inputs
    divisor = context.constant(right)
    if divisor is not None and divisor.size and (divisor > 0).all():
        build.replace(remainder(build, left, right))
        return
    rest = build("Sub", left, build("Mul", build("Div", left, right), right))
    differ = build("Xor", build("Less", rest, 0), build("Less", right, 0))
    wrong = build("And", differ, build("Not", build("Equal", rest, 0)))
    build.replace(build("Where", wrong, build("Add", rest, right), rest))


PASS = Pass(
    code="SG181",
    name="large-integer-modulo",
    find=find,
    exact=True,
    kind="replace",
    feature="large-integer-modulo",
)
