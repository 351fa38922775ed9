"""Optional outputs that nothing reads.

What it does: drops them from the end of the node's outputs.
Why: TensorRT refuses LayerNormalization, MaxPool and Attention with more than one output, read or not.
Before → After: `y, mean, deviation = LayerNormalization(x, s)` where only `y` is read → `y = LayerNormalization(x, s)`
Leaves alone: outputs that ONNX requires, outputs that are read or are graph outputs, and all outputs before such an
output; operators of unknown domains; BatchNormalization and Dropout, where older opsets choose the training mode by the
number of outputs.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx
import onnx_graphsurgeon as gs

from surgery.graph.schemas import schema
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

MODES = ("BatchNormalization", "Dropout")
OPTIONAL = onnx.defs.OpSchema.FormalParameterOption.Optional


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in graph.nodes:
        if len(node.outputs) < 2 or node.op in MODES:
            continue
        spare = unread(graph, node, context)
        if spare:
            names = ", ".join(f"'{tensor.name}'" for tensor in node.outputs[-spare:])
            yield finding(f"nothing reads {names}", node, partial(drop, node, spare))


def unread(graph: gs.Graph, node: gs.Node, context: Context) -> int:
    """How many outputs can go from the end."""
    known = schema(node.op, node.domain or "", context.opsets.get(node.domain or "", 1))
    if known is None:
        return 0
    spare = 0
    for index in reversed(range(1, len(node.outputs))):
        tensor = node.outputs[index]
        needed = index >= len(known.outputs) or known.outputs[index].option != OPTIONAL
        if needed or tensor.outputs or context.is_output(graph, tensor):
            break
        spare += 1
    return spare


def drop(node: gs.Node, spare: int) -> None:
    """Take the last `spare` outputs away."""
    for _ in range(spare):
        del node.outputs[-1]


PASS = Pass(code="SG133", name="unread-output", find=find, exact=True)
