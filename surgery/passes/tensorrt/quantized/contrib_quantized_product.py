"""Products of quantized matrices: QGemm, MatMulIntegerToFloat, DynamicQuantizeMatMul and MatMulNBits of com.microsoft.

What it does: dequantizes both factors, multiplies, and quantizes where the operator does. DynamicQuantizeLinear
quantizes the inputs that DynamicQuantizeMatMul quantizes at run time. Packed weights of two, four or eight bits become
floating point; inputs that onnxruntime rounds to eight bits (`accuracy_level` 4) are rounded alike, block by block.
Why: TensorRT's parser knows none of these operators, which onnxruntime's quantizer writes.
Before → After: `y = com.microsoft.MatMulIntegerToFloat(a, b, as, bs, az, bz)` → `y =
MatMul(DequantizeLinear(a, as, az), DequantizeLinear(b, bs, bz))`
Leaves alone: scales for each row of the first factor; packed weights that are computed; groups of rows (`g_idx`) of
other than four bits, or with packed zero points other than 8, which onnxruntime does not read; `accuracy_level` 4 with
inputs other than float32, or with two bits in blocks for which onnxruntime rounds nothing.
Numerics: within rounding; onnxruntime sums integers, the replacement sums float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import Form, plain_findings
from surgery.passes.ops.quantize import dequantized, optional_input, requantized
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass

EIGHT_BITS = 4  # the accuracy level at which onnxruntime rounds the inputs
ROUNDED_BLOCKS = {2: (32, 64, 128), 4: (16, 32, 64, 128, 256), 8: (16, 32, 64, 128, 256)}  # bits: sizes of blocks
DEFAULT_ZERO = 8  # of four bits
STEPS = 127.0  # between 0 and the largest absolute value of a block


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    yield from plain_findings(graph, context, "SG177", FORMS)


def _gemm(build: Build, node: gs.Node) -> gs.Tensor:
    flip, alpha = bool(node.attrs.get("transB")), float(node.attrs.get("alpha", 1.0))
    left = dequantized(build, node.inputs[0], node.inputs[1], optional_input(node, 2))
    right = dequantized(build, node.inputs[3], node.inputs[4], optional_input(node, 5), axis=0 if flip else 1)
    bias = optional_input(node, 6)
    if bias is not None:  # in steps of the product of both scales
        bias = build("Mul", build.cast(bias, np.float32), build("Mul", node.inputs[1], node.inputs[4]))
    turned = int(node.attrs.get("transA", 0))
    made = build("Gemm", left, right, bias, alpha=alpha, beta=alpha, transA=turned, transB=int(flip))
    return (
        made if optional_input(node, 7) is None else requantized(build, made, node.inputs[7], optional_input(node, 8))
    )


def _to_float(build: Build, node: gs.Node) -> gs.Tensor:
    left = dequantized(build, node.inputs[0], node.inputs[2], optional_input(node, 4))
    return _times(build, node, left, node.inputs[3], optional_input(node, 5), optional_input(node, 6))


def _dynamic(build: Build, node: gs.Node) -> gs.Tensor:
    narrow, scale, zero_point = build("DynamicQuantizeLinear", node.inputs[0], outputs=3)
    left = dequantized(build, narrow, scale, zero_point)
    return _times(build, node, left, node.inputs[2], optional_input(node, 3), optional_input(node, 4))


def _times(
    build: Build, node: gs.Node, left: gs.Tensor, scale: gs.Tensor, zero: gs.Tensor | None, bias: gs.Tensor | None
) -> gs.Tensor:
    right = dequantized(build, node.inputs[1], scale, zero, axis=len(node.inputs[1].shape) - 1)
    product = build("MatMul", left, right)
    return product if bias is None else build("Add", product, bias)


def _packed(build: Build, node: gs.Node) -> gs.Tensor:
    weights = build.constant(unpacked(node, build.context), node.inputs[0].dtype)
    data = _rounded(build, node) if _rounds_inputs(node) else node.inputs[0]
    product, bias = build("MatMul", data, weights), optional_input(node, 5)
    return product if bias is None else build("Add", product, bias)


def _rounded(build: Build, node: gs.Node) -> gs.Tensor:
    """The inputs in multiples of 1 / 127 of the largest absolute value of their block of the last dim."""
    size, length, data = int(node.attrs["block_size"]), int(node.attrs["K"]), node.inputs[0]
    rank, missing = len(data.shape), -length % size
    if missing:
        data = build("Pad", data, build.ints([0] * (2 * rank - 1) + [missing]))
    whole = build.reshape(data, [0] * (rank - 1) + [(length + missing) // size, size])
    step = build("Div", build.axes("ReduceMax", build("Abs", whole), [rank], keepdims=1), STEPS)
    inverse = build("Where", build("Equal", step, 0.0), step, build("Reciprocal", step))
    near = build("Mul", build("Round", build("Mul", whole, inverse)), step)
    flat = build.reshape(near, [0] * (rank - 1) + [length + missing])
    return build.slice(flat, [rank - 1], [0], [length]) if missing else flat


def _rounds_inputs(node: gs.Node) -> bool:
    """Whether onnxruntime rounds the inputs: not where it unpacks the weights, as for groups and float zero points."""
    zeros = optional_input(node, 3)
    packs = optional_input(node, 4) is None and (zeros is None or np.dtype(zeros.dtype) == np.uint8)
    return packs and int(node.attrs.get("accuracy_level", 0)) == EIGHT_BITS


def unpacked(node: gs.Node, context: Context) -> np.ndarray:
    """The weights of MatMulNBits as float32[K, N]."""
    bits, size, rows, columns = (int(node.attrs.get(name, 4)) for name in ("bits", "block_size", "K", "N"))
    blocks = -(-rows // size)
    packed, scales, zeros, groups = (
        None if (tensor := optional_input(node, place)) is None else context.constant(tensor) for place in (1, 2, 3, 4)
    )
    codes = _codes(packed, bits).reshape(columns, -1)[:, :rows].astype(np.float32)
    if zeros is None:
        shift = np.full((columns, blocks), 1 << (bits - 1), np.float32)
    elif zeros.dtype == np.uint8:
        shift = _codes(zeros, bits).reshape(columns, -1)[:, :blocks].astype(np.float32)
    else:
        shift = zeros.reshape(columns, blocks).astype(np.float32)
    steps = np.asarray(scales, np.float32).reshape(columns, blocks)
    block = np.arange(rows) // size if groups is None else np.asarray(groups)[:rows]
    return np.ascontiguousarray(((codes - shift[:, block]) * steps[:, block]).T)


def _codes(packed: np.ndarray | None, bits: int) -> np.ndarray:
    """The unsigned numbers of `bits` bits in each byte, lowest first."""
    spread = np.asarray(packed, np.uint8)[..., None] >> np.arange(0, 8, bits, dtype=np.uint8)
    return np.asarray(spread & ((1 << bits) - 1), np.uint8)


def _one_scale(place: int) -> Callable[[gs.Node, Context], bool]:
    def holds(node: gs.Node, context: Context) -> bool:
        scale = context.static_shape(node.inputs[place])
        return scale is not None and int(np.prod(scale)) == 1 and _ranked(node, context)

    return holds


def _ranked(node: gs.Node, context: Context) -> bool:
    return (context.rank(node.inputs[1]) or 0) >= 2


def _gemm_scales(node: gs.Node, context: Context) -> bool:
    scale = context.static_shape(node.inputs[1])
    return scale is not None and int(np.prod(scale)) == 1 and context.static_shape(node.inputs[4]) is not None


def _stored(node: gs.Node, context: Context) -> bool:
    packed = [optional_input(node, place) for place in (1, 2, 3, 4)]
    known = all(tensor is None or isinstance(tensor, gs.Constant) for tensor in packed)
    bits, size = (int(node.attrs.get(name, 4)) for name in ("bits", "block_size"))
    if not known or node.attrs.get("weight_prepacked") or bits not in ROUNDED_BLOCKS:
        return False
    if packed[3] is not None:
        return bits == 4 and _default_zeros(node, packed[2], context)
    if not _rounds_inputs(node):
        return True
    float32 = node.inputs[0].dtype is not None and np.dtype(node.inputs[0].dtype) == np.float32
    return float32 and context.rank(node.inputs[0]) is not None and size in ROUNDED_BLOCKS[bits]


def _default_zeros(node: gs.Node, zeros: gs.Tensor | None, context: Context) -> bool:
    """Whether the zero points are floats or all the default: onnxruntime takes the default for packed ones."""
    if zeros is None or np.dtype(zeros.dtype) != np.uint8:
        return True
    blocks = -(-int(node.attrs["K"]) // int(node.attrs["block_size"]))
    codes = _codes(context.constant(zeros), 4).reshape(int(node.attrs["N"]), -1)[:, :blocks]
    return bool((codes == DEFAULT_ZERO).all())


FORMS = {
    "QGemm": Form(_gemm, inputs=6, attributes=("alpha", "transA", "transB"), holds=_gemm_scales),
    "MatMulIntegerToFloat": Form(_to_float, inputs=4, holds=_one_scale(2)),
    "DynamicQuantizeMatMul": Form(_dynamic, inputs=3, holds=_ranked),
    "MatMulNBits": Form(
        _packed,
        inputs=3,
        attributes=("K", "N", "accuracy_level", "bits", "block_size", "weight_prepacked"),
        holds=_stored,
    ),
}
PASS = Pass(code="SG177", name="contrib-quantized-product", find=find, exact=False, kind="replace")
