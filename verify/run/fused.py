"""Operators that compute in eight bits and round once (QLinearConv and others), written out in floats.

x as eight-bit numbers -> QLinearConv -> y   becomes   x -> DequantizeLinear -> Conv -> QuantizeLinear -> y
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

# The float operator, how many values it takes, and where among the inputs scale and zero point of the result are.
FUSED: dict[str, tuple[str, int, int]] = {
    "QLinearConv": ("Conv", 2, 6),
    "QLinearMatMul": ("MatMul", 2, 6),
    "QGemm": ("Gemm", 2, 7),
    "QLinearAdd": ("Add", 2, 6),
    "QLinearMul": ("Mul", 2, 6),
    "QLinearSigmoid": ("Sigmoid", 1, 3),
    "QLinearLeakyRelu": ("LeakyRelu", 1, 3),
    "QLinearAveragePool": ("AveragePool", 1, 3),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", 1, 3),
}
LEAST_OPSET = 13
BIAS = {"QLinearConv": 8, "QGemm": 6}
OWN_ATTRIBUTES = ("channels_last",)  # attributes that the float operator does not have


def written_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model with these operators of the main graph written out; others stay as they are.

    Before opset 13 all stay, because DequantizeLinear has no scale for each channel there.
    """
    import onnx

    result = onnx.ModelProto()
    result.CopyFrom(model)
    opset = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=1)
    if opset < LEAST_OPSET:
        return result
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(model.graph.node):
        fits = node.op_type in FUSED and not any(a.name == "channels_last" and a.i for a in node.attribute)
        nodes += _in_floats(node, f"surgeon_fused_{number}") if fits else [node]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del result.graph.node[:]
    result.graph.node.extend(copies)
    return result


def _in_floats(node: onnx.NodeProto, prefix: str) -> Iterator[onnx.NodeProto]:
    from onnx import helper

    operator, count, result = FUSED[node.op_type]
    values = []
    for place in range(count):
        values.append(f"{prefix}_{place}")
        axis = _channel_axis(node) if place else 1
        yield helper.make_node("DequantizeLinear", node.input[3 * place : 3 * place + 3], values[-1:], axis=axis)
    bias = BIAS.get(node.op_type)
    if bias is not None and len(node.input) > bias and node.input[bias]:
        values.append(f"{prefix}_bias")
        yield from _bias(node, bias, values[-1])
    made = helper.make_node(operator, values, [f"{prefix}_made"])
    made.attribute.extend(attribute for attribute in node.attribute if attribute.name not in OWN_ATTRIBUTES)
    yield made
    yield helper.make_node("QuantizeLinear", [f"{prefix}_made", *node.input[result : result + 2]], node.output)


def _channel_axis(node: onnx.NodeProto) -> int:
    """The axis of the weights along which each channel may have a scale of its own."""
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if node.op_type == "QLinearConv" or transposed else 1


def _bias(node: onnx.NodeProto, place: int, name: str) -> Iterator[onnx.NodeProto]:
    """The bias, whose scale is the product of the scales of both values."""
    import onnx
    from onnx import helper

    yield helper.make_node("Cast", [node.input[place]], [f"{name}_float"], to=onnx.TensorProto.FLOAT)
    yield helper.make_node("Mul", [node.input[1], node.input[4]], [f"{name}_scale"])
    yield helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [name])
