"""BatchNormalization in training mode.

What it does: computes the mean and variance of the batch with reductions, normalizes with them, and updates the running
values as the operator defines.
Why: TensorRT takes BatchNormalization for inference only.
Before → After: `y, m, v = BatchNormalization<training_mode = 1>(x, s, b, m0, v0)` → `mean = ReduceMean(x); ...`
Leaves alone: inference; models before opset 14, where the training mode has another form; data of unknown rank.
Numerics: sums are taken in another order than in a fused kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 14:
        return
    for node in context.nodes(graph, "BatchNormalization"):
        if node.attrs.get("training_mode", 0) and (context.rank(node.inputs[0]) or 0) > 1:
            yield finding("BatchNormalization is in training mode", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Batch statistics by reductions over every axis but the channels'."""
    build = Build(graph, node, context, PASS.code)
    data, scale, bias, old_mean, old_variance = node.inputs
    rank = len(data.shape)
    axes = [axis for axis in range(rank) if axis != 1]
    column = [-1] + [1] * (rank - 2)
    mean = _mean(build, data, axes)
    difference = build("Sub", data, mean)
    variance = _mean(build, build("Mul", difference, difference), axes)
    deviation = build("Sqrt", build("Add", variance, float(node.attrs.get("epsilon", 1e-5))))
    normal = build("Div", difference, deviation)
    result = build("Add", build("Mul", normal, build.reshape(scale, column)), build.reshape(bias, column))
    momentum = float(node.attrs.get("momentum", 0.9))
    running = [
        build("Add", build("Mul", old, momentum), build("Mul", build.reshape(new, [-1]), 1.0 - momentum))
        for old, new in ((old_mean, mean), (old_variance, variance))
    ]
    build.replace(result, *running[: len(node.outputs) - 1])


def _mean(build: Build, data: gs.Tensor, axes: list[int]) -> gs.Tensor:
    """The mean over `axes`; NaN over no elements, for which onnxruntime's ReduceMean gives 0."""
    shape = build.context.static_shape(build.node.inputs[0])
    if shape is not None and 0 not in shape:
        return build.axes("ReduceMean", data, axes, keepdims=1)
    dims = build("Gather", build("Shape", data), build.ints(axes))
    count = build.cast(build.axes("ReduceProd", dims, [0], keepdims=0), data.dtype)
    return build("Div", build.axes("ReduceSum", data, axes, keepdims=1), count)


PASS = Pass(
    code="SG118", name="batchnorm-training", find=find, exact=False, kind="replace", feature="batchnorm-training"
)
