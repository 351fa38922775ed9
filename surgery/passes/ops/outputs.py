"""Outputs of a node that nothing reads."""

from __future__ import annotations

import onnx
import onnx_graphsurgeon as gs

from surgery.graph.schemas import schema
from surgery.pipeline.context import Context

OPTIONAL = onnx.defs.OpSchema.FormalParameterOption.Optional


def unread_outputs(graph: gs.Graph, node: gs.Node, context: Context) -> int:
    """How many outputs at the end are read by nothing and may be left out of the node."""
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
