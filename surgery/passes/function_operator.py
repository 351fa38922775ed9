"""Operators the target does not know although ONNX defines what they mean in simpler ones.

What it does: writes the function body of ONNX's own operator schema in the place of the node, again and again until what
is left is known to the target.
Why TensorRT minds: its parser knows a fixed list of operators and does not look up the bodies ONNX defines for the rest
(NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss, CenterCropPad, DynamicQuantizeLinear, LinearAttention, ...).
Before → After: `loss = NegativeLogLikelihoodLoss(x, target)` → `Unsqueeze, GatherElements, Neg, Slice, ReduceMean`
Leaves alone: operators the target takes; those without a body at this opset; those whose input types are unknown, since
bodies depend on them; bodies written for another opset whose operators have changed their meaning since.
Numerics: the defined meaning of the operator; rounding may differ in the last bits from a fused kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx_graphsurgeon as gs

from surgery.build import Build
from surgery.context import Context
from surgery.functions import body, expand
from surgery.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in graph.nodes:
        operator = f"{node.domain}::{node.op}" if node.domain not in (None, "", "ai.onnx") else node.op
        if context.target.refuses(f"op:{operator}") is None:
            continue
        function = body(node, context)
        if function is not None:
            message = f"{operator} is unknown to {context.target.name}; ONNX defines it in {len(function.node)} nodes"
            yield finding(message, node, lambda node=node, function=function: inline(graph, node, context, function))


def inline(graph: gs.Graph, node: gs.Node, context: Context, function: onnx.FunctionProto) -> None:
    """Put the body in the place of the node."""
    build = Build(graph, node, context, PASS.code)
    build.replace(*expand(build, function))


PASS = Pass(code="SG101", name="function-operator", find=find, exact=False, kind="replace")
"""Applied only where the target's table refuses the operator, so it names no single feature."""
