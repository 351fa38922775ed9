"""Rotary position encoding written as a product with a table of 2x2 matrices.

What it does: writes `[a, b; c, d] @ [s, t]` as `[a, d] * [s, t] + [b, c] * [t, s]`, for the whole table at once.
Why: TensorRT holds the table of matrices at full size beside the products. SAM2 memory attention as NVIDIA's exporter
writes it, built by TensorRT-RTX 1.7.1: weights 41 → 32 MB, scratch memory 1324 → 1260 MB, kernels 108 → 107. In
onnxruntime the whole module takes 0.7 times the processor time that it took before.
Before → After: `y = MatMul(table, x)` with x [..., 2, 1] → `y = x * own + Gather<axis=-2>(x, [1, 0]) * other`
Leaves alone: tables that are neither constant nor a Tile of a constant, a Tile along the matrices themselves, matrices
that are not proved to be 2x2, integers.
Numerics: within rounding: some runtimes sum the product without rounding in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding
from surgery.values.propagate import content_of, contents

CODE = "SG208"
Halves = dict[int, list[gs.Constant]]  # what each table is split into, by its id


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 7:
        return
    halves: Halves = {}
    for node in context.nodes(graph, "MatMul"):
        table, vector = node.inputs
        if vector.shape is None or list(vector.shape[-2:]) != [2, 1] or len(vector.shape) < 3:
            continue
        constant, tile = _table(graph, table, context)
        if constant is None or len(constant.shape) < 3 or list(constant.shape[-2:]) != [2, 2]:
            continue
        if constant.dtype is None or np.dtype(constant.dtype).kind != "f":
            continue
        yield finding(
            "multiplies pairs by a table of 2x2 matrices",
            node,
            partial(_write, graph, node, constant, tile, context, halves),
        )


def _table(graph: gs.Graph, tensor: gs.Tensor, context: Context) -> tuple[gs.Constant | None, gs.Node | None]:
    """The constant table, and the Tile that repeats it along other dims than those of the matrices."""
    if isinstance(tensor, gs.Constant):
        return tensor, None
    tile = tensor.inputs[0] if len(tensor.inputs) == 1 else None
    if tile is None or tile.op != "Tile" or tile.domain or not isinstance(tile.inputs[0], gs.Constant):
        return None, None
    repeats = content_of(tile.inputs[1], contents(graph, context))
    return (tile.inputs[0], tile) if repeats is not None and list(repeats[-2:]) == [1, 1] else (None, None)


def _write(
    graph: gs.Graph, node: gs.Node, table: gs.Constant, tile: gs.Node | None, context: Context, halves: Halves
) -> None:
    """Args: halves: those of the tables that are split already."""
    build = Build(graph, node, context, CODE)
    pair = node.inputs[1]
    if id(table) not in halves:
        values = np.asarray(table.values)
        own = np.stack([values[..., 0, :1], values[..., 1, 1:]], -2)
        other = np.stack([values[..., 0, 1:], values[..., 1, :1]], -2)
        halves[id(table)] = [build.constant(part, values.dtype) for part in (own, other)]
    parts = halves[id(table)]
    if tile is not None:
        parts = [build("Tile", part, tile.inputs[1]) for part in parts]
    swapped = build("Gather", pair, build.ints([1, 0]), axis=len(pair.shape) - 2)
    build.replace(build("Add", build("Mul", pair, parts[0]), build("Mul", swapped, parts[1])))


PASS = Pass(code=CODE, name="rotation-product", find=find, exact=False, kind="speed")
