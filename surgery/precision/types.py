"""Makes a model ready for the choice of precision: all types known, constants in one place, nodes in order."""

from __future__ import annotations

import onnx
from onnx import numpy_helper

from surgery.precision.candidates import FLOAT

SMALL = 4096


def prepare(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with inferred types, float Constant nodes as initializers, and nodes sorted by dependency."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _hoist_constants(copy.graph)
    _sort(copy.graph)
    inferred = _infer(copy)
    for ours, theirs in zip(_graphs(copy.graph), _graphs(inferred.graph), strict=True):
        declared = {value.name for value in (*ours.input, *ours.output, *ours.value_info)}
        ours.value_info.extend(value for value in theirs.value_info if value.name not in declared)
    return copy


def _graphs(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    found = [graph]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += _graphs(attribute.g)
    return found


def _infer(model: onnx.ModelProto) -> onnx.ModelProto:
    """Shape and type inference with the weights left out, so that it works above protobuf's 2 GB."""
    light = onnx.ModelProto()
    weights = []
    for tensor in model.graph.initializer:
        weights.append((tensor.raw_data, tensor.ByteSize() > SMALL and tensor.HasField("raw_data")))
        if weights[-1][1]:
            tensor.raw_data = b""
    light.CopyFrom(model)
    for tensor, (data, cut) in zip(model.graph.initializer, weights, strict=True):
        if cut:
            tensor.raw_data = data
    try:
        return onnx.shape_inference.infer_shapes(light, data_prop=True)
    except Exception:
        return light


def _hoist_constants(graph: onnx.GraphProto) -> None:
    for inner in _graphs(graph):
        kept = []
        outputs = {value.name for value in inner.output}
        for node in inner.node:
            value = (
                next((a.t for a in node.attribute if a.name == "value"), None) if node.op_type == "Constant" else None
            )
            if value is not None and value.data_type == FLOAT and node.output[0] not in outputs:
                inner.initializer.append(numpy_helper.from_array(numpy_helper.to_array(value), node.output[0]))
            else:
                kept.append(node)
        if len(kept) < len(inner.node):
            del inner.node[:]
            inner.node.extend(kept)


def _sort(graph: onnx.GraphProto) -> None:
    """Stable topological order of the main graph; a graph in order, or with a cycle, is left as it is."""
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    needs = [{makers[n] for n in _reads(node) if n in makers and makers[n] != i} for i, node in enumerate(graph.node)]
    if all(max(before, default=-1) < index for index, before in enumerate(needs)):
        return
    readers: list[list[int]] = [[] for _ in needs]
    for index, before in enumerate(needs):
        for other in before:
            readers[other].append(index)
    ready = [index for index, before in enumerate(needs) if not before]
    missing = [len(before) for before in needs]
    order = []
    while ready:
        index = ready.pop(0)
        order.append(index)
        for other in readers[index]:
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    if len(order) == len(needs):
        nodes = list(graph.node)
        del graph.node[:]
        graph.node.extend(nodes[index] for index in order)


def _reads(node: onnx.NodeProto) -> set[str]:
    names = set(node.input)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                names |= _reads(inner)
            names |= {value.name for value in attribute.g.output}
    return names
