"""Assignment to a constant slice, exported as ScatterND.

What it does: concatenates the data before the slice, the updates, and the data after the slice.
Why: TensorRT runs ScatterND as a kernel of its own and fuses nothing into it; Slice and Concat mostly disappear into
the kernels around them.
Before → After: `y = ScatterND(x, [[2],[3]], u)` → `y = Concat<axis=0>(x[:2], u, x[4:])`
Leaves alone: indices that are computed, that skip or repeat positions, or that select a part of two axes; reductions;
data of unknown shape.
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

CODE = "SG205"
Block = tuple[list[int], list[int]]


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "ScatterND"):
        shape, indices = context.static_shape(node.inputs[0]), context.constant(node.inputs[1])
        if shape is None or indices is None or node.attrs.get("reduction", "none") not in ("none", b"none"):
            continue
        block = _block(indices, shape)
        if block is None:
            continue
        starts, counts = block
        partial_axes = [axis for axis, count in enumerate(counts) if count != shape[axis]]
        if len(partial_axes) > 1:
            continue
        axis = partial_axes[0] if partial_axes else 0
        message = f"assigns to positions {starts[axis]} to {starts[axis] + counts[axis] - 1} of axis {axis}"
        yield finding(message, node, partial(_write, graph, node, block, axis, shape, context))


def _block(indices: np.ndarray, shape: tuple[int, ...]) -> Block | None:
    """First place and number of places along each indexed axis, when the indices are a whole block in order."""
    depth = indices.shape[-1] if indices.ndim else 0
    if not depth or depth > len(shape) or not indices.size:
        return None
    rows = indices.reshape(-1, depth).astype(np.int64)
    rows = np.where(rows < 0, rows + np.array(shape[:depth]), rows)
    starts, ends = rows.min(0), rows.max(0) + 1
    counts = ends - starts
    if int(np.prod(counts)) != len(rows):
        return None
    grid = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(starts, ends, strict=True)), indexing="ij"), -1)
    if not np.array_equal(grid.reshape(-1, depth), rows):
        return None
    return starts.tolist(), counts.tolist()


def _write(graph: gs.Graph, node: gs.Node, block: Block, axis: int, shape: tuple[int, ...], context: Context) -> None:
    starts, counts = block
    build = Build(graph, node, context, CODE)
    data, updates = node.inputs[0], node.inputs[2]
    wanted = [*counts, *shape[len(counts) :]]
    if context.static_shape(updates) != tuple(wanted):
        updates = build.reshape(updates, wanted)
    parts = [updates]
    end = starts[axis] + counts[axis]
    if starts[axis] > 0:
        parts.insert(0, build.slice(data, [axis], [0], [starts[axis]]))
    if end < shape[axis]:
        parts.append(build.slice(data, [axis], [end], [shape[axis]]))
    build.replace(build("Concat", *parts, axis=axis))


PASS = Pass(code=CODE, name="slice-assignment", find=find, exact=True, kind="speed")
