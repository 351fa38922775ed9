"""A Concat that reads the result of another Concat along the same axis.

What it does: replaces the result of the first Concat by its inputs.
Why: each Concat copies its inputs; one is enough.
Before → After: `y = Concat(Concat(a, b), c)` → `y = Concat(a, b, c)`
Leaves alone: a first Concat whose result is read elsewhere or is a graph output, and two axes that are not known to be
the same.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

CODE = "SG021"


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Concat"):
        inner = [_inner(graph, node, tensor, context) for tensor in node.inputs]
        makers = [maker for maker in inner if maker is not None]
        if makers:
            yield finding(
                "reads the result of another Concat along the same axis",
                node,
                partial(_join, graph, node, inner, context),
                *makers,
            )


def _inner(graph: gs.Graph, node: gs.Node, tensor: gs.Tensor, context: Context) -> gs.Node | None:
    maker = producer(tensor, "Concat")
    if maker is None or len(tensor.outputs) != 1:
        return None
    axes, rank = (maker.attrs.get("axis", 1), node.attrs.get("axis", 1)), context.rank(tensor)
    same = axes[0] == axes[1] or (rank is not None and (axes[0] - axes[1]) % rank == 0)
    return maker if same and not context.is_output(graph, tensor) else None


def _join(graph: gs.Graph, node: gs.Node, inner: list[gs.Node | None], context: Context) -> None:
    pairs = zip(node.inputs, inner, strict=True)
    inputs = [part for tensor, maker in pairs for part in ([tensor] if maker is None else maker.inputs)]
    build = Build(graph, node, context, CODE)
    build.replace(build("Concat", *inputs, **dict(node.attrs)))


PASS = Pass(code=CODE, name="nested-concat", find=find, exact=True)
