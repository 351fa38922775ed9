"""Facts about one node, which the conditions of the tables ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx

from surgery.targets.conditions import UNKNOWN
from surgery.targets.graph_facts import DTYPES, GraphFacts, types_of
from verify.model.walk import reads, subgraphs

LARGEST_VALUE = 4096  # largest constant, in bytes, whose elements a condition may use
OF_SHAPES = ("Shape", "Size")


class NodeFacts:
    """The vocabulary of the conditions: every method `fact_NAME` is a function that they may call.

    Inputs and outputs are counted from 0. A dim that is free in the file is -1.
    """

    def __init__(self, graph: GraphFacts, node: onnx.NodeProto) -> None:
        self.graph = graph
        self.node = node
        self.attributes = {attribute.name: attribute for attribute in node.attribute}

    def ask(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """The value of a fact, for `conditions.evaluate`."""
        return getattr(self, f"fact_{name}", self.no_such_fact)(*arguments)

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
        """Whether the node has this input."""
        return bool(self._input(index))

    def fact_used(self, index: int) -> bool:
        """Whether the node has this output."""
        return bool(self._output(index))

    def fact_inputs(self) -> int:
        """Number of inputs that are not left out."""
        return sum(map(bool, self.node.input))

    def fact_outputs(self) -> int:
        """Number of outputs that are not left out."""
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

    def fact_makers_maker(self, index: int) -> str:
        """Operator of the node that makes the first input of the node that makes an input."""
        maker = self.graph.made_by.get(self._input(index))
        before = self.graph.made_by.get(maker.input[0]) if maker is not None and maker.input else None
        return "" if before is None else str(before.op_type)

    def fact_of_shapes(self, index: int) -> bool:
        """Whether an input is computed from constants and shapes only, so that its numbers are small."""
        todo, seen = [self._input(index)], set[str]()
        while todo:
            name = todo.pop()
            maker = self.graph.made_by.get(name)
            if name in self.graph.weights or name in seen or (maker is not None and maker.op_type in OF_SHAPES):
                continue
            if maker is None:
                return False
            seen.add(name)
            todo += reads(maker)
        return True

    def fact_graph_has(self, op: str) -> bool:
        """Whether the graph has a node of this operator."""
        return op in self.graph.operators

    def fact_variants(self, index: int, *names: str) -> int:
        """How many combinations of one input and some attributes the graph's nodes of this operator have."""
        return len(
            {NodeFacts(self.graph, node)._variant(index, names) for node in self.graph.operators[self.node.op_type]}
        )

    def _variant(self, index: int, names: tuple[str, ...]) -> tuple[Any, ...]:
        values = self.fact_values(index)
        rank = self.fact_rank(0)
        known = values is not UNKNOWN and rank is not UNKNOWN
        axes = tuple(value % rank if rank else value for value in values) if known else self._input(index)
        return (axes, *(self.fact_attr(name, 0) for name in names))

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
        """Number of elements in a tuple."""
        return len(values)
