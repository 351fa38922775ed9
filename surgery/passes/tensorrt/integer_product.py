"""MatMul of integers.

What it does: multiplies elementwise over a new dim and sums.
Why: TensorRT's matrix products take floating point only.
Before → After: `c = MatMul(a, b)` in int32 → `c = ReduceSum(Unsqueeze(a, -1) * Unsqueeze(b, -3), -2)`
Leaves alone: floating point; unknown sizes; vectors; products of more than 4M terms; int64, which onnxruntime sums in
floating point of 53 bits.
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

LARGEST = 1 << 22


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "MatMul"):
        left, right = (context.static_shape(tensor) for tensor in node.inputs)
        kind = node.inputs[0].dtype
        if (
            kind is None
            or np.dtype(kind) != np.int32
            or left is None
            or right is None
            or min(len(left), len(right)) < 2
        ):
            continue
        if max(np.prod(left) * right[-1], np.prod(right) * left[-2]) <= LARGEST:
            yield finding("MatMul multiplies integers", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Every product, then the sums."""
    build = Build(graph, node, context, PASS.code)
    left, right = node.inputs
    rank = max(len(left.shape), len(right.shape))
    wide = build.unsqueeze(left, len(left.shape))
    tall = build.unsqueeze(right, len(right.shape) - 2)
    build.replace(build.axes("ReduceSum", build("Mul", wide, tall), [rank - 1], keepdims=0))


PASS = Pass(code="SG113", name="integer-product", find=find, exact=True, kind="replace", feature="int-gemm")
