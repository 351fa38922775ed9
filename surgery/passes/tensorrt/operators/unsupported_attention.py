"""Attention that the target has no kernel for.

What it does: replaces Attention by ONNX's own function body (MatMul, Softmax, MatMul and the mask arithmetic).
Why: TensorRT's Attention takes float16 and bfloat16 with heads at least 16 wide, one output, no softcap, no softmax
precision, values as wide as keys, and a mask or causality but not both; everything else fails to parse or build.
Before → After: `y = Attention(q, k, v)` in float32 → `scores = MatMul(q * s, Transpose(k) * s); y =
MatMul(Softmax(scores), v)`
Leaves alone: Attention the target takes, which it fuses; inputs of unknown type or rank.
Numerics: the body computes what ONNX defines; rounding may differ in the last bits from a fused kernel.
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
            message = f"{context.target.name} has no kernel for Attention {why}"
            yield from inline_finding(graph, node, context, "SG116", message)


def refusal(node: gs.Node, context: Context) -> str:
    """What the target refuses about this Attention, as the end of a sentence, or ""."""
    query, key, value = node.inputs[:3]
    rows = (
        (
            "attention-f32",
            query.dtype is not None and np.dtype(query.dtype).itemsize > 2,
            "outside half precision",
        ),
        (
            "attention-small",
            (head_size(node, key) or SMALLEST_HEAD) < SMALLEST_HEAD,
            f"with heads narrower than {SMALLEST_HEAD}",
        ),
        ("attention-outputs", sum(not out.is_empty() for out in node.outputs) > 1, "with more than one output"),
        ("attention-softcap", bool(node.attrs.get("softcap")), "with a softcap"),
        ("attention-softcap", "softmax_precision" in node.attrs, "that sets the precision of its softmax"),
        ("attention-mask", _given(node, 3) and bool(node.attrs.get("is_causal")), "that is causal and has a mask"),
        ("attention-mask", len(node.inputs) > 4, "with past keys or lengths"),
        ("attention-mask", "local_window_size" in node.attrs or "window_size" in node.attrs, "with a window"),
        ("attention-mask", head_size(node, key) != head_size(node, value), "with values that are not as wide as keys"),
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
