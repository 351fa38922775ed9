"""ConvTranspose with both a stride and a dilation.

What it does: inserts the zeros of the dilation between the elements of the kernel.
Why: TensorRT's builder has no such deconvolution.
Before → After: `y = ConvTranspose<dilations = [2, 2], strides = [2, 2]>(x, w)` → `y = ConvTranspose<strides = [2, 2]>(
x, w with zeros between)`
Leaves alone: computed kernels, and kernels that would grow above 16 million numbers.
Numerics: exact up to the order of the sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 1 << 24


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "ConvTranspose"):
        dilations, strides = (list(node.attrs.get(name, ())) for name in ("dilations", "strides"))
        kernel = node.inputs[1]
        if max(dilations, default=1) > 1 and max(strides, default=1) > 1 and isinstance(kernel, gs.Constant):
            shape = dilated(tuple(kernel.shape), dilations)
            if len(dilations) == len(kernel.shape) - 2 and prod(shape) <= LARGEST:
                message = "it has a stride and a dilation"
                yield finding(message, node, partial(rewrite, graph, node, context, shape, dilations))


def dilated(shape: tuple[int, ...], dilations: list[int]) -> tuple[int, ...]:
    """The shape of the kernel with the zeros put in."""
    spread = ((size - 1) * step + 1 for size, step in zip(shape[2:], dilations, strict=False))
    return (*shape[:2], *spread)


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, shape: tuple[int, ...], dilations: list[int]) -> None:
    """The same deconvolution with a larger kernel."""
    build = Build(graph, node, context, PASS.code)
    kernel = np.asarray(node.inputs[1].values)
    spread = np.zeros(shape, kernel.dtype)
    spread[(slice(None), slice(None), *(slice(None, None, step) for step in dilations))] = kernel
    attributes = {name: value for name, value in node.attrs.items() if name not in ("dilations", "kernel_shape")}
    weights = build.constant(spread, kernel.dtype)
    build.replace(build("ConvTranspose", node.inputs[0], weights, optional_input(node, 2), **attributes))


PASS = Pass(
    code="SG194",
    name="dilated-deconvolution",
    find=find,
    exact=False,
    kind="replace",
    feature="strided-dilated-deconvolution",
)
