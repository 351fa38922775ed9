"""Reshape to a shape that is computed at run time although at most one dim of it is really free.

What it does: writes the shape as a constant: numbers where dims are known, 0 (copy) where a dim is the input's own dim
at the same place, -1 for the one dim that is left.
Why: computed shapes become host work at run time and keep Myelin from fusing across the Reshape.
Before → After: `Reshape(x: [n, 12], Concat(Shape(x)[:1], [3, 4]))` → `Reshape(x, [0, 3, 4])`
Leaves alone: shapes with two free dims that are not copies, and those where a given -1 meets a free dim.
Numerics: exact for every tensor that has elements; -1 has no meaning for an empty one, which is then an error at run
time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_input
from surgery.graph.nodes import Constant
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding
from surgery.values import polynomials
from surgery.values.propagate import contents, of


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 7:
        return
    for node in context.nodes(graph, "Reshape"):
        if len(node.inputs) != 2 or context.constant(node.inputs[1]) is not None:
            continue
        wanted = of(node.inputs[1], contents(graph, context))
        if wanted is None or wanted.ndim != 1:
            continue
        shape = constant_shape(node.inputs[0], list(wanted), bool(node.attrs.get("allowzero")))
        if shape is not None:
            yield finding(f"the shape is {shape} for every input", node, partial(_write, node, shape))


def constant_shape(source: gs.Tensor, wanted: list[Any], allowzero: bool) -> list[int] | None:
    """The shape operand in numbers, 0 and -1, or None where two dims stay free."""
    own = polynomials.of_dims(source.shape, source) if source.shape is not None else []
    free = [place for place, dim in enumerate(wanted) if not polynomials.known(dim)]
    shape = [0 if place in free else int(dim) for place, dim in enumerate(wanted)]
    copied = [] if allowzero else [p for p in free if p < len(own) and own[p] == wanted[p]]
    left = [place for place in free if place not in copied]
    if len(left) > 1 or (left and -1 in shape):
        return None
    if left:
        shape[left[0]] = -1
    return shape


def _write(node: gs.Node, shape: list[int]) -> None:
    replace_input(node, 1, Constant(node.inputs[1].name, np.asarray(shape, dtype=np.int64)))


PASS = Pass(code="SG007", name="computed-reshape-shape", find=find, exact=True)
