"""Mean of several tensors in half precision.

What it does: adds the tensors and divides the sum by their number.
Why: TensorRT writes the number of inputs as a float of four bytes and reads two of them, so the mean of two or
four tensors in half precision is 0.
Before → After: `m = Mean(a, b)` in float16 → `s = Sum(a, b); m = Div(s, 2)`
Leaves alone: one input; float32; an unknown type.
Numerics: the sum and the quotient are rounded once each, as Mean rounds them; a runtime that multiplies by the inverse
rounds differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.graph.nodes import number_of
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

FLOAT16, BFLOAT16 = 10, 16


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Mean"):
        kind = node.inputs[0].dtype
        if len(node.inputs) > 1 and kind is not None and number_of(kind) in (FLOAT16, BFLOAT16):
            yield finding("Mean of several tensors in half precision", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Sum, then Div; the count is cast, because NumPy has no bfloat16."""
    build = Build(graph, node, context, PASS.code)
    kind = number_of(node.inputs[0].dtype)
    count = build("Cast", build.constant(float(len(node.inputs)), "float32"), to=kind)
    build.replace(build("Div", build("Sum", *node.inputs), count))


PASS = Pass(code="SG182", name="half-mean", find=find, exact=False, kind="replace", feature="half-mean")
