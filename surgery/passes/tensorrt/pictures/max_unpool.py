"""MaxUnpool without the input `output_shape`.

What it does: scatters the values into zeros at their indices.
Why: TensorRT's parser has no MaxUnpool.
Before → After: `y = MaxUnpool<kernel_shape = [2, 2], strides = [2, 2]>(x, i)` →
`y = Reshape(ScatterElements(<zeros>, Reshape(i), Reshape(x)), [1, 1, 4, 4])`
Leaves alone: nodes with an output shape, where runtimes interpret the indices differently; shapes that are not known.
Numerics: exact where no two indices are equal, as MaxPool makes them with windows that do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "MaxUnpool"):
        shape, data = context.static_shape(node.inputs[0]), node.inputs[0]
        if shape is None or len(shape) < 3 or 0 in shape or data.dtype is None or context.opset_of(graph) < 11:
            continue
        kernel = node.attrs.get("kernel_shape") or []
        strides = node.attrs.get("strides") or [1] * len(kernel)
        pads = node.attrs.get("pads") or [0] * (2 * len(kernel))
        given = len(node.inputs) > 2 and not node.inputs[2].is_empty()
        if given or len(kernel) != len(shape) - 2 or any(a < b for a, b in zip(strides, kernel, strict=False)):
            continue
        rank = len(kernel)
        out = [(shape[a + 2] - 1) * strides[a] + kernel[a] - pads[a] - pads[a + rank] for a in range(rank)]
        if min(out) > 0:
            message = f"{context.target.name} has no MaxUnpool"
            yield finding(message, node, partial(rewrite, graph, node, context, [*shape[:2], *out]))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, out: list[int]) -> None:
    """One scatter."""
    build = Build(graph, node, context, PASS.code)
    values, index = (build.reshape(tensor, [-1]) for tensor in node.inputs[:2])
    zeros = np.zeros(prod(out), np.dtype(node.inputs[0].dtype))
    build.replace(build.reshape(build("ScatterElements", zeros, index, values, axis=0), out))


PASS = Pass(code="SG146", name="max-unpool", find=find, exact=False, kind="replace", feature="max-unpool")
