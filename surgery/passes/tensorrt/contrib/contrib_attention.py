"""Attention as onnxruntime writes it: Attention, QAttention and MultiHeadAttention of com.microsoft.

What it does: writes the projection, the split into heads, the masks, the softmax and the product with the values as
nodes of their own. Keys and values of earlier runs are concatenated in front; the result is an output for the next run.
Why: TensorRT's parser does not know these operators, which onnxruntime's optimizer writes; it mistakes
com.microsoft.Attention for ONNX's Attention.
Before → After: `y = com.microsoft.Attention<num_heads = 2>(x, w, b)` → `q, k, v = heads of Add(MatMul(x, w), b); y =
heads merged of MatMul(Softmax(q · kᵀ · scale), v)`
Leaves alone: buffers that past and present share; rotary embedding inside Attention; masks of four dims, of three
numbers for each row, or of one column; scores as an output; weights or inputs of unknown sizes.
Numerics: within rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops import attention
from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import Form, plain_findings
from surgery.passes.ops.quantize import dequantized, optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass

COMMON = ("num_heads", "unidirectional", "mask_filter_value", "scale")
UNUSED = ("do_rotary", "past_present_share_buffer", "rotary_embedding_dim")  # 0 wherever the rewrite holds


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    yield from plain_findings(graph, context, "SG175", FORMS)


def _attention(build: Build, node: gs.Node) -> list[gs.Tensor | None]:
    projected = build("MatMul", node.inputs[0], node.inputs[1])
    bias = optional_input(node, 2)
    projected = projected if bias is None else build("Add", projected, bias)
    return attention.self_attention(
        build, node, projected, _widths(node, 1), optional_input(node, 3), optional_input(node, 5)
    )


def _quantized(build: Build, node: gs.Node) -> list[gs.Tensor | None]:
    data = dequantized(build, node.inputs[0], node.inputs[3], optional_input(node, 6))
    weights = dequantized(build, node.inputs[1], node.inputs[4], optional_input(node, 7), axis=1)
    projected = build("Add", build("MatMul", data, weights), node.inputs[2])
    return attention.self_attention(build, node, projected, _widths(node, 1), optional_input(node, 5), None)


def _widths(node: gs.Node, weights: int) -> list[int]:
    sizes = node.attrs.get("qkv_hidden_sizes")
    return [int(size) for size in sizes] if sizes else [int(node.inputs[weights].shape[1]) // 3] * 3


def _projected(mask: int, shared: int | None) -> Callable[[gs.Node, Context], bool]:
    """A condition on Attention and QAttention: the places of the mask and of the length of a shared buffer."""

    def holds(node: gs.Node, context: Context) -> bool:
        weights = context.static_shape(node.inputs[1])
        if weights is None or len(weights) != 2 or context.rank(node.inputs[0]) != 3 or not node.attrs.get("num_heads"):
            return False
        if any(node.attrs.get(name) for name in UNUSED) or (shared and optional_input(node, shared) is not None):
            return False
        widths, heads = _widths(node, 1), int(node.attrs["num_heads"])
        even = sum(widths) == weights[1] and all(width % heads == 0 for width in widths)
        return even and attention.maskable(optional_input(node, mask), node.inputs[0], context)

    return holds


def _many_headed(build: Build, node: gs.Node) -> list[gs.Tensor | None]:
    query, key, value = (optional_input(node, place) for place in range(3))
    heads, dtype = int(node.attrs["num_heads"]), query.dtype
    if len(query.shape) == 5:  # packed: [batch, length, heads, 3, width]
        query, key, value = (_unpacked(build, query, place) for place in range(3))
    else:
        if key is not None and len(key.shape) == 5:
            key, value = (_unpacked(build, key, place) for place in range(2))
        biases = _biases(build, node)
        query, key, value = (
            part if len(part.shape) == 4 else _headed(build, part, bias, heads)
            for part, bias in zip((query, key, value), biases, strict=True)
        )
    if optional_input(node, 6) is not None:
        key, value = (
            attention.appended(build, optional_input(node, 6), key),
            attention.appended(build, optional_input(node, 7), value),
        )
    hidden = attention.hidden_keys(build, optional_input(node, 4), key, node, dtype)
    later = attention.later_or_none(build, node, query, key, dtype)
    scale = attention.scale_of(node, _hidden_sizes(node)[0] // heads)
    made = attention.attend(build, query, key, value, scale, hidden, later, optional_input(node, 5))
    return [attention.merge_heads(build, made, _hidden_sizes(node)[1]), key, value]


def _unpacked(build: Build, packed: gs.Tensor, place: int) -> gs.Tensor:
    """Queries, keys or values of [batch, length, heads, 2 or 3, width] as [batch, heads, length, width]."""
    return build("Transpose", build("Gather", packed, np.int64(place), axis=3), perm=[0, 2, 1, 3])


def _headed(build: Build, part: gs.Tensor, bias: gs.Tensor | None, heads: int) -> gs.Tensor:
    part = part if bias is None else build("Add", part, bias)
    return attention.split_heads(build, part, heads, int(part.shape[2]) // heads)


def _biases(build: Build, node: gs.Node) -> list[gs.Tensor | None]:
    bias, (query, value) = optional_input(node, 3), _hidden_sizes(node)
    if bias is None:
        return [None] * 3
    bounds = (0, query, 2 * query, 2 * query + value)
    return [build.slice(bias, [0], [bounds[place]], [bounds[place + 1]]) for place in range(3)]


def _hidden_sizes(node: gs.Node) -> list[int]:
    """Width of the queries and of the values of all heads."""
    query, key, value = (optional_input(node, place) for place in range(3))
    if len(query.shape) == 5:
        return [int(query.shape[2]) * int(query.shape[4])] * 2
    last = key if value is None else value
    if len(last.shape) == 3:
        return [int(query.shape[2]), int(last.shape[2])]
    places = (2, 4) if len(last.shape) == 5 else (1, 3)
    return [int(query.shape[2]), int(last.shape[places[0]]) * int(last.shape[places[1]])]


def _known_heads(node: gs.Node, context: Context) -> bool:
    parts = [optional_input(node, place) for place in range(3)]
    present = [part for part in parts if part is not None]
    if parts[0] is None or any(part.shape is None for part in present) or not node.attrs.get("num_heads"):
        return False
    ranks = tuple(0 if part is None else len(part.shape) for part in parts)
    if ranks not in ((5, 0, 0), (3, 5, 0), (3, 3, 3), (3, 4, 4)):
        return False
    sized = all(isinstance(dim, int) for part in present for dim in _inner_dims(part))
    bias = optional_input(node, 3)
    if not sized or (bias is not None and ranks != (3, 3, 3) and ranks != (3, 4, 4)):
        return False
    if any(optional_input(node, place) is not None for place in (8, 9)) or (optional_input(node, 6) is None) != (
        optional_input(node, 7) is None
    ):
        return False
    if bias is not None and ranks == (3, 4, 4):  # keys and values that come with heads are never given a bias
        return False
    mask = optional_input(node, 4)
    return attention.maskable(mask, parts[0], context) and not any(out.name for out in node.outputs[3:])


def _inner_dims(part: gs.Tensor) -> list[object]:
    """The dims that say how wide a head is and how many there are."""
    places = {3: (2,), 4: (1, 3), 5: (2, 4)}.get(len(part.shape))
    return [None] if places is None else [part.shape[place] for place in places]


FORMS = {
    "Attention": Form(_attention, inputs=2, attributes=(*COMMON, *UNUSED, "qkv_hidden_sizes"), holds=_projected(3, 6)),
    "QAttention": Form(_quantized, inputs=5, attributes=(*COMMON, *UNUSED), holds=_projected(5, None)),
    "MultiHeadAttention": Form(_many_headed, attributes=COMMON, holds=_known_heads),
}
PASS = Pass(code="SG175", name="contrib-attention", find=find, exact=False, kind="replace")
