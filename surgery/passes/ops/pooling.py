"""Pooling windows of static size: one strided slice of the padded input for each position in the kernel."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context

MAX_POSITIONS = 256


@dataclass(frozen=True)
class Window:
    """Kernel, strides, dilations, pads before (`begin`) and after (`end`), input (`size`) and output (`out`) sizes.

    Each has one number for each spatial axis.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    size: tuple[int, ...]
    out: tuple[int, ...]

    @property
    def extent(self) -> tuple[int, ...]:
        """Length of each padded axis that the windows cover."""
        rows = zip(self.out, self.strides, self.kernel, self.dilations, strict=True)
        return tuple((out - 1) * stride + (kernel - 1) * dilation + 1 for out, stride, kernel, dilation in rows)

    def positions(self) -> list[tuple[int, ...]]:
        """Every index into the kernel, the last axis fastest."""
        return list(itertools.product(*(range(size) for size in self.kernel)))


def window_of(node: gs.Node, context: Context) -> Window | None:
    """The window of a pooling node, or None where sizes are unknown or the kernel is too large to unroll."""
    shape, out = context.static_shape(node.inputs[0]), context.static_shape(node.outputs[0])
    if shape is None or out is None or len(shape) < 3 or 0 in shape or 0 in out:
        return None
    axes = len(shape) - 2
    kernel = tuple(node.attrs["kernel_shape"])
    strides = tuple(node.attrs.get("strides", [1] * axes))
    dilations = tuple(node.attrs.get("dilations", [1] * axes))
    pads = list(node.attrs.get("pads", [0] * (2 * axes)))
    mode = node.attrs.get("auto_pad", "NOTSET")
    by_axis = node.op == "MaxPool" and len([tensor for tensor in node.outputs if not tensor.is_empty()]) == 1
    if (sum(kernel) if by_axis else np.prod(kernel)) > MAX_POSITIONS:
        return None
    begin, end = tuple(pads[:axes]), tuple(pads[axes:])
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        rows = zip(out[2:], strides, kernel, dilations, shape[2:], strict=True)
        total = [max((o - 1) * s + (k - 1) * d + 1 - n, 0) for o, s, k, d, n in rows]
        begin = tuple(pad // 2 if mode == "SAME_UPPER" else pad - pad // 2 for pad in total)
        end = tuple(pad - first for pad, first in zip(total, begin, strict=True))
    return Window(kernel, strides, dilations, begin, end, shape[2:], out[2:])


def padded(build: Build, data: gs.Tensor, window: Window, fill: float) -> gs.Tensor:
    """`data` padded with `fill` as far as the windows reach."""
    after = [
        max(extent - first - size, 0)
        for extent, first, size in zip(window.extent, window.begin, window.size, strict=True)
    ]
    if not any(window.begin) and not any(after):
        return data
    pads = [0, 0, *window.begin, 0, 0, *after]
    if build.opset < 11:
        return build("Pad", data, pads=pads, value=float(fill))
    return build("Pad", data, build.ints(pads), build.constant(fill, data.dtype))


def slices(build: Build, data: gs.Tensor, window: Window) -> list[gs.Tensor]:
    """For each position in the kernel, the elements of padded `data` [n, c, ...] under it, as [n, c, *out]."""
    axes = list(range(2, 2 + len(window.kernel)))
    found = []
    for place in window.positions():
        starts = [index * step for index, step in zip(place, window.dilations, strict=True)]
        rows = zip(starts, window.out, window.strides, strict=True)
        ends = [start + (count - 1) * stride + 1 for start, count, stride in rows]
        found.append(build.slice(data, axes, starts, ends, list(window.strides)))
    return found


def maximum(build: Build, data: gs.Tensor, window: Window) -> gs.Tensor:
    """The maximum over each window of padded `data`, one axis at a time."""
    rows = zip(window.kernel, window.dilations, window.out, window.strides, strict=True)
    for axis, (kernel, dilation, out, stride) in enumerate(rows, start=2):
        starts = [index * dilation for index in range(kernel)]
        parts = [build.slice(data, [axis], [at], [at + (out - 1) * stride + 1], [stride]) for at in starts]
        data = parts[0] if len(parts) == 1 else build("Max", *parts)
    return data


def counts(window: Window, include_pads: bool) -> np.ndarray:
    """How many elements each window averages over, float64[*out]; pads count only with `include_pads`."""
    reach = tuple(
        max(extent, first + size + last)
        for extent, first, size, last in zip(window.extent, window.begin, window.size, window.end, strict=True)
    )
    field = np.zeros(reach)
    rows = zip(window.begin, window.size, window.end, strict=True)
    if include_pads:
        field[tuple(slice(0, first + size + last) for first, size, last in rows)] = 1
    else:
        field[tuple(slice(first, first + size) for first, size, _ in rows)] = 1
    total = np.zeros(window.out)
    for place in window.positions():
        rows4 = zip(place, window.dilations, window.out, window.strides, strict=True)
        total += field[tuple(slice(i * d, i * d + (o - 1) * s + 1, s) for i, d, o, s in rows4)]
    return np.maximum(total, 1)
