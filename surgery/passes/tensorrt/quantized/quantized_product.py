"""QLinearMatMul, QLinearConv, MatMulInteger and ConvInteger.

What it does: subtracts the zero points, multiplies in float32, and rounds the product back by the ratio of the
scales. Sums that might need more than the 24 bits of a float32 mantissa are split into pieces, which are added as
integers. DequantizeLinear and QuantizeLinear in steps of one take the zero points off and on, so that the passes for
them find INT8 products with stored weights, and leave no casts between two products.
Why: TensorRT's parser does not know these operators, which onnxruntime's quantizer writes.
Before → After: `y = QLinearMatMul(a, as, az, b, bs, bz, ys, yz)` → `y = Clip(Round(MatMul(a - az, b - bz) * (as * bs
/ ys)) + yz, 0, 255)`
Leaves alone: products of more than 64 pieces; convolutions in more than one group that need more than one piece; inputs
of unknown rank; sums of an unknown number of terms whose result is an integer; models before opset 11, which have no
Round.
Numerics: the products are exact, and so are sums of a known number of terms; the ratio of the
scales is rounded once, as in onnxruntime.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial, reduce
from itertools import pairwise
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.quantize import (
    RANGES,
    broadcastable,
    dequantized,
    optional_input,
    quantized,
    requantized,
    single_number,
    without_zero_point,
)
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

COUNTED = 1 << 24  # float32 represents every integer up to here
WIDEST = 255  # of the difference of an eight-bit number and its zero point
MOST = 64  # pieces of one sum
PLACES = {  # operator: (a, its scale, its zero point, b, its scale, its zero point)
    "QLinearMatMul": (0, 1, 2, 3, 4, 5),
    "QLinearConv": (0, 1, 2, 3, 4, 5),
    "MatMulInteger": (0, None, 2, 1, None, 3),
    "ConvInteger": (0, None, 2, 1, None, 3),
}


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    if context.opset_of(graph) < 11:  # Round
        return
    for node in context.nodes(graph, *PLACES):
        parts = parts_of(node, context)
        if parts:
            message = f"{context.target.name} has no {node.op}"
            yield finding(message, node, partial(rewrite, graph, node, context, parts))


def parts_of(node: gs.Node, context: Context) -> list[tuple[int, int]]:
    """Where to cut the sums of a product as `pieces` does; empty where the product cannot be written out."""
    places = PLACES[node.op]
    left, right = node.inputs[places[0] or 0], node.inputs[places[3] or 0]
    shape = _known_sizes(node, right, context)
    rounded = node.op == "QLinearMatMul" and bool(right.shape)
    if not (shape or rounded) or context.rank(left) is None or left.dtype is None or right.dtype is None:
        return []
    if np.dtype(left.dtype).name not in RANGES or np.dtype(right.dtype).name not in RANGES:
        return []
    # The sums of an unknown number of terms may be rounded, by less than the step of the eight-bit result.
    return pieces(node, shape, context) if shape else [(0, 0)]


def _known_sizes(node: gs.Node, right: gs.Tensor, context: Context) -> tuple[Any, ...]:
    """The shape of the second factor where the dim that is summed over is known, and all dims of a convolution's."""
    if "Conv" in node.op:
        return context.static_shape(right) or ()
    shape = tuple(right.shape or ())
    return shape if shape and isinstance(shape[max(len(shape) - 2, 0)], int) else ()


