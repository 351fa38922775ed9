"""A Gather of the only element of a dim, or a Squeeze, next to a Reshape.

What it does: lets the Reshape in front leave the dim out; a Reshape behind reads the tensor with the dim, since it sets
the shape anyway.
Why: TensorRT imports a Gather as a layer that reads and writes the whole tensor.
Before → After: `Gather<axis: 0>(Reshape(x, [1, 96, -1]), 0)` → `Reshape(x, [96, -1])`
Leaves alone: dims that are not known to be one; several indices; a Reshape in front that has a computed shape, copies
dims (0), or whose result is read elsewhere or is a graph output; a Reshape behind that copies dims.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_input
from surgery.graph.walk import producer
from surgery.passes.ops.axes import stored_shape
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG028"


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Gather", "Squeeze"):
        dropped = _dropped(node, context)
        rest = _rest(graph, node, dropped, context) if dropped else None
        if rest is not None:
            before = node.inputs[0].inputs[0]
            fix = partial(_reshape, graph, node, before, rest, context)
            yield finding(f"drops dims of one that Reshape '{before.name}' need not make", node, fix, before)
        elif dropped and node.op == "Gather" and _only_reshaped(graph, node.outputs[0], context):
            readers = list(node.outputs[0].outputs)
            message = f"takes the only element of a dim, and '{readers[0].name}' behind it sets the shape"
            yield finding(message, node, partial(_pass_by, readers, node.inputs[0]), *readers)


def _rest(graph: gs.Graph, node: gs.Node, dropped: Sequence[int], context: Context) -> list[int] | None:
    """What the Reshape in front would set without the dropped dims; None where there is none that may change."""
    source = node.inputs[0]
    before = producer(source, "Reshape")
    shape = None if before is None else _shape_of(before, context)
    if shape is None or len(source.outputs) != 1 or context.is_output(graph, source):
        return None
    fits = all(shape[axis] == 1 for axis in dropped)
    return [dim for axis, dim in enumerate(shape) if axis not in dropped] if fits else None


def _only_reshaped(graph: gs.Graph, tensor: gs.Tensor, context: Context) -> bool:
    shapes = [_shape_of(reader, context) for reader in tensor.outputs if reader.inputs[0] is tensor]
    return (
        bool(shapes)
        and len(shapes) == len(tensor.outputs)
        and None not in shapes
        and not context.is_output(graph, tensor)
    )


def _dropped(node: gs.Node, context: Context) -> list[int]:
    """Axes of size one that the node drops; empty where it does something else or is not known to do so."""
    source = node.inputs[0]
    rank = context.rank(source)
    if not rank:
        return []
    if node.op == "Gather":
        index = context.constant(node.inputs[1])
        single = index is not None and index.ndim == 0 and int(index) in (0, -1)
        axes = [node.attrs.get("axis", 0)] if single else []
    else:
        given = context.constant(node.inputs[1]) if len(node.inputs) == 2 else node.attrs.get("axes")
        axes = [] if given is None else [int(axis) for axis in given]
    axes = [axis % rank for axis in axes if isinstance(axis, int)]
    return axes if all(source.shape[axis] == 1 for axis in axes) and len(axes) < rank else []


def _shape_of(node: gs.Node, context: Context) -> list[int] | None:
    """The constant shape that a Reshape sets, where it copies no dim; None for other operators."""
    return stored_shape(node, context) if node.op == "Reshape" and not node.domain else None


def _reshape(graph: gs.Graph, node: gs.Node, before: gs.Node, shape: Sequence[int], context: Context) -> None:
    build = Build(graph, node, context, CODE)
    build.replace(build.reshape(before.inputs[0], shape))


def _pass_by(readers: Sequence[gs.Node], source: gs.Tensor) -> None:
    for reader in readers:
        replace_input(reader, 0, source)


PASS = Pass(code=CODE, name="only-element", find=find, exact=True)
