"""Range over floats whose number of elements is declared.

What it does: multiplies the numbers 0, 1, .. by the step and adds the start.
Why: the number of elements would depend on data.
Before → After: `y = Range(a, b, d)` with y declared [3] → `y = Add(a, Mul([0, 1, 2], d))`
Leaves alone: results whose size is not declared static; integers, which it counts as shapes; ranges of constants.
Numerics: every element is rounded twice, from the start, while a runtime may add step by step. Right as long as the
declared shape is, which is why it runs only with --trust-declared-shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.target.refuses("shape-from-data") is None:
        return
    for node in context.nodes(graph, "Range"):
        out, kind = context.static_shape(node.outputs[0]), node.inputs[0].dtype
        if out is None or len(out) != 1 or not out[0] or kind is None or np.dtype(kind).name not in FLOATS:
            continue
        if any(context.constant(tensor) is None for tensor in node.inputs):
            message = f"it is declared to have {out[0]} elements"
            yield finding(message, node, partial(rewrite, graph, node, context, out[0]))


FLOATS = ("float16", "float32")


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, count: int) -> None:
    """Start and multiples of the step, in float32."""
    build = Build(graph, node, context, PASS.code)
    start, step = (build.cast(build.reshape(node.inputs[place], [1]), np.float32) for place in (0, 2))
    value = build("Add", build("Mul", step, np.arange(count, dtype=np.float32)), start)
    build.replace(build.cast(value, node.inputs[0].dtype))


PASS = Pass(code="SG153", name="declared-range", find=find, exact=False, kind="trusted")
