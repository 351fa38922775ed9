"""ReduceMax and ReduceMin of booleans.

What it does: reduces in int32 and casts back.
Why: TensorRT's reductions do not take BOOL.
Before → After: `y = ReduceMax(x, axes)` on bools → `y = Cast<bool>(ReduceMax(Cast<int32>(x), axes))`
Leaves alone: every other type, and inputs of unknown type; data that may have a dim of size zero, because the maximum
over no elements is the smallest int32, which casts to true.
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
    for node in context.nodes(graph, "ReduceMax", "ReduceMin"):
        kind, shape = node.inputs[0].dtype, context.static_shape(node.inputs[0])
        if kind is not None and np.dtype(kind).kind == "b" and shape is not None and 0 not in shape:
            yield finding(f"{node.op} reduces booleans", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Cast, reduce, cast back."""
    build = Build(graph, node, context, PASS.code)
    wide = build.cast(node.inputs[0], np.int32)
    build.replace(build.cast(build(node.op, wide, *node.inputs[1:], **node.attrs), np.bool_))


PASS = Pass(code="SG105", name="bool-reduction", find=find, exact=True, kind="replace", feature="bool-reduce")
