"""A Transpose that moves dims of size one only, next to a Reshape or Flatten.

What it does: removes the Transpose. The Reshape behind it reads the same elements in the same order; a Reshape in front
of it writes the transposed shape itself.
Why: TensorRT imports it as a layer of its own, and such a Transpose moves no element.
Before → After: `Reshape(Transpose<0,2,3,1>(x: [n, c, 1, 1]), [-1, c])` → `Reshape(x, [-1, c])`
Leaves alone: dims that are not known to be one; a Reshape that has a computed shape or copies a dim (0) that is moved;
a Flatten that would split the dims elsewhere; a Reshape in front whose result is read elsewhere or is a graph output.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_input
from surgery.graph.walk import producer
from surgery.passes.ops.axes import stored_shape
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG024"


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Transpose"):
        order, source, result = node.attrs.get("perm"), node.inputs[0], node.outputs[0]
        if source.shape is None or order is None or len(order) != len(source.shape):
            continue
        moved = [axis for axis in order if source.shape[axis] != 1]
        if moved != sorted(moved) or list(order) == sorted(order):
            continue
        readers = result.outputs
        if readers and not context.is_output(graph, result) and all(_fits(n, result, order, context) for n in readers):
            message = f"moves dims of size one only, and '{readers[0].name}' behind it sets the shape"
            yield finding(message, node, partial(_pass_by, node), *readers)
            continue
        first = producer(source, "Reshape")
        shape = None if first is None else stored_shape(first, context)
        if (
            first is not None
            and shape is not None
            and len(source.outputs) == 1
            and not context.is_output(graph, source)
        ):
            message = f"moves dims of size one only, which Reshape '{first.name}' can put there"
            fix = partial(_reshape, graph, node, first, [shape[axis] for axis in order], context)
            yield finding(message, node, fix, first)


def _fits(reader: gs.Node, tensor: gs.Tensor, order: Sequence[int], context: Context) -> bool:
    """Whether a reader of the transposed tensor does the same with the tensor itself."""
    if reader.domain or not reader.inputs or reader.inputs[0] is not tensor:
        return False
    if reader.op == "Reshape":
        shape = context.constant(reader.inputs[1]) if len(reader.inputs) == 2 else None
        zeros = [] if shape is None or reader.attrs.get("allowzero") else np.flatnonzero(shape == 0).tolist()
        return shape is not None and all(place < len(order) and order[place] == place for place in zeros)
    if reader.op != "Flatten" or not isinstance(reader.attrs.get("axis", 1), int):
        return False
    axis = reader.attrs.get("axis", 1)
    axis += len(order) if axis < 0 else 0
    ones = {place for place, dim in enumerate(tensor.shape or ()) if dim == 1}
    behind = [order[place] for place in range(axis) if place not in ones]
    kept = [place for place in range(axis) if order.index(place) not in ones]
    return tensor.shape is not None and sorted(behind) == kept


def _pass_by(node: gs.Node) -> None:
    source, result = node.inputs[0], node.outputs[0]
    for reader in list(result.outputs):
        replace_input(reader, 0, source)


def _reshape(graph: gs.Graph, node: gs.Node, first: gs.Node, shape: list[int], context: Context) -> None:
    build = Build(graph, node, context, CODE)
    build.replace(build("Reshape", first.inputs[0], np.asarray(shape, np.int64)))


PASS = Pass(code=CODE, name="unit-transpose", find=find, exact=True)
