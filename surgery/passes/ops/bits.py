"""Split integers into bits and put them together again by integer division, for targets without bit operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build

PART = 31


def width(dtype: Any) -> int:
    """Number of bits of an integer type."""
    return int(np.dtype(dtype).itemsize) * 8


def work_type(dtype: Any) -> np.dtype[Any]:
    """The type in which TensorRT computes such integers: int64 for 64 bits, else int32."""
    return np.dtype(np.int64 if width(dtype) == 64 else np.int32)


def wrapped(build: Build, value: gs.Tensor, dtype: Any) -> gs.Tensor:
    """`value` (int32 or int64) wrapped around to the range of an 8-bit or 16-bit `dtype`; it keeps its own type."""
    kind = np.dtype(dtype)
    if kind.itemsize >= np.dtype(value.dtype).itemsize:
        return value
    span, low = 1 << width(kind), 0 if kind.kind == "u" else 1 << (width(kind) - 1)
    if not low:
        return remainder(build, value, span)
    return build("Sub", remainder(build, build("Add", value, low), span), low)


def remainder(build: Build, value: gs.Tensor, divisor: Any) -> gs.Tensor:
    """value mod divisor of integers for a positive divisor, by integer division.

    TensorRT computes Mod through floating point, which is exact up to 2^24 only.
    """
    rest = build("Sub", value, build("Mul", build("Div", value, divisor), divisor))
    return build("Where", build("Less", rest, 0), build("Add", rest, divisor), rest)


def floor_divide(build: Build, value: gs.Tensor, divisor: Any) -> gs.Tensor:
    """floor(value / divisor) of integers for a positive divisor; ONNX's own Div rounds toward zero."""
    return build("Div", build("Sub", value, remainder(build, value, divisor)), divisor)


def bits(build: Build, value: gs.Tensor, count: int) -> gs.Tensor:
    """The lowest `count` bits of an integer tensor, in a new last dim, lowest first."""
    powers = np.array([1 << place for place in range(count)], value.dtype)
    return remainder(build, floor_divide(build, build.unsqueeze(value, -1), powers), 2)


def number(build: Build, digits: gs.Tensor, negative: gs.Tensor, count: int) -> gs.Tensor:
    """The integer of `count` bits (last dim, lowest first) and a sign bit worth -2^count, as 0 or 1.

    The sum is built in parts of 31 bits, because onnxruntime adds int64 in floating point, which is exact to 53 bits.
    """
    kind, rank = np.dtype(digits.dtype), len(digits.shape)
    total = build("Mul", negative, np.array(-(1 << count), kind))
    for start in range(0, count, PART):
        stop = min(start + PART, count)
        part = digits if (start, stop) == (0, count) else build.slice(digits, [rank - 1], [start], [stop])
        powers = np.array([1 << place for place in range(stop - start)], kind)
        size = build.axes("ReduceSum", build("Mul", part, powers), [-1], keepdims=0)
        total = build("Add", total, build("Mul", size, np.array(1 << start, kind)) if start else size)
    return total
