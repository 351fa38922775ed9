"""DeformConv of known shapes.

What it does: samples the image at the offsets (GridSample, zeros outside), multiplies by the mask, and multiplies by
the weights in one MatMul.
Why: TensorRT's parser has no DeformConv.
Before → After: `y = DeformConv(x, w, offset)` → `y = MatMul(Reshape(w), Reshape(GridSample(x, <grid + offset>)))`
Leaves alone: unknown shapes, other than two spatial dims, and types other than float32.
Numerics: coordinates are scaled to [-1, 1] and back, which moves them by some 1e-7 of the image; sums are taken in
another order. NaN and infinity in the image reach every place whose samples touch them, also with a weight of zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "DeformConv"):
        given = [tensor for tensor in node.inputs if not tensor.is_empty()]
        shapes = [context.static_shape(tensor) for tensor in given]
        if len(given) < 3 or any(shape is None or 0 in shape for shape in shapes):
            continue
        if any(tensor.dtype is None or np.dtype(tensor.dtype) != np.float32 for tensor in given):
            continue
        if all(len(shape or ()) == 4 for shape in shapes[:3]) and consistent(node):
            message = f"{context.target.name} has no DeformConv"
            yield finding(message, node, partial(rewrite, graph, node, context))


def consistent(node: gs.Node) -> bool:
    """Whether the shapes are those the groups and the kernel ask for."""
    data, weight, offset = (tensor.shape for tensor in node.inputs[:3])
    group, moved = int(node.attrs.get("group", 1)), int(node.attrs.get("offset_group", 1))
    if group < 1 or moved < 1 or data[1] % group or data[1] % moved or weight[0] % group:
        return False
    return bool(weight[1] * group == data[1] and offset[1] == 2 * moved * weight[2] * weight[3])


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Sample, mask, multiply."""
    build = Build(graph, node, context, PASS.code)
    data, weight, offset = node.inputs[:3]
    bias, mask = ([*node.inputs[3:], None, None][place] for place in range(2))
    batch, channels, height, width = data.shape
    moved, group = int(node.attrs.get("offset_group", 1)), int(node.attrs.get("group", 1))
    kernel, places = prod(weight.shape[2:]), prod(offset.shape[2:])
    image = build.reshape(data, [batch * moved, channels // moved, height, width])
    mode = "bilinear" if build.opset < 20 else "linear"
    grid = grid_of(build, [batch * moved, kernel, places], [height, width])
    seen = build("GridSample", image, grid, mode=mode, padding_mode="zeros", align_corners=0)
    if mask is not None and not mask.is_empty():
        seen = build("Mul", seen, build.reshape(mask, [batch * moved, 1, kernel, places]))
    columns = build.reshape(seen, [batch, group, channels // group * kernel, places])
    rows = build.reshape(weight, [1, group, weight.shape[0] // group, channels // group * kernel])
    out = build.reshape(build("MatMul", rows, columns), [batch, weight.shape[0], *offset.shape[2:]])
    if bias is not None and not bias.is_empty():
        out = build("Add", out, build.reshape(bias, [1, weight.shape[0], 1, 1]))
    build.replace(out)


def grid_of(build: Build, shape: list[int], image: list[int]) -> gs.Tensor:
    """float32[.., kernel, places, 2]: x and y of every sample, the corners of the image at -1 and 1."""
    node = build.node
    kernel, out = node.inputs[1].shape[2:], node.inputs[2].shape[2:]
    strides, dilations = (node.attrs.get(name) or [1, 1] for name in ("strides", "dilations"))
    pads = node.attrs.get("pads") or [0] * 4
    offset = build.reshape(node.inputs[2], [*shape[:2], 2, shape[2]])
    parts = []
    for axis in (1, 0):  # x first
        inside, start = np.indices(kernel)[axis].ravel(), np.indices(out)[axis].ravel()
        base = start[None] * strides[axis] - pads[axis] + inside[:, None] * dilations[axis]
        scaled = ((2.0 * base + 1.0) / image[axis] - 1.0).astype(np.float32)
        part = build("Gather", offset, build.ints(axis), axis=2)
        moved = build("Add", build("Mul", part, np.float32(2.0 / image[axis])), scaled)
        parts.append(build.unsqueeze(moved, 3))
    return build("Concat", *parts, axis=3)


PASS = Pass(
    code="SG143",
    name="deformable-convolution",
    find=find,
    exact=False,
    kind="replace",
    feature="deform-conv",
    moves_nan=True,
)
