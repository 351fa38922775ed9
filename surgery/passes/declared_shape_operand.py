"""Shape operands that the declared static output shape already tells.

What it does: puts a constant in the place of a size, depth or count that is an input of the model, read off the
output shape the model declares.
Why: it wants the depth of OneHot and the sizes of AffineGrid, CenterCropPad, MaxUnpool and Col2Im when
it builds the engine.
Before → After: `y = OneHot(i, depth, values)` with y declared [3, 5] → `y = OneHot(i, 5, values)`
Leaves alone: operands that are constants; outputs whose shape is not declared static; operators the target takes with
such operands.
Numerics: exact as long as the declared shape is true, which is why it runs only with --trust-declared-shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

Shape = tuple[int, ...]


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, *OPERANDS):
        place, read = OPERANDS[node.op]
        if (
            len(node.inputs) <= place
            or node.inputs[place].is_empty()
            or context.constant(node.inputs[place]) is not None
        ):
            continue
        shape = context.static_shape(node.outputs[0])
        value = None if shape is None or node.inputs[place].dtype is None else read(node, shape)
        if value is not None:
            message = f"'{node.inputs[place].name}' is told by the declared output shape"
            yield finding(message, node, partial(pin, graph, node, context, place, value))


def pin(graph: gs.Graph, node: gs.Node, context: Context, place: int, value: list[int] | int) -> None:
    """Put the constant in the operand's place."""
    operand = node.inputs[place]
    array = np.array(value, np.dtype(operand.dtype))
    shape = context.static_shape(operand)
    build = Build(graph, node, context, PASS.code)
    node.inputs[place] = build.constant(array if shape is None else array.reshape(shape))


def depth(node: gs.Node, shape: Shape) -> int:
    """Of OneHot."""
    return shape[int(node.attrs.get("axis", -1)) % len(shape)]


def grid_size(node: gs.Node, shape: Shape) -> list[int]:
    """Of AffineGrid: batch, channels (which do not matter), and the spatial dims."""
    return [shape[0], 1, *shape[1:-1]]


def crop(node: gs.Node, shape: Shape) -> list[int]:
    """Of CenterCropPad."""
    axes = node.attrs.get("axes", range(len(shape)))
    return [shape[axis] for axis in axes]


def whole(node: gs.Node, shape: Shape) -> list[int]:
    """The output shape itself."""
    return list(shape)


def spatial(node: gs.Node, shape: Shape) -> list[int]:
    """Of Col2Im: the image."""
    return list(shape[2:])


OPERANDS: dict[str, tuple[int, Callable[[gs.Node, Shape], list[int] | int]]] = {
    "OneHot": (1, depth),
    "AffineGrid": (1, grid_size),
    "CenterCropPad": (1, crop),
    "MaxUnpool": (2, whole),
    "Col2Im": (1, spatial),
}

PASS = Pass(code="SG170", name="declared-shape-operand", find=find, exact=False, kind="trusted")
