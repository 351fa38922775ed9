"""MatMul of a vector with a batch of matrices.

What it does: makes the vector a matrix of one row (or column), multiplies, and removes that dim again.
Why: TensorRT broadcasts the vector's single dim against the batch and fails.
Before → After: `c = MatMul(a, b)` with a[3], b[2, 3, 4] → `c = Squeeze(MatMul(Unsqueeze(a, 0), b), -2)`
Leaves alone: products of two vectors or of none, or of a vector and one matrix; unknown ranks.
Numerics: exact up to the order of summation of the matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "MatMul"):
        ranks = [context.rank(tensor) for tensor in node.inputs]
        if None not in ranks and sorted(rank or 0 for rank in ranks)[0] == 1 and max(rank or 0 for rank in ranks) > 2:
            yield finding("MatMul of a vector with a batch of matrices", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Unsqueeze, MatMul, Squeeze."""
    build = Build(graph, node, context, PASS.code)
    left, right = node.inputs
    if len(left.shape) == 1:
        product = build("MatMul", build.unsqueeze(left, 0), right)
        build.replace(build.squeeze(product, len(right.shape) - 2))
    else:
        product = build("MatMul", left, build.unsqueeze(right, 1))
        build.replace(build.squeeze(product, len(left.shape) - 1))


PASS = Pass(code="SG128", name="vector-product", find=find, exact=False, kind="replace", feature="matmul-1d")
