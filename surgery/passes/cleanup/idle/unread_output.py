"""Optional outputs that nothing reads.

What it does: drops them from the end of the node's outputs.
Why: TensorRT refuses LayerNormalization, MaxPool and Attention with more than one output, read or not.
Before → After: `y, mean, deviation = LayerNormalization(x, s)` where only `y` is read → `y = LayerNormalization(x, s)`
Leaves alone: outputs that ONNX requires, outputs that are read or are graph outputs, and all outputs before such an
output; operators of unknown domains; BatchNormalization and Dropout, where older opsets choose the training mode by the
number of outputs; MaxPool with automatic padding and a window shorter than its stride, which onnxruntime runs with
indices only.
Numerics: exact for numbers. onnxruntime's MaxPool with and without indices puts NaN in different places.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx_graphsurgeon as gs

from surgery.passes.ops.outputs import unread_outputs
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

MODES = ("BatchNormalization", "Dropout")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in graph.nodes:
        if len(node.outputs) < 2 or node.op in MODES:
            continue
        if node.op == "MaxPool" and _may_pad_by_less_than_nothing(node):
            continue
        spare = unread_outputs(graph, node, context)
        if spare:
            names = ", ".join(f"'{tensor.name}'" for tensor in node.outputs[-spare:])
            yield finding(f"nothing reads {names}", node, partial(drop, node, spare))


def _may_pad_by_less_than_nothing(node: gs.Node) -> bool:
    """Whether onnxruntime may compute a negative padding, which it refuses where MaxPool has one output."""
    kernel, strides = node.attrs.get("kernel_shape", []), node.attrs.get("strides", [])
    automatic = str(node.attrs.get("auto_pad", "")).startswith("SAME")
    return automatic and any(step > size for size, step in zip(kernel, strides, strict=False))


def drop(node: gs.Node, spare: int) -> None:
    """Remove the last `spare` outputs."""
    for _ in range(spare):
        del node.outputs[-1]


PASS = Pass(code="SG133", name="unread-output", find=find, exact=True, moves_nan=True)
