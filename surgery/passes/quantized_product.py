"""QLinearMatMul, QLinearConv, MatMulInteger and ConvInteger.

What it does: subtracts the zero points, multiplies in float32, and rounds the product back by the ratio of the
scales.
Why TensorRT minds: these operators of onnxruntime's quantizer are unknown to its parser.
Before → After: `y = QLinearMatMul(a, as, az, b, bs, bz, ys, yz)` → `y = Clip(Round(MatMul(a - az, b - bz) * (as * bs
/ ys)) + yz, 0, 255)`
Leaves alone: products so long that their sum might leave the 24 bits float32 counts in; inputs of unknown shape;
models before opset 11, which have no Round.
Numerics: the products and sums are exact; the ratio of the scales is rounded once, as onnxruntime does.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from surgery.build import Build
from surgery.context import Context
from surgery.quantized import RANGES, along, given, quantized, shifted
from surgery.rule import Finding, Pass, finding

LONGEST = (1 << 24) // (255 * 255)  # terms of a sum of products of two numbers of up to 255
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
        places = PLACES[node.op]
        left, right = node.inputs[places[0] or 0], node.inputs[places[3] or 0]
        shape = context.static_shape(right)
        if shape is None or not shape or context.rank(left) is None or left.dtype is None or right.dtype is None:
            continue
        if np.dtype(left.dtype).name not in RANGES or np.dtype(right.dtype).name not in RANGES:
            continue
        terms = int(np.prod(shape[1:])) if "Conv" in node.op else shape[-2 if len(shape) > 1 else 0]
        if terms <= LONGEST:
            yield finding(f"{context.target.name} has no {node.op}", node, partial(rewrite, graph, node, context))


def rewrite(graph: gs.Graph, node: gs.Node, context: Context) -> None:
    """Multiply in float32."""
    build = Build(graph, node, context, PASS.code)
    a, a_scale, a_zero, b, b_scale, b_zero = (None if at is None else given(node, at) for at in PLACES[node.op])
    assert a is not None
    assert b is not None
    conv = "Conv" in node.op
    left = shifted(build, a, a_zero, len(a.shape), -2 if not conv else 1, np.float32)
    right = shifted(build, b, b_zero, len(b.shape), 0 if conv else -1, np.float32)
    product = build("Conv" if conv else "MatMul", left, right, **(dict(node.attrs) if conv else {}))
    if conv and (bias := given(node, 8)) is not None:
        product = build("Add", product, build.cast(along(build, bias, len(a.shape), 1), np.float32))
    if a_scale is None or b_scale is None:
        build.replace(build.cast(product, np.int32))
        return
    rank, axis = len(node.outputs[0].shape), 1 if conv else -1
    left_scale = build.cast(along(build, a_scale, rank, -2 if not conv else 1), np.float32)
    scales = build("Mul", left_scale, build.cast(along(build, b_scale, rank, axis), np.float32))
    ratio = build("Div", scales, build.cast(along(build, node.inputs[6], rank, axis), np.float32))
    value = build("Mul", product, ratio)
    build.replace(quantized(build, value, given(node, 7), rank, axis, node.outputs[0].dtype))


PASS = Pass(code="SG161", name="quantized-product", find=find, exact=False, kind="replace", feature="qlinear")
