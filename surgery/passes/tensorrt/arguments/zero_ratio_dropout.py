"""Dropout with a ratio of zero that may be in training mode.

What it does: replaces the Dropout by its input, and the mask by trues.
Why: TensorRT needs the training mode to be a constant false.
Before → After: `y = Dropout(x, 0, training)` → `y = Identity(x)`
Leaves alone: every other ratio: what training mode drops is random, and only the exporter can switch it off.
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
    if context.opset_of(graph) < 12:
        return
    for node in context.nodes(graph, "Dropout"):
        if len(node.inputs) < 3 or node.inputs[2].is_empty():
            continue
        ratio = context.constant(node.inputs[1])
        masked = len(node.outputs) > 1 and not node.outputs[1].is_empty()
        if ratio is not None and float(ratio) == 0 and not (masked and context.static_shape(node.inputs[0]) is None):
            yield finding("the ratio of the Dropout is zero", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """The input, and a mask of trues."""
    build = Build(graph, node, context, PASS.code)
    results = [build("Identity", node.inputs[0])]
    if len(node.outputs) > 1:
        results.append(build("Expand", build.constant(True), build.shape(node.inputs[0])))
    build.replace(*results)


PASS = Pass(code="SG119", name="zero-ratio-dropout", find=find, exact=True, kind="replace", feature="dropout-training")
