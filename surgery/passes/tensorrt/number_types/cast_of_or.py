"""Or whose result a Cast reads.

What it does: casts both inputs to int32, takes their maximum and casts it to bool; every reader of the Or reads this
tensor.
Why: TensorRT gives wrong booleans for Or followed by Cast.
Before → After: `c = Or(a, b); d = Cast(c)` → `c = Cast<bool>(Max(Cast<int32>(a), Cast<int32>(b))); d = Cast(c)`
Leaves alone: Or that no Cast reads; models before opset 12, whose Max takes no integers.
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


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Or"):
        if any(reader.op == "Cast" for reader in node.outputs[0].outputs):
            yield finding("Or followed by Cast", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """The larger of both inputs as integers."""
    build = Build(graph, node, context, PASS.code)
    left, right = (build.cast(tensor, np.int32) for tensor in node.inputs)
    build.replace(build.cast(build("Max", left, right), np.bool_))


PASS = Pass(code="SG184", name="cast-of-or", find=find, exact=True, kind="replace", feature="cast-of-or")
