"""QLinearAdd and the other QLinear operators of com.microsoft, and its QuantizeLinear and DequantizeLinear.

What it does: puts DequantizeLinear in front of the floating-point operator and QuantizeLinear behind it, the form that
TensorRT builds INT8 kernels from; the quantizing operators themselves become those of ONNX.
Why: TensorRT's parser knows none of these operators: QLinearAdd, -Mul, -Sigmoid, -LeakyRelu, -Concat, -AveragePool,
-GlobalAveragePool, -Softmax and -Conv, which onnxruntime's quantizer writes.
Before → After: `y = com.microsoft.QLinearAdd(a, as, az, b, bs, bz, ys, yz)` → `y =
QuantizeLinear(Add(DequantizeLinear(a, as, az), DequantizeLinear(b, bs, bz)), ys, yz)`
Leaves alone: a softmax over several dims at once, as before opset 13; pools and convolutions with the channels last
and an unknown rank; types that ONNX's own operators do not take.
Numerics: the same eight-bit numbers, except where rounding in float32 falls on the other side of a tie. A softmax is
quantized with the scale that onnxruntime's kernel really uses: 1 / 265 instead of 1 / 265.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import Form, plain_findings
from surgery.passes.ops.quantize import dequantized, optional_input, requantized
from surgery.passes.tensorrt.fused_convolution import WINDOW, channels_first, channels_last
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


def _binary(op: str) -> Callable[[Build, gs.Node], gs.Tensor]:
    def write(build: Build, node: gs.Node) -> gs.Tensor:
        value = build(op, _read(build, node, 0), _read(build, node, 3))
        return requantized(build, value, node.inputs[6], optional_input(node, 7) or _zero(build, node))

    return write


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


def _pool(build: Build, node: gs.Node, value: gs.Tensor) -> gs.Tensor:
    attributes = {name: node.attrs[name] for name in POOL if name in node.attrs}
    return _over_channels(build, node, value, lambda data: build("AveragePool", data, **attributes))


def _global_pool(build: Build, node: gs.Node, value: gs.Tensor) -> gs.Tensor:
    return _over_channels(build, node, value, lambda data: build("GlobalAveragePool", data))


def _over_channels(
    build: Build, node: gs.Node, value: gs.Tensor, compute: Callable[[gs.Tensor], gs.Tensor]
) -> gs.Tensor:
    if not node.attrs.get("channels_last"):
        return compute(value)
    return channels_last(build, compute(channels_first(build, value)), len(value.shape))


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
    "QLinearAdd": Form(_binary("Add"), inputs=7),
    "QLinearMul": Form(_binary("Mul"), inputs=7),
    "QLinearSigmoid": Form(_unary(lambda build, node, value: build("Sigmoid", value)), inputs=4),
    "QLinearLeakyRelu": Form(
        _unary(lambda build, node, value: build("LeakyRelu", value, alpha=float(node.attrs.get("alpha", 0.01)))),
        inputs=4,
        attributes=("alpha",),
    ),
    "QLinearSoftmax": Form(_softmax, inputs=5, attributes=("axis", "opset"), holds=_one_axis),
    "QLinearConcat": Form(_concat, inputs=5, attributes=("axis",)),
    "QLinearAveragePool": Form(_unary(_pool), inputs=4, attributes=(*POOL, "channels_last"), holds=_ranked),
    "QLinearGlobalAveragePool": Form(_unary(_global_pool), inputs=5, attributes=("channels_last",), holds=_ranked),
    "QLinearConv": Form(_convolution, inputs=8, attributes=(*WINDOW, "channels_last"), holds=_ranked),
    "QuantizeLinear": Form(_quantize, inputs=2, attributes=("axis",)),
    "DequantizeLinear": Form(_dequantize, inputs=2, attributes=("axis",)),
}
PASS = Pass(code="SG176", name="contrib-quantized", find=find, exact=False, kind="replace")
