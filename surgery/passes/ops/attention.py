"""Attention of several heads in plain arithmetic, with the masks that onnxruntime's operators take."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import split_last
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context

FILTER = -10000.0  # added to the score of a hidden key unless `mask_filter_value` is given
PAST = 2  # dim of a past key or value that holds the positions


def split_heads(build: Build, tensor: gs.Tensor, heads: int, width: int) -> gs.Tensor:
    """[batch, length, heads * width] as [batch, heads, length, width]."""
    return build("Transpose", build.reshape(tensor, [0, 0, heads, width]), perm=[0, 2, 1, 3])


def merge_heads(build: Build, tensor: gs.Tensor, hidden: int) -> gs.Tensor:
    """[batch, heads, length, width] as [batch, length, heads * width]."""
    return build.reshape(build("Transpose", tensor, perm=[0, 2, 1, 3]), [0, 0, hidden])


def appended(build: Build, past: gs.Tensor | None, new: gs.Tensor) -> gs.Tensor:
    """The keys or values of earlier runs, followed by the new ones."""
    return new if past is None else build("Concat", past, new, axis=PAST)


def attend(
    build: Build,
    query: gs.Tensor,
    key: gs.Tensor,
    value: gs.Tensor,
    scale: float,
    *hidden: gs.Tensor | None,
    softcap: float = 0.0,
) -> gs.Tensor:
    """Softmax(query · keyᵀ · scale + each of `hidden`) · value, all [batch, heads, length, width].

    A softcap other than 0 bends the scores so that they stay below it.
    """
    scores = build("MatMul", query, build("Transpose", key, perm=[0, 1, 3, 2]))
    scores = build("Mul", scores, scale)
    if softcap:
        scores = build("Mul", build("Tanh", build("Div", scores, softcap)), softcap)
    for mask in hidden:
        scores = scores if mask is None else build("Add", scores, mask)
    return build("MatMul", build("Softmax", scores, axis=-1), value)


def scale_of(node: gs.Node, width: int) -> float:
    """The factor of the scores: an attribute (0 counts as left out), else 1 / √width."""
    return float(node.attrs.get("scale", 0.0)) or 1.0 / sqrt(width)


def maskable(mask: gs.Tensor | None, queries: gs.Tensor, context: Context) -> bool:
    """Whether `hidden_keys` is right for this mask: lengths, ends and starts, [batch, keys], [batch, queries, keys]."""
    if mask is None:
        return True
    if mask.dtype is None or np.dtype(mask.dtype) != np.int32 or mask.shape is None:
        return False
    if len(mask.shape) == 1:  # a mask of [3 * batch + 2] has another meaning, which only the GPU kernel implements
        batch, values = queries.shape[0], mask.shape[0]
        return not (isinstance(batch, int) and isinstance(values, int)) or values in (batch, 2 * batch)
    # A mask of one column hides nothing whatever it holds.
    return len(mask.shape) in (2, 3) and mask.shape[-1] != 1


def hidden_keys(build: Build, mask: gs.Tensor | None, keys: gs.Tensor, node: gs.Node, dtype: Any) -> gs.Tensor | None:
    """The summand of the scores that hides masked keys: 0 for a visible key, the filter value for a hidden one."""
    if mask is None:
        return None
    filtered = build.constant(float(node.attrs.get("mask_filter_value", FILTER)), dtype)
    if len(mask.shape) == 1:
        seen, axes = _within(build, mask, keys, mask.shape[0] == node.inputs[0].shape[0]), [1, 2]
    else:
        seen, axes = build("Greater", mask, 0), [1, 2] if len(mask.shape) == 2 else [1]
    return build("Where", build.unsqueeze(seen, *axes), build.constant(0, dtype), filtered)


def _within(build: Build, mask: gs.Tensor, keys: gs.Tensor, ends_only: bool) -> gs.Tensor:
    """Which keys are before the end of each row and, where the mask goes on with starts, not before its start."""
    places = positions(build, keys)
    if ends_only:
        return build("Less", places, build.unsqueeze(mask, 1))
    batch = build.slice(build("Shape", keys), [0], [0], [1])
    nothing = build("Expand", build.constant([0], np.int32), batch)
    both = build("Concat", mask, nothing, axis=0)  # the starts are 0 where the mask has none
    ends = build("Slice", both, build.ints([0]), batch, build.ints([0]))
    starts = build("Slice", both, batch, build("Add", batch, batch), build.ints([0]))
    begun = build("Not", build("Less", places, build.unsqueeze(starts, 1)))
    return build("And", build("Less", places, build.unsqueeze(ends, 1)), begun)


def later_keys(build: Build, query: gs.Tensor, key: gs.Tensor, dtype: Any) -> gs.Tensor:
    """A summand of the scores that hides later keys from a query: 0, or the lowest number. The last query sees all."""
    columns = positions(build, key)
    shift = build("Sub", length_of(build, key), length_of(build, query))
    rows = build("Add", positions(build, query), build.cast(shift, np.int32))
    later = build("Greater", columns, build.unsqueeze(rows, 1))
    # float16 has no room below its lowest number for a score that is added to it; onnxruntime takes the lowest too.
    lowest = build.constant(float(np.finfo(np.dtype(dtype)).min), dtype)
    return build("Where", later, lowest, build.constant(0, dtype))


def length_of(build: Build, heads: gs.Tensor) -> gs.Tensor:
    """The number of positions of [batch, heads, positions, width] as a scalar int64."""
    return build("Gather", build("Shape", heads), np.int64(PAST), axis=0)


def positions(build: Build, heads: gs.Tensor) -> gs.Tensor:
    """0, 1, ... for each position, int32[positions]."""
    length = build.cast(length_of(build, heads), np.int32)
    return build("Range", np.int32(0), length, np.int32(1))


def later_or_none(build: Build, node: gs.Node, query: gs.Tensor, key: gs.Tensor, dtype: Any) -> gs.Tensor | None:
    """`later_keys` where the node is unidirectional."""
    return later_keys(build, query, key, dtype) if node.attrs.get("unidirectional") else None


def self_attention(
    build: Build, node: gs.Node, projected: gs.Tensor, widths: list[int], mask: gs.Tensor | None, bias: gs.Tensor | None
) -> list[gs.Tensor | None]:
    """Attention of projected queries, keys and values that stand side by side, and the keys and values to keep.

    Args:
        projected: [batch, length, sum of widths].
        widths: of the queries, keys and values of all heads.
    """
    heads, dtype = int(node.attrs["num_heads"]), projected.dtype
    parts = split_last(build, projected, widths)
    query, key, value = (
        split_heads(build, part, heads, width // heads) for part, width in zip(parts, widths, strict=True)
    )
    past = optional_input(node, 8 if node.op == "QAttention" else 4)
    if past is not None:
        earlier = [build("Gather", past, np.int64(place), axis=0) for place in (0, 1)]
        key, value = appended(build, earlier[0], key), appended(build, earlier[1], value)
    hidden = hidden_keys(build, mask, key, node, dtype)
    later = later_or_none(build, node, query, key, dtype)
    made = attend(build, query, key, value, scale_of(node, widths[0] // heads), hidden, later, bias)
    kept = None
    if len(node.outputs) > 1 and node.outputs[1].name:
        kept = build("Concat", build.unsqueeze(key, 0), build.unsqueeze(value, 0), axis=0)
    return [merge_heads(build, made, widths[2]), kept]


def rotated(
    build: Build, heads: gs.Tensor, cosine: gs.Tensor, sine: gs.Tensor, half: int, interleaved: bool
) -> gs.Tensor:
    """The first `2 * half` places of the last dim turned by the angles; the rest stays."""
    width = int(heads.shape[-1])
    bounds = ((0, 2 * half, 2), (1, 2 * half, 2)) if interleaved else ((0, half, 1), (half, 2 * half, 1))
    first, second = (build.slice(heads, [3], [start], [stop], [step]) for start, stop, step in bounds)
    one = build("Sub", build("Mul", first, cosine), build("Mul", second, sine))
    other = build("Add", build("Mul", first, sine), build("Mul", second, cosine))
    if interleaved:
        pairs = build("Concat", build.unsqueeze(one, 4), build.unsqueeze(other, 4), axis=4)
        turned = [build.reshape(pairs, [0, 0, 0, 2 * half])]
    else:
        turned = [one, other]
    rest = [build.slice(heads, [3], [2 * half], [width])] if width > 2 * half else []
    parts = [*turned, *rest]
    return parts[0] if len(parts) == 1 else build("Concat", *parts, axis=3)
