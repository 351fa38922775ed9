"""Reductions over axes that are known only at run time.

What it does: reduces over every axis in turn, keeps each result if that axis is among the axes (Where), and removes the
reduced dims with shape arithmetic.
Why: TensorRT's parser needs the axes of a reduction when it builds the engine.
Before → After: `y = ReduceSum(x, axes)` → `a = Where(0 in axes, ReduceSum(x, [0]), x); b = Where(1 in axes, ...); y =
Slice(b, ...)`
Leaves alone: constant axes; data of unknown shape, where a dim might be of size zero and the sum over nothing would
have to be created; axes of unknown number, since the rank of the result depends on it.
Numerics: the reductions are done one axis at a time, so sums are added in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.axes import axes_mask, squeeze
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CORE = {"ReduceL1": "ReduceSum", "ReduceL2": "ReduceSum", "ReduceSumSquare": "ReduceSum", "ReduceLogSum": "ReduceSum"}
REDUCTIONS = (*CORE, "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceLogSumExp")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, *REDUCTIONS):
        if len(node.inputs) < 2 or node.inputs[1].is_empty() or context.constant(node.inputs[1]) is not None:
            continue
        if node.op == "ReduceMean" and node.inputs[0].dtype == np.uint64:
            continue
        data, axes = context.static_shape(node.inputs[0]), context.static_shape(node.inputs[1])
        if data is None or not data or axes is None:
            continue
        if axes[0] != len(data):
            message = f"axes '{node.inputs[1].name}' are known only at run time"
            yield finding(message, node, partial(rewrite, graph, node, context, axes[0]))
        else:
            yield finding("all axes are reduced", node, partial(rewrite, graph, node, context, 0))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, count: int) -> None:
    """`count` is the number of axes; 0 means all of them, or none with noop_with_empty_axes."""
    build = Build(graph, node, context, PASS.code)
    data, axes = node.inputs[:2]
    keep = int(node.attrs.get("keepdims", 1))
    rank = len(data.shape)
    if count == 0:
        nothing = context.static_shape(axes) == (0,) and node.attrs.get("noop_with_empty_axes", 0)
        build.replace(_unreduced(build, node.op, data) if nothing else build(node.op, data, keepdims=keep))
        return
    wanted = axes_mask(build, axes, rank)
    ones = build.ints([1] * rank)
    ends = build("Where", build("Equal", wanted, ones), ones, build.shape(data))
    if 0 in data.shape:
        value = build("Expand", build.constant(of_nothing(node.op, data.dtype)), ends)
    else:
        value = one_by_one(build, wanted, ends)
    build.replace(value if keep else squeeze(build, value, axes, rank, rank - count))


def one_by_one(build: Build, wanted: gs.Tensor, ends: gs.Tensor) -> gs.Tensor:
    """Every axis of the data reduced where `wanted` (int64[rank]) is 1, sliced to `ends`."""
    node, data = build.node, build.node.inputs[0]
    rank = len(data.shape)
    kind = np.dtype(data.dtype)
    whole_mean = node.op == "ReduceMean" and kind.kind in "iu"  # cut off once, not axis by axis
    work = {"b": np.dtype(np.int32)}.get(kind.kind, np.dtype(np.int64) if whole_mean else kind)
    value = _before(build, node.op, build.cast(data, work))
    for axis in range(rank):
        here = build("Equal", build("Gather", wanted, build.ints(axis)), build.ints(1))
        reduced = build.axes("ReduceSum" if whole_mean else CORE.get(node.op, node.op), value, [axis], keepdims=1)
        value = build("Where", here, reduced, value)
    if whole_mean:
        ones = build.ints([1] * rank)
        dims = build("Where", build("Equal", wanted, ones), build.shape(data), ones)
        value = build("Div", value, build.axes("ReduceProd", dims, [0], keepdims=1))
    value = build.cast(_after(build, node.op, value), kind)
    return build("Slice", value, build.ints([0] * rank), ends, build.ints(list(range(rank))))


def of_nothing(op: str, dtype: Any) -> np.ndarray:
    """What a reduction gives where there is nothing to reduce."""
    kind = np.dtype(dtype)
    if op in ("ReduceMax", "ReduceMin"):
        if kind.kind in "iu":
            limits = np.iinfo(kind)
            return np.array(limits.min if op == "ReduceMax" else limits.max, kind)
        if kind.kind == "b":
            return np.array(op == "ReduceMin")
        return np.array(-np.inf if op == "ReduceMax" else np.inf, kind)
    values = {"ReduceProd": 1.0, "ReduceMean": np.nan, "ReduceLogSum": -np.inf, "ReduceLogSumExp": -np.inf}
    return np.array(values.get(op, 0.0)).astype(kind)


def _unreduced(build: Build, op: str, data: gs.Tensor) -> gs.Tensor:
    """What an empty list of axes leaves with noop_with_empty_axes: the elementwise parts alone."""
    if op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceLogSumExp"):
        return build("Identity", data)
    return _after(build, op, _before(build, op, data))


def _before(build: Build, op: str, data: gs.Tensor) -> gs.Tensor:
    if op == "ReduceL1":
        return build("Abs", data)
    return build("Mul", data, data) if op in ("ReduceL2", "ReduceSumSquare") else data


def _after(build: Build, op: str, value: gs.Tensor) -> gs.Tensor:
    if op == "ReduceL2":
        return build("Sqrt", value)
    return build("Log", value) if op == "ReduceLogSum" else value


PASS = Pass(code="SG107", name="runtime-reduce-axes", find=find, exact=False, kind="replace", feature="reduce-axes")
