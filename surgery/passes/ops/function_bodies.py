"""ONNX's own function bodies: an operator written in simpler operators, for one node.

`onnx.inliner` writes out bodies too, but onnx 1.23 fails on a node that leaves out an input in the middle, as many
Attention nodes do, and it does not check that the operators of a body mean the same at the model's opset.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from surgery.graph.nodes import Constant
from surgery.graph.protos import type_proto
from surgery.graph.read import to_graph
from surgery.graph.schemas import schema
from surgery.graph.write import attribute_protos
from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.opset import means_the_same
from surgery.pipeline.rule import Finding, finding
from verify.model.infer import infer_types
from verify.model.walk import opsets_of, subgraphs, walk_nodes

CORRECTED = {  # corrected function bodies, used in place of ONNX's own, by operator
    # Where all values are zero, onnxruntime's scale is one, and ONNX's body divides zero by zero. A value that is
    # no number makes the scale infinite, since ReduceMin and ReduceMax ignore it in some runtimes and not in others.
    "DynamicQuantizeLinear": """
    <domain: "", opset_import: ["" : 11]> DynamicQuantizeLinear (x) => (y, y_scale, y_zero_point) {
        zero = Constant<value = float {0}>()
        one = Constant<value = float {1}>()
        largest = Constant<value = float {255}>()
        infinite = Constant<value = float {inf}>()
        min = ReduceMin<keepdims = 0>(x)
        low = Min(min, zero)
        missing = IsNaN(x)
        numbers = Where(missing, infinite, x)
        max = ReduceMax<keepdims = 0>(numbers)
        high = Max(max, zero)
        range = Sub(high, low)
        step = Div(range, largest)
        none = Equal(range, zero)
        y_scale = Where(none, one, step)
        offset = Div(low, y_scale)
        point = Sub(zero, offset)
        inside = Clip(point, zero, largest)
        whole = Round(inside)
        y_zero_point = Cast<to = 2>(whole)
        y = QuantizeLinear(x, y_scale, y_zero_point)
    }""",
}
LARGEST_KNOWN_VALUE = 4096  # constants up to this many elements are passed to shape inference


def body(node: gs.Node, context: Context) -> onnx.FunctionProto | None:
    """The function body ONNX defines for this very node, or None.

    None where the operator has none at the model's opset, where the types of its inputs are not known (bodies depend on
    them), and where a body was written for another opset whose operators have changed since.
    """
    domain = node.domain or ""
    version = context.opsets.get(domain, 1)
    known = schema(node.op, domain, version)
    if known is None or body_is_wrong(node):
        return None
    types = [_type_bytes(tensor) for tensor in node.inputs]
    if any(kind is None for kind in types):
        return None
    if node.op in CORRECTED and not domain:
        function = onnx.parser.parse_function(CORRECTED[node.op])
    else:
        function = _fetch(known, version, node, [kind for kind in types if kind is not None])
    if function is None or not _fits(function, context):
        return None
    return function


def body_is_wrong(node: gs.Node) -> bool:
    """Whether ONNX's body is wrong for this node: that of AffineGrid drops a batch of one (by a bare Squeeze)."""
    if node.op != "AffineGrid":
        return False
    shape = node.inputs[0].shape
    return not shape or not isinstance(shape[0], int) or shape[0] < 2


def _type_bytes(tensor: gs.Tensor) -> bytes | None:
    kind = onnx.TypeProto() if tensor.is_empty() else type_proto(tensor)
    return None if kind is None else bytes(kind.SerializeToString())


def _fetch(known: Any, version: int, node: gs.Node, types: list[bytes]) -> onnx.FunctionProto | None:
    data = b""
    fixed = [at for at in known.function_opset_versions if at <= version or node.domain]
    varying = [at for at in known.context_dependent_function_opset_versions if at <= version or node.domain]
    if varying:
        proto = onnx.helper.make_node(
            node.op,
            [tensor.name if not tensor.is_empty() else "" for tensor in node.inputs],
            [tensor.name for tensor in node.outputs],
            domain=node.domain or "",
        )
        proto.attribute.extend(attribute_protos(node))
        data = known.get_context_dependent_function_with_opset_version(max(varying), proto.SerializeToString(), types)
    elif fixed:
        data = known.get_function_with_opset_version(max(fixed))
    return onnx.FunctionProto.FromString(data) if data else None


