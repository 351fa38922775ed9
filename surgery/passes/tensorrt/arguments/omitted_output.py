"""An output that is omitted between others.

What it does: gives the omitted output a name.
Why: TensorRT's parser compares the number of outputs it makes with the number of outputs that have a name.
Before → After: `a, , b = Split(x)` → `a, unread, b = Split(x)`
Leaves alone: outputs omitted at the end, and optional outputs, which the operator would have to compute if they had a
name.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx
import onnx_graphsurgeon as gs

from surgery.graph.nodes import Variable
from surgery.graph.schemas import schema
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

VARIADIC = onnx.defs.OpSchema.FormalParameterOption.Variadic


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in graph.nodes:
        names = [tensor.is_empty() for tensor in node.outputs]
        while names and names[-1]:
            names.pop()
        if not any(names):
            continue
        known = schema(node.op, node.domain or "", context.opsets.get(node.domain or "", 1))
        if known is not None and known.outputs[-1].option == VARIADIC:
            yield finding("an output between others has no name", node, partial(name, node, context))


def name(node: gs.Node, context: Context) -> None:
    """Give each omitted output a name."""
    for index, tensor in enumerate(node.outputs):
        if tensor.is_empty():
            node.outputs[index] = Variable(context.fresh(f"{node.outputs[0].name or node.op}/unread"))


PASS = Pass(code="SG132", name="omitted-output", find=find, exact=True, kind="replace", feature="omitted-output")
