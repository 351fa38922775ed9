"""ScatterND and ScatterElements with a reduction: add, mul, max or min.

What it does: compares every index with every position (Equal), spreads the updates over the positions that match
(Where), and reduces them onto the data. Without any update the data is the result.
Why: TensorRT's scatter layers only overwrite.
Before → After: `y = ScatterND<reduction = "add">(x, i, u)` → `y = x + ReduceSum(Where(Equal(i, places), u, 0), 0)`
Leaves alone: data whose size along the scattered axes is unknown; comparisons of more than 4M elements, where a free
number of updates counts as 256 (TensorRT-RTX computes the comparison and the reduction in one kernel and stores no
comparison, onnxruntime stores it); types other than float32, float16, int32 and int64 (products of floats only), for
which TensorRT's reductions are exact.
Numerics: maxima, minima and integers are exact; sums and products are taken in another order, and -0 in the data may
become 0 in a sum. A NaN in the data or in an update gives NaN, where onnxruntime's maxima and minima may lose it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.axes import reshaped
from surgery.passes.ops.build import Build
from surgery.passes.ops.sums import FREE, LARGEST, whole_sum
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

FLOATS = ("float32", "float16")
TYPES = {  # onnxruntime multiplies integers in floating point of 53 bits
    "add": (*FLOATS, "int32", "int64"),
    "mul": FLOATS,
    "max": (*FLOATS, "int32", "int64"),
    "min": (*FLOATS, "int32", "int64"),
}
Reduce = Callable[[gs.Tensor, gs.Tensor, int], gs.Tensor]
REDUCTIONS = {  # reduction: (reducing operator, combining operator)
    "add": ("ReduceSum", "Add"),
    "mul": ("ReduceProd", "Mul"),
    "max": ("ReduceMax", "Max"),
    "min": ("ReduceMin", "Min"),
}


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "ScatterND", "ScatterElements"):
        reduction, data = node.attrs.get("reduction", "none"), node.inputs[0]
        if reduction not in REDUCTIONS or data.dtype is None or np.dtype(data.dtype).name not in TYPES[reduction]:
            continue
        if node.op == "ScatterElements" and context.target.refuses("scatter-elements-reduction") is None:
            continue
        size = _compared(node)
        if size is not None and size <= LARGEST:
            message = f"{context.target.name} has no {node.op} with reduction '{reduction}'{_cost(node)}"
            yield finding(message, node, partial(rewrite, graph, node, context))


def _compared(node: gs.Node) -> int | None:
    """Elements that the comparison holds, free dims of the data left out; None where the form needs more known."""
    data, index = (tensor.shape for tensor in node.inputs[:2])
    if not data or not index:
        return None
    if node.op == "ScatterND":
        depth, counted = index[-1], index[:-1]
        if not isinstance(depth, int) or not 0 < depth <= len(data):
            return None
        scattered, kept = data[:depth], data[depth:]
    else:
        axis = _axis(node)
        scattered, counted, kept = data[axis : axis + 1], index, ()
    if not all(isinstance(dim, int) for dim in scattered):
        return None
    free = 1 if all(isinstance(dim, int) for dim in counted) else FREE
    return free * prod(dim for dim in (*scattered, *counted, *kept) if isinstance(dim, int))


def _cost(node: gs.Node) -> str:
    """What the comparison holds, where the number of updates is free."""
    data, index = (tensor.shape for tensor in node.inputs[:2])
    counted, depth = (index[:-1], index[-1]) if node.op == "ScatterND" else (index, 0)
    if all(isinstance(dim, int) for dim in counted):
        return ""
    places = prod(data[:depth]) if depth else data[_axis(node)]
    return f"; each of a free number of updates is compared with {places:,} places"


def _axis(node: gs.Node) -> int:
    return int(node.attrs.get("axis", 0)) % len(node.inputs[0].shape)


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Equal, Where, reduce, combine."""
    build = Build(graph, node, context, PASS.code)
    data, index = node.inputs[:2]
    if 0 in data.shape or 0 in index.shape:
        build.replace(data)
        return
    reduction = node.attrs["reduction"]
    spread = _elements if node.op == "ScatterElements" else _slices
    reduced = spread(build, node, partial(_reduce, build, reduction, np.dtype(data.dtype)))
    build.replace(build(REDUCTIONS[reduction][1], data, reduced))


