"""ScatterND and ScatterElements with a reduction: add, mul, max or min.

What it does: compares every index with every position (Equal), spreads the updates over the positions that match
(Where), and reduces them onto the data.
Why: TensorRT's scatter layers only overwrite.
Before → After: `y = ScatterND<reduction = "add">(x, i, u)` → `y = x + ReduceSum(Where(Equal(i, places), u, 0), 0)`
Leaves alone: scatters that overwrite; sizes that are unknown or whose comparison would hold more than 4M elements;
ScatterElements whose updates are narrower than the data in the dims other than the axis; types other than float32,
float16 and int32 (products of floats only), for which TensorRT's reductions are exact.
Numerics: maxima and minima are exact; sums and products are taken in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 1 << 22
FLOATS = ("float32", "float16")
TYPES = {  # onnxruntime sums and multiplies integers in floating point of 53 bits
    "add": (*FLOATS, "int32"),
    "mul": FLOATS,
    "max": (*FLOATS, "int32"),
    "min": (*FLOATS, "int32"),
}
REDUCTIONS = {  # reduction: (reducing operator, combining operator)
    "add": ("ReduceSum", "Add"),
    "mul": ("ReduceProd", "Mul"),
    "max": ("ReduceMax", "Max"),
    "min": ("ReduceMin", "Min"),
}


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "ScatterND", "ScatterElements"):
        shapes = [context.static_shape(tensor) for tensor in node.inputs]
        if node.attrs.get("reduction", "none") not in REDUCTIONS or None in shapes or node.inputs[0].dtype is None:
            continue
        if node.op == "ScatterElements" and context.target.refuses("scatter-elements-reduction") is None:
            continue
        data, index, _ = (shape or () for shape in shapes)
        kinds = TYPES[node.attrs["reduction"]]
        if np.dtype(node.inputs[0].dtype).name not in kinds or 0 in data or 0 in index or not data:
            continue
        if node.op == "ScatterND":
            size = int(np.prod(index[:-1])) * int(np.prod(data))
        else:
            axis = int(node.attrs.get("axis", 0)) % len(data)
            size = int(np.prod(index)) * data[axis]
            if any(a != b for place, (a, b) in enumerate(zip(data, index, strict=True)) if place != axis):
                continue
        if size <= LARGEST:
            message = f"{context.target.name} has no {node.op} with reduction '{node.attrs['reduction']}'"
            yield finding(message, node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Equal, Where, reduce, combine."""
    build = Build(graph, node, context, PASS.code)
    data, index, updates = node.inputs
    reducing, combining = REDUCTIONS[node.attrs["reduction"]]
    neutral = build.constant(neutral_of(node.attrs["reduction"], data.dtype))
    if node.op == "ScatterElements":
        axis = int(node.attrs.get("axis", 0)) % len(data.shape)
        at = build.unsqueeze(positive(build, index, np.array(data.shape[axis])), axis + 1)
        count = data.shape[axis]
        places = np.arange(count).reshape([-1 if place == axis + 1 else 1 for place in range(len(data.shape) + 1)])
        hit = build("Equal", at, places.astype(index.dtype))
        spread = build("Where", hit, build.unsqueeze(updates, axis + 1), neutral)
        build.replace(build(combining, data, build.axes(reducing, spread, [axis], keepdims=0)))
        return
    depth = index.shape[-1]
    outer, inner = data.shape[:depth], data.shape[depth:]
    strides = np.array([int(np.prod(outer[place + 1 :])) for place in range(depth)], np.int64)
    whole = positive(build, build.reshape(index, [-1, depth]), np.array(outer))
    row = build.axes("ReduceSum", build("Mul", whole, strides), [1], keepdims=1)
    hit = build("Equal", row, np.arange(int(np.prod(outer)), dtype=np.int64).reshape(1, -1))
    wide = build.reshape(updates, [-1, 1, int(np.prod(inner))])
    reduced = build.axes(reducing, build("Where", build.unsqueeze(hit, 2), wide, neutral), [0], keepdims=0)
    build.replace(build(combining, data, build.reshape(reduced, data.shape)))


def positive(build: Build, index: gs.Tensor, sizes: np.ndarray) -> gs.Tensor:
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
