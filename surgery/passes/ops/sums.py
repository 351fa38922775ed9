"""Sums of integers that wrap around as integers do, and how many elements they are taken from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build

LARGEST = 1 << 22  # elements of the tensor that is summed
FREE = 256  # what a dim of free size counts as
PART = 1 << 31


def elements(dims: Iterable[int | str | None]) -> int:
    """The number of elements, where each free dim counts as 256."""
    return prod(dim if isinstance(dim, int) else FREE for dim in dims)


def whole_sum(build: Build, value: gs.Tensor, axes: Sequence[int]) -> gs.Tensor:
    """The sum of int32 or int64 numbers over `axes`, which are removed.

    onnxruntime adds integers in floating point, which is exact to 53 bits: enough for 4M numbers of 32 bits. Numbers of
    64 bits are summed in two parts.
    """

    def total(part: gs.Tensor) -> gs.Tensor:
        return build.axes("ReduceSum", part, axes, keepdims=0)

    whole = build.cast(value, np.int64)
    if np.dtype(value.dtype) != np.int64:
        return build.cast(total(whole), value.dtype)
    high = build("Div", whole, PART)
    low = build("Sub", whole, build("Mul", high, PART))
    return build("Add", build("Mul", total(high), PART), total(low))
