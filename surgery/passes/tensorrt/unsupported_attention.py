"""Attention that the target has no kernel for.

What it does: writes ONNX's own function body of Attention (MatMul, Softmax, MatMul and the mask arithmetic) in its
place.
Why: its Attention takes float16 and bfloat16 with heads of 16 and more, one output, no softcap, no
softmax precision, values as wide as keys, and a mask or causality but not both; everything else fails to parse or
build.
Before → After: `y = Attention(q, k, v)` in float32 → `scores = MatMul(q * s, Transpose(k) * s); y =
MatMul(Softmax(scores), v)`
Leaves alone: Attention the target takes, which it fuses; inputs of unknown type or rank.
Numerics: the defined meaning of the operator; rounding may differ in the last bits from a fused kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.function_bodies import inline_finding
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass

SMALLEST_HEAD = 16


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Attention"):
        why = refusal(node, context)
        if why:
            message = f"{why}: {context.target.name} has no kernel for it"
            yield from inline_finding(graph, node, context, "SG116", message)


def refusal(node: gs.Node, context: Context) -> str:
    """What the target minds about this Attention, or ""."""
    query, key, value = node.inputs[:3]
    rows = (
        (
            "attention-f32",
            query.dtype is not None and np.dtype(query.dtype).itemsize > 2,
            "it is not in half precision",
        ),
        ("attention-small", (head_size(node, key) or SMALLEST_HEAD) < SMALLEST_HEAD, "its heads are narrow"),
        ("attention-outputs", sum(not out.is_empty() for out in node.outputs) > 1, "it has more than one output"),
        ("attention-softcap", bool(node.attrs.get("softcap")), "it has a softcap"),
        ("attention-softcap", "softmax_precision" in node.attrs, "it sets the precision of its softmax"),
        ("attention-mask", _given(node, 3) and bool(node.attrs.get("is_causal")), "it is causal and has a mask"),
        ("attention-mask", len(node.inputs) > 4, "it has past keys or lengths"),
        ("attention-mask", "local_window_size" in node.attrs or "window_size" in node.attrs, "it has a window"),
        ("attention-mask", head_size(node, key) != head_size(node, value), "values are not as wide as keys"),
    )
    return next((why for feature, holds, why in rows if holds and context.target.refuses(feature)), "")


def head_size(node: gs.Node, tensor: gs.Tensor) -> int | None:
    """Width of one head of the keys or values, or None where it is not known."""
    shape = Context.static_shape(tensor)
    if shape is None:
        return None
    return shape[-1] if len(shape) == 4 else shape[-1] // max(int(node.attrs.get("kv_num_heads", 1)), 1)


def _given(node: gs.Node, index: int) -> bool:
    return len(node.inputs) > index and not node.inputs[index].is_empty()


PASS = Pass(code="SG116", name="unsupported-attention", find=find, exact=False, kind="replace", feature="attention-f32")
