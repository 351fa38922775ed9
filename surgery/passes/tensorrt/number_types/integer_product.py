"""MatMul of integers.

What it does: multiplies elementwise over a new dim and sums.
Why: TensorRT's matrix products take floating point only.
Before → After: `c = MatMul(a, b)` in int32 → `c = ReduceSum(Unsqueeze(a, -1) * Unsqueeze(b, -3), -2)`, summed in int64
Leaves alone: floating point; tensors of unknown rank; vectors; products of more than 4M terms, where a free size counts
as 256.
Numerics: exact: the sums wrap around as the original's do.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.sums import LARGEST, elements, whole_sum
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

INTEGERS = ("int32", "int64")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "MatMul"):
        left, right, kind = (*(tensor.shape for tensor in node.inputs), node.inputs[0].dtype)
        if kind is None or np.dtype(kind).name not in INTEGERS or min(len(left or ()), len(right or ())) < 2:
            continue
        if max(elements([*left, right[-1]]), elements([*right, left[-2]])) <= LARGEST:
            yield finding("MatMul multiplies integers", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Every product, then the sums."""
    build = Build(graph, node, context, PASS.code)
    left, right = node.inputs
    rank = max(len(left.shape), len(right.shape))
    wide = build.unsqueeze(left, len(left.shape))
    tall = build.unsqueeze(right, len(right.shape) - 2)
    build.replace(whole_sum(build, build("Mul", wide, tall), [rank - 1]))


PASS = Pass(code="SG113", name="integer-product", find=find, exact=True, kind="replace", feature="int-gemm")
