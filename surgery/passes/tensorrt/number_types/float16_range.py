"""Range in float16.

What it does: counts in float32 and casts the result.
Why: TensorRT counts in int32, int64 and float32 only.
Before → After: `r = Range(a, b, d)` in float16 →
`r = Cast<float16>(Range(Cast<float>(a), Cast<float>(b), Cast<float>(d)))`
Leaves alone: every other type.
Numerics: each element is rounded once, from float32; the number of elements is computed from the same three numbers.
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
    for node in context.nodes(graph, "Range"):
        kind = node.inputs[0].dtype
        if kind is not None and np.dtype(kind) == np.float16:
            yield finding("Range counts in float16", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Cast, count, cast back."""
    build = Build(graph, node, context, PASS.code)
    wide = [build.cast(tensor, np.float32) for tensor in node.inputs]
    build.replace(build.cast(build("Range", *wide), np.float16))


PASS = Pass(code="SG106", name="float16-range", find=find, exact=False, kind="replace", feature="range-float16")
