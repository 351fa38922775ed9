"""DFT of a static length.

What it does: multiplies by the constant matrix of cosines and sines, real and imaginary columns side by side.
Why: TensorRT's parser has no DFT.
Before → After: `y = DFT(x)` on [1, 4, 1] → `y = Reshape(MatMul(Reshape(x, [1, 4]), W), [1, 4, 2])` with W[4, 8]
Leaves alone: unknown sizes; an axis or length known only at run time (but a full transform along a runtime axis is
chosen among the results for all axes with Where); matrices of more than 4M elements; types other than float32 and
float16.
Numerics: each frequency sums n products, where a fast transform sums about log n: the rounding error grows with the
square root of n. The matrix is exact to the last bit of its type.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 1 << 22


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "DFT"):
        data = node.inputs[0]
        shape = context.static_shape(data)
        if shape is None or data.dtype is None or np.dtype(data.dtype).name not in ("float32", "float16"):
            continue
        length = operand(node, 1, context)
        axes = axes_of(node, shape, context)
        if length is None or not axes or (len(axes) > 1 and (length or node.attrs.get("onesided", 0))):
            continue
        if all(shape[axis] * max(length, shape[axis]) * 4 <= LARGEST for axis in axes):
            yield finding(
                f"{context.target.name} has no DFT", node, partial(rewrite, graph, node, context, axes, length)
            )


def operand(node: gs.Node, index: int, context: Context) -> int | None:
    """A constant scalar input; 0 where it is left out, None where it is not constant."""
    if len(node.inputs) <= index or node.inputs[index].is_empty():
        return 0
    value = context.constant(node.inputs[index])
    return None if value is None else int(np.ravel(value)[0])


def axes_of(node: gs.Node, shape: tuple[int, ...], context: Context) -> list[int]:
    """The axis, or all it may be."""
    if "axis" in node.attrs or context.opset < 20:
        return [int(node.attrs.get("axis", 1)) % len(shape)]
    if len(node.inputs) < 3 or node.inputs[2].is_empty():
        return [len(shape) - 2]
    axis = operand(node, 2, context)
    return list(range(len(shape) - 1)) if axis is None else [axis % len(shape)]


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, axes: list[int], length: int) -> None:
    """One product; for a runtime axis one for each axis, and a choice."""
    build = Build(graph, node, context, PASS.code)
    value = transform(build, axes[0], length)
    for axis in axes[1:]:
        where = build.reshape(node.inputs[2], [])
        here = build("Or", build("Equal", where, axis), build("Equal", where, axis - len(node.inputs[0].shape)))
        value = build("Where", here, transform(build, axis, length), value)
    build.replace(value)


def transform(build: Build, axis: int, length: int) -> gs.Tensor:
    """The transform along one axis: that axis and the parts last, times the matrix, and back."""
    data = build.node.inputs[0]
    shape = [int(dim) for dim in data.shape]
    table = matrix(shape[axis], shape[-1], length, build.node.attrs)
    order = [place for place in range(len(shape) - 1) if place != axis]
    turned = build("Transpose", data, perm=[*order, axis, len(shape) - 1])
    rows = build.reshape(turned, [*(shape[place] for place in order), shape[axis] * shape[-1]])
    count, parts = table.shape[2:]
    product = build("MatMul", rows, build.constant(table.reshape(shape[axis] * shape[-1], -1), data.dtype))
    spread = build.reshape(product, [*(shape[place] for place in order), count, parts])
    back = [order.index(place) if place in order else len(order) for place in range(len(shape) - 1)]
    return build("Transpose", spread, perm=[*back, len(shape) - 1])


def matrix(size: int, parts: int, length: int, attributes: dict[str, Any]) -> np.ndarray:
    """float64[size, parts, frequencies, parts out]: the transform of each unit vector, by numpy.fft."""
    inverse, onesided = bool(attributes.get("inverse", 0)), bool(attributes.get("onesided", 0))
    units = np.eye(size)[:, None, :] * (np.array([1, 1j])[:parts, None])
    if inverse and onesided:
        return np.fft.irfft(units, n=length or None)[..., None]
    values = (np.fft.ifft if inverse else np.fft.fft)(units, n=length or None)
    if onesided:
        values = values[..., : values.shape[-1] // 2 + 1]
    return np.stack([values.real, values.imag], axis=-1)


PASS = Pass(code="SG124", name="fourier-transform", find=find, exact=False, kind="replace", feature="dft")
