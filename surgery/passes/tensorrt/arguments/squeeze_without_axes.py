"""Squeeze that names no axes.

What it does: names the dims of size one as axes.
Why: TensorRT's parser needs the axes of Squeeze before 11.5; exporters leave the axes out where they read one dim from
a shape.
Before → After: `y = Squeeze(x)` with x of [1, 3, 1] → `y = Squeeze(x, [0, 2])`
Leaves alone: inputs with a free dim, whose size may or may not be one.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Squeeze"):
        given = "axes" in node.attrs or (len(node.inputs) > 1 and not node.inputs[1].is_empty())
        shape = context.static_shape(node.inputs[0])
        if not given and shape is not None and 1 in shape:
            axes = [axis for axis, dim in enumerate(shape) if dim == 1]
            yield finding(f"Squeeze without axes of {list(shape)}", node, partial(rewrite, graph, node, axes, context))


def rewrite(graph: gs.Graph, node: gs.Node, axes: list[int], context: Context) -> None:
    """The same Squeeze with its axes."""
    build = Build(graph, node, context, PASS.code)
    build.replace(build.squeeze(node.inputs[0], *axes))


PASS = Pass(
    code="SG185",
    name="squeeze-without-axes",
    find=find,
    exact=True,
    kind="replace",
    feature="squeeze-no-axes",
)
