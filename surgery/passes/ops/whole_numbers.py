"""Tensors of floating point that hold whole numbers only, and the range that these are in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

import numpy as np
import onnx_graphsurgeon as gs

from surgery.graph.walk import producer
from surgery.passes.ops.quantize import optional_input
from surgery.pipeline.context import Context

SLACK = 1.001  # for rounding of sums
DEEPEST = 12  # nodes in a row that are followed
EXACT = 1 << 24  # float32 represents every integer up to here
LARGEST = 1 << 30  # sums of whole numbers are whole, rounded or not; up to here they fit int32


@dataclass(frozen=True)
class Whole:
    """Every element is a whole number from `low` to `high`, infinite where the range is open.

    missing          an element may be NaN
    negative_zero    an element may be -0.0
    """

    low: float
    high: float
    missing: bool = False
    negative_zero: bool = False

    @property
    def reach(self) -> float:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))


def survives(tensor: gs.Tensor, kind: np.dtype, context: Context) -> bool:
    """Whether a Cast of this float32 tensor to the integer type `kind` and back changes no bit."""
    found = whole(tensor, context) if tensor.dtype == np.float32 and kind.kind in "iu" else None
    if found is None or found.missing or found.negative_zero or found.reach > LARGEST:
        return False
    return bool(np.iinfo(kind).min <= found.low and found.high <= np.iinfo(kind).max)


def whole(tensor: gs.Tensor, context: Context, depth: int = DEEPEST) -> Whole | None:
    """What is known of the whole numbers in a tensor; None where it may hold fractions."""
    value = context.constant(tensor)
    if value is not None:
        return _of_values(value)
    maker = producer(tensor, *RULES) if depth else None
    if maker is None or any(operand.is_empty() for operand in maker.inputs[:2]):
        return None
    return RULES[maker.op](maker, context, depth - 1)


def _of_values(value: np.ndarray) -> Whole | None:
    if value.dtype.kind not in "biuf" or not value.size:
        return None
    numbers = value.astype(np.float64)
    if not np.isfinite(numbers).all() or (numbers != np.rint(numbers)).any():
        return None
    zeros = numbers[numbers == 0]
    return Whole(float(numbers.min()), float(numbers.max()), negative_zero=bool(np.signbit(zeros).any()))


def _rounded(node: gs.Node, context: Context, depth: int) -> Whole | None:
    clip = producer(node.inputs[0], "Clip")
    ends = [] if clip is None else [context.constant(tensor) for tensor in clip.inputs[1:]]
    limits = [_of_values(value) for value in ends if value is not None and value.size == 1]
    low, high = (limits[0], limits[1]) if len(limits) == 2 else (None, None)
    if low is None or high is None or low.low > high.high:
        return Whole(-inf, inf, missing=True, negative_zero=True)
    return Whole(low.low, high.high, missing=True, negative_zero=True)


def _cast(node: gs.Node, context: Context, depth: int) -> Whole | None:
    """Of integers: what a Cast of whole numbers put in, or else the range of the type.

    ONNX leaves open which integer a Cast makes of NaN.
    """
    source, kind = node.inputs[0], None if node.inputs[0].dtype is None else np.dtype(node.inputs[0].dtype)
    if kind is None or kind.kind not in "biu":
        return None
    inner = producer(source, "Cast")
    if kind.kind == "b":
        return Whole(0, 1)
    limits, known = np.iinfo(kind), inner is not None and inner.inputs[0].dtype == np.float32
    found = whole(inner.inputs[0], context, depth) if known and inner is not None else None
    if found is not None and limits.min <= found.low and found.high <= limits.max:
        return replace(found, missing=False, negative_zero=False)
    return Whole(float(limits.min), float(limits.max))


def _sum(node: gs.Node, context: Context, depth: int) -> Whole | None:
    one, other = (whole(tensor, context, depth) for tensor in node.inputs)
    if one is None or other is None:
        return None
    if node.op == "Sub":
        other = replace(other, low=-other.high, high=-other.low)
    missing = one.missing or other.missing or (one.reach == inf and other.reach == inf)
    negative_zero = one.negative_zero and (other.negative_zero or node.op == "Sub")
    return Whole(one.low + other.low, one.high + other.high, missing, negative_zero)


def _least(node: gs.Node, context: Context, depth: int) -> Whole | None:
    """Min of two: NaN where one of them is."""
    if len(node.inputs) != 2:
        return None
    one, other = (whole(tensor, context, depth) for tensor in node.inputs)
    if one is None or other is None:
        return None
    missing, negative_zero = one.missing or other.missing, one.negative_zero or other.negative_zero
    return Whole(min(one.low, other.low), min(one.high, other.high), missing, negative_zero)


def _floor(node: gs.Node, context: Context, depth: int) -> Whole | None:
    """`Where(x > bound, x, bound)`, which is the bound where x is NaN."""
    condition, source, bound = node.inputs
    test = producer(condition, "Greater")
    least = context.constant(bound)
    if test is None or least is None or least.size != 1 or test.inputs[0] is not source:
        return None
    limit = context.constant(test.inputs[1])
    same = limit is not None and limit.size == 1 and limit.reshape(()).tobytes() == least.reshape(()).tobytes()
    above, at = whole(source, context, depth), _of_values(least)
    if not same or above is None or at is None:
        return None
    negative_zero = at.negative_zero or (at.low < 0 and above.negative_zero)
    return Whole(at.low, max(above.high, at.low), False, negative_zero)


def _clipped(node: gs.Node, context: Context, depth: int) -> Whole | None:
    """Clip between two constants that are whole; NaN stays."""
    source = whole(node.inputs[0], context, depth)
    ends = [context.constant(tensor) for tensor in node.inputs[1:]]
    limits = [_of_values(value) for value in ends if value is not None and value.size == 1]
    if source is None or len(limits) != 2 or limits[0] is None or limits[1] is None:
        return None
    low, high = limits[0].low, limits[1].high
    negative_zero = source.negative_zero or limits[0].negative_zero or limits[1].negative_zero
    return Whole(low, high, source.missing, negative_zero) if low <= high else None


def _product(node: gs.Node, context: Context, depth: int) -> Whole | None:
    """MatMul and Conv; their zeros are positive, as sums that begin at zero are."""
    left, weights = whole(node.inputs[0], context, depth), node.inputs[1]
    if left is None or left.missing or left.reach > EXACT or optional_input(node, 2) is not None:
        return None
    summed = -2 if node.op == "MatMul" else None
    values = _known(weights, context)
    if values is not None and values.ndim >= 2:
        axes = (-2,) if summed else tuple(range(1, values.ndim))
        most = float(np.abs(values).sum(axis=axes).max(initial=0))
    else:
        right, shape = whole(weights, context, depth), context.static_shape(weights)
        if right is None or right.missing or shape is None or len(shape) < 2:
            return None
        most = right.reach * (shape[-2] if summed else int(np.prod(shape[1:])))
    reach = left.reach * most * SLACK
    return Whole(-reach, reach) if reach <= LARGEST else None


def _known(tensor: gs.Tensor, context: Context) -> np.ndarray | None:
    """The whole numbers of weights that are stored in eight bits: cast, with their zero point taken off."""
    value = context.constant(tensor)
    if value is not None:
        return None if _of_values(value) is None else value.astype(np.float64)
    maker = producer(tensor, "Cast", "Sub", "DequantizeLinear")
    if maker is None:
        return None
    first = _known(maker.inputs[0], context)
    if first is None or maker.op == "Cast":
        return first
    if maker.op == "Sub":
        second = _known(maker.inputs[1], context)
        return None if second is None or second.size != 1 else first - second.reshape(())
    scale, zero = context.constant(maker.inputs[1]), optional_input(maker, 2)
    shift = None if zero is None else context.constant(zero)
    plain = scale is not None and bool((scale == 1).all()) and (zero is None or (shift is not None and not shift.any()))
    return first if plain else None


Rule = Callable[[gs.Node, Context, int], "Whole | None"]
RULES: dict[str, Rule] = {
    "Round": _rounded,
    "Floor": _rounded,
    "Ceil": _rounded,
    "Cast": _cast,
    "Add": _sum,
    "Sub": _sum,
    "Min": _least,
    "Where": _floor,
    "Clip": _clipped,
    "MatMul": _product,
    "Conv": _product,
}
