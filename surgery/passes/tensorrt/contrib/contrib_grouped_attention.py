"""GroupQueryAttention of com.microsoft.

What it does: splits the heads, rotates queries and keys by their positions, appends new keys and values to those in the
cache (each row of the batch has its own length), repeats keys and values for the queries that share them, and writes
the masks, the softmax and the products as nodes of their own.
Why: TensorRT's parser does not know the operator, which exporters of language models write.
Before → After: `y, k, v = com.microsoft.GroupQueryAttention(q, k, v, pk, pv, n, total)` → `k = GatherElements(
Concat(pk, k), places); y = MatMul(Softmax(q · kᵀ · scale + mask), v)`
Leaves alone: quantized or sliding caches, positions as an input, sinks and smooth softmax, attention that is not
causal, normalized queries and keys, padded chunks (`query_seqlens`), scores as an output, unknown widths, and a window
unless the batch or the number of new positions is 1: in the padding after shorter rows onnxruntime computes other
values.
Numerics: within rounding.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops import attention
from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import Form, has_output, plain_findings, split_last, text
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass

PAST = (3, 4)
ENDS, TOTAL, COSINES, SINES, SCORES = 5, 6, 7, 8, 10
KNOWN_INPUTS = {0, 1, 2, *PAST, ENDS, TOTAL, COSINES, SINES, SCORES}
HEADS = ("num_heads", "kv_num_heads")
ROTARY = ("do_rotary", "rotary_interleaved")
PLAIN = {  # attributes that must have the value at which they change nothing
    "causal": 1, "smooth_softmax": 0, "qk_output": 0, "sliding_window_cache": 0, "k_quant_type": "NONE",
    "v_quant_type": "NONE",
}  # fmt: skip
UNREAD = ("kv_cache_bit_width", "k_norm_epsilon", "q_norm_epsilon", "qk_norm_epsilon")  # of what is left alone


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    yield from plain_findings(graph, context, "SG179", FORMS)


def _write(build: Build, node: gs.Node) -> list[gs.Tensor | None]:
    heads, groups = (int(node.attrs[name]) for name in HEADS)
    width = _width(node)
    query, key, value = (
        attention.split_heads(build, part, count, width)
        for part, count in zip(_parts(build, node, width), (heads, groups, groups), strict=True)
    )
    filled = _filled(build, node, query)
    if node.attrs.get("do_rotary"):
        query, key = (_turned(build, node, each, filled) for each in (query, key))
    if filled is not None:
        places = _places(build, node, filled, query)
        key, value = (_cached(build, node.inputs[at], new, places) for at, new in zip(PAST, (key, value), strict=True))
    mask = _mask(build, node, query, key, filled)
    made = attention.attend(
        build,
        query,
        *(_repeated(build, each, groups, heads // groups, width) for each in (key, value)),
        attention.scale_of(node, width),
        optional_input(node, SCORES),
        mask,
        softcap=float(node.attrs.get("softcap", 0.0)),
    )
    return [attention.merge_heads(build, made, heads * width), key, value]


def _width(node: gs.Node) -> int:
    """How wide a head is."""
    heads, groups = (int(node.attrs[name]) for name in HEADS)
    packed = optional_input(node, 1) is None
    return int(node.inputs[0].shape[2]) // (heads + 2 * groups if packed else heads)


def _parts(build: Build, node: gs.Node, width: int) -> list[gs.Tensor]:
    """Queries, keys and values, [batch, length, heads * width]."""
    if optional_input(node, 1) is not None:
        return list(node.inputs[:3])
    heads, groups = (int(node.attrs[name]) for name in HEADS)
    return split_last(build, node.inputs[0], [heads * width, groups * width, groups * width])


def _filled(build: Build, node: gs.Node, query: gs.Tensor) -> gs.Tensor | None:
    """How many positions each row's cache holds, int64[batch, 1]; None where there is no cache.

    All caches count as empty if the new positions are the whole sequence.
    """
    if optional_input(node, PAST[0]) is None:
        return None
    length = attention.length_of(build, query)
    ends = build("Add", build.cast(build.reshape(node.inputs[ENDS], [-1, 1]), np.int64), np.int64(1))
    first = build("Equal", build.cast(build.reshape(node.inputs[TOTAL], [1]), np.int64), length)
    return build("Where", first, np.int64(0), build("Sub", ends, length))


def _turned(build: Build, node: gs.Node, heads: gs.Tensor, filled: gs.Tensor | None) -> gs.Tensor:
    """Queries or keys rotated by their positions, which begin after those in the cache."""
    rows = build.unsqueeze(_steps(build, attention.length_of(build, heads)), 0)
    rows = rows if filled is None else build("Add", filled, rows)
    cosine, sine = (build.unsqueeze(build("Gather", node.inputs[at], rows), 1) for at in (COSINES, SINES))
    half, paired = int(node.inputs[COSINES].shape[1]), bool(node.attrs.get("rotary_interleaved"))
    return attention.rotated(build, heads, cosine, sine, half, paired)


def _steps(build: Build, length: gs.Tensor) -> gs.Tensor:
    """0, 1, ... below a scalar int64."""
    return build("Range", np.int64(0), length, np.int64(1))


def _places(build: Build, node: gs.Node, filled: gs.Tensor, query: gs.Tensor) -> tuple[gs.Tensor, gs.Tensor]:
    """Where each position of the new cache comes from, int64[batch, positions], and whether it holds anything.

    The places count through the old cache and on through the new positions.
    """
    old, new = build("Gather", build("Shape", node.inputs[PAST[0]]), np.int64(2)), attention.length_of(build, query)
    longest = build("Max", old, build.cast(build.reshape(node.inputs[TOTAL], []), np.int64))
    columns = build.unsqueeze(_steps(build, longest), 0)
    behind = build("Sub", columns, filled)
    last = build("Sub", build("Add", old, new), np.int64(1))
    places = build("Where", build("Less", columns, filled), columns, build("Min", build("Add", behind, old), last))
    return places, build("Less", behind, new)


def _cached(build: Build, old: gs.Tensor, new: gs.Tensor, places: tuple[gs.Tensor, gs.Tensor]) -> gs.Tensor:
    """The new cache, [batch, heads, positions, width]; zeros where it holds nothing."""
    both = build("Concat", old, new, axis=2)
    whole = build("Shape", new)
    ones = build("Where", build.constant([False, False, True, False]), np.int64(1), whole)
    spread = build("Expand", build.unsqueeze(places[0], 1, 3), ones)
    moved = build("GatherElements", both, spread, axis=2)
    return build("Where", build.unsqueeze(places[1], 1, 3), moved, build.constant(0, new.dtype))


def _mask(build: Build, node: gs.Node, query: gs.Tensor, key: gs.Tensor, filled: gs.Tensor | None) -> gs.Tensor:
    """The additive mask: the lowest number for later keys and for keys before the window, 0 elsewhere."""
    rows = build.unsqueeze(_steps(build, attention.length_of(build, query)), 1)
    rows = rows if filled is None else build("Add", build.unsqueeze(filled, 1, 3), rows)
    columns, window = _steps(build, attention.length_of(build, key)), _window(node)
    # A query in the padding of a shorter row sees the keys of that row only.
    last = build.cast(build.reshape(node.inputs[ENDS], [-1, 1, 1, 1]), np.int64)
    hidden = build("Greater", columns, build("Min", rows, last))
    if window > 0:
        hidden = build("Or", hidden, build("Less", columns, build("Sub", rows, np.int64(window - 1))))
    lowest = build.constant(float(np.finfo(np.dtype(query.dtype)).min), query.dtype)
    return build("Where", hidden, lowest, build.constant(0, query.dtype))


def _window(node: gs.Node) -> int:
    """How many keys a query sees, its own among them; -1 where it sees all."""
    return int(node.attrs.get("local_window_size", -1))


def _repeated(build: Build, heads: gs.Tensor, groups: int, times: int, width: int) -> gs.Tensor:
    """Each head of [batch, heads, length, width] repeated `times` in a row."""
    if times == 1:
        return heads
    spread = build("Expand", build.unsqueeze(heads, 2), build.ints([1, 1, times, 1, 1]))
    return build.reshape(spread, [0, groups * times, -1, width])


def _known(node: gs.Node, context: Context) -> bool:
    given = {place for place in range(len(node.inputs)) if optional_input(node, place) is not None}
    if given - KNOWN_INPUTS or not {0, ENDS, TOTAL} <= given or has_output(node, 3):
        return False
    if any(len(pair & given) == 1 for pair in ({1, 2}, set(PAST))) or not all(node.attrs.get(name) for name in HEADS):
        return False
    if any(_value(node.attrs.get(name, usual)) != usual for name, usual in PLAIN.items()):
        return False
    shape = node.inputs[0].shape
    if _window(node) > 0 and (not shape or 1 not in shape[:2]):
        return False
    return _known_widths(node, context, bool(node.attrs.get("do_rotary")) and {COSINES, SINES} <= given)


def _value(attribute: object) -> object:
    return text(attribute) if isinstance(attribute, (bytes, str)) else attribute


def _known_widths(node: gs.Node, context: Context, rotary: bool) -> bool:
    heads, groups = (int(node.attrs[name]) for name in HEADS)
    query = node.inputs[0]
    if context.rank(query) != 3 or not isinstance(query.shape[2], int) or heads % groups:
        return False
    if any(context.rank(node.inputs[at]) != 4 for at in PAST if optional_input(node, at) is not None):
        return False
    if not node.attrs.get("do_rotary"):
        return True
    table = node.inputs[COSINES].shape if rotary else None
    return table is not None and len(table) == 2 and isinstance(table[1], int) and 2 * table[1] <= _width(node)


FORMS = {
    "GroupQueryAttention": Form(
        _write,
        inputs=7,
        attributes=(*HEADS, *ROTARY, *PLAIN, *UNREAD, "local_window_size", "scale", "softcap"),
        holds=_known,
    ),
}
PASS = Pass(code="SG179", name="contrib-grouped-attention", find=find, exact=False, kind="replace")
