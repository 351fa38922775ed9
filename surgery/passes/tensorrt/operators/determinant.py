"""Det of small matrices.

What it does: writes the expansion along the first row, with slices for the elements.
Why: TensorRT's parser has no Det.
Before → After: `y = Det(x)` on [2, 2] → `y = x[0, 0] * x[1, 1] - x[0, 1] * x[1, 0]`
Leaves alone: matrices of unknown size or larger than 4 by 4.
Numerics: products and sums are taken in another order than in an LU decomposition.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 4


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Det"):
        shape = node.inputs[0].shape
        if shape is not None and len(shape) > 1 and isinstance(shape[-1], int) and 0 < shape[-1] <= LARGEST:
            yield finding(f"{context.target.name} has no Det", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Take the elements out and expand."""
    build = Build(graph, node, context, PASS.code)
    data = node.inputs[0]
    rank, size = len(data.shape), int(data.shape[-1])
    cells = {}
    for row in range(size):
        for column in range(size):
            cell = build.slice(data, [rank - 2, rank - 1], [row, column], [row + 1, column + 1])
            cells[row, column] = build.squeeze(cell, rank - 2, rank - 1)
    build.replace(expansion(build, cells, 0, tuple(range(size))))


def expansion(build: Build, cells: dict[tuple[int, int], gs.Tensor], row: int, columns: tuple[int, ...]) -> gs.Tensor:
    """Determinant of the rows from `row` on and these columns."""
    if len(columns) == 1:
        return cells[row, columns[0]]
    total = None
    for place, column in enumerate(columns):
        rest = expansion(build, cells, row + 1, columns[:place] + columns[place + 1 :])
        term = build("Mul", cells[row, column], rest)
        total = term if total is None else build("Sub" if place % 2 else "Add", total, term)
    return total


PASS = Pass(code="SG129", name="determinant", find=find, exact=False, kind="replace", feature="determinant")
