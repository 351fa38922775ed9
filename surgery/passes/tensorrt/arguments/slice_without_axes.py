"""Slice with bounds for the first axes only and without axes.

What it does: adds the axes.
Why: TensorRT's parser takes missing axes for all axes and then finds too few bounds.
Before → After: `y = Slice(x, starts, ends)` with two starts on three dims → `y = Slice(x, starts, ends, [0, 1])`
Leaves alone: slices with axes, and slices whose number of bounds is unknown or equals the rank.
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
    for node in context.nodes(graph, "Slice"):
        if len(node.inputs) < 3 or (len(node.inputs) > 3 and not node.inputs[3].is_empty()):
            continue
        count = context.static_shape(node.inputs[1])
        if count is not None and len(count) == 1 and count[0] != context.rank(node.inputs[0]):
            yield finding(
                "Slice has bounds for the first axes only, and no axes",
                node,
                partial(rewrite, graph, node, context, count[0]),
            )


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, count: int) -> None:
    """The same slice of the first `count` axes."""
    build = Build(graph, node, context, PASS.code)
    build.replace(build("Slice", *node.inputs[:3], build.ints(list(range(count))), *node.inputs[4:]))


PASS = Pass(code="SG109", name="slice-without-axes", find=find, exact=True, kind="replace", feature="slice-no-axes")
