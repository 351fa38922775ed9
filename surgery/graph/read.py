"""Read a ModelProto as an onnx-graphsurgeon graph that keeps the original message of every object: nothing is lost.

onnx-graphsurgeon's own importer drops metadata, doc strings, overloads, opaque attributes and types, inputs
with default values, and reads bfloat16, float8 and 4-bit weights wrongly. The graphs made here
carry, besides its own fields:

    graph.origin        the GraphProto or FunctionProto
    graph.stored        constants that are initializers of this graph, read or not
    graph.output_infos  declared type of each output by name
    graph.model         (main graph only) the ModelProto
"""

from __future__ import annotations

from typing import Any

import onnx
import onnx_graphsurgeon as gs

from surgery.graph.nodes import Constant, Node, Stored, Variable, dtype_of
from verify.model.walk import dims_of, domain_of, every_node, opsets_of

Attribute = onnx.AttributeProto
TensorLike = Any  # TensorProto or SparseTensorProto


class Scope:
    """The names of one graph: all it defines anywhere, the tensors read so far, and their declared types."""

    def __init__(self, defined: set[str], infos: dict[str, onnx.ValueInfoProto]) -> None:
        self.defined = defined
        self.infos = infos
        self.tensors: dict[str, gs.Tensor] = {}

    def make(self, name: str) -> Variable:
        """A new tensor under this name, described as the graph declares it."""
        tensor = Variable(name)
        if name in self.infos:
            describe(tensor, self.infos[name])
        self.tensors[name] = tensor
        return tensor


def refusal(model: onnx.ModelProto) -> str:
    """Why this model cannot be edited and is only passed on unchanged; "" if it can be edited."""
    if model.training_info:
        return "it carries training information, which names tensors from outside the graph"
    for node in every_node(model):
        if any(attribute.graphs for attribute in node.attribute):
            return f"node '{node.name}' ({node.op_type}) holds a list of graphs"
    return ""


def to_graph(model: onnx.ModelProto, folder: str = "") -> gs.Graph:
    """The model as a graph. `model` is kept, not copied: do not change it afterwards.

    Args:
        model: weights in external files are left there until something asks for their values.
        folder: where the external files lie.
    """
    reader = _Reader(folder)
    functions = [reader.function(proto) for proto in model.functions]
    # Before IR version 4 every initializer had to be listed among the inputs, and could not be overridden.
    graph = reader.graph(model.graph, listed=model.ir_version < 4)
    graph.functions = functions
    graph.opset = opsets_of(model.opset_import).get("", 1)
    graph.ir_version = model.ir_version
    graph.producer_name, graph.producer_version = model.producer_name, model.producer_version
    graph.import_domains = list(model.opset_import)
    graph.model = model
    return graph


def describe(tensor: gs.Variable, info: onnx.ValueInfoProto) -> None:
    """Set kind, dtype and shape of a tensor from its declared type."""
    tensor.origin = info
    kind = info.type.WhichOneof("value")
    tensor.type = kind or "tensor_type"
    if kind == "tensor_type":
        tensor.dtype = dtype_of(info.type.tensor_type.elem_type)
        tensor.shape = dims_of(info.type.tensor_type)
    tensor.snapshot = snapshot(tensor)


def snapshot(tensor: gs.Variable) -> tuple[Any, ...]:
    """The values that `surgery.graph.write` compares to see whether a pass has changed a tensor's type."""
    return (tensor.dtype, None if tensor.shape is None else tuple(tensor.shape))