def pieces(node: gs.Node, shape: tuple[Any, ...], context: Context) -> list[tuple[int, int]]:
    """Where to cut the dim that is summed over so that each sum stays below 2^24: (start, stop); empty where it cannot.

    `shape` is that of the second factor. The sums of a constant one are bounded by its own values.
    """
    terms = reach(node, shape, context)
    length = len(terms)
    if length == 0 or ("Conv" in node.op and node.attrs.get("group", 1) != 1):
        return [(0, length)] if terms.sum(0).max(initial=0) <= COUNTED else []
    for count in range(1, min(length, MOST) + 1):
        cuts = [length * part // count for part in range(count + 1)]
        if np.add.reduceat(terms, cuts[:-1]).max(initial=0) <= COUNTED:
            return list(pairwise(cuts))
    return []


def reach(node: gs.Node, shape: tuple[Any, ...], context: Context) -> np.ndarray:
    """The most that each element of the summed dim can add to a sum: int64[length, sums]."""
    summed = 1 if "Conv" in node.op else max(len(shape) - 2, 0)
    inner = math.prod(shape[2:]) if "Conv" in node.op else 1
    factor, zero = _second(node, context)
    if factor is None or zero is None or zero.size not in (1, shape[0 if "Conv" in node.op else -1]):
        return np.full((shape[summed], 1), WIDEST * WIDEST * inner, np.int64)
    if "Conv" in node.op:
        zero = zero.reshape(-1, *[1] * (len(shape) - 1))
    distance = np.moveaxis(np.abs(factor.astype(np.int16) - zero.astype(np.int16)), summed, 0)
    if "Conv" in node.op:
        distance = distance.reshape(*distance.shape[:2], inner).sum(2, dtype=np.int64)
    return np.asarray(WIDEST * distance.reshape(shape[summed], math.prod(distance.shape[1:])).astype(np.int64))


def _second(node: gs.Node, context: Context) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The second factor and its zero point, each None where it is no constant."""
    at, zero_at = PLACES[node.op][3], PLACES[node.op][5]
    shift = optional_input(node, zero_at or 0)
    zero = np.zeros((), np.int16) if shift is None else context.constant(shift)
    return context.constant(node.inputs[at or 0]), None if zero is None else zero.reshape(-1)


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, parts: list[tuple[int, int]]) -> None:
    """Multiply in float32, in pieces."""
    build = Build(graph, node, context, PASS.code)
    a, a_scale, a_zero, _b, b_scale, _ = (None if at is None else optional_input(node, at) for at in PLACES[node.op])
    assert a is not None
    conv = "Conv" in node.op
    one, y_zero = build.constant(1.0, np.float32), optional_input(node, 7)
    plain = single_number(a_zero, context) is not None and single_number(y_zero, context) is not None
    if plain and not isinstance(a, gs.Constant):
        left = dequantized(build, a, one, a_zero)
    else:
        left = without_zero_point(build, a, a_zero, len(a.shape), -2 if not conv else 1, np.float32)
    product = multiplied(build, node, left, parts)
    if conv and (bias := optional_input(node, 8)) is not None:
        product = build("Add", build.cast(product, np.int32), broadcastable(build, bias, len(a.shape), 1))
    if a_scale is None or b_scale is None:
        build.replace(build.cast(product, np.int32))
        return
    rank, axis = len(product.shape), 1 if conv else -1
    left_scale = build.cast(broadcastable(build, a_scale, rank, -2 if not conv else 1), np.float32)
    scales = build("Mul", left_scale, build.cast(broadcastable(build, b_scale, rank, axis), np.float32))
    ratio = build("Div", scales, build.cast(broadcastable(build, node.inputs[6], rank, axis), np.float32))
    value = build("Mul", build.cast(product, np.float32), ratio)
    if plain:
        build.replace(requantized(build, value, one, y_zero))
    else:
        build.replace(quantized(build, value, y_zero, rank, axis, node.outputs[0].dtype))


def multiplied(build: Build, node: gs.Node, left: gs.Tensor, parts: list[tuple[int, int]]) -> gs.Tensor:
    """The product with the second factor, without bias: int32 if it has several parts, else whole float32 numbers.

    Args:
        left: the first factor with its zero point subtracted, in float32.
    """
    places, conv = PLACES[node.op], "Conv" in node.op
    b, b_zero = node.inputs[places[3] or 0], optional_input(node, places[5] or 0)
    products = []
    for start, stop in parts:
        whole = len(parts) == 1
        part = left if whole else build.slice(left, [1 if conv else len(left.shape) - 1], [start], [stop])
        weights = b if whole else cut(build, b, 1 if conv else max(len(b.shape) - 2, 0), start, stop)
        if _stays_in_eight_bits(node, build.context):
            right = dequantized(build, weights, build.constant(1.0, np.float32), b_zero)
        else:
            right = without_zero_point(build, weights, b_zero, len(b.shape), 0 if conv else -1, np.float32)
        products.append(build("Conv" if conv else "MatMul", part, right, **(dict(node.attrs) if conv else {})))
    if len(parts) == 1:
        return products[0]
    return reduce(partial(build, "Add"), [build.cast(each, np.int32) for each in products])


def _stays_in_eight_bits(node: gs.Node, context: Context) -> bool:
    """Whether a DequantizeLinear in steps of one makes the second factor: it is computed, or stored around zero."""
    places = PLACES[node.op]
    b, b_zero = node.inputs[places[3] or 0], optional_input(node, places[5] or 0)
    if not isinstance(b, gs.Constant):
        return single_number(b_zero, context) is not None
    zero = None if b_zero is None else context.constant(b_zero)
    symmetric = zero is not None and not zero.any() and zero.size == 1
    return places[1] is not None and b.dtype == np.int8 and symmetric


def cut(build: Build, tensor: gs.Tensor, axis: int, start: int, stop: int) -> gs.Tensor:
    """These places of `axis`: of a constant at once."""
    value = build.context.constant(tensor)
    if value is None:
        return build.slice(tensor, [axis], [start], [stop])
    return build.constant(np.ascontiguousarray(value.take(range(start, stop), axis)), value.dtype)


PASS = Pass(code="SG161", name="quantized-product", find=find, exact=False, kind="replace", feature="qlinear")