def _fits(function: onnx.FunctionProto, context: Context) -> bool:
    """Whether every operator of the body means at the model's opset what it meant when the body was written."""
    written = opsets_of(function.opset_import)
    return all(
        means_the_same(
            node.op_type,
            node.domain,
            (written[node.domain], context.opsets.get(node.domain, 0)),
            frozenset(attribute.name for attribute in node.attribute),
        )
        for node in walk_nodes(function.node)
        if node.domain in written
    )


def expand(build: Build, function: onnx.FunctionProto) -> list[gs.Tensor]:
    """Add the body of `function` for the node being replaced; gives back the tensors of its outputs, in order."""
    node = build.node
    given = dict(zip(function.input, node.inputs, strict=False))
    given = {name: tensor for name, tensor in given.items() if not tensor.is_empty()}
    attributes = {proto.name: proto for proto in function.attribute_proto}
    known = schema(node.op, node.domain or "", build.context.opsets.get(node.domain or "", 1))
    for name, attribute in known.attributes.items():
        if attribute.default_value.name and name not in attributes:
            attributes[name] = attribute.default_value
    attributes |= {proto.name: proto for proto in attribute_protos(node)}
    absent = {name for name in function.input if name not in given}
    model = _as_model(function, given, build.context)
    _bind(model.graph, attributes, absent)
    model = infer_types(model, data_prop=False)
    _drop_invented_dims(model.graph)
    del model.graph.initializer[:]
    inner = to_graph(model)
    return build.graft(inner, [given[tensor.name] for tensor in inner.inputs])


def _drop_invented_dims(graph: onnx.GraphProto) -> None:
    """Remove dim names that inference made up: the next body reuses the same names for other sizes."""
    known = {dim.dim_param for info in graph.input for dim in info.type.tensor_type.shape.dim}
    for info in (*graph.value_info, *graph.output):
        for dim in info.type.tensor_type.shape.dim:
            if dim.dim_param and dim.dim_param not in known:
                dim.Clear()


def _as_model(function: onnx.FunctionProto, given: dict[str, gs.Tensor], context: Context) -> onnx.ModelProto:
    inputs = [onnx.helper.make_value_info(name, type_proto(tensor)) for name, tensor in given.items()]
    constants = [
        onnx.numpy_helper.from_array(np.asarray(tensor.values), name)
        for name, tensor in given.items()
        if isinstance(tensor, Constant) and np.prod(tensor.shape, dtype=np.int64) <= LARGEST_KNOWN_VALUE
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in function.output]
    graph = onnx.helper.make_graph(list(function.node), "body", inputs, outputs, constants)
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in context.opsets.items()]
    return onnx.helper.make_model(graph, opset_imports=imports)


def _bind(graph: onnx.GraphProto, attributes: dict[str, onnx.AttributeProto], absent: set[str]) -> None:
    """Write the node's attributes where the body refers to them, and "" for inputs the node leaves out."""
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in absent:
                node.input[index] = ""
        for _, inner in subgraphs(node):
            _bind(inner, attributes, absent)
        for place in reversed(range(len(node.attribute))):
            attribute = node.attribute[place]
            if not attribute.ref_attr_name:
                continue
            value = attributes.get(attribute.ref_attr_name)
            if value is None:
                del node.attribute[place]
            else:
                name = attribute.name
                attribute.CopyFrom(value)
                attribute.name = name


def inline_finding(graph: gs.Graph, node: gs.Node, context: Context, code: str, message: str) -> Iterator[Finding]:
    """A finding whose fix writes the function body in the node's place; none where there is no body that fits."""
    function = body(node, context)
    if function is None:
        return

    def fix() -> None:
        build = Build(graph, node, context, code)
        build.replace(*expand(build, function))

    yield finding(message, node, fix)
