"""Write an onnx-graphsurgeon graph as a ModelProto; what no pass has changed is written as it was read."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import numpy_helper

from surgery.graph.names import Names
from surgery.graph.nodes import Stored, Variable, number_of
from surgery.graph.protos import copy_fields, declare, is_external, make_attribute, nbytes, untouched
from surgery.graph.read import plain_value, snapshot
from surgery.graph.walk import inner_graphs, with_inner_graphs
from verify.model.walk import domain_of, opsets_of

Attribute = onnx.AttributeProto
SMALL = 1024  # bytes of a constant that shape inference may want to read (a shape, an axis)
NO_NAMES = Names(gs.Graph())
REBUILT = {  # fields of a graph that are written anew
    "node", "input", "output", "initializer", "sparse_initializer", "value_info", "name", "doc_string",
    "quantization_annotation",
}  # fmt: skip


def to_model(graph: gs.Graph, opsets: dict[str, int] | None = None) -> onnx.ModelProto:
    """The graph as a model, with all other fields of the original model.

    Args:
        graph: made by `surgery.graph.read.to_graph`.
        opsets: version of each imported domain; those of the original when None. Domains of new nodes are added.
    """
    original = vars(graph).get("model")
    model = onnx.ModelProto()
    if original is not None:
        copy_fields(original, model, {"graph", "functions", "opset_import"})
    versions = dict(opsets or opsets_of(graph.import_domains or ()))
    names = Names(graph)
    writer = _Writer(names, original is not None and model.ir_version < 4)
    writer.graph(graph, model.graph, main=True)
    for function in graph.functions:
        names = Names(function)
        _Writer(names, False).function(function, model.functions.add(), versions)
    versions |= dict.fromkeys(sorted(used_domains(graph) - versions.keys()), 1)
    written = {domain_of(entry.domain): entry for entry in original.opset_import} if original is not None else {}
    for domain, version in versions.items():
        if domain in written and written[domain].version == version:
            model.opset_import.add().CopyFrom(written[domain])
        else:
            model.opset_import.add(domain=domain, version=version)
    return model


def to_skeleton(graph: gs.Graph, opsets: dict[str, int]) -> tuple[onnx.ModelProto, Names]:
    """The main graph without the values of large constants, for shape inference, and the names it is written in."""
    model = onnx.ModelProto(ir_version=max(int(graph.ir_version or 8), 4))
    names = Names(graph)
    writer = _Writer(names, False, values_up_to=SMALL)
    writer.graph(graph, model.graph, main=True)
    model.functions.extend(vars(graph)["model"].functions if vars(graph).get("model") is not None else ())
    for domain in used_domains(graph) - opsets.keys():
        model.opset_import.add(domain=domain, version=1)
    for domain, version in opsets.items():
        model.opset_import.add(domain=domain, version=version)
    return model, names


def to_fragment(nodes: list[gs.Node], outputs: list[gs.Tensor], opsets: dict[str, int]) -> onnx.ModelProto:
    """A model of these nodes alone, all constants inside it; `outputs` come under the names "0", "1", ..."""
    graph = gs.Graph(nodes=nodes, outputs=outputs)
    names = Names(graph)
    model = onnx.ModelProto(ir_version=8)
    writer = _Writer(names, False, inline=True)
    model.graph.name = "fragment"
    for node in nodes:
        writer.node(node, model.graph.node.add())
    for constant in names.constants_of(graph):
        model.graph.initializer.add().CopyFrom(writer.tensor(constant, names.of(constant)))
    for index, tensor in enumerate(outputs):
        model.graph.node.add(op_type="Identity", input=[names.of(tensor)], output=[f"{index}"])
        model.graph.output.add(name=f"{index}")
    for domain, version in opsets.items():
        model.opset_import.add(domain=domain, version=version)
    return model


def attribute_protos(node: gs.Node) -> list[onnx.AttributeProto]:
    """The attributes of a node as messages."""
    proto = onnx.NodeProto()
    writer = _Writer(Names(gs.Graph(nodes=[node])) if inner_graphs(node) else NO_NAMES, False)
    origin = getattr(node, "origin", None)
    known = {attribute.name: attribute for attribute in origin.attribute} if origin is not None else {}
    decoded = getattr(node, "decoded", {})
    for name, value in node.attrs.items():
        writer.attribute(node, name, value, known.get(name), decoded.get(name), proto)
    return list(proto.attribute)


def used_domains(graph: gs.Graph) -> set[str]:
    """Operator domains of all nodes, inner graphs included."""
    return {domain_of(node.domain) for inner in with_inner_graphs(graph) for node in inner.nodes}


class _Writer:
    """Writes one main graph or function; constants above `values_up_to` bytes only by type and shape.

    `inline` brings in external data.
    """

    def __init__(self, names: Names, listed: bool, values_up_to: int | None = None, inline: bool = False) -> None:
        self.names = names
        self.listed = listed
        self.values_up_to = values_up_to
        self.whole = not inline and values_up_to is None

    def graph(self, graph: gs.Graph, proto: onnx.GraphProto, main: bool = False) -> None:
        """Fill `proto` from `graph` and the graphs inside it."""
        fields = vars(graph)
        if fields.get("origin") is not None:
            copy_fields(fields["origin"], proto, REBUILT)
        if graph.name:
            proto.name = graph.name
        if graph.doc_string:
            proto.doc_string = graph.doc_string
        for node in graph.nodes:
            self.node(node, proto.node.add())
        constants = self.names.constants_of(graph)
        for tensor in graph.inputs:
            self.info(tensor, proto.input.add())
            if getattr(tensor, "default", None) is not None:
                self.default(tensor, proto)
        for constant in constants:
            self.initializer(constant, proto)
            if main and self.listed:
                self.info(constant, proto.input.add())
        infos = fields.get("output_infos", {})
        for tensor in graph.outputs:
            declared = infos.get(tensor.name)
            if main and declared is not None:
                proto.output.add().CopyFrom(declared)  # the file's declaration stays, even where inference knows more
                proto.output[-1].name = self.names.of(tensor)
            else:
                self.info(tensor, proto.output.add(), declared)
        self.declared(graph, proto)
        self.annotations(graph, proto)

    def declared(self, graph: gs.Graph, proto: onnx.GraphProto) -> None:
        """value_info: of every tensor whose type the file declared, as long as it is there."""
        done = {info.name for info in (*proto.input, *proto.output)}
        for tensor in self.names.tensors_of(graph):
            name = self.names.of(tensor)
            if name in done or tensor.is_empty():
                continue
            if isinstance(tensor, gs.Constant):
                if getattr(tensor, "info", None) is not None and not self.listed:
                    self.info(tensor, proto.value_info.add())
            elif getattr(tensor, "origin", None) is not None:
                self.info(tensor, proto.value_info.add())
            done.add(name)

    def annotations(self, graph: gs.Graph, proto: onnx.GraphProto) -> None:
        origin = vars(graph).get("origin")
        if origin is None or not origin.quantization_annotation:
            return
        present = {name for node in proto.node for name in (*node.input, *node.output)}
        for annotation in origin.quantization_annotation:
            if annotation.tensor_name in present:
                proto.quantization_annotation.add().CopyFrom(annotation)

    def function(self, function: gs.Function, proto: onnx.FunctionProto, versions: dict[str, int]) -> None:
        origin = vars(function).get("origin")
        if origin is not None:
            copy_fields(origin, proto, {"node", "input", "output", "opset_import", "value_info"})
        else:
            proto.name, proto.domain = function.name, function.domain or ""
        proto.input.extend(self.names.of(tensor) for tensor in function.inputs)
        proto.output.extend(self.names.of(tensor) for tensor in function.outputs)
        for constant in self.names.constants_of(function):
            node = proto.node.add(op_type="Constant", output=[self.names.of(constant)])
            node.attribute.add(name="value", type=Attribute.TENSOR, t=self.tensor(constant, ""))
        for node in function.nodes:
            self.node(node, proto.node.add())
        proto.opset_import.extend(function.import_domains or ())
        for domain in sorted(used_domains(function) - opsets_of(proto.opset_import).keys()):
            proto.opset_import.add(domain=domain, version=versions.get(domain, 1))
        present = {name for node in proto.node for name in (*node.input, *node.output)}
        if origin is not None:
            proto.value_info.extend(info for info in origin.value_info if info.name in present)

    def node(self, node: gs.Node, proto: onnx.NodeProto) -> None:
        origin = getattr(node, "origin", None)
        if origin is not None and self.values_up_to is None:
            copy_fields(origin, proto, {"input", "output", "attribute", "op_type", "domain", "name"})
        elif overload := getattr(origin, "overload", ""):  # inference reads no other field, and old ONNX has not this
            proto.overload = overload
        proto.op_type = node.op
        if node.name or (origin is not None and origin.HasField("name")):
            proto.name = node.name or ""
        domain = domain_of(node.domain)
        if origin is not None and origin.HasField("domain"):
            proto.domain = origin.domain if self.whole and domain_of(origin.domain) == domain else domain
        elif domain:
            proto.domain = domain
        proto.input.extend(self.names.of(tensor) for tensor in node.inputs)
        proto.output.extend(self.names.of(tensor) for tensor in node.outputs)
        if node.attrs:
            known = {attribute.name: attribute for attribute in origin.attribute} if origin is not None else {}
            decoded = getattr(node, "decoded", {})
            for name, value in node.attrs.items():
                self.attribute(node, name, value, known.get(name), decoded.get(name), proto)
        for key, text in getattr(node, "provenance", {}).items():
            proto.metadata_props.add(key=key, value=text)

    def attribute(self, node: gs.Node, name: str, value: Any, origin: Any, decoded: Any, owner: onnx.NodeProto) -> None:
        """One attribute: the original message where the value is unchanged, else a new one."""
        limit = self.values_up_to
        if isinstance(value, gs.Graph):
            proto = owner.attribute.add(name=name, type=Attribute.GRAPH)
            self.graph(value, proto.g)
        elif isinstance(value, onnx.AttributeProto):
            owner.attribute.add().CopyFrom(value)
        elif isinstance(value, gs.Node.AttributeRef) and isinstance(value.type, onnx.AttributeProto):
            owner.attribute.add().CopyFrom(value.type)
        elif limit is not None and isinstance(value, gs.Constant):
            owner.attribute.add(name=name, type=Attribute.TENSOR, t=self.tensor(value, value.name))
        elif origin is not None and self.is_unchanged(value, decoded, origin):
            owner.attribute.add().CopyFrom(origin)
        elif isinstance(value, gs.Constant):
            owner.attribute.add(name=name, type=Attribute.TENSOR, t=self.tensor(value, value.name))
        else:
            owner.attribute.add().CopyFrom(make_attribute(node, name, value))

    def is_unchanged(self, value: Any, decoded: Any, origin: onnx.AttributeProto) -> bool:
        """Whether an attribute has the value that was read from `origin`."""
        if isinstance(value, gs.Constant):
            return value is decoded and untouched(value)
        if isinstance(value, list):
            fresh = plain_value(origin)
            return isinstance(fresh, list) and [*map(type, fresh)] == [*map(type, value)] and fresh == value
        return value is decoded

    def info(self, tensor: gs.Tensor, proto: onnx.ValueInfoProto, declared: onnx.ValueInfoProto | None = None) -> None:
        """Declared type: the original one unless a pass has set another dtype or shape."""
        name = self.names.of(tensor)
        if isinstance(tensor, gs.Constant):
            origin = declared or getattr(tensor, "info", None)
            if origin is not None:
                proto.CopyFrom(origin)
            else:
                proto.CopyFrom(onnx.helper.make_tensor_value_info(name, number_of(tensor.dtype), tensor.shape))
            proto.name = name
            return
        origin = declared or getattr(tensor, "origin", None)
        changed = snapshot(tensor) != getattr(tensor, "snapshot", (None, None))
        if origin is not None:
            proto.CopyFrom(origin)
        if (origin is None or changed) and (tensor.dtype is not None or tensor.shape is not None):
            declare(proto, tensor)
        proto.name = name

    def default(self, tensor: Variable, proto: onnx.GraphProto) -> None:
        if isinstance(tensor.default, onnx.SparseTensorProto):
            proto.sparse_initializer.add().CopyFrom(tensor.default)
        else:
            proto.initializer.add().CopyFrom(tensor.default)

    def initializer(self, constant: gs.Constant, proto: onnx.GraphProto) -> None:
        name = self.names.of(constant)
        stored = getattr(constant, "stored", None)
        if self.values_up_to is None and stored is not None and stored.sparse and untouched(constant):
            sparse = proto.sparse_initializer.add()
            sparse.CopyFrom(stored.tensor)
            sparse.values.name = name
        else:
            proto.initializer.add().CopyFrom(self.tensor(constant, name))

    def tensor(self, constant: gs.Constant, name: str) -> onnx.TensorProto:
        """The values as a message: the original one where they are unchanged."""
        if self.values_up_to is not None and nbytes(constant) > self.values_up_to:
            return onnx.TensorProto(name=name, data_type=number_of(constant.dtype), dims=constant.shape)
        inline = self.whole or not is_external(constant)
        if untouched(constant) and not constant.stored.sparse and inline:
            stored: onnx.TensorProto = constant.stored.tensor
        elif isinstance(constant._values, Stored) and not constant._values.sparse and inline:
            stored = constant._values.tensor
        else:
            stored = numpy_helper.from_array(np.asarray(constant.values))
        if stored.name != name:
            copy = onnx.TensorProto()
            copy.CopyFrom(stored)
            copy.name = name
            return copy
        return stored
