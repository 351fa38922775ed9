"""Eight-bit products that onnxruntime sums in 16 bits, which overflow, on processors without VNNI.

Its products of uint8 by int8 saturate there (its session option "session.x64quantprecision" is for that, and acts only
where it rewrites the graph). Products of uint8 by uint8 do not: with 128 added to the int8 values and to their zero
point the product is the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from verify.model.infer import infer_types
from verify.model.walk import walk_graphs
from verify.run.session import open_session

OFFSET = 128
MICROSOFT = "com.microsoft"
# The products of an operator, as places of inputs: the operand that may be int8 and its zero point, and the operand
# that must then be uint8 (-1: it always is) and its zero point.
PRODUCTS = {
    ("", "MatMulInteger"): [(1, 3, 0, 2)],
    ("", "QLinearMatMul"): [(3, 5, 0, 2)],
    ("", "ConvInteger"): [(0, 2, 1, 3)],
    ("", "QLinearConv"): [(3, 5, 0, 2)],
    (MICROSOFT, "QLinearConv"): [(3, 5, 0, 2)],
    (MICROSOFT, "QAttention"): [(1, 7, 0, 6)],
    (MICROSOFT, "MatMulIntegerToFloat"): [(1, 5, 0, 4)],
    (MICROSOFT, "DynamicQuantizeMatMul"): [(1, 3, -1, -1)],
    (MICROSOFT, "DynamicQuantizeLSTM"): [(1, 9, -1, -1), (2, 11, -1, -1)],
    (MICROSOFT, "QGemm"): [(3, 5, 0, 2)],
}


def may_saturate(model: onnx.ModelProto) -> bool:
    """Whether the model has a product of uint8 by int8 that may overflow."""
    if not any(_kind(node) in PRODUCTS for graph in walk_graphs(model.graph) for node in graph.node):
        return False
    types = _types(model)
    return any(_saturating(node, types) for graph in walk_graphs(model.graph) for node in graph.node)


@cache
def saturates_here() -> bool:
    """Whether onnxruntime sums products of uint8 by int8 in 16 bits on this processor."""
    inputs = {"a": np.full((4, 4), 255, np.uint8), "b": np.full((4, 4), 127, np.int8)}
    kinds = {"a": TensorProto.UINT8, "b": TensorProto.INT8, "y": TensorProto.INT32}
    infos = [make_tensor_value_info(name, kind, [4, 4]) for name, kind in kinds.items()]
    graph = make_graph([make_node("MatMulInteger", ["a", "b"], ["y"])], "product", infos[:2], infos[2:])
    model = make_model(graph, opset_imports=[make_opsetid("", 10)], ir_version=8)
    found = open_session(model, backend="onnxruntime").run(inputs).outputs.get("y")
    return found is not None and bool((found != 4 * 255 * 127).any())


def without_saturation(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model with products of uint8 by uint8 in place of those that may overflow; the same values.

    Args:
        model: large weights may lie in other files.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    types = _types(model)
    for number, graph in enumerate(walk_graphs(copy.graph)):
        stem = f"unsigned {number}"
        nodes = [made for place, node in enumerate(graph.node) for made in _unsigned(node, f"{stem} {place}", types)]
        del graph.node[:]
        graph.node.extend(nodes)
    return copy


def _kind(node: onnx.NodeProto) -> tuple[str, str]:
    return ("" if node.domain == "ai.onnx" else node.domain, node.op_type)


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Element types of tensors by name."""
    types: dict[str, int] = {}
    for graph in walk_graphs(infer_types(model, data_prop=False).graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            types[value.name] = value.type.tensor_type.elem_type
        types.update({tensor.name: tensor.data_type for tensor in graph.initializer})
    return types


def _saturating(node: onnx.NodeProto, types: dict[str, int]) -> list[tuple[int, int]]:
    """The int8 operands of products that may overflow, each with its zero point."""
    return [
        (signed, zero)
        for signed, zero, other, other_zero in PRODUCTS.get(_kind(node), [])
        if _operand_type(node, signed, zero, types) == TensorProto.INT8
        and (other < 0 or _operand_type(node, other, other_zero, types) == TensorProto.UINT8)
    ]


def _operand_type(node: onnx.NodeProto, place: int, zero: int, types: dict[str, int]) -> int:
    """The type of an operand, or of its zero point: inference finds no types after onnxruntime's own operators."""
    names = [node.input[at] for at in (place, zero) if at < len(node.input)]
    return next((types[name] for name in names if types.get(name)), TensorProto.UNDEFINED)


def _unsigned(node: onnx.NodeProto, stem: str, types: dict[str, int]) -> Iterator[onnx.NodeProto]:
    """The node, after nodes that convert its int8 operands to uint8; `stem` is the prefix of new tensor names."""
    made = onnx.NodeProto()
    made.CopyFrom(node)
    for values, zero in _saturating(node, types):
        prefix = f"{stem} {values}"
        made.input.extend([""] * (zero + 1 - len(made.input)))
        if made.input[zero]:
            yield from _raised(made.input[zero], f"{prefix} zero")
        else:
            value = numpy_helper.from_array(np.uint8(OFFSET))
            yield make_node("Constant", [], [f"{prefix} zero"], value=value)
        yield from _raised(made.input[values], f"{prefix} values")
        made.input[zero], made.input[values] = f"{prefix} zero", f"{prefix} values"
    yield made


def _raised(name: str, result: str) -> Iterator[onnx.NodeProto]:
    """Nodes that add `OFFSET` to an int8 tensor, as uint8."""
    offset = numpy_helper.from_array(np.int32(OFFSET))
    yield make_node("Constant", [], [f"{result} offset"], value=offset)
    yield make_node("Cast", [name], [f"{result} wide"], to=TensorProto.INT32)
    yield make_node("Add", [f"{result} wide", f"{result} offset"], [f"{result} sum"])
    yield make_node("Cast", [f"{result} sum"], [result], to=TensorProto.UINT8)
