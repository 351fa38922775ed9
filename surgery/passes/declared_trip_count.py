"""Loop whose number of turns shows in the declared shape of what it collects.

What it does: puts that number in the place of the trip count, and true in the place of the first condition, so that
constant-loop can write the body out.
Why: the length of what a loop collects would depend on data.
Before → After: `y = Loop(n, c, x)` that collects y, declared [5, 1] → `y = Loop(5, true, x)`
Leaves alone: loops that collect nothing of a declared static size, that may stop early, or that are constant already.
Numerics: exact as long as the declared shape is true, which is why it runs only with --trust-declared-shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.edit import replace_input
from surgery.passes.cleanup.constant_loop import goes_on
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.target.refuses("op:Loop") is None:
        return
    for node in context.nodes(graph, "Loop"):
        body = node.attrs.get("body")
        if not isinstance(body, gs.Graph) or len(node.inputs) < 2 or not goes_on(body, context):
            continue
        shapes = [declared(tensor, context) for tensor in node.outputs[len(node.inputs) - 2 :]]
        counts = {shape[0] for shape in shapes if shape}
        count = min(counts, default=0)
        if len(counts) != 1 or not 0 < count <= context.options.loop_limit:
            continue
        if any(not tensor.is_empty() and context.constant(tensor) is None for tensor in node.inputs[:2]):
            message = f"it is declared to run {count} times"
            yield finding(message, node, partial(pin, graph, node, context, count))


def declared(tensor: gs.Tensor, context: Context) -> tuple[int, ...] | None:
    """The shape where it is static, or that of what the tensor becomes by a change of type alone."""
    shape = context.static_shape(tensor)
    while shape is None:
        readers = [node for node in tensor.outputs if node.op in ("Cast", "Identity") and not node.domain]
        if not readers or not readers[0].outputs:
            return None
        tensor = readers[0].outputs[0]
        shape = context.static_shape(tensor)
    return shape


def pin(graph: gs.Graph, node: gs.Node, context: Context, count: int) -> None:
    """Constants for the first two inputs, of the shapes these had."""
    build = Build(graph, node, context, PASS.code)
    for place, value in enumerate((np.int64(count), np.True_)):
        shape = context.static_shape(node.inputs[place]) or ()
        replace_input(node, place, build.constant(np.full(shape, value)))


PASS = Pass(code="SG154", name="declared-trip-count", find=find, exact=False, kind="trusted")
