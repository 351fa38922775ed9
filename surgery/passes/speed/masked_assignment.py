"""Assignment through a boolean mask, exported as NonZero and ScatterND.

What it does: computes the assigned value for every element, and selects it under the mask with Where.
Why: TensorRT-RTX has no NonZero. TensorRT has it, but the number of positions then depends on the data, and TensorRT
fuses nothing around it.
Before → After: `i = Transpose(NonZero(Expand(m, Shape(x)))); y = ScatterND(x, i, Expand(v, n))` → `y = Where(m, v, x)`
Leaves alone: values other than one number, one row for all positions, and sums, differences and products of `x[mask]`
with these, because only those do not depend on the order of the positions; a mask that is neither expanded to the
data's shape nor proved to have it; reductions.
Numerics: exact if the updates of the original ScatterND have as many rows as the mask has true elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding
from surgery.values import polynomials
from surgery.values.shapes import same_shape

CODE = "SG207"
ELEMENTWISE = ("Add", "Sub", "Mul")
DEEPEST = 8
Value = Callable[[Build], gs.Tensor]


@dataclass(frozen=True)
class Place:
    """Where is written: `mask` (of `rank` dims, the first of the data's) and the sizes of the dims after those."""

    data: gs.Tensor
    mask: gs.Tensor
    rank: int
    rest: tuple[int, ...] | None
    wider: bool = False


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 11:
        return
    for node in context.nodes(graph, "ScatterND"):
        if node.attrs.get("reduction", "none") not in ("none", b"none"):
            continue
        place = _place(node.inputs[0], _selected(node.inputs[1]))
        if place is None:
            continue
        value = _value(node.inputs[2], place, context)
        if value is not None:
            message = f"assigns where the mask '{place.mask.name}' is true"
            yield finding(message, node, partial(_choose, graph, node, place, value, context))


def _selected(indices: gs.Tensor) -> gs.Tensor | None:
    """The mask whose places, in order, are the rows of `indices`."""
    transpose = producer(indices, "Transpose")
    if transpose is None or list(transpose.attrs.get("perm", (1, 0))) != [1, 0]:
        return None
    nonzero = producer(transpose.inputs[0], "NonZero")
    mask = nonzero.inputs[0] if nonzero is not None else None
    return mask if mask is not None and mask.dtype is not None and np.dtype(mask.dtype) == bool else None


def _place(data: gs.Tensor, mask: gs.Tensor | None) -> Place | None:
    """How the mask's dims align with the data's; None where that is not proved."""
    if mask is None or data.shape is None or mask.shape is None:
        return None
    shape, rank = list(data.shape), len(mask.shape)
    expand = producer(mask, "Expand")
    if expand is not None and rank == len(shape) and (_is_shape_of(expand.inputs[1], data) or same_shape(mask, data)):
        narrow = expand.inputs[0]
        if narrow.shape is None or len(narrow.shape) != rank:
            return None
        while rank > 0 and narrow.shape[rank - 1] == 1:
            rank -= 1
        return Place(data, narrow, rank, _rest(shape[rank:]), wider=not _within(narrow, data))
    leading = gs.Variable("", shape=shape[:rank])
    if not 0 < rank <= len(shape) or not same_shape(mask, leading):
        return None
    return Place(data, mask, rank, _rest(shape[rank:]))


def _within(mask: gs.Tensor, data: gs.Tensor) -> bool:
    """Whether each dim of the mask is proved to be one or that of the data."""
    pairs = zip(polynomials.of_dims(mask.shape, mask), polynomials.of_dims(data.shape, data), strict=True)
    return all((polynomials.known(one) and one == 1) or one == other for one, other in pairs)


def _rest(dims: list[int | str | None]) -> tuple[int, ...] | None:
    return tuple(int(dim) for dim in dims) if all(isinstance(dim, (int, np.integer)) for dim in dims) else None  # type: ignore[arg-type]


def _is_shape_of(tensor: gs.Tensor, data: gs.Tensor) -> bool:
    shape = producer(tensor, "Shape")
    return shape is not None and shape.inputs[0] is data and not shape.attrs.get("start") and "end" not in shape.attrs


def _value(updates: gs.Tensor, place: Place, context: Context) -> Value | None:
    """What is written, as a tensor that broadcasts over the data; `updates` is the list of it, place by place."""
    flat = updates
    for _ in range(DEEPEST):
        node = producer(flat, "Reshape", "Slice")
        if node is None or not (_flattens(node, context) or _cuts(node, context)):
            break
        flat = node.inputs[0]
    row = context.static_shape(flat)
    if flat is not updates and place.rest and row == (int(np.prod(place.rest)),):
        return lambda build: build.reshape(flat, place.rest or ())
    return _lifted(flat, place, context, DEEPEST)


def _flattens(node: gs.Node, context: Context) -> bool:
    wanted = context.constant(node.inputs[1]) if node.op == "Reshape" else None
    return wanted is not None and wanted.tolist() == [-1]


def _cuts(node: gs.Node, context: Context) -> bool:
    """A Slice that keeps the first values, as many as there are places: others ScatterND does not take."""
    if node.op != "Slice" or len(node.inputs) < 3 or context.rank(node.inputs[0]) != 1:
        return False
    start = context.constant(node.inputs[1])
    steps = [context.constant(tensor) for tensor in node.inputs[4:] if not tensor.is_empty()]
    return start is not None and start.tolist() == [0] and all(s is not None and s.tolist() == [1] for s in steps)


def _lifted(tensor: gs.Tensor, place: Place, context: Context, depth: int) -> Value | None:
    """A tensor over the data that has, at the place of each row of `tensor`, that row."""
    shape = None if _is_selected(tensor) else context.static_shape(tensor)
    if shape is not None and int(np.prod(shape)) == 1:
        return lambda build: build.reshape(tensor, []) if shape else tensor
    node = producer(tensor, "Expand", "GatherND", *ELEMENTWISE)
    if node is None or not depth:
        return None
    if node.op == "Expand":
        return _expanded(node, place, context, depth)
    if node.op == "GatherND":
        mask = _selected(node.inputs[1])
        ours = mask is not None and not node.attrs.get("batch_dims") and _same_mask(mask, place)
        source = node.inputs[0]
        return (lambda build: source) if ours and (source is place.data or same_shape(source, place.data)) else None
    parts = [_row(side, place, context) or _lifted(side, place, context, depth - 1) for side in node.inputs]
    if any(part is None for part in parts) or not _rows(tensor, place):
        return None
    return lambda build: build(node.op, *(part(build) for part in parts if part is not None))


def _expanded(node: gs.Node, place: Place, context: Context, depth: int) -> Value | None:
    source = node.inputs[0]
    shape = context.static_shape(source)
    if shape is not None and int(np.prod(shape)) == 1:
        return lambda build: build.reshape(source, []) if shape else source
    if not _rows(node.outputs[0], place):
        return None
    return _row(source, place, context) or _lifted(source, place, context, depth - 1)


def _row(tensor: gs.Tensor, place: Place, context: Context) -> Value | None:
    """A tensor that is the same for every row: of at most the dims after the mask's, or one row of them."""
    shape = None if _is_selected(tensor) else context.static_shape(tensor)
    if shape is None or place.rest is None:
        return None
    if len(shape) <= len(place.rest):
        return lambda build: tensor
    if len(shape) == len(place.rest) + 1 and shape[0] == 1:
        return lambda build: build.reshape(tensor, shape[1:])
    return None


def _is_selected(tensor: gs.Tensor, depth: int = DEEPEST) -> bool:
    """Whether it holds what a mask selects: any number of rows, also where a model declares one."""
    node = producer(tensor, "GatherND", *ELEMENTWISE)
    if node is None or not depth:
        return False
    if node.op == "GatherND":
        return _selected(node.inputs[1]) is not None
    return any(_is_selected(side, depth - 1) for side in node.inputs)


def _rows(tensor: gs.Tensor, place: Place) -> bool:
    """Whether a tensor holds one row for each place of the mask."""
    rest = place.rest
    if rest is None or tensor.shape is None or len(tensor.shape) != len(rest) + 1:
        return False
    return all(
        isinstance(dim, (int, np.integer)) and dim == size for dim, size in zip(tensor.shape[1:], rest, strict=True)
    )


def _same_mask(mask: gs.Tensor, place: Place) -> bool:
    """Whether a mask is the one of the place, with or without the dims of size one behind it."""
    other = place.mask
    while mask is not other:
        unsqueeze = producer(other, "Unsqueeze")
        if unsqueeze is None or not _adds_last_dims(unsqueeze):
            return False
        other = unsqueeze.inputs[0]
    return mask.shape is not None and len(mask.shape) == place.rank


def _adds_last_dims(node: gs.Node) -> bool:
    axes = Context.constant(node.inputs[1]) if len(node.inputs) > 1 else node.attrs.get("axes")
    inner, outer = node.inputs[0].shape, node.outputs[0].shape
    if axes is None or inner is None or outer is None:
        return False
    return sorted(int(axis) % len(outer) for axis in np.ravel(axes)) == list(range(len(inner), len(outer)))


def _choose(graph: gs.Graph, node: gs.Node, place: Place, value: Value, context: Context) -> None:
    build = Build(graph, node, context, CODE)
    mask = place.mask
    if place.wider:  # ScatterND takes no place outside the data, so that only false elements go
        count = len(mask.shape)
        mask = build("Slice", mask, build.ints([0] * count), build("Shape", place.data), build.ints(list(range(count))))
    missing = len(place.data.shape) - len(mask.shape)
    if missing:
        mask = build.unsqueeze(mask, *range(len(mask.shape), len(mask.shape) + missing))
    build.replace(build("Where", mask, value(build), place.data))


PASS = Pass(code=CODE, name="masked-assignment", find=find, exact=True, kind="speed")
