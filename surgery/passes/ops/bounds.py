"""Bounds of the numbers in float32 tensors, as far as the nodes of the graph set them: no element can be NaN then.

A quantized model has many: what comes out of DequantizeLinear is bounded, and so are sums and products of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, prod

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import has_reference
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context

LARGEST = 1e30  # bounds above this are given up: float32 overflows soon after
SLACK = 1.001  # for rounding


@dataclass(frozen=True)
class Bound:
    """Every element is a number from `low` to `high`, either of which may be infinite, and never NaN.

    positive    no element has its sign bit set, so that none is -0.0
    """

    low: float
    high: float
    positive: bool = False

    @property
    def reach(self) -> float:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))


Known = dict[int, Bound]
Rule = Callable[[gs.Node, Known, Context], "Bound | None"]


def bounds(graph: gs.Graph, context: Context) -> Known:
    """The bound of each tensor that has one, by the tensor's id. Graphs inside nodes are not looked at."""
    known: Known = context.memo(f"bounds {id(graph)}", lambda: _follow(graph, context))
    return known


def _follow(graph: gs.Graph, context: Context) -> Known:
    known: Known = {}
    for node in graph.nodes:
        for tensor in node.inputs:
            if isinstance(tensor, gs.Constant) and id(tensor) not in known:
                value = _of_values(context.constant(tensor))
                if value is not None:
                    known[id(tensor)] = value
        rule = RULES.get(node.op) if not node.domain and node.inputs and not has_reference(node) else None
        if rule is None or any(out.dtype not in (None, np.float32) for out in node.outputs):
            continue
        found = rule(node, known, context)
        if found is not None and (found.reach <= LARGEST or node.op in HALF_OPEN):
            known.update((id(out), found) for out in node.outputs)
    return known


def _of_values(value: np.ndarray | None) -> Bound | None:
    if value is None or value.dtype.kind not in "iuf" or not value.size or not np.isfinite(value).all():
        return None
    numbers = value.astype(np.float64)
    return Bound(float(numbers.min()), float(numbers.max()), not np.signbit(numbers).any())


def _all(node: gs.Node, known: Known) -> list[Bound]:
    """The bounds of all inputs; an empty list where one is missing or infinite."""
    found = [known.get(id(tensor)) for tensor in node.inputs]
    finite = [each for each in found if each is not None and each.reach < inf]
    return finite if len(finite) == len(found) else []


def _hull(parts: list[Bound]) -> Bound | None:
    if not parts:
        return None
    return Bound(min(p.low for p in parts), max(p.high for p in parts), all(p.positive for p in parts))


def _same(node: gs.Node, known: Known, context: Context) -> Bound | None:
    """Operators that move the elements of their first input."""
    return known.get(id(node.inputs[0]))


def _joined(node: gs.Node, known: Known, context: Context) -> Bound | None:
    return _hull(_all(node, known))


def _padded(node: gs.Node, known: Known, context: Context) -> Bound | None:
    source, filler = known.get(id(node.inputs[0])), optional_input(node, 2)
    added = Bound(0, 0, True) if filler is None else known.get(id(filler))
    plain = len(node.inputs) > 1 and node.attrs.get("mode", "constant") == "constant"
    return _hull([source, added]) if plain and source is not None and added is not None else None


def _between(low: float, high: float, positive: bool = False) -> Rule:
    """Operators whose result lies in a range whatever number they take."""

    def rule(node: gs.Node, known: Known, context: Context) -> Bound | None:
        return Bound(low, high, positive) if _all(node, known) else None

    return rule


def _rounded(node: gs.Node, known: Known, context: Context) -> Bound | None:
    source = known.get(id(node.inputs[0]))
    return None if source is None else Bound(source.low - 1, source.high + 1, source.positive)


