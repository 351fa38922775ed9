"""One graph as the conditions of the tables see it: types, constants, and what makes and reads each tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from verify.model.walk import fed_inputs, reads

DTYPES = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
DTYPES.update({onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.DOUBLE: "float64"})
SHAPES = ("Shape", "Size")


class GraphFacts:
    """The data of one graph from which facts are computed.

    types      type of each tensor as far as it is known, those of the graphs around this one included
    constants  initializers by name, those of the graphs around this one included
    opset      version of the default domain
    """

    def __init__(
        self,
        graph: onnx.GraphProto | onnx.FunctionProto,
        types: Mapping[str, onnx.TypeProto],
        constants: Mapping[str, onnx.TensorProto],
        opset: int,
    ) -> None:
        self.types = types
        self.opset = opset
        self.weights = dict(constants)
        main = isinstance(graph, onnx.GraphProto)
        self.fed = {value.name for value in fed_inputs(graph)} if main else set()
        self.outputs = {value.name if main else value for value in graph.output}
        self.made_by: dict[str, onnx.NodeProto] = {name: node for node in graph.node for name in node.output if name}
        self.read_by: dict[str, list[onnx.NodeProto]] = {}
        self.operators: dict[str, list[onnx.NodeProto]] = {}
        self.folded: set[str] = set(self.weights)
        for node in graph.node:
            self.operators.setdefault(node.op_type, []).append(node)
            for name in reads(node):
                self.read_by.setdefault(name, []).append(node)
            self._fold(node)

    def _fold(self, node: onnx.NodeProto) -> None:
        """Note the outputs of a node whose value depends on no input."""
        if node.op_type == "Constant":
            value = _constant(node)
            if value is not None:
                self.weights[node.output[0]] = value
        of_shape = node.op_type in SHAPES and self.static(node.input[0])
        if of_shape or all(name in self.folded for name in reads(node)):
            self.folded.update(name for name in node.output if name)

    def tensor_type(self, name: str) -> Any:
        """The TypeProto.Tensor of a tensor, or None where it is unknown or no tensor."""
        kind = self.types.get(name)
        return kind.tensor_type if kind is not None and kind.HasField("tensor_type") else None

    def static(self, name: str) -> bool:
        """Whether every dim of the tensor is a known number."""
        kind = self.tensor_type(name)
        return kind is not None and kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim)


def _constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    for attribute in node.attribute:
        if attribute.name == "value":
            return attribute.t
        if attribute.name in ("value_int", "value_ints"):
            values = [attribute.i] if attribute.name == "value_int" else list(attribute.ints)
            dims = [] if attribute.name == "value_int" else [len(values)]
            return onnx.helper.make_tensor("", onnx.TensorProto.INT64, dims, values)
        if attribute.name in ("value_float", "value_floats"):
            floats = [attribute.f] if attribute.name == "value_float" else list(attribute.floats)
            dims = [] if attribute.name == "value_float" else [len(floats)]
            return onnx.helper.make_tensor("", onnx.TensorProto.FLOAT, dims, floats)
    return None


def types_of(graph: onnx.GraphProto) -> dict[str, onnx.TypeProto]:
    """Declared and inferred types of one graph's tensors, its initializers included."""
    types: dict[str, onnx.TypeProto] = {
        value.name: value.type for value in (*graph.value_info, *graph.input, *graph.output) if value.HasField("type")
    }
    for tensor in graph.initializer:
        types[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
    return types
