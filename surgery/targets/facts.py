"""Facts about the nodes of one graph, which the conditions of the tables ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx

from surgery.targets.conditions import UNKNOWN
from verify.model.walk import fed_inputs, reads, subgraphs

DTYPES = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
DTYPES.update({onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.DOUBLE: "float64"})
SHAPES = ("Shape", "Size")
LARGEST_VALUE = 4096  # bytes of a constant that a condition may ask the elements of


class GraphFacts:
    """What the conditions may ask of one graph.

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
        self.folded: set[str] = set(self.weights)
        for node in graph.node:
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

    def of(self, node: onnx.NodeProto) -> Callable[[str, tuple[Any, ...]], Any]:
        """The facts of one node, as `conditions.evaluate` wants them."""
        facts = NodeFacts(self, node)
        return lambda name, arguments: getattr(facts, f"fact_{name}", facts.no_such_fact)(*arguments)


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


class NodeFacts:
    """The vocabulary of the conditions: every method `fact_NAME` is a function that they may call.

    Inputs and outputs are counted from 0. A dim that is free in the file is -1.
    """

    def __init__(self, graph: GraphFacts, node: onnx.NodeProto) -> None:
        self.graph = graph
        self.node = node
        self.attributes = {attribute.name: attribute for attribute in node.attribute}

    def no_such_fact(self, *_: Any) -> Any:
        raise ValueError("it calls a fact that does not exist")

    def _input(self, index: int) -> str:
        return self.node.input[index] if index < len(self.node.input) else ""

    def _output(self, index: int) -> str:
        return self.node.output[index] if index < len(self.node.output) else ""

    def fact_op(self) -> str:
        """The operator."""
        return str(self.node.op_type)

    def fact_opset(self) -> int:
        """Version of ONNX's operators in this graph."""
        return self.graph.opset

    def fact_given(self, index: int) -> bool:
        """Whether the input is there."""
        return bool(self._input(index))

    def fact_used(self, index: int) -> bool:
        """Whether the output is there."""
        return bool(self._output(index))

    def fact_inputs(self) -> int:
        """Number of inputs that are there."""
        return sum(map(bool, self.node.input))

    def fact_outputs(self) -> int:
        """Number of outputs that are there."""
        return sum(map(bool, self.node.output))

    def fact_dtype(self, index: int) -> Any:
        """dtype of an input, "" where it is left out."""
        return self._dtype(self._input(index))

    def fact_out_dtype(self, index: int) -> Any:
        """dtype of an output, "" where it is left out."""
        return self._dtype(self._output(index))

    def _dtype(self, name: str) -> Any:
        kind = self.graph.tensor_type(name)
        if not name:
            return ""
        return DTYPES.get(kind.elem_type, "") if kind is not None and kind.elem_type else UNKNOWN

    def fact_rank(self, index: int) -> Any:
        """Number of dims of an input."""
        return self._rank(self._input(index))

    def fact_out_rank(self, index: int) -> Any:
        """Number of dims of an output."""
        return self._rank(self._output(index))

    def _rank(self, name: str) -> Any:
        kind = self.graph.tensor_type(name)
        return UNKNOWN if kind is None or not kind.HasField("shape") else len(kind.shape.dim)

    def fact_dim(self, index: int, axis: int) -> Any:
        """A dim of an input; the axis may be negative."""
        kind = self.graph.tensor_type(self._input(index))
        if kind is None or not kind.HasField("shape") or not -len(kind.shape.dim) <= axis < len(kind.shape.dim):
            return UNKNOWN
        dim = kind.shape.dim[axis]
        return int(dim.dim_value) if dim.HasField("dim_value") else -1

    def fact_static(self, index: int) -> bool:
        """Whether every dim of an input is a known number."""
        return self.graph.static(self._input(index))

    def fact_initializer(self, index: int) -> bool:
        """Whether an input is an initializer or the output of a Constant node, or is left out."""
        name = self._input(index)
        return not name or name in self.graph.weights

    def fact_stored(self, index: int) -> bool:
        """Whether an input is an initializer or a Constant, be it behind Identity and Cast, or is left out."""
        name = self._input(index)
        while name not in self.graph.weights and name in self.graph.made_by:
            maker = self.graph.made_by[name]
            if maker.op_type not in ("Identity", "Cast"):
                return False
            name = maker.input[0]
        return not name or name in self.graph.weights

    def fact_constant(self, index: int) -> bool:
        """Whether the value of an input depends on no input of the model, or the input is left out."""
        name = self._input(index)
        return not name or name in self.graph.folded

    def fact_fed(self, index: int) -> bool:
        """Whether an input of the node is an input of the graph."""
        return self._input(index) in self.graph.fed

    def fact_is_output(self, index: int) -> bool:
        """Whether an output of the node is an output of the graph."""
        return self._output(index) in self.graph.outputs

    def fact_maker(self, index: int) -> str:
        """Operator of the node that makes an input, "" where no node of this graph does."""
        maker = self.graph.made_by.get(self._input(index))
        return "" if maker is None else str(maker.op_type)

    def fact_readers(self, index: int) -> tuple[str, ...]:
        """Operators of the nodes that read an output."""
        return tuple(node.op_type for node in self.graph.read_by.get(self._output(index), []))

    def fact_attr(self, name: str, default: Any) -> Any:
        """An attribute: a number, a text or a tuple of these; `default` where it is left out."""
        attribute = self.attributes.get(name)
        if attribute is None:
            return default
        if attribute.ref_attr_name:
            return UNKNOWN
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        return tuple(value) if isinstance(value, (list, tuple)) else value

    def fact_has(self, name: str) -> bool:
        """Whether an attribute is there."""
        return name in self.attributes

    def fact_ones(self, name: str) -> bool:
        """Whether every number of an attribute is 1, or it is left out."""
        return all(value == 1 for value in self.fact_attr(name, ()))

    def fact_symmetric(self, name: str) -> bool:
        """Whether the first half of an attribute's numbers equals the second, as in pads."""
        values = self.fact_attr(name, ())
        return bool(values[: len(values) // 2] == values[len(values) // 2 :])

    def fact_size(self, index: int) -> Any:
        """Number of elements of an input."""
        name = self._input(index)
        if name in self.graph.weights:
            dims = self.graph.weights[name].dims
        elif self.graph.static(name):
            dims = [dim.dim_value for dim in self.graph.tensor_type(name).shape.dim]
        else:
            return UNKNOWN
        size = 1
        for dim in dims:
            size *= dim
        return size

    def fact_values(self, index: int) -> Any:
        """Elements of a small constant input, flattened."""
        name = self._input(index)
        tensor = self.graph.weights.get(name)
        if not name:
            return ()
        if tensor is None or tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.ByteSize() > LARGEST_VALUE:
            return UNKNOWN
        return tuple(onnx.numpy_helper.to_array(tensor).ravel().tolist())

    def fact_largest(self, values: tuple[float, ...]) -> Any:
        """Largest of some numbers."""
        return max(values) if values else UNKNOWN

    def fact_smallest(self, values: tuple[float, ...]) -> Any:
        """Smallest of some numbers."""
        return min(values) if values else UNKNOWN

    def fact_lower(self, text: str) -> str:
        """A text in lower case."""
        return text.lower()

    def fact_branch_ranks_differ(self) -> Any:
        """Whether an output of an If has another rank in one branch than in the other."""
        return self._branches_differ(lambda kind: len(kind.shape.dim) if kind.HasField("shape") else UNKNOWN)

    def fact_branch_dtypes_differ(self) -> Any:
        """Whether an output of an If has another dtype in one branch than in the other."""
        return self._branches_differ(lambda kind: kind.elem_type or UNKNOWN)

    def _branches_differ(self, of: Callable[[Any], Any]) -> Any:
        graphs = [graph for _, graph in subgraphs(self.node)]
        kinds = [{**self.graph.types, **types_of(graph)} for graph in graphs]
        result: Any = False
        for ends in zip(*([value.name for value in graph.output] for graph in graphs), strict=False):
            found = [
                of(types[name].tensor_type) if name in types else UNKNOWN
                for types, name in zip(kinds, ends, strict=True)
            ]
            if UNKNOWN in found:
                result = UNKNOWN
            elif len(set(found)) > 1:
                return True
        return result

    def fact_count(self, values: tuple[Any, ...]) -> int:
        """How many there are."""
        return len(values)


def types_of(graph: onnx.GraphProto) -> dict[str, onnx.TypeProto]:
    """Declared and inferred types of one graph's tensors, its initializers included."""
    types: dict[str, onnx.TypeProto] = {
        value.name: value.type for value in (*graph.value_info, *graph.input, *graph.output) if value.HasField("type")
    }
    for tensor in graph.initializer:
        types[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
    return types
