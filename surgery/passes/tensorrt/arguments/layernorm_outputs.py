"""LayerNormalization whose mean or inverse deviation is read.

What it does: replaces it by ONNX's own function body, which computes both.
Why: TensorRT takes LayerNormalization with one output only.
Before → After: `y, mean = LayerNormalization(x, s, b)` → `mean = ReduceMean(x); d = x - mean; y = d / Sqrt(...) * s +
b`
Leaves alone: LayerNormalization with one output, for which TensorRT has a layer; inputs of unknown type.
Numerics: the body computes what ONNX defines; rounding may differ in the last bits from a fused kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_graphsurgeon as gs

from surgery.passes.ops.function_bodies import inline_finding
from surgery.passes.ops.outputs import unread_outputs
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "LayerNormalization"):
        named = sum(not tensor.is_empty() for tensor in node.outputs)
        if named > 1 and not unread_outputs(graph, node, context):
            yield from inline_finding(
                graph, node, context, "SG117", "more than one output of LayerNormalization is read"
            )


PASS = Pass(code="SG117", name="layernorm-outputs", find=find, exact=False, kind="replace", feature="layernorm-outputs")
