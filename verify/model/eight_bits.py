"""Counts the products of eight-bit numbers in a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verify.model.walk import walk_graphs

if TYPE_CHECKING:
    import onnx

# Operators that multiply eight-bit numbers, and those that do between DequantizeLinear and QuantizeLinear.
EIGHT_BIT = {
    "ConvInteger", "DynamicQuantizeMatMul", "MatMulInteger", "MatMulIntegerToFloat", "QAttention", "QGemm",
    "QLinearConv", "QLinearMatMul",
}  # fmt: skip
PLAIN = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
CARRIERS = {"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}


def eight_bit_products(model: onnx.ModelProto) -> int:
    """How many products have two eight-bit factors: in one operator, or both behind a DequantizeLinear."""
    total = 0
    for graph in walk_graphs(model.graph):
        makers = {name: node for node in graph.node for name in node.output}
        for node in graph.node:
            factors = node.op_type in PLAIN and all(_dequantized(name, makers) for name in node.input[:2])
            total += node.op_type in EIGHT_BIT or factors
    return total


def _dequantized(name: str, makers: dict[str, onnx.NodeProto]) -> bool:
    maker = makers.get(name)
    while maker is not None and maker.op_type in CARRIERS:
        maker = makers.get(maker.input[0])
    return maker is not None and maker.op_type == "DequantizeLinear"
