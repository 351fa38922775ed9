"""ConvTranspose with both a stride and a dilation.

What it does: inserts the zeros of the dilation between the elements of the kernel, also of a quantized or computed one.
Why: TensorRT's builder has no such deconvolution.
Before → After: `y = ConvTranspose<dilations = [2, 2], strides = [2, 2]>(x, w)` → `y = ConvTranspose<strides = [2, 2]>(
x, w with zeros between)`
Leaves alone: kernels of unknown size, and kernels that would grow above 16 million numbers.
Numerics: exact up to the order of the sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 1 << 24


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "ConvTranspose"):
        dilations, strides = (list(node.attrs.get(name, ())) for name in ("dilations", "strides"))
        kernel = context.static_shape(node.inputs[1])
        if max(dilations, default=1) > 1 and max(strides, default=1) > 1 and kernel and 0 not in kernel:
            shape = dilated(tuple(kernel), dilations)
            if len(dilations) == len(kernel) - 2 and prod(shape) <= LARGEST:
                message = "it has a stride and a dilation"
                yield finding(message, node, partial(rewrite, graph, node, context, shape, dilations))


def dilated(shape: tuple[int, ...], dilations: list[int]) -> tuple[int, ...]:
    """The shape of the kernel with the zeros put in."""
    spread = ((size - 1) * step + 1 for size, step in zip(shape[2:], dilations, strict=False))
    return (*shape[:2], *spread)


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, shape: tuple[int, ...], dilations: list[int]) -> None:
    """The same deconvolution with a larger kernel."""
    build = Build(graph, node, context, PASS.code)
    attributes = {name: value for name, value in node.attrs.items() if name not in ("dilations", "kernel_shape")}
    weights = _spread(build, node.inputs[1], shape, dilations)
    build.replace(build("ConvTranspose", node.inputs[0], weights, optional_input(node, 2), **attributes))


def _spread(build: Build, kernel: gs.Tensor, shape: tuple[int, ...], dilations: list[int]) -> gs.Tensor:
    """The kernel with zeros between its elements."""
    maker = producer(kernel, "DequantizeLinear")
    if isinstance(kernel, gs.Constant):
        return _filled(build, np.asarray(kernel.values), np.zeros((), kernel.dtype), shape, dilations)
    stored = None if maker is None or maker.attrs.get("block_size") else build.context.constant(maker.inputs[0])
    given = None if maker is None else optional_input(maker, 2)
    zero = np.zeros((), np.int8) if given is None else build.context.constant(given)
    if maker is not None and stored is not None and zero is not None:
        along = zero.reshape([-1 if place == int(maker.attrs.get("axis", 1)) else 1 for place in range(len(shape))])
        narrow = _filled(build, stored, along.astype(stored.dtype), shape, dilations)
        return build("DequantizeLinear", narrow, *maker.inputs[1:], **maker.attrs)
    return _computed(build, kernel, shape, dilations)


def _filled(
    build: Build, kernel: np.ndarray, zero: np.ndarray, shape: tuple[int, ...], dilations: list[int]
) -> gs.Tensor:
    spread = np.broadcast_to(zero, shape).copy()
    spread[(slice(None), slice(None), *(slice(None, None, step) for step in dilations))] = kernel
    return build.constant(spread, kernel.dtype)


def _computed(build: Build, kernel: gs.Tensor, shape: tuple[int, ...], dilations: list[int]) -> gs.Tensor:
    """Each element gets a dim of its own, which is filled up with zeros."""
    dims = list(kernel.shape)
    apart = build.unsqueeze(kernel, *range(3, 3 + 2 * len(dilations), 2))
    pads = [0, 0, *(after for step in dilations for after in (0, step - 1))]
    rank = len(pads)
    padded = build("Pad", apart, build.ints([0] * rank + pads), build.constant(0, kernel.dtype))
    joined = build.reshape(padded, [*dims[:2], *(size * step for size, step in zip(dims[2:], dilations, strict=True))])
    axes = list(range(2, len(dims)))
    return build.slice(joined, axes, [0] * len(axes), [shape[axis] for axis in axes])


PASS = Pass(
    code="SG194",
    name="dilated-deconvolution",
    find=find,
    exact=False,
    kind="replace",
    feature="strided-dilated-deconvolution",
)
