"""Pooling with dilations, with indices, or with a norm other than 1 and 2.

What it does: takes one strided slice of the padded input for each element of the kernel, and their maximum, mean or
norm; the indices follow from the comparisons.
Why: TensorRT pools without dilations, returns no indices, and knows the norms 1 and 2 only.
Before → After: `y = MaxPool<kernel_shape = [2, 2], dilations = [2, 2]>(x)` → `r = Max(x[:, :, 0:-2], x[:, :, 2:]); y
= Max(r[..., 0:-2], r[..., 2:])`
Leaves alone: pooling the target takes; inputs of unknown size; kernels of more than 256 elements (for maxima without
indices, which are taken axis by axis, 256 along all axes together).
Numerics: maxima and indices are exact (the first of equal values wins; NaN is not considered); means and norms are
summed in kernel order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial, reduce

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.pooling import Window, counts, maximum, padded, slices, window_of
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 10:
        return
    for node in context.nodes(graph, "MaxPool", "AveragePool", "LpPool"):
        why = refusal(node, context)
        window = window_of(node, context) if why else None
        floats = node.inputs[0].dtype is not None and np.dtype(node.inputs[0].dtype).kind == "f"
        if window is not None and floats and len(window.kernel) <= 3:
            yield finding(why, node, partial(rewrite, graph, node, context, window))


def refusal(node: gs.Node, context: Context) -> str:
    """What the target refuses about this pooling, or ""."""
    if any(step != 1 for step in node.attrs.get("dilations", ())) and context.target.refuses("pool-dilation"):
        return "the kernel is dilated"
    if len(node.outputs) > 1 and not node.outputs[1].is_empty() and context.target.refuses("pool-indices"):
        return "MaxPool returns the indices of the maxima"
    if node.op == "LpPool" and node.attrs.get("p", 2) not in (1, 2) and context.target.refuses("lppool-p"):
        return f"LpPool takes the norm of order {node.attrs['p']}"
    return ""


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, window: Window) -> None:
    """Slices, and what the operator makes of them."""
    build = Build(graph, node, context, PASS.code)
    data = node.inputs[0]
    if node.op == "MaxPool" and len(node.outputs) > 1:
        build.replace(*with_indices(build, window))
        return
    if node.op == "MaxPool":
        build.replace(maximum(build, padded(build, data, window, -np.inf), window))
        return
    parts = slices(build, padded(build, data, window, 0.0), window)
    if node.op == "AveragePool":
        number = counts(window, bool(node.attrs.get("count_include_pad", 0)))
        total = reduce(lambda left, right: build("Add", left, right), parts)
        build.replace(build("Div", total, build.constant(number, data.dtype)))
    else:
        order = float(node.attrs.get("p", 2))
        powers = [build("Pow", build("Abs", part), order) for part in parts]
        total = reduce(lambda left, right: build("Add", left, right), powers)
        build.replace(build("Pow", total, 1.0 / order))


def with_indices(build: Build, window: Window) -> tuple[gs.Tensor, gs.Tensor]:
    """The maxima and where in the flattened input they are, int64."""
    data = build.node.inputs[0]
    batch, channels = data.shape[:2]
    flat = np.arange(int(np.prod(window.size))).reshape(window.size)
    if build.node.attrs.get("storage_order", 0):
        flat = np.arange(flat.size).reshape(window.size[::-1]).T
    start = np.arange(batch * channels).reshape(batch, channels, *([1] * len(window.size))) * flat.size
    best = index = None
    parts = slices(build, padded(build, data, window, -np.inf), window)
    for place, part in zip(window.positions(), parts, strict=True):
        rows = zip(place, window.dilations, window.out, window.strides, window.begin, window.size, strict=True)
        at = [np.clip(i * d + np.arange(o) * s - first, 0, size - 1) for i, d, o, s, first, size in rows]
        here = build.constant(start + flat[np.ix_(*at)], np.int64)
        if best is None or index is None:
            best, index = part, here
            continue
        larger = build("Greater", part, best)
        best, index = build("Where", larger, part, best), build("Where", larger, here, index)
    assert best is not None
    assert index is not None
    return best, index


PASS = Pass(code="SG126", name="unsupported-pooling", find=find, exact=False, kind="replace", feature="pool-dilation")
