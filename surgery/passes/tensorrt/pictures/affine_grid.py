"""AffineGrid of constant size.

What it does: multiplies the constant grid of homogeneous coordinates by theta.
Why: TensorRT's parser has no AffineGrid.
Before → After: `g = AffineGrid(theta, [1, 1, 4, 5])` → `g = Reshape(MatMul(<20 points>, Transpose(theta)), [-1, 4, 5,
2])`
Leaves alone: sizes known only at run time, where function-operator writes ONNX's own function body.
Numerics: the coordinates are computed in float64 and rounded once; sums of three or four products. With align_corners
the one point of an axis of size 1 lies at 1, as in onnxruntime; ONNX divides by zero there.
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
    for node in context.nodes(graph, "AffineGrid"):
        size = context.constant(node.inputs[1])
        if size is not None and size.size in (4, 5) and node.inputs[0].dtype is not None:
            sizes = [int(dim) for dim in size[2:]]
            yield finding(
                f"{context.target.name} has no AffineGrid", node, partial(rewrite, graph, node, context, sizes)
            )


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, sizes: list[int]) -> None:
    """Points times theta; `sizes` are depth (where there is one), height and width."""
    build = Build(graph, node, context, PASS.code)
    theta = node.inputs[0]
    points = build.constant(grid(sizes, bool(node.attrs.get("align_corners", 0)))[None], theta.dtype)
    moved = build("MatMul", points, build("Transpose", theta, perm=[0, 2, 1]))
    build.replace(build.reshape(moved, [-1, *sizes, len(sizes)]))


def grid(sizes: list[int], align_corners: bool) -> np.ndarray:
    """float64[points, axes + 1]: x, y (, z) and 1 of every point, x fastest."""
    steps = []
    for size in sizes:
        index = np.arange(size)
        if align_corners:
            steps.append(-1.0 + 2.0 * index / (size - 1) if size > 1 else np.array([1.0]))
        else:
            steps.append((2.0 * index + 1.0) / size - 1.0)
    axes = np.meshgrid(*steps, indexing="ij")
    return np.stack([*(axis.ravel() for axis in reversed(axes)), np.ones(axes[0].size)], axis=1)


PASS = Pass(code="SG123", name="affine-grid", find=find, exact=False, kind="replace", feature="affine-grid")
