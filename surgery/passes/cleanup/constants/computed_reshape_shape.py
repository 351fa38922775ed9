"""Reshape whose shape is computed at run time although at most one dim of it changes.

What it does: stores the shape as a constant: a number for each known dim, 0 (copy) for a dim that equals the input's
dim at the same place, and -1 for the one dim that remains.
Why: TensorRT computes such a shape on the host at every run, and Myelin does not fuse across the Reshape.
Before → After: `Reshape(x: [n, 12], Concat(Shape(x)[:1], [3, 4]))` → `Reshape(x, [0, 3, 4])`
Leaves alone: shapes with two free dims that are not copies; shapes that already hold a -1 beside a free dim; shapes
that would get a -1 beside a dim that may be zero, since such a Reshape fails for an empty tensor; an
output of the graph that is declared with another rank.
Numerics: exact.
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
from surgery.values.propagate import content_of, contents


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 7:
        return
    for node in context.nodes(graph, "Reshape"):
        if len(node.inputs) != 2 or context.constant(node.inputs[1]) is not None:
            continue
        wanted = content_of(node.inputs[1], contents(graph, context))
        if wanted is None or wanted.ndim != 1:
            continue
        shape = constant_shape(node.inputs[0], list(wanted), bool(node.attrs.get("allowzero")))
        if shape is not None and not _contradicts(graph, node.outputs[0], shape):
            yield finding(f"the computed shape is always {shape}", node, partial(_write, node, shape))


def _contradicts(graph: gs.Graph, output: gs.Tensor, shape: list[int]) -> bool:
    """Whether the graph declares an output of another rank: a checker sees this only once the shape is constant."""
    info = vars(graph).get("output_infos", {}).get(output.name)
    kind = None if info is None else info.type.tensor_type
    return kind is not None and kind.HasField("shape") and len(kind.shape.dim) != len(shape)


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
        # Runtimes refuse a -1 beside a dim of zero, because any number would fit.
        rest = [own[place] if place in copied else dim for place, dim in enumerate(shape) if place != left[0]]
        if not all(polynomials.surely_positive(dim) for dim in rest):
            return None
        shape[left[0]] = -1
    return shape


def _write(node: gs.Node, shape: list[int]) -> None:
    replace_input(node, 1, Constant(node.inputs[1].name, np.asarray(shape, dtype=np.int64)))


PASS = Pass(code="SG007", name="computed-reshape-shape", find=find, exact=True)
