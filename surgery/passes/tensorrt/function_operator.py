"""Operators the target does not know although ONNX defines what they mean in simpler ones.

What it does: writes the function body of ONNX's own operator schema in the place of the node, again and again until
what is left is known to the target.
Why: its parser knows a fixed list of operators and does not look up the bodies ONNX defines for the
rest (NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss, CenterCropPad, DynamicQuantizeLinear, LinearAttention, ...).
Before → After: `loss = NegativeLogLikelihoodLoss(x, target)` → `Unsqueeze, GatherElements, Neg, Slice, ReduceMean`
Swish above opset 24 is written out too: onnxruntime does not run it there, so that nothing could be compared.
Leaves alone: other operators the target takes; those without a body at this opset; those whose input types are unknown,
since bodies depend on them; bodies written for another opset whose operators have changed their meaning since.
Numerics: the defined meaning of the operator; rounding may differ in the last bits from a fused kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_graphsurgeon as gs

from surgery.passes.ops.function_bodies import inline_finding
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass

LAST_SWISH = 24  # onnxruntime 1.32 runs Swish at this opset and at none after it


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in graph.nodes:
        operator = f"{node.domain}::{node.op}" if node.domain not in (None, "", "ai.onnx") else node.op
        unjudged = operator == "Swish" and context.opset_of(graph) > LAST_SWISH
        if context.target.refuses(f"op:{operator}") is None and not unjudged:
            continue
        unknown = f"onnxruntime above opset {LAST_SWISH}" if unjudged else context.target.name
        message = f"{operator} is unknown to {unknown}, and ONNX defines it in simpler operators"
        yield from inline_finding(graph, node, context, "SG101", message)


# No single feature: `find` asks the target's table for each operator.
PASS = Pass(code="SG101", name="function-operator", find=find, exact=False, kind="replace")