def _sum(node: gs.Node, known: Known, context: Context) -> Bound | None:
    parts = _all(node, known)
    if len(parts) != 2:
        return None
    one, other = parts
    low, high = (other.low, other.high) if node.op == "Add" else (-other.high, -other.low)
    slack = (one.reach + other.reach) * (SLACK - 1)
    return Bound(one.low + low - slack, one.high + high + slack, node.op == "Add" and one.positive and other.positive)


def _product(node: gs.Node, known: Known, context: Context) -> Bound | None:
    parts = _all(node, known)
    if len(parts) != 2:
        return None
    one, other = parts
    if node.op == "Div":
        if other.low <= 1e-30 and other.high >= -1e-30:
            return None
        other = Bound(1 / other.high, 1 / other.low, other.positive)
    ends = [a * b for a in (one.low, one.high) for b in (other.low, other.high)]
    slack = max(map(abs, ends)) * (SLACK - 1)
    return Bound(min(ends) - slack, max(ends) + slack, one.positive and other.positive)


def _matrix(node: gs.Node, known: Known, context: Context) -> Bound | None:
    """Conv, MatMul and Gemm: the largest numbers of both operands, as often as they are summed."""
    one, other = known.get(id(node.inputs[0])), known.get(id(node.inputs[1]))
    bias = optional_input(node, 2)
    shift = Bound(0, 0) if bias is None else known.get(id(bias))
    count = _terms(node)
    if one is None or other is None or shift is None or count is None:
        return None
    scale = abs(float(node.attrs.get("alpha", 1))) if node.op == "Gemm" else 1
    more = abs(float(node.attrs.get("beta", 1))) if node.op == "Gemm" else 1
    reach = (one.reach * other.reach * count * max(scale, 1) + shift.reach * more) * SLACK
    return Bound(-reach, reach)


def _terms(node: gs.Node) -> int | None:
    """How many products are summed to one element."""
    shape = node.inputs[1].shape
    if shape is None or len(shape) < 2:
        return None
    if node.op == "Conv":
        dims = list(shape[1:])
    else:
        dims = [shape[-1] if node.attrs.get("transB") else shape[-2]]
    return prod(dims) if all(isinstance(dim, int) for dim in dims) else None


def _dequantized(node: gs.Node, known: Known, context: Context) -> Bound | None:
    value, scale, zero = node.inputs[0], context.constant(node.inputs[1]), optional_input(node, 2)
    kind = None if value.dtype is None else np.dtype(value.dtype)
    shift = np.zeros(1) if zero is None else context.constant(zero)
    if kind is None or kind.name not in ("int8", "uint8") or scale is None or shift is None:
        return None
    limits, shifts = np.iinfo(kind), shift.astype(np.float64)
    step = np.abs(scale.astype(np.float64)).max(initial=0) * SLACK
    low, high = float(limits.min - shifts.max(initial=0)), float(limits.max - shifts.min(initial=0))
    return Bound(low * step, high * step) if np.isfinite(scale).all() and (scale > 0).all() else None


def _relu(node: gs.Node, known: Known, context: Context) -> Bound | None:
    source = known.get(id(node.inputs[0]))
    return None if source is None else Bound(max(source.low, 0.0), max(source.high, 0.0))


def _within(node: gs.Node, known: Known, context: Context) -> Bound | None:
    """Operators whose result is never farther from zero than their input."""
    source = known.get(id(node.inputs[0]))
    return None if source is None or source.reach == inf else Bound(-source.reach, source.reach)


def _limited(node: gs.Node, known: Known, context: Context) -> Bound | None:
    """Min and Max of two, and Clip with both limits."""
    if any(tensor.is_empty() for tensor in node.inputs):
        return None
    parts = [known.get(id(tensor)) for tensor in node.inputs]
    found = [part for part in parts if part is not None]
    if len(found) != len(parts) or len(parts) != (3 if node.op == "Clip" else 2):
        return None
    one, other = found[0], found[1]
    if node.op != "Min":
        one = Bound(max(one.low, other.low), max(one.high, other.high), one.positive and other.positive)
        other = found[-1]
    if node.op == "Max":
        return one
    return Bound(min(one.low, other.low), min(one.high, other.high), one.positive and other.positive)


