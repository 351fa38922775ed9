"""CumProd.

What it does: multiplies slice by slice along the axis and concatenates the products; a runtime axis is chosen among the
results for all axes with Where.
Why: TensorRT's parser has no CumProd.
Before → After: `y = CumProd(x, 1)` on [2, 3] → `a = x[:, :1]; b = a * x[:, 1:2]; c = b * x[:, 2:]; y = Concat(a, b, c)`
Leaves alone: data of unknown size; axes longer than 256.
Numerics: exact; the products are taken in the order of the definition.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LONGEST = 256


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "CumProd"):
        shape, axis = context.static_shape(node.inputs[0]), context.constant(node.inputs[1])
        if not shape or 0 in shape or node.inputs[0].dtype is None:
            continue
        axes = list(range(len(shape))) if axis is None else [int(np.ravel(axis)[0]) % len(shape)]
        if sum(shape[place] for place in axes) <= LONGEST:
            yield finding(f"{context.target.name} has no CumProd", node, partial(rewrite, graph, node, context, axes))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, axes: list[int]) -> None:
    """Running products along each of `axes`, chosen by the axis input where there are several."""
    build = Build(graph, node, context, PASS.code)
    data, axis = node.inputs
    value = along(build, data, axes[0])
    for place in axes[1:]:
        where = build.reshape(axis, [])
        here = build("Or", build("Equal", where, place), build("Equal", where, place - len(data.shape)))
        value = build("Where", here, along(build, data, place), value)
    build.replace(value)


def along(build: Build, data: gs.Tensor, axis: int) -> gs.Tensor:
    """The running product along one axis, reversed or exclusive as the node says."""
    count = data.shape[axis]
    order = list(range(count))
    if build.node.attrs.get("reverse", 0):
        order.reverse()
    parts: dict[int, gs.Tensor] = {}
    shape = [1 if place == axis else size for place, size in enumerate(data.shape)]
    product = None
    for index in order:
        piece = build.slice(data, [axis], [index], [index + 1])
        total = piece if product is None else build("Mul", product, piece)
        if build.node.attrs.get("exclusive", 0):
            parts[index] = build.constant(np.ones(shape), data.dtype) if product is None else product
        else:
            parts[index] = total
        product = total
    return build("Concat", *(parts[index] for index in range(count)), axis=axis)


PASS = Pass(code="SG114", name="cumulative-product", find=find, exact=True, kind="replace", feature="cumprod")
