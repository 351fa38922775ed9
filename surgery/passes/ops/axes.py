"""Shape arithmetic for axes that are known only at run time, in operators that TensorRT runs on shape tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context

INT64 = np.int64


def axes_mask(build: Build, axes: gs.Tensor, rank: int) -> gs.Tensor:
    """int64[rank], 1 where the axis is among `axes` (int64[k], negative ones count from the end), else 0."""
    positive = build(
        "Where", build("Less", axes, np.array([0], INT64)), build("Add", axes, np.array([rank], INT64)), axes
    )
    hits = build("Equal", build.unsqueeze(positive, 0), np.arange(rank, dtype=INT64).reshape(rank, 1))
    return build.axes("ReduceMax", build.cast(hits, INT64), [1], keepdims=0)


def masked_dims(build: Build, dims: gs.Tensor, keep: gs.Tensor, rank: int, count: int) -> gs.Tensor:
    """int64[count]: the entries of `dims` (int64[rank]) where `keep` (int64[rank], `count` ones) is 1, in order."""
    before = np.triu(np.ones((rank, rank), INT64), 1)  # [i, j]: i comes before j
    place = build.axes("ReduceSum", build("Mul", build.unsqueeze(keep, 1), before), [0], keepdims=0)
    chosen = build("Equal", place, np.arange(count, dtype=INT64).reshape(count, 1))
    kept = build("Mul", build.cast(chosen, INT64), build("Mul", keep, dims))
    return build.axes("ReduceSum", kept, [1], keepdims=0)


def squeeze(build: Build, tensor: Any, axes: gs.Tensor, rank: int, count: int) -> gs.Tensor:
    """`tensor` (of `rank`) without `axes`, all of size one, by Reshape; `count` dims remain."""
    keep = build("Sub", np.array([1], INT64), axes_mask(build, axes, rank))
    return reshaped(build, tensor, masked_dims(build, build("Shape", tensor), keep, rank, count))


def unsqueeze(build: Build, tensor: gs.Tensor, axes: gs.Tensor, rank: int) -> gs.Tensor:
    """`tensor` reshaped to `rank` dims, those among `axes` new and of size one."""
    new = axes_mask(build, axes, rank)
    old_rank = len(tensor.shape)
    before = np.triu(np.ones((rank, rank), INT64), 1)
    keep = build("Sub", np.array([1], INT64), new)
    place = build.axes("ReduceSum", build("Mul", build.unsqueeze(keep, 1), before), [0], keepdims=0)
    if not old_rank:
        return build.reshape(tensor, [1] * rank)
    inside = build("Min", place, np.array([old_rank - 1], INT64))
    dims = build("Gather", build("Shape", tensor), inside)
    return reshaped(build, tensor, build("Add", build("Mul", keep, dims), new))


def reshaped(build: Build, tensor: gs.Tensor, dims: gs.Tensor) -> gs.Tensor:
    """`tensor` in a shape that is computed at run time, where a dim of zero means zero."""
    shape = build.context.static_shape(tensor)
    if shape is not None and 0 not in shape:
        return build("Reshape", tensor, dims)
    return build("Reshape", tensor, dims, allowzero=1)


def stored_shape(node: gs.Node, context: Context) -> list[int] | None:
    """The constant shape that a Reshape sets, -1 included; None where it has a zero, which may copy a dim."""
    shape = context.constant(node.inputs[1]) if len(node.inputs) == 2 else None
    return None if shape is None or (shape == 0).any() else [int(dim) for dim in shape]


def single_kept_axis(node: gs.Node, rank: int, context: Context) -> int | None:
    """The one axis that a reduction with kept dims runs over, counted from the front; None for any other."""
    value = context.constant(node.inputs[1]) if len(node.inputs) > 1 else None
    axes = node.attrs.get("axes") if value is None else value.reshape(-1).tolist()
    if axes is None or len(axes) != 1 or node.attrs.get("keepdims", 1) != 1:
        return None
    return int(axes[0]) % rank