def _chosen(node: gs.Node, known: Known, context: Context) -> Bound | None:
    """`Where(x > c, x, c)` is never NaN, whatever x is; any other Where takes elements of both operands."""
    _condition, source, bound = node.inputs
    least = known.get(id(bound))
    if is_floor(node) and least is not None and least.reach < inf:
        high = known[id(source)].high if id(source) in known else inf
        return Bound(least.low, max(high, least.high), least.positive)
    one = known.get(id(source))
    return None if one is None or least is None else _hull([one, least])


def is_floor(node: gs.Node) -> bool:
    """Whether a Where is `Where(x > c, x, c)`, with the same tensors in both places."""
    maker = node.inputs[0].inputs[0] if len(node.inputs[0].inputs) == 1 else None
    if maker is None or maker.op != "Greater" or maker.domain:
        return False
    return maker.inputs[0] is node.inputs[1] and maker.inputs[1] is node.inputs[2]


def _normalized(node: gs.Node, known: Known, context: Context) -> Bound | None:
    """LayerNormalization: a difference of two numbers over at least the root of epsilon."""
    parts, epsilon = _all(node, known), float(node.attrs.get("epsilon", 1e-5))
    if not parts or epsilon <= 0 or parts[0].reach > 1e18 or len(node.outputs) != 1:
        return None
    reach = 2 * parts[0].reach / epsilon**0.5 * parts[1].reach + sum(part.reach for part in parts[2:])
    return Bound(-reach * SLACK, reach * SLACK)


def _averaged(node: gs.Node, known: Known, context: Context) -> Bound | None:
    """Of at least one element: the dims must be known."""
    source, shape = known.get(id(node.inputs[0])), node.inputs[0].shape
    if source is None or source.reach == inf or shape is None:
        return None
    known_dims = all(isinstance(dim, int) and dim for dim in shape[1:])
    if not known_dims or (node.op == "ReduceMean" and not _keeps_batch(node, context)):
        return None
    slack = source.reach * (SLACK - 1)
    return Bound(source.low - slack, source.high + slack, source.positive)


def _keeps_batch(node: gs.Node, context: Context) -> bool:
    """Whether a reduction leaves the first dim, which may be free, as it is."""
    axes = context.constant(node.inputs[1]) if len(node.inputs) > 1 else node.attrs.get("axes")
    return axes is not None and len(axes) > 0 and all(int(axis) % len(node.inputs[0].shape) for axis in axes)


HALF_OPEN = {"Where", "Min", "Max", "Clip", "Round", "Floor", "Ceil"}
RULES: dict[str, Rule] = {
    **dict.fromkeys(("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Slice"), _same),
    **dict.fromkeys(("Gather", "Split", "Expand", "Tile", "DepthToSpace", "SpaceToDepth"), _same),
    **dict.fromkeys(("Round", "Floor", "Ceil"), _rounded),
    **dict.fromkeys(("Add", "Sub"), _sum),
    **dict.fromkeys(("Mul", "Div"), _product),
    **dict.fromkeys(("Conv", "MatMul", "Gemm"), _matrix),
    **dict.fromkeys(("Min", "Max", "Clip"), _limited),
    **dict.fromkeys(("Sigmoid", "HardSigmoid"), _between(0, 1, positive=True)),
    **dict.fromkeys(("Tanh", "Erf"), _between(-1, 1)),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "ReduceMean"), _averaged),
    **dict.fromkeys(("Gelu", "HardSwish", "Neg"), _within),
    "Softmax": _between(0, SLACK, positive=True),
    "Concat": _joined,
    "Pad": _padded,
    "DequantizeLinear": _dequantized,
    "Relu": _relu,
    "Where": _chosen,
    "LayerNormalization": _normalized,
}
