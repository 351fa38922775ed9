"""Mod with fmod=0 on floating point.

What it does: takes the remainder with the sign of the dividend (fmod=1), and adds the divisor where the signs differ.
Why: TensorRT's parser takes fmod=0 for integers only.
Before → After: `c = Mod<fmod = 0>(a, b)` on floats → `r = Mod<fmod = 1>(a, b); c = Where(r != 0 and (r < 0) != (b <
0), r + b, r)`
Leaves alone: integers; fmod=1, which the target takes.
Numerics: the remainder is exact and the sum is rounded once; infinite, zero and NaN operands give what ONNX defines; a
zero result may have the other sign.
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
    for node in context.nodes(graph, "Mod"):
        kind = node.inputs[0].dtype
        if kind is not None and np.dtype(kind).kind == "f" and not node.attrs.get("fmod", 0):
            yield finding("Mod with fmod=0 on floating point", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """The remainder, moved to the divisor's side of zero."""
    build = Build(graph, node, context, PASS.code)
    left, right = node.inputs
    rest = build("Mod", left, right, fmod=1)
    differ = build("Xor", build("Less", rest, 0), build("Less", right, 0))
    wrong = build("And", differ, build("Not", build("Equal", rest, 0)))
    build.replace(build("Where", wrong, build("Add", rest, right), rest))


PASS = Pass(code="SG110", name="float-modulo", find=find, exact=False, kind="replace", feature="mod-float")
