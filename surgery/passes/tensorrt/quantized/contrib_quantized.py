"""QLinearAdd and the other QLinear operators of com.microsoft, and its QuantizeLinear and DequantizeLinear.

What it does: puts DequantizeLinear in front of the floating-point operator and QuantizeLinear behind it, the form that
TensorRT builds INT8 kernels from; the quantizing operators themselves become those of ONNX.
Why: TensorRT's parser knows none of these operators: QLinearAdd, -Mul, -Sigmoid, -LeakyRelu, -Concat, -AveragePool,
-GlobalAveragePool, -Softmax and -Conv, which onnxruntime's quantizer writes.
Before → After: `y = com.microsoft.QLinearAdd(a, as, az, b, bs, bz, ys, yz)` → `y =
QuantizeLinear(Add(DequantizeLinear(a, as, az), DequantizeLinear(b, bs, bz)), ys, yz)`
Leaves alone: a softmax over several dims at once, as before opset 13; pools and convolutions with the channels last
and an unknown rank; types that ONNX's own operators do not take.
Numerics: the same eight-bit numbers: products and means are rounded in the steps in which onnxruntime's kernels round
them, and a sum takes the form in which all 65,536 pairs round as in the kernel. Convolutions, softmaxes and means of
windows may still differ by one where float32 falls on the other side of a tie. A softmax is quantized with the scale
that onnxruntime's kernel really uses: 1 / 265 instead of 1 / 265.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import Form, plain_findings
from surgery.passes.ops.kernel_rounding import (
    Sum,
    combined,
    form_of_sum,
    rounded,
    rounded_with_zero,
    unshifted,
)
from surgery.passes.ops.quantize import dequantized, optional_input, requantized
from surgery.passes.tensorrt.contrib.fused_convolution import WINDOW, channels_first, channels_last
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass

POOL = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    yield from plain_findings(graph, context, "SG176", FORMS)


def _read(build: Build, node: gs.Node, place: int) -> gs.Tensor:
    """The tensor whose value, scale and zero point start at this place, in floating point."""
    return dequantized(build, node.inputs[place], node.inputs[place + 1], optional_input(node, place + 2))


def _unary(compute: Callable[[Build, gs.Node, gs.Tensor], gs.Tensor]) -> Callable[[Build, gs.Node], gs.Tensor]:
    def write(build: Build, node: gs.Node) -> gs.Tensor:
        value = compute(build, node, _read(build, node, 0))
        return requantized(build, value, node.inputs[3], optional_input(node, 4) or _zero(build, node))

    return write


def _zero(build: Build, node: gs.Node) -> gs.Tensor:
    """The default zero point, in the type of the data."""
    return build.constant(0, node.inputs[0].dtype)


def _sum(build: Build, node: gs.Node) -> gs.Tensor:
    zero = optional_input(node, 7) or _zero(build, node)
    form = _form_of_sum(build, node, zero) or Sum([node.inputs[place] for place in (1, 4, 6)])
    if form.shift is not None:
        left, right = (
            build("Mul", build.cast(node.inputs[place], np.float32), ratio)
            for place, ratio in zip((0, 3), form.scales, strict=False)
        )
        return unshifted(build, build("Add", left, build("Add", right, form.shift)), node.inputs[6], zero)
    left, right = (
        dequantized(build, node.inputs[place], _tensor(build, scale), optional_input(node, place + 2))
        for place, scale in zip((0, 3), form.scales, strict=False)
    )
    value, scale = build("Add", left, right), _tensor(build, form.scales[2])
    if form.with_zero:
        return rounded_with_zero(build, build("Div", value, scale), scale, zero)
    return requantized(build, value, scale, zero)


def _form_of_sum(build: Build, node: gs.Node, zero: gs.Tensor) -> Sum | None:
    zeros = [optional_input(node, place) or _zero(build, node) for place in (2, 5)]
    values = [build.context.constant(tensor) for tensor in (*(node.inputs[place] for place in (1, 4, 6)), *zeros, zero)]
    if any(value is None or value.size != 1 for value in values):
        return None
    scalars = [np.asarray(value).reshape(()) for value in values]
    return form_of_sum(scalars[:3], scalars[3:])


def _tensor(build: Build, scale: Any) -> gs.Tensor:
    return scale if isinstance(scale, gs.Tensor) else build.constant(scale, np.float32)


def _product(build: Build, node: gs.Node) -> gs.Tensor:
    """Whole numbers are multiplied, then the three scales at once."""
    scale, zero = node.inputs[6], optional_input(node, 7) or _zero(build, node)
    ratio = combined(build, "Div", combined(build, "Mul", node.inputs[1], node.inputs[4]), scale)
    whole = build("Mul", _whole(build, node, 0), _whole(build, node, 3))
    return rounded_with_zero(build, build("Mul", whole, ratio), scale, zero)


def _whole(build: Build, node: gs.Node, place: int) -> gs.Tensor:
    """The tensor whose value, scale and zero point start at this place, in its own steps."""
    one = build.constant(1.0, np.float32)
    return dequantized(build, node.inputs[place], one, optional_input(node, place + 2))


def _concat(build: Build, node: gs.Node) -> gs.Tensor:
    parts = [_read(build, node, place) for place in range(2, len(node.inputs), 3)]
    value = build("Concat", *parts, axis=int(node.attrs["axis"]))
    return requantized(build, value, node.inputs[0], node.inputs[1])


def _softmax(build: Build, node: gs.Node) -> gs.Tensor:
    value = build("Softmax", _read(build, node, 0), axis=int(node.attrs.get("axis", -1)))
    return requantized(build, value, _whole_steps(build, node.inputs[3]), optional_input(node, 4) or _zero(build, node))


def _whole_steps(build: Build, scale: gs.Tensor) -> gs.Tensor:
    """The scale that onnxruntime really uses: it truncates the number of steps between 0 and 1 to a whole number."""
    one, value = np.float32(1), build.context.constant(scale)
    if value is not None:
        return build.constant(one / np.floor(one / value), np.float32)
    return build("Div", one, build("Floor", build("Div", one, scale)))


def _one_axis(node: gs.Node, context: Context) -> bool:
    """Before opset 13 a softmax goes over all dims from its axis on."""
    axis, rank = int(node.attrs.get("axis", -1)), context.rank(node.inputs[0])
    return int(node.attrs.get("opset", 0)) >= 13 or axis == -1 or axis + 1 == rank


def _pool(build: Build, node: gs.Node) -> gs.Tensor:
    attributes = {name: node.attrs[name] for name in POOL if name in node.attrs}
    value = _over_channels(build, node, _read(build, node, 0), lambda data: build("AveragePool", data, **attributes))
    scale, zero = node.inputs[3], optional_input(node, 4) or _zero(build, node)
    return rounded_with_zero(build, build("Div", value, scale), scale, zero)


def _global_pool(build: Build, node: gs.Node) -> gs.Tensor:
    """The sum of whole numbers, then both scales and the count at once."""
    data, scale, zero = node.inputs[0], node.inputs[3], optional_input(node, 4) or _zero(build, node)
    first = 1 if node.attrs.get("channels_last") else 2
    axes = list(range(first, first + len(data.shape) - 2))
    sizes = [data.shape[axis] for axis in axes]
    count = build.constant(np.prod(sizes), np.float32) if all(isinstance(size, int) for size in sizes) else None
    if count is None:
        inner = build.slice(build("Shape", data), [0], [first], [first + len(axes)])
        count = build.cast(build.axes("ReduceProd", inner, [0], keepdims=0), np.float32)
    total = build.axes("ReduceSum", _whole(build, node, 0), axes, keepdims=1)
    ratio = combined(build, "Div", node.inputs[1], combined(build, "Mul", scale, count))
    return rounded(build, build("Round", build("Mul", total, ratio)), scale, zero)


def _over_channels(
    build: Build, node: gs.Node, value: gs.Tensor, compute: Callable[[gs.Tensor], gs.Tensor]
) -> gs.Tensor:
    if not node.attrs.get("channels_last"):
        return compute(value)
    return channels_last(build, compute(channels_first(build, value)), len(value.shape))


def _known_rank(node: gs.Node, context: Context) -> bool:
    return (context.rank(node.inputs[0]) or 0) > 2


def _ranked(node: gs.Node, context: Context) -> bool:
    return not node.attrs.get("channels_last") or context.rank(node.inputs[0]) is not None


def _convolution(build: Build, node: gs.Node) -> gs.Tensor:
    weights = dequantized(build, node.inputs[3], node.inputs[4], node.inputs[5], axis=0)
    bias, attributes = optional_input(node, 8), {name: node.attrs[name] for name in WINDOW if name in node.attrs}
    if bias is not None:  # in steps of the product of both scales
        step = build("Mul", build.cast(node.inputs[1], np.float32), build.cast(node.inputs[4], np.float32))
        bias = build("Mul", build.cast(bias, np.float32), step)
    made = _over_channels(
        build, node, _read(build, node, 0), lambda data: build("Conv", data, weights, bias, **attributes)
    )
    return requantized(build, made, node.inputs[6], node.inputs[7])


def _quantize(build: Build, node: gs.Node) -> gs.Tensor:
    return requantized(build, node.inputs[0], node.inputs[1], optional_input(node, 2), int(node.attrs.get("axis", 1)))


def _dequantize(build: Build, node: gs.Node) -> gs.Tensor:
    return dequantized(build, node.inputs[0], node.inputs[1], optional_input(node, 2), int(node.attrs.get("axis", 1)))


FORMS = {
    "QLinearAdd": Form(_sum, inputs=7),
    "QLinearMul": Form(_product, inputs=7),
    "QLinearSigmoid": Form(_unary(lambda build, node, value: build("Sigmoid", value)), inputs=4),
    "QLinearLeakyRelu": Form(
        _unary(lambda build, node, value: build("LeakyRelu", value, alpha=float(node.attrs.get("alpha", 0.01)))),
        inputs=4,
        attributes=("alpha",),
    ),
    "QLinearSoftmax": Form(_softmax, inputs=5, attributes=("axis", "opset"), holds=_one_axis),
    "QLinearConcat": Form(_concat, inputs=5, attributes=("axis",)),
    "QLinearAveragePool": Form(_pool, inputs=4, attributes=(*POOL, "channels_last"), holds=_ranked),
    "QLinearGlobalAveragePool": Form(_global_pool, inputs=4, attributes=("channels_last",), holds=_known_rank),
    "QLinearConv": Form(_convolution, inputs=8, attributes=(*WINDOW, "channels_last"), holds=_ranked),
    "QuantizeLinear": Form(_quantize, inputs=2, attributes=("axis",)),
    "DequantizeLinear": Form(_dequantize, inputs=2, attributes=("axis",)),
}
PASS = Pass(code="SG176", name="contrib-quantized", find=find, exact=False, kind="replace")