def _slices(build: Build, node: gs.Node, reduce: Reduce) -> gs.Tensor:
    """What ScatterND adds to every slice of the data, in the shape of the data."""
    data, index, updates = node.inputs
    depth, counted = index.shape[-1], len(index.shape) - 1
    outer, inner = data.shape[:depth], data.shape[depth:]
    strides = np.array([prod(outer[place + 1 :]) for place in range(depth)], np.int64)
    rows = index if counted == 1 else build.reshape(index, [-1, depth])
    row = build.axes("ReduceSum", build("Mul", _positive(build, rows, np.array(outer)), strides), [1], keepdims=1)
    hit = build("Equal", row, np.arange(prod(outer), dtype=np.int64).reshape(1, -1))
    known = all(isinstance(dim, int) for dim in inner)
    if known:
        wide = build.reshape(updates, [-1, 1, prod(inner)])
    elif counted == 1:
        wide = build.unsqueeze(updates, 1)
    else:
        count, kept = build("Shape", rows, end=1), build("Shape", data, start=depth)
        wide = reshaped(build, updates, build("Concat", count, build.ints([1]), kept, axis=0))
    reduced = reduce(build.unsqueeze(hit, *range(2, 3 if known else 2 + len(inner))), wide, 0)
    if not known and depth == 1:
        return reduced
    return build.reshape(reduced, data.shape) if known else reshaped(build, reduced, build("Shape", data))


def _elements(build: Build, node: gs.Node, reduce: Reduce) -> gs.Tensor:
    """What ScatterElements adds to every element of the data, in the shape of the data."""
    data, index, updates = node.inputs
    axis, rank = _axis(node), len(data.shape)
    at = build.unsqueeze(_positive(build, index, np.array(data.shape[axis])), axis + 1)
    places = np.arange(data.shape[axis]).reshape([-1 if place == axis + 1 else 1 for place in range(rank + 1)])
    hit = build("Equal", at, places.astype(index.dtype))
    reduced = reduce(hit, build.unsqueeze(updates, axis + 1), axis)
    others = [(a, b) for place, (a, b) in enumerate(zip(data.shape, index.shape, strict=True)) if place != axis]
    if all(isinstance(a, int) and a == b for a, b in others):
        return reduced
    missing = build("Sub", build.shape(data), build.shape(reduced))
    pads = build("Concat", build.ints([0] * rank), missing, axis=0)
    return build("Pad", reduced, pads, build.constant(neutral_of(node.attrs["reduction"], data.dtype)))


def _reduce(
    build: Build, reduction: str, kind: np.dtype[Any], hit: gs.Tensor, updates: gs.Tensor, axis: int
) -> gs.Tensor:
    """The updates where `hit` is true, reduced over one axis; sums of integers wrap around as those of a scatter do."""
    if reduction == "add" and kind.kind != "f":
        return whole_sum(build, build("Where", hit, updates, build.constant(0, kind)), [axis])
    neutral = build.constant(neutral_of(reduction, kind))
    return build.axes(REDUCTIONS[reduction][0], build("Where", hit, updates, neutral), [axis], keepdims=0)


def _positive(build: Build, index: gs.Tensor, sizes: np.ndarray) -> gs.Tensor:
    """Indices counted from the front."""
    return build("Where", build("Less", index, 0), build("Add", index, sizes.astype(index.dtype)), index)


def neutral_of(reduction: str, dtype: object) -> np.ndarray:
    """The neutral element of the reduction."""
    kind = np.dtype(dtype)  # type: ignore[call-overload]
    if reduction in ("add", "mul"):
        return np.array(int(reduction == "mul"), kind)
    if kind.kind == "f":
        return np.array(-np.inf if reduction == "max" else np.inf, kind)
    limits = np.iinfo(kind)
    return np.array(limits.min if reduction == "max" else limits.max, kind)


PASS = Pass(code="SG140", name="scatter-reduction", find=find, exact=False, kind="replace", feature="scatter-reduction")
