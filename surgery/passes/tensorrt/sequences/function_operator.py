"""Operators the target does not know although ONNX defines them by simpler ones.

What it does: replaces the node by the function body of ONNX's own operator schema, repeatedly, until the target knows
every operator that is left. Swish above opset 24 is replaced too, because onnxruntime does not run it there and could
not compare the result.
Why: TensorRT's parser knows a fixed list of operators and does not look up the bodies that ONNX defines for the rest
(NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss, CenterCropPad, DynamicQuantizeLinear, LinearAttention, ...).
Before → After: `loss = NegativeLogLikelihoodLoss(x, target)` → `Unsqueeze, GatherElements, Neg, Slice, ReduceMean`
Leaves alone: other operators the target takes; operators without a body at this opset; inputs of unknown type, since
bodies depend on the types; bodies written for another opset whose operators have changed their meaning since.
Numerics: the body computes what ONNX defines; rounding may differ in the last bits from a fused kernel.
Where the input of DynamicQuantizeLinear holds NaN or infinities, the scale is infinite and the quantized values are not
those of onnxruntime's kernel.
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
        message = f"{unknown} does not know {operator}, which ONNX defines by simpler operators"
        yield from inline_finding(graph, node, context, "SG101", message)


# No single feature: `find` asks the target's table for each operator.
PASS = Pass(code="SG101", name="function-operator", find=find, exact=False, kind="replace", moves_nan=True)
