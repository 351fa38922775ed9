"""Resize whose scales, sizes or region are known only at run time, while the output shape is declared.

What it does: computes the interpolation matrix of each axis from the runtime scale and multiplies; nearest gathers.
Why: it wants scales when it builds the engine, and takes neither antialiasing nor crops nor policies.
Before → After: `y = Resize<mode = "linear">(x, , scales)` with y declared [1, 1, 4, 4] →
`w = Relu(1 - Abs((i + 0.5) / scale - 0.5 - [0, 1, ..])); y = MatMul(.., w)`
Leaves alone: constant operands (see unsupported-resize); output shapes that are not declared static; floating point
other than float32.
Numerics: the formulas of the operator's definition in float32, one axis at a time. Right as long as the declared shape
is, which is why it runs only with --trust-declared-shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.tensorrt.unsupported_resize import disputed, refusal
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding
from surgery.sampling import nearest, position, weights


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Resize"):
        data = node.inputs[0]
        shape, out = context.static_shape(data), context.static_shape(node.outputs[0])
        if shape is None or out is None or 0 in shape or data.dtype is None or np.dtype(data.dtype) != np.float32:
            continue
        runtime = [t for t in node.inputs[1:] if not t.is_empty() and context.constant(t) is None]
        if not runtime:
            continue
        scaled = len(node.inputs) == 3 or node.inputs[2] in runtime
        changed = [new for old, new in zip(shape, out, strict=False) if old != new]
        if not disputed(node, changed) and (scaled or refusal(node, context)):
            yield finding("its scales are known only at run time", node, partial(rewrite, graph, node, context, out))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, out: tuple[int, ...]) -> None:
    """One product, or one Gather, for each axis."""
    build = Build(graph, node, context, PASS.code)
    value, shape = node.inputs[0], list(node.inputs[0].shape)
    rank = len(shape)
    axes = [axis % rank for axis in node.attrs.get("axes", range(rank))]
    scales = scales_of(build, axes)
    crop = node.attrs.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    for place, axis in enumerate(axes):
        if not crop and axis < 2 and shape[axis] == out[axis]:
            continue  # batch and channels, scaled by one
        scale = build("Gather", scales, build.ints(place))
        at = position(build, shape[axis], out[axis], scale, (place, len(axes)))
        if node.attrs.get("mode", "nearest") == "nearest":
            value = build("Gather", value, nearest(build, at, shape[axis]), axis=axis)
        else:
            last = [other for other in range(rank) if other != axis] + [axis]
            back = [last.index(other) for other in range(rank)]
            table = build("Transpose", weights(build, at, shape[axis], out[axis], scale), perm=[1, 0])
            product = build("MatMul", build("Transpose", value, perm=last), table)
            value = build("Transpose", product, perm=back)
        if crop:
            outside = build("Or", build("Less", at, 0), build("Greater", at, float(shape[axis] - 1)))
            where = build.reshape(outside, [-1 if other == axis else 1 for other in range(rank)])
            value = build("Where", where, float(node.attrs.get("extrapolation_value", 0.0)), value)
    build.replace(value)


def scales_of(build: Build, axes: list[int]) -> gs.Tensor:
    """float32, one scale for each of `axes`."""
    node = build.node
    if len(node.inputs) < 4 or node.inputs[3].is_empty():
        return build.cast(node.inputs[2], np.float32)
    lengths = np.array([node.inputs[0].shape[axis] for axis in axes], np.float32)
    wanted = build("Div", build.cast(node.inputs[3], np.float32), lengths)
    policy = node.attrs.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return wanted
    one = build.axes("ReduceMin" if policy == "not_larger" else "ReduceMax", wanted, [0], keepdims=1)
    return build("Mul", one, np.ones(len(axes), np.float32))


PASS = Pass(code="SG122", name="runtime-resize", find=find, exact=False, kind="trusted")
