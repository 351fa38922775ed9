"""The structure of a model as lines of text: equal for two models that differ in inner names only."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import helper, numpy_helper


def structure(model: onnx.ModelProto) -> list[str]:
    """Inputs, outputs and nodes in order; inner tensors and initializers are numbered, not named."""
    graph = model.graph
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    ports = [f"input {helper.printable_value_info(value)}" for value in graph.input]
    ports += [f"output {helper.printable_value_info(value)}" for value in graph.output]
    return [*ports, *_nodes(graph, names)]


def _nodes(graph: onnx.GraphProto, names: dict[str, str]) -> Iterator[str]:
    """A line for each node, and for those of its subgraphs; `names` says what tensors are called, and grows."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for name in dict.fromkeys(read for read in _reads(graph) if read in stored):
        kind = onnx.TensorProto.DataType.Name(stored[name].data_type).lower()
        values = numpy_helper.to_array(stored[name]).tolist()
        names[name] = f"{kind}{list(stored[name].dims)} #{len(names)} {values}"
    for node in graph.node:
        inputs = ", ".join(names.get(name, name) for name in node.input)
        for name in node.output:
            names.setdefault(name, f"t{len(names)}" if name else "")
        operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        plain = [each for each in node.attribute if each.type != onnx.AttributeProto.GRAPH]
        attributes = ", ".join(sorted(helper.printable_attribute(each) for each in plain))
        yield f"{', '.join(names[name] for name in node.output)} = {operator}<{attributes}>({inputs})"
        for each in sorted(node.attribute, key=lambda one: one.name):
            if each.type == onnx.AttributeProto.GRAPH:
                inner = names | {value.name: f"{each.name} {place}" for place, value in enumerate(each.g.input)}
                yield from (f"  {each.name}: {line}" for line in _nodes(each.g, inner))
                yield f"  {each.name} gives {', '.join(inner.get(value.name, '') for value in each.g.output)}"


def _reads(graph: onnx.GraphProto) -> Iterator[str]:
    """Names that the nodes read, in order, and those that the nodes of their subgraphs read."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            yield from _reads(attribute.g)
