"""Col2Im, which adds overlapping patches into an image.

What it does: gathers, for every pixel, the value that each element of the patch adds to it (or a zero), and sums these
values.
Why: TensorRT's parser has no Col2Im.
Before → After: `y = Col2Im(x, image, block)` → `y = ReduceSum(Gather(Concat(x, 0), <table>))`
Leaves alone: images of unknown size; blocks known only at run time; tables of more than 4M elements.
Numerics: the terms of a pixel are added in another order.
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

LARGEST = 1 << 22


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Col2Im"):
        image, block = (context.constant(tensor) for tensor in node.inputs[1:3])
        shape = context.static_shape(node.inputs[0])
        if image is None or block is None or shape is None or len(shape) != 3 or 0 in shape:
            continue
        sizes, patch = [int(size) for size in image], tuple(int(size) for size in block)
        if node.inputs[0].dtype is None or not fits(node, shape, sizes, patch):
            continue
        if shape[0] * shape[1] * prod(sizes) <= LARGEST:
            message = f"{context.target.name} has no Col2Im"
            yield finding(message, node, partial(rewrite, graph, node, context, sizes, patch))


def steps(node: gs.Node, sizes: list[int], block: tuple[int, ...]) -> list[int]:
    """How many patches there are along each axis."""
    rank = len(sizes)
    strides, dilations = (node.attrs.get(name) or [1] * rank for name in ("strides", "dilations"))
    pads = node.attrs.get("pads") or [0] * (2 * rank)
    return [
        (sizes[axis] + pads[axis] + pads[axis + rank] - dilations[axis] * (block[axis] - 1) - 1) // strides[axis] + 1
        for axis in range(rank)
    ]


def fits(node: gs.Node, shape: tuple[int, ...], sizes: list[int], block: tuple[int, ...]) -> bool:
    """Whether columns of this shape make an image of these sizes from such blocks."""
    if len(block) != len(sizes) or min(block, default=0) < 1 or shape[1] % prod(block):
        return False
    along = steps(node, sizes, block)
    return min(along) > 0 and prod(along) == shape[2]


def table(node: gs.Node, sizes: list[int], block: tuple[int, ...]) -> np.ndarray:
    """int64[places of the block, pixels]: the element of [block x patches] that lands there, or one past the end."""
    rank, along = len(sizes), steps(node, sizes, block)
    strides, dilations = (node.attrs.get(name) or [1] * rank for name in ("strides", "dilations"))
    pads = node.attrs.get("pads") or [0] * (2 * rank)
    count, patches = prod(block), prod(along)
    places = np.full((count, prod(sizes)), count * patches, np.int64)
    for place, offset in enumerate(np.ndindex(*block)):
        for patch, start in enumerate(np.ndindex(*along)):
            at = [start[a] * strides[a] + offset[a] * dilations[a] - pads[a] for a in range(rank)]
            if all(0 <= at[axis] < sizes[axis] for axis in range(rank)):
                places[place, np.ravel_multi_index(at, sizes)] = place * patches + patch
    return places


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, sizes: list[int], block: tuple[int, ...]) -> None:
    """One Gather and one sum."""
    build = Build(graph, node, context, PASS.code)
    data, volume = node.inputs[0], prod(block)
    batch, rows, patches = data.shape
    channels = rows // volume
    places = build.constant(table(node, sizes, block).ravel())
    flat = build.reshape(data, [batch, channels, volume * patches])
    padded = build("Concat", flat, np.zeros((batch, channels, 1), np.dtype(data.dtype)), axis=2)
    spread = build.reshape(build("Gather", padded, places, axis=2), [batch, channels, volume, prod(sizes)])
    build.replace(build.reshape(build.axes("ReduceSum", spread, [2], keepdims=0), [batch, channels, *sizes]))


PASS = Pass(code="SG142", name="col2im", find=find, exact=False, kind="replace", feature="col2im")