class _Reader:
    """Reads graphs; `todo` holds those inside nodes, read after the graph around them is complete."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.todo: list[tuple[gs.Graph, onnx.GraphProto, tuple[Scope, ...]]] = []

    def graph(self, proto: onnx.GraphProto, listed: bool = False) -> gs.Graph:
        root = gs.Graph(name=proto.name, doc_string=proto.doc_string)
        self._fill(root, proto, (), listed)
        self._drain()
        return root

    def function(self, proto: onnx.FunctionProto) -> gs.Function:
        infos = {info.name: info for info in proto.value_info}
        scope = Scope({*proto.input, *(name for node in proto.node for name in node.output)}, infos)
        opset = opsets_of(proto.opset_import).get("", 1)
        function = gs.Function(proto.name, proto.domain, doc_string=proto.doc_string, opset=opset)
        function.import_domains = list(proto.opset_import)
        function.origin, function.stored, function.output_infos = proto, [], {}
        function.attrs = dict.fromkeys(proto.attribute)
        function.attrs.update({attribute.name: attribute for attribute in proto.attribute_proto})
        function.inputs = [scope.make(name) for name in proto.input]
        function.nodes = [self._node(node, (scope,)) for node in proto.node]
        function.outputs = [lookup(name, (scope,)) for name in proto.output]
        self._drain()
        return function

    def _drain(self) -> None:
        while self.todo:
            graph, proto, scopes = self.todo.pop()
            self._fill(graph, proto, scopes, False)

    def _fill(self, graph: gs.Graph, proto: onnx.GraphProto, outer: tuple[Scope, ...], listed: bool) -> None:
        graph.origin = proto
        stored: dict[str, TensorLike] = {tensor.name: tensor for tensor in proto.initializer}
        stored |= {tensor.values.name: tensor for tensor in proto.sparse_initializer}
        infos = {info.name: info for info in (*proto.output, *proto.value_info, *proto.input)}
        defined = {*stored, *(info.name for info in proto.input), *(n for node in proto.node for n in node.output)}
        scope = Scope(defined - {""}, infos)
        graph.inputs, graph.stored = self._declare(proto, stored, scope, listed)
        graph.output_infos = {info.name: info for info in proto.output}
        scopes = (*outer, scope)
        graph.nodes = [self._node(node, scopes) for node in proto.node]
        graph.outputs = [lookup(info.name, scopes) for info in proto.output]

    def _declare(
        self, proto: onnx.GraphProto, stored: dict[str, TensorLike], scope: Scope, listed: bool
    ) -> tuple[list[Variable], list[Constant]]:
        """Inputs and initializers; an input with an initializer is a variable with a default, unless `listed`."""
        inputs, constants = [], []
        declared = {info.name: info for info in (*proto.value_info, *proto.input)}
        for info in proto.input:
            if listed and info.name in stored:
                continue
            tensor = scope.make(info.name)
            tensor.default = stored.get(info.name)
            tensor.is_input = True
            inputs.append(tensor)
        for name, values in stored.items():
            if name not in scope.tensors:
                constant = self._constant(name, values)
                constant.info = declared.get(name)
                scope.tensors[name] = constant
                constants.append(constant)
        return inputs, constants

    def _constant(self, name: str, values: TensorLike) -> Constant:
        stored = Stored(values, self.folder)
        constant = Constant(name, stored)
        constant.stored = stored
        return constant

    def _node(self, proto: onnx.NodeProto, scopes: tuple[Scope, ...]) -> Node:
        decoded = {attribute.name: self._attribute(attribute, scopes) for attribute in proto.attribute}
        node = Node(
            proto.op_type,
            proto.name,
            dict(decoded),
            [lookup(name, scopes) for name in proto.input],
            [_produced(name, scopes[-1]) for name in proto.output],
            domain_of(proto.domain) or None,
        )
        node.origin, node.decoded = proto, decoded
        return node

    def _attribute(self, proto: onnx.AttributeProto, scopes: tuple[Scope, ...]) -> Any:
        """The value in onnx-graphsurgeon's form; the AttributeProto itself where that library has none."""
        kind = proto.type
        if proto.ref_attr_name:
            return gs.Node.AttributeRef(proto.ref_attr_name, proto)
        if kind == Attribute.GRAPH:
            graph = gs.Graph(name=proto.g.name, doc_string=proto.g.doc_string)
            self.todo.append((graph, proto.g, scopes))
            return graph
        if kind == Attribute.TENSOR:
            return self._constant(proto.t.name, proto.t)
        return plain_value(proto)


def plain_value(proto: onnx.AttributeProto) -> Any:
    """The number, string or list that an attribute holds; the message itself if it holds anything else."""
    try:
        if proto.type == Attribute.STRING:
            return proto.s.decode()
        if proto.type == Attribute.STRINGS:
            return [text.decode() for text in proto.strings]
    except UnicodeDecodeError:
        return proto
    field = {Attribute.FLOAT: "f", Attribute.INT: "i", Attribute.FLOATS: "floats", Attribute.INTS: "ints"}.get(
        proto.type
    )
    if field is None:
        return proto
    value = getattr(proto, field)
    return list(value) if field in ("floats", "ints") else value


def lookup(name: str, scopes: tuple[Scope, ...]) -> gs.Tensor:
    """The tensor that `name` means in the innermost scope; a new one without a producer where none defines it."""
    if not name:
        return Variable("")
    for scope in reversed(scopes):
        if name in scope.tensors:
            return scope.tensors[name]
        if name in scope.defined:
            return scope.make(name)
    return scopes[-1].make(name)


def _produced(name: str, scope: Scope) -> gs.Tensor:
    """The tensor a node makes. If the name is taken already, this is a second tensor, which later nodes read."""
    if not name:
        return Variable("")
    tensor = scope.tensors.get(name)
    taken = tensor is not None and (tensor.inputs or isinstance(tensor, gs.Constant) or tensor.is_input)
    return scope.make(name) if tensor is None or taken else tensor
